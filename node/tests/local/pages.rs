//! The pages for people: each command line in them, and in the help, is one that the program takes.

use std::collections::BTreeSet;
use std::path::Path;

/// The command lines of the fenced blocks of a page.
///
/// In a block of `sh` each line counts; in one of `console` those after a `$`, where a person's
/// name may stand for `fourword --home DIR`.
fn command_lines(page: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut block = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), block) {
            (Some(_), Some(_)) => block = None,
            (Some(kind), None) => block = Some(kind),
            (None, Some("sh")) => lines.extend(within(line)),
            (None, Some("console")) => {
                lines.extend(line.strip_prefix("$ ").into_iter().flat_map(within));
            }
            _ => {}
        }
    }
    lines
}

/// The calls of `fourword` in one line of a shell.
fn within(line: &str) -> Vec<String> {
    let line = line.split(" # ").next().unwrap_or_default();
    let stages = line.split(" | ").flat_map(|stage| stage.split(" && "));
    stages
        .filter_map(|stage| {
            let (name, _) = stage.trim().split_once(' ')?;
            let stage = stage.split(" > ").next()?.split(" < ").next()?;
            ["fourword", "ada", "ben"].contains(&name).then(|| stage.trim().to_owned())
        })
        .collect()
}

/// The arguments of a command line, with quotes taken off as a shell does.
fn arguments(line: &str) -> Vec<String> {
    let (mut arguments, mut current, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                current.get_or_insert_default();
            }
            (None, ' ') => arguments.extend(current.take()),
            _ => current.get_or_insert_default().push(c),
        }
    }
    assert_eq!(quote, None, "a quote is not closed: {line}");
    arguments.extend(current);
    arguments
}

fn is_taken(line: &str) -> Result<(), String> {
    let taken = fourword::cli::command().try_get_matches_from(arguments(line));
    taken.map(|_| ()).map_err(|error| format!("`{line}`: {error}"))
}

fn read(page: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page)).unwrap()
}

#[test]
fn each_command_line_of_the_pages_is_one_that_the_program_takes() {
    for (page, lines_min) in [("docs/USING.md", 40), ("docs/OPERATING.md", 20), ("README.md", 8)] {
        let lines = command_lines(&read(page));
        assert!(lines.len() >= lines_min, "{page}: only {} command lines were found", lines.len());
        let wrong: Vec<String> = lines.iter().filter_map(|line| is_taken(line).err()).collect();
        assert!(wrong.is_empty(), "{page}:\n{}", wrong.join("\n"));
    }
}

#[test]
fn each_verb_of_the_program_is_shown_in_a_page_on_using_or_operating_it() {
    let pages = ["docs/USING.md", "docs/OPERATING.md"].map(read).join("\n");
    let shown: BTreeSet<String> = command_lines(&pages).iter().filter_map(|line| verb_of(line)).collect();
    let mut missing = Vec::new();
    for_each_verb(&fourword::cli::command(), "fourword", &mut |verb, _| {
        if !shown.contains(verb) {
            missing.push(verb.to_owned());
        }
    });
    assert!(missing.is_empty(), "{missing:?}");
}

/// The verb that a command line names, without its arguments.
fn verb_of(line: &str) -> Option<String> {
    let matches = fourword::cli::command().try_get_matches_from(arguments(line)).ok()?;
    let (mut verb, mut matches) = ("fourword".to_owned(), &matches);
    while let Some((name, below)) = matches.subcommand() {
        verb = format!("{verb} {name}");
        matches = below;
    }
    Some(verb)
}

#[test]
fn each_example_of_the_help_is_one_that_the_program_takes() {
    let mut command = fourword::cli::command();
    command.build();
    let mut examples = 0;
    for_each_verb(&command, "fourword", &mut |verb, command| {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in help.lines().flat_map(within) {
            examples += 1;
            is_taken(&line).unwrap_or_else(|wrong| panic!("the help of {verb}: {wrong}"));
        }
    });
    assert!(examples > 50, "{examples}");
}

fn for_each_verb(command: &clap::Command, name: &str, check: &mut impl FnMut(&str, &clap::Command)) {
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let name = format!("{name} {}", verb.get_name());
        if verb.has_subcommands() {
            for_each_verb(verb, &name, check);
        } else {
            check(&name, verb);
        }
    }
}

#[test]
fn a_line_that_the_program_does_not_take_is_found() {
    let page = "fourword nothing\n```sh\nscripts/run\necho Hi | fourword chat send a-b-c-d - > saved # note\n\
                fourword group destroy a-b-c-d\n```\n```console\n$ ada joins && ben peers\nfourword up\n```\n";
    let lines = command_lines(page);
    assert_eq!(
        lines,
        ["fourword chat send a-b-c-d -", "fourword group destroy a-b-c-d", "ada joins", "ben peers"]
    );
    let taken: Vec<bool> = lines.iter().map(|line| is_taken(line).is_ok()).collect();
    assert_eq!(taken, [true, false, true, true]);
    assert_eq!(arguments("a 'b c' \"\" d\"e\"f"), ["a", "b c", "", "def"]);
}
