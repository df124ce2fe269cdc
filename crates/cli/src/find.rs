//! `taximeter find`: what an id, a trace, a name or the words of an error lead to.

use std::error::Error;
use std::io::Write;

use clap::Args;
use taximeter::history::Found;
use taximeter::report::{count, counted};

use crate::Ended;
use crate::context::Context;
use crate::draw::{Column, Grid, Screen};
use crate::select::PeriodArguments;

#[derive(Args)]
#[command(
    after_help = "Ids may be shortened to their first six characters; upper and lower case are the same.\n\n\
    Examples:\n  \
    taximeter find ann --since 7d\n  \
    taximeter find 'context length' --since all\n  \
    taximeter find 4bf92f3577b34da6a3ce929d0e0e4736 --json"
)]
pub(crate) struct Arguments {
    /// An id, a trace, a name, a user, a session, or words of an error
    #[arg(value_name = "TEXT")]
    text: String,
    #[command(flatten)]
    period: PeriodArguments,
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let history = context.history()?;
    let period = history.whole(arguments.period.read(context.now)?);
    let found = history.search(&arguments.text, period)?;
    context.print(output, &found, draw)?;
    Ok(Ended::Done)
}

fn draw(screen: &mut Screen, found: &Found) {
    if let Some(id) = found.operation {
        screen.say("This is an operation:");
        screen.lines(&format!("  taximeter show {id}"));
    } else if found.is_empty() {
        screen.say(&format!(
            "Nothing is called so in this period ({}), and no error of {} says it.",
            found.period, found.looked_at
        ));
    }
    if !found.names.is_empty() {
        screen.heading("Names");
        let mut grid =
            Grid::new([Column::name("name"), Column::text("of", 0), Column::number("count", 0)]);
        for name in &found.names {
            grid.row([name.key.to_string(), name.by.to_string(), count(name.count)]);
        }
        screen.grid(&grid);
        if found.more_names > 0 {
            screen.say(&format!("and {}", counted(found.more_names, "more name")));
        }
    }
    for (title, lines) in
        [("By id or trace", &found.by_id), ("By the text of an error", &found.by_error)]
    {
        if !lines.is_empty() {
            screen.heading(title);
            crate::ops::list(screen, lines);
        }
    }
}
