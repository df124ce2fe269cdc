//! Building a meter: settings, prices, limits, redaction and where everything goes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use taximeter_collector::{
    Clock, Collector, IdSource, Limits, Redaction, Sink, SystemClock, SystemIds,
};
use taximeter_models::{Metadata, Name};
use taximeter_persistence::store::{Durability, Store};
use taximeter_pricing::{LiveBook, LiveBookBuilder, PriceBook, ReadBookError};

use crate::budget::{BudgetPlan, Counter};
use crate::meter::{Meter, State};
use crate::noted::Noter;
use crate::pipeline::Pipeline;
use crate::stored::Stored;
use crate::{Error, PricingSettings, Settings, global};

/// Builds a [`Meter`].
#[must_use = "the meter is there after `build()`"]
pub struct MeterBuilder {
    settings: Settings,
    metadata: Metadata,
    book: Option<Arc<PriceBook>>,
    needs_prices: bool,
    limits: Option<Limits>,
    redaction: Option<Redaction>,
    clock: Option<Arc<dyn Clock>>,
    ids: Option<Arc<dyn IdSource>>,
    further: Vec<Arc<dyn Sink>>,
    budgets: Vec<BudgetPlan>,
    store: Option<Arc<dyn Store>>,
    #[cfg(feature = "store")]
    keep: Option<taximeter_persistence::store::Keep>,
    #[cfg(feature = "tracing")]
    tracing_spans: bool,
}

impl Default for MeterBuilder {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            metadata: Metadata::new(),
            book: None,
            needs_prices: true,
            limits: None,
            redaction: None,
            clock: None,
            ids: None,
            further: Vec::new(),
            budgets: Vec::new(),
            store: None,
            #[cfg(feature = "store")]
            keep: None,
            #[cfg(feature = "tracing")]
            tracing_spans: false,
        }
    }
}

