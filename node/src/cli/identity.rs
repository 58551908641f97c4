//! `identity`: who you are, the recovery phrase, and getting yourself back by it.

use std::io::{self, IsTerminal, Read};

use hyper::Method;
use serde::Serialize;

use super::Context;
use super::failure::{Exit, Failure};
use super::output::plain;
use super::silent;
use crate::api::error::Code;
use crate::api::identity::{Forgotten, NewRecovery, Phrase, Recovered};
use crate::api::node::Status;

const PHRASE: &str = "/api/v1/identity/phrase";

/// Words of a recovery phrase.
const PHRASE_WORDS: usize = 24;

/// Bytes read of standard input: 24 words of at most 8 letters, and room.
const PHRASE_BYTES_MAX: u64 = 1024;

/// What can be asked of the identity.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Show your four words and this device.
    #[command(after_help = "Example:\n  fourword identity show")]
    Show,
    /// Show the 24 words that recover everything, to be written on paper.
    #[command(after_help = "Examples:\n  fourword identity phrase\n  fourword identity phrase --forget")]
    Phrase {
        /// Take the root key off this device, once the phrase is written down.
        #[arg(long)]
        forget: bool,
    },
    /// Become yourself again by the 24 words, which are read from the terminal or standard input.
    #[command(
        after_help = "Examples:\n  fourword identity recover\n  fourword identity recover --peer /ip4/192.0.2.1/tcp/4001 < phrase.txt"
    )]
    Recover {
        /// A multiaddr of another device of yours or of a member; may be given more than once.
        #[arg(long = "peer", value_name = "MULTIADDR")]
        peers: Vec<String>,
    },
}

/// Who this is.
#[derive(Serialize)]
struct Identity {
    identity: String,
    person: String,
    device: String,
    peer_id: Option<String>,
    name: String,
    root_on_device: bool,
}

pub(super) async fn run(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    let (client, output) = (context.client(), context.output);
    match verb {
        Verb::Show => {
            let status: Status = client.get("/api/v1/status").await?;
            let identity = Identity {
                identity: status.identity,
                person: status.person,
                device: status.device,
                peer_id: status.peer_id,
                name: status.name,
                root_on_device: status.root_on_device,
            };
            output.answer(&identity, |identity| {
                let device = identity.peer_id.as_ref().unwrap_or(&identity.device);
                format!("{}\nname    {}\ndevice  {device}", identity.identity, plain(&identity.name))
            })?;
        }
        Verb::Phrase { forget: false } => {
            let phrase: Phrase = client.get(PHRASE).await?;
            output.note(
                "Write these 24 words on paper and keep them where nobody else reads them. Whoever has\n\
                 them is you; without them nobody can bring your groups back if all devices are lost.\n\
                 Then take the root key off this device: fourword identity phrase --forget\n",
            );
            output.answer(&phrase, |phrase| columns(&phrase.phrase))?;
        }
        Verb::Phrase { forget: true } => {
            context.confirm("Is the phrase written down? It can never be shown again.")?;
            let forgotten: Forgotten = client.act(Method::DELETE, PHRASE).await?;
            output.answer(&forgotten, |_| "The root key is no longer on this device.".into())?;
        }
        Verb::Recover { peers } => {
            let new = NewRecovery { phrase: read_phrase(context)?, peers };
            let recovered: Recovered = client.send_long("/api/v1/identity/recover", &new, output).await?;
            output.answer(&recovered, |recovered| {
                format!(
                    "You are {}.\n\nGet back into a group by its four words:\n  fourword join WORDS\n\
                     End the devices you have lost:\n  fourword device list\n  fourword device revoke ID",
                    recovered.identity
                )
            })?;
        }
    }
    Ok(Exit::Done)
}

/// The phrase as it is typed, shown to nobody; or from standard input. Arguments are seen by all
/// users, so it is never one of those.
fn read_phrase(context: &Context) -> Result<String, Failure> {
    let failed = |e: io::Error| Failure::usage(format!("the phrase cannot be read: {e}"));
    let text = if io::stdin().is_terminal() {
        let prompt = "Type your 24 words with blanks between them, then press Enter. They are not shown.";
        silent::read_line(|| context.output.note(prompt)).map_err(failed)?
    } else {
        let mut text = String::new();
        io::stdin().lock().take(PHRASE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        text
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.len() != PHRASE_WORDS {
        let message = format!("a recovery phrase has {PHRASE_WORDS} words; these are {}", words.len());
        return Err(Failure::new(Code::Usage, message, "copy them from the paper in their order"));
    }
    Ok(words.join(" ").to_lowercase())
}

/// The words numbered, four in a row.
fn columns(phrase: &str) -> String {
    let words: Vec<String> =
        phrase.split(' ').zip(1..).map(|(word, number)| format!("{number:>2} {word:<9}")).collect();
    words.chunks(4).map(|row| row.concat().trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_phrase_are_numbered() {
        assert_eq!(
            columns("one two three four five"),
            " 1 one       2 two       3 three     4 four\n 5 five"
        );
    }
}
