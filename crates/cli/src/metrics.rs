//! `taximeter metrics`: the numbers that operations keep in their metadata, and one of them over time.

use std::error::Error;
use std::io::Write;

use clap::Args;
use taximeter::MeasureTrend;
use taximeter::analysis::statistics::Distribution;
use taximeter::analysis::{Anomalies, Dimension, Forecast};
use taximeter::history::{Metric, MetricValue, Metrics, OwnMetric, OwnSeries};
use taximeter::report::{count, counted, goes, number};

use crate::Ended;
use crate::context::Context;
use crate::draw::{Column, Grid, NONE, Screen, minute, spark};
use crate::select::Which;

#[derive(Args)]
#[command(
    after_help = "A metric of operations is a number in their metadata, such as `.with(\"retrieved_documents\", 12)`; \
    metrics of programs' own are those of `Meter::registry`. Filters are about operations.\n\n\
    Examples:\n  \
    taximeter metrics --since 7d\n  \
    taximeter metrics answer_relevance --since 30d\n  \
    taximeter metrics retrieved_documents --by tag:version --operation qa_response --json"
)]
pub(crate) struct Arguments {
    /// One of them, to be told over time [default: lists all]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Tells it apart by operation, user, session or tag:NAME
    #[arg(long, value_name = "WHAT", default_value = "operation", value_parser = by, requires = "name")]
    by: Dimension,
    #[command(flatten)]
    which: Which,
}

fn by(text: &str) -> Result<Dimension, String> {
    match text.parse() {
        Ok(
            by @ (Dimension::Operation | Dimension::User | Dimension::Session | Dimension::Tag(_)),
        ) => Ok(by),
        _ => Err("operation, user, session or tag:NAME expected".to_owned()),
    }
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let (period, only) = arguments.which.read(context.now)?;
    let history = context.history()?;
    let Some(name) = &arguments.name else {
        context.print(output, &history.metrics(&only, period, context.now)?, list)?;
        return Ok(Ended::Done);
    };
    let metric = history.metric(name, &only, period, &arguments.by, context.now)?;
    let own = history.own_metrics(period, context.now)?;
    match own.into_iter().find(|own| metric.values.is_none() && *own.name == **name) {
        Some(own) => context.print(output, &own, own_over_time)?,
        None => context.print(output, &metric, over_time)?,
    }
    Ok(Ended::Done)
}

fn list(screen: &mut Screen, found: &Metrics) {
    screen.heading(&format!("Metrics of {}, {}", found.looked_at, found.period));
    if found.metrics.is_empty() {
        screen.say("No operation has a number in its metadata.");
    } else {
        of_operations(screen, found);
    }
    if !found.own.is_empty() {
        screen.heading("Metrics of programs' own");
        own(screen, &found.own);
    }
    if !(found.metrics.is_empty() && found.own.is_empty()) {
        screen.say("taximeter metrics NAME tells one of them over time.");
    }
}

fn of_operations(screen: &mut Screen, found: &Metrics) {
    let mut grid = Grid::new([
        Column::name("metric"),
        Column::number("operations", 1),
        Column::number("mean", 0),
        Column::number("p50", 2),
        Column::number("p95", 1),
        Column::number("min", 3),
        Column::number("max", 3),
        Column::text("trend", 0),
    ]);
    for metric in &found.metrics {
        let values = &metric.values;
        grid.row([
            metric.name.to_string(),
            count(metric.operations.hits),
            number(values.mean),
            number(values.p50),
            number(values.p95),
            number(values.min),
            number(values.max),
            goes(metric.trend.direction, metric.trend.change_percent),
        ]);
    }
    screen.grid(&grid);
}

fn own(screen: &mut Screen, metrics: &[OwnMetric]) {
    let mut grid = Grid::new([
        Column::name("metric"),
        Column::text("unit", 2),
        Column::text("", 0),
        Column::number("p50", 3),
        Column::number("p95", 3),
        Column::number("series", 2),
        Column::text("trend", 1),
    ]);
    let percentile = |value: Option<f64>| value.map_or_else(|| NONE.into(), number);
    for metric in metrics {
        grid.row([
            metric.name.to_string(),
            metric.unit.to_string(),
            came_to(&metric.value),
            percentile(metric.p50),
            percentile(metric.p95),
            count(metric.series.len() as u64),
            goes(metric.trend.direction, metric.trend.change_percent),
        ]);
    }
    screen.grid(&grid);
}

