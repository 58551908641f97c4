//! The document of the API: it tells of what is served and of nothing else, it hangs together, and
//! answers are as it says.

use std::collections::{BTreeMap, BTreeSet};

use fourword_protocol::command::{Command, RefusalCode, Reply};
use serde_json::{Map, Value, json};

use crate::script::{Node, WORDS, done, refused, value};
use crate::{cli, history, things, together};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn document() -> &'static Value {
    fourword::api::openapi::document()
}

fn paths() -> &'static Map<String, Value> {
    document()["paths"].as_object().unwrap()
}

/// Path, method and operation of each.
fn operations() -> impl Iterator<Item = (&'static String, &'static String, &'static Value)> {
    paths().iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(move |(method, operation)| (path, method, operation))
    })
}

/// A path with something in place of each of its parameters.
fn filled(path: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{words}" => WORDS,
        "{device}" | "{key}" => "ab",
        "{document}" => "board",
        part if part.starts_with('{') => "abcd",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn each_operation_of_the_document_is_served_and_no_other() {
    let node = Node::start(|_| refused(RefusalCode::NotAllowed)).await;
    let (status, served) = node.ask("GET", "/api/v1/openapi.json", "").await;
    assert_eq!((status, &served), (200, document()));
    assert!(operations().count() > 75, "{}", operations().count());
    for (path, methods) in paths() {
        for method in METHODS {
            // It would end the node that the others ask.
            if (path.as_str(), method) == ("/api/v1/stop", "post") {
                continue;
            }
            let response = node.send(&method.to_uppercase(), &filled(path), "{}", &[]).await;
            let status = response.status().as_u16();
            if methods.get(method).is_none() {
                assert_eq!(status, 405, "{method} {path} is served and not told of");
                continue;
            }
            assert_ne!(status, 405, "{method} {path} is told of and not served");
            // A path that no route fits is refused by these words; a stream of events has no end.
            if status == 404 {
                assert_ne!(value(response).await["detail"], "404 Not Found", "{method} {path}");
            }
        }
    }
    assert_eq!(node.ask("POST", "/api/v1/stop", "").await.0, 202);
}

#[test]
fn each_operation_says_what_it_does_takes_and_gives() {
    let mut names = BTreeSet::new();
    for (path, method, operation) in operations() {
        let place = format!("{method} {path}");
        let summary = operation["summary"].as_str().unwrap();
        assert!(!summary.is_empty() && !summary.ends_with('.'), "{place}: {summary}");
        if let Some(name) = operation["operationId"].as_str() {
            assert!(names.insert(name), "{place}: two operations are called {name}");
        } else {
            assert_eq!(path, "/api/v1/metrics", "another path of the same handler");
        }
        let parameters: Vec<&Value> = operation["parameters"].as_array().unwrap().iter().collect();
        let named = |within: &str| -> BTreeSet<&str> {
            let within = parameters.iter().filter(|one| one["in"] == within);
            within.map(|one| one["name"].as_str().unwrap()).collect()
        };
        let in_path: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(named("path"), in_path, "{place}");
        for parameter in &parameters {
            assert!(!parameter["description"].as_str().unwrap().is_empty(), "{place}: {parameter}");
        }
        let answers = operation["responses"].as_object().unwrap();
        let success = answers.iter().find(|(status, _)| status.starts_with('2')).unwrap().1;
        assert!(!success["content"].as_object().unwrap().is_empty(), "{place} gives nothing");
        assert!(answers.contains_key("default"), "{place} never fails");
        if ["get", "delete"].contains(&method.as_str()) {
            assert!(operation.get("requestBody").is_none(), "{place}");
        }
    }
}

#[test]
fn what_several_may_change_is_changed_as_it_was_seen() {
    let seen = operations().filter(|(.., one)| one["parameters"].to_string().contains("If-Match"));
    let seen: BTreeSet<String> = seen
        .map(|(path, method, _)| format!("{method} {}", path.trim_start_matches("/api/v1/groups/{words}/")))
        .collect();
    let expected = [
        "delete board/cards/{card}",
        "delete board/cards/{card}/archived",
        "delete board/columns/{column}",
        "delete canvas/elements/{element}",
        "delete card-comments/{comment}",
        "delete chat/messages/{id}",
        "delete issue-comments/{comment}",
        "delete issues/{issue}",
        "patch board/cards/{card}",
        "patch board/columns/{column}",
        "patch canvas",
        "patch canvas/elements/{element}",
        "patch card-comments/{comment}",
        "patch chat/messages/{id}",
        "patch issue-comments/{comment}",
        "patch issues/{issue}",
        "patch settings",
        "put board/cards/{card}/archived",
        "put board/cards/{card}/place",
    ];
    assert_eq!(seen, expected.into_iter().map(str::to_owned).collect());
}

/// Calls `see` with every value in a value.
fn each(value: &'static Value, see: &mut impl FnMut(&'static Value)) {
    see(value);
    match value {
        Value::Object(fields) => fields.values().for_each(|field| each(field, see)),
        Value::Array(values) => values.iter().for_each(|value| each(value, see)),
        _ => {}
    }
}

