//! The command line of taximeter, as a library so that tests can call it as the shell does.
//!
//! | Command | Shows |
//! |---|---|
//! | `taximeter report` | the first screen of a period: what needs attention, what was spent, how fast, what failed |
//! | `taximeter ops`, `show` | single operations: the slowest, dearest, failed ones; one of them taken apart |
//! | `taximeter sessions`, `find` | whole sessions and users; what an id, a name or the words of an error lead to |
//! | `taximeter trend`, `compare`, `gate` | since when and why it is slower; two periods, versions or LLMs; a verdict for CI |
//! | `taximeter bottlenecks`, `advise`, `remeasure` | what stands out, what to do and what it saves, whether it helped |
//! | `taximeter forecast`, `anomalies`, `slo` | what comes, what is out of the ordinary, whether a promise is kept |
//! | `taximeter metrics` | numbers of operations' own, over time and by group |
//! | `taximeter alerts`, `budget` | what the rules see and would have done; what is left of each budget |
//! | `taximeter top` | all of that as it happens |
//! | `taximeter serve` | a page for the browser, an API, and telemetry of any language taken in |
//! | `taximeter import`, `export`, `sql`, `store` | what is in the store, in and out, and whether it is sound |
//! | `taximeter price`, `models`, `reprice` | what a call costs and why, what the price book knows, a history priced again |
//! | `taximeter doctor`, `completions`, `man` | what is set up and from where; for the shell, for the manual |
//!
//! | Exit code | Means |
//! |---|---|
//! | 0 | it was done; a gate passes, a check found nothing |
//! | 1 | it failed, and standard error says why |
//! | 2 | the arguments are wrong |
//! | 3 | there is no price, or not for all of it |
//! | 4 | some rows or files could not be read or written; the others were |
//! | 5 | a gate fails, a check found something wrong, or a promise goes wrong too fast |
//! | 6 | a gate is inconclusive: too few operations to tell |

mod advise;
mod alerts;
mod batch;
mod book;
mod budget;
mod compare;
mod context;
mod doctor;
mod draw;
mod export;
mod find;
mod forecast;
mod gate;
mod import;
mod metrics;
mod models;
mod ops;
mod price;
mod remeasure;
mod report;
mod reprice;
mod select;
#[cfg(feature = "serve")]
mod serve;
mod sessions;
mod shell;
mod shield;
mod show;
mod slo;
mod sql;
mod store;
mod terminal;
mod top;
mod trend;
mod unusual;

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};

use self::context::Context;
pub use self::terminal::{Colour, Terminal};

/// Above the options that every command has.
const EVERYWHERE: &str = "Options of every command";

