//! `taximeter bottlenecks` and `taximeter advise`: what stands out, what to do about it, and what that saves.

use std::error::Error;
use std::io::Write;

use clap::Args;
use taximeter::Finding;
use taximeter::history::Advised;
use taximeter::report::{money, seconds};

use crate::Ended;
use crate::context::Context;
use crate::draw::{Screen, part};
use crate::report::advised;
use crate::select::Which;

#[derive(Args)]
#[command(
    after_help = "Findings carry the ids of the operations that prove them; thresholds stand in taximeter.toml.\n\n\
    Examples:\n  \
    taximeter bottlenecks --since 7d\n  \
    taximeter advise --since 7d\n  \
    taximeter advise --operation qa_response --json"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
}

fn ask(arguments: &Arguments, context: &Context) -> Result<Advised, Box<dyn Error>> {
    let (period, only) = arguments.which.read(context.now)?;
    Ok(context.history()?.advice(&only, period)?)
}

pub(crate) fn bottlenecks(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let found = ask(arguments, context)?;
    context.print(output, &found, |screen, found| {
        screen.heading(&format!("What stands out in {}, {}", found.looked_at, found.period));
        if found.bottlenecks.is_empty() {
            screen.say("Nothing stands out.");
        }
        for (at, finding) in found.bottlenecks.iter().enumerate() {
            stands_out(screen, at + 1, finding);
        }
    })?;
    Ok(Ended::Done)
}

fn stands_out(screen: &mut Screen, number: usize, finding: &Finding) {
    screen.say(&format!("{number}. {finding}"));
    if let Some(lost) = &finding.lost {
        let mut parts = vec![seconds(lost.seconds)];
        if lost.share_of_time.is_some() {
            parts.push(format!("{} of the time", part(lost.share_of_time)));
        }
        if !lost.usd.is_zero() {
            parts.push(money(lost.usd));
        }
        screen.say(&format!("   costs {}", parts.join(", ")));
    }
    let proofs: Vec<_> = finding.evidence.iter().take(3).map(ToString::to_string).collect();
    if !proofs.is_empty() {
        screen.say(&format!("   see {}", proofs.join(", ")));
    }
}

pub(crate) fn advise(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let found = ask(arguments, context)?;
    context.print(output, &found, |screen, found| {
        screen.heading(&format!("What to do, by {}, {}", found.looked_at, found.period));
        let all = found.optimization_suggestions.iter().zip(&found.per_month);
        if found.optimization_suggestions.is_empty() {
            screen.say("There is nothing to advise.");
        }
        for (at, (advice, per_month)) in all.enumerate() {
            advised(screen, at + 1, advice, per_month.as_ref());
            if !advice.verify.is_empty() {
                screen.say(&format!("   to see whether it helped: {}", advice.verify));
            }
        }
    })?;
    Ok(Ended::Done)
}
