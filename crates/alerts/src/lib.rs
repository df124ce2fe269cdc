//! Alerts and budgets over a store: rules in TOML, what they would have done, and each alert told once.
//!
//! ```text
//!  file ──▶ Rules ──▶ ask ◀── History        what is seen of each group at a moment
//!                      │
//!                    judge                    a pure step from one state to the next
//!                      │
//!              ledger (one file)              what fires, what is to be told, what was told
//!                      │
//!                    send ──▶ webhook, Slack, Alertmanager
//! ```
//!
//! | You want | It is |
//! |---|---|
//! | to read a file of rules | [`Rules`], with [`Rule`]s, [`Receiver`]s and budgets |
//! | to know what a rule would have done | [`backtest()`] |
//! | to watch, and to tell | [`Alerts`] |
//! | to make, change or take out a rule, budget or receiver while it is watched | [`Alerts::put_rule`], [`Alerts::put_budget`], [`Alerts::put_receiver`], [`Alerts::remove`] |
//! | what is spent of budgets, and when they are gone | [`budgets()`] |
//! | what a webhook gets | [`Event`] |
//!
//! No question looks at a clock, and nothing goes out but to the receivers of the file.

mod amount;
mod ask;
mod backtest;
mod budgets;
mod change;
mod disk;
mod draft;
mod edit;
mod event;
mod evidence;
mod file;
mod judge;
mod ledger;
mod mute;
mod overview;
mod receiver;
mod rule;
mod send;
mod sign;
mod source;
mod watch;
mod written;

pub use amount::{Amount, Quantity, Unit};
pub use backtest::{Backtest, BacktestError, Fired, GroupFired, backtest};
pub use budgets::{BudgetState, budgets};
pub use change::{ChangeError, Entry, EntryText};
pub use draft::ReceiverDraft;
pub use event::{Event, Status};
pub use evidence::Evidence;
pub use file::{Rules, RulesError};
pub use judge::{Firing, Place, Seen, State};
pub use ledger::{Delivery, Fate, LedgerError};
pub use mute::muted_until;
pub use overview::{FiringNow, Overview, ReceiverNow, RuleNow};
pub use receiver::{Receiver, ReceiverKind};
pub use rule::{Baseline, Kind, Limit, Missing, Mute, Rule, Severity, Side};
pub use watch::{Alerts, AlertsError};
