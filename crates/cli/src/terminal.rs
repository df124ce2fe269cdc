//! What the command line draws on: how wide it is, and whether it has colours.

use std::io::IsTerminal;

use clap::ValueEnum;

/// Where the output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terminal {
    /// Columns of a line.
    pub width: u16,
    /// Whether colours are seen.
    pub colour: bool,
    /// Whether the output goes to a terminal, so that a screen can be drawn again and again.
    pub interactive: bool,
    /// Whether somebody looks at standard error, so that a bar of progress makes sense.
    pub progress: bool,
}

/// Whether there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless the variable `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where nothing says how wide it is.
const WIDTH: u16 = 80;
/// Lines longer than this are hard to follow.
const WIDEST: u16 = 160;

impl Terminal {
    /// No terminal: 80 columns, no colours.
    pub fn none() -> Self {
        Self { width: WIDTH, colour: false, interactive: false, progress: false }
    }

    /// The one that this process has, if it has one.
    pub fn of_process() -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let output = std::io::stdout();
        let is_dumb = std::env::var_os("TERM").is_some_and(|name| name == "dumb");
        let told = || std::env::var("COLUMNS").ok()?.trim().parse::<u16>().ok();
        let seen = || terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0);
        Self {
            width: seen().or_else(told).unwrap_or(WIDTH).clamp(20, WIDEST),
            colour: output.is_terminal() && !is_set("NO_COLOR") && !is_dumb,
            interactive: output.is_terminal(),
            progress: std::io::stderr().is_terminal(),
        }
    }
}
