//! What groups say of themselves over the API and the command line: how it is set and shown.

use fourword_protocol::command::{Command, CoreView, FormerView, MemberView, PersonView, RefusalCode, Reply};
use fourword_protocol::ids::PersonId;
use fourword_protocol::roster::Role;
use fourword_protocol::schema::core::Setting;
use fourword_protocol::time::WallTime;
use serde_json::{Value, json};

use crate::cli::{answer, group_json};
use crate::program::run;
use crate::script::{Node, WORDS, done, group, person, refused, words};

/// What is set by which request and which words on the command line.
fn settings() -> Vec<(Value, [&'static str; 2], Setting)> {
    const HASH: &str = "0707070707070707070707070707070707070707070707070707070707070707";
    vec![
        (json!({"name": "Kitchen"}), ["name", "Kitchen"], Setting::Name("Kitchen".into())),
        (json!({"description": "a\nb"}), ["description", "a\nb"], Setting::Description("a\nb".into())),
        (json!({"website": HASH}), ["website", HASH], Setting::Website(Some([7; 32]))),
        (json!({"website": ""}), ["website", "none"], Setting::Website(None)),
        (
            json!({"newcomers_read_history": false}),
            ["newcomers-read-history", "off"],
            Setting::NewcomersReadHistory(false),
        ),
        (json!({"lapse_days": 60}), ["lapse-days", "60"], Setting::LapseDays(60)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_setting_becomes_its_command_over_the_api_and_on_the_command_line() {
    let node = Node::start(|_| refused(RefusalCode::NotAllowed)).await;
    let path = format!("/api/v1/groups/{WORDS}/settings");
    for (body, arguments, setting) in settings() {
        let asked = [(Command::Configure(words(), setting), None)];
        assert_eq!(node.ask("PATCH", &path, &body.to_string()).await.0, 403, "{body}");
        assert_eq!(node.script.asked(), asked, "{body}");
        let ran = run(&node, &[&["group", "set", WORDS][..], &arguments].concat()).await;
        assert_eq!((ran.code, node.script.asked()), (4, asked.into()), "{arguments:?}");
    }
    for wrong in [
        json!({}),
        json!({"lapse_days": 0}),
        json!({"website": "07"}),
        json!({"newcomers_read_history": true, "lapse_days": 3651}),
    ] {
        let (status, problem) = node.ask("PATCH", &path, &wrong.to_string()).await;
        assert_eq!((status, &problem["code"]), (400, &json!("usage")), "{wrong}");
    }
    assert!(node.script.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_shown_as_a_document_with_who_is_and_was_in() {
    let core = CoreView {
        entity: group(),
        created: WallTime(60_000),
        creator: person(),
        members: vec![MemberView { person: person(), role: Role::Admin, online: true, devices: vec![] }],
        former: vec![FormerView {
            person: PersonView { person: PersonId([0xcd; 32]), words: None, name: "Eve".into() },
            ended_by: vec![person()],
        }],
        children: vec!["river-wind-wave-fire".parse().unwrap()],
    };
    let node = Node::replying(Reply::Core(Box::new(core))).await;
    let (status, answered) = node.ask("GET", &format!("/api/v1/groups/{WORDS}/core"), "").await;
    let (ada, eve, group) = (person().person.to_string(), "cd".repeat(32), group_json());
    let expected = json!({
        "metadata": {
            "entity_id": group["id"], "entity_type": "group", "name": "Team",
            "description": "All about\nthe kitchen", "four_words": WORDS, "created_at": 60_000,
            "created_by": ada, "website_root": "09".repeat(32),
        },
        "members": {
            ada.as_str(): {
                "member_id": ada, "four_words": WORDS, "name": "Ada", "role": "admin", "deleted": false,
                "deleted_by": [],
            },
            eve.as_str(): {
                "member_id": eve, "four_words": "cdcdcdcd", "name": "Eve", "role": null, "deleted": true,
                "deleted_by": [ada],
            },
        },
        "active_members": {ada.as_str(): true},
        "children": ["river-wind-wave-fire"],
    });
    assert_eq!((status, &answered), (200, &expected));
    assert_eq!(node.script.asked(), [(Command::Core(words()), None)]);
    assert_eq!(run(&node, &["group", "core", WORDS, "--json"]).await.json(), expected);
    let told = run(&node, &["group", "core", WORDS]).await.out;
    for line in [
        "made     1970-01-01 00:01 by ocean-forest-moon-star (Ada)",
        "part     river-wind-wave-fire",
        "in       ocean-forest-moon-star (Ada), admin",
        "was in   cdcdcdcd (Eve), removed by ocean-forest-moon-star (Ada)",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_settings_in_one_request_are_set_one_after_the_other() {
    let node = Node::start(|command| done(answer(command))).await;
    let body = r#"{"lapse_days": 7, "newcomers_read_history": true}"#;
    let (status, answered) = node.ask("PATCH", &format!("/api/v1/groups/{WORDS}/settings"), body).await;
    assert_eq!((status, answered), (200, group_json()));
    let set = |setting| (Command::Configure(words(), setting), None);
    let expected = [
        set(Setting::NewcomersReadHistory(true)),
        set(Setting::LapseDays(7)),
        (Command::Show(words()), None),
    ];
    assert_eq!(node.script.asked(), expected);
}
