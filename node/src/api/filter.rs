//! Filters in queries: which cards and issues are asked for.
//!
//! A filter is a table of [`Slot`]s. The reader of queries and the document of `openapi` both come from
//! it, so nothing is taken untold. Invariant: a query is bounded before the machine sees it.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use fourword_protocol::command::{CardFilter, IssueFilter, ThingFilter};
use fourword_protocol::limits::NAME_BYTES_MAX;
use fourword_protocol::schema::field::is_day;
use schemars::SchemaGenerator;
use serde_json::{Value, json};

use super::error::Problem;
use super::operation::{Part, Told};
use super::things::PageQuery;

/// Values of one filter: there are fewer statuses, and a page offers fewer labels.
pub const VALUES_MAX: usize = 16;

/// What a query asks for. What may be given several times is repeated: `label=wet&label=house`.
#[derive(Clone, Debug, Default)]
pub struct Asked<F>(pub F);

/// Things that fit, a page of them at once.
#[derive(Clone, Debug, Default)]
pub struct Paged<F> {
    pub(super) filter: F,
    pub(super) page: PageQuery,
}

/// Where a value of a query goes.
pub enum Slot<'a> {
    /// Any text.
    Text(&'a mut String),
    /// Any text, even an empty one, which is not the same as none.
    Name(&'a mut Option<String>),
    /// At most [`VALUES_MAX`] texts.
    Names(&'a mut Vec<String>),
    /// Yes or no.
    Flag(&'a mut Option<bool>),
    /// A day of the calendar.
    Day(&'a mut Option<String>),
    /// How many.
    Count(&'a mut Option<usize>),
}

/// A parameter: its name, what it says, and where its value goes.
type Parameter<'a> = (&'static str, &'static str, Slot<'a>);

/// What can be asked for by a query.
pub trait Filter: Default {
    /// What people call that of which they are asked for.
    const NOUN: &'static str;

    /// All parameters in order.
    fn parameters(&mut self) -> Vec<Parameter<'_>>;
}

impl Filter for CardFilter {
    const NOUN: &'static str = "cards";

    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        let mut own = vec![
            ("column", "They show in this column: its id, or its title.", Slot::Name(&mut self.column)),
            ("due_before", "They are due before this day: `2026-11-30`.", Slot::Day(&mut self.due_before)),
            ("overdue", "Due before today by UTC or not.", Slot::Flag(&mut self.is_overdue)),
        ];
        own.extend(of_thing(&mut self.thing, ("author", "This member made it.")));
        own
    }
}

impl Filter for IssueFilter {
    const NOUN: &'static str = "issues";

    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        let mut own = vec![
            ("status", "One of these statuses.", Slot::Names(&mut self.statuses)),
            ("closed", "Closed or not.", Slot::Flag(&mut self.is_closed)),
        ];
        own.extend(of_thing(&mut self.thing, ("reporter", "This member reported it.")));
        own
    }
}

impl<F: Filter> Filter for Paged<F> {
    const NOUN: &'static str = F::NOUN;

    fn parameters(&mut self) -> Vec<Parameter<'_>> {
        let mut all = self.filter.parameters();
        all.push(("limit", "How many entries at most.", Slot::Count(&mut self.page.limit)));
        all.push(("after", "`next` of the page before.", Slot::Name(&mut self.page.after)));
        all
    }
}

/// What cards and issues have; their author goes by another name in each.
fn of_thing<'a>(
    filter: &'a mut ThingFilter,
    (author, made): (&'static str, &'static str),
) -> [Parameter<'a>; 5] {
    let nobody = "This member is to do it; empty: nobody is.";
    let priorities = "One of these priorities; empty: nobody set one.";
    [
        ("priority", priorities, Slot::Names(&mut filter.priorities)),
        ("assignee", nobody, Slot::Name(&mut filter.assignee)),
        (author, made, Slot::Name(&mut filter.author)),
        ("label", "It has all these labels.", Slot::Names(&mut filter.labels)),
        ("text", "Title or description contain this, in any case.", Slot::Text(&mut filter.text)),
    ]
}

impl Slot<'_> {
    fn schema(&self) -> Value {
        match self {
            Slot::Text(_) | Slot::Name(_) => json!({"type": "string"}),
            Slot::Names(_) => json!({"type": "array", "items": {"type": "string"}, "maxItems": VALUES_MAX}),
            Slot::Flag(_) => json!({"type": "boolean"}),
            Slot::Day(_) => json!({"type": "string", "format": "date"}),
            Slot::Count(_) => json!({"type": "integer", "minimum": 1}),
        }
    }

    fn take(&mut self, name: &str, value: String) -> Result<(), Problem> {
        match self {
            Slot::Text(slot) => **slot = value,
            Slot::Name(slot) => **slot = Some(value),
            Slot::Names(values) if values.len() == VALUES_MAX => {
                return Err(Problem::usage(format!("at most {VALUES_MAX} values of a kind are taken")));
            }
            Slot::Names(values) => values.push(value),
            Slot::Flag(slot) => **slot = Some(read(name, &value, "true or false")?),
            Slot::Day(_) if !is_day(&value) => return Err(unfit(name, &value, "a day such as 2026-11-30")),
            Slot::Day(slot) => **slot = Some(value),
            Slot::Count(slot) => **slot = Some(read(name, &value, "a number")?),
        }
        Ok(())
    }
}

fn read<T: std::str::FromStr>(name: &str, value: &str, what: &str) -> Result<T, Problem> {
    value.parse().map_err(|_| unfit(name, value, what))
}

fn unfit(name: &str, value: &str, what: &str) -> Problem {
    Problem::usage(format!("{name} takes {what}, not {value:?}"))
}

impl<F: Filter> Asked<F> {
    fn read(pairs: Vec<(String, String)>) -> Result<Asked<F>, Problem> {
        let mut filter = F::default();
        let mut slots = filter.parameters();
        for (name, value) in pairs {
            if value.len() > NAME_BYTES_MAX {
                return Err(Problem::usage(format!("{name} takes at most {NAME_BYTES_MAX} bytes")));
            }
            let Some((_, _, slot)) = slots.iter_mut().find(|(known, ..)| *known == name) else {
                let known: Vec<&str> = slots.iter().map(|(known, ..)| *known).collect();
                let (noun, known) = (F::NOUN, known.join(", "));
                return Err(Problem::usage(format!("{noun} are asked for by {known}, not by {name:?}")));
            };
            slot.take(&name, value)?;
        }
        drop(slots);
        Ok(Asked(filter))
    }
}

impl<F: Filter, S: Send + Sync> FromRequestParts<S> for Asked<F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Asked<F>, Problem> {
        let pairs = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(pairs) = pairs.map_err(|refused| Problem::usage(refused.body_text()))?;
        Asked::read(pairs)
    }
}

impl<F: Filter> Part for Asked<F> {
    fn tell(told: &mut Told, _: &mut SchemaGenerator) {
        for (name, description, slot) in F::default().parameters() {
            told.parameter("query", name, description, false, slot.schema());
        }
    }
}
