//! How names are written in JSON and read from it: the one place that knows their text forms.
//!
//! Groups and people go by their four words, devices and ids by hexadecimal digits.

use fourword_protocol::command::{Kind, PersonView};
use fourword_protocol::ids::DeviceKey;
use fourword_protocol::limits;
use fourword_protocol::roster::Role;
use fourword_protocol::roster::invite::InviteCode;
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::words::FourWords;
use libp2p::identity::{PublicKey, ed25519};

use super::error::{Code, Problem};

/// How the links of invites begin.
pub const LINK: &str = "fourword://join/";

/// Bytes of the longest invite code: the largest set of addresses in base32, and room.
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
    let wrong =
        |e: String| Problem::new(Code::Usage, e, "copy the whole code, from its first to its last letter");
    if text.len() > CODE_BYTES_MAX {
        return Err(wrong("this is too long for an invite code".into()));
    }
    text.trim().parse().map_err(|e| wrong(format!("{e}")))
}

/// Splits a link of an invite into its words and its code; `None` for any other text.
pub fn split_link(text: &str) -> Option<(&str, &str)> {
    text.trim().strip_prefix(LINK)?.split_once('#')
}

/// The link of an invite.
pub fn link(words: &FourWords, code: &InviteCode) -> String {
    format!("{LINK}{words}#{code}")
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
    fn roles_and_kinds_read_back() {
        for known in [Role::Viewer, Role::Member, Role::Admin, Role::Owner] {
            assert_eq!(read_role(role(known)), Ok(known));
        }
        assert!(read_role("king").is_err());
        assert!(read_kind("home").is_err(), "homes are made by the node itself");
    }
}
