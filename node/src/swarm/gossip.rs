//! Passes gossip between the library's names and the machine's, and keeps what awaits a verdict.
//!
//! The swarm task calls it with the library's behaviour at hand. Topics travel as hexadecimal
//! digits. Invariant: at most `UNJUDGED_MAX` messages wait, none longer than `UNJUDGED_FOR`; one
//! that is not judged is not passed on.

use std::collections::BTreeMap;

use fourword_protocol::effect::Verdict;
use fourword_protocol::event::GossipId;
use fourword_protocol::ids::Topic;
use libp2p::PeerId;
use libp2p::gossipsub::{IdentTopic, MessageAcceptance, MessageId, TopicHash, TopicSubscriptionFilter};
use tokio::time::Instant;

use crate::limits::{UNJUDGED_FOR, UNJUDGED_MAX};

/// The messages that wait for the machine's verdict.
#[derive(Default)]
pub(super) struct Unjudged {
    waiting: BTreeMap<GossipId, Heard>,
    next: u64,
}

/// What the library must be told with the verdict.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) message: MessageId,
    pub(super) from: PeerId,
    at: Instant,
}

impl Unjudged {
    /// Keeps a message and names it; `None` if too many wait.
    pub(super) fn add(&mut self, message: MessageId, from: PeerId, now: Instant) -> Option<GossipId> {
        self.forget_old(now);
        if self.waiting.len() >= UNJUDGED_MAX {
            return None;
        }
        let id = GossipId(self.next);
        self.next += 1;
        self.waiting.insert(id, Heard { message, from, at: now });
        Some(id)
    }

    /// Takes out a message that was judged; `None` if it was forgotten.
    pub(super) fn take(&mut self, id: GossipId) -> Option<Heard> {
        self.waiting.remove(&id)
    }

    /// How many messages await a verdict.
    pub(super) fn count(&self) -> usize {
        self.waiting.len()
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some(oldest) =
            self.waiting.first_entry().filter(|entry| now - entry.get().at > UNJUDGED_FOR)
        {
            oldest.remove();
        }
    }
}

/// Lets peers take part in what may be a topic of ours: a name of any length would be kept for each
/// of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct OurTopics;

impl TopicSubscriptionFilter for OurTopics {
    fn can_subscribe(&mut self, topic: &TopicHash) -> bool {
        topic_of(topic).is_some()
    }
}

/// The library's name of a topic.
pub(super) fn topic_name(topic: Topic) -> IdentTopic {
    IdentTopic::new(topic.to_string())
}

/// The machine's name of a topic; `None` if it is no topic of ours.
pub(super) fn topic_of(hash: &TopicHash) -> Option<Topic> {
    hash.as_str().parse().ok()
}

/// The verdict in the library's words.
pub(super) fn acceptance(verdict: Verdict) -> MessageAcceptance {
    match verdict {
        Verdict::Accept => MessageAcceptance::Accept,
        Verdict::Ignore => MessageAcceptance::Ignore,
        Verdict::Reject => MessageAcceptance::Reject,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_message_is_judged_once_and_forgotten_when_old() {
        let (mut unjudged, now, from) = (Unjudged::default(), Instant::now(), PeerId::random());
        let first = unjudged.add(MessageId::new(b"first"), from, now).unwrap();
        assert_eq!(unjudged.take(first).unwrap().message, MessageId::new(b"first"));
        assert_eq!(unjudged.take(first), None);

        for number in 0..UNJUDGED_MAX {
            assert!(unjudged.add(MessageId::new(&number.to_be_bytes()), from, now).is_some());
        }
        assert_eq!(unjudged.add(MessageId::new(b"one too many"), from, now), None);
        let later = now + UNJUDGED_FOR + Duration::from_millis(1);
        assert!(unjudged.add(MessageId::new(b"room again"), from, later).is_some());
        assert_eq!(unjudged.waiting.len(), 1);
    }

    #[test]
    fn a_topic_reads_back_from_its_name() {
        let topic = Topic([0xab; 32]);
        assert_eq!(topic_of(&topic_name(topic).hash()), Some(topic));
        assert_eq!(topic_of(&TopicHash::from_raw("elsewhere")), None);
    }

    #[test]
    fn a_peer_takes_part_in_topics_of_our_form_and_in_no_others() {
        let ours = topic_name(Topic([0xab; 32])).hash();
        assert!(OurTopics.can_subscribe(&ours));
        for other in ["x".repeat(100_000), String::new(), format!("{ours} "), ours.as_str().to_uppercase()] {
            assert!(!OurTopics.can_subscribe(&TopicHash::from_raw(other)));
        }
    }
}
