//! `taximeter sessions`: the dearest, slowest or newest sessions, or users.

use std::error::Error;
use std::io::Write;

use clap::{Args, ValueEnum};
use taximeter::analysis::Dimension;
use taximeter::history::{SessionOrder, Sessions};
use taximeter::report::{count, counted, seconds};

use crate::Ended;
use crate::context::Context;
use crate::draw::{Column, Grid, Screen, minute, share, spend};
use crate::select::{Filters, PeriodArguments};

#[derive(Args)]
#[command(
    after_help = "Busy is how long their operations took, added up, those within others too.\n\n\
    Examples:\n  \
    taximeter sessions --since 7d\n  \
    taximeter sessions --slowest --limit 5\n  \
    taximeter sessions --by user --tag team=search --json"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    period: PeriodArguments,
    #[command(flatten)]
    only: Filters,
    /// Of sessions or users
    #[arg(long, value_enum, default_value = "session", value_name = "WHAT")]
    by: By,
    /// The slowest first, and not the dearest
    #[arg(long, conflicts_with = "newest")]
    slowest: bool,
    /// The newest first
    #[arg(long)]
    newest: bool,
    /// So many at most
    #[arg(long, default_value_t = 20, value_name = "NUMBER")]
    limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Session,
    User,
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let (period, only) = (arguments.period.read(context.now)?, arguments.only.read()?);
    let by = match arguments.by {
        By::Session => Dimension::Session,
        By::User => Dimension::User,
    };
    let order = match (arguments.slowest, arguments.newest) {
        (true, _) => SessionOrder::Slowest,
        (_, true) => SessionOrder::Newest,
        _ => SessionOrder::Dearest,
    };
    let history = context.history()?;
    let found = history.sessions(&by, history.whole(period), &only, order, arguments.limit)?;
    context.print(output, &found, draw)?;
    Ok(Ended::Done)
}

fn draw(screen: &mut Screen, found: &Sessions) {
    let by = found.by.to_string();
    if found.of == 0 {
        screen.say(&format!(
            "No operation of this period told its {by} ({}). To tell it:",
            found.period
        ));
        screen.lines(&format!("  taximeter::operation(\"answer\").{by}(\"s1\").start()"));
        return;
    }
    screen.heading(&format!("{}, {}", counted(found.of, &by), found.period));
    let mut grid = Grid::new([
        Column::name(&by),
        Column::number("operations", 1),
        Column::number("errors", 2),
        Column::number("busy", 0),
        Column::number("longest", 3),
        Column::text("first (UTC)", 5),
        Column::text("last (UTC)", 4),
        Column::number("cost", 0),
    ]);
    for one in &found.sessions {
        grid.row([
            one.key.to_string(),
            count(one.errors.of),
            share(one.errors),
            seconds(one.busy_seconds),
            seconds(one.longest_seconds),
            minute(one.first_at),
            minute(one.last_at),
            spend(one.total_cost, one.unpriced_calls),
        ]);
    }
    screen.grid(&grid);
    if found.untold > 0 {
        screen
            .say(&format!("{} told none, and are in no row.", counted(found.untold, "operation")));
    }
}
