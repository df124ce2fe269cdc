//! Sessions for people: tables for the terminal, in three degrees of detail, plain or with colour.
//!
//! ```
//! use taximeter::Meter;
//! use taximeter::report::{Detail, Style, session};
//!
//! let meter = Meter::builder().session_id("demo").build()?;
//! meter.operation("qa_response").start().succeed();
//! let text = session(&meter.session(), Detail::Brief, Style::plain(80));
//! assert!(text.contains("100.0 % of 1 succeeded"), "{text}");
//! assert!(text.lines().all(|line| line.chars().count() <= 80));
//! # Ok::<(), taximeter::Error>(())
//! ```

mod cells;
mod remeasured;
mod session;
mod style;
mod tables;
mod words;

pub use cells::{NONE, change, each, part, part_name, share, signed, spend, took, unpriced};
pub use remeasured::{effect, saved};
pub use session::{Detail, session};
pub use style::{Align, Style};
pub use tables::{
    advice, components, costs, errors, findings, llms, operations, overview, time_spent, tools,
};
pub use words::{at_least, count, counted, duration, goes, money, number, percent, seconds};
