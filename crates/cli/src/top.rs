//! `taximeter top`: totals, rates and tables as they happen.

mod frame;

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use chrono::Utc;
use clap::Args;
use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde::Serialize;
use taximeter::analysis::{Dimension, Window};
use taximeter::history::{By, Group, History, Losses, OverTime, Period, VERSION};
use taximeter::{StoreError, Totals};

use crate::Ended;
use crate::context::Context;

#[derive(Args)]
#[command(
    after_help = "Keys: q quits, w takes the next window (15m, 1h, 24h), space holds the screen.\n\
    Where the output is no terminal, one screen is printed.\n\n\
    Examples:\n  \
    taximeter top\n  \
    taximeter top --window 1h --refresh 5\n  \
    taximeter top --window 24h --json"
)]
pub(crate) struct Arguments {
    /// How far back
    #[arg(long, default_value = "15m")]
    window: Window,
    /// So many seconds between two looks
    #[arg(long, default_value_t = 2, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    refresh: u64,
    /// So many looks, and then end [default: until q]
    #[arg(long, value_name = "NUMBER")]
    looks: Option<u64>,
}

/// What is seen at one moment.
#[derive(Debug, Serialize)]
struct Seen {
    taximeter_version: u32,
    document: &'static str,
    window: String,
    #[serde(flatten)]
    period: Period,
    #[serde(flatten)]
    totals: Totals,
    over_time: OverTime,
    by_operation: Vec<Group>,
    by_llm: Vec<Group>,
    by_tool: Vec<Group>,
    /// What the meters lost, to the hour.
    losses: Losses,
}

/// The windows that `w` goes through.
const WINDOWS: [&str; 3] = ["15m", "1h", "24h"];
/// Rows of a screen that is printed.
const PRINTED_ROWS: u16 = 40;

pub(crate) fn run(
    arguments: &Arguments,
    context: &Context,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let history = context.history()?;
    if context.json {
        context.print(output, &look(&history, &arguments.window)?, |_, _| {})?;
    } else if context.terminal && std::io::stdout().is_terminal() {
        live(arguments, &history)?;
    } else {
        let seen = look(&history, &arguments.window)?;
        output.write_all(printed(&seen, context.style.width)?.as_bytes())?;
    }
    Ok(Ended::Done)
}

fn look(history: &History, window: &Window) -> Result<Seen, StoreError> {
    let now = Utc::now();
    let since = chrono::TimeDelta::from_std(window.length()).ok();
    let since = since.and_then(|length| now.checked_sub_signed(length));
    let until = now.checked_add_signed(chrono::TimeDelta::seconds(1));
    let period = Period::new(since, until);
    let by = |dimension| history.groups(&By::Dimension(dimension), period);
    Ok(Seen {
        taximeter_version: VERSION,
        document: "top",
        window: window.to_string(),
        period,
        totals: history.totals(period)?,
        over_time: history.over_time(period)?,
        by_operation: by(Dimension::Operation)?,
        by_llm: by(Dimension::Llm)?,
        by_tool: by(Dimension::Tool)?,
        losses: history.losses(period)?,
    })
}

/// Draws again and again until somebody quits. The terminal is given back as it was, whatever happens.
fn live(arguments: &Arguments, history: &History) -> Result<(), Box<dyn Error>> {
    let mut terminal = ratatui::try_init()?;
    let ended = looks(arguments, history, &mut terminal);
    ratatui::try_restore()?;
    ended
}

fn looks(
    arguments: &Arguments,
    history: &History,
    terminal: &mut ratatui::DefaultTerminal,
) -> Result<(), Box<dyn Error>> {
    let every = Duration::from_secs(arguments.refresh);
    let mut window = arguments.window.clone();
    let (mut held, mut made) = (false, 0_u64);
    let mut seen = look(history, &window)?;
    loop {
        terminal.draw(|screen| frame::draw(screen, &seen, held))?;
        made += 1;
        if arguments.looks.is_some_and(|most| made >= most) {
            return Ok(());
        }
        match wait(every)? {
            Pressed::Quit => return Ok(()),
            Pressed::Hold => held = !held,
            Pressed::NextWindow => {
                window = next(&window);
                seen = look(history, &window)?;
            }
            Pressed::Nothing if held => {}
            Pressed::Nothing => seen = look(history, &window)?,
            Pressed::Other => {}
        }
    }
}

fn next(window: &Window) -> Window {
    let place = WINDOWS.iter().position(|one| *one == window.to_string());
    let next = WINDOWS[place.map_or(0, |place| (place + 1) % WINDOWS.len())];
    next.parse().unwrap_or_else(|_| window.clone())
}

/// What was pressed while it was waited.
enum Pressed {
    Nothing,
    Quit,
    Hold,
    NextWindow,
    /// Another key, or another size of the screen, which is drawn again.
    Other,
}

fn wait(every: Duration) -> Result<Pressed, Box<dyn Error>> {
    let until = Instant::now() + every;
    loop {
        let rest = until.saturating_duration_since(Instant::now());
        if !event::poll(rest)? {
            return Ok(Pressed::Nothing);
        }
        match event::read()? {
            Event::Key(key) if key.kind == KeyEventKind::Press => {
                let control = key.modifiers.contains(KeyModifiers::CONTROL);
                return Ok(match key.code {
                    KeyCode::Char('q') | KeyCode::Esc => Pressed::Quit,
                    KeyCode::Char('c') if control => Pressed::Quit,
                    KeyCode::Char(' ') => Pressed::Hold,
                    KeyCode::Char('w') => Pressed::NextWindow,
                    _ => Pressed::Other,
                });
            }
            Event::Resize(_, _) => return Ok(Pressed::Other),
            _ => {}
        }
    }
}

/// One screen as text.
fn printed(seen: &Seen, width: u16) -> Result<String, Box<dyn Error>> {
    // Drawing into memory cannot fail.
    let mut terminal = Terminal::new(TestBackend::new(width, PRINTED_ROWS))?;
    terminal.draw(|screen| frame::draw(screen, seen, false))?;
    let buffer = terminal.backend().buffer();
    let line = |row: u16| {
        let cells = (0..width).map(|column| buffer[(column, row)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    let lines: Vec<String> = (0..PRINTED_ROWS).map(line).collect();
    Ok(format!("{}\n", lines.join("\n").trim_end()))
}
