//! Folds sets of roster statements given as JSON, to be compared with other implementations.
//!
//! `fold < set.json` reads one set and prints what it says. `fold --lines` reads one set a line
//! and prints one answer a line. The shapes are in `roster_json`.

use std::io::{self, BufRead, BufWriter, Read, Write};
use std::process::ExitCode;

use fourword_tests::roster_json::{Said, fold};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => one(),
        ["--lines"] => lines(),
        _ => Err(io::Error::other("usage: fold [--lines] < sets")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fold: {error}");
            ExitCode::FAILURE
        }
    }
}

fn one() -> io::Result<()> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let set: Vec<Said> = serde_json::from_str(&text)?;
    println!("{}", serde_json::to_string_pretty(&fold(&set))?);
    Ok(())
}

fn lines() -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let set: Vec<Said> = serde_json::from_str(&line?)?;
        serde_json::to_writer(&mut out, &fold(&set))?;
        out.write_all(b"\n")?;
    }
    out.flush()
}
