//! `taximeter trend`: how an operation did over a window, since when it is another, and why.

use std::error::Error;
use std::io::Write;

use clap::Args;
use taximeter::TrendDirection;
use taximeter::analysis::{CostChange, DurationChange, TrendConfig, Window};
use taximeter::history::Trend;
use taximeter::report::{count, counted, money, part_name, seconds};

use crate::Ended;
use crate::context::Context;
use crate::draw::{Column, Grid, NONE, Screen, Tone, minute, part, signed, spark, took};
use crate::select::{Filters, at};

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    taximeter trend qa_response --window 7d\n  \
    taximeter trend qa_response --window 24h --llm openai/gpt-4o\n  \
    taximeter trend qa_response --alpha 0.01 --min-change 20\n  \
    taximeter trend qa_response --window 30d --at 2026-11-01 --json")]
pub(crate) struct Arguments {
    /// The name of the operations
    #[arg(value_name = "OPERATION")]
    name: String,
    /// How far back: 1h, 24h, 7d
    #[arg(long, default_value = "7d")]
    window: Window,
    /// Where the window ends [default: now]
    #[arg(long, value_name = "TIME", value_parser = crate::select::moment)]
    at: Option<String>,
    /// A change counts where chance makes one as consistent less often than this
    #[arg(long, value_name = "PROBABILITY", default_value_t = TrendConfig::default().alpha, value_parser = probability)]
    alpha: f64,
    /// A change counts where it is so many percent, or more
    #[arg(long, value_name = "PERCENT", default_value_t = TrendConfig::default().minimum_change_percent,
        value_parser = percent)]
    min_change: f64,
    #[command(flatten)]
    only: Filters,
}

fn probability(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "a number from 0 to 1 expected, such as 0.05 for 5 %".to_owned())
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "a number of percent expected, 0 or more, such as 5".to_owned())
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let now = at(arguments.at.as_deref(), context.now)?;
    let only = arguments.only.read()?;
    let mut config = TrendConfig::default();
    (config.alpha, config.minimum_change_percent) = (arguments.alpha, arguments.min_change);
    let history = context.history()?.trends(config);
    let trend = history.trend(&arguments.name, &arguments.window, &only, now)?;
    context.print(output, &trend, draw)?;
    Ok(Ended::Done)
}

fn draw(screen: &mut Screen, shown: &Trend) {
    let trend = &shown.trend;
    screen.heading(&format!(
        "{} over {}, until {} UTC",
        trend.operation_type,
        trend.time_period,
        minute(trend.analysis_timestamp)
    ));
    let tone = match trend.trend_direction {
        TrendDirection::Declining => Tone::Bad,
        TrendDirection::Improving => Tone::Good,
        _ => Tone::Plain,
    };
    let percent = trend
        .change_percent
        .map_or_else(String::new, |c| format!(", {c:+.1} % over the time observed"));
    screen.say_so(&format!("{}{percent}", direction(trend.trend_direction)), tone);
    screen.say(&format!("Looked at {}.", shown.looked_at));
    if trend.data_points == 0 {
        screen.say("There is none of that name in this time; `taximeter report --by operation --since all` lists names.");
        return;
    }
    let points: Vec<_> = shown.points.iter().map(|(_, seconds)| Some(*seconds)).collect();
    screen.lines(&spark(&points, screen.width()));
    numbers(screen, shown);
    measures(screen, shown);
    for change in &trend.changes {
        screen.say(&format!(
            "Since {} UTC it takes {} and not {}: {:+.0} %, by chance with p {:.2e}.",
            minute(change.since),
            seconds(change.after),
            seconds(change.before),
            change.change_percent,
            change.p_value
        ));
    }
    parts(screen, shown);
    if let Some(why) = &shown.why_duration {
        why_duration(screen, why);
    }
    if let Some(why) = &shown.why_cost {
        why_cost(screen, why);
    }
    listed(screen, "What stands out", "bottlenecks", &trend.bottlenecks, &trend.operation_type);
    let advice = &trend.optimization_suggestions;
    listed(screen, "What to do", "advise", advice, &trend.operation_type);
}

/// So many are listed.
const LISTED: usize = 5;

fn listed(screen: &mut Screen, title: &str, command: &str, all: &[impl ToString], name: &str) {
    if all.is_empty() {
        return;
    }
    screen.heading(title);
    for (at, one) in all.iter().take(LISTED).enumerate() {
        screen.say(&format!("{}. {}", at + 1, one.to_string()));
    }
    let more = all.len().saturating_sub(LISTED);
    if more > 0 {
        screen.say(&format!("   and {more} more: taximeter {command} --operation {name}"));
    }
}

fn direction(direction: TrendDirection) -> &'static str {
    match direction {
        TrendDirection::Improving => "improving: it gets faster",
        TrendDirection::Declining => "declining: it gets slower",
        TrendDirection::Stable => "stable",
        TrendDirection::InsufficientData => "too few operations to say",
    }
}

