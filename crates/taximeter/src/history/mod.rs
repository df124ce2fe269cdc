//! Questions over a store: what was spent, how fast, what failed, where it is going and why. The command line and the
//! page in the browser draw the same answers.
//!
//! | You want | Ask | You get |
//! |---|---|---|
//! | the first screen of a period | [`History::report`] | [`Report`] |
//! | how each tool did, and each LLM | [`History::tools`], [`History::llms`] | [`Tools`], [`LlmRow`]s |
//! | the numbers of each operation, LLM, tool, user, tag, day and so on | [`History::groups`], by a [`By`] | [`Group`]s |
//! | what was spent on input, caches, output and reasoning | [`History::kinds`] | [`KindSpent`] |
//! | the sums of each group, and what was spent for each | [`History::sums_by`], [`History::spending`] | [`GroupSums`], [`Spending`] |
//! | what is not in the store | [`History::losses`] | [`Losses`] |
//! | how their durations spread | [`History::spread`] | [`Spread`] |
//! | single operations | [`History::operations`] | [`Line`]s |
//! | the dearest and the slowest sessions, or users | [`History::sessions`] | [`Sessions`] |
//! | what a text leads to: an id, a name, an error | [`History::search`] | [`Found`] |
//! | one operation with all that ran within it | [`History::show`] | [`Shown`] |
//! | whether an operation gets slower, and why | [`History::trend`] | [`Trend`] |
//! | what stands out, what to do, what it saves | [`History::advice`] | [`Advised`] |
//! | whether advice has helped | [`History::remeasure`] | [`AdviceRemeasured`] |
//! | what is out of the ordinary | [`History::unusual`], by an [`UnusualAsk`] | [`Unusual`] |
//! | whether a promise is kept, and how fast the rest of it goes | [`History::objective`] | [`ObjectiveKept`] |
//! | what comes, and when a budget is gone | [`History::forecast`] | [`Outlook`] |
//! | numbers of operations' own, such as `answer_relevance` in their metadata | [`History::metrics`], [`History::metric`] | [`Metrics`], [`Metric`] |
//! | metrics of programs' own, which belong to no operation | [`History::own_metrics`] | [`OwnMetric`]s |
//! | two periods, versions or LLMs side by side | [`History::compare`], of two [`Selection`]s | [`Compared`] |
//! | whether a change may go out | [`History::gate`] | [`Gated`] |
//!
//! Totals, tables and lines over time come from the sums that the store keeps of every minute, hour and day; what they do
//! not know, such as the numbers of some operations alone, is counted over columns, and what needs whole records looks at
//! the newest ones, and says how many.
//!
//! ```
//! use std::sync::Arc;
//! use taximeter::history::{Ask, History, Period, Windows};
//! use taximeter::store::MemoryStore;
//! use taximeter::{LlmCall, OperationRecord, TokenUsage};
//!
//! let store = Arc::new(MemoryStore::summarizing(Arc::new(Windows)));
//! let history = History::new(store);
//! let mut answer = OperationRecord::new("qa_response");
//! answer.started_at = "2026-11-23T12:00:00Z".parse()?;
//! answer.llm_calls.push(LlmCall::new("openai", "gpt-4o").using(TokenUsage::new(1_000, 100)));
//! history.append(vec![answer])?; // priced by the prices of that day
//!
//! let now = "2026-11-23T18:00:00Z".parse()?;
//! let report = history.report(&Ask::new(Period::read("24h", now)?, now))?;
//! assert_eq!(report.totals.cost.usd().to_string(), "0.0035");
//! assert!(Period::read("soon", now).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod advice;
mod alerts;
mod attention;
mod by;
mod calls;
mod cause;
mod compare;
mod counting;
mod error;
mod first;
mod forecast;
mod gate;
mod groups;
mod health;
mod keyed;
mod kinds;
mod levels;
mod line;
mod losses;
mod metrics;
mod numbers;
mod objective;
mod over_time;
pub(crate) mod own;
mod part;
mod period;
mod remeasured;
mod report;
mod search;
mod selection;
mod sessions;
mod show;
mod spread;
mod step_time;
mod sums;
mod tables;
mod trend;
mod unusual;
mod windows;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::ControlFlow;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use taximeter_analysis::{Sums, SumsError, Thresholds, TrendConfig};
use taximeter_models::{Name, OperationRecord, Totals};
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Appended, Level, Query, RollupQuery, Scanned, Store};
use taximeter_pricing::{BookRef, LiveBook, PriceBook};

