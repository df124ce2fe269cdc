//! The command line of taximeter, as a library so that tests can call it as the shell does.
//!
//! | Command | Shows |
//! |---|---|
//! | `taximeter price` | what a call costs and why, or why that is not known; a whole file of calls with `--batch` |
//! | `taximeter models` | the LLMs that the price book knows, with their prices |
//! | `taximeter reprice` | what a recorded history would cost by another book, or at another LLM |
//!
//! | Exit code | Means |
//! |---|---|
//! | 0 | it was done |
//! | 1 | it failed, and standard error says why |
//! | 2 | the arguments are wrong |
//! | 3 | there is no price, or not for all of it |
//! | 4 | some rows or files could not be read or written; the others were |

mod batch;
mod book;
mod models;
mod price;
mod reprice;

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, BufRead, Write};

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "taximeter", version, about = "The meter for LLM applications")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows what a call costs and why, or why that is not known
    Price(price::Arguments),
    /// Lists the LLMs that the price book knows, with their prices
    Models(models::Arguments),
    /// Prices a recorded history again: by another book, or as if another LLM had been asked
    Reprice(Box<reprice::Arguments>),
}

/// How a command ended, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Done,
    NoPrice,
    SomeRowsUnread,
}

impl Ended {
    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::NoPrice => 3,
            Self::SomeRowsUnread => 4,
        }
    }
}

/// Runs the command line: the first argument is the program's own name. Gives the exit code.
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
    let ended = match &arguments.command {
        Command::Price(arguments) if arguments.batch => batch::run(arguments, input, output),
        Command::Price(arguments) => price::run(arguments, output),
        Command::Models(arguments) => models::run(arguments, output),
        Command::Reprice(arguments) => reprice::run(arguments, output),
    };
    match ended {
        Ok(ended) => ended.code(),
        Err(error) if is_broken_pipe(&*error) => 0,
        Err(error) => {
            // There is nobody left to tell where this fails.
            let _ = writeln!(errors, "error: {error}");
            1
        }
    }
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
