//! Replies as providers send them, one for each shape and each trap, and what they must come to.

#![allow(
    clippy::too_many_lines,
    clippy::format_collect,
    clippy::format_push_string,
    reason = "a table is as long as its rows, and tests need not be fast"
)]

mod anthropic;
mod bedrock;
mod dialects;
mod endpoints;
mod errors;
mod framing;
mod gemini;
mod ollama;
mod openai;
mod streams;

use serde_json::Value;

use super::{Dialect, Reply, read};

/// The buckets of a usage as text, such as `input 3, output 4`; `unknown`, or the error.
fn usage_of(reply: &Reply) -> String {
    match &reply.usage {
        None => "unknown".to_owned(),
        Some(Err(error)) => error.to_string(),
        Some(Ok(usage)) => {
            let mut buckets: Vec<_> = usage.iter().collect();
            buckets.sort();
            let buckets: Vec<_> =
                buckets.iter().map(|(unit, count)| format!("{unit} {count}")).collect();
            buckets.join(", ")
        }
    }
}

/// Checks that a reply is told to be of a dialect, and what its usage comes to.
fn check(what: &str, reply: &Value, dialect: Dialect, usage: &str) -> Reply {
    let reply = read(reply);
    assert_eq!(reply.dialect, dialect, "{what}");
    assert_eq!(usage_of(&reply), usage, "{what}");
    reply
}

/// What a reply says of its end: model, finish reason, tier, tools, cost.
fn said(reply: &Reply) -> [String; 5] {
    let text = |name: &Option<taximeter_models::Name>| name.as_deref().unwrap_or("-").to_owned();
    let tools: Vec<_> = reply.tools.iter().map(|tool| tool.name.to_string()).collect();
    [
        text(&reply.model),
        text(&reply.finish_reason),
        text(&reply.service_tier),
        tools.join(" "),
        reply.cost.map_or("-".to_owned(), |cost| cost.total.to_string()),
    ]
}
