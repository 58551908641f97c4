//! Takes out of an examination what is nobody's business, so that it can be passed on.
//!
//! What names people and groups is replaced before it is judged, and what is left is searched once
//! more for whatever has the form of a name. Invariant: a bundle has no four words, no key, no name
//! of a person or group, no text that anybody wrote, no path of the home and no whole address.

use std::collections::BTreeMap;

use fourword_protocol::words::FourWords;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use serde_json::Value;

use crate::api::sync::{Standing, Sync};

/// Digits of a number in base 16 above which it may be an id.
const HEX_DIGITS_MAX: usize = 12;

/// Letters and digits in one piece above which they may be an id, a code or a key.
const PIECE_MAX: usize = 40;

/// The same standing under numbers in the place of names, and without free text.
pub fn nameless(sync: &Sync) -> Sync {
    let mut sync = sync.clone();
    let (mut groups, mut people, mut devices) =
        (Numbers::of("group"), Numbers::of("person"), Numbers::of("device"));
    for document in &mut sync.documents {
        let mut parts = document.id.splitn(3, ':');
        let (kind, words) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let concern = parts.next().unwrap_or_default();
        document.id = format!("{kind}:{}:{concern}", groups.number(words));
        document.reason = state(document.state).to_owned();
        for peer in &mut document.peers {
            peer.identity = people.number(&peer.identity);
            peer.device = devices.number(&peer.device);
            peer.reason = format!("{}, {} entries apart", state(peer.state), peer.behind);
        }
        let waiting = document.waiting.values().fold(0_u64, |sum, count| sum.saturating_add(*count));
        document.waiting = BTreeMap::from([("something".to_owned(), waiting)]);
    }
    for join in &mut sync.joins {
        join.words = groups.number(&join.words);
        join.reason = "under way".to_owned();
    }
    sync
}

/// Gives each name a number of its own.
struct Numbers {
    what: &'static str,
    known: BTreeMap<String, usize>,
}

impl Numbers {
    fn of(what: &'static str) -> Numbers {
        Numbers { what, known: BTreeMap::new() }
    }

    fn number(&mut self, name: &str) -> String {
        let next = self.known.len() + 1;
        format!("{}{}", self.what, self.known.entry(name.to_owned()).or_insert(next))
    }
}

fn state(state: Standing) -> &'static str {
    match state {
        Standing::InSync => "in sync",
        Standing::Alone => "not connected",
        Standing::Behind => "behind",
        Standing::Unconfirmed => "unconfirmed",
        Standing::WaitingForKey => "waiting for a key",
        Standing::Diverged => "diverged",
        Standing::NotMember => "not a member",
    }
}

/// Takes names, ids and whole addresses out of every text of a value. `home` is shown as `HOME`.
pub fn scrub(value: &mut Value, home: &str) {
    match value {
        Value::String(text) => *text = scrubbed(text, home),
        Value::Array(items) => items.iter_mut().for_each(|item| scrub(item, home)),
        Value::Object(fields) => fields.values_mut().for_each(|field| scrub(field, home)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A text without names, ids and whole addresses.
fn scrubbed(text: &str, home: &str) -> String {
    let text = if home.len() > 1 { text.replace(home, "HOME") } else { text.to_owned() };
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let end = rest.find(is_between).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        clean.push_str(&nameless_piece(piece));
        let between = after.find(|c| !is_between(c)).unwrap_or(after.len());
        let (between, after) = after.split_at(between);
        clean.push_str(between);
        rest = after;
    }
    clean
}

fn is_between(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | ';' | '"' | '\'' | '(' | ')' | '{' | '}' | '=' | '#')
}

fn nameless_piece(piece: &str) -> String {
    if piece.starts_with('/')
        && let Ok(address) = piece.parse::<Multiaddr>()
    {
        return shortened(&address);
    }
    let bare = piece.trim_matches(|c: char| !c.is_alphanumeric());
    if bare.parse::<FourWords>().is_ok() || bare.split(':').any(|part| part.parse::<FourWords>().is_ok()) {
        return "[words]".to_owned();
    }
    let is_id = bare.len() > HEX_DIGITS_MAX && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
    let longest = bare.split(|c: char| !c.is_ascii_alphanumeric()).map(str::len).max().unwrap_or_default();
    if is_id || longest > PIECE_MAX { "[id]".to_owned() } else { piece.to_owned() }
}

/// An address of which the network is left, and the end of each name.
fn shortened(address: &Multiaddr) -> String {
    let part = |part: Protocol<'_>| match part {
        Protocol::Ip4(ip) => {
            let [a, b, _, _] = ip.octets();
            format!("/ip4/{a}.{b}.x.x")
        }
        Protocol::Ip6(ip) => {
            let [a, b, ..] = ip.segments();
            format!("/ip6/{a:x}:{b:x}:x")
        }
        Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) | Protocol::Dnsaddr(_) => {
            "/dns/x".to_owned()
        }
        Protocol::P2p(peer) => {
            let peer = peer.to_string();
            format!("/p2p/..{}", peer.get(peer.len().saturating_sub(4)..).unwrap_or_default())
        }
        other => other.to_string(),
    };
    address.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_the_form_of_a_name_is_taken_out_wherever_it_stands() {
        let peer = "12D3KooWQf6g2A9k1wSXZFbED4pte2SwZdFsE6KVxmKKtXpJTCSJ";
        for (text, clean) in [
            ("cannot reach river-wind-wave-fire (0e0e0e0e)", "cannot reach [words] (0e0e0e0e)"),
            ("group:river-wind-wave-fire:chat", "[words]"),
            ("see River.Wind.Wave.Fire!", "see [words]"),
            ("the file /home/ada/.local/key", "the file HOME/key"),
            (&"0e".repeat(32), "[id]"),
            (&format!("peer {peer}"), "peer [id]"),
            (
                &format!("at /ip4/192.0.2.17/tcp/4001/p2p/{peer}, twice"),
                "at /ip4/192.0.x.x/tcp/4001/p2p/..TCSJ, twice",
            ),
            ("/dns4/relay.example.org/udp/4001/quic-v1", "/dns/x/udp/4001/quic-v1"),
            ("fourword_queue{queue=\"store\"} 17", "fourword_queue{queue=\"store\"} 17"),
        ] {
            assert_eq!(scrubbed(text, "/home/ada/.local"), clean);
        }
    }
}
