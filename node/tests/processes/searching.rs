//! Cards, issues, canvases and comments are found as they are now: after what others did to them,
//! after kills, and after their copy was removed or damaged.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::daemon::{Home, eventually};
use crate::story::two_in_a_group;

/// How often a process is killed while its copy follows.
const KILLS: usize = 12;

/// How much there is to make a copy of, and how much later each further kill comes: the last ones come
/// when it is made.
const ISSUES: usize = 1_000;
const REBUILD_STEP: Duration = Duration::from_millis(25);

fn id(made: &Value) -> String {
    made["id"].as_str().expect("an id").to_owned()
}

fn hits(home: &Home, arguments: &[&str]) -> Vec<Value> {
    let told = home.must(&[&["search"], arguments, &["--limit", "200"]].concat());
    told["hits"].as_array().expect("a list").clone()
}

/// What is found: kind, id, and whether it is done with.
fn found(home: &Home, text: &str) -> BTreeSet<(String, String, bool)> {
    let hits = hits(home, &[text]).into_iter().map(|hit| {
        let kind = hit["kind"].as_str().expect("a kind").to_owned();
        (kind, id(&hit), hit["closed"].as_bool().expect("whether it is"))
    });
    hits.collect()
}

fn one(kind: &str, id: &str, closed: bool) -> BTreeSet<(String, String, bool)> {
    BTreeSet::from([(kind.to_owned(), id.to_owned(), closed)])
}

#[test]
fn what_others_change_move_put_away_delete_and_take_back_is_found_as_it_is() {
    let (a, b, group, of_a, of_b) = two_in_a_group();
    for title in ["To do", "Done"] {
        a.must(&["board", "column", "add", &group, title]);
    }
    let card = id(&a.must(&["card", "add", &group, "To do", "Paint the fence"]));
    a.must(&["card", "set", &group, &card, "--description", "in green", "--label", "garden"]);
    let issue = id(&a.must(&["issue", "add", &group, "The roof leaks"]));
    let said = id(&a.must(&["issue", "comment", "add", &group, &issue, "the plumber comes"]));
    let at = ["--type", "text", "--place", "0,0", "--size", "9,9", "--text", "Plan of the house"];
    let element = id(&a.must(&[&["canvas", "element", "add", &group], &at[..]].concat()));
    let sees = |text: &str, expected: BTreeSet<(String, String, bool)>| {
        eventually(text, || found(&b, text) == expected);
    };
    sees("fence", one("card", &card, false));
    sees("garden green", one("card", &card, false));
    sees("roof", one("issue", &issue, false));
    sees("plumber", one("comment", &said, false));
    sees("plan house", one("element", &element, false));
    let hit = &hits(&b, &["plumber", "--in", &group, "--kind", "comment"])[0];
    assert_eq!((&hit["group"], &hit["document"]), (&group.as_str().into(), &"issues".into()));
    assert_eq!(
        (&hit["about"]["id"], &hit["about"]["title"]),
        (&issue.as_str().into(), &"The roof leaks".into())
    );
    assert_eq!(hit["snippet"][1], serde_json::json!({"text": "plumber", "hit": true}));
    assert!(hits(&b, &["plumber", "--kind", "card", "--kind", "issue"]).is_empty());
    assert_eq!(b.tell(&["search", "plumber", "--kind", "fish"]).code, 2);
    let due = |home: &Home| home.must(&["inbox"])["groups"][0]["assigned"].as_u64().expect("a number");
    assert_eq!(due(&b), 0);

    a.must(&["issue", "set", &group, &issue, "--assignee", &of_b.identity()]);
    a.must(&["card", "set", &group, &card, "--title", "Paint the gate"]);
    a.must(&["card", "move", &group, &card, "Done"]);
    a.must(&["card", "archive", &group, &card]);
    a.must(&["canvas", "element", "set", &group, &element, "--text", "Map of the house"]);
    sees("gate", one("card", &card, true));
    sees("fence", BTreeSet::new());
    sees("map", one("element", &element, false));
    eventually("it is for Ben to do", || due(&b) == 1);
    a.must(&["canvas", "undo", &group]);
    sees("plan house", one("element", &element, false));
    a.must(&["issue", "close", &group, &issue]);
    sees("roof", one("issue", &issue, true));
    assert_eq!(due(&b), 0);

    of_b.kill();
    let _of_b = b.up();
    b.must(&["dial", &of_a.address()]);
    sees("plumber", one("comment", &said, false));
    a.must(&["issue", "delete", &group, &issue]);
    sees("roof", BTreeSet::new());
    sees("plumber", BTreeSet::new());
    let before = b.must(&["index", "status"])["things"].clone();
    assert_eq!(b.must(&["index", "rebuild"])["things"], before);
    assert_eq!(found(&b, "gate"), one("card", &card, true));
    assert_eq!(found(&b, "plumber"), BTreeSet::new());
}

