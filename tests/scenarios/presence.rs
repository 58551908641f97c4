//! Who is where at the moment: seen by the members who are connected, by nobody else, and not for
//! long.

use fourword_protocol::command::{
    Command, Kind, MemberCommand, Notice, Outcome, Presence, PresentView, RefusalCode, Reply, Scene,
};
use fourword_protocol::effect::Effect;
use fourword_protocol::ids::EntityId;
use fourword_protocol::limits::{PRESENCE_BYTES_MAX, PRESENCE_PLACES_MAX, PRESENCE_SELECTED_MAX};
use fourword_protocol::presence::Saying;
use fourword_protocol::roster::Role;
use fourword_protocol::schema::field::Number;
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::wire::{Frame, Sealed, kind_of};
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;
use fourword_tests::insider::Insider;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use crate::people::{id_of, remove, set_role};

fn pointing(across: f64) -> Presence {
    let number = Number::new(across).unwrap();
    Presence::Pointing {
        at: Some((number, number)),
        selected: vec![ThingId { owner: [1; 16], random: [2; 8] }],
    }
}

fn point(c: &mut Cluster, by: &str, group: FourWords, across: f64) {
    assert_eq!(c.ask(by, Command::Point(group, pointing(across))), Outcome::Done(Reply::Ok));
}

fn present(c: &mut Cluster, at: &str, group: FourWords) -> Vec<PresentView> {
    match c.must(at, Command::Present(group)) {
        Reply::Present(views) => views,
        other => panic!("{other:?}"),
    }
}

fn shown(c: &mut Cluster, at: &str, group: FourWords) -> Vec<Presence> {
    present(c, at, group).into_iter().map(|view| view.presence).collect()
}

/// Which nodes send frames of presence to which others, while at least so much time passes.
fn watch(c: &mut Cluster, ms: u64, sent: &mut Vec<(String, String)>) {
    let end = c.now() + ms;
    while c.now() < end {
        let went_on = c.step_seen(&mut |c, happened| {
            for effect in &happened.effects {
                if let Effect::Send(to, bytes) = effect
                    && kind_of(bytes) == "presence"
                {
                    let names = ["ada", "ben", "eve"].iter().filter(|name| c.device(name) == Some(*to));
                    sent.extend(names.map(|name| (happened.name.clone(), (*name).to_owned())));
                }
            }
        });
        assert!(went_on);
    }
}

fn notices(c: &Cluster, at: &str, group: FourWords) -> usize {
    c.notices(at).iter().filter(|notice| **notice == Notice::PresenceChanged(group)).count()
}

#[test]
fn members_see_where_others_point_for_a_while_and_nothing_is_written() {
    let mut c = Cluster::new(1);
    let group = c.group_of(&["ada", "ben", "eve"]);
    let homes = |c: &Cluster| ["ada", "ben", "eve"].map(|name| format!("{:?}", c.remembered(name)));
    let before = homes(&c);
    point(&mut c, "ada", group, 4.0);
    c.run_for(1_000);
    assert_eq!(homes(&c), before, "nothing reaches a disk");
    assert_eq!(shown(&mut c, "eve", group), [pointing(4.0)]);
    let view = present(&mut c, "ben", group).remove(0);
    assert_eq!((view.presence, Some(view.device)), (pointing(4.0), c.device("ada")));
    assert_eq!(view.person.person, Insider::of(&c, "ada").person);
    assert_eq!(shown(&mut c, "ada", group), [], "oneself one does not see");
    assert_eq!(notices(&c, "ben", group), 1);
    c.run_for(10_000);
    assert_eq!((shown(&mut c, "ben", group), notices(&c, "ben", group)), (vec![], 2), "it ends by itself");
}

#[test]
fn what_moves_fast_is_shown_ten_times_a_second_and_where_it_stops() {
    let mut c = Cluster::new(2);
    let group = c.group_of(&["ada", "ben", "eve"]);
    c.take_over("eve");
    for step in 0..200_u32 {
        c.begin("ada", Command::Point(group, pointing(step.into())));
        c.run_for(10);
    }
    c.run_for(500);
    let frames = c.take_inbox("eve").iter().filter(|(_, bytes)| kind_of(bytes) == "presence").count();
    assert!((15..=21).contains(&frames), "{frames} frames in two seconds");
    assert!((2..=21).contains(&notices(&c, "ben", group)));
    assert_eq!(shown(&mut c, "ben", group), [pointing(199.0)]);
}

