//! A repriced history as JSON, with every amount exact.

use serde_json::{Value, json};
use taximeter::history::VERSION;
use taximeter::pricing::reprice::{Basis, Change, Group, Spread, Target};

use super::Outcome;

pub(super) fn document(outcome: &Outcome, target: &Target, write: bool) -> Value {
    let report = &outcome.report;
    let by_kind = report.by_kind.iter();
    let by_kind: Vec<_> =
        by_kind.map(|(kind, group)| row(json!({ "kind": kind }), group)).collect();
    let by_model = report.by_model.iter().map(|((provider, model), group)| {
        row(json!({ "provider": provider, "model": model }), group)
    });
    let by_day = report.by_day.iter().map(|(day, group)| row(json!({ "day": day }), group));
    let by_class = report.by_class.iter().map(|(unit, group)| row(json!({ "class": unit }), group));
    json!({
        "taximeter_version": VERSION,
        "document": "reprice",
        "target": match target {
            Target::SamePrices => Value::Null,
            Target::At { provider, model } => json!({ "provider": provider, "model": model }),
        },
        "dry_run": !write,
        "complete": report.is_complete(),
        "sessions": (!outcome.of_store).then_some(outcome.sessions),
        "operations": outcome.of_store.then_some(outcome.sessions),
        "total": row(json!({}), &report.total),
        "by_kind": by_kind,
        "by_model": by_model.collect::<Vec<_>>(),
        "by_day": by_day.collect::<Vec<_>>(),
        "by_class": by_class.collect::<Vec<_>>(),
        "assumed": assumed(outcome),
        "written": outcome.written.iter().map(|written| json!({
            "path": written.path, "calls": written.calls, "old": written.kept,
        })).collect::<Vec<_>>(),
        "failed": outcome.failed,
    })
}

/// A group with what names it.
fn row(mut names: Value, group: &Group) -> Value {
    let amounts = group.amounts.iter();
    let amounts: Vec<_> = amounts.map(|(currency, change)| amounts_of(*currency, change)).collect();
    if let Value::Object(fields) = &mut names {
        fields.insert("calls".into(), json!(group.calls));
        fields.insert("unpriced_before".into(), json!(group.unpriced_before));
        fields.insert("unpriced_after".into(), json!(group.unpriced_after));
        fields.insert("amounts".into(), json!(amounts));
    }
    names
}

/// Amounts that are not known are null.
fn amounts_of(currency: taximeter::Currency, change: &Change) -> Value {
    json!({
        "currency": currency,
        "before": (change.calls_before > 0).then_some(change.before),
        "after": (change.calls_after > 0).then_some(change.after),
        "difference": change.difference(),
        "compared_calls": change.compared,
    })
}

fn assumed(outcome: &Outcome) -> Value {
    let report = &outcome.report;
    let tokens = report.tokens.iter().map(|((from, to), (spread, calls))| {
        let fraction = |(above, below): (u64, u64)| json!([above, below]);
        json!({
            "from": from.as_str(), "to": to.as_str(), "calls": calls,
            "low": fraction(spread.low), "high": fraction(spread.high),
            "measured": spread.basis == Basis::Measured, "sources": spread.sources().collect::<Vec<_>>(),
        })
    });
    let stand_ins = report
        .stand_ins
        .iter()
        .map(|((unit, other), calls)| json!({ "unit": unit, "billed_as": other, "calls": calls }));
    let missing =
        report.missing.iter().map(|(unit, calls)| json!({ "unit": unit, "calls": calls }));
    json!({
        "tokens": tokens.collect::<Vec<_>>(),
        "beyond": (!report.tokens.is_empty()).then_some(Spread::BEYOND),
        "stand_ins": stand_ins.collect::<Vec<_>>(),
        "units_without_a_price": missing.collect::<Vec<_>>(),
        "calls_without_a_price": report.reasons,
        "calls_with_sound_or_pictures": report.other_modalities,
    })
}
