//! The counters: the worker adds what it has priced, everybody may read, and nobody waits for the store.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use taximeter_analysis::Dimension;
use taximeter_models::{KnownUsd, LlmCall, Name, OperationRecord};

use super::{Account, BudgetPlan};

/// So many groups of a budget are counted apart; the others are counted together.
const MOST_GROUPS: usize = 10_000;

/// What was spent of every budget in its period that runs now.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    plans: Vec<BudgetPlan>,
    held: Mutex<Vec<Held>>,
    /// Held while a batch is stored and counted, and while the store is read: what is read is counted before or after.
    turn: Mutex<()>,
}

/// One budget.
#[derive(Debug, Clone)]
struct Held {
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    spent: HashMap<Option<Name>, KnownUsd>,
    others: Option<KnownUsd>,
}

impl Held {
    fn new(plan: &BudgetPlan, now: DateTime<Utc>) -> Self {
        let (since, until) = plan.per().around(now);
        Self { since, until, spent: HashMap::new(), others: None }
    }

    /// Begins anew where the period is over.
    fn roll(&mut self, plan: &BudgetPlan, now: DateTime<Utc>) {
        if now < self.since || now >= self.until {
            *self = Self::new(plan, now);
        }
    }

    fn add(&mut self, key: Option<Name>, spent: KnownUsd) {
        let room = self.spent.len() < MOST_GROUPS;
        match self.spent.get_mut(&key) {
            Some(own) => *own += spent,
            None if room => drop(self.spent.insert(key, spent)),
            None => *self.others.get_or_insert_default() += spent,
        }
    }

    fn add_operation(&mut self, by: &Dimension, operation: &OperationRecord) {
        let calls = &operation.llm_calls;
        if operation.started_at < self.since
            || operation.started_at >= self.until
            || calls.is_empty()
        {
            return;
        }
        let key = match by {
            Dimension::Llm | Dimension::Provider => {
                for call in calls {
                    self.add(called(by, call), KnownUsd::of([call]));
                }
                return;
            }
            Dimension::Operation => Some(operation.name.clone()),
            Dimension::User => operation.user.clone(),
            Dimension::Session => operation.session.clone(),
            Dimension::Tag(tag) => operation.tags.get(&**tag).map(|value| value.as_str().into()),
            _ => None,
        };
        self.add(key, KnownUsd::of(calls));
    }
}

/// The provider of a call, or its LLM as `openai/gpt-4o`.
fn called(by: &Dimension, call: &LlmCall) -> Option<Name> {
    match by {
        Dimension::Provider => call.provider.clone(),
        _ => Some(call.llm_key().into()),
    }
}

impl Counter {
    pub(crate) fn new(plans: Vec<BudgetPlan>, now: DateTime<Utc>) -> Self {
        let held = plans.iter().map(|plan| Held::new(plan, now)).collect();
        Self { plans, held: Mutex::new(held), turn: Mutex::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.plans.is_empty()
    }

    pub(crate) fn plans(&self) -> impl Iterator<Item = &BudgetPlan> {
        self.plans.iter()
    }

    pub(crate) fn find(&self, name: &str) -> Option<(usize, &BudgetPlan)> {
        self.plans.iter().enumerate().find(|(_, plan)| *plan.name() == *name)
    }

    /// Is held while a batch is stored and counted.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> MutexGuard<'_, Vec<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what was priced.
    pub(crate) fn add(&self, operations: &[OperationRecord], now: DateTime<Utc>) {
        if self.is_empty() {
            return;
        }
        let mut held = self.held();
        for (plan, held) in self.plans.iter().zip(held.iter_mut()) {
            held.roll(plan, now);
            for operation in operations {
                held.add_operation(plan.dimension(), operation);
            }
        }
    }

    /// What was spent of a budget, by all together or by one group.
    pub(crate) fn account(
        &self,
        place: usize,
        group: Option<&str>,
        in_flight: u64,
        now: DateTime<Utc>,
    ) -> Account {
        let plan = &self.plans[place];
        let mut held = self.held();
        let held = &mut held[place];
        held.roll(plan, now);
        let own = held.spent.get(&group.map(Name::from)).copied();
        let shared = own.is_none() && held.others.is_some();
        let spent = own.or(held.others).unwrap_or_default();
        let (since, until) = (held.since, held.until);
        Account { amount: plan.amount(), spent, since, until, in_flight, shared }
    }

    /// Takes what the store has of the periods that run now in place of what was counted.
    #[cfg(feature = "store")]
    pub(crate) fn read(
        &self,
        store: std::sync::Arc<dyn taximeter_persistence::store::Store>,
        now: DateTime<Utc>,
    ) -> Result<(), taximeter_persistence::StoreError> {
        use crate::history::{History, Period};

        if self.is_empty() {
            return Ok(());
        }
        let history = History::new(store);
        let _turn = self.turn();
        let mut read = Vec::new();
        for plan in &self.plans {
            let mut held = Held::new(plan, now);
            let period = Period { since: Some(held.since), until: Some(held.until) };
            for spending in history.spending(plan.dimension(), period, None)? {
                held.add(spending.key, spending.spent);
            }
            read.push(held);
        }
        *self.held() = read;
        Ok(())
    }
}