#[test]
fn who_leaves_the_canvas_or_the_network_is_seen_no_more() {
    let mut c = Cluster::new(3);
    let group = c.group_of(&["ada", "ben"]);
    point(&mut c, "ada", group, 1.0);
    c.must("ada", Command::Point(group, Presence::Typing));
    c.run_for(500);
    assert_eq!(shown(&mut c, "ben", group), [pointing(1.0), Presence::Typing]);
    c.must("ada", Command::Unpoint(group, Scene::Canvas));
    c.run_for(500);
    assert_eq!(shown(&mut c, "ben", group), [Presence::Typing]);
    let before = notices(&c, "ben", group);
    c.isolate("ada");
    c.run_for(500);
    assert_eq!((shown(&mut c, "ben", group), notices(&c, "ben", group)), (vec![], before + 1));
}

#[test]
fn nothing_is_sent_while_nobody_is_there_and_nothing_to_who_was_removed() {
    let mut c = Cluster::new(4);
    let group = c.group_of(&["ada", "ben", "eve"]);
    remove(&mut c, "ada", group, "eve");
    c.settle();
    assert!(c.are_connected("ada", "eve"));
    let mut sent = Vec::new();
    c.begin("ada", Command::Point(group, pointing(1.0)));
    watch(&mut c, 1_000, &mut sent);
    assert_eq!(sent, [("ada".to_owned(), "ben".to_owned())]);
    c.begin("eve", Command::Point(group, pointing(2.0)));
    watch(&mut c, 1_000, &mut sent);
    assert_eq!(sent.len(), 1, "who was removed shows nothing");
    c.isolate("ada");
    c.begin("ada", Command::Point(group, pointing(3.0)));
    watch(&mut c, 1_000, &mut sent);
    assert_eq!(sent.len(), 1);
}

#[test]
fn a_viewer_points_and_does_not_type_and_each_canvas_has_its_own_cursors() {
    let mut c = Cluster::new(5);
    let group = c.group_of(&["ada", "ben"]);
    let channel = c.create_child("ada", Kind::Channel, "sketches", group);
    set_role(&mut c, "ada", group, "ben", Role::Viewer);
    c.settle();
    point(&mut c, "ben", channel, 1.0);
    c.run_for(500);
    assert_eq!(shown(&mut c, "ada", channel), [pointing(1.0)]);
    assert_eq!(shown(&mut c, "ada", group), []);
    match c.ask("ben", Command::Point(group, Presence::Typing)) {
        Outcome::Refused(refusal) => assert_eq!(refusal.code, RefusalCode::NotAllowed),
        Outcome::Done(reply) => panic!("{reply:?}"),
    }
    let selected = vec![ThingId { owner: [1; 16], random: [2; 8] }; PRESENCE_SELECTED_MAX + 1];
    match c.ask("ben", Command::Point(group, Presence::Pointing { at: None, selected })) {
        Outcome::Refused(refusal) => assert_eq!(refusal.code, RefusalCode::TooMuch),
        Outcome::Done(reply) => panic!("{reply:?}"),
    }
}

/// What a member's device says that keeps no rule, sealed as it should be.
struct Liar {
    insider: Insider,
    random: ChaCha20Rng,
    number: u64,
}

impl Liar {
    fn sealed(&mut self, place: EntityId, scene: Scene, presence: Presence) -> Sealed {
        self.number += 1;
        let saying = Saying { number: self.number, place, scene, presence: Some(presence) };
        let (epoch, from) = (self.insider.epoch, self.insider.device.key());
        let key = self.insider.keys[&epoch].clone();
        saying.seal(self.insider.entity, (epoch, &key), from, &mut self.random).unwrap()
    }

    fn send(&self, c: &mut Cluster, sealed: Sealed) {
        self.insider.send(c, "ada", &Frame::Presence(sealed));
    }
}

