//! `identity`: who you are, and the recovery phrase.

use hyper::Method;
use serde::Serialize;

use super::Context;
use super::failure::{Exit, Failure};
use super::output::plain;
use crate::api::identity::{Forgotten, Phrase};
use crate::api::node::Status;

const PHRASE: &str = "/api/v1/identity/phrase";

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
    }
    Ok(Exit::Done)
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
