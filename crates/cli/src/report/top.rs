//! The top and the bottom of a report: what needs attention, the six numbers, and how far to trust them.

use taximeter::Money;
use taximeter::analysis::When;
use taximeter::history::{Attention, Change, Losses, Month, Report, Spark};
use taximeter::report::{count, counted, money};

use super::Detail;
use crate::draw::{
    Column, Grid, NONE, Screen, Tone, change, day, minute, share, spark, spend, took, unpriced,
};

/// Columns of a line over time.
const LINE: usize = 24;

/// So many alerts are told, unless all are asked for.
const ALERTS: usize = 5;

pub(super) fn alerts(screen: &mut Screen, report: &Report, detail: Detail) {
    if report.alerts.is_empty() {
        return;
    }
    screen.heading("Alerts");
    let most = if detail >= Detail::Verbose { usize::MAX } else { ALERTS };
    told(screen, report.alerts.iter().take(most));
    let more = report.alerts.len().saturating_sub(most);
    if more > 0 {
        screen.say(&format!("   and {more} more: --verbose"));
    }
}

fn told<'a>(screen: &mut Screen, all: impl Iterator<Item = &'a Attention>) {
    for (at, one) in all.enumerate() {
        screen.say_so(&format!("{}. {}", at + 1, one.text), Tone::Bad);
        if let Some(cause) = &one.cause {
            screen.say(&format!("   {cause}"));
        }
        screen.lines(&format!("   {}", one.look));
    }
}

pub(super) fn attention(screen: &mut Screen, report: &Report) {
    screen.heading("Needs attention");
    if report.attention.is_empty() {
        let text = match report.period.previous() {
            Some(before) => format!("Nothing is worse than in the period before ({before})."),
            None => {
                "Nothing. What is worse is told of a period with a beginning and an end.".into()
            }
        };
        screen.say_so(&text, Tone::Good);
    }
    told(screen, report.attention.iter());
}

pub(super) fn numbers(screen: &mut Screen, report: &Report) {
    let numbers = &report.numbers;
    screen.heading("In six numbers");
    let mut grid = Grid::new([
        Column::name(""),
        Column::name("now"),
        Column::number("before", 3),
        Column::number("change", 1),
        Column::text("over time", 2),
    ]);
    let cost = &report.totals.cost;
    let unknown = cost.unpriced_calls + cost.calls_without_usage;
    row(
        &mut grid,
        "spend",
        spend(numbers.spend.now, unknown),
        &numbers.spend,
        |v| Some(v.to_f64_lossy()),
        |v| money(*v),
    );
    grid.row(["this month".to_owned(), month(report), String::new(), String::new(), String::new()]);
    let operations = count(numbers.operations.now);
    row(&mut grid, "operations", operations, &numbers.operations, |v| float(*v), |v| count(*v));
    let calls = count(numbers.llm_calls.now);
    row(&mut grid, "LLM calls", calls, &numbers.llm_calls, |v| float(*v), |v| count(*v));
    let interval = numbers.errors_interval_95.map_or_else(String::new, |(low, high)| {
        format!(" ({:.1}–{:.1})", low * 100.0, high * 100.0)
    });
    let errors =
        format!("{} of {}{interval}", share(numbers.errors.now), count(numbers.errors.now.of));
    row(&mut grid, "errors", errors, &numbers.errors, |rate| rate.fraction(), |v| share(*v));
    let p95 = took(numbers.p95_seconds.now);
    row(&mut grid, "p95", p95, &numbers.p95_seconds, |value| *value, |v| took(*v));
    let first = took(numbers.first_token_p95_seconds.now);
    row(
        &mut grid,
        "p95 first token",
        first,
        &numbers.first_token_p95_seconds,
        |v| *v,
        |v| took(*v),
    );
    let saved =
        numbers.cache.saved.map_or_else(String::new, |usd| format!(", {} saved", money(usd)));
    let cache = format!("{}{saved}", share(numbers.cache.read.now));
    row(
        &mut grid,
        "from a cache",
        cache,
        &numbers.cache.read,
        |rate| rate.fraction(),
        |v| share(*v),
    );
    screen.grid(&grid);
    let lacks = unpriced(cost);
    if !lacks.is_empty() {
        screen.say(&format!("Spend is {} exact; {lacks}.", money(exact(report))));
    }
    if numbers.first_token_p95_seconds.now.is_none() && numbers.llm_calls.now > 0 {
        super::missing(
            screen,
            "no call told its first token",
            "call.first_token(); // of a streamed reply",
        );
    }
}

fn exact(report: &Report) -> Money {
    let usd = report.totals.cost.amounts.get(&taximeter::Currency::USD);
    usd.map_or(Money::ZERO, |usd| usd.exact)
}

fn row<V>(
    grid: &mut Grid,
    name: &str,
    now: String,
    of: &Change<V>,
    number: impl Fn(&V) -> Option<f64>,
    words: impl Fn(&V) -> String,
) {
    let before = of.before.as_ref();
    let moved =
        number(&of.now).map_or_else(String::new, |now| change(before.and_then(&number), now));
    let before = before.map_or_else(|| NONE.into(), words);
    grid.row([name.to_owned(), now, before, moved, line(&of.over_time)]);
}

fn line(values: &Spark) -> String {
    if values.iter().all(Option::is_none) { String::new() } else { spark(values, LINE) }
}

