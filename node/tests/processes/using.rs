//! The story of docs/USING.md, told on two real nodes: each command of its `console` blocks is run,
//! and must print what the page says.

use std::collections::BTreeMap;
use std::path::Path;

use crate::daemon::{Daemon, Home, eventually};
use crate::story::two_in_a_group;

/// The group's words in the page.
const GROUP: &str = "ocean-forest-moon-star";

/// One command of the page, and what it is said to print.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    who: String,
    arguments: Vec<String>,
    prints: String,
}

/// The steps in the `console` blocks of a page.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut block = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), block) {
            (Some(_), Some(_)) => block = None,
            (Some(kind), None) => block = Some(kind),
            (None, Some("console")) => match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => {
                    let mut words = words(command).into_iter();
                    let who = words.next().expect("who does it");
                    steps.push(Step { who, arguments: words.collect(), prints: String::new() });
                }
                (None, Some(step)) => step.prints.extend([line, "\n"]),
                (None, None) => panic!("printed by nothing: {line}"),
            },
            _ => {}
        }
    }
    steps
}

/// The words of a command; what stands between double quotation marks is one.
fn words(command: &str) -> Vec<String> {
    let parts = command.split('"').enumerate();
    let words = parts.flat_map(|(index, part)| match index % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

/// A text without the times in it, which are others in each story.
fn without_times(text: &str) -> String {
    let is_time = |word: &str| {
        let shape: String = word.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        ["0000-00-00", "00:00"].contains(&shape.trim_matches(['[', ']']))
    };
    let line = |line: &str| {
        line.split(' ').map(|word| if is_time(word) { "TIME" } else { word }).collect::<Vec<_>>().join(" ")
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// One of the two, and its node while that runs.
struct Person {
    home: Home,
    node: Option<Daemon>,
    address: String,
}

impl Person {
    fn new(home: Home, node: Daemon) -> Person {
        let address = node.address();
        let listens = address.find("/p2p").map_or(address.len(), |end| end);
        Person { home, node: Some(node), address: address[..listens].to_owned() }
    }

    fn start(&mut self) {
        self.node = Some(self.home.up_with(&["--listen", &self.address]));
    }
}

/// The page's names of things, and what they are called here.
struct Names(BTreeMap<String, String>);

impl Names {
    /// The text of the page as it is to be here.
    fn here(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (page, here)| text.replace(page, here))
    }

    /// Learns what the versions that the page names are called here: each begins a line.
    fn learn_versions(&mut self, page: &str, here: &str) {
        let first = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
        for (page, here) in page.lines().zip(here.lines()) {
            self.learn(&first(page), &first(here));
        }
    }

    /// Learns what a thing that the page names is called here, if that is all that was printed.
    fn learn(&mut self, page: &str, here: &str) {
        let is_id = |text: &str| text.len() == 8 && text.bytes().all(|b| b.is_ascii_alphanumeric());
        let (page, here) = (page.trim_end(), here.trim_end());
        if is_id(page) && is_id(here) {
            self.0.entry(page.to_owned()).or_insert_with(|| here.to_owned());
        }
    }
}

#[test]
fn two_people_do_what_the_page_tells_and_see_what_it_shows() {
    let (a, b, group, of_a, of_b) = two_in_a_group();
    a.must(&["name", "Ada"]);
    b.must(&["name", "Ben"]);
    let members = |home: &Home| home.must(&["member", "list", &group]).to_string();
    eventually("both names", || [&a, &b].iter().all(|home| members(home).contains("\"Ben\"")));
    let (mut ada, mut ben) = (Person::new(a, of_a), Person::new(b, of_b));
    let mut names = Names(BTreeMap::from([(GROUP.to_owned(), group)]));
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/USING.md");
    let steps = steps(&std::fs::read_to_string(page).expect("the page"));
    assert!(steps.len() >= 25, "only {} steps were found", steps.len());
    for step in steps {
        let (person, other) = match step.who.as_str() {
            "ada" => (&mut ada, &ben),
            "ben" => (&mut ben, &ada),
            who => panic!("{who} is nobody of this story"),
        };
        let arguments: Vec<String> = step.arguments.iter().map(|word| names.here(word)).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match arguments[..] {
            ["stop"] => person.node.take().expect("it runs").stop(),
            ["start"] => {
                person.start();
                if let Some(node) = &other.node {
                    person.home.must(&["dial", &node.address()]);
                }
            }
            ["history", ..] => {
                let printed = person.home.read(&arguments);
                names.learn_versions(&step.prints, &printed);
                assert_eq!(without_times(&printed), without_times(&names.here(&step.prints)), "{step:?}");
            }
            // What is shown may have to come from the other first.
            ["search", ..] | [_, "show" | "list", ..] => {
                let expected = without_times(&names.here(&step.prints));
                let mut shown = String::new();
                let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
                while shown != expected {
                    assert!(std::time::Instant::now() < end, "{step:?} prints\n{shown}\nnot\n{expected}");
                    shown = without_times(&person.home.read(&arguments));
                    std::thread::sleep(std::time::Duration::from_millis(50));
                }
            }
            _ => {
                let printed = person.home.read(&arguments);
                names.learn(&step.prints, &printed);
                assert_eq!(printed, names.here(&step.prints), "{step:?}");
            }
        }
    }
}

#[test]
fn of_two_who_set_the_same_fields_apart_one_wins_on_both_sides() {
    let (a, b, group, of_a, of_b) = two_in_a_group();
    for title in ["here", "left", "right"] {
        a.must(&["board", "column", "add", &group, title]);
    }
    let id = |made: serde_json::Value| made["id"].as_str().expect("an id").to_owned();
    let card = id(a.must(&["card", "add", &group, "here", "a table"]));
    let issue = id(a.must(&["issue", "add", &group, "a table"]));
    let at = ["--type", "text", "--place", "0,0", "--size", "9,9"];
    let element = id(a.must(&[&["canvas", "element", "add", &group], &at[..]].concat()));
    eventually("all of it", || {
        let seen = |arguments: &[&str], id: &str| b.must(arguments).to_string().contains(id);
        seen(&["board", "show", &group], &card)
            && seen(&["issue", "list", &group], &issue)
            && seen(&["canvas", "show", &group], &element)
    });
    let apart = |home: &Home, word: &str, place: &str| {
        home.must(&["card", "move", &group, &card, word]);
        home.must(&["card", "set", &group, &card, "--title", word, "--label", word]);
        home.must(&["issue", "set", &group, &issue, "--title", word, "--assignee", ""]);
        home.must(&["issue", "comment", "add", &group, &issue, word]);
        home.must(&["canvas", "element", "set", &group, &element, "--place", place]);
    };
    let (mut a, mut b) = (Person::new(a, of_a), Person::new(b, of_b));
    b.node.take().expect("it runs").stop();
    apart(&a.home, "left", "1,1");
    a.node.take().expect("it runs").stop();
    b.start();
    apart(&b.home, "right", "2,2");
    a.start();
    let address = a.node.as_ref().expect("it runs").address();
    b.home.must(&["dial", &address]);
    eventually("what was said by both", || {
        let said =
            |home: &Home| home.must(&["issue", "show", &group, &issue])["comments"].as_array().map(Vec::len);
        said(&a.home) == Some(2) && said(&b.home) == Some(2)
    });
    let shown = |home: &Home| {
        ["board", "issue", "canvas"].map(|noun| {
            let verb = if noun == "issue" { "list" } else { "show" };
            home.must(&[noun, verb, &group])
        })
    };
    eventually("the same on both sides", || shown(&a.home) == shown(&b.home));
    let [board, issues, canvas] = shown(&a.home);
    let cards: Vec<_> = board["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .flat_map(|column| column["cards"].as_array().expect("cards").iter().map(move |card| (column, card)))
        .collect();
    let [(column, card)] = cards[..] else { panic!("one card in one column: {board}") };
    assert!(["left", "right"].contains(&column["title"].as_str().expect("a title")), "{board}");
    assert!(["left", "right"].contains(&card["title"].as_str().expect("a title")), "{board}");
    assert_eq!(card["labels"], serde_json::json!(["left", "right"]), "each put on its own");
    assert!(["left", "right"].contains(&issues["issues"][0]["title"].as_str().expect("a title")), "{issues}");
    let place = &canvas["elements"][0]["place"];
    assert!([[1.0, 1.0], [2.0, 2.0]].iter().any(|whole| *place == serde_json::json!(whole)), "{canvas}");
}

#[test]
fn the_steps_of_a_page_are_read_with_what_they_print() {
    let page = "$ nobody\n```sh\n$ ada up\n```\n```console\n$ ada card add W \"To do\" x\nabc\n  def\n$ ben stop\n```\n";
    let step = |who: &str, arguments: &[&str], prints: &str| Step {
        who: who.into(),
        arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
        prints: prints.into(),
    };
    assert_eq!(
        steps(page),
        [step("ada", &["card", "add", "W", "To do", "x"], "abc\n  def\n"), step("ben", &["stop"], "")]
    );
}
