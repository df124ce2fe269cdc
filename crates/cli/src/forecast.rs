//! `taximeter forecast`: what the next days or hours come to, with a range, and when a budget is gone.

use std::error::Error;
use std::io::Write;

use clap::{Args, ValueEnum};
use taximeter::Money;
use taximeter::analysis::{Exhaustion, Forecast, Quantity, Step, When};
use taximeter::history::{Outlook, OutlookAsk, Period};
use taximeter::report::money;

use crate::Ended;
use crate::context::Context;
use crate::draw::{Column, Grid, Screen, bar, minute, spark};
use crate::select::at;

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    taximeter forecast --budget 500\n  \
    taximeter forecast --by hour --steps 48 --of tokens\n  \
    taximeter forecast --total-until 2026-12-31 --at 2026-11-20 --json")]
pub(crate) struct Arguments {
    /// In days or hours
    #[arg(long, value_enum, default_value = "day")]
    by: By,
    /// What
    #[arg(long, value_enum, default_value = "cost")]
    of: Of,
    /// How many days or hours
    #[arg(long, default_value_t = 30, value_name = "NUMBER")]
    steps: usize,
    /// What may be spent in this month, in US dollars
    #[arg(long, value_name = "DOLLARS")]
    budget: Option<Money>,
    /// The sum until this day or moment
    #[arg(long, value_name = "TIME", value_parser = crate::select::moment)]
    total_until: Option<String>,
    /// As if it were this moment [default: now]
    #[arg(long, value_name = "TIME", value_parser = crate::select::moment)]
    at: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    Hour,
    Day,
}

impl By {
    pub(crate) fn step(self) -> Step {
        match self {
            Self::Hour => Step::Hour,
            Self::Day => Step::Day,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Of {
    Cost,
    Tokens,
    Operations,
    /// LLM calls
    Calls,
    MeanSeconds,
}

impl Of {
    pub(crate) fn quantity(self) -> Quantity {
        match self {
            Self::Cost => Quantity::CostUsd,
            Self::Tokens => Quantity::Tokens,
            Self::Operations => Quantity::Operations,
            Self::Calls => Quantity::Calls,
            Self::MeanSeconds => Quantity::MeanSeconds,
        }
    }
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let mut ask = OutlookAsk::new(at(arguments.at.as_deref(), context.now)?);
    (ask.step, ask.quantity) = (arguments.by.step(), arguments.of.quantity());
    ask.steps = arguments.steps;
    ask.budget = arguments.budget;
    if let Some(text) = &arguments.total_until {
        ask.total_until = Period::moment(text, context.now)?;
    }
    let outlook = context.history()?.forecast(&ask)?;
    context.print(output, &outlook, draw)?;
    Ok(Ended::Done)
}

fn draw(screen: &mut Screen, outlook: &Outlook) {
    screen.heading(&format!("What comes: {}", named(outlook.quantity)));
    let seen: Vec<_> = outlook.seen.iter().map(|(_, value)| *value).collect();
    if let Some((first, last)) = outlook.seen.first().zip(outlook.seen.last()) {
        screen.say(&format!("seen, {} to {} UTC:", minute(first.0), minute(last.0)));
        screen.lines(&spark(&seen, screen.width()));
    }
    let Some(forecast) = &outlook.forecast else {
        if let Some(why) = &outlook.not_enough {
            screen.say(&format!(
                "No forecast: {why}. It comes with more recorded days, or by --by hour."
            ));
        }
        return;
    };
    points(screen, outlook.quantity, forecast);
    if let Some(coverage) = forecast.coverage.filter(|coverage| !coverage.is_complete()) {
        screen.say(&format!("It is {coverage}: what comes is at least that much."));
    }
    if let Some(total) = &outlook.total {
        let amount = |value| words(outlook.quantity, value);
        screen.say(&format!(
            "until {} UTC: {} (80 %: {} to {}; 95 %: {} to {})",
            minute(total.until),
            amount(total.value),
            amount(total.low_80),
            amount(total.high_80),
            amount(total.low_95),
            amount(total.high_95)
        ));
    }
    if let (Some(budget), Some(spent), Some(gone)) =
        (outlook.budget, outlook.spent_of_budget, &outlook.exhaustion)
    {
        screen.say(&format!(
            "budget: {} of {} spent this month; {}{}",
            money(spent),
            money(budget),
            exhausted(gone),
            if gone.is_complete() { "" } else { ", or earlier, by what the other calls cost" }
        ));
    }
    tested(screen, outlook.quantity, forecast);
}

/// How far such forecasts were off in the past of the series.
fn tested(screen: &mut Screen, quantity: Quantity, forecast: &Forecast) {
    let past = &forecast.backtest;
    let Some(error) = past.mean_absolute_error else { return };
    let naive = past.mase.map_or_else(String::new, |mase| {
        format!(", {mase:.2} times as much as by taking the last season again")
    });
    screen.say(&format!(
        "{} such forecasts of {} steps in its past were off by {} in the mean{naive}.",
        past.origins,
        past.horizon,
        words(quantity, error)
    ));
}

fn exhausted(gone: &Exhaustion) -> String {
    let when = |when: When| match when {
        When::At(at) => format!("{} UTC", minute(at)),
        When::Never => format!("after {}", minute(gone.horizon)),
    };
    match gone.estimate {
        When::Never => format!(
            "enough until {} UTC, with a probability of {:.0} %",
            minute(gone.horizon),
            (1.0 - gone.probability) * 100.0
        ),
        When::At(_) => format!(
            "gone {} (80 %: {} to {})",
            when(gone.estimate),
            when(gone.earliest_80),
            when(gone.latest_80)
        ),
    }
}

fn points(screen: &mut Screen, quantity: Quantity, forecast: &Forecast) {
    let largest =
        forecast.points.iter().map(|point| point.high_80).fold(f64::MIN_POSITIVE, f64::max);
    let room = screen.width().saturating_sub(58).clamp(6, 60);
    let mut grid = Grid::new([
        Column::name("from (UTC)"),
        Column::number("expected", 0),
        Column::number("80 % from", 1),
        Column::number("to", 1),
        Column::text("", 2),
    ]);
    for point in &forecast.points {
        grid.row([
            minute(point.at),
            words(quantity, point.value),
            words(quantity, point.low_80),
            words(quantity, point.high_80),
            bar(point.value / largest, room),
        ]);
    }
    screen.grid(&grid);
    if let Some(season) = forecast.season {
        let season = serde_json::to_value(season).unwrap_or_default();
        screen.say(&format!("with a season: {}", season.as_str().unwrap_or_default()));
    }
}

pub(crate) fn named(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::CostUsd => "cost in US dollars",
        Quantity::Tokens => "tokens",
        Quantity::Operations => "operations",
        Quantity::Calls => "LLM calls",
        Quantity::MeanSeconds => "mean duration",
    }
}

/// A forecast is no exact amount, and is not told as one.
pub(crate) fn words(quantity: Quantity, value: f64) -> String {
    match quantity {
        Quantity::CostUsd if value.abs() >= 10.0 => format!("${value:.2}"),
        Quantity::CostUsd => format!("${value:.4}"),
        Quantity::MeanSeconds => taximeter::report::seconds(value),
        Quantity::Tokens | Quantity::Operations | Quantity::Calls => format!("{value:.0}"),
    }
}
