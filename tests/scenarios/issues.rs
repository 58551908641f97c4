//! Issue trackers between nodes: reported by one, closed by another, found by all.

use fourword_protocol::command::{
    Change, Command, CommentCommand, IssueCommand, IssueFilter, IssueView, Kind, Outcome, Refusal,
    RefusalCode, Reply, ThingFilter,
};
use fourword_protocol::schema::field::Value;
use fourword_protocol::schema::thing::ThingId;
use fourword_protocol::words::FourWords;
use fourword_tests::cluster::Cluster;

use crate::people::words_of;

fn ask(c: &mut Cluster, by: &str, group: FourWords, command: IssueCommand) -> Outcome {
    c.ask(by, Command::Issue(group, command))
}

fn must(c: &mut Cluster, by: &str, group: FourWords, command: IssueCommand) {
    assert_eq!(ask(c, by, group, command), Outcome::Done(Reply::Ok));
}

fn refused(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        Outcome::Done(reply) => panic!("{reply:?}"),
    }
}

fn report(c: &mut Cluster, by: &str, group: FourWords, title: &str, changes: Vec<Change>) -> ThingId {
    match ask(c, by, group, IssueCommand::Add { title: title.into(), changes }) {
        Outcome::Done(Reply::Thing(id)) => id,
        other => panic!("{other:?}"),
    }
}

fn found(c: &mut Cluster, at: &str, group: FourWords, filter: IssueFilter) -> Vec<IssueView> {
    match ask(c, at, group, IssueCommand::List(filter)) {
        Outcome::Done(Reply::Issues(issues)) => issues,
        other => panic!("{other:?}"),
    }
}

fn titles(c: &mut Cluster, at: &str, group: FourWords, filter: IssueFilter) -> Vec<String> {
    found(c, at, group, filter).into_iter().map(|issue| issue.title).collect()
}

fn status(word: &str) -> Change {
    Change::Field("status".into(), Value::Text(word.into()))
}

#[test]
fn an_issue_is_reported_taken_talked_about_and_closed() {
    let mut c = Cluster::new(1);
    let group = c.group_of(&["ada", "ben"]);
    let leak = report(&mut c, "ada", group, "the roof leaks", vec![Change::Label("house".into(), true)]);
    c.settle();
    let shown = found(&mut c, "ben", group, IssueFilter::default());
    assert_eq!(
        (shown[0].status.as_str(), shown[0].closed, shown[0].assignee.is_none()),
        ("backlog", false, true)
    );
    let ben = words_of(&mut c, "ben");
    let taken = vec![Change::Assign(ben.clone(), true), status("in-progress")];
    must(&mut c, "ben", group, IssueCommand::Set(leak.short(), taken));
    let said = CommentCommand::Add { about: leak.short(), text: "mended".into() };
    assert!(matches!(ask(&mut c, "ben", group, IssueCommand::Comment(said)), Outcome::Done(Reply::Thing(_))));
    must(&mut c, "ben", group, IssueCommand::Set(leak.short(), vec![status("done")]));
    c.settle();
    let Outcome::Done(Reply::Issue(issue, comments)) =
        ask(&mut c, "ada", group, IssueCommand::Show(leak.short()))
    else {
        panic!("an issue")
    };
    assert_eq!((issue.status.as_str(), issue.closed, issue.comments), ("done", true, 1));
    assert_eq!(issue.assignee.unwrap().words.map(|words| words.to_string()), Some(ben));
    assert_eq!(comments[0].comment.text, "mended");
}

#[test]
fn issues_are_found_by_who_is_to_do_them_and_by_how_they_stand() {
    let mut c = Cluster::new(2);
    let group = c.group_of(&["ada", "ben"]);
    let ben = words_of(&mut c, "ben");
    report(&mut c, "ada", group, "roof", vec![Change::Assign(ben.clone(), true)]);
    report(&mut c, "ben", group, "door", vec![status("done")]);
    c.settle();
    let any = ThingFilter::default;
    let of = |thing| IssueFilter { thing, ..IssueFilter::default() };
    for at in ["ada", "ben"] {
        let of_ben = of(ThingFilter { assignee: Some(ben.clone()), ..any() });
        assert_eq!(titles(&mut c, at, group, of_ben), ["roof"]);
        let nobodys = of(ThingFilter { assignee: Some(String::new()), ..any() });
        assert_eq!(titles(&mut c, at, group, nobodys), ["door"]);
        let by_ben = of(ThingFilter { author: Some(ben.clone()), ..any() });
        assert_eq!(titles(&mut c, at, group, by_ben), ["door"]);
        let open = IssueFilter { is_closed: Some(false), ..IssueFilter::default() };
        assert_eq!(titles(&mut c, at, group, open), ["roof"]);
        let text = of(ThingFilter { text: "DOOR".into(), ..any() });
        assert_eq!(titles(&mut c, at, group, text), ["door"]);
    }
    let nobody = of(ThingFilter { assignee: Some("nobody-here".into()), ..any() });
    let refusal = refused(ask(&mut c, "ada", group, IssueCommand::List(nobody)));
    assert_eq!(refusal.code, RefusalCode::NotFound);
}

