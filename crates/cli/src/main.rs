//! The binary `taximeter`: hands arguments and streams to the library, and its answer to the shell.

use std::io::{BufWriter, Write, stderr, stdin, stdout};
use std::process::ExitCode;

use mimalloc::MiMalloc;
use taximeter_cli::Terminal;

/// A server of many threads asks for memory some fifty times for each span and lets it go on another thread: with the
/// system's allocator that was a fifth of all its CPU time, and half as much again stayed in its hands after a burst.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

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
