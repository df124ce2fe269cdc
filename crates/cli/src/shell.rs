//! `taximeter completions` and `taximeter man`: what clap knows, for the shell and for the manual.

use std::error::Error;
use std::io::Write;

use clap::Args;
use clap_complete::Shell;

use crate::{Ended, command};

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    taximeter completions bash > /etc/bash_completion.d/taximeter\n  \
    taximeter completions zsh > ~/.zfunc/_taximeter\n  \
    taximeter completions fish > ~/.config/fish/completions/taximeter.fish")]
pub(crate) struct Completions {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    taximeter man > taximeter.1\n  \
    taximeter man report > taximeter-report.1")]
pub(crate) struct Man {
    /// Of this command [default: of all together]
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

pub(crate) fn completions(
    arguments: &Completions,
    output: &mut impl Write,
) -> Result<Ended, Box<dyn Error>> {
    // It panics where it cannot write, so that it writes into memory first.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command(), "taximeter", &mut script);
    output.write_all(&script)?;
    Ok(Ended::Done)
}

pub(crate) fn man(arguments: &Man, output: &mut impl Write) -> Result<Ended, Box<dyn Error>> {
    let mut whole = command();
    whole.build();
    let page = match &arguments.command {
        None => whole,
        Some(name) => {
            let found = whole.find_subcommand(name);
            found
                .ok_or_else(|| format!("there is no command {name}; see taximeter --help"))?
                .clone()
        }
    };
    let source = concat!("taximeter ", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(page).source(source).manual("taximeter").render(output)?;
    Ok(Ended::Done)
}