#[test]
fn closed_by_one_and_changed_by_another_apart_it_is_closed_and_changed() {
    let mut c = Cluster::new(3);
    let group = c.group_of(&["ada", "ben"]);
    let leak = report(&mut c, "ada", group, "leak", vec![]);
    c.settle();
    c.isolate("ben");
    must(&mut c, "ada", group, IssueCommand::Set(leak.short(), vec![status("done")]));
    let urgent = Change::Field("priority".into(), Value::Text("urgent".into()));
    must(
        &mut c,
        "ben",
        group,
        IssueCommand::Set(leak.short(), vec![urgent, Change::Label("wet".into(), true)]),
    );
    let offline = report(&mut c, "ben", group, "no sign", vec![]);
    c.heal();
    c.settle();
    for at in ["ada", "ben"] {
        let shown = found(&mut c, at, group, IssueFilter::default());
        assert_eq!(shown.iter().map(|issue| issue.id).collect::<Vec<_>>(), [leak, offline]);
        assert_eq!((shown[0].status.as_str(), shown[0].priority.as_str()), ("done", "urgent"));
        assert_eq!(shown[0].labels, ["wet"]);
    }
    must(&mut c, "ben", group, IssueCommand::Set(leak.short(), vec![status("todo")]));
    c.settle();
    assert!(!found(&mut c, "ada", group, IssueFilter::default())[0].closed, "closed is no deletion");
}

#[test]
fn one_who_joins_later_sees_all_issues_that_are_left() {
    let mut c = Cluster::new(4);
    let group = c.group_of(&["ada"]);
    let project = c.create_child("ada", Kind::Project, "house", group);
    let (leak, door) =
        (report(&mut c, "ada", project, "leak", vec![]), report(&mut c, "ada", project, "door", vec![]));
    must(&mut c, "ada", project, IssueCommand::Delete(door.short()));
    c.add("ben");
    let code = c.invite("ada", group, fourword_protocol::roster::Role::Member, 1);
    c.join("ben", group, &code);
    c.connect_all();
    c.settle();
    let shown = found(&mut c, "ben", project, IssueFilter::default());
    assert_eq!(shown.iter().map(|issue| issue.id).collect::<Vec<_>>(), [leak]);
    let refusal = refused(ask(&mut c, "ben", project, IssueCommand::Delete(leak.short())));
    assert_eq!(refusal.code, RefusalCode::NotAllowed);
}

/// An issue whose status two set apart: what becomes of it, and what one of them had set.
fn set_apart(seed: u64) -> (String, bool) {
    const NAMES: [&str; 3] = ["ada", "ben", "eve"];
    let mut c = Cluster::new(seed);
    let group = c.group_of(&NAMES);
    let leak = report(&mut c, "eve", group, "leak", vec![]);
    c.settle();
    c.isolate("ben");
    must(&mut c, "ada", group, IssueCommand::Set(leak.short(), vec![status("done")]));
    must(&mut c, "ben", group, IssueCommand::Set(leak.short(), vec![status("in-progress")]));
    c.settle();
    assert!(found(&mut c, "eve", group, IssueFilter::default())[0].closed);
    assert!(!found(&mut c, "ben", group, IssueFilter::default())[0].closed);
    c.heal();
    c.settle();
    let first = found(&mut c, "ada", group, IssueFilter::default()).remove(0);
    assert!(["done", "in-progress"].contains(&first.status.as_str()), "{}", first.status);
    for round in ["met", "started anew"] {
        for at in NAMES {
            let issue = found(&mut c, at, group, IssueFilter::default()).remove(0);
            assert_eq!(
                (&issue.status, issue.closed),
                (&first.status, first.status == "done"),
                "{at} {round}"
            );
            for is_closed in [true, false] {
                let filter = IssueFilter { is_closed: Some(is_closed), ..IssueFilter::default() };
                let listed = titles(&mut c, at, group, filter).len();
                assert_eq!(listed, usize::from(is_closed == issue.closed), "{at} {round}");
            }
        }
        for at in NAMES {
            c.crash(at);
            c.restart(at);
        }
    }
    (first.status, first.closed)
}

#[test]
fn a_status_that_two_set_apart_is_one_of_both_and_closed_agrees_with_it_everywhere() {
    let ended: Vec<_> = (30..38).map(set_apart).collect();
    for closed in [true, false] {
        assert!(ended.iter().any(|(_, is)| *is == closed), "either may win: {ended:?}");
    }
}
