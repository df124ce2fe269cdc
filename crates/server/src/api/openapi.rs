//! The document of `OpenAPI` 3.1, made out of the types that are served.
//!
//! `TAXIMETER_WRITE=1 cargo test -p taximeter-server openapi` writes it anew, and the difference is what changed for
//! clients.

use std::path::Path;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use taximeter::history::{
    Advised, Compared, Found, Metrics, ObjectiveKept, Outlook, Report, Sessions, Shown, Trend,
};
use taximeter_alerts::{Backtest, Overview};

use super::alerts::Which;
use super::answers::{Healthy, Promise, Sides};
use super::lists::{Format, Groups, Operations};
use super::own::OneMetric;
use super::sql::{Question, Table};
use super::{OPENAPI, Problem, table};
use crate::alerts::{Budgets, Trial};
use crate::questions::Filter;

/// What an answer is.
enum Answer {
    Json(fn(&mut SchemaGenerator) -> Schema),
    /// The same, or as CSV.
    List(fn(&mut SchemaGenerator) -> Schema),
    Other(&'static str),
}

/// What is told of a path: a sentence, what may be asked for, what is answered.
type Told = (&'static str, &'static [&'static str], Answer);

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn told(path: &str) -> Told {
    use Answer::{Json, List, Other};
    match path {
        "/api/v1/report" => (
            "The first screen of a period; as CSV where the time goes in each step.",
            &["since", "only", "by", "budget", "format"],
            List(of::<Report>),
        ),
        "/api/v1/operations" => (
            "Operations, a line each.",
            &["since", "only", "order", "limit", "format"],
            List(of::<Operations>),
        ),
        "/api/v1/operations/{id}" => ("One operation taken apart.", &["id"], Json(of::<Shown>)),
        "/api/v1/groups" => (
            "The numbers of each operation, LLM, tool, user, tag, day and so on.",
            &["since", "only", "by", "format"],
            List(of::<Groups>),
        ),
        "/api/v1/sessions" => (
            "The dearest, slowest or newest sessions, or users.",
            &["since", "only", "by", "order", "limit", "format"],
            List(of::<Sessions>),
        ),
        "/api/v1/search" => (
            "What an id, a trace, a name or the words of an error lead to.",
            &["q", "since"],
            Json(of::<Found>),
        ),
        "/api/v1/trend/{operation}" => (
            "How an operation did, since when it is another, and why; as CSV its measures.",
            &["operation", "since", "only", "format"],
            List(of::<Trend>),
        ),
        "/api/v1/advice" => {
            ("What stands out, and what to do.", &["since", "only"], Json(of::<Advised>))
        }
        "/api/v1/forecast" => (
            "What comes, by day or hour; as CSV its steps.",
            &["only", "by", "limit", "budget", "format"],
            List(of::<Outlook>),
        ),
        "/api/v1/slo" => (
            "Whether a promise is kept, and how fast the rest of it goes.",
            &["target", "within", "window", "only"],
            Json(of::<ObjectiveKept>),
        ),
        "/api/v1/metrics" => (
            "The numbers of operations' own, and the metrics of programs' own.",
            &["since", "only", "format"],
            List(of::<Metrics>),
        ),
        "/api/v1/metrics/{name}" => {
            ("One of these over time.", &["name", "since", "only", "by"], Json(of::<OneMetric>))
        }
        "/api/v1/alerts" => {
            let parameters = &["table", "format"];
            ("The rules, what fires, and what was told.", parameters, List(of::<Overview>))
        }
        "/api/v1/alerts/backtest" => {
            ("What a rule would have done.", &["rule", "toml", "over"], Json(of::<Backtest>))
        }
        "/api/v1/budgets" => ("What is left of each budget.", &["format"], List(of::<Budgets>)),
        "/api/v1/compare" => ("Two sides of a period.", &["a", "b", "since"], Json(of::<Compared>)),
        "/api/v1/health" => (
            "How far the numbers can be trusted, and what was done with what came.",
            &["since"],
            Json(of::<Healthy>),
        ),
        "/api/v1/sql" => ("One question in SQL that reads.", &[], Json(of::<Table>)),
        "/api/v1/openapi.json" => ("This document.", &[], Other("application/json")),
        "/events" => ("An event whenever something was stored.", &[], Other("text/event-stream")),
        "/metrics" => ("Operations and the server, for Prometheus.", &[], Other("text/plain")),
        "/healthz" => ("Whether the server lives.", &[], Other("text/plain")),
        "/readyz" => ("Whether the store can be read.", &[], Other("text/plain")),
        path => panic!("{path} is served and not told of"),
    }
}

fn document() -> Value {
    let settings = || {
        SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
    };
    let mut answers = settings().for_serialize().into_generator();
    let mut questions = settings().for_deserialize().into_generator();
    let mut paths = Map::new();
    for (path, _) in table() {
        let method = if path == "/api/v1/sql" { "post" } else { "get" };
        paths.insert(
            path.to_owned(),
            json!({ method: operation(path, &mut answers, &mut questions) }),
        );
    }
    let mut schemas = answers.take_definitions(true);
    schemas.extend(questions.take_definitions(true));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "taximeter",
            "version": "1",
            "description": "What LLM applications spend, and how they do. Amounts of money are exact and are texts; an amount \
                that is not known is left out of sums, and counted beside them. What is served under /api/v1 keeps its \
                fields and their meaning; further fields may come.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "security": [{}, { "bearer": [] }, { "basic": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "basic": { "type": "http", "scheme": "basic", "description": "The token is the password; the name may be any." },
            },
        },
    })
}

