//! Tests of the settings: what is read, refused, and changed.

use super::*;

fn parse(text: &str) -> Result<Settings, ConfigError> {
    Settings::parse(Path::new("config.toml"), text)
}

#[test]
fn the_template_says_the_defaults() {
    assert_eq!(parse(TEMPLATE), Ok(Settings::default()));
    assert_eq!(parse(""), Ok(Settings::default()));
}

#[test]
fn the_schema_names_every_key_and_no_other() {
    let schema = schema();
    let named: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
    let all = Settings::default().get(None).unwrap();
    assert_eq!(named, all.as_object().unwrap().keys().collect::<Vec<_>>());
}

#[test]
fn a_broken_file_is_refused_with_its_line() {
    for (text, line, part) in [
        ("# note\nlisten = [\"/ip4/0.0.0.0/tcp/0\"", 2, ""),
        ("mdns = true\nlissen = []", 2, "lissen"),
        ("mdns = \"yes\"", 1, "boolean"),
        ("\n\nlisten = [\"localhost:80\"]", 3, "localhost:80"),
        ("api = \"0.0.0.0:80\"", 1, "outside"),
        ("schema = 2", 1, "schema 2"),
        ("log = \"fourword=loudest\"", 1, "loudest"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.message.starts_with(&format!("config.toml:{line}: ")), "{error}");
        assert!(error.message.contains(part), "{error}");
        assert!(!error.hint.is_empty());
    }
}

#[test]
fn a_change_keeps_comments_and_all_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    Settings::create(&path).unwrap();
    set(&path, "bootstrap", "/ip4/10.0.0.1/tcp/4001, /ip4/10.0.0.2/tcp/4001").unwrap();
    set(&path, "mdns", "false").unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let expected = TEMPLATE
        .replace("mdns = true", "mdns = false")
        .replace("bootstrap = []", r#"bootstrap = ["/ip4/10.0.0.1/tcp/4001", "/ip4/10.0.0.2/tcp/4001"]"#);
    assert_eq!(text, expected);
    let settings = Settings::load(&path).unwrap();
    assert_eq!(settings.get(Some("mdns")), Ok(json!(false)));
    assert_eq!(settings.bootstrap.len(), 2);
}

#[test]
fn a_refused_change_leaves_the_file_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    Settings::create(&path).unwrap();
    for (key, value) in [("listen", "nowhere"), ("api", "1.2.3.4:5"), ("mdns", "1"), ("lissen", "x")] {
        let error = set(&path, key, value).unwrap_err();
        assert!(error.message.contains(key) || error.message.contains(value), "{error}");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), TEMPLATE);
}

#[test]
fn a_broken_file_is_not_replaced_by_a_change() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    std::fs::write(&path, "listen = ").unwrap();
    assert!(set(&path, "mdns", "false").is_err());
    Settings::create(&path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "listen = ");
}

#[test]
fn variables_outrank_the_file_and_are_checked() {
    let variable = |name: &'static str, value: &'static str| {
        move |asked: &str| (asked == name).then(|| value.to_owned())
    };
    let listen = variable("FOURWORD_LISTEN", "/ip4/127.0.0.1/tcp/1,/ip4/127.0.0.1/tcp/2");
    assert_eq!(Settings::default().outranked_by(listen).unwrap().listen.len(), 2);
    let api = Settings::default().outranked_by(variable("FOURWORD_API", "[::1]:7")).unwrap().api;
    assert_eq!(api.to_string(), "[::1]:7");
    let error = Settings::default().outranked_by(variable("FOURWORD_API", "8.8.8.8:7")).unwrap_err();
    assert!(error.message.starts_with("FOURWORD_API: "), "{error}");
}