fn came_to(value: &MetricValue) -> String {
    let told = value.number().map_or_else(|| NONE.into(), number);
    match value {
        MetricValue::Counter { .. } => format!("+{told}"),
        MetricValue::Histogram { count: of, .. } => format!("mean {told} of {}", count(*of)),
        _ => told,
    }
}

fn own_over_time(screen: &mut Screen, metric: &OwnMetric) {
    screen.heading(&format!("{} ({}), {}", metric.name, metric.unit, metric.period));
    let every = if metric.step_seconds == 60 { "minute" } else { "hour" };
    let steps = metric.over_time.len() as u64;
    screen.say(&format!(
        "{}, in {} of a {every} in which it did something; {}",
        came_to(&metric.value),
        counted(steps, "stretch"),
        goes(metric.trend.direction, metric.trend.change_percent)
    ));
    let values: Vec<_> = metric.over_time.iter().map(|(_, value)| Some(*value)).collect();
    screen.lines(&spark(&values, screen.width()));
    changes(screen, &metric.trend, metric.unusual.as_ref(), metric.forecast.as_ref());
    let mut grid = Grid::new([Column::name("labels"), Column::text("", 0)]);
    for OwnSeries { labels, value, .. } in &metric.series {
        let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        grid.row([labels.join(", "), came_to(value)]);
    }
    if metric.series.len() > 1 {
        screen.grid(&grid);
    }
}

fn over_time(screen: &mut Screen, metric: &Metric) {
    screen.heading(&format!("{}, {}", metric.name, metric.period));
    let Some(values) = &metric.values else {
        screen.say("No operation has it as a number in its metadata; `taximeter metrics` lists those that there are.");
        return;
    };
    let trend = &metric.trend;
    screen.say(&format!("{} have it.", metric.operations));
    let p_value = trend.p_value.map_or_else(String::new, |p| format!(", by chance with p {p:.2e}"));
    screen.say(&format!("{}{p_value}", goes(trend.direction, trend.change_percent)));
    let means: Vec<_> = metric.over_time.iter().map(|(_, mean)| *mean).collect();
    screen.lines(&spark(&means, screen.width()));
    changes(screen, trend, metric.unusual.as_ref(), metric.forecast.as_ref());
    groups(screen, metric, values);
}

/// Since when it is another, what is out of the ordinary, and what comes next.
fn changes(
    screen: &mut Screen,
    trend: &MeasureTrend,
    unusual: Option<&Anomalies>,
    forecast: Option<&Forecast>,
) {
    for change in &trend.changes {
        screen.say(&format!(
            "Since {} UTC it is {} and not {}: {:+.0} %, by chance with p {:.2e}.",
            minute(change.since),
            number(change.after),
            number(change.before),
            change.change_percent,
            change.p_value
        ));
    }
    for step in unusual.iter().flat_map(|unusual| &unusual.found) {
        screen.say(&format!(
            "Out of the ordinary from {} UTC: {}, where {} to {} is usual.",
            minute(step.at),
            number(step.value),
            number(step.low),
            number(step.high)
        ));
    }
    if let Some(next) = forecast.and_then(|forecast| forecast.points.first()) {
        screen.say(&format!(
            "Next, from {} UTC: {} (80 %: {} to {}).",
            minute(next.at),
            number(next.value),
            number(next.low_80),
            number(next.high_80)
        ));
    }
}

fn groups(screen: &mut Screen, metric: &Metric, all: &Distribution) {
    let mut grid = Grid::new([
        Column::name(&metric.by.to_string()),
        Column::number("operations", 1),
        Column::number("mean", 0),
        Column::number("p50", 1),
        Column::number("p90", 3),
        Column::number("p95", 2),
        Column::number("p99", 3),
        Column::number("min", 4),
        Column::number("max", 4),
    ]);
    let mut row = |key: String, values: &Distribution| {
        let numbers =
            [values.mean, values.p50, values.p90, values.p95, values.p99, values.min, values.max];
        grid.row([key, count(values.count)].into_iter().chain(numbers.map(number)));
    };
    for group in &metric.groups {
        row(
            group.key.as_ref().map_or_else(|| "(not told)".into(), ToString::to_string),
            &group.values,
        );
    }
    if metric.groups.len() > 1 {
        row("all".into(), all);
    }
    screen.grid(&grid);
}