fn operation(path: &str, answers: &mut SchemaGenerator, questions: &mut SchemaGenerator) -> Value {
    let (summary, parameters, answer) = told(path);
    let content = match answer {
        Answer::Json(schema) => json!({ "application/json": { "schema": schema(answers) } }),
        Answer::List(schema) => json!({
            "application/json": { "schema": schema(answers) },
            "text/csv": { "schema": { "type": "string" } },
        }),
        Answer::Other("application/json") => {
            json!({ "application/json": { "schema": { "type": "object" } } })
        }
        Answer::Other(kind) => json!({ kind: { "schema": { "type": "string" } } }),
    };
    let problem = json!({
        "description": "There is no answer; `detail` says why.",
        "content": { "application/problem+json": { "schema": of::<Problem>(answers) } },
    });
    let name = path.trim_start_matches("/api/v1").replace(['/', '{', '}', '.'], " ");
    let id = name.split_whitespace().collect::<Vec<_>>().join("_");
    let mut operation = json!({
        "operationId": id,
        "summary": summary,
        "parameters": parameters.iter().map(|name| parameter(path, name)).collect::<Vec<_>>(),
        "responses": { "200": { "description": summary, "content": content } },
    });
    if path.starts_with("/api/") {
        operation["responses"]["default"] = problem;
    }
    if path == "/api/v1/sql" {
        let schema = of::<Question>(questions);
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    operation
}

/// A parameter, as the type that reads it tells.
fn parameter(path: &str, name: &str) -> Value {
    if path.contains(&format!("{{{name}}}")) {
        let description = match name {
            "id" => "The id of an operation, or its first characters where no other has them.",
            "name" => "The name of a metric.",
            _ => "The name of an operation.",
        };
        let schema = json!({ "type": "string" });
        return json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema });
    }
    let types = [
        schemars::schema_for!(Filter),
        schemars::schema_for!(Format),
        schemars::schema_for!(Sides),
        schemars::schema_for!(Promise),
        schemars::schema_for!(Trial),
        schemars::schema_for!(Which),
    ];
    let found = types.iter().find_map(|one| Some((one, one.get("properties")?.get(name)?)));
    let (of, told) = found.unwrap_or_else(|| panic!("{name} is read by nothing"));
    let required = of.get("required").and_then(Value::as_array);
    let required = required.is_some_and(|required| required.iter().any(|one| one == name));
    let kind = match name {
        "limit" => json!({ "type": "integer", "minimum": 0 }),
        "target" => json!({ "type": "number" }),
        _ => json!({ "type": "string" }),
    };
    json!({
        "name": name, "in": "query", "required": required, "description": told["description"], "schema": kind,
    })
}

#[test]
fn the_document_is_made_of_what_is_served() {
    let mut made = serde_json::to_string_pretty(&document()).expect("it is JSON");
    made.push('\n');
    if std::env::var_os("TAXIMETER_WRITE").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api/openapi.json");
        std::fs::write(path, made).expect("the document can be written");
        return;
    }
    let kept: Value = serde_json::from_str(OPENAPI).expect("it is JSON");
    let made: Value = serde_json::from_str(&made).expect("it is JSON");
    assert_eq!(
        kept, made,
        "what is served changed; write src/api/openapi.json anew: TAXIMETER_WRITE=1 cargo test -p taximeter-server openapi"
    );
}