fn numbers(screen: &mut Screen, shown: &Trend) {
    let trend = &shown.trend;
    let mut grid = Grid::new([Column::name(""), Column::number("", 0)]);
    let percent = |value: Option<f64>| {
        value.map_or_else(
            || NONE.into(),
            |value| format!("{value:.1} % of {}", count(trend.data_points)),
        )
    };
    let plus = if trend.unpriced_calls > 0 { "+" } else { "" };
    grid.row(["operations".into(), count(trend.data_points)]);
    grid.row(["mean".into(), took(trend.avg_duration)]);
    grid.row(["p50".into(), took(trend.p50_duration)]);
    grid.row(["p95".into(), took(trend.p95_duration)]);
    grid.row(["p99".into(), took(trend.p99_duration)]);
    grid.row(["success".into(), percent(trend.success_rate)]);
    grid.row(["cost".into(), format!("{}{plus}", money(trend.total_cost))]);
    grid.row(["tokens".into(), count(trend.total_tokens)]);
    let number =
        |value: Option<f64>| value.map_or_else(|| NONE.into(), |value| format!("{value:.3}"));
    grid.row(["strength (τ)".into(), number(trend.trend_strength)]);
    grid.row(["p-value".into(), trend.p_value.map_or_else(|| NONE.into(), |p| format!("{p:.2e}"))]);
    screen.grid(&grid);
}

/// Where the time goes, in the mean and of the slow ones, and what if the largest parts were twice as fast.
fn parts(screen: &mut Screen, shown: &Trend) {
    let Some(spent) = shown.time_spent.as_ref().filter(|spent| spent.all.parts.len() > 1) else {
        return;
    };
    screen.heading("Where the time goes");
    let mut grid = Grid::new([
        Column::name("part of the critical path"),
        Column::number("of all", 0),
        Column::number("of the slowest 5 %", 1),
        Column::number("twice as fast saves", 2),
    ]);
    for one in spent.all.parts.iter().take(8) {
        let slow = spent.slow.parts.iter().find(|slow| slow.part == one.part);
        let then = shown.what_if.iter().find(|then| then.part == one.part);
        grid.row([
            part_name(&one.part),
            part(Some(one.share)),
            slow.map_or_else(|| NONE.into(), |slow| part(Some(slow.share))),
            then.map_or_else(|| NONE.into(), |then| part(Some(then.saved_share()))),
        ]);
    }
    screen.grid(&grid);
}

fn measures(screen: &mut Screen, shown: &Trend) {
    let mut grid = Grid::new([
        Column::name("measure"),
        Column::text("direction", 0),
        Column::number("change", 1),
        Column::number("τ", 2),
        Column::number("p-value", 3),
    ]);
    for (measure, trend) in &shown.trend.measures {
        grid.row([
            measure.as_str().replace('_', " "),
            trend.direction.as_str().replace('_', " "),
            trend.change_percent.map_or_else(|| NONE.into(), |change| format!("{change:+.1} %")),
            trend.strength.map_or_else(|| NONE.into(), |strength| format!("{strength:.3}")),
            trend.p_value.map_or_else(|| NONE.into(), |p| format!("{p:.2e}")),
        ]);
    }
    if !grid.is_empty() {
        screen.grid(&grid);
    }
}

/// Which parts make a difference.
pub(crate) fn why_duration(screen: &mut Screen, why: &DurationChange) {
    screen.heading(&format!(
        "Why {} takes {} and not {}, of {} and {} operations",
        why.operation,
        seconds(why.after_seconds),
        seconds(why.before_seconds),
        count(why.operations_after),
        count(why.operations_before)
    ));
    let mut grid = Grid::new([
        Column::name("part of the critical path"),
        Column::number("before", 2),
        Column::number("after", 1),
        Column::number("change", 0),
    ]);
    for part in why.parts.iter().take(8) {
        grid.row([
            part.part.to_string(),
            seconds(part.before_seconds),
            seconds(part.after_seconds),
            format!(
                "{}{}",
                if part.change_seconds < 0.0 { "-" } else { "+" },
                seconds(part.change_seconds.abs())
            ),
        ]);
    }
    screen.grid(&grid);
    for driven in why.drivers.iter().take(2) {
        for driver in driven.by.iter().take(2) {
            let key = driver.key.as_ref().map_or_else(|| "(not told)".into(), ToString::to_string);
            let part = part(Some(driver.share_of_change));
            screen.say(&format!("driven by {} {key}: {part} of the change", driven.dimension));
        }
    }
}

/// Which causes make a difference in money; they sum to it exactly.
pub(crate) fn why_cost(screen: &mut Screen, why: &CostChange) {
    let whole = why.after - why.before;
    screen.heading(&format!(
        "Why it costs {} and not {}: {}",
        money(why.after),
        money(why.before),
        signed(whole)
    ));
    let mut grid = Grid::new([Column::name("cause"), Column::number("change", 0)]);
    for (cause, usd) in why.parts.iter().filter(|(_, usd)| !usd.is_zero()) {
        grid.row([cause.as_str().replace('_', " "), signed(*usd)]);
    }
    screen.grid(&grid);
    let left_out = why.left_out_before.hits + why.left_out_after.hits;
    if left_out > 0 {
        screen.say(&format!(
            "{} without a known cost in dollars are in no part.",
            counted(left_out, "call")
        ));
    }
    for driven in why.drivers.iter().take(2) {
        for driver in driven.by.iter().take(2) {
            let key = driver.key.as_ref().map_or_else(|| "(not told)".into(), ToString::to_string);
            let part = part(Some(driver.share_of_change));
            screen.say(&format!("driven by {} {key}: {part} of the change", driven.dimension));
        }
    }
}