use levels::Reach;
use part::Part;
use sums::PeriodSums;

pub use advice::{Advised, PerMonth};
pub use attention::{Attention, Concern};
pub use by::{By, UnknownBy};
pub use calls::{ToolStretch, Tools};
pub use cause::{Cause, MainDriver, Since};
pub use compare::{Compared, Measured};
pub use error::HistoryError;
pub use forecast::{Outlook, OutlookAsk};
pub use gate::{GateAsk, Gated, GatedMeasure, Limit, LimitError};
pub use groups::Group;
pub use health::{Health, LateBook};
pub use keyed::{GroupSums, Spending};
pub use kinds::{CostKind, KindSpent};
pub use line::Line;
pub use losses::Losses;
pub use metrics::{Metric, MetricCompared, MetricGroup, MetricSummary, Metrics};
pub use numbers::{Cache, Change, Month, SixNumbers, Spark};
pub use objective::ObjectiveKept;
pub use over_time::{LlmMoment, LlmStretch, Moment, OverTime};
pub use own::{MetricValue, OwnMetric, OwnSeries};
pub use period::{Period, PeriodError};
pub use remeasured::{AdviceRemeasured, Followed};
pub use report::{Ask, Report, TopSessions};
pub use search::{Found, FoundName};
pub use selection::{Selection, SelectionError};
pub use sessions::{Session, SessionOrder, Sessions};
pub use show::{Shown, Waterfall, WaterfallKind};
pub use spread::{Spread, Stretch};
pub use step_time::StepTime;
pub use tables::{Failures, LlmRow, Spender, Spenders, ToolRow};
pub use trend::Trend;
pub use unusual::{Unusual, UnusualAsk};
pub use windows::Windows;

/// The version of the documents of this module, as `taximeter_version` in each of them.
pub const VERSION: u32 = 1;

/// So many records are looked at where whole records are needed: the newest ones.
const MOST_RECORDS: usize = 20_000;

/// A store, and what is needed to answer by: prices and thresholds.
#[derive(Debug, Clone)]
pub struct History {
    store: Arc<dyn Store>,
    /// The same as the store, where it is of some operations alone.
    part: Option<Arc<Part>>,
    prices: BookRef,
    thresholds: Thresholds,
    trends: TrendConfig,
}

/// How many records an answer looked at that needs whole records, of all that were meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LookedAt {
    /// The records that were looked at: the newest ones.
    pub records: u64,
    /// Whether there are more.
    pub more: bool,
    /// Records that could not be read because their bytes are damaged.
    pub damaged: u64,
}

/// The sums of one group over one stretch of time.
struct Summed {
    start: Option<DateTime<Utc>>,
    key: Option<Name>,
    sums: Sums,
}

impl History {
    /// The history in a store, with the embedded price book.
    pub fn new(store: Arc<dyn Store>) -> Self {
        let prices = LiveBook::default().in_force();
        let (thresholds, trends) = (Thresholds::default(), TrendConfig::default());
        Self { store, part: None, prices, thresholds, trends }
    }

    /// Prices by this book. Default: the embedded one.
    pub fn prices(mut self, prices: BookRef) -> Self {
        self.prices = prices;
        self
    }

    /// By these thresholds something stands out. Default: [`Thresholds::default`].
    pub fn thresholds(mut self, thresholds: Thresholds) -> Self {
        self.thresholds = thresholds;
        self
    }

