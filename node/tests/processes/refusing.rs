//! Bad input gets a clear error, a stable exit code, and changes nothing.

use std::io::Write;

use crate::daemon::{Home, told};

/// Starts `up`, which must refuse, and gives exit code and error code.
fn refused_up(home: &Home, more: &[&str]) -> (i32, String) {
    let arguments = [&["up", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"], more].concat();
    let told = told(home.command(&arguments).output().expect("the program runs"));
    (told.code, told.error_code())
}

#[test]
fn without_a_node_a_command_says_how_to_start_one() {
    let home = Home::new();
    let told = home.tell(&["status"]);
    assert_eq!(told.code, 5);
    assert!(told.error.contains("start"), "{}", told.error);
}

#[test]
fn misspelt_words_get_a_suggestion_and_unknown_groups_are_not_found() {
    let home = Home::new();
    let _daemon = home.up();
    let told = home.tell(&["group", "show", "oceam-forest-moon-star"]);
    assert_eq!(told.code, 2);
    assert!(told.error.contains("ocean"), "{}", told.error);
    assert_eq!(home.tell(&["group", "show", "ocean-forest-moon-star"]).code, 3);
}

#[test]
fn a_wrong_code_and_a_used_up_invite_admit_nobody() {
    let (a, b, c) = (Home::new(), Home::new(), Home::new());
    let (_of_a, _of_b, _of_c) = (a.up(), b.up(), c.up());
    let group = a.must(&["group", "create", "Tea"])["words"].as_str().expect("words").to_owned();
    let code = a.must(&["invite", &group, "--uses", "1"])["code"].as_str().expect("a code").to_owned();
    let mistyped = format!("{}{}", &code[..code.len() - 1], if code.ends_with('a') { 'b' } else { 'a' });
    assert_eq!(b.tell(&["join", &group, "--code", &mistyped]).code, 2);
    assert_eq!(b.must(&["join", &group, "--code", &code, "--wait", "50"])["state"], "joined");
    let refused = c.tell(&["join", &group, "--code", &code, "--wait", "50"]);
    assert_eq!(refused.code, 4, "{}", refused.error);
    assert!(refused.error.contains("ask for a new invite"), "{}", refused.error);
}

#[test]
fn a_second_node_on_one_home_is_refused_and_the_first_goes_on() {
    let home = Home::new();
    let daemon = home.up();
    assert_eq!(refused_up(&home, &[]), (1, "in_use".to_owned()));
    assert!(home.tell(&["status"]).code == 0);
    daemon.stop();
}

#[test]
fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its number").port();
    let home = Home::new();
    let arguments = ["up", "--no-mdns", "--listen", &format!("/ip4/127.0.0.1/tcp/{port}")];
    let told = told(home.command(&arguments).output().expect("the program runs"));
    assert_eq!(told.code, 1);
    assert!(told.error.contains(&port.to_string()), "{}", told.error);
}

#[test]
fn a_broken_config_fails_closed_and_is_left_as_it_is() {
    let home = Home::new();
    home.up().stop();
    let config = home.path().join("config.toml");
    let mut file = std::fs::OpenOptions::new().append(true).open(&config).expect("the config");
    writeln!(file, "\nlisten = [ this is not TOML").expect("written");
    drop(file);
    let broken = std::fs::read(&config).expect("the config");
    let (code, _) = refused_up(&home, &[]);
    assert_ne!(code, 0);
    assert_eq!(std::fs::read(&config).expect("the config"), broken);
}

#[test]
fn a_home_that_cannot_be_is_refused() {
    let home = Home::new();
    let file = home.path().join("file");
    std::fs::write(&file, "in the way").expect("written");
    let told = told(
        home.command(&["up", "--no-mdns"])
            .env("FOURWORD_HOME", &file)
            .arg("--home")
            .arg(file.join("home"))
            .output()
            .expect("the program runs"),
    );
    assert_ne!(told.code, 0);
    assert_eq!(std::fs::read(&file).expect("still there"), b"in the way");
}

#[test]
fn a_missing_key_is_never_replaced_by_a_new_one() {
    let home = Home::new();
    home.up().stop();
    let key = home.path().join("key");
    let kept = std::fs::read(&key).expect("the key");
    std::fs::remove_file(&key).expect("removed");
    let (code, _) = refused_up(&home, &[]);
    assert_ne!(code, 0);
    assert!(!key.exists());
    std::fs::write(&key, kept).expect("put back");
    set_private(&key);
    home.up().stop();
}

#[test]
fn a_wrong_passphrase_opens_nothing_and_the_right_one_does() {
    let home = Home::new();
    let with = |passphrase: &str| {
        let mut command = home.command(&["up", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"]);
        command.env("FOURWORD_PASSPHRASE", passphrase);
        command
    };
    crate::daemon::Daemon::wait(with("correct horse")).stop();
    let told = told(with("wrong horse").output().expect("the program runs"));
    assert_ne!(told.code, 0);
    assert!(told.error.contains("passphrase"), "{}", told.error);
    crate::daemon::Daemon::wait(with("correct horse")).stop();
}

#[test]
fn a_damaged_journal_is_set_aside_and_the_rest_is_read() {
    let home = Home::new();
    let daemon = home.up();
    let group = home.must(&["group", "create", "Tea"])["words"].as_str().expect("words").to_owned();
    home.must(&["chat", "send", &group, "one"]);
    daemon.stop();
    let journal = std::fs::read_dir(home.path().join("journal")).expect("the journal");
    let file = journal.map_while(Result::ok).map(|e| e.path()).max().expect("a journal file");
    let mut bytes = std::fs::read(&file).expect("the journal");
    let at = bytes.len() - 40;
    bytes[at] ^= 0xff;
    std::fs::write(&file, bytes).expect("damaged");
    std::fs::remove_dir_all(home.path().join("index")).expect("the index was there");
    let daemon = home.up();
    assert_eq!(home.tell(&["group", "show", &group]).code, 0);
    let kept = std::fs::read_dir(home.path().join("journal")).expect("the journal").map_while(Result::ok);
    assert!(kept.map(|e| e.file_name()).any(|name| name.to_string_lossy().contains("damaged")));
    daemon.stop();
}

fn set_private(file: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).expect("a mode");
}
