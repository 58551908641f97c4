//! One operation of the API: where it is, who carries it out, and what that one takes and gives.
//!
//! The table of all operations is in `routes`; the router and the document of `openapi` both come from
//! it. What is told of an operation is read off the types of its handler: each type that a handler
//! takes is a [`Part`], what it gives is an [`Answer`]. Invariant: nothing is served untold.

use axum::extract::{Path, Query, State};
use axum::handler::Handler;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Sse;
use axum::routing::{MethodFilter, MethodRouter, on};
use axum::{Json, Router};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::Api;
use super::body::Body;
use super::error::Problem;
use super::events::Event;
use super::issue_file::{IssueFile, Upload};
use super::pictures::{Png, Svg};
use super::progress::{LINES, Line, Long};
use super::revision::{REVISION_DIGITS, Seen};

/// JSON that nobody on the way may keep.
pub type Unkept<T> = ([(HeaderName, &'static str); 1], Json<T>);

/// A page of text.
pub type Page = ([(HeaderName, &'static str); 1], String);

/// One operation.
pub struct Operation {
    /// `get`, `post`, `put`, `patch` or `delete`.
    pub(super) method: &'static str,
    /// The whole path, its parameters in braces.
    pub(super) path: String,
    /// What it does, in one sentence without its point.
    pub(super) summary: &'static str,
    /// The handler with the module that it is in.
    pub(super) handler: &'static str,
    /// What its types tell.
    pub(super) tell: fn(&mut SchemaGenerator) -> Told,
    carry_out: MethodRouter<Api>,
}

/// What the types of a handler tell of it.
#[derive(Debug, Default)]
pub struct Told {
    /// Parameters beside those in the path.
    pub(super) parameters: Vec<Value>,
    /// The schema of the body.
    pub(super) body: Option<Schema>,
    /// The status of success, if it is not 200.
    pub(super) status: Option<StatusCode>,
    /// What is given, by its media type.
    pub(super) content: Map<String, Value>,
}

/// What a handler takes.
pub trait Part {
    /// Tells what a request can bring.
    fn tell(told: &mut Told, schemas: &mut SchemaGenerator);
}

/// What a handler gives.
pub trait Answer {
    /// Tells what an answer brings.
    fn tell(told: &mut Told, schemas: &mut SchemaGenerator);
}

/// A handler whose types tell what it takes and gives.
pub trait Telling<T> {
    /// What they tell.
    fn told(schemas: &mut SchemaGenerator) -> Told;
}

macro_rules! telling {
    ($($part:ident),*) => {
        impl<F, Doing, Given, M, $($part),*> Telling<(M, $($part,)*)> for F
        where
            F: Fn($($part),*) -> Doing,
            Doing: Future<Output = Given>,
            Given: Answer,
            $($part: Part),*
        {
            fn told(schemas: &mut SchemaGenerator) -> Told {
                let mut told = Told::default();
                $($part::tell(&mut told, schemas);)*
                Given::tell(&mut told, schemas);
                told
            }
        }
    };
}

telling!(A);
telling!(A, B);
telling!(A, B, C);
telling!(A, B, C, D);

/// Operations below one path.
pub struct Table {
    below: &'static str,
    operations: Vec<Operation>,
}

impl Table {
    /// No operations yet.
    pub(super) fn below(path: &'static str) -> Table {
        Table { below: path, operations: Vec::new() }
    }

    pub(super) fn get<H: Handler<T, Api> + Telling<T>, T: 'static>(
        self,
        path: &str,
        summary: &'static str,
        handler: H,
    ) -> Table {
        self.with((MethodFilter::GET, "get"), path, summary, handler)
    }

    pub(super) fn post<H: Handler<T, Api> + Telling<T>, T: 'static>(
        self,
        path: &str,
        summary: &'static str,
        handler: H,
    ) -> Table {
        self.with((MethodFilter::POST, "post"), path, summary, handler)
    }

    pub(super) fn put<H: Handler<T, Api> + Telling<T>, T: 'static>(
        self,
        path: &str,
        summary: &'static str,
        handler: H,
    ) -> Table {
        self.with((MethodFilter::PUT, "put"), path, summary, handler)
    }

    pub(super) fn patch<H: Handler<T, Api> + Telling<T>, T: 'static>(
        self,
        path: &str,
        summary: &'static str,
        handler: H,
    ) -> Table {
        self.with((MethodFilter::PATCH, "patch"), path, summary, handler)
    }

    pub(super) fn delete<H: Handler<T, Api> + Telling<T>, T: 'static>(
        self,
        path: &str,
        summary: &'static str,
        handler: H,
    ) -> Table {
        self.with((MethodFilter::DELETE, "delete"), path, summary, handler)
    }

    fn with<H: Handler<T, Api> + Telling<T>, T: 'static>(
        mut self,
        (filter, method): (MethodFilter, &'static str),
        path: &str,
        summary: &'static str,
        handler: H,
    ) -> Table {
        self.operations.push(Operation {
            method,
            path: format!("{}{path}", self.below),
            summary,
            handler: std::any::type_name::<H>(),
            tell: <H as Telling<T>>::told,
            carry_out: on(filter, handler),
        });
        self
    }

    /// All of them.
    pub(super) fn operations(self) -> Vec<Operation> {
        self.operations
    }
}

/// What carries operations out.
pub(super) fn router(operations: Vec<Operation>) -> Router<Api> {
    operations.into_iter().fold(Router::new(), |router, one| router.route(&one.path, one.carry_out))
}

impl Told {
    pub(super) fn parameter(
        &mut self,
        place: &str,
        name: &str,
        description: &str,
        is_required: bool,
        schema: Value,
    ) {
        self.parameters.push(json!({
            "name": name, "in": place, "description": description, "required": is_required, "schema": schema,
        }));
    }

    fn gives(&mut self, media: &str, schema: impl Into<Value>) {
        self.content.insert(media.to_owned(), json!({"schema": schema.into()}));
    }
}

impl Part for State<Api> {
    fn tell(_: &mut Told, _: &mut SchemaGenerator) {}
}

/// The path itself names its parameters.
impl<T> Part for Path<T> {
    fn tell(_: &mut Told, _: &mut SchemaGenerator) {}
}

/// What a client accepts is told with the answer.
impl Part for HeaderMap {
    fn tell(_: &mut Told, _: &mut SchemaGenerator) {}
}

impl<T: JsonSchema> Part for Query<T> {
    fn tell(told: &mut Told, schemas: &mut SchemaGenerator) {
        let schema = T::json_schema(schemas);
        let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        let fields = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        for (name, mut field) in fields {
            let description = field.as_object_mut().and_then(|field| field.remove("description"));
            let description = description.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
            let is_required = required.iter().any(|one| *one == name);
            told.parameter("query", &name, &description, is_required, field);
        }
    }
}

impl Part for Seen {
    fn tell(told: &mut Told, _: &mut SchemaGenerator) {
        let description = "The `revision` seen last: if another is there now, nothing is changed, and status 412 \
                           comes with it as `present`.";
        let pattern = format!("^\"[0-9a-f]{{{REVISION_DIGITS}}}\"$");
        told.parameter(
            "header",
            "If-Match",
            description,
            false,
            json!({"type": "string", "pattern": pattern}),
        );
    }
}

impl<T: JsonSchema> Part for Body<T> {
    fn tell(told: &mut Told, schemas: &mut SchemaGenerator) {
        told.body = Some(schemas.subschema_for::<T>());
    }
}

impl Part for Upload {
    fn tell(told: &mut Told, schemas: &mut SchemaGenerator) {
        told.body = Some(schemas.subschema_for::<IssueFile>());
    }
}

impl<A: Answer> Answer for Result<A, Problem> {
    fn tell(told: &mut Told, schemas: &mut SchemaGenerator) {
        A::tell(told, schemas);
    }
}

impl<T: JsonSchema> Answer for Json<T> {
    fn tell(told: &mut Told, schemas: &mut SchemaGenerator) {
        let schema = schemas.subschema_for::<T>();
        told.gives("application/json", schema);
    }
}

/// Such an answer says that something is under way.
impl<T: JsonSchema> Answer for (StatusCode, Json<T>) {
    fn tell(told: &mut Told, schemas: &mut SchemaGenerator) {
        told.status = Some(StatusCode::ACCEPTED);
        Json::<T>::tell(told, schemas);
    }
}

impl<T: JsonSchema> Answer for Unkept<T> {
    fn tell(told: &mut Told, schemas: &mut SchemaGenerator) {
        Json::<T>::tell(told, schemas);
    }
}

impl Answer for Page {
    fn tell(told: &mut Told, _: &mut SchemaGenerator) {
        told.gives("text/plain", json!({"type": "string"}));
    }
}

impl Answer for Svg {
    fn tell(told: &mut Told, _: &mut SchemaGenerator) {
        told.gives(Svg::KIND, json!({"type": "string"}));
    }
}

impl Answer for Png {
    fn tell(told: &mut Told, _: &mut SchemaGenerator) {
        told.gives(Png::KIND, json!({"type": "string", "format": "binary"}));
    }
}

impl<T: JsonSchema> Answer for Long<T> {
    fn tell(told: &mut Told, schemas: &mut SchemaGenerator) {
        Json::<T>::tell(told, schemas);
        let schema = schemas.subschema_for::<Line<T>>();
        told.gives(LINES, schema);
    }
}

/// Each event's data is one value.
impl<S> Answer for Sse<S> {
    fn tell(told: &mut Told, schemas: &mut SchemaGenerator) {
        let schema = schemas.subschema_for::<Event>();
        told.gives("text/event-stream", schema);
    }
}
