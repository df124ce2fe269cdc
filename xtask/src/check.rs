//! `cargo xtask check`: what must be green before a change is offered.

use std::error::Error;
use std::process::Command;

/// Arguments for cargo, and variables of the environment.
type Check = (&'static [&'static str], &'static [(&'static str, &'static str)]);

/// The checks, in the order of their speed.
const CHECKS: [Check; 4] = [
    (&["fmt", "--all", "--check"], &[]),
    (&["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"], &[]),
    (&["test", "--workspace"], &[]),
    (&["doc", "--workspace", "--no-deps", "--all-features"], &[("RUSTDOCFLAGS", "-D warnings")]),
];

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    for (arguments, variables) in CHECKS {
        println!("cargo {}", arguments.join(" "));
        let status = Command::new(env!("CARGO"))
            .args(arguments)
            .envs(variables.iter().copied())
            .current_dir(crate::root())
            .status()?;
        if !status.success() {
            return Err(format!("cargo {} failed", arguments.join(" ")).into());
        }
    }
    Ok(())
}
