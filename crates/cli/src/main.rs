//! The binary `taximeter`: hands arguments and streams to the library, and its answer to the shell.

use std::io::{BufWriter, Write, stderr, stdin, stdout};
use std::process::ExitCode;

use taximeter_cli::Terminal;

fn main() -> ExitCode {
    let mut output = BufWriter::new(stdout().lock());
    let code = taximeter_cli::run_at(
        Terminal::of_process(),
        std::env::args_os(),
        &mut stdin().lock(),
        &mut output,
        &mut stderr(),
    );
    // A reader that has gone away, as `head` does, wants no more; that is no failure.
    let _ = output.flush();
    ExitCode::from(code)
}
