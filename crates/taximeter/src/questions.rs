//! What a meter answers out of the operations that it keeps: trends, groups, where the time goes, why, and what to do.

use chrono::{DateTime, Utc};
use taximeter_analysis::{
    AnomalyConfig, CostChange, Dimension, DurationChange, ErrorJump, Forecast, GroupSummary,
    Groups, NotEnough, Prices, Quantity, Series, SessionSummary, SlowOperation, Step, Summarizer,
    TimeSpent, TrendConfig, Window,
};
use taximeter_models::{
    Advice, CostOutcome, Finding, LlmCall, Money, OperationRecord, PerformanceTrend,
};
use taximeter_pricing::BookRef;

use crate::Meter;

impl Meter {
    /// The summary of the operations that are kept: by operation, component, tool and LLM.
    pub fn summary(&self) -> SessionSummary {
        self.settle();
        let mut summarizer = Summarizer::default();
        self.state.pipeline.for_each_lean(|operation| summarizer.add(operation));
        summarizer.finish()
    }

    /// The numbers of each user, LLM, tool, tag or whatever else, of the operations that are kept.
    ///
    /// ```
    /// use taximeter::Meter;
    ///
    /// let meter = Meter::builder().build()?;
    /// meter.operation("answer").user("ann").start().succeed();
    /// let users = meter.group("user".parse()?);
    /// assert_eq!(users[0].key.as_deref(), Some("ann"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn group(&self, dimension: Dimension) -> Vec<GroupSummary> {
        let mut groups = Groups::by(dimension);
        for operation in &self.kept() {
            groups.add(operation);
        }
        groups.finish()
    }

    /// How the operations of that name did over a window that ends now.
    pub fn trend(&self, operation: &str, window: &Window) -> PerformanceTrend {
        self.trend_by(operation, window, &self.trend_config())
    }

    /// The same by settings of one's own: from which significance on, and how large, a change counts.
    ///
    /// ```
    /// use taximeter::Meter;
    /// use taximeter::analysis::TrendConfig;
    ///
    /// let meter = Meter::builder().build()?;
    /// meter.operation("answer").start().succeed();
    /// let mut strict = TrendConfig::default();
    /// (strict.alpha, strict.minimum_change_percent) = (0.001, 20.0);
    /// let trend = meter.trend_by("answer", &"24h".parse()?, &strict);
    /// assert_eq!(trend.trend_direction.as_str(), "insufficient_data"); // of one operation
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn trend_by(
        &self,
        operation: &str,
        window: &Window,
        config: &TrendConfig,
    ) -> PerformanceTrend {
        self.settle();
        let now = self.state.clock.wall();
        let mut operations = Vec::new();
        self.state.pipeline.for_each_lean(|kept| {
            if kept.name == *operation && window.contains(kept.ended_at(), now) {
                operations.push(kept.clone());
            }
        });
        taximeter_analysis::trend(&operations, operation, window, now, config)
    }

    pub(crate) fn trend_config(&self) -> TrendConfig {
        let mut config = TrendConfig::default();
        config.thresholds = self.settings().thresholds.clone();
        config
    }

    /// Where the time of the operations of that name goes, on the mean and in the slow tail; none where there are none.
    pub fn time_spent(&self, operation: &str) -> Option<TimeSpent> {
        taximeter_analysis::time_spent(&self.kept(), operation)
    }

    /// Why the operations that began at a moment or later cost more, or less, than those that are kept from before.
    pub fn why_cost(&self, since: DateTime<Utc>) -> CostChange {
        let (before, after) = self.kept_before_and_since(since);
        taximeter_analysis::why_cost(&before, &after)
    }

    /// Why the operations of that name that began at a moment or later take longer, or less long, than those that are
    /// kept from before; none where there are none of the one or the other.
    pub fn why_duration(&self, operation: &str, since: DateTime<Utc>) -> Option<DurationChange> {
        let (before, after) = self.kept_before_and_since(since);
        taximeter_analysis::why_duration(&before, &after, operation)
    }

    /// How cost, tokens, operations or their mean duration go on, by the operations that are kept: so many hours or days.
    ///
    /// A meter keeps the last operations of one run; whoever wants next month asks the same of a history, by
    /// [`analysis::Series`](taximeter_analysis::Series).
    ///
    /// Of cost and tokens it says in `coverage` how many calls it leaves out because theirs is not known; what comes is more
    /// by what they take. An hour of which nothing is known is taken for a gap, and never for $0.
    ///
    /// # Errors
    /// Where there are too few hours or days to say anything, which is an answer.
    ///
    /// ```
    /// use taximeter::Meter;
    /// use taximeter::analysis::{Quantity, Step};
    ///
    /// let meter = Meter::builder().build()?;
    /// meter.operation("answer").start().succeed();
    /// let told = meter.forecast(Quantity::CostUsd, Step::Hour, 24).unwrap_err();
    /// assert_eq!(told.to_string(), "0 steps with a value are too few; 14 are needed");
    /// # Ok::<(), taximeter::Error>(())
    /// ```
    pub fn forecast(
        &self,
        quantity: Quantity,
        step: Step,
        steps: usize,
    ) -> Result<Forecast, NotEnough> {
        let series = Series::of_records(&self.kept(), quantity, step, self.state.clock.wall());
        taximeter_analysis::forecast(&series, steps)
    }

    /// The tools and LLMs whose calls fail more often since a moment than before, by the operations that are kept, the
    /// surest first.
    pub fn error_jumps(&self, since: DateTime<Utc>) -> Vec<ErrorJump> {
        taximeter_analysis::error_jumps(&self.kept(), since, &AnomalyConfig::default())
    }

    /// Operations that took longer than others of their name ever should, of those that are kept.
    pub fn slow_operations(&self) -> Vec<SlowOperation> {
        taximeter_analysis::slow_operations(&self.kept(), &AnomalyConfig::default())
    }

    /// What stands out in the operations that are kept.
    pub fn bottlenecks(&self) -> Vec<Finding> {
        taximeter_analysis::bottlenecks(&self.kept(), &self.settings().thresholds)
    }

    /// What to do about what stands out, and what it would save by the price book.
    pub fn advice(&self) -> Vec<Advice> {
        let (operations, thresholds) = (self.kept(), &self.settings().thresholds);
        let findings = taximeter_analysis::bottlenecks(&operations, thresholds);
        let advice = taximeter_analysis::advise(&findings);
        let prices = Book(self.state.pipeline.prices().book());
        taximeter_analysis::with_savings(advice, &operations, thresholds, &prices)
    }

    fn kept(&self) -> Vec<OperationRecord> {
        self.settle();
        self.state.pipeline.operations().0
    }

    fn kept_before_and_since(
        &self,
        since: DateTime<Utc>,
    ) -> (Vec<OperationRecord>, Vec<OperationRecord>) {
        self.kept().into_iter().partition(|operation| operation.started_at < since)
    }
}

/// The price book, asked what calls would cost if they were others.
struct Book(BookRef);

impl Prices for Book {
    fn usd(&self, call: &LlmCall, at: DateTime<Utc>) -> Option<Money> {
        let mut asked = call.clone();
        asked.cost = CostOutcome::Pending;
        self.0.price_call(&asked, at).known_usd()
    }
}
