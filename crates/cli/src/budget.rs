//! `taximeter budget`: what is spent of each budget, what is left, and when it will be gone.

use std::error::Error;
use std::io::Write;

use clap::Args;
use serde::Serialize;
use taximeter_alerts::{BudgetState, budgets};

use crate::Ended;
use crate::alerts::RulesFile;
use crate::context::Context;
use crate::draw::{Screen, Tone, bar};
use crate::select::at;

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    taximeter budget\n  \
    taximeter budget --check --json | jq '.budgets[] | select(.left < \"0\")'\n\n\
    Budgets stand in taximeter.alerts.toml:\n  \
    [[budget]]\n  \
    name = \"month\"\n  \
    amount = 500\n  \
    per = \"month\"")]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: RulesFile,
    /// So many groups of each budget, those that spent the most
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    limit: usize,
    /// End with 5 where one is over
    #[arg(long)]
    check: bool,
    /// As if it were this moment [default: now]
    #[arg(long, value_name = "TIME", value_parser = crate::select::moment)]
    at: Option<String>,
}

/// The budgets.
#[derive(Serialize)]
struct Budgets {
    taximeter_version: u32,
    document: &'static str,
    #[serde(rename = "budgets")]
    states: Vec<BudgetState>,
    /// Groups for which there was no room.
    more: usize,
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let rules = arguments.file.load()?;
    let now = at(arguments.at.as_deref(), context.now)?;
    let found = budgets(&rules.budgets, &context.history()?, now, arguments.limit)?;
    let mut all =
        Budgets { taximeter_version: 1, document: "budgets", states: Vec::new(), more: 0 };
    for (_, states, more) in found {
        all.states.extend(states);
        all.more += more;
    }
    context.print(output, &all, draw)?;
    let is_over = all.states.iter().any(BudgetState::is_over);
    Ok(if arguments.check && is_over { Ended::CheckFailed } else { Ended::Done })
}

fn draw(screen: &mut Screen, all: &Budgets) {
    if all.states.is_empty() {
        screen.say("There are no budgets: the file has no [[budget]].");
    }
    for state in &all.states {
        let key = state.key.as_ref().map_or_else(String::new, |key| format!(" · {key}"));
        screen.heading(&format!("{}{key}", state.budget));
        let room = screen.width().saturating_sub(10).clamp(4, 60);
        screen.lines(&format!("{:>6.1} % {}", state.share() * 100.0, bar(state.share(), room)));
        let tone = if state.is_over() { Tone::Bad } else { Tone::Plain };
        screen.say_so(&state.in_words(), tone);
        screen.say(&state.left_in_words());
    }
    if all.more > 0 {
        screen.say(&format!("{} more groups have spent less.", all.more));
    }
}
