//! A process that may not start a thread: the collector says so, and the program goes on without it.
#![cfg(target_os = "linux")]

use std::error::Error as _;
use std::process::Command;

use taximeter::{Collector, CollectorError, Meter};

const RUN: &str = "TAXIMETER_TEST_NO_THREADS";

/// The scenario, in a process whose user may have no further thread. With one test thread, tests run on the first.
#[test]
fn scenario() {
    if std::env::var_os(RUN).is_none() {
        return;
    }
    let spawned = std::thread::Builder::new().spawn(|| ());
    assert!(spawned.is_err(), "the system gives threads: nothing would be tested");

    let error = Collector::builder().build().unwrap_err();
    assert!(matches!(error, CollectorError::Spawn(_)), "{error:?}");
    assert!(error.to_string().contains("Collector::off()") && error.source().is_some(), "{error}");
    assert!(Meter::builder().build().is_err());

    // Nobody asked for the global meter, so there is nobody to give an error to: it is switched off.
    let op = taximeter::operation("goes on").start();
    assert!(!op.is_recording());
    op.succeed();
    println!("went on.");
}

#[test]
fn where_no_thread_can_be_started_the_collector_says_so_and_the_program_goes_on() {
    let nobody = "65534";
    let ids = ["--reuid", nobody, "--regid", nobody, "--clear-groups"];
    let mut command = Command::new("setpriv");
    command.args(ids).args(["prlimit", "--nproc=1"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "no_threads::scenario", "--nocapture", "--test-threads=1"]);
    let output = match command.env(RUN, "1").current_dir("/").output() {
        Ok(output) => output,
        Err(error) => return println!("skipped: setpriv cannot be started: {error}"),
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    // Only root may become another user; and that user must be allowed to read the program.
    if errors.starts_with("setpriv:") || errors.starts_with("prlimit:") {
        return println!("skipped: {errors}");
    }
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("went on."), "{said}{errors}");
}
