//! `taximeter anomalies`: hours or days, operations, tools and LLMs that are out of the ordinary.

use std::error::Error;
use std::io::Write;

use clap::Args;
use taximeter::analysis::{Anomaly, Callee, ErrorJump, Quantity, SlowOperation};
use taximeter::history::{Unusual, UnusualAsk};
use taximeter::report::{count, seconds};

use crate::Ended;
use crate::context::Context;
use crate::draw::{Column, Grid, Screen, Tone, minute};
use crate::forecast::{By, Of, named, words};
use crate::select::Which;

#[derive(Args)]
#[command(
    after_help = "Of all alarms of one kind, a false one comes in at most one of twenty answers.\n\n\
    Examples:\n  \
    taximeter anomalies --since 7d\n  \
    taximeter anomalies --since 30d --by day --of tokens\n  \
    taximeter anomalies --operation qa_response --since 24h --json"
)]
pub(crate) struct Arguments {
    /// In days or hours
    #[arg(long, value_enum, default_value = "hour")]
    by: By,
    /// Days or hours of what
    #[arg(long, value_enum, default_value = "cost")]
    of: Of,
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let (period, only) = arguments.which.read(context.now)?;
    let mut ask = UnusualAsk::new(period, context.now);
    ask.selection = only;
    (ask.quantity, ask.step) = (arguments.of.quantity(), arguments.by.step());
    let found = context.history()?.unusual(&ask)?;
    context.print(output, &found, draw)?;
    Ok(Ended::Done)
}

fn draw(screen: &mut Screen, found: &Unusual) {
    screen
        .heading(&format!("What is out of the ordinary, {}, of {}", found.period, found.looked_at));
    steps(screen, found);
    if found.looked_at.records == 0 {
        screen.say("No operation began in this time.");
        return;
    }
    slow(screen, &found.slow_operations);
    jumps(screen, found);
}

fn steps(screen: &mut Screen, found: &Unusual) {
    let what = named(found.quantity);
    let Some(steps) = &found.steps else {
        if let Some(why) = &found.not_enough {
            screen.say(&format!("Of the {what} over time nothing can be said: {why}."));
        }
        return;
    };
    if steps.found.is_empty() {
        screen.say(&format!(
            "The {what} over time has nothing unusual, by {} hours or days.",
            count(steps.of as u64)
        ));
    }
    let mut grid = Grid::new([
        Column::name("from (UTC)"),
        Column::number(what, 0),
        Column::number("expected", 1),
        Column::number("usual from", 2),
        Column::number("to", 2),
        Column::number("p-value", 3),
    ]);
    for step in &steps.found {
        grid.toned_row(row(found.quantity, step));
    }
    if !grid.is_empty() {
        screen.grid(&grid);
    }
    if let Some(coverage) = steps.coverage.filter(|coverage| !coverage.is_complete()) {
        screen.say(&format!("All of this is {coverage}, and so at least that much."));
    }
}

fn row(quantity: Quantity, step: &Anomaly) -> Vec<(String, Tone)> {
    let tone = if step.value > step.expected { Tone::Bad } else { Tone::Plain };
    vec![
        (minute(step.at), Tone::Plain),
        (words(quantity, step.value), tone),
        (words(quantity, step.expected), Tone::Plain),
        (words(quantity, step.low), Tone::Plain),
        (words(quantity, step.high), Tone::Plain),
        (chance(step.p_value), Tone::Plain),
    ]
}

/// So many are listed.
const LISTED: usize = 10;

fn slow(screen: &mut Screen, slow: &[SlowOperation]) {
    if slow.is_empty() {
        screen.say("No operation took unusually long for its name.");
        return;
    }
    screen.heading("Operations that took unusually long");
    let mut grid = Grid::new([
        Column::name("operation"),
        Column::number("took", 0),
        Column::number("usual", 1),
        Column::text("began (UTC)", 2),
        Column::text("id", 0),
    ]);
    for one in slow.iter().take(LISTED) {
        grid.row([
            one.name.to_string(),
            seconds(one.seconds),
            seconds(one.expected_seconds),
            minute(one.at),
            one.id.to_string(),
        ]);
    }
    screen.grid(&grid);
    let more = slow.len().saturating_sub(LISTED);
    if more > 0 {
        screen.say(&format!("and {more} more: taximeter anomalies --json"));
    }
}

fn jumps(screen: &mut Screen, found: &Unusual) {
    if found.error_jumps.is_empty() {
        screen.say(&format!(
            "No tool and no LLM fails more often than in the period before, of {}.",
            found.looked_at_before
        ));
        return;
    }
    screen.heading("What fails more often than in the period before");
    for jump in &found.error_jumps {
        screen.say_so(&told(jump), Tone::Bad);
        if let Some(proof) = jump.operations.first() {
            screen.say(&format!("   see {proof}"));
        }
    }
}

fn told(jump: &ErrorJump) -> String {
    let callee = match &jump.callee {
        Callee::Tool { name } => name.to_string(),
        Callee::Llm { provider, model } => format!("{provider}/{model}"),
    };
    let (before, after) = (jump.before, jump.after);
    format!(
        "{callee} fails in {after}, before in {before}: by chance with p {}.",
        chance(jump.corrected_p_value)
    )
}

/// Below this a probability is known by its size alone.
const LEAST: f64 = 1e-15;

fn chance(p_value: f64) -> String {
    if p_value < LEAST { format!("<{LEAST:.0e}") } else { format!("{p_value:.1e}") }
}
