//! The first screen of a period, as one document.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter_analysis::{Dimension, Sums, TimeSpent};
use taximeter_models::{Money, OperationRecord, Totals};
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Column, Order, Store};

use super::counting::beside;
use super::part::NAMED;
use super::sums::PeriodSums;
use super::{
    Advised, Attention, By, Group, Health, History, Line, LlmRow, LlmStretch, LookedAt, OverTime,
    Part, Period, Selection, Session, SessionOrder, SixNumbers, Spenders, StepTime, ToolRow,
    VERSION, advice, alerts, over_time, sessions, step_time, tables, windows,
};

/// What a report is asked for.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Ask {
    /// The period.
    pub period: Period,
    /// Now: what a month will come to is told from here on.
    pub now: DateTime<Utc>,
    /// Only these operations. Default: all. Their numbers are counted and not kept, which takes longer.
    pub only: Selection,
    /// A table of the numbers told apart by this. Default: none.
    pub by: Option<By>,
    /// What may be spent in a month, in US dollars. Default: none.
    pub budget: Option<Money>,
}

impl Ask {
    /// The report of a period.
    pub fn new(period: Period, now: DateTime<Utc>) -> Self {
        Self { period, now, only: Selection::default(), by: None, budget: None }
    }
}

/// The first screen of a period, in the order in which it is read.
///
/// As JSON its totals have the names of the original session: `total_operations`, `successful_operations`, `total_cost`
/// and so on; money is exact decimal text.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Report {
    /// The version of the document.
    pub taximeter_version: u32,
    /// `report`.
    pub document: &'static str,
    /// The period.
    #[serde(flatten)]
    pub period: Period,
    /// The operations that it is of, as they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// How many of these there are, in this period and the one before; none where the report is of all operations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looked_at: Option<LookedAt>,
    /// The totals.
    #[serde(flatten)]
    pub totals: Totals,
    /// What fires, the most important first: losses, the budget, thresholds of the settings.
    pub alerts: Vec<Attention>,
    /// What needs attention against the period before, the worst first; at most five.
    pub attention: Vec<Attention>,
    /// The six numbers.
    pub numbers: SixNumbers,
    /// The period in steps.
    pub over_time: OverTime,
    /// Where the time goes in each step, of the newest operations: of as many as `savings` looked at.
    pub time_by_step: Vec<StepTime>,
    /// Where the time of the operations goes that take the most of it.
    pub time_spent: Vec<TimeSpent>,
    /// A row for each LLM, the dearest first.
    pub by_llm: Vec<LlmRow>,
    /// A row for each tool.
    pub by_tool: Vec<ToolRow>,
    /// Who spends the most: by operation, user and session.
    pub spenders: Vec<Spenders>,
    /// The dearest and the slowest sessions; of users where no operation tells its session. None where neither is told, or
    /// there are too many operations to be counted.
    pub sessions: Option<TopSessions>,
    /// The dearest operations.
    pub dearest: Vec<Line>,
    /// The slowest operations.
    pub slowest: Vec<Line>,
    /// What to do, and what it would save.
    pub savings: Advised,
    /// How far the numbers can be trusted.
    pub health: Health,
    /// By what the groups are told apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<By>,
    /// The numbers of each group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<Group>>,
    /// The numbers of each LLM in each group, where these are stretches of time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups_by_llm: Option<Vec<LlmStretch>>,
}

/// Sessions, or users, that stand out.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TopSessions {
    /// What these are: `session` or `user`.
    pub by: Dimension,
    /// How many there are in all.
    pub of: u64,
    /// Those that cost the most.
    pub dearest: Vec<Session>,
    /// Those whose operations took the longest, added up.
    pub slowest: Vec<Session>,
}

/// What a report says of single operations.
struct Singles {
    /// The newest ones, and how many these are.
    records: Vec<OperationRecord>,
    looked_at: LookedAt,
    dearest: Vec<Line>,
    slowest: Vec<Line>,
}

