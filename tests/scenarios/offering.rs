//! What members offer as snapshots: taken for what they are, whoever is said to have signed them.

use fourword_protocol::checkpoint::{self, Checkpoint};
use fourword_protocol::command::{Command, Reply, SyncState};
use fourword_protocol::ids::DocumentKey;
use fourword_protocol::limits::{
    CHECKPOINT_SIGNATURES_MAX, SNAPSHOT_PART_BYTES_MAX, SNAPSHOT_PARTS_MAX, WANTED_LOGS_MAX,
};
use fourword_protocol::roster::Role;
use fourword_protocol::wire::Frame;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;

use crate::folding::{
    FOLD_AFTER, THREE, assert_same, chat, cluster, document, folded, folded_group, folded_group_in_which,
    reach, status, write,
};
use crate::keeping::{CHAT, must_drop};
use crate::people::remove;

/// A newcomer to a folded group whom nobody but ben, who is in the hands of a test, gives a snapshot.
fn lured(seed: u64) -> (Cluster, FourWords, DocumentKey) {
    let (mut c, group, document) = folded_group(seed);
    c.add("dia");
    let is_given = |frame: &Frame| matches!(frame, Frame::SnapshotPart { .. } | Frame::Checkpoint { .. });
    THREE.iter().for_each(|from| c.lose(from, "dia", is_given, 1_000));
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("dia", group, &code);
    c.connect_all();
    c.settle();
    c.take_over("ben");
    assert!(c.read_chat("dia", group).is_empty(), "nobody has given it anything yet");
    (c, group, document)
}

/// Offers a snapshot in the name of one to another: its checkpoint with signatures of these, then its
/// parts.
pub(crate) fn offer(
    c: &mut Cluster,
    (from, to): (&str, &str),
    checkpoint: &Checkpoint,
    by: &[&str],
    packed: &[u8],
) {
    let (name, entity, document) = (checkpoint.name(), checkpoint.entity, checkpoint.document);
    let sign = |of: &&str| (c.device(of).unwrap(), checkpoint::sign(&name, &c.secret(of)).to_vec());
    let signatures = by.iter().map(sign).collect();
    let bytes = checkpoint.encode();
    let whole = [&(bytes.len() as u32).to_be_bytes()[..], &bytes, packed].concat();
    c.inject(from, to, Frame::Checkpoint { entity, document, checkpoint: bytes, signatures }.encode());
    c.settle();
    let of = whole.len().div_ceil(SNAPSHOT_PART_BYTES_MAX) as u32;
    for (part, bytes) in (0..).zip(whole.chunks(SNAPSHOT_PART_BYTES_MAX)) {
        let frame = Frame::SnapshotPart { entity, document, name, part, of, bytes: bytes.to_vec() };
        c.inject(from, to, frame.encode());
        c.settle();
    }
}

/// What the snapshot on a node's disk is, and its packed bytes.
pub(crate) fn on_disk(c: &Cluster, name: &str, document: DocumentKey) -> (Checkpoint, Vec<u8>) {
    let bytes = c.stored_snapshot(name, document).concat();
    let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
    (Checkpoint::read(&bytes[4..4 + length]).unwrap(), bytes[4 + length..].to_vec())
}

