//! Takes back what this device did to a board, issue tracker or canvas, and does it again.
//!
//! A step is what one request did. Invariant: all that a step writes goes into one envelope, goes
//! forward, and leaves alone what somebody else did since; whatever cannot be reverted is said, and
//! the step is over all the same, so that nothing stands in the way of those before it.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use crate::command::{Command, CommandId, LeftView, Outcome, Refusal, RefusalCode, Reply, RevertedView};
use crate::outbox::refusal;
use crate::replicator::Replicator;
use crate::schema::Concern;
use crate::schema::rights::Actor;
use crate::schema::thing::ThingId;
use crate::schema::things::{Deed, Reversal, Things};
use crate::time::WallTime;
use crate::undoing::{History, Taken, Way};
use crate::words::FourWords;

use super::changes::refused;

/// What reverting a step takes.
#[derive(Default)]
struct Reverting {
    taken: Taken,
    things: Vec<ThingId>,
    left: Vec<LeftView>,
}

impl Replicator {
    pub(crate) fn ask_revert(
        &mut self,
        id: CommandId,
        way: Way,
        words: FourWords,
        concern: Concern,
    ) -> Result<(), Refusal> {
        let Some((entity, document)) = self.find_things(words, &concern)? else {
            let command = match way {
                Way::Undo => Command::Undo(words, concern),
                Way::Redo => Command::Redo(words, concern),
            };
            return self.defer(id, words, &concern, command);
        };
        let (actor, drawn) = self.ready_to_change(entity, document, words)?;
        let Some((_, live)) = self.live_document(entity, document) else { return Ok(()) };
        let Some(things) = live.things() else { return Ok(()) };
        let history = self.undoing.of(&document);
        let step = history.and_then(|history| Some((history, history.next(way)?)));
        let (history, step) = step.ok_or_else(|| nothing(way))?;
        let reverting = Reverting::of(step, history, things, &actor, drawn, self.now.wall)?;
        let Reverting { taken, things, left } = reverting;
        self.undoing.went(way, document, &concern, &taken);
        let (undo, redo) = self.undoing.of(&document).map(History::lengths).unwrap_or_default();
        let outcome = Outcome::Done(Reply::Reverted(RevertedView { things, left, undo, redo }));
        match taken.puts.is_empty() {
            true => self.out.answer(id, outcome),
            false => self.put(entity, document, taken.puts, Some((id, outcome))),
        }
        Ok(())
    }
}

impl Reverting {
    fn of(
        step: &[Deed],
        history: &History,
        things: Things<'_>,
        actor: &Actor,
        drawn: [u8; 32],
        now: WallTime,
    ) -> Result<Reverting, Refusal> {
        let mut random = ChaCha20Rng::from_seed(drawn);
        let mut reverting = Reverting::default();
        let is_ours = |id: ThingId, key: &str, value: &[u8]| history.is_ours(id, key, value);
        for deed in step {
            let name = random.next_u64().to_be_bytes();
            let reverted = things.revert(deed, actor, name, now, &is_ours);
            match reverted.map_err(|error| refused(&error))? {
                Ok(reversal) => reverting.take(deed, reversal),
                Err(why) => {
                    let (thing, field) = (deed.about(), deed.field().to_owned());
                    reverting.left.push(LeftView { thing, field, why });
                }
            }
        }
        Ok(reverting)
    }

    fn take(&mut self, deed: &Deed, reversal: Reversal) {
        let Reversal { put, deed: back, over, renamed } = reversal;
        self.taken.renamed.extend(deed.about().zip(renamed));
        if let Some(thing) = back.about().filter(|thing| !self.things.contains(thing)) {
            self.things.push(thing);
        }
        self.taken.puts.push(put);
        self.taken.over.push(over);
        self.taken.back.push(back);
    }
}

fn nothing(way: Way) -> Refusal {
    match way {
        Way::Undo => {
            let hint = "what was done before the node last started, or by another device, stays";
            refusal(RefusalCode::NotFound, "there is nothing to undo", hint)
        }
        Way::Redo => {
            let hint = "whatever is done after an undo ends what could be done again";
            refusal(RefusalCode::NotFound, "there is nothing to do again", hint)
        }
    }
}