/// So many records are looked at for savings and for where the time goes.
pub(super) const RECORDS: usize = 2_000;
/// Above so many operations sessions are not counted on the first screen, nor users of some operations alone; `--by session`
/// and `--by user` count them.
pub(super) const MOST_COUNTED: u64 = 2_000_000;
/// The newest operations of some are looked for in so many sealed pieces of the store at most.
pub(super) const PIECES: usize = 16;
/// Above so many they are not looked at one by one on the first screen; [`History::sessions`] does that.
const MOST_SESSIONS: u64 = 250_000;

impl History {
    /// The first screen of a period.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn report(&self, ask: &Ask) -> Result<Report, StoreError> {
        let ask = &Ask { period: self.whole(ask.period), ..ask.clone() };
        let Some(part) = self.part_of(&ask.only, ask.period)? else {
            return self.report_within(self, ask);
        };
        let mut report = part.report_within(self, ask)?;
        report.only = Some(ask.only.to_string());
        report.looked_at = part.looked_at()?;
        Ok(report)
    }

    /// The report of these operations; how far to trust it is told of the whole store, of which they may be a part.
    fn report_within(&self, store: &Self, ask: &Ask) -> Result<Report, StoreError> {
        // Single operations are looked for while the sums are read or counted.
        let (singles, sums) = beside(|| self.singles(ask.period), || self.period_sums(ask.period));
        self.report_of(store, ask, singles?, sums?)
    }

    fn report_of(
        &self,
        store: &Self,
        ask: &Ask,
        singles: Singles,
        (sums, before): (PeriodSums, Option<PeriodSums>),
    ) -> Result<Report, StoreError> {
        let period = ask.period;
        let Singles { records, looked_at, dearest, slowest } = singles;
        let totals = windows::totals(self, period, &sums)?;
        let over_time = self.over_time(period)?;
        let mut health = store.health_of(&totals.cost, period, ask.now)?;
        let damaged = self.looked_at()?.map_or(0, |looked_at| looked_at.damaged);
        health.damaged = damaged.max(looked_at.damaged);
        let savings = self.advice_of(&records, looked_at, period);
        let numbers = self.six_numbers((&sums, before.as_ref()), &over_time, ask)?;
        let mut attention = Attention::all(&sums, before.as_ref(), &health);
        self.put_causes(&mut attention, period)?;
        Ok(Report {
            taximeter_version: VERSION,
            document: "report",
            period,
            only: None,
            looked_at: None,
            alerts: alerts::alerts(&health, numbers.month.as_ref(), &savings),
            attention,
            numbers,
            time_by_step: step_time::step_times(&records, looked_at, &over_time.step),
            over_time,
            time_spent: advice::where_time_goes(&records, 3),
            by_llm: tables::llm_rows(&sums.llms),
            by_tool: tables::tool_rows(&sums.tools, &sums.all, &records),
            spenders: self.all_spenders(period, &sums)?,
            sessions: self.top_sessions(period, &sums)?,
            dearest,
            slowest,
            savings,
            health,
            groups: match &ask.by {
                Some(by) => Some(self.groups(by, period)?),
                None => None,
            },
            groups_by_llm: match &ask.by {
                Some(By::Time(level)) => Some(self.llms_by_time(*level, period)?),
                _ => None,
            },
            by: ask.by.clone(),
            totals,
        })
    }

    fn period_sums(&self, period: Period) -> Result<(PeriodSums, Option<PeriodSums>), StoreError> {
        Ok((PeriodSums::read(self, period)?, PeriodSums::before(self, period)?))
    }

    fn singles(&self, period: Period) -> Result<Singles, StoreError> {
        let mut query = period.query();
        query.pieces = Some(PIECES);
        let (records, looked_at) = self.records(query, RECORDS)?;
        let first = |order| self.first(period, order);
        let (dearest, slowest) = (first(Order::Dearest)?, first(Order::Slowest)?);
        Ok(Singles { records, looked_at, dearest, slowest })
    }

    fn all_spenders(&self, period: Period, sums: &PeriodSums) -> Result<Vec<Spenders>, StoreError> {
        let operations = Group::each(&sums.operations);
        let mut all = vec![Spenders::of(Dimension::Operation, operations)];
        if let Some(part) = &self.part {
            if sums.all.success.of > MOST_COUNTED {
                return Ok(all);
            }
            let [users, sessions] = part.spent(period.since)?;
            let others = [(Dimension::User, users), (Dimension::Session, sessions)];
            let told = others.into_iter().filter(|(_, spenders)| !spenders.is_empty());
            all.extend(told.map(|(by, spenders)| Spenders::of(by, spenders)));
            return Ok(all);
        }
        let users = self.sums_read(windows::USER, period, None, Sums::counts_from_bytes)?;
        let users = Group::each(&users);
        let mut others = vec![Spenders::of(Dimension::User, users)];
        if sums.all.success.of <= MOST_COUNTED {
            let sessions = self.spent_by(Column::Session, &period.query())?;
            others.push(Spenders::of(Dimension::Session, sessions));
        }
        // Where nobody tells it, there is nothing to tell.
        let told = |found: &Spenders| found.top.iter().any(|spender| spender.key.is_some());
        all.extend(others.into_iter().filter(told));
        Ok(all)
    }

    fn top_sessions(
        &self,
        period: Period,
        sums: &PeriodSums,
    ) -> Result<Option<TopSessions>, StoreError> {
        if sums.all.success.of > MOST_SESSIONS {
            return Ok(None);
        }
        for by in [Dimension::Session, Dimension::User] {
            let mut all = self.count_sessions(&by, &period.query())?.sessions;
            if all.is_empty() {
                continue;
            }
            let mut first = |order| {
                sessions::sort(&mut all, order);
                all.iter().take(NAMED).cloned().collect()
            };
            let (dearest, slowest) = (first(SessionOrder::Dearest), first(SessionOrder::Slowest));
            return Ok(Some(TopSessions { by, of: all.len() as u64, dearest, slowest }));
        }
        Ok(None)
    }

    /// The operations of a selection as a history of their own, from the period before on, and how many they are. A selection
    /// of all is this history itself.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn selected(
        &self,
        only: &Selection,
        period: Period,
    ) -> Result<(Self, Option<LookedAt>), StoreError> {
        let Some(part) = self.part_of(only, period)? else { return Ok((self.clone(), None)) };
        let looked_at = part.looked_at()?;
        Ok((part, looked_at))
    }

    /// The same, before anything is counted; none where the selection is of all.
    pub(super) fn part_of(
        &self,
        only: &Selection,
        period: Period,
    ) -> Result<Option<Self>, StoreError> {
        if only.conditions.is_empty() {
            return Ok(None);
        }
        let level = over_time::level(self.bounded(period)?);
        let whole = Arc::clone(&self.store);
        let part = Arc::new(Part::new(whole, only.conditions.clone(), period, level));
        let store = Arc::clone(&part) as Arc<dyn Store>;
        Ok(Some(Self { store, part: Some(part), ..self.clone() }))
    }

    /// How many operations this is of; none where it is of all.
    fn looked_at(&self) -> Result<Option<LookedAt>, StoreError> {
        let Some(part) = &self.part else { return Ok(None) };
        let scanned = part.scanned()?;
        let (records, damaged) = (scanned.shown, scanned.damaged);
        Ok(Some(LookedAt { records, more: false, damaged }))
    }
}

/// Records that an answer looked at, in words: how many, and whether there are more.
impl std::fmt::Display for LookedAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let newest = if self.more { "the newest " } else { "" };
        let s = if self.records == 1 { "" } else { "s" };
        write!(f, "{newest}{} operation{s}", super::attention::thousands(self.records))
    }
}
