//! At rest nothing can be read without the key: no text, no name, no word, no id.

use std::path::Path;

use crate::story::two_in_a_group;

const TEXT: &str = "a very particular sentence";
const NAME: &str = "Bartholomew";

fn files(directory: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(directory).expect("a directory").map_while(Result::ok) {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.is_file() {
            found.push((path.display().to_string(), std::fs::read(&path).expect("a file")));
        }
    }
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn without_the_key_a_home_shows_no_text_no_names_no_words_and_no_ids() {
    let (a, b, group, of_a, of_b) = two_in_a_group();
    a.must(&["name", NAME]);
    a.must(&["chat", "send", &group, TEXT]);
    b.wait_for_chat(&group, &[TEXT]);
    let (of_a_words, of_b_words) = (of_a.identity(), of_b.identity());
    let id = a.must(&["group", "show", &group])["id"].as_str().expect("an id").to_owned();
    let raw: Vec<u8> = (0..id.len() / 2)
        .map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).expect("hexadecimal"))
        .collect();
    of_a.stop();
    of_b.stop();
    a.must(&["start", "--no-mdns"]);
    a.must(&["stop"]);

    let mut needles: Vec<Vec<u8>> = vec![TEXT.into(), NAME.into(), b"Tea".to_vec(), id.into_bytes(), raw];
    for words in [&group, &of_a_words, &of_b_words] {
        needles.push(words.clone().into_bytes());
    }
    for home in [&a, &b] {
        let mut found = Vec::new();
        files(home.path(), &mut found);
        let logged = found.iter().any(|(file, _)| file.ends_with("fourword.log"));
        assert!(logged || home.path() != a.path(), "what a node in the background logs is looked at too");
        assert!(
            found.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > 1000,
            "there is something to look at"
        );
        for (file, bytes) in &found {
            for needle in &needles {
                assert!(!holds(bytes, needle), "{file} shows {:?}", String::from_utf8_lossy(needle));
            }
        }
    }
}
