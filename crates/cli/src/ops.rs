//! `taximeter ops`: single operations, a line each.

use std::error::Error;
use std::io::Write;

use clap::Args;
use serde::Serialize;
use taximeter::Outcome;
use taximeter::history::{Line, LookedAt, Period, VERSION};
use taximeter::report::{count, seconds};
use taximeter::store::Order;

use crate::Ended;
use crate::context::Context;
use crate::draw::{Column, Grid, Screen, Tone, spend};
use crate::select::Which;

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    taximeter ops --slowest\n  \
    taximeter ops --dearest --since 7d --limit 50\n  \
    taximeter ops --failed --error rate_limit --since 1h\n  \
    taximeter ops --tag team=search --llm openai/gpt-4o --longer 2s\n  \
    taximeter ops --user ann --since all --json")]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// The slowest first, and not the newest
    #[arg(long, conflicts_with = "dearest")]
    slowest: bool,
    /// The dearest first
    #[arg(long)]
    dearest: bool,
    /// So many at most
    #[arg(long, default_value_t = 20, value_name = "NUMBER")]
    limit: usize,
}

/// A list of operations.
#[derive(Serialize)]
struct Listed {
    taximeter_version: u32,
    document: &'static str,
    #[serde(flatten)]
    period: Period,
    only: String,
    looked_at: LookedAt,
    operations: Vec<Line>,
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let (period, only) = arguments.which.read(context.now)?;
    let order = match (arguments.slowest, arguments.dearest) {
        (true, _) => Order::Slowest,
        (_, true) => Order::Dearest,
        _ => Order::NewestFirst,
    };
    let query = only.query(period).order(order).limit(arguments.limit);
    let (operations, looked_at) = context.history()?.operations(&query)?;
    let document = Listed {
        taximeter_version: VERSION,
        document: "operations",
        period,
        only: only.to_string(),
        looked_at,
        operations,
    };
    context.print(output, &document, |screen, document| {
        if document.operations.is_empty() {
            screen.say(&format!("No such operation in this period ({}).", document.period));
        } else {
            list(screen, &document.operations);
        }
        if document.looked_at.damaged > 0 {
            screen.say_so(
                &format!(
                    "{} records cannot be read: taximeter store repair",
                    document.looked_at.damaged
                ),
                Tone::Bad,
            );
        }
    })?;
    Ok(Ended::Done)
}

/// Operations as a table.
pub(crate) fn list(screen: &mut Screen, lines: &[Line]) {
    let mut grid = Grid::new([
        Column::beginning("id", 18),
        Column::text("operation", 1),
        Column::text("began (UTC)", 4),
        Column::text("outcome", 2),
        Column::number("took", 0),
        Column::number("tokens", 5),
        Column::number("LLM", 6),
        Column::number("tools", 6),
        Column::text("user", 7),
        Column::number("cost", 3),
    ]);
    for line in lines {
        let outcome = match (line.outcome, line.error) {
            (Outcome::Success, _) => (line.outcome.as_str().to_owned(), Tone::Plain),
            (outcome, Some(error)) => (format!("{}: {error}", outcome.as_str()), Tone::Bad),
            (outcome, None) => (outcome.as_str().to_owned(), Tone::Bad),
        };
        let plain = |text: String| (text, Tone::Plain);
        grid.toned_row([
            plain(line.operation_id.to_string()),
            plain(line.operation_name.to_string()),
            plain(line.started_at.format("%m-%d %H:%M:%S").to_string()),
            outcome,
            plain(seconds(line.total_duration)),
            plain(count(line.total_tokens)),
            plain(count(line.llm_calls)),
            plain(count(line.tool_calls)),
            plain(line.user.as_ref().map_or_else(String::new, ToString::to_string)),
            plain(spend(line.total_cost, line.unpriced_calls)),
        ]);
    }
    screen.grid(&grid);
}
