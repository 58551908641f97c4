//! Getting in by invite: who is let in, who is not, and what each is told.

use fourword_protocol::command::{
    Command, DeviceCommand, JoinBy, Kind, MemberCommand, Outcome, RefusalCode, Reply,
};
use fourword_protocol::roster::Role;
use fourword_protocol::roster::invite::InviteCode;
use fourword_tests::cluster::Cluster;

fn refused(outcome: Outcome) -> Option<RefusalCode> {
    match outcome {
        Outcome::Refused(refusal) => Some(refusal.code),
        Outcome::Done(_) => None,
    }
}

#[test]
fn a_joiner_with_an_invite_gets_in_and_reads_what_was_written_before() {
    let mut c = Cluster::new(1);
    c.add("ada");
    c.add("ben");
    let group = c.create_group("ada", "tea");
    c.send_message("ada", group, "before");
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("ben", group, &code);
    c.settle();
    assert_eq!(c.read_chat("ben", group), ["before"]);
    let Reply::Entity(view) = c.must("ben", Command::Show(group)) else { panic!("an entity") };
    assert_eq!((view.name.as_str(), view.members, view.role), ("tea", 2, Some(Role::Member)));
}

#[test]
fn a_joiner_reads_what_was_written_before_without_waiting_for_more_to_change() {
    let mut c = Cluster::new(26);
    c.add("ada");
    c.add("ben");
    let group = c.create_group("ada", "tea");
    c.send_message("ada", group, "before");
    c.settle();
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("ben", group, &code);
    // Changes gather for 300 ms before they are told; ben's admission is one.
    c.run_for(200);
    assert_eq!(c.read_chat("ben", group), ["before"]);
}

#[test]
fn an_invite_admits_as_many_as_it_says_and_no_more() {
    let mut c = Cluster::new(2);
    for name in ["ada", "ben", "eve"] {
        c.add(name);
    }
    let group = c.create_group("ada", "tea");
    let code = c.invite("ada", group, Role::Member, 1);
    c.join("ben", group, &code);
    c.settle();
    let command = Command::Join { words: group, by: JoinBy::Code(code), peers: Vec::new() };
    assert_eq!(refused(c.ask("eve", command)), Some(RefusalCode::NotAllowed));
}

#[test]
fn an_expired_invite_admits_nobody() {
    let mut c = Cluster::new(3);
    c.add("ada");
    c.add("ben");
    let group = c.create_group("ada", "tea");
    let code = c.invite("ada", group, Role::Member, 1);
    c.run_for(2 * 86_400_000);
    let command = Command::Join { words: group, by: JoinBy::Code(code), peers: Vec::new() };
    assert_eq!(refused(c.ask("ben", command)), Some(RefusalCode::NotAllowed));
}

#[test]
fn a_guessed_code_admits_nobody() {
    let mut c = Cluster::new(4);
    c.add("ada");
    c.add("ben");
    let group = c.create_group("ada", "tea");
    let code = c.invite("ada", group, Role::Member, 1);
    let guessed = InviteCode { secret: [7; 16], ..code };
    let command = Command::Join { words: group, by: JoinBy::Code(guessed), peers: Vec::new() };
    assert_eq!(refused(c.ask("ben", command)), Some(RefusalCode::NotAllowed));
}

#[test]
fn words_that_are_not_stretched_from_the_id_in_the_code_are_refused() {
    let mut c = Cluster::new(5);
    c.add("ada");
    c.add("ben");
    let tea = c.create_group("ada", "tea");
    let other = c.create_group("ada", "coffee");
    let code = c.invite("ada", tea, Role::Member, 1);
    let command = Command::Join { words: other, by: JoinBy::Code(code), peers: Vec::new() };
    assert_eq!(refused(c.ask("ben", command)), Some(RefusalCode::Usage));
}

