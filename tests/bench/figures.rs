//! Figures of one run and of several: medians, least and most, and what is to be reached.

/// One figure of one repetition.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) name: &'static str,
    /// In what.
    pub(crate) unit: &'static str,
    /// How much.
    pub(crate) value: f64,
}

/// A figure.
pub(crate) fn figure(name: &'static str, unit: &'static str, value: f64) -> Figure {
    Figure { name, unit, value }
}

/// One figure over all repetitions.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Summary {
    /// Of what: workload and size.
    pub(crate) of: String,
    /// What was measured.
    pub(crate) name: &'static str,
    /// In what.
    pub(crate) unit: &'static str,
    /// The middle one; of an even number the greater of the two.
    pub(crate) median: f64,
    /// The least.
    pub(crate) least: f64,
    /// The most.
    pub(crate) most: f64,
    /// What is to be reached.
    pub(crate) target: Option<&'static str>,
}

/// Joins the repetitions of one workload; figures keep their order.
pub(crate) fn summarize(of: &str, repetitions: &[Vec<Figure>]) -> Vec<Summary> {
    let mut summaries: Vec<Summary> = Vec::new();
    for Figure { name, unit, .. } in repetitions.iter().flatten() {
        if summaries.iter().any(|summary| summary.name == *name) {
            continue;
        }
        let named = repetitions.iter().flatten().filter(|figure| figure.name == *name);
        let values: Vec<f64> = named.map(|figure| figure.value).collect();
        summaries.push(Summary {
            of: of.to_owned(),
            name,
            unit,
            median: percentile(&values, 50),
            least: percentile(&values, 0),
            most: percentile(&values, 100),
            target: target(of, name),
        });
    }
    summaries
}

/// The value below which so many of a hundred lie; 0 of nothing.
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or_default()
}

/// What is to be reached on a quiet machine of two cores, by the beginning of the title.
const TARGETS: &[(&str, &str, &str)] = &[
    ("W1", "told, median", "0.45"),
    ("W1", "told, 99 of 100", "3"),
    ("W1", "processor, both", "0.6"),
    ("W2: 10,000", "until B has all", "0.9"),
    ("W2: 10,000", "durable", "5,000 at least"),
    ("W2: 10,000", "wire, for each message", "300"),
    ("W3: 10,000", "until C has all", "0.2"),
    ("W3: 10,000", "wire, of content", "0.4"),
    ("W4: 259,778", "until B has all", "11"),
    ("W4: 259,778", "wire", "10"),
    ("W4: recorded", "until B has all", "11"),
    ("W4: recorded", "wire", "10"),
    ("W5: 8", "last told, median", "2.5"),
    ("W5: 8", "last told, 99 of 100", "12"),
    ("W5: 8", "processor, all", "6"),
    ("W5: 16", "last told, median", "7"),
    ("W5: 16", "last told, 99 of 100", "28"),
    ("W5: 16", "processor, all", "15"),
    ("W5: 16", "memory, all", "400"),
    ("W7: 5,000", "until both have all", "0.4"),
    ("W7: 5,000", "wire, of content", "0.9"),
    ("W8: 5", "memory, the greater", "28"),
    ("W8: 5", "processor, the greater", "0.1"),
    ("W8: 5", "wire, a minute", "3"),
    ("W9", "lost", "0"),
    ("Start: 20", "until ready", "0.5"),
    ("Chat, 1,000", "size", "0.25"),
    ("Chat, 1,000", "load", "2"),
    ("Chat, 1,000", "memory", "1"),
    ("Chat, 50,000", "size", "10"),
    ("Chat, 50,000", "load", "100"),
    ("Board, 500", "size", "0.35"),
    ("Board, 500", "load", "5"),
    ("Board, 500", "memory", "2"),
    ("Issues, 1,000", "size", "1.2"),
    ("Issues, 1,000", "load", "12"),
    ("Issues, 1,000", "memory", "6"),
    ("Pruned, 1,000", "the CRDT, as it is", "20"),
    ("Pruned, 1,000", "memory", "1.15"),
    ("Pruned, 1,000", "both packed, as they lie and travel", "20"),
    ("Reading, 100,000", "the last 50 messages", "1"),
    ("Reading, 100,000", "50 messages in the middle", "5"),
    ("Reading, 100,000", "search: a frequent word", "20"),
    ("Reading, 100,000", "search: a rare word", "20"),
    ("Reading, 100,000", "search: the beginning of many words", "20"),
    ("Core, 100", "size", "0.05"),
    ("Core, 100", "load", "2"),
    ("Core, 100", "memory", "0.2"),
];

fn target(of: &str, name: &str) -> Option<&'static str> {
    let fits = |entry: &&(&str, &str, &str)| of.starts_with(entry.0) && name == entry.1;
    TARGETS.iter().find(fits).map(|(_, _, target)| *target)
}

/// A number with its thousands parted, for titles.
pub(crate) fn parted(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_the_middle_the_least_and_the_most_of_each_figure() {
        let repetition = |told, wire| vec![figure("told, median", "ms", told), figure("wire", "bytes", wire)];
        let summaries =
            summarize("W1: all", &[repetition(3.0, 9.0), repetition(1.0, 7.0), repetition(2.0, 8.0)]);
        let all: Vec<_> = summaries.iter().map(|s| (s.name, s.median, s.least, s.most, s.target)).collect();
        assert_eq!(all, [("told, median", 2.0, 1.0, 3.0, Some("0.45")), ("wire", 8.0, 7.0, 9.0, None)]);
    }

    #[test]
    fn percentiles_of_a_hundred_are_its_values() {
        let values: Vec<f64> = (0..100).rev().map(f64::from).collect();
        assert_eq!([0, 50, 99, 100].map(|percent| percentile(&values, percent)), [0.0, 50.0, 99.0, 99.0]);
        assert_eq!(percentile(&[], 50), 0.0);
    }

    #[test]
    fn thousands_are_parted() {
        assert_eq!(
            [7, 999, 1000, 100_000, 1_234_567].map(parted),
            ["7", "999", "1,000", "100,000", "1,234,567"]
        );
    }
}
