//! How far the numbers can be trusted, and what was done with what came.

use maud::{Markup, html};
use taximeter::history::Health;
use taximeter::report::{count, counted};

use super::words::{NONE, instant};
use crate::inbox::Receiving;

pub(super) fn page(health: &Health, receiving: Option<&Receiving>) -> Markup {
    html! {
        h1 { "Data health" }
        section.card {
            h2 { "Stored" }
            dl {
                dt { "Operations stored" } dd { (count(health.operations)) }
                dt { "The first began" } dd { @match health.first_at { Some(at) => (instant(at)), None => (NONE) } }
                dt { "The last began" } dd { @match health.last_at { Some(at) => (instant(at)), None => (NONE) } }
                dt { "Size" } dd { (count(health.bytes)) " bytes" }
                dt { "Came twice, and count once" } dd { (count(health.known_again)) }
                dt { "Damaged records" } dd { (count(health.damaged)) }
                dt { "Calls without a price" } dd { (count(health.unpriced_calls)) }
                dt { "Calls without usage" } dd { (count(health.calls_without_usage)) }
                dt { "Calls whose cost is estimated" } dd { (count(health.estimated_calls)) }
                dt { "Prices as of" } dd { @match health.prices_as_of { Some(day) => (day), None => (NONE) } }
            }
            @if let Some(late) = health.late_book {
                p.failure { "The prices are " (counted(u64::try_from(late.days).unwrap_or(0), "day")) " older than the last operation." }
            }
        }
        (losses(health))
        @match receiving {
            Some(receiving) => (received(receiving)),
            None => section.card { h2 { "Received" } p { "This server takes no telemetry; it shows what is stored." } },
        }
    }
}

/// What meters that write to the store say of what they could not keep.
fn losses(health: &Health) -> Markup {
    let losses = &health.losses;
    html! {
        section.card {
            h2 { "Lost by meters" }
            dl {
                dt { "Meters that wrote here" } dd { (count(losses.meters)) }
                dt { "Operations offered to them" } dd { (count(losses.offered)) }
                dt { "Stored" } dd { (count(losses.stored)) }
                dt { "In flight, or gone with a process" } dd { (count(losses.in_flight)) }
                dt { "Lost" } dd { (count(losses.lost)) }
                @for (reason, lost) in &losses.lost_by_reason {
                    dt { "Lost: " (reason) } dd { (count(*lost)) }
                }
            }
        }
    }
}

fn received(receiving: &Receiving) -> Markup {
    let refused = receiving.refused_requests;
    html! {
        section.card {
            h2 { "Received since " (instant(receiving.since)) }
            dl {
                dt { "Requests acknowledged" } dd { (count(receiving.requests)) }
                dt { "Requests refused" } dd { (count(refused)) " of " (count(receiving.requests + refused)) }
                dt { "Spans" } dd { (count(receiving.spans)) }
                dt { "Log records of calls" } dd { (count(receiving.logs)) }
                dt { "Points of metrics" } dd { (count(receiving.points)) }
                dt { "Rejected, and the client told so" } dd { (count(receiving.rejected)) }
                dt { "Came twice, and count once" } dd { (count(receiving.duplicates)) }
                dt { "Spans that have nothing to do with LLMs" } dd { (count(receiving.unrelated_spans)) }
                dt { "Spans after their trace was stored" } dd { (count(receiving.late_spans)) }
                dt { "Traces stored early, as too many waited" } dd { (count(receiving.closed_early)) }
                dt { "Points of metrics dropped, as too many waited" } dd { (count(receiving.dropped_points)) }
                dt { "Operations made of all that" } dd { (count(receiving.operations)) }
                dt { "Operations that no store can hold" } dd { (count(receiving.unstorable_operations)) }
            }
        }
        section.card {
            h2 { "Waiting" }
            dl {
                dt { "Traces that are not whole yet" } dd { (count(receiving.waiting_traces)) }
                dt { "Their spans" } dd { (count(receiving.waiting_spans)) }
                dt { "Operations that could not be stored yet" } dd { (count(receiving.unstored_operations)) }
                dt { "Requests in the journal" } dd { (count(receiving.journal_requests)) }
                dt { "Size of the journal" } dd { (count(receiving.journal_bytes)) " bytes" }
            }
        }
    }
}
