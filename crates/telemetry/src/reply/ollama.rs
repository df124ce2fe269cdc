//! Ollama's own API: the whole reply, and the lines of a streamed one, of which the last has the counts.

use std::time::Duration;

use serde_json::Value;
use taximeter_models::TokenUsage;

use super::draft::{Counted, Draft, Made, Makes, Stage, Summary, newer};
use super::part::Part;

pub(super) fn add(draft: &mut Draft, event: Part<'_>) {
    newer(&mut draft.model, event.at("model"));
    newer(&mut draft.finish_reason, event.at("done_reason"));
    let message = event.at("message");
    for call in message.at("tool_calls").list().iter().map(Part::of) {
        let place = (0, draft.next_in(0));
        draft.tool(place, call.at("function").at("name"), call.at("id"));
        draft.made(Made::Token, true);
    }
    for part in [event, message] {
        draft.made(Made::Token, part.at("thinking").text().is_some());
        let text = part.at("content").text().or(part.at("response").text());
        draft.made(Made::Content, text.is_some());
    }
    draft.reached(Stage::Closed, event.at("done").value() == Some(&Value::Bool(true)));
    if event.at("embeddings").is_there() {
        draft.makes = Makes::Vectors;
    }
    draft.report_fields(event, &COUNTS);
    if event.at("total_duration").is_there() {
        times(draft, event);
    }
}

const COUNTS: [&str; 2] = ["prompt_eval_count", "eval_count"];

fn times(draft: &mut Draft, event: Part<'_>) {
    let nanos = |field| event.at(field).whole().map(Duration::from_nanos);
    let times = &mut draft.times;
    times.load = nanos("load_duration");
    times.prompt = nanos("prompt_eval_duration");
    times.output = nanos("eval_duration");
    times.total = nanos("total_duration");
}

pub(super) fn summary(usage: Part<'_>, makes: Makes) -> Summary {
    Summary::of(counted(usage, makes))
}

/// Half of a usage is none: older servers leave the count of a prompt out that they had in their cache.
fn counted(usage: Part<'_>, makes: Makes) -> Counted {
    let made = usage.count("eval_count")?.or((makes == Makes::Vectors).then_some(0));
    let prompt = usage.count("prompt_eval_count")?;
    Ok(prompt.zip(made).map(|(prompt, made)| TokenUsage::inclusive(prompt, made)))
}
