//! The tables of a report: where the time goes, LLMs, tools, components, groups.

use chrono::{DateTime, Utc};
use taximeter::analysis::{Part, TimeSplit};
use taximeter::history::{By, Failures, Group, Report};
use taximeter::report::{count, seconds};
use taximeter::store::Level;
use taximeter::{CostTotals, Rate};

use super::Detail;
use crate::draw::{
    Column, Grid, NONE, Screen, Tone, bar, day, each, minute, part, part_name, share, spend, took,
};

/// So many parts of an operation are named.
const PARTS: usize = 5;

pub(super) fn time(screen: &mut Screen, report: &Report, detail: Detail) {
    screen.heading(&format!("Where the time goes, in {}", report.savings.looked_at));
    let room = screen.width().saturating_sub(56).clamp(6, 40);
    for spent in &report.time_spent {
        let mut grid = Grid::new([
            Column::name(&spent.operation),
            Column::number("mean", 0),
            Column::number("share", 1),
            Column::text("of the critical path", 3),
            Column::number("in the slow tail", 2),
        ]);
        let most = if detail >= Detail::Verbose { usize::MAX } else { PARTS };
        for one in spent.all.parts.iter().take(most) {
            grid.row([
                part_name(&one.part),
                seconds(one.critical_seconds),
                part(Some(one.share)),
                bar(one.share, room),
                slow(&spent.slow, &one.part),
            ]);
        }
        screen.grid(&grid);
        screen.lines(&format!(
            "{} of {} operations; the slowest 5 % from {} on",
            seconds(spent.all.mean_seconds),
            count(spent.all.operations),
            seconds(spent.slow_from_seconds)
        ));
    }
    let bare = report.time_spent.iter().all(|spent| spent.all.parts.len() < 2);
    if bare {
        super::missing(
            screen,
            "no operation told its parts",
            "let passages = op.time(\"document_retrieval\", || retrieve(question));",
        );
    }
}

fn slow(split: &TimeSplit, part: &Part) -> String {
    let found = split.parts.iter().find(|one| one.part == *part);
    found.map_or_else(|| NONE.into(), |part| seconds(part.critical_seconds))
}

pub(super) fn llms(screen: &mut Screen, report: &Report) {
    screen.heading("LLMs, the dearest first");
    if report.by_llm.is_empty() {
        super::missing(
            screen,
            "no LLM call was recorded",
            "let mut call = op.llm_call(\"openai\", \"gpt-4o\").start();",
        );
        return;
    }
    let mut grid = Grid::new([
        Column::name("LLM"),
        Column::number("calls", 1),
        Column::number("errors", 2),
        Column::number("p50", 6),
        Column::number("p95", 3),
        Column::number("1st token", 5),
        Column::number("tok/s", 7),
        Column::number("input", 4),
        Column::number("output", 4),
        Column::number("cached", 3),
        Column::number("reasoning", 8),
        Column::number("cut off", 8),
        Column::number("to tools", 9),
        Column::number("each", 5),
        Column::number("cost", 0),
    ]);
    for llm in &report.by_llm {
        let speed = llm.output_tokens_per_second;
        grid.toned_row([
            plain(format!("{}/{}", llm.provider, llm.model)),
            plain(count(llm.success.rate.of)),
            failing(llm.success.rate),
            plain(took(llm.p50_seconds)),
            plain(took(llm.p95_seconds)),
            plain(took(llm.first_token_p95_seconds)),
            plain(speed.map_or_else(|| NONE.into(), |speed| format!("{speed:.0}"))),
            plain(count(llm.input_tokens)),
            plain(count(llm.output_tokens)),
            plain(share(llm.cache_read)),
            plain(share(llm.reasoning)),
            plain(share(llm.truncated)),
            plain(share(llm.tool_replies)),
            plain(each(llm.mean_cost.filter(|mean| !mean.is_zero()))),
            plain(spend(llm.total_cost, unknown(&llm.cost))),
        ]);
    }
    screen.grid(&grid);
}

fn unknown(cost: &CostTotals) -> u64 {
    cost.unpriced_calls + cost.calls_without_usage
}

fn plain(text: String) -> (String, Tone) {
    (text, Tone::Plain)
}

/// The share that fails, in red where it is more than a tenth.
fn failing(success: Rate) -> (String, Tone) {
    let errors = success.complement();
    let is_bad = errors.fraction().is_some_and(|share| share > 0.1);
    (share(errors), if is_bad { Tone::Bad } else { Tone::Plain })
}