impl MeterBuilder {
    /// The settings, such as [`Settings::load`] gives. Default: [`Settings::default`]; file and environment are not
    /// looked at.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Whether anything is metered at all. Default: yes.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.settings.enabled = enabled;
        self.settings.set_by_program("enabled");
        self
    }

    /// Whether sessions may be saved. Default: yes.
    pub fn persistence(mut self, persistence: bool) -> Self {
        self.settings.persistence = persistence;
        self.settings.set_by_program("persistence");
        self
    }

    /// The id of the session. Default: one that no other session has.
    pub fn session_id(mut self, id: impl Into<String>) -> Self {
        self.settings.session_id = Some(id.into());
        self.settings.set_by_program("session_id");
        self
    }

    /// Where session files go. Default: `data/metrics`.
    pub fn data_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.settings.data_dir = directory.into();
        self.settings.set_by_program("data_dir");
        self
    }

    /// Where every operation is stored for good: a file, or a folder, in which it is `taximeter.db`. Default: nowhere.
    /// Needs the feature `store`.
    ///
    /// ```
    /// # #[cfg(feature = "store")] {
    /// use std::time::Duration;
    /// use taximeter::Meter;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let meter = Meter::builder().store(folder.path()).build()?;
    /// let op = meter.operation("qa_response").start();
    /// let id = op.id().expect("the meter is on");
    /// op.succeed();
    /// // When this is well, it is stored.
    /// meter.flush(Duration::from_secs(5))?;
    /// let store = meter.store().expect("one is set");
    /// assert_eq!(store.get(id)?.expect("it is there").name, "qa_response");
    ///
    /// std::fs::write(folder.path().join("notes.txt"), "no store")?;
    /// let wrong = Meter::builder().store(folder.path().join("notes.txt")).build();
    /// assert!(wrong.unwrap_err().to_string().contains("notes.txt"));
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn store(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.store = Some(path.into());
        self.settings.set_by_program("store");
        self
    }

    /// What is safe when [`Meter::flush`] has returned. Default: [`Durability::Os`], it survives the process.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.settings.durability = durability;
        self.settings.set_by_program("durability");
        self
    }

    /// How long what is stored is kept, whatever the settings say. Default: what the settings `keep` say. Needs the
    /// feature `store`.
    ///
    /// ```
    /// # #[cfg(feature = "store")] {
    /// use std::time::Duration;
    /// use taximeter::Meter;
    /// use taximeter::store::{Keep, Level};
    ///
    /// const DAY: Duration = Duration::from_secs(86_400);
    /// # let folder = tempfile::tempdir()?;
    /// let keep = Keep::default().operations_for(90 * DAY).sums_for(Level::Hour, 400 * DAY);
    /// let meter = Meter::builder().store(folder.path()).keep(keep).build()?;
    /// # assert!(meter.store().is_some());
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "store")]
    pub fn keep(mut self, keep: taximeter_persistence::store::Keep) -> Self {
        self.keep = Some(keep);
        self
    }

    /// Stores every operation in this store, whatever the settings say. Default: none.
    pub fn store_in(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// A budget, to be asked for by [`Meter::check_budget`]; there may be several, of different names. What the store already
    /// has of its period is counted from the beginning. Default: none.
    pub fn budget(mut self, plan: BudgetPlan) -> Self {
        self.budgets.retain(|other| other.name() != plan.name());
        self.budgets.push(plan);
        self
    }

    /// Keeps a value with the session. Default: none.
    pub fn with(mut self, key: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// The prices. They stand in for the embedded price book and for the setting `pricing.book`; overrides lie over
    /// them. Default: the embedded price book.
    pub fn price_book(mut self, book: PriceBook) -> Self {
        self.book = Some(Arc::new(book));
        self
    }

    /// A file with prices of one's own that lie over the book, in TOML or JSON; it is looked at again every
    /// `pricing.reload_seconds`. Default: none.
    ///
    /// ```
    /// use taximeter::{Meter, pricing::PriceBook};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("prices.toml");
    /// std::fs::write(&path, "[[models]]\nprovider = 'me'\nid = 'm'\ncards = [{ rates = { input = 0.2 } }]")?;
    /// let meter = Meter::builder().price_overrides(&path).build()?;
    /// assert!(meter.price_book().find(Some("me"), "m").is_some());
    ///
    /// let missing = Meter::builder().price_overrides("missing.toml").build();
    /// assert!(missing.unwrap_err().to_string().contains("missing.toml"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn price_overrides(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.pricing.overrides = Some(path.into());
        self.settings.set_by_program("pricing.overrides");
        self
    }

    /// Starts even where the prices in a file cannot be read: the book below them is used until they can be.
    pub(crate) fn without_prices_if_need_be(mut self) -> Self {
        self.needs_prices = false;
        self
    }

    /// How much may be held in memory before it is stored, and what happens above that. Default: [`Limits::default`],
    /// with the settings `queued_records` and `queued_bytes`.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// What is masked and left out before anything is kept. Default: [`Redaction::default`], with the settings of the
    /// table `redaction`.
    pub fn redaction(mut self, redaction: Redaction) -> Self {
        self.redaction = Some(redaction);
        self
    }

    /// Where times come from. Default: the clocks of the operating system.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Where the ids of operations come from. Default: [`SystemIds`].
    pub fn ids(mut self, ids: Arc<dyn IdSource>) -> Self {
        self.ids = Some(ids);
        self
    }

    /// A further sink that gets every finished operation, priced; there may be several. Default: none.
    pub fn sink(mut self, sink: impl Sink + 'static) -> Self {
        self.further.push(Arc::new(sink));
        self
    }

    /// Whether operations, their components, tools and LLM calls are spans of `tracing` as well, of the target
    /// `taximeter` and the level `INFO`, with the fields of OpenTelemetry's conventions for GenAI. An operation is
    /// entered where it is the current one; so what is logged meanwhile is within it. The
    /// [layer](crate::tracing::layer()) does not meter them again. Default: no.
    ///
    /// ```
    /// use std::io;
    /// use std::sync::{Arc, Mutex};
    /// use taximeter::Meter;
    /// use tracing_subscriber::prelude::*;
    ///
    /// # #[derive(Clone, Default)]
    /// # struct Log(Arc<Mutex<Vec<u8>>>);
    /// # impl io::Write for Log {
    /// #     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> { self.0.lock().unwrap().write(bytes) }
    /// #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
    /// # }
    /// let log = Log::default();
    /// let writer = log.clone();
    /// let format = tracing_subscriber::fmt::layer().with_writer(move || writer.clone()).with_ansi(false);
    /// tracing::subscriber::with_default(tracing_subscriber::registry().with(format), || {
    ///     let meter = Meter::builder().tracing_spans(true).build()?;
    ///     let op = meter.operation("qa_response").start();
    ///     op.time("retrieval", || tracing::info!("12 passages"));
    ///     op.succeed();
    ///     Ok::<(), taximeter::Error>(())
    /// })?;
    /// let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    /// assert!(log.contains(r#"component{otel.name="retrieval"}"#) && log.contains("12 passages"), "{log}");
    /// # Ok::<(), taximeter::Error>(())
    /// ```
    #[cfg(feature = "tracing")]
    pub fn tracing_spans(mut self, tracing_spans: bool) -> Self {
        self.tracing_spans = tracing_spans;
        self
    }

    /// Starts the meter.
    ///
    /// # Errors
    /// Where the operating system gives no thread for its worker, the prices in a file cannot be read, or the store
    /// cannot be opened.
    pub fn build(mut self) -> Result<Meter, Error> {
        let prices = self.prices()?;
        let clock = self.clock.clone().unwrap_or_else(|| Arc::new(SystemClock::default()));
        let stored = self.open_store()?.map(|store| Stored::new(store, Arc::clone(&clock)));
        let recent = self.settings.recent_operations;
        let started_at = clock.wall();
        let budgets = Counter::new(self.budgets, started_at);
        #[cfg(feature = "store")]
        if let Some(stored) = &stored {
            budgets.read(stored.store(), started_at)?;
        }
        let clock_too = Arc::clone(&clock);
        let pipeline =
            Arc::new(Pipeline::new(prices, recent, stored, self.further, budgets, clock_too));
        let made = || {
            let ids = self.ids.as_deref().unwrap_or(&SystemIds);
            format!("session-{}", ids.next(started_at))
        };
        let session_id: Name = self.settings.session_id.clone().unwrap_or_else(made).into();
        let collector = if self.settings.enabled {
            let mut builder = Collector::builder()
                .sink(Arc::clone(&pipeline))
                .limits(self.limits.unwrap_or_else(|| self.settings.limits()))
                .redaction(self.redaction.unwrap_or_else(|| self.settings.redaction()));
            // The machine's own clock and ids cost less than those that could be any.
            if let Some(clock) = self.clock {
                builder = builder.clock(clock);
            }
            if let Some(ids) = self.ids {
                builder = builder.ids(ids);
            }
            #[cfg(feature = "tracing")]
            if self.tracing_spans {
                builder = builder.show(Arc::new(crate::tracing::AsSpans));
            }
            let collector = builder.build()?;
            if let Some(counts) = collector.counts_reader() {
                // Several meters may have one session, but each has counts of its own.
                let meter = SystemIds.next(started_at);
                #[cfg(all(feature = "prometheus", feature = "store"))]
                pipeline.keep_metrics(meter);
                pipeline.note_by(Noter::new(counts, meter, session_id.clone()));
            }
            collector
        } else {
            Collector::off()
        };
        let state = State {
            pipeline,
            settings: self.settings,
            session_id,
            started_at,
            metadata: self.metadata,
            clock,
        };
        Ok(Meter { collector, state: Arc::new(state) })
    }

    fn prices(&mut self) -> Result<LiveBook, ReadBookError> {
        let live = self.live_book();
        // Who is switched off does nothing, and reads nothing.
        match (self.settings.enabled, self.needs_prices) {
            (false, _) => Ok(LiveBook::default()),
            (true, true) => live.build(),
            (true, false) => Ok(live.build_anyway()),
        }
    }

    /// Who is switched off, or may save nothing, opens nothing.
    fn open_store(&mut self) -> Result<Option<Arc<dyn Store>>, Error> {
        if !self.settings.enabled || !self.settings.persistence {
            return Ok(None);
        }
        match (self.store.take(), &self.settings.store) {
            (Some(store), _) => Ok(Some(store)),
            (None, None) => Ok(None),
            (None, Some(path)) => self.open_at(path).map(Some),
        }
    }

    #[cfg(feature = "store")]
    fn open_at(&self, path: &Path) -> Result<Arc<dyn Store>, Error> {
        use taximeter_persistence::store::SqliteStore;

        let keep = self.keep.unwrap_or_else(|| self.settings.keep.into());
        let store = SqliteStore::at(path).durability(self.settings.durability).keep(keep);
        let store = store.summarize(Arc::new(crate::history::Windows)).open()?;
        Ok(Arc::new(store))
    }

    #[cfg(not(feature = "store"))]
    #[expect(clippy::unused_self, reason = "with the feature `store` it is used")]
    fn open_at(&self, path: &Path) -> Result<Arc<dyn Store>, Error> {
        Err(Error::NoStore { path: path.to_owned() })
    }

    fn live_book(&mut self) -> LiveBookBuilder {
        let PricingSettings { book, overrides, reload_seconds } = &self.settings.pricing;
        let every = Some(*reload_seconds).filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let mut live = LiveBook::builder().every(every).on_error(|error| {
            global::warn(&format!("{error}; the last good prices are used"));
        });
        if let Some(book) = self.book.take() {
            live = live.base(book);
        } else if let Some(path) = book {
            live = live.book(path);
        }
        if let Some(path) = overrides {
            live = live.overrides(path);
        }
        live
    }
}

impl fmt::Debug for MeterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeterBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