#[derive(Parser)]
#[command(
    name = "taximeter",
    version,
    about = "The meter for LLM applications",
    after_help = "Examples:\n  \
        taximeter import ~/.claude/projects --store data/metrics\n  \
        taximeter report --since 7d\n  \
        taximeter ops --failed --since 1h\n  \
        taximeter report --by model --json | jq .groups\n\n\
        Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 no price for some of it, 4 some rows or files not read, \
        5 a gate or check fails, 6 a gate is inconclusive."
)]
struct Arguments {
    /// The store: its file, or the folder that it is in [default: as the library finds it, see `taximeter doctor`]
    #[arg(long, global = true, value_name = "PATH", help_heading = EVERYWHERE)]
    store: Option<PathBuf>,
    /// Print one JSON document; its names are in docs/FORMATS.md
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
    /// Whether there are colours: auto, always, never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", value_enum, hide_possible_values = true,
        help_heading = EVERYWHERE)]
    color: Colour,
    /// Columns of a line [default: those of the terminal, or COLUMNS, or 80]
    #[arg(long, global = true, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(20..),
        help_heading = EVERYWHERE)]
    width: Option<u16>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows the first screen of a period: attention, money, speed, errors, who and what
    Report(Box<report::Arguments>),
    /// Lists operations: the newest, slowest, dearest or failed ones
    Ops(Box<ops::Arguments>),
    /// Lists sessions, or users: the dearest, slowest or newest ones
    Sessions(Box<sessions::Arguments>),
    /// Says what an id, a trace, a name or the words of an error lead to
    Find(find::Arguments),
    /// Takes one operation apart: its waterfall, its critical path, its costs and why
    Show(show::Arguments),
    /// Shows how an operation did over a window, since when it is another, and why
    Trend(Box<trend::Arguments>),
    /// Lists what stands out, with the operations that prove it
    Bottlenecks(Box<advise::Arguments>),
    /// Says what to do about what stands out, and what it would save
    Advise(Box<advise::Arguments>),
    /// Says whether advice has helped, by the operations before and after
    Remeasure(Box<remeasure::Arguments>),
    /// Lists hours or days, operations, tools and LLMs that are out of the ordinary
    Anomalies(Box<unusual::Arguments>),
    /// Says whether a promise to users is kept, and how fast the rest of it goes
    Slo(Box<slo::Arguments>),
    /// Says what the next days or hours will cost, with a range, and when a budget is gone
    Forecast(forecast::Arguments),
    /// Shows what is spent of each budget, what is left, and when it will be gone
    Budget(budget::Arguments),
    /// Says what the alert rules see, and what they would have done
    Alerts(Box<alerts::Arguments>),
    /// Lists the numbers that operations keep in their metadata, or tells one of them over time
    Metrics(Box<metrics::Arguments>),
    /// Compares two periods, versions, LLMs or whatever else side by side
    Compare(Box<compare::Arguments>),
    /// Says whether operations are slower, dearer or fail more often than a baseline, for CI
    Gate(Box<gate::Arguments>),
    /// Shows totals and tables as they happen; q quits
    Top(top::Arguments),
    /// Serves the page and the API, and takes telemetry of any language
    #[cfg(feature = "serve")]
    Serve(serve::Arguments),
    /// Reads records from files into the store
    Import(import::Arguments),
    /// Writes records of the store to a file
    Export(Box<export::Arguments>),
    /// Asks the store by SQL
    Sql(sql::Arguments),
    /// Looks after the store
    Store(store::Arguments),
    /// Shows what a call costs and why, or why that is not known
    Price(price::Arguments),
    /// Lists the LLMs that the price book knows, with their prices
    Models(models::Arguments),
    /// Prices a recorded history again: by another book, or as if another LLM had been asked
    Reprice(Box<reprice::Arguments>),
    /// Shows what is set up and from where, and whether all is well
    Doctor(doctor::Arguments),
    /// Prints completions for a shell
    Completions(shell::Completions),
    /// Prints the page of the manual
    Man(shell::Man),
}

/// How a command ended, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Done,
    NoPrice,
    SomeRowsUnread,
    CheckFailed,
    Inconclusive,
}

impl Ended {
    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::NoPrice => 3,
            Self::SomeRowsUnread => 4,
            Self::CheckFailed => 5,
            Self::Inconclusive => 6,
        }
    }
}

/// Runs the command line where no terminal is: the first argument is the program's own name. Gives the exit code.
///
/// ```
/// let arguments = ["taximeter", "price", "--provider", "openai", "--model", "gpt-4o", "--input", "1000"];
/// let (mut output, mut errors) = (Vec::new(), Vec::new());
/// let code = taximeter_cli::run(arguments, &mut std::io::empty(), &mut output, &mut errors);
/// assert_eq!(code, 0);
/// assert!(String::from_utf8_lossy(&output).contains("$0.0025"));
///
/// let unknown = ["taximeter", "price", "--provider", "openai", "--model", "gpt-0", "--input", "1"];
/// assert_eq!(taximeter_cli::run(unknown, &mut std::io::empty(), &mut output, &mut errors), 3);
/// ```
pub fn run<A: Into<OsString> + Clone>(
    arguments: impl IntoIterator<Item = A>,
    input: &mut impl BufRead,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> u8 {
    run_at(Terminal::none(), arguments, input, output, errors)
}

/// Runs the command line at a terminal: as [`run`], but as wide as it is, and with its colours.
pub fn run_at<A: Into<OsString> + Clone>(
    terminal: Terminal,
    arguments: impl IntoIterator<Item = A>,
    input: &mut impl BufRead,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        // What help and version say is asked for, and goes to standard output.
        Err(error) if !error.use_stderr() => {
            let _ = write!(output, "{}", error.render());
            return 0;
        }
        Err(error) => {
            let _ = write!(errors, "{}", error.render());
            return 2;
        }
    };
    match run_command(terminal, arguments, input, output) {
        Ok(ended) => ended.code(),
        Err(error) if is_broken_pipe(&*error) => 0,
        Err(error) => {
            // There is nobody left to tell where this fails.
            let said = with_causes(&*error);
            let lines: Vec<_> = said.lines().map(draw::clean).collect();
            let _ = writeln!(errors, "error: {}", lines.join("\n"));
            1
        }
    }
}

