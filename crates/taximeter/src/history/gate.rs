//! Whether a change may go out: operations now against a baseline, by limits, with a verdict for CI.

use serde::Serialize;
use taximeter_analysis::{Comparison, Gate, GateError, Verdict, Window, compare_operations};
use taximeter_models::{Measure, Money, OperationRecord};
use thiserror::Error;

use super::{History, HistoryError, LookedAt, Period, Selection, VERSION};

/// What is compared with a baseline, and by which limits.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GateAsk {
    /// The operations now.
    pub current: Selection,
    /// Their period, where they name none.
    pub period: Period,
    /// The limit of each measure that counts.
    pub limits: Vec<Limit>,
}

impl GateAsk {
    /// The operations of a selection, by these limits.
    pub fn new(current: Selection, period: Period, limits: Vec<Limit>) -> Self {
        Self { current, period, limits }
    }
}

/// What one measure may show before it fails: it must be above both.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Limit {
    /// The measure.
    pub measure: Measure,
    /// How many times as much is still well, and how much more.
    #[serde(flatten)]
    pub gate: Gate,
}

/// A limit that cannot be meant.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum LimitError {
    /// It has no unit, or one that is not known.
    #[error(
        "reading {0:?} as a limit: expected a time (50ms, 2s), dollars ($0.01), a share (2%) or tokens (100tokens)"
    )]
    Unit(String),
    /// A number is out of its range.
    #[error(transparent)]
    Gate(#[from] GateError),
}

/// Whether it may go out.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Gated {
    /// The version of the document.
    pub taximeter_version: u32,
    /// `gate`.
    pub document: &'static str,
    /// `fail` where one measure fails, `pass` where all pass, else `inconclusive`.
    pub verdict: Verdict,
    /// The operations of the baseline.
    pub baseline: u64,
    /// The operations now that were looked at.
    pub current: LookedAt,
    /// Each measure with its limit.
    pub measures: Vec<GatedMeasure>,
}

/// One measure with its limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GatedMeasure {
    /// The limit.
    #[serde(flatten)]
    pub limit: Limit,
    /// How it compares; none where one side does not know it, which is inconclusive.
    pub comparison: Option<Comparison>,
}

impl Limit {
    /// Reads a smallest difference that counts, whose unit says of which measure it is: `50ms`, `2s`, `$0.01`, `2%`,
    /// `100tokens`.
    ///
    /// # Errors
    /// Where it has no unit, or is below zero.
    ///
    /// ```
    /// use taximeter::Measure;
    /// use taximeter::history::Limit;
    ///
    /// let (measure, delta) = Limit::read_delta("50ms")?;
    /// assert_eq!((measure, delta), (Measure::Duration, 0.05));
    /// assert!(Limit::read_delta("50").unwrap_err().to_string().contains("50ms"));
    /// # Ok::<(), taximeter::history::LimitError>(())
    /// ```
    pub fn read_delta(text: &str) -> Result<(Measure, f64), LimitError> {
        let unit = || LimitError::Unit(text.chars().take(32).collect());
        let number = |text: &str| text.trim().parse::<f64>().map_err(|_| unit());
        let (measure, min_delta) = if let Some(dollars) = text.strip_prefix('$') {
            let exact: Money = dollars.parse().map_err(|_| unit())?;
            (Measure::Cost, exact.to_f64_lossy())
        } else if let Some(percent) = text.strip_suffix('%') {
            (Measure::ErrorRate, number(percent)? / 100.0)
        } else if let Some(tokens) = text.strip_suffix("tokens") {
            (Measure::Tokens, number(tokens)?)
        } else {
            let time = Window::time(text).map_err(|_| unit())?;
            (Measure::Duration, time.as_secs_f64())
        };
        Gate { min_delta, ..Gate::default() }.check()?;
        Ok((measure, min_delta))
    }
}

impl History {
    /// Compares the operations of the asked selection with a baseline.
    ///
    /// # Errors
    /// Where there are no operations now, or the store cannot be read.
    pub fn gate(&self, ask: &GateAsk, baseline: &[OperationRecord]) -> Result<Gated, HistoryError> {
        let (current, looked) = self.side(&ask.current, ask.period)?;
        let measure = |limit: &Limit| GatedMeasure {
            limit: *limit,
            comparison: compare_operations(baseline, &current, limit.measure, &limit.gate),
        };
        let measures: Vec<_> = ask.limits.iter().map(measure).collect();
        Ok(Gated {
            taximeter_version: VERSION,
            document: "gate",
            verdict: verdict(&measures),
            baseline: baseline.len() as u64,
            current: looked,
            measures,
        })
    }

    /// The operations of a selection, as a baseline for [`gate`](Self::gate).
    ///
    /// # Errors
    /// Where there are none, or the store cannot be read.
    pub fn baseline(
        &self,
        selection: &Selection,
        period: Period,
    ) -> Result<Vec<OperationRecord>, HistoryError> {
        Ok(self.side(selection, period)?.0)
    }
}

impl GatedMeasure {
    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        self.comparison.as_ref().map_or(Verdict::Inconclusive, |found| found.verdict)
    }
}

fn verdict(measures: &[GatedMeasure]) -> Verdict {
    let any = |wanted: Verdict| measures.iter().any(|measure| measure.verdict() == wanted);
    if any(Verdict::Fail) {
        Verdict::Fail
    } else if any(Verdict::Inconclusive) || measures.is_empty() {
        Verdict::Inconclusive
    } else {
        Verdict::Pass
    }
}
