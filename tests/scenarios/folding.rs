//! What everybody has is folded into a snapshot, and whoever lacks that is given it.

use std::collections::BTreeMap;

use fourword_protocol::checkpoint::{self, Checkpoint, Reached, Vector};
use fourword_protocol::command::{
    At, BoardCommand, BoardView, CardFilter, ChatCommand, Command, DocumentSync, Notice, Reply, SyncState,
};
use fourword_protocol::effect::Effect;
use fourword_protocol::envelope::Envelope;
use fourword_protocol::ids::{Digest, DocumentKey, EntityId, LogHead, LogId};
use fourword_protocol::inspect::Holding;
use fourword_protocol::record::Query;
use fourword_protocol::roster::Role;
use fourword_protocol::schema::Concern;
use fourword_protocol::schema::chat::MessageId;
use fourword_protocol::wire::{Frame, kind_of};
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;
use fourword_tests::insider::{Insider, roster_of};

use crate::people::set_role;

/// Envelopes after which these chats want to be folded.
pub(crate) const FOLD_AFTER: u64 = 12;

pub(crate) fn cluster(seed: u64) -> Cluster {
    let mut c = Cluster::new(seed);
    c.fold_after = FOLD_AFTER;
    c
}

/// What a node holds of the chat: the only document that is folded.
pub(crate) fn chat<'a>(c: &'a Cluster, name: &str, document: DocumentKey) -> Holding<'a> {
    c.holdings(name).find(|holding| holding.document() == document).unwrap()
}

/// The chat of a group in which something was written already: it alone has logs of two people.
pub(crate) fn document(c: &Cluster, name: &str, logs_of: &[&str]) -> (EntityId, DocumentKey) {
    let devices: Vec<_> = logs_of.iter().map(|of| c.device(of).unwrap()).collect();
    let has = |h: &Holding| devices.iter().all(|device| h.heads().keys().any(|log| log.device == *device));
    let of_group = c.holdings(name).filter(has);
    let longest = of_group.max_by_key(|h| h.heads().values().map(|head| head.sequence).sum::<u64>()).unwrap();
    (longest.entity(), longest.document())
}

/// Lets people write in turn, each message in an envelope of its own.
pub(crate) fn write(
    c: &mut Cluster,
    by: &[&str],
    group: FourWords,
    texts: std::ops::Range<usize>,
) -> Vec<MessageId> {
    texts.map(|n| c.send_message(by[n % by.len()], group, &format!("message {n}"))).collect()
}

/// How far a vector reaches, over all logs.
pub(crate) fn reach(vector: &BTreeMap<LogId, LogHead>) -> u64 {
    vector.values().map(|head| head.sequence).sum()
}

/// All hold and show the same, whatever of it is folded.
pub(crate) fn assert_same(c: &mut Cluster, names: &[&str], group: FourWords, document: DocumentKey) {
    let shown = c.read_chat(names[0], group);
    let first = chat(c, names[0], document);
    let first = (first.heads().clone(), first.content());
    assert!(first.1.is_some());
    for name in names {
        assert_eq!(c.read_chat(name, group), shown, "{name}");
        let held = chat(c, name, document);
        assert_eq!((held.heads().clone(), held.content()), first, "{name}");
    }
}

/// What lies at or below the snapshot is no envelope on disk any more, and all that lies beyond is.
pub(crate) fn assert_on_disk(c: &Cluster, name: &str, document: DocumentKey) {
    let held = chat(c, name, document);
    for (log, head) in held.heads() {
        let base = held.covered().get(log).map_or(0, |head| head.sequence);
        let stored = stored(c, name, log);
        assert_eq!(stored, (base + 1..=head.sequence).collect::<Vec<_>>(), "{name}");
    }
}

fn stored(c: &Cluster, name: &str, log: &LogId) -> Vec<u64> {
    c.stored_log(name, *log).iter().map(|bytes| Envelope::read(bytes).unwrap().header.sequence).collect()
}

pub(crate) fn folded(c: &Cluster, name: &str, document: DocumentKey) -> Vector {
    chat(c, name, document).covered()
}