fn dropped(c: &mut Cluster, reason: &str) -> u64 {
    match c.must("ada", Command::Status) {
        Reply::Status(status) => {
            status.dropped.into_iter().find(|(why, _)| why == reason).map_or(0, |(_, count)| count)
        }
        other => panic!("{other:?}"),
    }
}

fn besieged(seed: u64) -> (Cluster, FourWords, EntityId, Liar) {
    let mut c = Cluster::new(seed);
    let group = c.group_of(&["ada", "ben"]);
    let entity = id_of(&mut c, "ada", group);
    let insider = Insider::take_over(&mut c, "ben");
    (c, group, entity, Liar { insider, random: ChaCha20Rng::seed_from_u64(seed), number: 0 })
}

#[test]
fn a_member_that_floods_is_heard_as_often_as_an_honest_one() {
    let (mut c, group, entity, mut liar) = besieged(6);
    for _ in 0..500 {
        let sealed = liar.sealed(entity, Scene::Canvas, pointing(1.0));
        liar.send(&mut c, sealed);
    }
    c.run_for(100);
    assert_eq!(dropped(&mut c, "shown too often"), 480);
    assert_eq!(shown(&mut c, "ada", group), [pointing(1.0)]);
    assert!(notices(&c, "ada", group) <= 2, "listeners are told once for all that gathered");
    assert!(c.are_connected("ada", "ben"), "it is passed over and not sent away");
}

#[test]
fn a_member_that_is_everywhere_and_nowhere_fills_no_memory() {
    let (mut c, group, entity, mut liar) = besieged(7);
    for number in 0..40_u8 {
        let sealed = liar.sealed(EntityId([number; 32]), Scene::Canvas, pointing(1.0));
        liar.send(&mut c, sealed);
        c.run_for(100);
    }
    assert_eq!(dropped(&mut c, "presence where nobody can be"), 40);
    assert_eq!(c.queues("ada").peer_places, 0);
    let sealed = liar.sealed(entity, Scene::Chat, Presence::Typing);
    liar.send(&mut c, sealed);
    c.run_for(100);
    assert_eq!(shown(&mut c, "ada", group), [Presence::Typing]);
    assert!(c.queues("ada").peer_places <= PRESENCE_PLACES_MAX);
}

#[test]
fn what_is_too_large_forged_or_noise_is_blamed_and_who_goes_on_is_sent_away() {
    let (mut c, group, entity, mut liar) = besieged(8);
    let good = liar.sealed(entity, Scene::Canvas, pointing(1.0));
    let mut another = liar.insider.clone();
    another.device = c.secret("ada");
    let mut forger = Liar { insider: another, random: ChaCha20Rng::seed_from_u64(9), number: 9 };
    let in_adas_name = forger.sealed(entity, Scene::Canvas, pointing(2.0));
    let large = Sealed { sealed: vec![7; PRESENCE_BYTES_MAX + 1], ..good.clone() };
    let noise = Sealed { sealed: vec![7; 90], ..good.clone() };
    for bad in [in_adas_name, large, noise] {
        liar.send(&mut c, bad);
    }
    c.run_for(100);
    assert_eq!(dropped(&mut c, "malformed presence"), 3);
    assert_eq!(shown(&mut c, "ada", group), []);
    for _ in 0..8 {
        liar.send(&mut c, Sealed { nonce: [9; 24], ..good.clone() });
    }
    c.run_for(100);
    assert!(!c.are_connected("ada", "ben"));
}

#[test]
fn who_was_removed_is_not_seen_though_it_has_a_key_that_was_good() {
    let (mut c, group, entity, mut liar) = besieged(9);
    let sealed = liar.sealed(entity, Scene::Canvas, pointing(1.0));
    liar.send(&mut c, sealed);
    c.run_for(100);
    assert_eq!(shown(&mut c, "ada", group), [pointing(1.0)]);
    let who = liar.insider.person.to_string();
    c.must("ada", Command::Member(group, MemberCommand::Remove { who }));
    assert_eq!(shown(&mut c, "ada", group), [], "at once");
    let sealed = liar.sealed(entity, Scene::Canvas, pointing(2.0));
    liar.send(&mut c, sealed);
    c.run_for(100);
    assert_eq!(shown(&mut c, "ada", group), []);
    assert_eq!(dropped(&mut c, "presence of a stranger"), 1);
}
