//! The sums of every minute, hour and day: opaque windows that somebody else makes, with a few numbers beside them.

use std::fmt;

use chrono::{DateTime, Utc};
use taximeter_models::{Money, Name, OperationRecord};
use thiserror::Error;

use super::{Block, Column, Table};

/// Makes windows of records and merges them. The store keeps them and knows nothing of what is in them.
///
/// A window has its own version in its bytes; one that is newer is refused by [`merge`](Summarize::merge).
pub trait Summarize: Send + Sync + fmt::Debug {
    /// Makes the windows of records that all began within one minute: one for each dimension and key that is kept.
    fn windows(&self, records: &[&OperationRecord], put: &mut dyn FnMut(Place, WindowBytes));

    /// The columns out of which [`block`](Self::block) makes sums. Default: none, so that none are made.
    fn tables(&self) -> &[(Table, &[Column])] {
        &[]
    }

    /// The sums of the operations of a sealed block, which are shown as the [`tables`](Self::tables) of all of them, by whatever
    /// may be asked for later; see [`Store::count`](super::Store::count). None where it is not worth it.
    fn block(&self, tables: &[Block<'_>]) -> Option<Vec<u8>> {
        let _ = tables;
        None
    }

    /// Merges the sums of several blocks, as if these were one. Default, and where they cannot be merged: none.
    fn merge_blocks(&self, blocks: &[&[u8]]) -> Option<Vec<u8>> {
        let _ = blocks;
        None
    }

    /// Merges windows of one dimension and key into one, as if it had been made of the records of all.
    ///
    /// # Errors
    /// Where bytes are no window, or one of a newer version.
    fn merge(&self, windows: &[&[u8]]) -> Result<WindowBytes, Unreadable>;
}

/// Whose sums a window holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// By what operations or calls are told apart.
    pub dimension: Dimension,
    /// Which of them; none for those that did not tell it.
    pub key: Option<Name>,
}

/// A dimension by its name: `all`, `operation`, `tool`, `llm`, `tag:team` and so on.
pub type Dimension = Name;

/// A window as bytes, and the numbers that people read in SQL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WindowBytes {
    /// The window.
    pub bytes: Vec<u8>,
    /// What it comes to, in short.
    pub numbers: Numbers,
}

/// The few numbers of a window that stand in columns of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Numbers {
    /// Operations or calls.
    pub count: u64,
    /// Those that did not succeed.
    pub failed: u64,
    /// Their durations, added up, in nanoseconds.
    pub duration_ns: u64,
    /// Input tokens, the cached ones included.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// What is known of their cost in US dollars.
    pub cost_usd: Money,
    /// LLM calls whose cost is not known, not known whole, or in another currency.
    pub unpriced: u64,
}

/// Bytes that are no window that can be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("reading the sums of a window: {why}")]
pub struct Unreadable {
    /// Why, and what to do.
    pub why: String,
}

/// How long the windows of a level are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day of UTC.
    Day,
}

impl Level {
    /// Every level, the shortest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// How long a window is, in seconds.
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// The second in which the window of this second begins.
    pub const fn start(self, second: i64) -> i64 {
        second - second.rem_euclid(self.seconds())
    }
}

/// Which sums are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollupQuery {
    /// The first moment; it is taken down to the beginning of its window. None is the beginning.
    pub since: Option<DateTime<Utc>>,
    /// The moment after the last; it is taken up to the end of its window. None is the end.
    pub until: Option<DateTime<Utc>>,
    /// By what they are told apart.
    pub dimension: Dimension,
    /// Only this key; none is every key.
    pub key: Option<Name>,
    /// One answer for each window of this level, or none for one answer over the whole time.
    pub each: Option<Level>,
    /// How exact the two ends of the time are.
    pub resolution: Level,
}

impl RollupQuery {
    /// The sums of everything of that dimension over the whole time, for each key, exact to the minute.
    pub fn new(dimension: impl Into<Dimension>) -> Self {
        Self {
            since: None,
            until: None,
            dimension: dimension.into(),
            key: None,
            each: None,
            resolution: Level::Minute,
        }
    }

    /// The level whose windows are read: no coarser than the answers, nor than the ends of the time.
    #[cfg(feature = "sqlite")]
    pub(crate) fn level(&self) -> Level {
        self.each.map_or(self.resolution, |each| each.min(self.resolution))
    }

    /// The first second, and the second after the last; none is the beginning, or the end.
    pub fn seconds(&self) -> (Option<i64>, Option<i64>) {
        let down = |instant: DateTime<Utc>| self.resolution.start(instant.timestamp());
        let up = |instant: DateTime<Utc>| {
            let begun = i64::from(instant.timestamp_subsec_nanos() > 0);
            let last = instant.timestamp() + begun + self.resolution.seconds() - 1;
            self.resolution.start(last)
        };
        (self.since.map(down), self.until.map(up))
    }

    /// Whether the sums of this place are meant.
    pub fn means(&self, place: &Place) -> bool {
        place.dimension == self.dimension && (self.key.is_none() || place.key == self.key)
    }

    /// The second in which the window of the answer begins; none where the answer is over the whole time.
    pub fn group(&self, start: i64) -> Option<i64> {
        self.each.map(|each| each.start(start))
    }
}

/// An answer: the sums of one key, over one window or the whole time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollup {
    /// When the window begins; none where the answer is over the whole time.
    pub start: Option<DateTime<Utc>>,
    /// The key; none for those that did not tell theirs.
    pub key: Option<Name>,
    /// The sums.
    pub window: WindowBytes,
}
