//! How names are written in JSON and read from it: the one place that knows their text forms.
//!
//! Groups and people go by their four words, devices and ids by hexadecimal digits.

use std::fmt::Display;
use std::str::FromStr;

use fourword_protocol::command::{Kind, PersonView};
use fourword_protocol::ids::{DeviceKey, Digest};
use fourword_protocol::limits;
use fourword_protocol::link::LinkCode;
use fourword_protocol::roster::Role;
use fourword_protocol::roster::invite::InviteCode;
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::time::WallTime;
use fourword_protocol::words::FourWords;
use libp2p::identity::{PublicKey, ed25519};

use super::error::{Code, Problem};

/// How the links of invites begin.
pub const JOIN_LINK: &str = "fourword://join/";

/// How the links that link a device begin.
pub const DEVICE_LINK: &str = "fourword://link/";

/// Bytes of the longest code: the largest set of addresses in base32, and room.
pub const CODE_BYTES_MAX: usize = limits::INVITE_ADDRESSES_MAX * limits::ADDRESS_BYTES_MAX * 2 + 512;

/// Reads four words; the problem says which word is wrong and suggests another.
pub fn words(text: &str) -> Result<FourWords, Problem> {
    text.parse().map_err(|e| Problem::usage(format!("{e}")))
}

/// Whether a text can be the first digits of a message's random part, as people are shown it.
pub fn is_short_message(text: &str) -> bool {
    (4..=13).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphabetic() || (b'2'..=b'7').contains(&b))
}

/// Reads a message's id.
pub fn message(text: &str) -> Result<MessageId, Problem> {
    text.parse().map_err(|_| {
        let detail = format!("\"{}\" is not a message id", text.chars().take(60).collect::<String>());
        Problem::new(Code::Usage, detail, "`fourword chat read` shows the ids of messages")
    })
}

/// Reads an invite's code.
pub fn code(text: &str) -> Result<InviteCode, Problem> {
    parsed(text)
}

/// Reads the code that links a device, or its link.
pub fn link_code(text: &str) -> Result<LinkCode, Problem> {
    let text = text.trim();
    if text.starts_with(JOIN_LINK) {
        let hint = "use it with `fourword join`";
        return Err(Problem::new(Code::Usage, "this is an invite to a group; it links no device", hint));
    }
    parsed(text.strip_prefix(DEVICE_LINK).unwrap_or(text))
}

fn parsed<T: FromStr<Err: Display>>(code: &str) -> Result<T, Problem> {
    let wrong =
        |e: String| Problem::new(Code::Usage, e, "copy the whole code, from its first to its last letter");
    if code.len() > CODE_BYTES_MAX {
        return Err(wrong("this is too long for a code".into()));
    }
    code.trim().parse().map_err(|e| wrong(format!("{e}")))
}

/// Whether a text is meant to link a device.
pub fn is_device_link(text: &str) -> bool {
    text.trim().starts_with(DEVICE_LINK)
}

/// Reads how people name a person: four words, a shown name, or the first digits of the id.
pub fn who(text: &str) -> Result<String, Problem> {
    let text = text.trim();
    let max = limits::NAME_BYTES_MAX;
    if text.is_empty() || text.len() > max {
        let detail = format!("a person is named by 1 to {max} bytes");
        let hint = "give four words, the name shown in the group, or the first digits of the id";
        return Err(Problem::new(Code::Usage, detail, hint));
    }
    Ok(text.to_owned())
}

/// Reads a hash of 64 digits.
pub fn hash(text: &str) -> Result<[u8; 32], Problem> {
    let hash = text.parse::<Digest>().map(|Digest(hash)| hash);
    hash.map_err(|_| Problem::usage("a hash is written as 64 hexadecimal digits"))
}

/// Reads the first digits of a key. `what` it names and the hint are for people.
pub fn digits(text: &str, what: &str, hint: &str) -> Result<String, Problem> {
    if !(1..=64).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        let shown: String = text.chars().take(70).collect();
        let detail = format!("{what} is named by the first hexadecimal digits of its key, not \"{shown}\"");
        return Err(Problem::new(Code::Usage, detail, hint));
    }
    Ok(text.to_ascii_lowercase())
}

