//! OpenAI's Responses API: the whole reply, and the events of a streamed one.

use super::draft::{Draft, Item, Made, Stage, newer};
use super::part::Part;

/// Whether this is a reply of the Responses API or an event of one.
pub(super) fn speaks(event: Part<'_>) -> bool {
    let kind = event.at("type").text().unwrap_or_default();
    event.at("object").text() == Some("response") || kind.starts_with("response.")
}

pub(super) fn add(draft: &mut Draft, event: Part<'_>) {
    let Some(kind) = event.at("type").text() else { return add_whole(draft, event) };
    if event.at("response").is_there() {
        add_whole(draft, event.at("response"));
        let closing = ["response.completed", "response.incomplete", "response.failed"];
        draft.reached(Stage::Closed, closing.contains(&kind));
    }
    if kind == "response.output_item.done" {
        add_item(draft, event.at("output_index").whole().unwrap_or_default(), event.at("item"));
    }
    draft.made(Made::Content, kind == "response.output_text.delta");
    draft.made(Made::Token, kind.rsplit('.').next() == Some("delta"));
}

fn add_whole(draft: &mut Draft, reply: Part<'_>) {
    newer(&mut draft.id, reply.at("id"));
    newer(&mut draft.model, reply.at("model"));
    newer(&mut draft.service_tier, reply.at("service_tier"));
    draft.report(reply.at("usage"));
    for (place, item) in reply.at("output").list().iter().enumerate() {
        add_item(draft, place as u64, Part::of(item));
    }
    // There is no finish reason: what says it is why the reply is incomplete, or that it is not.
    match reply.at("status").text() {
        Some("completed") => newer(&mut draft.finish_reason, reply.at("status")),
        Some("incomplete") => {
            newer(&mut draft.finish_reason, reply.at("incomplete_details").at("reason"));
        }
        Some("failed" | "cancelled") => {}
        _ => return,
    }
    draft.reached(Stage::Finished, true);
}

/// A call that the LLM asked for, or one that the provider made. Of the web's, those that search are billed, and those
/// that open what was found are not.
fn add_item(draft: &mut Draft, place: u64, item: Part<'_>) {
    let place = (place, 0);
    match item.at("type").text() {
        Some("function_call" | "custom_tool_call" | "mcp_call") => {
            draft.tool(place, item.at("name"), item.at("call_id"));
        }
        Some("web_search_call") => {
            if matches!(item.at("action").at("type").text(), Some("search") | None) {
                draft.item(place, Item::WebSearch);
            }
        }
        Some("file_search_call") => draft.item(place, Item::StorageSearch),
        _ => {}
    }
}
