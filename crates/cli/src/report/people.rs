//! Who and what costs the most, what the tokens were, and what would save some.

use taximeter::history::{PerMonth, Report};
use taximeter::report::{count, counted, money, seconds};
use taximeter::{Advice, Unit};

use super::Detail;
use crate::draw::{Column, Grid, NONE, Screen, bar, share, spend};

pub(super) fn spenders(screen: &mut Screen, report: &Report, detail: Detail) {
    let all = report.totals.cost.usd().to_f64_lossy();
    let room = screen.width().saturating_sub(56).clamp(6, 40);
    let most = if detail >= Detail::Verbose { usize::MAX } else { 5 };
    for spenders in &report.spenders {
        screen.heading(&format!("Top spenders by {}", spenders.by));
        let mut grid = Grid::new([
            Column::name(&spenders.by.to_string()),
            Column::number("operations", 2),
            Column::text("share", 3),
            Column::number("cost", 0),
        ]);
        for spender in spenders.top.iter().take(most) {
            let part = spender.total_cost.to_f64_lossy() / all;
            let key = spender.key.as_ref();
            grid.row([
                key.map_or_else(|| "(not told)".into(), ToString::to_string),
                count(spender.operations),
                bar(if part.is_finite() { part } else { 0.0 }, room),
                spend(spender.total_cost, spender.unpriced_calls),
            ]);
        }
        let hidden = spenders.top.iter().skip(most);
        let others_cost = spenders.others_cost + hidden.map(|spender| spender.total_cost).sum();
        let others = spenders.others + spenders.top.len().saturating_sub(most) as u64;
        if others > 0 {
            let name = counted(others, "other");
            grid.row([name, String::new(), String::new(), money(others_cost)]);
        }
        screen.grid(&grid);
    }
    if !report.spenders.iter().any(|one| one.by == taximeter::analysis::Dimension::User) {
        super::missing(
            screen,
            "no operation told its user",
            "taximeter::operation(\"answer\").user(\"ann\").session(\"s1\").start()",
        );
    }
}

pub(super) fn operations(screen: &mut Screen, report: &Report, detail: Detail) {
    let most = if detail >= Detail::Verbose { usize::MAX } else { 3 };
    for (title, lines) in
        [("The dearest operations", &report.dearest), ("The slowest operations", &report.slowest)]
    {
        screen.heading(title);
        let shown: Vec<_> = lines.iter().take(most).cloned().collect();
        crate::ops::list(screen, &shown);
    }
    if let Some(first) = report.slowest.first() {
        screen.lines(&format!("  taximeter show {}", first.operation_id));
    }
}

pub(super) fn tokens(screen: &mut Screen, report: &Report) {
    let usage = &report.totals.usage;
    screen.heading("Tokens");
    if usage.is_empty() {
        super::missing(
            screen,
            "no reply told what it used",
            "call.usage(TokenUsage::inclusive(1_200, 350).cache_read(200));",
        );
        return;
    }
    let mut grid =
        Grid::new([Column::name("of"), Column::number("tokens", 0), Column::number("share", 1)]);
    let (input, output) = (usage.input_tokens(), usage.output_tokens());
    let part = |hits: u64, of: u64| share(taximeter::Rate { hits: hits.min(of), of });
    grid.row(["input".into(), count(input), part(input, input.saturating_add(output))]);
    for (unit, tokens) in usage.iter().filter(|(unit, _)| unit.is_input_tokens()) {
        let name = if unit == Unit::Input { "not cached".into() } else { unit.to_string() };
        grid.row([format!("  {name}"), count(tokens), part(tokens, input)]);
    }
    grid.row(["output".into(), count(output), part(output, input.saturating_add(output))]);
    let others = usage.iter().filter(|(unit, _)| !unit.is_input_tokens() && *unit != Unit::Output);
    for (unit, tokens) in others {
        let within = unit.is_output_tokens() || unit == Unit::Reasoning;
        let share = if within { part(tokens, output) } else { String::new() };
        grid.row([format!("  {unit}"), count(tokens), share]);
    }
    screen.grid(&grid);
}

pub(super) fn savings(screen: &mut Screen, report: &Report, detail: Detail) {
    let savings = &report.savings;
    screen.heading(&format!("Savings, by {}", savings.looked_at));
    let most = if detail >= Detail::Verbose { usize::MAX } else { 3 };
    let all = savings.optimization_suggestions.iter().zip(&savings.per_month);
    if savings.optimization_suggestions.is_empty() {
        screen.say("There is nothing to advise.");
    }
    for (at, (advice, per_month)) in all.take(most).enumerate() {
        advised(screen, at + 1, advice, per_month.as_ref());
    }
}

/// An advice with what it saves and the operation that proves it best.
pub(crate) fn advised(
    screen: &mut Screen,
    number: usize,
    advice: &Advice,
    per_month: Option<&PerMonth>,
) {
    screen.say(&format!("{number}. {}", advice.text));
    let mut parts = Vec::new();
    if let Some(saved) = per_month {
        let usd =
            saved.usd.filter(|usd| !usd.is_zero()).map(|usd| format!("{} a month", money(usd)));
        let time = saved.seconds.map(|time| format!("{} of waiting a month", seconds(time)));
        let saved: Vec<_> = usd.into_iter().chain(time).collect();
        if !saved.is_empty() {
            parts.push(format!("saves {}", saved.join(" and ")));
        }
    }
    if let Some(saving) = &advice.saving {
        parts.push(format!("if {}", saving.assuming));
    }
    if let Some(proof) = advice.because.evidence.first() {
        parts.push(format!("see {proof}"));
    }
    let said = if parts.is_empty() { NONE.to_owned() } else { parts.join("; ") };
    screen.say(&format!("   {said}"));
}
