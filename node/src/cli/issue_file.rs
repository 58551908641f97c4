//! `issue export` and `issue import`: the issues of a group as one JSON file.

use std::io::Read as _;

use serde_json::Value;

use super::Context;
use super::client::path;
use super::failure::{Exit, Failure};
use super::output::plain;
use crate::api::error::Code;
use crate::api::issue_file::{FILE_BYTES_MAX, Fault, Imported, IssueFile};

/// Prints all issues of a group, with their comments.
pub(super) async fn export(words: &str, context: &Context) -> Result<Exit, Failure> {
    let file: IssueFile = context.client().get(&path(["groups", words, "issues", "export"])).await?;
    let text = serde_json::to_string_pretty(&file).map_err(|e| Failure::internal(e.to_string()))?;
    context.output.answer(&file, |_| text)?;
    Ok(Exit::Done)
}

/// Reports all issues of a file, one after the other.
pub(super) async fn import(words: &str, file: &str, context: &Context) -> Result<Exit, Failure> {
    let file: Value = serde_json::from_slice(&read(file)?).map_err(|e| {
        let hint = "it takes what `fourword issue export` writes";
        Failure::new(Code::Usage, format!("this is no file of issues: {e}"), hint)
    })?;
    let place = path(["groups", words, "issues", "import"]);
    let told: Imported = context.client().send_long(&place, &file, context.output).await?;
    context.output.answer(&told, text)?;
    Ok(if told.failed.is_empty() { Exit::Done } else { Exit::Wrong })
}

/// The bytes of a file, or of standard input if it is `-`.
fn read(file: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let limit = FILE_BYTES_MAX as u64 + 1;
    let read = match file {
        "-" => std::io::stdin().lock().take(limit).read_to_end(&mut bytes),
        file => std::fs::File::open(file).and_then(|file| file.take(limit).read_to_end(&mut bytes)),
    };
    read.map_err(|e| Failure::usage(format!("{file}: {e}")))?;
    if bytes.len() > FILE_BYTES_MAX {
        let message = format!("a file of issues has at most {FILE_BYTES_MAX} bytes");
        return Err(Failure::new(Code::Usage, message, "split it into several"));
    }
    Ok(bytes)
}

fn text(told: &Imported) -> String {
    let fault = |fault: &Fault| {
        let hint = if fault.hint.is_empty() { String::new() } else { format!(" ({})", plain(&fault.hint)) };
        format!("not taken: {} \"{}\": {}{hint}", fault.number, plain(&fault.title), plain(&fault.message))
    };
    let count = match told.imported.len() {
        1 => "1 issue is reported".to_owned(),
        count => format!("{count} issues are reported"),
    };
    let untried = (told.untried > 0).then(|| format!("not tried: the last {}", told.untried));
    [count].into_iter().chain(told.failed.iter().map(fault)).chain(untried).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_taken_is_listed_for_people() {
        let fault = Fault {
            number: 2,
            title: "roof\x1b".into(),
            code: Code::NotFound,
            message: "no member is named Eve".into(),
            hint: "see who is in".into(),
        };
        let told = Imported { imported: vec!["ID".into()], failed: vec![fault], untried: 3 };
        assert_eq!(
            text(&told),
            "1 issue is reported\nnot taken: 2 \"roof\u{fffd}\": no member is named Eve (see who is in)\n\
             not tried: the last 3"
        );
    }
}