/// The chat's line of the status.
pub(crate) fn status(c: &mut Cluster, name: &str, group: FourWords) -> DocumentSync {
    match c.must(name, Command::SyncStatus(Some(group))) {
        Reply::Sync { documents, .. } => documents.into_iter().find(|d| d.id.ends_with(":chat")).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Frames of acknowledgements, checkpoints, snapshots and envelopes, and writes, in a while.
pub(crate) fn doings(c: &mut Cluster, ms: u64) -> usize {
    let (end, mut did) = (c.now() + ms, 0);
    while c.now() < end {
        let more = c.step_seen(&mut |_, happened| {
            let is_doing = |effect: &&Effect| match effect {
                Effect::Send(_, bytes) => {
                    ["acks", "checkpoint", "snapshotpart", "envelopes"].contains(&kind_of(bytes))
                }
                Effect::Publish(..) | Effect::Write(..) => true,
                _ => false,
            };
            did += happened.effects.iter().filter(is_doing).count();
        });
        assert!(more, "timers go on");
    }
    did
}

pub(crate) const THREE: [&str; 3] = ["ada", "ben", "eve"];

pub(crate) const FOUR: [&str; 4] = ["ada", "ben", "cem", "eve"];

/// A group of three whose chat everybody has folded.
pub(crate) fn folded_group(seed: u64) -> (Cluster, FourWords, DocumentKey) {
    folded_group_in_which(seed, 0..20)
}

/// The same, in which these messages were written.
pub(crate) fn folded_group_in_which(
    seed: u64,
    texts: std::ops::Range<usize>,
) -> (Cluster, FourWords, DocumentKey) {
    let mut c = cluster(seed);
    let group = c.group_of(&THREE);
    write(&mut c, &THREE, group, texts);
    c.run_for(60_000);
    let (_, document) = document(&c, "ada", &THREE);
    for name in THREE {
        assert!(reach(&folded(&c, name, document)) > FOLD_AFTER, "{name} has folded");
    }
    (c, group, document)
}

#[test]
fn what_all_have_is_folded_everywhere_and_is_on_no_disk_any_more_and_writing_goes_on() {
    let (mut c, group, document) = folded_group(71);
    for name in THREE {
        assert_on_disk(&c, name, document);
    }
    assert_same(&mut c, &THREE, group, document);
    let before = c.read_chat("ada", group);
    assert_eq!(doings(&mut c, 600_000), 0, "who is settled is quiet");
    c.stop("ada");
    c.restart("ada");
    c.crash("ben");
    c.restart("ben");
    c.heal();
    c.settle();
    assert_eq!(c.read_chat("ada", group), before);
    let logs = chat(&c, "ada", document).heads().len();
    write(&mut c, &THREE, group, 20..60);
    c.run_for(120_000);
    assert_same(&mut c, &THREE, group, document);
    assert_eq!(c.read_chat("eve", group).len(), 60);
    assert_eq!(chat(&c, "ada", document).heads().len(), logs + 1, "only after the crash a new log begins");
    for name in THREE {
        assert_on_disk(&c, name, document);
        assert!(reach(&folded(&c, name, document)) > 40, "{name} has folded again");
    }
}

#[test]
fn who_is_away_keeps_others_from_folding_what_it_may_not_have_until_it_lapses() {
    let mut c = cluster(72);
    let group = c.group_of(&THREE);
    write(&mut c, &THREE, group, 0..3);
    c.settle();
    let (_, document) = document(&c, "ada", &THREE);
    c.isolate("eve");
    write(&mut c, &["ada", "ben"], group, 3..40);
    c.run_for(120_000);
    assert!(reach(&folded(&c, "ada", document)) <= 3, "eve does not have the rest");
    c.let_days_pass(31);
    c.run_for(120_000);
    for name in ["ada", "ben"] {
        assert!(reach(&folded(&c, name, document)) > 30, "{name} waits for eve no longer");
        assert_on_disk(&c, name, document);
    }
}

/// An admin deletes a message, of which one member alone knows before that goes offline; those who
/// demoted the admin meanwhile learn of it afterwards, and void it.
fn deleted_beside_a_demotion(seed: u64) -> (Cluster, FourWords, DocumentKey) {
    let mut c = cluster(seed);
    let group = c.group_of(&FOUR);
    set_role(&mut c, "ada", group, "eve", Role::Admin);
    let written = write(&mut c, &["ada", "ben", "cem", "eve"], group, 0..8);
    c.settle();
    let (_, document) = document(&c, "ada", &["ada", "ben"]);
    for (here, there) in [("ada", "cem"), ("ada", "eve"), ("ben", "cem"), ("ben", "eve")] {
        c.disconnect(here, there);
    }
    write(&mut c, &["eve"], group, 8..12);
    c.must("eve", Command::Chat(group, ChatCommand::Delete(written[0])));
    c.run_for(60_000);
    assert_eq!(c.read_chat("cem", group)[0], "(deleted)");
    c.isolate("cem");
    set_role(&mut c, "ada", group, "eve", Role::Member);
    c.settle();
    c.reunite("ada", "eve");
    c.reunite("ben", "eve");
    c.run_for(120_000);
    for name in ["ada", "ben", "eve"] {
        assert_eq!(c.read_chat(name, group)[0], "message 0", "{name} voids it");
        assert_eq!(c.read_chat(name, group).len(), 12, "{name}");
    }
    (c, group, document)
}

#[test]
fn what_somebody_who_is_awaited_may_vouch_for_is_not_folded_as_void() {
    let (mut c, group, document) = deleted_beside_a_demotion(82);
    for name in ["ada", "ben", "eve"] {
        assert!(folded(&c, name, document).is_empty(), "{name} waits for cem to know of the demotion");
    }
    c.heal();
    c.run_for(120_000);
    assert_same(&mut c, &FOUR, group, document);
    // Pruned by now: cem held it before it knew of the demotion.
    assert_eq!(c.read_chat("ada", group)[0], "message 1");
    for name in FOUR {
        assert!(reach(&folded(&c, name, document)) > FOLD_AFTER, "{name} has folded");
    }
}

#[test]
fn what_was_folded_as_void_stays_void_though_who_had_lapsed_vouches_for_it() {
    let (mut c, group, document) = deleted_beside_a_demotion(83);
    c.let_days_pass(31);
    c.run_for(120_000);
    assert!(reach(&folded(&c, "ada", document)) > FOLD_AFTER, "cem is awaited no longer");
    c.heal();
    c.run_for(120_000);
    assert_same(&mut c, &FOUR, group, document);
    assert_eq!(c.read_chat("cem", group)[0], "message 0");
    assert_eq!(folded(&c, "cem", document), folded(&c, "ada", document));
}

#[test]
fn who_was_demoted_cannot_have_a_document_judged_as_if_it_had_not_been() {
    let mut c = cluster(84);
    let group = c.group_of(&THREE);
    write(&mut c, &THREE, group, 0..8);
    c.settle();
    let (entity, document) = document(&c, "ada", &THREE);
    let before = roster_of(&c, "ada", entity).heads();
    set_role(&mut c, "ada", group, "eve", Role::Viewer);
    c.settle();
    let after = roster_of(&c, "ada", entity).heads();
    // It writes as one who does not know that it may only read.
    let mut eve = Insider::take_over(&mut c, "eve");
    eve.roster = eve.roster.as_of(&before).unwrap();
    let mut log = eve.log_in(Concern::Chat, 1, 7);
    let said = log.say("as if nothing had happened");
    eve.send(
        &mut c,
        "ada",
        &Frame::Envelopes { entity, document, envelopes: vec![said.bytes().to_vec()], more: false },
    );
    c.settle();
    assert_eq!(c.read_chat("ada", group).len(), 8, "it counts for nobody");
    let held = chat(&c, "ada", document).heads().clone();
    assert!(held.contains_key(&log.id));
    // Two vouch for a checkpoint that covers it: whatever it says, it is read by who it names.
    let logs: BTreeMap<LogId, Reached> =
        held.iter().map(|(log, head)| (*log, Reached { head: *head, clock: 1 })).collect();
    for (heads, reads) in [(before, false), (after, true)] {
        let content = Digest([9; 32]);
        let claimed = Checkpoint { entity, document, content, heads, logs: logs.clone() };
        let name = claimed.name();
        let sign = |by: &str| (c.device(by).unwrap(), checkpoint::sign(&name, &c.secret(by)).to_vec());
        let signatures = vec![sign("ben"), sign("eve")];
        let frame = Frame::Checkpoint { entity, document, checkpoint: claimed.encode(), signatures };
        eve.send(&mut c, "ada", &frame);
        let (end, mut loads) = (c.now() + 10_000, 0);
        while c.now() < end {
            assert!(c.step_seen(&mut |_, happened| {
                let of = |effect: &&Effect| matches!(effect, Effect::Load(_, Query::Document { document: of, .. }) if *of == document);
                loads += if happened.name == "ada" { happened.effects.iter().filter(of).count() } else { 0 };
            }));
        }
        assert_eq!(loads > 0, reads);
    }
    assert_eq!(c.read_chat("ada", group).len(), 8);
}

#[test]
fn a_newcomer_is_given_the_snapshot_and_what_lies_beyond_and_shows_the_same() {
    let (mut c, group, document) = folded_group(73);
    write(&mut c, &THREE, group, 20..24);
    c.settle();
    c.add("dia");
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("dia", group, &code);
    c.run_for(30_000);
    let names = ["ada", "ben", "eve", "dia"];
    assert_same(&mut c, &names, group, document);
    assert!(reach(&folded(&c, "dia", document)) > FOLD_AFTER);
    assert_on_disk(&c, "dia", document);
    assert_eq!(status(&mut c, "dia", group).state, SyncState::InSync);
    c.crash("dia");
    c.restart("dia");
    c.heal();
    write(&mut c, &names, group, 24..60);
    c.run_for(120_000);
    assert_same(&mut c, &names, group, document);
    assert_eq!(c.read_chat("dia", group).len(), 60);
}

#[test]
fn a_newcomer_is_given_a_folded_board_at_which_it_never_looked_and_hears_what_follows() {
    let mut c = cluster(77);
    let group = c.group_of(&THREE);
    let add =
        |title: String| Command::Board(group, BoardCommand::AddColumn { title, limit: 0, at: At::Last });
    for n in 0..20 {
        c.must(THREE[n % 3], add(format!("column {n}")));
        c.run_for(500);
    }
    c.run_for(60_000);
    let (_, board) = document(&c, "ada", &THREE);
    assert!(reach(&folded(&c, "ada", board)) > FOLD_AFTER, "the board is folded");
    c.add("dia");
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("dia", group, &code);
    c.run_for(30_000);
    let of = |name: &str| chat(&c, name, board).heads().clone();
    assert_eq!(of("dia"), of("ada"));
    c.must("ada", add("later".into()));
    // By gossip alone: that takes less than a comparison.
    c.run_for(200);
    let Reply::Board(BoardView { columns, .. }) =
        c.must("dia", Command::Board(group, BoardCommand::Show(CardFilter::default())))
    else {
        panic!()
    };
    assert_eq!(columns.len(), 21);
}

#[test]
fn who_returns_after_a_year_loses_nothing_it_wrote_and_takes_what_was_folded_meanwhile() {
    let mut c = cluster(74);
    let group = c.group_of(&THREE);
    let ids = write(&mut c, &THREE, group, 0..6);
    c.settle();
    let (_, document) = document(&c, "ada", &THREE);
    c.isolate("eve");
    for n in 0..5 {
        c.send_message("eve", group, &format!("offline {n}"));
    }
    c.must("eve", Command::Chat(group, ChatCommand::Edit(ids[2], "edited offline".into())));
    for month in 0..12 {
        c.let_days_pass(31);
        write(&mut c, &["ada", "ben"], group, 100 + 20 * month..120 + 20 * month);
        c.run_for(120_000);
    }
    assert!(reach(&folded(&c, "ada", document)) > 200, "eve held nobody up");
    c.crash("eve");
    c.restart("eve");
    c.heal();
    c.run_for(120_000);
    assert_same(&mut c, &THREE, group, document);
    let shown = c.read_chat("ben", group);
    assert_eq!(shown.len(), 6 + 5 + 240);
    for n in 0..5 {
        assert!(shown.contains(&format!("offline {n}")), "{n}");
    }
    assert!(shown.contains(&"edited offline".to_owned()));
    for name in THREE {
        assert_on_disk(&c, name, document);
        assert_eq!(status(&mut c, name, group).state, SyncState::InSync, "{name}");
    }
}

#[test]
fn who_returns_is_told_what_it_wrote_to_what_was_deleted_and_folded_meanwhile() {
    let mut c = cluster(76);
    let group = c.group_of(&THREE);
    let ids = write(&mut c, &THREE, group, 0..6);
    c.settle();
    let (_, document) = document(&c, "ada", &THREE);
    c.isolate("eve");
    c.must("eve", Command::Chat(group, ChatCommand::Edit(ids[5], "edited in vain".into())));
    c.must("ada", Command::Chat(group, ChatCommand::Delete(ids[5])));
    write(&mut c, &["ada", "ben"], group, 6..46);
    c.run_for(120_000);
    c.let_days_pass(31);
    c.run_for(120_000);
    assert!(reach(&folded(&c, "ada", document)) > 30, "the deletion is folded");
    c.heal();
    c.run_for(120_000);
    assert_same(&mut c, &THREE, group, document);
    let in_vain = |c: &mut Cluster| match c.must("eve", Command::Unaccepted(group)) {
        Reply::Unaccepted(views) => views.into_iter().map(|view| view.text).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(in_vain(&mut c), ["edited in vain"]);
    assert!(c.notices("eve").iter().any(|n| matches!(n, Notice::AcceptanceChanged(of) if *of == group)));
    assert_eq!(status(&mut c, "eve", group).unaccepted, 1);
    c.crash("eve");
    c.restart("eve");
    c.heal();
    c.settle();
    assert_eq!(in_vain(&mut c), ["edited in vain"], "once, and still after a restart");
    assert_eq!(doings(&mut c, 600_000), 0);
}

#[test]
fn replicas_that_prune_and_fold_at_different_moments_show_the_same() {
    let mut c = cluster(75);
    let group = c.group_of(&THREE);
    let mut ids = write(&mut c, &THREE, group, 0..6);
    for round in 1..8 {
        c.isolate(THREE[round % 3]);
        let by: Vec<&str> = THREE.iter().copied().filter(|name| *name != THREE[round % 3]).collect();
        ids.extend(write(&mut c, &by, group, 6 * round..6 * round + 6));
        c.must("ada", Command::Chat(group, ChatCommand::Delete(ids[round * 3])));
        let react = ChatCommand::React { message: ids[round * 3 + 1], emoji: "👍".into(), on: true };
        c.must(by[0], Command::Chat(group, react));
        c.settle();
        c.heal();
        c.run_for(7_000 * round as u64);
    }
    c.run_for(120_000);
    let (_, document) = document(&c, "ada", &THREE);
    assert_same(&mut c, &THREE, group, document);
    assert_eq!(c.read_chat("eve", group).len(), 48 - 7);
    for name in THREE {
        assert!(!folded(&c, name, document).is_empty(), "{name}");
        assert_on_disk(&c, name, document);
    }
    assert_eq!(doings(&mut c, 600_000), 0);
}

#[test]
fn a_group_of_one_person_folds_alone() {
    let mut c = cluster(76);
    let group = c.group_of(&["ada"]);
    write(&mut c, &["ada"], group, 0..20);
    c.run_for(60_000);
    let (_, document) = document(&c, "ada", &["ada"]);
    assert!(reach(&folded(&c, "ada", document)) > FOLD_AFTER);
    assert_on_disk(&c, "ada", document);
    c.add("ben");
    let code = c.invite("ada", group, Role::Viewer, 1);
    c.join("ben", group, &code);
    c.run_for(30_000);
    assert_same(&mut c, &["ada", "ben"], group, document);
}

#[test]
fn frames_that_are_lost_on_the_way_only_delay_the_folding() {
    let mut c = cluster(77);
    let group = c.group_of(&THREE);
    for from in THREE {
        for to in THREE.iter().filter(|to| **to != from) {
            c.lose(from, to, |frame| matches!(frame, Frame::Checkpoint { .. }), 2);
        }
    }
    write(&mut c, &THREE, group, 0..20);
    c.run_for(900_000);
    let (_, document) = document(&c, "ada", &THREE);
    for name in THREE {
        assert!(reach(&folded(&c, name, document)) > FOLD_AFTER, "{name}");
    }
    c.add("dia");
    for from in THREE {
        c.lose(from, "dia", |frame| matches!(frame, Frame::SnapshotPart { .. }), 1);
        c.lose(from, "dia", |frame| matches!(frame, Frame::Checkpoint { .. }), 1);
    }
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("dia", group, &code);
    c.run_for(900_000);
    assert_same(&mut c, &["ada", "ben", "eve", "dia"], group, document);
}

#[test]
fn what_one_has_folded_and_another_has_not_is_saved_as_the_same_bytes() {
    let mut c = cluster(90);
    let group = c.group_of(&THREE);
    for from in ["ada", "ben"] {
        c.lose(from, "eve", |frame| matches!(frame, Frame::Checkpoint { .. }), 1000);
    }
    let ids = write(&mut c, &THREE, group, 0..20);
    for id in [ids[0], ids[3], ids[7]] {
        c.must("ada", Command::Chat(group, ChatCommand::Delete(id)));
    }
    c.run_for(60_000);
    let (_, document) = document(&c, "ada", &THREE);
    assert_same(&mut c, &THREE, group, document);
    assert!(reach(&folded(&c, "ada", document)) > FOLD_AFTER);
    assert!(folded(&c, "eve", document).is_empty());
    let saved = |name: &str| {
        let held = chat(&c, name, document);
        (held.pruned().len(), held.saved())
    };
    assert_eq!(saved("ada").0, 3);
    assert!(saved("ada").1.is_some());
    assert_eq!(saved("ada"), saved("eve"));
}

#[test]
fn who_alone_waits_for_nobody_any_more_tells_its_checkpoint_once_and_then_falls_quiet() {
    let mut c = cluster(81);
    let names = ["ada", "ben", "eve", "dia"];
    let group = c.group_of(&names);
    write(&mut c, &names, group, 0..4);
    c.settle();
    let (_, document) = document(&c, "ada", &names);
    c.isolate("dia");
    write(&mut c, &THREE, group, 4..40);
    c.run_for(120_000);
    c.turn_clock("ada", 31);
    c.run_for(120_000);
    let idle = doings(&mut c, 600_000);
    assert_eq!(idle, 0, "ben and eve await dia still, and were told what ada found");
    assert!(reach(&folded(&c, "ada", document)) <= 4, "ada has no witness");
    c.turn_clock("ben", 31);
    c.run_for(120_000);
    for name in ["ada", "ben"] {
        assert!(reach(&folded(&c, name, document)) > 30, "{name} has folded");
    }
}

/// A chat that ada folded alone, and newcomers whom ada does not give it yet.
fn joined_at_who_folded_alone(seed: u64, newcomers: &[&str]) -> (Cluster, FourWords, DocumentKey) {
    let mut c = cluster(seed);
    let group = c.group_of(&["ada"]);
    write(&mut c, &["ada"], group, 0..20);
    c.run_for(60_000);
    let (_, document) = document(&c, "ada", &["ada"]);
    assert!(reach(&folded(&c, "ada", document)) > FOLD_AFTER);
    let code = c.invite("ada", group, Role::Member, u32::try_from(newcomers.len()).unwrap());
    for name in newcomers {
        c.add(name);
        c.lose("ada", name, |frame| matches!(frame, Frame::SnapshotPart { .. }), 1_000);
        c.join(name, group, &code);
    }
    c.connect_all();
    c.settle();
    (c, group, document)
}

#[test]
fn newcomers_that_hear_each_other_first_do_not_wait_for_each_other_to_confirm_what_neither_could_know() {
    let newcomers = ["ben", "cem", "eve"];
    let (mut c, group, document) = joined_at_who_folded_alone(86, &newcomers);
    write(&mut c, &newcomers, group, 20..26);
    c.run_for(60_000);
    assert!(c.read_chat("ben", group).contains(&"message 22".to_owned()), "eve wrote it");
    for (here, there) in [("ben", "cem"), ("ben", "eve"), ("cem", "eve")] {
        c.disconnect(here, there);
    }
    c.isolate("ada");
    c.connect_all();
    write(&mut c, &newcomers, group, 26..29);
    c.run_for(60_000);
    c.lose_no_more();
    c.heal();
    c.run_for(900_000);
    assert_same(&mut c, &["ada", "ben", "cem", "eve"], group, document);
    assert_eq!(c.read_chat("eve", group).len(), 29);
}

#[test]
fn two_who_join_together_do_not_wait_for_each_other_to_confirm_what_neither_could_know() {
    let (mut c, group, document) = joined_at_who_folded_alone(80, &["ben", "eve"]);
    c.lose_no_more();
    c.run_for(900_000);
    assert_same(&mut c, &["ada", "ben", "eve"], group, document);
    assert_eq!(c.read_chat("eve", group).len(), 20);
}
