//! The message of all workloads: about a hundred bytes that name their writer and their number.
//!
//! It is one JSON object, so that other systems can store its fields; here it is the text of one
//! chat message. Invariant: the id can be read back from the text.

/// A message's id: its writer and its number.
pub(crate) fn id(writer: char, number: u64) -> String {
    format!("{writer}-{number:06}")
}

/// The text of a message: 110 bytes while the number has six digits.
pub(crate) fn text(writer: char, number: u64) -> String {
    let author = writer.to_ascii_lowercase();
    let created = 1_700_000_000_000_u64.saturating_add(number);
    format!(
        "{{\"id\":\"{}\",\"author_id\":\"{author}1b2c3d4e5f60718\",\
         \"content\":\"message {number:06} lorem ips\",\"created_at\":{created}}}",
        id(writer, number),
    )
}

/// The id in a text, if it is one of these messages.
pub(crate) fn id_of(text: &str) -> Option<&str> {
    text.strip_prefix("{\"id\":\"")?.split_once('"').map(|(id, _)| id)
}