#[test]
fn each_reference_leads_somewhere_and_each_schema_is_used_and_has_its_own_name() {
    let mut used = BTreeSet::new();
    each(document(), &mut |value| {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document().pointer(pointer).is_some(), "{reference} leads nowhere");
            used.insert(pointer.rsplit('/').next().unwrap());
        }
    });
    for name in document()["components"]["schemas"].as_object().unwrap().keys() {
        assert!(used.contains(name.as_str()), "{name} is not used");
        // Of two types of one name the second gets a number.
        assert!(!name.ends_with(|c: char| c.is_ascii_digit()), "{name}: two types have this name");
    }
}

#[test]
fn every_field_that_is_told_of_is_explained() {
    let mut missing = Vec::new();
    for (name, schema) in document()["components"]["schemas"].as_object().unwrap() {
        let Some(fields) = schema["properties"].as_object() else { continue };
        let unexplained = fields.iter().filter(|(_, field)| field["description"].as_str().is_none());
        missing.extend(unexplained.map(|(field, _)| format!("{name}.{field}")));
    }
    assert!(missing.is_empty(), "{missing:?}");
}

/// Why a value is not as a schema says, if it is not. Fields that are not told of are wrong, too.
fn misfit(schema: &Value, value: &Value) -> Option<String> {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return misfit(document().pointer(reference.strip_prefix('#')?)?, value);
    }
    for choice in ["anyOf", "oneOf"] {
        if let Some(schemas) = schema.get(choice).and_then(Value::as_array) {
            let misfits: Option<Vec<String>> = schemas.iter().map(|schema| misfit(schema, value)).collect();
            return misfits.map(|misfits| misfits.join(" and "));
        }
    }
    if let Some(kind) = schema.get("type") {
        let is = |kind: &Value| match kind.as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("number") => value.is_number(),
            Some("null") => value.is_null(),
            _ => false,
        };
        let fits = kind.as_array().map_or_else(|| is(kind), |kinds| kinds.iter().any(is));
        if !fits {
            return Some(format!("{value} is not {kind}"));
        }
    }
    if let Some(wrong) = schema.get("enum").and_then(Value::as_array).filter(|words| !words.contains(value)) {
        return Some(format!("{value} is none of {wrong:?}"));
    }
    if let Some(wrong) = schema.get("const").filter(|only| *only != value) {
        return Some(format!("{value} is not {wrong}"));
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        return values.iter().find_map(|value| misfit(items, value));
    }
    let fields = value.as_object()?;
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    if let Some(lacking) = required.iter().find(|name| !fields.contains_key(name.as_str().unwrap())) {
        return Some(format!("{lacking} is missing in {value}"));
    }
    fields.iter().find_map(|(name, value)| {
        match (schema["properties"].get(name), schema.get("additionalProperties")) {
            (Some(schema), _) | (None, Some(schema @ Value::Object(_))) => misfit(schema, value),
            _ => schema.get("properties").map(|_| format!("{name} is not told of")),
        }
    })
}

/// Why an answer is not as the document says of this operation.
fn misfit_of(method: &str, path: &str, answer: &Value) -> Option<String> {
    let content = &paths()[path][method]["responses"]["200"]["content"]["application/json"];
    misfit(content.get("schema").unwrap(), answer)
}

