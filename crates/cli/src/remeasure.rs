//! `taximeter remeasure`: whether advice has helped.

use std::error::Error;
use std::io::Write;

use clap::Args;
use taximeter::analysis::{Effect, Remeasured};
use taximeter::history::{AdviceRemeasured, Period};
use taximeter::report::{count, effect, saved};

use crate::Ended;
use crate::context::Context;
use crate::draw::{Screen, Tone, minute};
use crate::select::Which;

#[derive(Args)]
#[command(
    after_help = "What the operations before the moment advise is measured in them, and in those after it.\n\n\
    Examples:\n  \
    taximeter remeasure 2d --since 7d\n  \
    taximeter remeasure 2026-11-20T12:00:00Z --since 2026-11-13\n  \
    taximeter remeasure 24h --since 7d --operation qa_response --json"
)]
pub(crate) struct Arguments {
    /// When the advice was followed: a time ago, a day or a moment
    #[arg(value_name = "TIME", value_parser = crate::select::moment)]
    changed: String,
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let changed = Period::moment(&arguments.changed, context.now)?
        .ok_or("`all` is no moment; say when the advice was followed, such as 2d or 2026-11-20")?;
    let (period, only) = arguments.which.read(context.now)?;
    let found = context.history()?.remeasure(&only, period, changed)?;
    context.print(output, &found, draw)?;
    Ok(Ended::Done)
}

fn draw(screen: &mut Screen, found: &AdviceRemeasured) {
    screen.heading(&format!(
        "What came of the advice, since {} UTC: of {} before and {} after",
        minute(found.changed_at),
        found.looked_at_before,
        found.looked_at_after
    ));
    if found.advice.is_empty() {
        screen.say("There was nothing to advise.");
    }
    for (at, followed) in found.advice.iter().enumerate() {
        screen.say(&format!("{}. {}", at + 1, followed.advice.text));
        match &followed.remeasured {
            Some(remeasured) => came_of(screen, remeasured),
            None => screen.say("   too few operations of its name, before or after, to say"),
        }
    }
}

fn came_of(screen: &mut Screen, remeasured: &Remeasured) {
    let tone = match remeasured.effect {
        Effect::Helped => Tone::Good,
        Effect::Worse => Tone::Bad,
        Effect::Inconclusive => Tone::Plain,
    };
    let Some(saved) = saved(&remeasured.saved) else { return };
    screen.say_so(
        &format!(
            "   {}: saved of an operation {saved}, by {} before and {} after",
            effect(remeasured.effect),
            count(remeasured.operations_before),
            count(remeasured.operations_after)
        ),
        tone,
    );
}
