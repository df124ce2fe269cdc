//! Provider, LLM, usage and moment in; exact cost out, or the reason why there is none.
//!
//! | You want | It is |
//! |---|---|
//! | prices | [`PriceBook`]: the embedded one, one from a file or a text, or one layered over the other |
//! | the cost of a call, and why | [`PriceBook::price`] with a [`Query`], or [`PriceBook::price_call`] |
//! | the amount alone, without an allocation | [`PriceBook::amount`] |
//! | what call after call adds to totals | [`Charges`] |
//! | to say how a call was served | [`Selectors`]: service tier, batch, speed, region, mode |
//! | to list what there is | [`PriceBook::models`], of [`Model`]s with their [`RateCard`]s |
//! | what a history would cost by another book, or at another LLM | [`reprice::Repricer`] |
//! | to write a book by a program | [`form`]: the written form, field by field |
//! | prices that follow a file | [`LiveBook`] |
//! | to know why a book was refused | [`BookError`], [`ReadBookError`] |
//!
//! A name is looked up exactly, as an alias, with its date taken off where the LLM has dated names, by its provider's
//! [`Grammar`], and by patterns that fit all of it. It is never guessed from a part of it, and no other provider's
//! price stands in unless [`PriceBook::price_or_at`] asks for that. Where no provider is given, it is the one that made
//! an LLM of that name, or else the only one that sells an LLM of exactly that name; the cost says that it was inferred.
//!
//! ```
//! use chrono::{TimeZone, Utc};
//! use taximeter_models::{CostOutcome, TokenUsage};
//! use taximeter_pricing::{PriceBook, Query, Selectors};
//!
//! let book = PriceBook::embedded();
//! let usage = TokenUsage::inclusive(1_200, 350).cache_read(200).build()?;
//! let at = Utc.with_ymd_and_hms(2026, 11, 1, 12, 0, 0).unwrap();
//! let standard = Selectors::new();
//! let query = |model| Query { provider: Some("openai"), model, at, usage: &usage, selectors: &standard };
//!
//! let cost = book.price(&query("gpt-4o"));
//! assert_eq!(cost.amount().expect("a price").0.to_string(), "0.00625");
//!
//! // A name that is not known has no price, not even a zero; the nearest names are there to help.
//! let CostOutcome::UnknownModel { nearest } = book.price(&query("gpt-4oo")) else { panic!("a price?") };
//! assert_eq!(nearest[0], "gpt-4o");
//! # Ok::<(), taximeter_models::UsageError>(())
//! ```

mod bill;
mod book;
mod card;
mod charges;
mod error;
#[cfg(feature = "toml")]
pub mod exact_toml;
pub mod form;
mod grammar;
mod index;
mod live;
mod lookup;
mod model;
mod nearest;
mod price;
mod provider;
mod read;
pub mod reprice;
mod schedule;
mod selectors;
mod table;
mod validate;

#[cfg(test)]
mod tests;

pub use book::{PriceBook, Source};
pub use card::{Minimum, Multiplier, RateCard, Tier, TierBound, TierMetric, TierScope, UnitPrice};
pub use charges::Charges;
pub use error::{BookError, ReadBookError};
pub use live::{BookRef, LiveBook, LiveBookBuilder, LiveState};
pub use model::{Model, ModelStatus};
pub use price::Query;
pub use provider::{Grammar, Provider};
pub use schedule::{Schedule, Window};
pub use selectors::{Selector, Selectors};