    /// By this a change over time counts as one: how significant and how large it must be. The thresholds in it do not count;
    /// those of [`thresholds`](Self::thresholds) do. Default: [`TrendConfig::default`].
    pub fn trends(mut self, trends: TrendConfig) -> Self {
        self.trends = trends;
        self
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The prices.
    pub fn price_book(&self) -> &PriceBook {
        &self.prices
    }

    /// The prices, to be used by another.
    pub fn prices_in_force(&self) -> BookRef {
        self.prices.clone()
    }

    /// Prices what is not priced yet, each call by the prices of its moment, and keeps the records.
    ///
    /// # Errors
    /// Where the store did not take them.
    pub fn append(&self, mut records: Vec<OperationRecord>) -> Result<Appended, StoreError> {
        self.price(&mut records);
        self.store.append(&records)
    }

    /// Prices what is not priced yet, each call by the prices of its moment.
    pub fn price(&self, records: &mut [OperationRecord]) {
        for record in records {
            crate::pipeline::price(record, &self.prices);
        }
    }

    /// The totals of a period, to the last digit. It begins and ends with whole minutes; see [`History::whole`].
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn totals(&self, period: Period) -> Result<Totals, StoreError> {
        let period = self.whole(period);
        windows::totals(self, period, &PeriodSums::read(self, period)?)
    }

    /// The same period, so that it begins and ends where sums do: those of minutes and of hours are kept for as long as
    /// the settings say. A period that begins earlier, or the one before it, is taken to whole hours, or days.
    pub fn whole(&self, period: Period) -> Period {
        // A store that cannot be read says so when the sums are asked for.
        self.reach().unwrap_or_default().whole(period)
    }

    /// Since when the sums of each level are whole.
    fn reach(&self) -> Result<Reach, StoreError> {
        self.store.sums_since().map(Reach)
    }

    /// The sums of a dimension over a period, for each key, and for each window of a level where one is named: in the order
    /// of time and of keys.
    fn sums(
        &self,
        dimension: &str,
        period: Period,
        each: Option<Level>,
    ) -> Result<Vec<Summed>, StoreError> {
        self.sums_read(dimension, period, each, Sums::from_bytes)
    }

    /// The same, of windows that are read in some way.
    fn sums_read(
        &self,
        dimension: &str,
        period: Period,
        each: Option<Level>,
        read: fn(&[u8]) -> Result<Sums, SumsError>,
    ) -> Result<Vec<Summed>, StoreError> {
        let pieces = match &self.part {
            // What is counted is counted for just that period.
            Some(_) => vec![(period, Level::Minute)],
            None => self.reach()?.pieces(period, each),
        };
        let mut all = BTreeMap::<_, Sums>::new();
        for (piece, resolution) in pieces {
            let mut query = RollupQuery::new(dimension);
            (query.since, query.until) = (piece.since, piece.until);
            (query.each, query.resolution) = (each, resolution);
            self.store.windows(&query, &mut |start, key, bytes| {
                let sums = read(bytes).map_err(windows::damaged)?;
                match all.entry((start, key)) {
                    Entry::Vacant(new) => drop(new.insert(sums)),
                    Entry::Occupied(mut known) => known.get_mut().merge(&sums),
                }
                Ok(())
            })?;
        }
        let summed = |((start, key), sums)| Summed { start, key, sums };
        Ok(all.into_iter().map(summed).collect())
    }

    /// Whole records: the newest ones, up to a number, the oldest of these first.
    fn records(
        &self,
        query: Query,
        most: usize,
    ) -> Result<(Vec<OperationRecord>, LookedAt), StoreError> {
        let query = query.order(taximeter_persistence::store::Order::NewestFirst).limit(most + 1);
        let mut records = Vec::new();
        let scanned = self.scan(&query, |record| records.push(record))?;
        let more = records.len() > most || scanned.broken_off;
        records.truncate(most);
        records.reverse();
        let looked = LookedAt { records: records.len() as u64, more, damaged: scanned.damaged };
        Ok((records, looked))
    }

    fn scan(
        &self,
        query: &Query,
        mut each: impl FnMut(OperationRecord),
    ) -> Result<Scanned, StoreError> {
        self.store.scan(query, &mut |record| {
            each(record);
            ControlFlow::Continue(())
        })
    }
}
