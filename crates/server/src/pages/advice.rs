//! What stands out, what to do about it, what that would save, the operations that prove it, and whether it helped before.

use maud::{Markup, html};
use taximeter::analysis::{Effect, Remeasured};
use taximeter::history::{AdviceRemeasured, Advised, PerMonth};
use taximeter::report::{self, counted, money, seconds};
use taximeter::{Advice, Estimate, Finding, FindingKind, Money, Saving};

use super::frame::heading;
use super::words::{link, one, ordered};
use crate::questions::Filter;

pub(super) fn page(advised: &Advised, again: Option<&AdviceRemeasured>, filter: &Filter) -> Markup {
    let all = advised.optimization_suggestions.iter().zip(&advised.per_month);
    // What an advice is given for stands with it already.
    let advised_for = |finding: &&Finding| {
        advised.optimization_suggestions.iter().any(|advice| advice.because == **finding)
    };
    let others: Vec<_> =
        advised.bottlenecks.iter().filter(|finding| !advised_for(finding)).collect();
    let json =
        link("/api/v1/advice", filter, &[("by", ""), ("order", ""), ("live", ""), ("compare", "")]);
    html! {
        h1 { "Advice" }
        p.period { (advised.period) ", by " (advised.looked_at) }
        section.card {
            (heading("What to do", &[("JSON", json)]))
            @if advised.optimization_suggestions.is_empty() { p { "There is nothing to advise." } }
            ol.advice { @for (advice, per_month) in all { (suggestion(advice, per_month.as_ref(), filter)) } }
        }
        @if !others.is_empty() {
            section.card {
                h2 { "What else stands out" }
                ul.advice { @for finding in others { li { p { (finding) } (proofs(finding, filter)) } } }
            }
        }
        (helped(again))
    }
}

fn suggestion(advice: &Advice, per_month: Option<&PerMonth>, filter: &Filter) -> Markup {
    html! {
        li {
            p { (advice.text) }
            (saves(per_month))
            @if let Some(saving) = &advice.saving { (range(saving)) }
            @if !advice.verify.is_empty() { p.note { "To see whether it helped: " (advice.verify) } }
            (proofs(&advice.because, filter))
        }
    }
}

/// What an advice saves in a month, in a line.
pub(super) fn saves(per_month: Option<&PerMonth>) -> Markup {
    html! {
        @if let Some(saved) = per_month {
            p.good {
                "saves "
                @if let Some(usd) = saved.usd { (money(usd)) " a month" }
                @if saved.usd.is_some() && saved.seconds.is_some() { ", " }
                @if let Some(time) = saved.seconds { (seconds(time)) " of waiting a month" }
            }
        }
    }
}

fn range(saving: &Saving) -> Markup {
    let usd = |of: Estimate<Money>| {
        format!("{} ({} to {})", money(of.likely), money(of.low), money(of.high))
    };
    let time = |of: Estimate<f64>| {
        format!("{} ({} to {})", seconds(of.likely), seconds(of.low), seconds(of.high))
    };
    html! {
        p.note {
            "By " (counted(saving.operations, "operation")) ", of each in the mean: "
            @if let Some(of) = saving.usd { (usd(of)) }
            @if saving.usd.is_some() && saving.seconds.is_some() { ", " }
            @if let Some(of) = saving.seconds { (time(of)) }
            "; if " (saving.assuming)
        }
    }
}

fn proofs(finding: &Finding, filter: &Filter) -> Markup {
    let order = match finding.kind {
        FindingKind::SlowOperation { .. } | FindingKind::SlowComponent { .. } => "slowest",
        FindingKind::HighErrorRate { .. } => "failed",
        _ => "dearest",
    };
    html! {
        p.look {
            @if !finding.evidence.is_empty() {
                "Proved by "
                @for (at, id) in finding.evidence.iter().take(3).enumerate() {
                    @if at > 0 { ", " }
                    a href=(one(*id)) title=(id) { code { (short(&id.to_string())) } }
                }
                " · "
            }
            a href=(ordered(filter, "operation", &finding.operation, order)) { "all operations " (finding.operation) }
        }
    }
}

/// The end of an id: operations of one time have ids that begin alike.
fn short(id: &str) -> String {
    format!("…{}", &id[id.len().saturating_sub(12)..])
}

/// The advice of the period before, measured again.
fn helped(again: Option<&AdviceRemeasured>) -> Markup {
    let again = again.map_or(&[][..], |again| &again.advice);
    html! {
        section.card {
            h2 { "Did it help?" }
            p.note { "What stood out in the period before, measured again in this one." }
            @if again.is_empty() { p { "Nothing stood out in the period before, or it has no operations." } }
            ul.advice {
                @for one in again {
                    li {
                        p { (one.advice.text) }
                        @match &one.remeasured {
                            Some(remeasured) => (came_of(remeasured)),
                            None => p.note { "Too few operations " (one.advice.because.operation) " to measure it again." },
                        }
                    }
                }
            }
        }
    }
}

fn came_of(remeasured: &Remeasured) -> Markup {
    let class = match remeasured.effect {
        Effect::Helped => "good",
        Effect::Worse => "failure",
        Effect::Inconclusive => "note",
    };
    html! {
        @if let Some(saved) = report::saved(&remeasured.saved) {
            p class=(class) { (report::effect(remeasured.effect)) }
            p.note {
                "Saved of an operation: " (saved) ", by " (counted(remeasured.operations_before, "operation")) " before and "
                (counted(remeasured.operations_after, "operation")) " after."
            }
        }
    }
}
