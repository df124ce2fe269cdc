//! `taximeter compare`: two selections of operations side by side.

use std::error::Error;
use std::io::Write;

use clap::Args;
use taximeter::Measure;
use taximeter::analysis::{Comparison, Verdict};
use taximeter::history::{Compared, MetricCompared, Selection};
use taximeter::report::{number, seconds};

use crate::Ended;
use crate::context::Context;
use crate::draw::{Column, Grid, NONE, Screen, Tone};
use crate::select::Which;
use crate::trend::{why_cost, why_duration};

#[derive(Args)]
#[command(
    after_help = "A side is one or more of KEY=VALUE and a period, with commas between: operation=, user=, session=, tag:NAME=, \
    metadata:NAME=, tool=, component=, llm=[PROVIDER/]NAME, provider=, outcome=, error=, longer=; 24h, 48h..24h, 2026-11-01, \
    2026-11-01..2026-11-08. A side without a period is of --since and --until; the filters hold for both sides.\n\n\
    Examples:\n  \
    taximeter compare 48h..24h 24h\n  \
    taximeter compare tag:version=1 tag:version=2 --operation qa_response --since 7d\n  \
    taximeter compare llm=openai/gpt-4o llm=openai/gpt-4o-mini --since 30d --json"
)]
pub(crate) struct Arguments {
    /// The one side
    #[arg(value_name = "A")]
    a: String,
    /// The other side
    #[arg(value_name = "B")]
    b: String,
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let (period, both) = arguments.which.read(context.now)?;
    let side = |text: &str| -> Result<Selection, Box<dyn Error>> {
        let mut side = Selection::read(text, context.now)?;
        side.conditions.extend(both.conditions.iter().cloned());
        Ok(side)
    };
    let (a, b) = (side(&arguments.a)?, side(&arguments.b)?);
    let compared = context.history()?.compare(&a, &b, period)?;
    context.print(output, &compared, draw)?;
    Ok(Ended::Done)
}

fn draw(screen: &mut Screen, compared: &Compared) {
    screen.heading(&format!(
        "A: {} ({})  B: {} ({})",
        compared.a, compared.looked_at_a, compared.b, compared.looked_at_b
    ));
    let mut grid = measures_grid();
    for measured in &compared.measures {
        measure_row(&mut grid, measured.measure, measured.comparison.as_ref(), None);
    }
    screen.grid(&grid);
    metrics(screen, &compared.metrics);
    why_cost(screen, &compared.why_cost);
    for why in compared.why_duration.iter().take(3) {
        why_duration(screen, why);
    }
}

/// The numbers of the operations' own that both sides have. Whether more of one is better, nobody has said.
fn metrics(screen: &mut Screen, compared: &[MetricCompared]) {
    let mut grid = Grid::new([
        Column::name("metric"),
        Column::number("A: p50", 2),
        Column::number("B: p50", 2),
        Column::number("A: mean", 0),
        Column::number("B: mean", 0),
        Column::number("difference (95 %)", 1),
        Column::number("p-value", 3),
    ]);
    for MetricCompared { name, comparison: found, .. } in compared {
        let (low, high) = found.difference_interval;
        grid.row([
            name.to_string(),
            number(found.before.p50),
            number(found.after.p50),
            number(found.before.mean),
            number(found.after.mean),
            format!("{} ({} to {})", number(found.difference), number(low), number(high)),
            format!("{:.2e}", found.p_value),
        ]);
    }
    if !grid.is_empty() {
        screen.grid(&grid);
    }
}

/// The table of measures, which a gate draws too.
pub(crate) fn measures_grid() -> Grid {
    Grid::new([
        Column::name("measure"),
        Column::number("A: p50", 3),
        Column::number("B: p50", 3),
        Column::number("A: mean", 2),
        Column::number("B: mean", 2),
        Column::number("ratio (95 %)", 0),
        Column::number("difference (95 %)", 1),
        Column::number("p-value", 5),
        Column::text("verdict", 0),
    ])
}

pub(crate) fn measure_row(
    grid: &mut Grid,
    measure: Measure,
    found: Option<&Comparison>,
    verdict: Option<Verdict>,
) {
    let name = measure.as_str().replace('_', " ");
    let told = |verdict: Verdict| match verdict {
        Verdict::Pass => ("pass".to_owned(), Tone::Good),
        Verdict::Fail => ("FAIL".to_owned(), Tone::Bad),
        Verdict::Inconclusive => ("inconclusive".to_owned(), Tone::Plain),
    };
    let Some(found) = found else {
        let mut cells = vec![(name, Tone::Plain)];
        cells.resize(8, (NONE.to_owned(), Tone::Plain));
        cells.push(told(verdict.unwrap_or(Verdict::Inconclusive)));
        grid.toned_row(cells);
        return;
    };
    let value = |value: f64| words(measure, value);
    let ratio = found.ratio.zip(found.ratio_interval).map_or_else(
        || NONE.into(),
        |(ratio, (low, high))| format!("{ratio:.2} ({low:.2}–{high:.2})"),
    );
    let (low, high) = found.difference_interval;
    // Without limits it is said what is sure: that it is more, or less.
    let sure = match (low > 0.0, high < 0.0) {
        (true, _) => ("more".to_owned(), Tone::Bad),
        (_, true) => ("less".to_owned(), Tone::Good),
        _ => ("not sure".to_owned(), Tone::Plain),
    };
    let plain = |text: String| (text, Tone::Plain);
    grid.toned_row([
        plain(name),
        plain(value(found.before.p50)),
        plain(value(found.after.p50)),
        plain(value(found.before.mean)),
        plain(value(found.after.mean)),
        plain(ratio),
        plain(format!("{} ({} to {})", value(found.difference), value(low), value(high))),
        plain(format!("{:.2e}", found.p_value)),
        verdict.map_or(sure, told),
    ]);
}

fn words(measure: Measure, value: f64) -> String {
    let (sign, size) = if value < 0.0 { ("-", -value) } else { ("", value) };
    match measure {
        Measure::Duration => format!("{sign}{}", seconds(size)),
        Measure::Cost => format!("{sign}${size:.6}"),
        Measure::ErrorRate => format!("{sign}{:.1} %", size * 100.0),
        _ => format!("{sign}{size:.0}"),
    }
}
