//! What stands out, what to do about it, what that would save, and the operations that prove it.

use maud::{Markup, html};
use taximeter::history::{Advised, PerMonth};
use taximeter::report::{money, seconds};
use taximeter::{Advice, Finding};

use super::words::encoded;

pub(super) fn page(advised: &Advised) -> Markup {
    let all = advised.optimization_suggestions.iter().zip(&advised.per_month);
    html! {
        h1 { "Advice" }
        p.period { "By " (advised.looked_at) }
        section.card {
            h2 { "What to do" }
            @if advised.optimization_suggestions.is_empty() { p { "There is nothing to advise." } }
            ol { @for (advice, per_month) in all { (suggestion(advice, per_month.as_ref())) } }
        }
        section.card {
            h2 { "What stands out" }
            @if advised.bottlenecks.is_empty() { p { "Nothing stands out." } }
            ul { @for finding in &advised.bottlenecks { (stands_out(finding)) } }
        }
    }
}

fn suggestion(advice: &Advice, per_month: Option<&PerMonth>) -> Markup {
    html! {
        li {
            p { (advice.text) }
            @if let Some(saved) = per_month {
                p.note {
                    "saves "
                    @if let Some(usd) = saved.usd { (money(usd)) " a month " }
                    @if let Some(time) = saved.seconds { (seconds(time)) " of waiting a month" }
                }
            }
            @if let Some(saving) = &advice.saving { p.note { "if " (saving.assuming) } }
            @if !advice.verify.is_empty() { p.note { "To see whether it helped: " (advice.verify) } }
            (proofs(&advice.because))
        }
    }
}

fn stands_out(finding: &Finding) -> Markup {
    html! { li { p { (finding) } (proofs(finding)) } }
}

fn proofs(finding: &Finding) -> Markup {
    html! {
        @if !finding.evidence.is_empty() {
            p.look {
                "Proved by "
                @for (at, id) in finding.evidence.iter().take(3).enumerate() {
                    @if at > 0 { ", " }
                    a href=(format!("/operations/{}", encoded(&id.to_string()))) { (id) }
                }
            }
        }
    }
}
