//! How far the numbers can be trusted.

use maud::{Markup, html};
use taximeter::history::Health;
use taximeter::report::{count, counted};

use super::words::{NONE, instant};

pub(super) fn page(health: &Health) -> Markup {
    html! {
        h1 { "Data health" }
        section.card {
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
    }
}