#[test]
fn what_is_found_after_kills_is_what_was_saved() {
    let home = Home::new();
    let mut daemon = home.up();
    let group = home.must(&["group", "create", "Tea"])["words"].as_str().expect("words").to_owned();
    home.must(&["board", "column", "add", &group, "To do"]);
    let mut expected: BTreeSet<(String, String, bool)> = BTreeSet::new();
    for round in 0..KILLS {
        let text = format!("needle {round}");
        let issue = id(&home.must(&["issue", "add", &group, &text]));
        let card = id(&home.must(&["card", "add", &group, "To do", &text]));
        expected
            .extend([("card".to_owned(), card.clone(), false), ("issue".to_owned(), issue.clone(), false)]);
        match round % 4 {
            0 => {
                let said = id(&home.must(&["card", "comment", "add", &group, &card, &text]));
                expected.insert(("comment".to_owned(), said, false));
            }
            1 => {
                home.must(&["issue", "close", &group, &issue]);
                expected.remove(&("issue".to_owned(), issue.clone(), false));
                expected.insert(("issue".to_owned(), issue, true));
            }
            2 => {
                home.must(&["card", "set", &group, &card, "--title", "hay"]);
                expected.remove(&("card".to_owned(), card, false));
            }
            _ => {
                home.must(&["issue", "delete", &group, &issue]);
                expected.remove(&("issue".to_owned(), issue, false));
            }
        }
        daemon.kill();
        let file = home.path().join("reading/model");
        match round % 6 {
            3 => fs::remove_dir_all(home.path().join("reading")).expect("it was there"),
            5 => {
                let mut bytes = fs::read(&file).expect("it is there");
                (100..bytes.len()).step_by(4096).for_each(|at| bytes[at] ^= 1);
                fs::write(&file, bytes).expect("it is written");
            }
            _ => {}
        }
        daemon = home.up();
        assert_eq!(found(&home, "needle"), expected, "in round {round}");
    }
}

#[test]
fn a_kill_while_the_copy_is_made_anew_leaves_it_right_after_the_next_start() {
    let home = Home::new();
    let mut daemon = home.up();
    let group = home.must(&["group", "create", "Tea"])["words"].as_str().expect("words").to_owned();
    let issues: Vec<Value> =
        (0..ISSUES).map(|number| serde_json::json!({"title": format!("needle {number:04}")})).collect();
    let file = home.path().join("issues.json");
    fs::write(&file, serde_json::json!({"version": 1, "issues": issues}).to_string()).expect("it is written");
    home.must(&["issue", "import", &group, file.to_str().expect("a path")]);
    home.must(&["chat", "send", &group, "needle in the chat"]);
    let expected = found(&home, "needle 0077");
    assert_eq!(expected.len(), 1);
    let all = home.must(&["index", "status"])["things"].clone();
    let mut cut_short = 0;
    for round in 0..KILLS {
        let mut rebuild = home.command(&["index", "rebuild"]).spawn().expect("the program starts");
        std::thread::sleep(REBUILD_STEP * u32::try_from(round).expect("few"));
        daemon.kill();
        cut_short += usize::from(!rebuild.wait().expect("it ends").success());
        daemon = home.up();
        assert_eq!(found(&home, "needle 0077"), expected, "in round {round}");
        assert_eq!(home.must(&["index", "status"])["things"], all, "in round {round}");
    }
    assert!(cut_short > 0, "no kill came while it was made");
}