/// Milliseconds since 1970 as `2026-11-21 08:15`, UTC.
pub fn time(ms: u64) -> String {
    let minutes = ms / 60_000 % 1440;
    format!("{} {:02}:{:02}", WallTime(ms).day(), minutes / 60, minutes % 60)
}

/// Splits a link of an invite into its words and its code; `None` for any other text.
pub fn split_link(text: &str) -> Option<(&str, &str)> {
    text.trim().strip_prefix(JOIN_LINK)?.split_once('#')
}

/// A person: four words if they are known, else the first digits of the id.
pub fn identity(person: &PersonView) -> String {
    person.words.map_or_else(|| person.person.short(), |words| words.to_string())
}

/// The name under which libp2p knows a device; `None` if its key is no point of the curve.
pub fn peer_id(device: &DeviceKey) -> Option<String> {
    let key = ed25519::PublicKey::try_from_bytes(device.as_bytes()).ok()?;
    Some(PublicKey::from(key).to_peer_id().to_string())
}

/// The word for a role.
pub fn role(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Member => "member",
        Role::Admin => "admin",
        Role::Owner => "owner",
    }
}

/// Reads a role's word.
pub fn read_role(text: &str) -> Result<Role, Problem> {
    [Role::Viewer, Role::Member, Role::Admin, Role::Owner]
        .into_iter()
        .find(|known| role(*known) == text)
        .ok_or_else(|| Problem::usage("a role is viewer, member, admin or owner"))
}

/// Reads the kind of an entity that people can make.
pub fn read_kind(text: &str) -> Result<Kind, Problem> {
    [Kind::Group, Kind::Channel, Kind::Project, Kind::Organization]
        .into_iter()
        .find(|kind| kind.word() == text)
        .ok_or_else(|| Problem::usage("a kind is group, channel, project or organization"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_is_refused_with_a_suggestion() {
        let problem = words("oceam-forest-moon-star").unwrap_err();
        assert_eq!(problem.code, Code::Usage);
        assert!(problem.detail.contains("\"ocean\""), "{problem:?}");
    }

    #[test]
    fn a_link_splits_into_words_and_code() {
        assert_eq!(split_link(" fourword://join/a-b-c-d#XYZ\n"), Some(("a-b-c-d", "XYZ")));
        assert_eq!(split_link("a-b-c-d"), None);
        assert_eq!(split_link("https://join/a-b-c-d#XYZ"), None);
    }

    #[test]
    fn keys_and_persons_are_named_within_bounds() {
        assert_eq!(digits("0AbC", "a device", ""), Ok("0abc".into()));
        for wrong in ["", "12D3KooW", "0x12", &"a".repeat(65)] {
            assert_eq!(digits(wrong, "a device", "").unwrap_err().code, Code::Usage, "{wrong}");
        }
        assert_eq!(who(" Ada Lovelace "), Ok("Ada Lovelace".into()));
        for wrong in ["", "  ", &"x".repeat(limits::NAME_BYTES_MAX + 1)] {
            assert_eq!(who(wrong).unwrap_err().code, Code::Usage, "{wrong}");
        }
    }

    #[test]
    fn the_link_of_an_invite_links_no_device() {
        let problem = link_code("fourword://join/a-b-c-d#XYZ").unwrap_err();
        assert!(problem.hint.contains("fourword join"), "{problem:?}");
        assert_eq!(link_code(&"a".repeat(CODE_BYTES_MAX + 1)).unwrap_err().code, Code::Usage);
    }

    #[test]
    fn roles_and_kinds_read_back() {
        for known in [Role::Viewer, Role::Member, Role::Admin, Role::Owner] {
            assert_eq!(read_role(role(known)), Ok(known));
        }
        assert!(read_role("king").is_err());
        assert!(read_kind("home").is_err(), "homes are made by the node itself");
    }
}
