//! The integration tests of the workspace, one binary; this is the list of what is tested.
#![allow(
    clippy::unwrap_used,
    clippy::needless_for_each,
    reason = "a test that meets with an error shall panic"
)]

// Who may import whom, and how files look.
mod architecture;
// The command line, as the shell calls it.
mod cli;
// The command line over a store: in, out, every question, every width, every exit code.
mod cli_store;
// Random sequences of calls against a plain model, alone and from many threads.
mod collector_model;
// What becomes of operations when things go wrong: full queues, panicking sinks, late parts, shutdown.
mod collector_losses;
// What a collector may hold: policies for a full queue, the age of operations, names, memory.
mod collector_bounds;
// Futures that are given up: at every await point, by every way there is.
mod collector_cancellation;
// Flush, shutdown and drop in every context that a program can be in, each in a process of its own.
mod collector_contexts;
// Panics and calls back in every place where the collector calls code of the program's own.
mod collector_panics;
// A forked child of a metered process.
mod forks;
// A process that may not start a thread.
mod no_threads;
// Futures on three executors: context, cancellation, threads.
mod futures;
// The facade: global meter, overrides, settings, sessions saved and loaded.
mod facade;
// The attribute macros, and their compile errors.
mod macros;
// Prices of one's own, from files, reloaded while the meter runs.
mod prices;
// A history priced again by the command line: tables, JSON, what is written and what is kept.
mod reprice;
// What is masked, replaced and left out before anything is kept.
mod redaction;
// Flush, shutdown and drop, wherever they are called from.
mod contexts;
// Panics and recording in everything that a program gives a collector.
mod panics;
mod tracing;
