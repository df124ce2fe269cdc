//! `taximeter show`: one operation taken apart, as a waterfall on the screen.

use std::error::Error;
use std::io::Write;

use clap::Args;
use taximeter::history::{Shown, Waterfall, WaterfallKind};
use taximeter::report::{count, counted, money, seconds};
use taximeter::{LlmCall, OperationRecord};

use crate::Ended;
use crate::context::Context;
use crate::draw::{Column, Grid, NONE, Screen, Tone, columns, part, took, unpriced};

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    taximeter ops --slowest --limit 1\n  \
    taximeter show 0193a1b2-c3d4\n  \
    taximeter show 0193a1b2-c3d4-7abc-8def-0123456789ab --json")]
pub(crate) struct Arguments {
    /// The id of the operation, or its beginning
    #[arg(value_name = "ID")]
    id: String,
}

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let shown = context.history()?.show(&arguments.id)?;
    context.print(output, &shown, draw)?;
    Ok(Ended::Done)
}

fn draw(screen: &mut Screen, shown: &Shown) {
    let operation = &shown.operation;
    screen.heading(&format!("{} {}", operation.name, operation.id));
    about(screen, operation);
    waterfall(screen, shown);
    path(screen, shown);
    for call in &operation.llm_calls {
        llm(screen, call);
    }
    for (what, said) in [
        ("error", operation.errors.iter().map(ToString::to_string).collect::<Vec<_>>()),
        ("warning", operation.warnings.iter().map(|warning| warning.message.clone()).collect()),
    ] {
        for one in said {
            screen.say_so(&format!("{what}: {one}"), Tone::Bad);
        }
    }
    if !operation.metadata.is_empty() {
        screen.heading("Metadata");
        for (key, value) in &operation.metadata {
            screen.say(&format!("{key}: {value}"));
        }
    }
}

fn about(screen: &mut Screen, operation: &OperationRecord) {
    let tone = if operation.is_success() { Tone::Good } else { Tone::Bad };
    let began = operation.started_at.format("%F %H:%M:%S%.3f");
    let outcome = operation.outcome.as_str();
    let lasted = taximeter::report::duration(operation.duration);
    screen.say_so(&format!("{outcome} in {lasted}, began {began} UTC"), tone);
    let cost = operation.cost();
    let lacks = unpriced(&cost);
    let lacks = if lacks.is_empty() { lacks } else { format!(" ({lacks})") };
    let usage = operation.usage();
    screen.say(&format!(
        "{} tokens ({} in, {} out), {}{lacks}; {}, {}",
        count(usage.total_tokens()),
        count(usage.input_tokens()),
        count(usage.output_tokens()),
        money(cost.usd()),
        counted(operation.llm_calls.len() as u64, "LLM call"),
        counted(operation.tool_calls.len() as u64, "tool call"),
    ));
    let mut who = Vec::new();
    who.extend(operation.user.as_ref().map(|user| format!("user {user}")));
    who.extend(operation.session.as_ref().map(|session| format!("session {session}")));
    who.extend(operation.parent.map(|parent| format!("within {parent}")));
    who.extend(operation.tags.iter().map(|(tag, value)| format!("{tag}={value}")));
    who.extend(
        operation.remote_parent.map(|parent| format!("within span {parent} of another process")),
    );
    who.push(format!("trace {}", operation.trace_id));
    screen.say(&who.join(", "));
}