pub(super) fn tools(screen: &mut Screen, report: &Report) {
    screen.heading("Tools");
    if report.by_tool.is_empty() {
        super::missing(
            screen,
            "no tool call was recorded",
            "op.tool(\"web_search\").run(|| search(question));",
        );
        return;
    }
    let mut grid = Grid::new([
        Column::name("tool"),
        Column::number("calls", 1),
        Column::number("success (95 %)", 0),
        Column::text("most errors", 3),
        Column::number("retries", 6),
        Column::number("p50", 5),
        Column::number("p95", 3),
        Column::number("of the time", 4),
        Column::number("failures took", 4),
        Column::number("failures cost", 2),
    ]);
    for tool in &report.by_tool {
        let top = tool.top_error.map_or_else(
            || NONE.into(),
            |(category, errors)| format!("{category} ({})", count(errors)),
        );
        let interval = tool.success.interval_95.as_ref().map_or_else(String::new, |interval| {
            format!(" ({:.0}–{:.0})", interval.low * 100.0, interval.high * 100.0)
        });
        let tone = failing(tool.success.rate).1;
        grid.toned_row([
            plain(tool.tool.to_string()),
            plain(count(tool.success.rate.of)),
            (format!("{}{interval}", share(tool.success.rate)), tone),
            plain(top),
            plain(share(tool.retries)),
            plain(took(tool.p50_seconds)),
            plain(took(tool.p95_seconds)),
            plain(part(tool.share_of_time)),
            plain(failed_for(&tool.failures, |failures| took(Some(failures.seconds)))),
            plain(failed_for(&tool.failures, |failures| {
                spend(failures.total_cost, failures.unpriced_calls)
            })),
        ]);
    }
    screen.grid(&grid);
    if report.by_tool.iter().any(|tool| tool.failures.calls > 0) {
        screen.say(&format!(
            "Failures cost what the operations cost that failed with the tool, of {}.",
            report.savings.looked_at
        ));
    }
}

/// What failures came to; nothing where there were none.
fn failed_for(failures: &Failures, of: impl Fn(&Failures) -> String) -> String {
    if failures.calls == 0 { NONE.into() } else { of(failures) }
}

pub(super) fn components(screen: &mut Screen, report: &Report) {
    screen.heading("Components");
    let mut components: Vec<_> = report.totals.components.iter().collect();
    components.sort_by_key(|(name, total)| (std::cmp::Reverse(total.duration), *name));
    let mut grid = Grid::new([
        Column::name("component"),
        Column::number("runs", 1),
        Column::number("mean", 2),
        Column::number("in all", 0),
    ]);
    for (name, total) in components {
        let runs = u32::try_from(total.count).unwrap_or(u32::MAX).max(1);
        let mean = total.duration.checked_div(runs).unwrap_or_default();
        grid.row([
            name.to_string(),
            count(total.count),
            taximeter::report::duration(mean),
            taximeter::report::duration(total.duration),
        ]);
    }
    screen.grid(&grid);
}

/// The table that `--by` asks for.
pub(super) fn groups(screen: &mut Screen, report: &Report) {
    let (Some(by), Some(groups)) = (&report.by, &report.groups) else { return };
    screen.heading(&format!("By {by}"));
    let mut grid = Grid::new([
        Column::name(&by.to_string()),
        Column::number("count", 1),
        Column::number("errors", 2),
        Column::number("p50", 5),
        Column::number("p95", 3),
        Column::number("input", 4),
        Column::number("output", 4),
        Column::number("cached", 5),
        Column::number("each", 5),
        Column::number("cost", 0),
    ]);
    for group in groups {
        let took_of = |of: fn(&taximeter::analysis::statistics::Distribution) -> f64| {
            took(group.duration_seconds.as_ref().map(of))
        };
        grid.toned_row([
            plain(named(group, by)),
            plain(count(group.count())),
            failing(group.success.rate),
            plain(took_of(|took| took.p50)),
            plain(took_of(|took| took.p95)),
            plain(count(group.input_tokens)),
            plain(count(group.output_tokens)),
            plain(share(group.cache_read)),
            plain(each(group.mean_cost().filter(|mean| !mean.is_zero()))),
            plain(spend(group.total_cost, group.unpriced_calls)),
        ]);
    }
    if grid.is_empty() {
        screen.say(&format!("{NONE} nothing was recorded by {by}."));
    } else {
        screen.grid(&grid);
    }
    llms_of_groups(screen, report, by);
}

/// What each LLM did in each stretch of time.
fn llms_of_groups(screen: &mut Screen, report: &Report, by: &By) {
    let Some(stretches) = report.groups_by_llm.as_ref().filter(|all| !all.is_empty()) else {
        return;
    };
    screen.heading(&format!("By {by} and LLM"));
    let mut grid = Grid::new([
        Column::name(&by.to_string()),
        Column::name("LLM"),
        Column::number("calls", 6),
        Column::number("input", 2),
        Column::number("output", 2),
        Column::number("cache write", 4),
        Column::number("cache read", 3),
        Column::number("tokens", 1),
        Column::number("cost", 0),
    ]);
    let mut last = None;
    for stretch in stretches {
        let calls = &stretch.calls;
        let start = if last == Some(stretch.start) {
            String::new()
        } else {
            stretch_name(stretch.start, by)
        };
        last = Some(stretch.start);
        grid.row([
            start,
            stretch.llm.to_string(),
            count(calls.calls),
            count(calls.input_tokens),
            count(calls.output_tokens),
            count(calls.cache_write_tokens),
            count(calls.cache_read_tokens),
            count(calls.input_tokens.saturating_add(calls.output_tokens)),
            spend(calls.total_cost, calls.unpriced_calls),
        ]);
    }
    screen.grid(&grid);
}

fn stretch_name(start: DateTime<Utc>, by: &By) -> String {
    if *by == By::Time(Level::Day) { day(start) } else { minute(start) }
}

fn named(group: &Group, by: &By) -> String {
    match (&group.start, &group.key) {
        (Some(start), _) => stretch_name(*start, by),
        (None, Some(key)) => key.to_string(),
        (None, None) => "(not told)".into(),
    }
}
