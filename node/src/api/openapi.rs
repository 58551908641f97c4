//! The document that describes the API to programs: OpenAPI 3.1, made of the table of all operations.
//!
//! Clients are made from it, so a name in it is a promise like the paths themselves.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use axum::Json;
use axum::extract::State;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::error::Problem;
use super::operation::Operation;
use super::{Api, routes};

/// Where schemas stand in the document.
const SCHEMAS: &str = "/components/schemas";

/// `GET /api/v1/openapi.json`
pub async fn show(State(_): State<Api>) -> Json<Map<String, Value>> {
    Json(document().as_object().cloned().unwrap_or_default())
}

/// The document.
pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| describe(&routes::all()))
}

fn describe(operations: &[Operation]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = SCHEMAS.into());
    let mut schemas = settings.into_generator();
    let problem = schemas.subschema_for::<Problem>();
    let (mut paths, mut names) = (Map::new(), BTreeSet::new());
    for operation in operations {
        let mut described = describe_one(operation, &mut schemas);
        // One handler that serves two paths gives its name to the first.
        let name = name_of(operation.handler);
        if let Some(described) = described.as_object_mut().filter(|_| names.insert(name.clone())) {
            described.insert("operationId".into(), name.into());
        }
        let path = paths.entry(operation.path.clone()).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(operation.method.into(), described);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Fourword, the local API of a node",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "On the unix socket of a node's home, and on a loopback port with the token beside it.",
        },
        "paths": paths,
        "security": [{"token": []}],
        "components": {
            "schemas": schemas.take_definitions(true),
            "responses": {
                "problem": {
                    "description": "It was not done.",
                    "content": {"application/problem+json": {"schema": problem}},
                },
            },
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Of the file `api-token`; the unix socket asks for none.",
                },
            },
        },
    })
}

fn describe_one(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let told = (operation.tell)(schemas);
    let status = told.status.map_or(200, |status| status.as_u16()).to_string();
    let mut parameters: Vec<Value> = in_path(&operation.path).map(parameter).collect();
    parameters.extend(told.parameters);
    let mut described = json!({
        "summary": operation.summary,
        "tags": [tag_of(operation.handler)],
        "parameters": parameters,
        "responses": {
            status: {"description": "It is done.", "content": told.content},
            "default": {"$ref": "#/components/responses/problem"},
        },
    });
    if let (Some(body), Some(described)) = (told.body, described.as_object_mut()) {
        let content = json!({"application/json": {"schema": body}});
        described.insert("requestBody".into(), json!({"required": true, "content": content}));
    }
    described
}

/// The names in braces of a path.
fn in_path(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn parameter(name: &str) -> Value {
    let description = match name {
        "words" => "The four words.",
        "who" => "A person: four words, the name shown, or the first digits of the id.",
        "device" => "The first digits of a device's key.",
        "key" => "The first digits of an invite's key.",
        "emoji" => "A short text, usually one emoji.",
        "column" => "A column's id, the first letters of it, or its title if only one has it.",
        _ => "An id, or the first letters of what is random in it.",
    };
    json!({
        "name": name, "in": "path", "required": true, "description": description, "schema": {"type": "string"},
    })
}

/// The module of a handler, which is the noun that it is about.
fn tag_of(handler: &str) -> &str {
    handler.rsplit("::").nth(1).unwrap_or_default()
}

/// What programs call an operation: `boards_show`.
fn name_of(handler: &str) -> String {
    let name = handler.rsplit("::").next().unwrap_or_default();
    format!("{}_{name}", tag_of(handler))
}
