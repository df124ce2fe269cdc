//! The top and the bottom of a report: what needs attention, the six numbers, and how far to trust them.

use taximeter::Money;
use taximeter::analysis::When;
use taximeter::history::{Change, Report, Spark};
use taximeter::report::{count, counted, money};

use crate::draw::{
    Column, Grid, NONE, Screen, Tone, change, day, minute, percent, spark, spend, took, unpriced,
};

/// Columns of a line over time.
const LINE: usize = 24;

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
    for (at, one) in report.attention.iter().enumerate() {
        screen.say_so(&format!("{}. {}", at + 1, one.text), Tone::Bad);
        screen.lines(&format!("   {}", one.look));
    }
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
        format!("{} of {}{interval}", percent(numbers.errors.now), count(numbers.errors.now.of));
    row(&mut grid, "errors", errors, &numbers.errors, |rate| rate.fraction(), |v| percent(*v));
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
    let cache = format!("{}{saved}", percent(numbers.cache.read.now));
    row(
        &mut grid,
        "from a cache",
        cache,
        &numbers.cache.read,
        |rate| rate.fraction(),
        |v| percent(*v),
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
    let budget = month.budget.map_or_else(String::new, |budget| format!(" of {}", money(budget)));
    let gone = match month.exhaustion.as_ref().map(|gone| gone.estimate) {
        Some(When::At(at)) => format!(", gone on {}", day(at)),
        Some(When::Never) => ", enough".into(),
        None => String::new(),
    };
    format!("${expected:.2} (${low:.2} to ${high:.2}){budget}{gone}")
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
