//! Reads what an update would write where it does not count: to show it, or to write it anew.
//!
//! `replica` asks for envelopes of its own device that lie beyond what counts, and for branches of
//! others before it takes them. Their clocks may be taken by other blocks, so nothing of it is
//! judged here and nothing of it may reach the CRDT library.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::BlockId;
use super::index::{BlockIndex, Place};
use super::read::{Content, Parent, Tie, Update};
use super::varint::Unreadable;

/// What an update holds.
#[derive(Debug, Default)]
pub(crate) struct Gleaned<'a> {
    /// Values and stretches of text, and where they would go.
    pub(crate) writes: Vec<(Place, &'a [u8])>,
    /// Blocks of other clients that it follows.
    pub(crate) follows: Vec<BlockId>,
}

/// Where the blocks of earlier updates of the same branch lie, by their clocks.
pub(crate) type Earlier = BTreeMap<u32, Place>;

/// Reads the values of an update of `client`, as far as their places can be known.
pub(crate) fn glean<'a>(
    bytes: &'a [u8],
    client: u64,
    roots: &[&'static str],
    index: &BlockIndex,
    earlier: &mut Earlier,
) -> Gleaned<'a> {
    let mut gleaned = Gleaned::default();
    // What cannot be read ends it: what was read before still helps.
    let _ = read(bytes, client, roots, index, earlier, &mut gleaned);
    gleaned
}

fn read<'a>(
    bytes: &'a [u8],
    client: u64,
    roots: &[&'static str],
    index: &BlockIndex,
    earlier: &mut Earlier,
    gleaned: &mut Gleaned<'a>,
) -> Result<(), Unreadable> {
    let mut update = Update::new(bytes);
    for _ in 0..update.clients()? {
        let section = update.section()?;
        let mut clock = section.clock;
        for _ in 0..section.blocks {
            let block = update.block(section.client, clock)?;
            let place = match block.tie {
                Tie::Parent(Parent::Root(name), key) => {
                    let root = roots.iter().copied().find(|root| *root == name);
                    root.map(|root| Place { root, key: Arc::from(key.unwrap_or_default()), field: None })
                }
                Tie::Origins(left, right) => {
                    let origins = left.into_iter().chain(right);
                    gleaned.follows.extend(origins.filter(|origin| origin.client != client));
                    left.or(right).and_then(|id| {
                        let own = earlier.get(&id.clock).filter(|_| id.client == client);
                        own.or_else(|| index.resolve(id)?.place()).cloned()
                    })
                }
                Tie::Parent(..) | Tie::None => None,
            };
            // A text has its document to itself: it lies there whether what it follows is known or not.
            let place = place.or_else(|| match (&block.content, roots) {
                (Content::Text(_), [root]) => Some(Place { root, key: Arc::from(""), field: None }),
                _ => None,
            });
            if let Some(place) = place {
                match block.content {
                    Content::Bytes(value) => gleaned.writes.push((place.clone(), value)),
                    Content::Text(text) => gleaned.writes.push((place.clone(), text.as_bytes())),
                    _ => {}
                }
                earlier.insert(clock, place);
            }
            clock = clock.saturating_add(block.length);
        }
    }
    Ok(())
}
