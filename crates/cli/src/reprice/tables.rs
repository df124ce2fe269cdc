//! A repriced history as text: totals, tables, and what had to be assumed.

use taximeter::pricing::reprice::{Change, Group, Kind, Span, Spread, Target};
use taximeter::report::{Style, count, counted, money};
use taximeter::{Currency, Money};

use super::Outcome;
use crate::draw::{Column, Grid};

const NONE: &str = "–";

pub(super) fn text(outcome: &Outcome, target: &Target, write: bool, style: Style) -> String {
    let report = &outcome.report;
    let mut text = headline(outcome, target);
    let kinds = report.by_kind.iter().map(|(kind, group)| (words(*kind).to_owned(), group));
    let all = [("all".to_owned(), &report.total)];
    text.push_str(&table(style, "calls", kinds.chain(all)));
    let models = report.by_model.iter();
    let models = models.map(|((provider, model), group)| (format!("{provider}/{model}"), group));
    text.push_str(&table(style, "LLM", models));
    let days = report.by_day.iter().map(|(day, group)| (day.to_string(), group));
    text.push_str(&table(style, "day (UTC)", days));
    let classes = report.by_class.iter().map(|(unit, group)| {
        let name = unit.map_or_else(|| "not told apart".to_owned(), |unit| unit.to_string());
        (name, group)
    });
    text.push_str(&table(style, "token class", classes));
    for line in notes(outcome).into_iter().chain(endings(outcome, target, write)) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn headline(outcome: &Outcome, target: &Target) -> String {
    let calls = counted(outcome.report.total.calls, "LLM call");
    let of = if outcome.of_store { "operation" } else { "session" };
    let sessions = counted(outcome.sessions, of);
    match target {
        Target::SamePrices => format!("{calls} of {sessions}, priced again\n\n"),
        Target::At { provider, model } => {
            format!("{calls} of {sessions}, as if {provider}/{model} had been asked\n\n")
        }
    }
}

/// A table with a row for each group and currency, and an empty line behind it; nothing for no groups.
fn table<'g>(
    style: Style,
    title: &str,
    groups: impl IntoIterator<Item = (String, &'g Group)>,
) -> String {
    let rows: Vec<_> = groups.into_iter().flat_map(|(name, group)| rows(&name, group)).collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut grid = Grid::new([
        Column::name(title),
        Column::number("calls", 2),
        Column::number("before", 1),
        Column::number("after", 0),
        Column::number("difference", 0),
    ]);
    for row in rows {
        grid.row(row);
    }
    format!("{}\n", grid.draw(style))
}

fn rows(name: &str, group: &Group) -> Vec<[String; 5]> {
    let row = |currency: Currency, change: Change| {
        let plus = |known: u64, open: u64| if known > 0 && open > 0 { "+" } else { "" };
        let before = amount(change.before.into(), currency, false);
        let after = amount(change.after, currency, false);
        let shown = |known: u64, amount: String, open: u64| match known {
            0 => NONE.to_owned(),
            _ => format!("{amount}{}", plus(known, open)),
        };
        let difference = change
            .difference()
            .map_or_else(|| NONE.to_owned(), |difference| amount(difference, currency, true));
        [
            name.to_owned(),
            count(group.calls),
            shown(change.calls_before, before, group.unpriced_before),
            shown(change.calls_after, after, group.unpriced_after),
            difference,
        ]
    };
    if group.amounts.is_empty() {
        let none = || NONE.to_owned();
        return vec![[name.to_owned(), count(group.calls), none(), none(), none()]];
    }
    group.amounts.iter().map(|(currency, change)| row(*currency, *change)).collect()
}

/// An amount, or the two between which it lies; a difference bears its sign.
fn amount(span: Span, currency: Currency, signed: bool) -> String {
    let one = |amount: Money| {
        let sign = match (amount.is_negative(), signed && !amount.is_zero()) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        let size = if amount.is_negative() { -amount } else { amount };
        match currency {
            Currency::USD if size.is_zero() => "$0.00".into(),
            Currency::USD => format!("{sign}{}", money(size)),
            other => format!("{sign}{} {other}", size.rounded(4)),
        }
    };
    match span.exact() {
        Some(exact) => one(exact),
        None => format!("{} to {}", one(span.low), one(span.high)),
    }
}

const fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::Unchanged => "unchanged",
        Kind::Changed => "changed",
        Kind::NewlyPriced => "newly priced",
        Kind::NoLongerPriced => "no longer priced",
        Kind::Unpriced => "unpriced as before",
        Kind::WithoutUsage => "told no usage",
        Kind::LeftAlone => "left alone",
        _ => "something else",
    }
}

/// What had to be assumed, and what the tables leave open.
fn notes(outcome: &Outcome) -> Vec<String> {
    let report = &outcome.report;
    let mut notes = Vec::new();
    for ((from, to), (spread, calls)) in &report.tokens {
        let sources = spread.sources().collect::<Vec<_>>().join("; ");
        notes.push(format!(
            "range: a token of {from} is {spread} of {to} ({}); {sources}",
            counted(*calls, "call")
        ));
    }
    if !report.tokens.is_empty() {
        notes.push(format!("range: {}", Spread::BEYOND));
    }
    if report.other_modalities > 0 {
        let calls = counted(report.other_modalities, "call");
        notes.push(format!(
            "as counted: tokens of sound and pictures, which no factor converts ({calls})"
        ));
    }
    for ((unit, other), calls) in &report.stand_ins {
        notes.push(format!(
            "billed as {other}: {unit}, which has no price of its own ({})",
            counted(*calls, "call")
        ));
    }
    for (unit, calls) in &report.missing {
        notes.push(format!("no price: {unit} ({})", counted(*calls, "call")));
    }
    for (reason, calls) in &report.reasons {
        notes.push(format!("no price: {reason} ({})", counted(*calls, "call")));
    }
    let total = &report.total;
    let compared: u64 = total.amounts.values().map(|change| change.compared).sum();
    let priced = total.calls - report.calls(Kind::WithoutUsage);
    if total.unpriced_before > 0 || total.unpriced_after > 0 || compared < priced {
        notes.push(
            "the difference is that of calls with a price before and after, in one currency; \
             + marks sums that lack one"
                .into(),
        );
    }
    notes
}

/// What was written, what was not, and what failed.
fn endings(outcome: &Outcome, target: &Target, write: bool) -> Vec<String> {
    let mut lines: Vec<String> =
        outcome.failed.iter().map(|why| format!("failed: {why}")).collect();
    if matches!(target, Target::At { .. }) {
        lines.push(
            "A what-if for the same text: another LLM may answer in more words or fewer. \
             Nothing was written."
                .into(),
        );
        return lines;
    }
    if outcome.of_store {
        lines.push("Nothing was written: records of the store keep the costs of their day.".into());
        return lines;
    }
    if !write {
        lines.push("Nothing was written; --write saves the new costs.".into());
        return lines;
    }
    for written in &outcome.written {
        lines.push(format!(
            "written: {}, {} with another cost; the old file is {}",
            written.path.display(),
            counted(written.calls, "call"),
            written.kept.display()
        ));
    }
    if outcome.written.is_empty() {
        lines.push("Nothing was written: no cost is another one.".into());
    }
    let kept = outcome.report.calls(Kind::NoLongerPriced);
    if kept > 0 {
        lines.push(format!(
            "kept: the known costs of {} that the book does not know",
            counted(kept, "call")
        ));
    }
    lines
}