#[test]
fn a_member_makes_no_invites_and_any_member_admits_by_an_admins_invite() {
    let mut c = Cluster::new(6);
    let group = c.group_of(&["ada", "ben"]);
    c.add("eve");
    let expires = fourword_protocol::time::WallTime(u64::MAX >> 12);
    let invite = Command::Invite {
        entity: group,
        role: Role::Member,
        uses: 1,
        expires,
        addresses: vec!["sim:ben".into()],
    };
    assert_eq!(refused(c.ask("ben", invite.clone())), Some(RefusalCode::NotAllowed));

    let Reply::Invite(code) = c.must("ada", invite) else { panic!("a code") };
    c.settle();
    c.isolate("ada");
    c.join("eve", group, &code);
    c.heal();
    c.settle();
    let Reply::Members(members) = c.must("ada", Command::Members(group)) else { panic!("members") };
    assert_eq!(members.len(), 3);
}

#[test]
fn a_join_begun_while_nobody_can_be_reached_is_finished_after_a_restart() {
    let mut c = Cluster::new(7);
    c.add("ada");
    c.add("ben");
    let group = c.create_group("ada", "tea");
    let code = c.invite("ada", group, Role::Member, 1);
    c.isolate("ada");
    c.begin("ben", Command::Join { words: group, by: JoinBy::Code(code), peers: Vec::new() });
    c.run_for(5_000);
    c.crash("ben");
    c.restart("ben");
    c.heal();
    c.run_for(120_000);
    assert_eq!(c.read_chat("ben", group), Vec::<String>::new());
}

#[test]
fn a_node_that_is_being_linked_joins_and_founds_nothing_of_its_own_meanwhile() {
    let mut c = Cluster::new(90);
    c.add("ada");
    c.add("cem");
    let group = c.create_group("ada", "team");
    let code = c.invite("ada", group, Role::Member, 1);
    let made = c.must("ada", Command::Device(DeviceCommand::Add { addresses: Vec::new() }));
    let Reply::Link(link) = made else { panic!("{made:?}") };
    let linking = c.begin("cem", Command::Device(DeviceCommand::Link { code: link, peers: Vec::new() }));
    c.run_for(100);
    let join = Command::Join { words: group, by: JoinBy::Code(code.clone()), peers: Vec::new() };
    let found = Command::Create { kind: Kind::Group, name: "own".into(), parent: None };
    for command in [join, found] {
        let outcome = c.ask("cem", command);
        assert!(matches!(&outcome, Outcome::Refused(r) if r.code == RefusalCode::Pending), "{outcome:?}");
    }
    // Nobody could be reached; then it is free again.
    c.run_for(10 * 60_000);
    assert!(matches!(c.answer("cem", linking), Some(Outcome::Refused(_))));
    c.join("cem", group, &code);
}

#[test]
fn who_knocked_with_a_code_where_nobody_could_let_it_in_gets_in_there_once_somebody_can() {
    let mut c = Cluster::new(9);
    for name in ["ada", "ben", "eve"] {
        c.add(name);
    }
    let group = c.create_group("ada", "tea");
    let to_view = c.invite("ada", group, Role::Viewer, 1);
    c.join("ben", group, &to_view);
    let code = c.invite("ada", group, Role::Member, 1);
    c.settle();
    c.isolate("eve");
    c.reunite("ben", "eve");
    let id = c.begin("eve", Command::Join { words: group, by: JoinBy::Code(code), peers: Vec::new() });
    c.run_for(20_000);
    assert!(c.answer("eve", id).is_none(), "a viewer lets nobody in");
    let Reply::Members(members) = c.must("ada", Command::Members(group)) else { panic!("members") };
    let who = members.iter().find(|member| member.role == Role::Viewer).unwrap().person.person.to_string();
    c.must("ada", Command::Member(group, MemberCommand::SetRole { who, role: Role::Member }));
    c.run_for(120_000);
    assert!(matches!(c.answer("eve", id), Some(Outcome::Done(_))), "{:?}", c.answer("eve", id));
}
