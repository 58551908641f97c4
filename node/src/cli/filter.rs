//! Flags that say which cards and issues are shown, as the API takes them in a query.

use super::client::escaped;

/// What `board show`, `board archive` and `issue list` take alike.
#[derive(Debug, clap::Args)]
pub(super) struct Things {
    /// Of this priority, or "" for none; may be repeated for one of several.
    #[arg(long)]
    priority: Vec<String>,
    /// Those that this member is to do.
    #[arg(long, value_name = "WHO", conflicts_with = "unassigned")]
    assignee: Option<String>,
    /// Those that nobody is to do.
    #[arg(long)]
    unassigned: bool,
    /// With this label; may be repeated for all of several.
    #[arg(long)]
    label: Vec<String>,
    /// With this in title or description, in any case.
    #[arg(long)]
    text: Option<String>,
}

/// What `board show` and `board archive` take.
#[derive(Debug, clap::Args)]
pub(super) struct Cards {
    /// Those that show in this column, named by its title or the first letters of its id.
    #[arg(long)]
    column: Option<String>,
    /// Those that are due before this day.
    #[arg(long, value_name = "YYYY-MM-DD")]
    due_before: Option<String>,
    /// Those that were due before today, by UTC.
    #[arg(long)]
    overdue: bool,
    /// Those that this member made.
    #[arg(long, value_name = "WHO")]
    author: Option<String>,
    #[command(flatten)]
    things: Things,
}

/// Parameters of a query, each a name and a value.
pub(super) type Pairs = Vec<(&'static str, String)>;

impl Things {
    pub(super) fn pairs(self) -> Pairs {
        let assignee = self.assignee.or(self.unassigned.then(String::new));
        let mut pairs = several("priority", self.priority);
        pairs.extend(several("label", self.label));
        pairs.extend(given([("assignee", assignee), ("text", self.text)]));
        pairs
    }
}

impl Cards {
    pub(super) fn pairs(self) -> Pairs {
        let overdue = self.overdue.then(|| "true".to_owned());
        let mut pairs = self.things.pairs();
        pairs.extend(given([
            ("column", self.column),
            ("due_before", self.due_before),
            ("overdue", overdue),
            ("author", self.author),
        ]));
        pairs
    }
}

/// Those parameters that have a value.
pub(super) fn given<const N: usize>(pairs: [(&'static str, Option<String>); N]) -> Pairs {
    pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// One parameter with several values.
pub(super) fn several(name: &'static str, values: Vec<String>) -> Pairs {
    values.into_iter().map(|value| (name, value)).collect()
}

/// What stands behind a path to ask for this; nothing where nothing is asked for.
pub(super) fn query(pairs: &Pairs) -> String {
    let parts: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stands_behind_the_path_and_nothing_if_nothing_is() {
        assert_eq!(query(&Vec::new()), "");
        let pairs = [
            several("label", vec!["a&b".into(), "c".into()]),
            given([("text", None), ("column", Some("".into()))]),
        ];
        assert_eq!(query(&pairs.concat()), "?label=a%26b&label=c&column=");
    }
}