pub(crate) fn dropped(c: &mut Cluster, name: &str, reason: &str) -> u64 {
    match c.must(name, Command::Status) {
        Reply::Status(status) => {
            status.dropped.iter().find(|(why, _)| why == reason).map_or(0, |(_, count)| *count)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_snapshot_of_other_content_or_with_extra_clocks_is_refused_whoever_is_said_to_have_signed_it() {
    let (mut c, group, document) = lured(78);
    let (right, packed) = on_disk(&c, "ben", document);
    let mut other = right.clone();
    other.content.0[0] ^= 1;
    let mut longer = right.clone();
    longer.logs.values_mut().next().unwrap().clock += 1;
    let mut further = right.clone();
    further.logs.values_mut().next().unwrap().head.sequence += 1;
    for (number, forged) in (1..).zip([other, longer, further]) {
        offer(&mut c, ("ben", "dia"), &forged, &["ben", "eve"], &packed);
        assert_eq!(dropped(&mut c, "dia", "snapshot of other content"), number);
        assert!(c.read_chat("dia", group).is_empty() && folded(&c, "dia", document).is_empty());
    }
    let mut altered = packed.clone();
    *altered.last_mut().unwrap() ^= 1;
    offer(&mut c, ("ben", "dia"), &right, &["ben", "eve"], &altered);
    assert_eq!(dropped(&mut c, "dia", "snapshot of other content"), 4);
    let (name, entity) = (right.name(), right.entity);
    let signatures = vec![(c.device("eve").unwrap(), vec![7; 64])];
    let frame = Frame::Checkpoint { entity, document, checkpoint: right.encode(), signatures };
    c.inject("ben", "dia", frame.encode());
    c.settle();
    assert_eq!(dropped(&mut c, "dia", "checkpoint signature"), 1);
    let signatures = vec![(c.device("eve").unwrap(), vec![7; 64]); CHECKPOINT_SIGNATURES_MAX + 1];
    let frame = Frame::Checkpoint { entity, document, checkpoint: right.encode(), signatures };
    c.inject("ben", "dia", frame.encode());
    let too_many = SNAPSHOT_PARTS_MAX as u32 + 1;
    let frame = Frame::SnapshotPart { entity, document, name, part: 0, of: too_many, bytes: vec![0] };
    c.inject("ben", "dia", frame.encode());
    c.settle();
    assert_eq!(dropped(&mut c, "dia", "too many signatures"), 1);
    assert_eq!(dropped(&mut c, "dia", "oversized snapshot"), 1);
    c.lose_no_more();
    c.run_for(900_000);
    assert_same(&mut c, &["ada", "eve", "dia"], group, document);
    assert_eq!(c.read_chat("dia", group).len(), 20);
}

#[test]
fn a_snapshot_for_which_one_person_vouches_is_shown_as_unconfirmed_kept_nowhere_and_replaced() {
    let (mut c, group, document) = lured(79);
    let (right, packed) = on_disk(&c, "ben", document);
    offer(&mut c, ("ben", "dia"), &right, &["ben"], &packed);
    assert_eq!(c.read_chat("dia", group).len(), 20);
    assert_eq!(status(&mut c, "dia", group).state, SyncState::Unconfirmed);
    assert!(folded(&c, "dia", document).is_empty() && chat(&c, "dia", document).heads().is_empty());
    assert!(c.stored_snapshot("dia", document).is_empty());
    c.lose_no_more();
    c.run_for(900_000);
    assert_same(&mut c, &["ada", "eve", "dia"], group, document);
    assert!(reach(&folded(&c, "dia", document)) > FOLD_AFTER);
    let (mut c, group, document) = lured(81);
    let (right, packed) = on_disk(&c, "ben", document);
    offer(&mut c, ("ben", "dia"), &right, &["ben"], &packed);
    c.crash("dia");
    c.restart("dia");
    assert!(c.read_chat("dia", group).is_empty(), "it was in memory alone");
}

/// What ben would have folded if other things had been said: by the same people with the same keys,
/// and consistent in itself.
fn forged(seed: u64, texts: std::ops::Range<usize>) -> (Checkpoint, Vec<u8>) {
    let (c, _, document) = folded_group_in_which(seed, texts);
    on_disk(&c, "ben", document)
}

#[test]
fn a_snapshot_of_what_was_never_said_is_unconfirmed_at_most_and_the_true_one_takes_its_place() {
    for texts in [500..520, 500..580] {
        let (mut c, group, document) = lured(88);
        let (right, _) = on_disk(&c, "ben", document);
        let (untrue, packed) = forged(88, texts);
        assert_eq!((untrue.entity, untrue.document), (right.entity, document));
        assert!(untrue.content != right.content && untrue.logs.keys().eq(right.logs.keys()));
        for to in ["ada", "dia"] {
            offer(&mut c, ("ben", to), &untrue, &["ben"], &packed);
            assert_eq!(dropped(&mut c, to, "snapshot of other content"), 0, "it is what it says");
        }
        let true_one = c.read_chat("eve", group);
        assert_eq!(c.read_chat("ada", group), true_one, "who has the chat takes nothing of it");
        let shown = c.read_chat("dia", group);
        assert!(shown.len() > FOLD_AFTER as usize && shown.iter().all(|text| text.starts_with("message 5")));
        assert_eq!(status(&mut c, "dia", group).state, SyncState::Unconfirmed);
        assert!(folded(&c, "dia", document).is_empty() && chat(&c, "dia", document).heads().is_empty());
        assert!(c.stored_snapshot("dia", document).is_empty());
        c.lose_no_more();
        c.run_for(900_000);
        for round in ["met", "started anew"] {
            assert_same(&mut c, &["ada", "eve", "dia"], group, document);
            assert_eq!(c.read_chat("dia", group), true_one, "{round}");
            assert_ne!(status(&mut c, "dia", group).state, SyncState::Unconfirmed, "{round}");
            assert!(reach(&folded(&c, "dia", document)) > FOLD_AFTER, "{round}");
            c.crash("dia");
            c.restart("dia");
        }
    }
}

#[test]
fn who_dropped_a_chat_is_not_waited_for_to_vouch_for_what_its_only_keeper_has() {
    let mut c = cluster(87);
    let group = c.group_of(&["ada", "cem"]);
    write(&mut c, &["ada", "cem"], group, 0..4);
    c.settle();
    let (_, document) = document(&c, "ada", &["ada", "cem"]);
    remove(&mut c, "ada", group, "cem");
    write(&mut c, &["ada"], group, 4..24);
    c.run_for(60_000);
    // For as long as who has left may come back ada folds nothing alone.
    assert_eq!(reach(&folded(&c, "ada", document)), 0);
    c.let_days_pass(31);
    c.send_message("ada", group, "nobody came");
    c.run_for(60_000);
    assert!(reach(&folded(&c, "ada", document)) > FOLD_AFTER);
    let code = c.invite("ada", group, Role::Member, 2);
    c.add("ben");
    c.lose("ada", "ben", |frame| matches!(frame, Frame::SnapshotPart { .. }), 1_000);
    c.join("ben", group, &code);
    c.settle();
    must_drop(&mut c, "ben", group, CHAT);
    c.lose_no_more();
    c.add("eve");
    c.join("eve", group, &code);
    c.connect_all();
    c.run_for(60_000);
    assert!(reach(&folded(&c, "eve", document)) > FOLD_AFTER, "eve took what ada alone vouches for");
    assert_same(&mut c, &["ada", "eve"], group, document);
}

#[test]
fn a_newcomer_to_a_chat_of_more_logs_than_any_may_show_is_given_its_snapshot() {
    let mut c = cluster(90);
    let group = c.group_of(&["ada", "ben"]);
    write(&mut c, &["ada", "ben"], group, 0..2);
    c.settle();
    let (_, document) = document(&c, "ada", &["ada", "ben"]);
    for number in 0..WANTED_LOGS_MAX + 20 {
        // Whoever crashes writes in another log from then on.
        c.crash("ada");
        c.restart("ada");
        c.connect_all();
        c.send_message("ada", group, &format!("after crash {number}"));
        c.settle();
    }
    c.run_for(60_000);
    assert!(folded(&c, "ben", document).len() > WANTED_LOGS_MAX);
    c.add("dia");
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("dia", group, &code);
    c.connect_all();
    c.run_for(900_000);
    assert_same(&mut c, &["ada", "ben", "dia"], group, document);
    assert!(folded(&c, "dia", document).len() > WANTED_LOGS_MAX);
}