#[expect(clippy::cast_precision_loss, reason = "a change needs no more than 53 bits")]
#[expect(clippy::unnecessary_wraps, reason = "others may have no number")]
fn float(count: u64) -> Option<f64> {
    Some(count as f64)
}

fn month(report: &Report) -> String {
    let Some(month) = &report.numbers.month else {
        return format!("{NONE} (a forecast needs 14 days)");
    };
    let (low, expected, high) = month.expected();
    match month.budget {
        // The range stands with the budget.
        Some(budget) => format!("${expected:.2} of {}", money(budget)),
        None => format!("${expected:.2} (${low:.2} to ${high:.2})"),
    }
}

/// The budget of the month, what was spent of it, and what is expected, on one scale.
pub(super) fn budget(screen: &mut Screen, report: &Report) {
    let Some(month) = &report.numbers.month else { return };
    let Some(budget) = month.budget else { return };
    screen.heading(&format!("The budget of {}", month.month.format("%B %Y")));
    let room = screen.width().saturating_sub(30).clamp(12, 60);
    let (low, expected, high) = month.expected();
    let (spent, budget_usd) = (month.so_far.to_f64_lossy(), budget.to_f64_lossy());
    let scale = high.max(budget_usd).max(f64::MIN_POSITIVE);
    let place = |usd: f64| columns_of(usd / scale, room);
    let (to_spent, to_low, to_high) = (place(spent), place(low.max(spent)), place(high));
    let mut line: Vec<char> = "█".repeat(to_spent).chars().collect();
    line.extend("▒".repeat(to_low.saturating_sub(to_spent)).chars());
    line.extend("░".repeat(to_high.saturating_sub(to_low.max(to_spent))).chars());
    let mark = " ".repeat(place(budget_usd).saturating_sub(1)) + "▲";
    let mut grid = Grid::new([Column::name(""), Column::number("", 0), Column::text("", 1)]);
    let line: String = line.into_iter().collect();
    grid.row(["spent, expected".into(), format!("${expected:.2}"), line]);
    grid.row(["budget".into(), money(budget), mark]);
    screen.grid(&grid);
    screen.say(&format!(
        "█ {} spent before today, ▒ what is expected of the rest, ░ the range of 80 %: ${low:.2} to ${high:.2}; {}.",
        money(month.so_far),
        lasts(month)
    ));
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a number of columns"
)]
fn columns_of(share: f64, room: usize) -> usize {
    (share.clamp(0.0, 1.0) * room as f64).round() as usize
}

/// How long the budget lasts.
fn lasts(month: &Month) -> String {
    let Some(gone) = &month.exhaustion else { return "how long it lasts is not known".into() };
    let when = |when: When| match when {
        When::At(at) => day(at),
        When::Never => "never".into(),
    };
    match gone.estimate {
        When::At(at) => format!(
            "it is gone on {} (80 %: {} to {})",
            day(at),
            when(gone.earliest_80),
            when(gone.latest_80)
        ),
        When::Never => "it is enough".into(),
    }
}

pub(super) fn health(screen: &mut Screen, report: &Report) {
    let health = &report.health;
    screen.heading("How far to trust this");
    let last = health.last_at.map_or_else(|| "none".into(), |at| format!("{} UTC", minute(at)));
    let as_of = health.prices_as_of.map_or_else(|| "an unknown day".into(), |day| day.to_string());
    screen.say(&format!(
        "{} stored, the last began {last}; {} unpriced, {} without usage, {} estimated; {} damaged; {} came twice and \
         count once; prices as of {as_of}.",
        counted(health.operations, "operation"),
        counted(health.unpriced_calls, "call"),
        count(health.calls_without_usage),
        count(health.estimated_calls),
        count(health.damaged),
        count(health.known_again),
    ));
    losses(screen, &health.losses);
    if let Some(late) = &health.late_book {
        screen.say_so(
            &format!(
                "The prices are {} days old: a newer taximeter has newer ones, and so has a file in pricing.book.",
                late.days
            ),
            Tone::Bad,
        );
    }
}

/// What the meters say of themselves; what they lost is an alert.
pub(crate) fn losses(screen: &mut Screen, losses: &Losses) {
    if losses.meters == 0 {
        return;
    }
    let reasons = if losses.lost > 0 { format!(" ({})", losses.reasons()) } else { String::new() };
    let tone = if losses.lost > 0 { Tone::Bad } else { Tone::Plain };
    screen.say_so(
        &format!(
            "{} started {}: {} stored, {} lost{reasons}, {} open or queued when last heard of.",
            counted(losses.meters, "meter"),
            counted(losses.offered, "operation"),
            count(losses.stored),
            count(losses.lost),
            count(losses.in_flight)
        ),
        tone,
    );
    if !losses.left_out.is_empty() {
        let words: Vec<_> = losses
            .left_out
            .iter()
            .map(|(what, number)| format!("{} {}", count(*number), what.replace('_', " ")))
            .collect();
        screen.say(&format!("Of operations that are there: {}.", words.join(", ")));
    }
    if let Some((at, said)) = &losses.last_error {
        screen.say_so(
            &format!("The store refused a batch at {} UTC: {said}.", minute(*at)),
            Tone::Bad,
        );
    }
}
