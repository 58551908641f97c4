//! How far a person has read, whichever of its devices it reads on.

use fourword_protocol::command::{ChatCommand, Command, MessageView, PlaceView, Reply};
use fourword_protocol::schema::home::ReadMarker;
use fourword_protocol::time::WallTime;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;

use crate::copies::{Copier, places};
use crate::devices::add_device;

const DEVICES: [&str; 2] = ["phone", "laptop"];

/// Ben's phone and laptop in a group with ada, who has written three messages, and their markers.
fn told(seed: u64) -> (Cluster, FourWords, Vec<ReadMarker>) {
    let mut c = Cluster::new(seed);
    let group = c.group_of(&["ada", "phone"]);
    add_device(&mut c, "phone", "laptop");
    for n in 0..3 {
        c.send_message("ada", group, &format!("m{n}"));
        c.run_for(5);
    }
    c.settle();
    let Reply::Messages(shown) = c.must("phone", Command::Chat(group, ChatCommand::Read { last: 10 })) else {
        panic!("messages")
    };
    let marker = |MessageView { message, .. }| ReadMarker { time: message.time, message: message.id };
    let markers: Vec<ReadMarker> = shown.into_iter().map(marker).collect();
    assert!(markers.is_sorted() && markers.len() == 3);
    (c, group, markers)
}

fn mark(c: &mut Cluster, on: &str, group: FourWords, marker: ReadMarker) {
    c.must(on, Command::Chat(group, ChatCommand::MarkRead(marker)));
}

fn place(c: &mut Cluster, on: &str, group: FourWords) -> PlaceView {
    places(c, on).into_iter().find(|place| place.words == group).unwrap()
}

/// How far a device says that was read, and how many messages it counts as unread.
fn shown(c: &mut Cluster, on: &str, group: FourWords) -> (Option<ReadMarker>, u32) {
    let place = place(c, on, group);
    let mut copier = Copier::new();
    while !copier.step(c, on, &place) {}
    let unread = copier.model.unread(place.id, place.me, place.read, WallTime(u64::MAX)).unwrap();
    (place.read, unread.count)
}

#[test]
fn what_is_read_on_one_device_is_read_on_the_others() {
    let (mut c, group, markers) = told(1);
    for on in DEVICES {
        assert_eq!(shown(&mut c, on, group), (None, 3), "{on}");
    }
    mark(&mut c, "laptop", group, markers[1]);
    c.settle();
    for on in DEVICES {
        assert_eq!(shown(&mut c, on, group), (Some(markers[1]), 1), "{on}");
    }
    mark(&mut c, "phone", group, markers[0]);
    c.settle();
    assert_eq!(shown(&mut c, "laptop", group), (Some(markers[1]), 1), "never back");
    mark(&mut c, "phone", group, markers[2]);
    c.settle();
    c.crash("laptop");
    c.restart("laptop");
    for on in DEVICES {
        assert_eq!(shown(&mut c, on, group), (Some(markers[2]), 0), "{on}");
    }
    assert_eq!(shown(&mut c, "ada", group).0, None, "and nobody else's");
}

#[test]
fn of_two_devices_that_read_apart_the_one_that_read_further_counts() {
    for (seed, (further, other)) in (10..).zip([("phone", "laptop"), ("laptop", "phone")].repeat(2)) {
        let (mut c, group, markers) = told(seed);
        c.isolate("phone");
        c.isolate("laptop");
        mark(&mut c, further, group, markers[2]);
        mark(&mut c, other, group, markers[0]);
        assert_eq!(shown(&mut c, other, group), (Some(markers[0]), 2));
        c.heal();
        c.settle();
        for on in DEVICES {
            assert_eq!(shown(&mut c, on, group), (Some(markers[2]), 0), "{on}, {further} read further");
        }
    }
}