/// The commands as clap knows them: for completions, the manual, and who checks the examples in the help.
pub fn command() -> clap::Command {
    Arguments::command()
}

fn run_command(
    terminal: Terminal,
    arguments: Arguments,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    let Arguments { store, json, color, width, command } = arguments;
    let context = Context::new(terminal, store, json, color, width);
    match &command {
        Command::Report(arguments) => report::run(arguments, &context, output),
        Command::Ops(arguments) => ops::run(arguments, &context, output),
        Command::Sessions(arguments) => sessions::run(arguments, &context, output),
        Command::Find(arguments) => find::run(arguments, &context, output),
        Command::Show(arguments) => show::run(arguments, &context, output),
        Command::Trend(arguments) => trend::run(arguments, &context, output),
        Command::Bottlenecks(arguments) => advise::bottlenecks(arguments, &context, output),
        Command::Advise(arguments) => advise::advise(arguments, &context, output),
        Command::Remeasure(arguments) => remeasure::run(arguments, &context, output),
        Command::Anomalies(arguments) => unusual::run(arguments, &context, output),
        Command::Slo(arguments) => slo::run(arguments, &context, output),
        Command::Forecast(arguments) => forecast::run(arguments, &context, output),
        Command::Budget(arguments) => budget::run(arguments, &context, output),
        Command::Alerts(arguments) => alerts::run(arguments, &context, output),
        Command::Metrics(arguments) => metrics::run(arguments, &context, output),
        Command::Compare(arguments) => compare::run(arguments, &context, output),
        Command::Gate(arguments) => gate::run(arguments, &context, output),
        Command::Top(arguments) => top::run(arguments, &context, output),
        #[cfg(feature = "serve")]
        Command::Serve(arguments) => serve::run(arguments, &context, output),
        Command::Import(arguments) => import::run(arguments, &context, input, output),
        Command::Export(arguments) => export::run(arguments, &context, output),
        Command::Sql(arguments) => sql::run(arguments, &context, output),
        Command::Store(arguments) => store::run(arguments, &context, output),
        Command::Price(arguments) if arguments.batch => batch::run(arguments, input, output),
        Command::Price(arguments) => price::run(arguments, &context, output),
        Command::Models(arguments) => models::run(arguments, &context, output),
        Command::Reprice(arguments) => reprice::run(arguments, &context, output),
        Command::Doctor(arguments) => doctor::run(arguments, &context, output),
        Command::Completions(arguments) => shell::completions(arguments, output),
        Command::Man(arguments) => shell::man(arguments, output),
    }
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| cause(*error));
    causes.any(|error| io_kind(error) == Some(io::ErrorKind::BrokenPipe))
}

/// What is behind an error; the standard library passes over what an I/O error was made of.
fn cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(within) => Some(within),
        None => error.source(),
    }
}

fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return Some(error.kind());
    }
    if let Some(error) = error.downcast_ref::<csv::Error>() {
        let csv::ErrorKind::Io(error) = error.kind() else { return None };
        return Some(error.kind());
    }
    error.downcast_ref::<serde_json::Error>()?.io_error_kind()
}

/// An error with what caused it, where that says more.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(further) = cause {
        let said = further.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = further.source();
    }
    text
}