fn waterfall(screen: &mut Screen, shown: &Shown) {
    if shown.waterfall.is_empty() {
        screen.say(&format!("{NONE} nothing is known of what ran in it."));
        return;
    }
    screen.heading("Waterfall (■ on the critical path, □ beside it)");
    let whole = shown.operation.duration.as_secs_f64();
    let names = shown.waterfall.iter().map(|line| columns(&named(line))).max().unwrap_or(0);
    // The numbers beside it take so much.
    let room = screen.width().saturating_sub(names + 46).clamp(10, 80);
    let mut grid = Grid::new([
        Column::name("what"),
        Column::text("when", 1),
        Column::number("began", 4),
        Column::number("took", 0),
        Column::number("tokens", 5),
        Column::number("cost", 3),
    ]);
    for line in &shown.waterfall {
        let tone = if line.error.is_some() { Tone::Bad } else { Tone::Plain };
        grid.toned_row([
            (named(line), tone),
            (stretch(line, whole, room), tone),
            (
                line.start_seconds.map_or_else(|| NONE.into(), |at| format!("+{}", seconds(at))),
                tone,
            ),
            (took(line.seconds), tone),
            (line.tokens.map_or_else(String::new, count), tone),
            (line.cost.map_or_else(String::new, money), tone),
        ]);
    }
    screen.grid(&grid);
    for line in shown.waterfall.iter().filter(|line| line.error.is_some()) {
        let error = line.error.as_deref().unwrap_or_default();
        screen.say_so(&format!("{}: {error}", named(line)), Tone::Bad);
    }
}

fn named(line: &Waterfall) -> String {
    match line.kind {
        WaterfallKind::Component => line.name.to_string(),
        WaterfallKind::Tool => format!("tool {}", line.name),
        WaterfallKind::Llm => format!("LLM {}", line.name),
        WaterfallKind::Operation => format!("op {}", line.name),
    }
}

/// Where in the operation it ran; what tells no beginning has no place.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "columns of a screen"
)]
fn stretch(line: &Waterfall, whole: f64, room: usize) -> String {
    let (Some(start), Some(long)) = (line.start_seconds, line.seconds) else {
        return String::new();
    };
    let place = |seconds: f64| {
        let share = (seconds / whole).clamp(0.0, 1.0);
        if share.is_finite() { (share * room as f64).round() as usize } else { 0 }
    };
    let from = place(start).min(room.saturating_sub(1));
    let to = place(start + long).clamp(from + 1, room);
    let block = if line.critical_seconds > 0.0 { "■" } else { "□" };
    format!("{}{}", " ".repeat(from), block.repeat(to - from))
}

fn path(screen: &mut Screen, shown: &Shown) {
    let Some(spent) = &shown.time_spent else { return };
    screen.heading("The critical path");
    let mut grid = Grid::new([
        Column::name("part"),
        Column::number("seconds", 0),
        Column::number("share", 1),
        Column::number("at a time", 3),
    ]);
    for one in &spent.all.parts {
        grid.row([
            one.part.to_string(),
            seconds(one.critical_seconds),
            part(Some(one.share)),
            count(one.most_parallel),
        ]);
    }
    screen.grid(&grid);
}

/// An LLM call: what it used, what it cost and why.
fn llm(screen: &mut Screen, call: &LlmCall) {
    let provider = call.provider.as_deref().unwrap_or("unknown");
    screen.heading(&format!("LLM call: {provider}/{}, attempt {}", call.model(), call.attempt));
    let speed = call.output_tokens_per_second().map(|speed| format!("{speed:.0} tokens/s"));
    let first = call.time_to_first_token.map(taximeter::report::duration);
    let mut parts = Vec::new();
    parts.extend(
        call.duration.map(|lasted| format!("took {}", taximeter::report::duration(lasted))),
    );
    parts.extend(first.map(|first| format!("first token after {first}")));
    parts.extend(speed);
    parts.extend(call.finish_reason.as_ref().map(|reason| format!("ended: {reason}")));
    parts.extend(call.served_tier.as_ref().map(|tier| format!("tier {tier}")));
    if !parts.is_empty() {
        screen.say(&parts.join(", "));
    }
    if let Some(error) = &call.error {
        screen.say_so(&error.to_string(), Tone::Bad);
    }
    for line in crate::price::text(&call.cost, call.model(), screen.style()).lines() {
        screen.lines(line);
    }
}
