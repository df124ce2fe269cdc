//! `taximeter slo`: whether a promise to users is kept, and how fast what may go wrong is used up.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use clap::Args;
use taximeter::analysis::{Objective, Window};
use taximeter::history::ObjectiveKept;
use taximeter::report::seconds;

use crate::Ended;
use crate::context::Context;
use crate::draw::{Column, Grid, NONE, Screen, Tone};
use crate::select::{Filters, at};

#[derive(Args)]
#[command(
    after_help = "A budget that goes too fast, over a long and a short window at once, ends with the exit code 5.\n\n\
    Examples:\n  \
    taximeter slo --target 99 --operation qa_response\n  \
    taximeter slo --target 99.5 --within 3s --window 30d\n  \
    taximeter slo --target 95 --within 800ms --user ann --json"
)]
pub(crate) struct Arguments {
    /// How many percent of the operations are to be good
    #[arg(long, value_name = "PERCENT", value_parser = objective)]
    target: Objective,
    /// They are good where they succeed within this time: 800ms, 3s [default: however long they take]
    #[arg(long, value_name = "TIME", value_parser = time)]
    within: Option<Duration>,
    /// Over how long
    #[arg(long, default_value = "30d")]
    window: Window,
    /// Where the window ends [default: now]
    #[arg(long, value_name = "TIME", value_parser = crate::select::moment)]
    at: Option<String>,
    #[command(flatten)]
    only: Filters,
}

fn objective(text: &str) -> Result<Objective, String> {
    let percent: f64 = text.parse().map_err(|_| "a number of percent expected, such as 99.5")?;
    let wrong = |_| "a number of percent above 0 and below 100 expected, such as 99.5".to_owned();
    Objective::new(percent / 100.0).map_err(wrong)
}

fn time(text: &str) -> Result<Duration, String> {
    Window::time(text).map_err(|_| "a time expected, such as 800ms, 3s or 5m".into())
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let now = at(arguments.at.as_deref(), context.now)?;
    let mut objective = arguments.target;
    if let Some(time) = arguments.within {
        objective = objective.within(time);
    }
    let only = arguments.only.read()?;
    let found = context.history()?.objective(&objective, &only, &arguments.window, now)?;
    context.print(output, &found, draw)?;
    Ok(if found.alarms { Ended::CheckFailed } else { Ended::Done })
}

fn draw(screen: &mut Screen, found: &ObjectiveKept) {
    let within = found.objective.time();
    let within =
        within.map_or_else(String::new, |time| format!(" within {}", seconds(time.as_secs_f64())));
    screen.heading(&format!(
        "{}: {} % succeed{within}, over {}",
        found.only,
        percent(found.objective.target()),
        found.window
    ));
    let kept = &found.kept;
    let Some(left) = kept.budget_left else {
        screen.say("There are no operations in this time, and so nothing to say.");
        return;
    };
    let is_kept = left >= 0.0;
    let tone = if is_kept { Tone::Good } else { Tone::Bad };
    let word = if is_kept { "kept" } else { "not kept" };
    screen.say_so(&format!("{word}: {} were as promised", kept.good), tone);
    screen.say(&if is_kept {
        format!("of what may go wrong, {} % is left", percent(left))
    } else {
        format!("{:.1} times as much went wrong as may", 1.0 - left)
    });
    if let Some(apdex) = kept.apdex {
        screen.say(&format!("Apdex {apdex:.2}"));
    }
    burns(screen, found);
}

fn burns(screen: &mut Screen, found: &ObjectiveKept) {
    let mut grid = Grid::new([
        Column::name("the budget goes"),
        Column::number("pace", 0),
        Column::text("and over", 1),
        Column::number("pace", 1),
        Column::number("limit", 2),
        Column::text("", 0),
    ]);
    let pace = |pace: Option<f64>| pace.map_or_else(|| NONE.into(), |pace| format!("{pace:.1}"));
    for burn in &found.kept.burns {
        let alarm = if burn.alarms() { ("too fast", Tone::Bad) } else { ("", Tone::Plain) };
        let plain = |text: String| (text, Tone::Plain);
        grid.toned_row([
            plain(format!("over {}", Window::from(Duration::from_secs(burn.long_seconds)))),
            plain(pace(burn.over_long)),
            plain(Window::from(Duration::from_secs(burn.short_seconds)).to_string()),
            plain(pace(burn.over_short)),
            plain(format!("{:.1}", burn.limit)),
            (alarm.0.to_owned(), alarm.1),
        ]);
    }
    screen.grid(&grid);
    screen.say("A pace of 1 uses it up just at the end of the window.");
}

/// As many digits as say something.
fn percent(share: f64) -> String {
    let text = format!("{:.3}", share * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
