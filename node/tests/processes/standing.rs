//! What `sync status` says of each chat, and whether that is true.

use serde_json::Value;

use crate::daemon::{Home, eventually};

/// What one node says of the chat of a group.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) code: i32,
    pub(crate) state: String,
    pub(crate) reason: String,
    pub(crate) peers: Vec<Peer>,
}

/// What it says of one device of another.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) identity: String,
    pub(crate) state: String,
    pub(crate) reason: String,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

impl Standing {
    /// Asks a node.
    pub(crate) fn of(home: &Home, group: &str) -> Standing {
        let told = home.tell(&["sync", "status", group]);
        assert!([0, 7].contains(&told.code), "{}", told.error);
        let documents = told.out["documents"].as_array().expect("a list of documents");
        let all = documents.iter().map(|document| text(&document["state"])).collect::<Vec<_>>();
        let in_sync = all.iter().all(|state| state == "in_sync");
        assert!(!in_sync || told.code == 0, "all in sync, and the exit code is {}", told.code);
        let unsettled = ["behind", "waiting_for_key", "diverged"];
        assert!(
            told.code == 7 || !all.iter().any(|state| unsettled.contains(&state.as_str())),
            "{all:?}, and the exit code is {}",
            told.code
        );
        let chat = documents.iter().find(|document| text(&document["id"]).ends_with(":chat"));
        let chat = chat.expect("a group has a chat");
        let peer = |peer: &Value| Peer {
            identity: text(&peer["identity"]),
            state: text(&peer["state"]),
            reason: text(&peer["reason"]),
        };
        let peers = chat["peers"].as_array().expect("a list of devices").iter().map(peer).collect();
        let standing =
            Standing { code: told.code, state: text(&chat["state"]), reason: text(&chat["reason"]), peers };
        standing.is_explained();
        standing
    }

    /// Whatever is not in sync says why, and what is in sync has nothing to explain.
    fn is_explained(&self) {
        let lines = self.peers.iter().map(|peer| (&peer.state, &peer.reason));
        for (state, reason) in lines.chain([(&self.state, &self.reason)]) {
            assert_eq!(state == "in_sync", reason.is_empty(), "{self:?}");
        }
    }

    /// What it says of the device of somebody who has one.
    pub(crate) fn with(&self, identity: &str) -> &Peer {
        let peer = self.peers.iter().find(|peer| peer.identity == identity);
        peer.unwrap_or_else(|| panic!("{identity} is not in {self:?}"))
    }
}

/// The nodes of one group whose word is checked.
pub(crate) struct Group<'a> {
    pub(crate) words: &'a str,
    /// Each home with its person's four words.
    pub(crate) homes: Vec<(&'a Home, String)>,
}

impl Group<'_> {
    /// No node says that it is in sync with another whose chat is not the same, but for the moment
    /// in which the news travels.
    pub(crate) fn nobody_lies(&self) {
        let mut lies = self.lies();
        eventually("what was said wrongly to be taken back", || {
            // Only what is still said counts: meanwhile somebody else may have had news.
            let still = self.lies();
            lies.retain(|lie| still.contains(lie));
            lies.is_empty()
        });
    }

    /// Who says that it is in sync with whom, and is not.
    fn lies(&self) -> Vec<(usize, usize)> {
        let chats = || self.homes.iter().map(|(home, _)| home.chat(self.words)).collect::<Vec<_>>();
        let before = chats();
        let said: Vec<Standing> = self.homes.iter().map(|(home, _)| Standing::of(home, self.words)).collect();
        let claims = |a: usize, b: usize| {
            let (_, identity) = &self.homes[b];
            said[a].peers.iter().any(|peer| peer.identity == *identity && peer.state == "in_sync")
        };
        lies(&before, claims, &chats())
    }

    /// Waits until all say that they are in sync with all, and shows that they are.
    pub(crate) fn all_in_sync(&self, expected: &[&str]) {
        eventually("all in sync", || {
            self.nobody_lies();
            self.homes.iter().all(|(home, own)| {
                let standing = Standing::of(home, self.words);
                let others = self.homes.iter().filter(|(_, other)| other != own);
                let with_all = others.clone().all(|(_, other)| {
                    standing.peers.iter().any(|p| p.identity == *other && p.state == "in_sync")
                });
                (standing.code, standing.state.as_str()) == (0, "in_sync") && with_all
            })
        });
        for (home, identity) in &self.homes {
            let mut chat = home.chat(self.words);
            chat.sort();
            let mut expected = expected.to_vec();
            expected.sort_unstable();
            assert_eq!(chat, expected, "{identity}");
        }
    }
}

/// Who claims what is not so, by the chats before and after all were asked.
///
/// Chats only grow: one that was the same before and after its node spoke was so meanwhile.
fn lies(
    before: &[Vec<String>],
    claims: impl Fn(usize, usize) -> bool,
    after: &[Vec<String>],
) -> Vec<(usize, usize)> {
    let pairs = (0..before.len()).flat_map(|a| (0..before.len()).map(move |b| (a, b)));
    let claimed = pairs.filter(|(a, b)| a != b && claims(*a, *b));
    let still = |at: usize| before[at] == after[at];
    claimed.filter(|(a, b)| still(*a) && still(*b) && after[*a] != after[*b]).collect()
}

#[test]
fn a_node_that_claims_to_be_in_sync_and_shows_another_chat_is_caught() {
    let chat = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let (one, two) = (chat(&["a"]), chat(&["a", "b"]));
    let by_first = |a: usize, _: usize| a == 0;
    let differ = [one.clone(), two.clone()];
    assert_eq!(lies(&differ, by_first, &differ), [(0, 1)]);
    assert_eq!(lies(&differ, |_, _| false, &differ), [], "nobody claimed anything");
    assert_eq!(lies(&differ, by_first, &[two.clone(), two.clone()]), [], "it came meanwhile");
    let equal = [one.clone(), one];
    assert_eq!(lies(&equal, by_first, &equal), []);
}