fn answer(command: &Command) -> Reply {
    match command {
        Command::Board(..) | Command::Issue(..) | Command::Canvas(..) => things::answer(command),
        Command::Undo(..) | Command::Redo(..) | Command::Present(_) => together::answer(command),
        Command::History(..) => history::answer(command),
        command => cli::answer(command),
    }
}

#[tokio::test]
async fn answers_are_as_the_document_says() {
    let node = Node::start(|command| done(answer(command))).await;
    let mut asked = 0;
    let bodies: BTreeMap<(&str, &str), Value> = BTreeMap::from([
        (("post", "/api/v1/groups/{words}/board/columns"), json!({"title": "a"})),
        (("patch", "/api/v1/groups/{words}/board/columns/{column}"), json!({"title": "a"})),
        (("put", "/api/v1/groups/{words}/board/columns/{column}/place"), json!({"at": "first"})),
        (("post", "/api/v1/groups/{words}/board/cards"), json!({"title": "a", "column": "b"})),
        (("patch", "/api/v1/groups/{words}/board/cards/{card}"), json!({"title": "a"})),
        (("put", "/api/v1/groups/{words}/board/cards/{card}/place"), json!({"column": "a"})),
        (("post", "/api/v1/groups/{words}/issues"), json!({"title": "a"})),
        (("patch", "/api/v1/groups/{words}/issues/{issue}"), json!({"title": "a"})),
        (("post", "/api/v1/groups/{words}/issues/import"), json!({"version": 1, "issues": [{"title": "a"}]})),
        (("patch", "/api/v1/groups/{words}/canvas"), json!({"width": null})),
        (("post", "/api/v1/groups/{words}/restore/{document}"), json!({"version": "aaaa"})),
        (("post", "/api/v1/groups"), json!({"name": "a"})),
        (("post", "/api/v1/groups/{words}/chat/messages"), json!({"text": "a"})),
        (("put", "/api/v1/name"), json!({"name": "a"})),
    ]);
    for (path, method, operation) in operations() {
        if path == "/api/v1/events" || path.ends_with("/stop") {
            continue;
        }
        let body = bodies.get(&(method.as_str(), path.as_str()));
        if let Some(body) = body {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            assert_eq!(misfit(schema, body), None, "{method} {path}");
        }
        let query = if path.ends_with("/search") { "?q=hel" } else { "" };
        let text = body.map(Value::to_string).unwrap_or_default();
        let place = filled(path) + query;
        let (status, answer) = node.ask(&method.to_uppercase(), &place, &text).await;
        let is_json = operation["responses"]["200"]["content"]["application/json"].is_object();
        if status == 200 && is_json {
            assert_eq!(misfit_of(method, path, &answer), None, "{method} {path}");
            asked += 1;
        } else if status >= 400 {
            let problem = json!({"$ref": "#/components/schemas/Problem"});
            assert_eq!(misfit(&problem, &answer), None, "{method} {path}");
        }
    }
    assert!(asked > 40, "only {asked} answers were compared");
}

#[test]
fn an_answer_that_is_not_as_the_document_says_is_noticed() {
    let path = "/api/v1/groups/{words}/board";
    let column = json!({"id": "a", "title": "b", "limit": null, "cards": []});
    let with = |name: &str, value: Value| {
        let mut column = column.clone();
        column[name] = value;
        misfit_of("get", path, &json!({"columns": [column]}))
    };
    assert_eq!(with("limit", json!(3)), None);
    for (name, wrong) in [
        ("limit", json!("3")),
        ("title", Value::Null),
        ("colour", json!("red")),
        ("cards", json!([{"id": "a"}])),
    ] {
        assert!(with(name, wrong).is_some(), "{name}");
    }
    assert!(misfit_of("get", path, &json!({})).is_some());
    let new_card = json!({"$ref": "#/components/schemas/NewCard"});
    assert_eq!(misfit(&new_card, &json!({"title": "a", "column": "b"})), None);
    assert!(misfit(&new_card, &json!({"title": "a"})).is_some(), "a card stands somewhere");
    let event = &json!({"$ref": "#/components/schemas/Event"});
    assert_eq!(misfit(event, &json!({"event": "joined", "group": "a"})), None);
    assert!(misfit(event, &json!({"event": "sprung", "group": "a"})).is_some());
}
