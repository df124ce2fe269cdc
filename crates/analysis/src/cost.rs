//! What an operation costs in the mean, over those of which that is known.

use taximeter_models::{CostTotals, Currency, Money, OperationRecord};

/// The cost of an operation in US dollars; none where the cost of a call is not known or is in another currency. An
/// operation without LLM calls costs nothing.
pub(crate) fn known_usd(cost: &CostTotals) -> Option<Money> {
    let only_usd = cost.amounts.keys().all(|currency| *currency == Currency::USD);
    (cost.is_complete() && only_usd).then(|| cost.usd())
}

/// The sum of known costs, and how many they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct KnownCosts {
    /// In US dollars.
    pub(crate) sum: Money,
    /// The operations whose cost is known.
    pub(crate) operations: u64,
}

impl KnownCosts {
    pub(crate) fn of<'a>(operations: impl IntoIterator<Item = &'a OperationRecord>) -> Self {
        let mut known = Self::default();
        for operation in operations {
            known.add(&operation.cost());
        }
        known
    }

    pub(crate) fn add(&mut self, cost: &CostTotals) {
        self.add_known(known_usd(cost));
    }

    /// Counts an operation, if its cost is known.
    pub(crate) fn add_known(&mut self, cost: Option<Money>) {
        if let Some(cost) = cost {
            self.sum += cost;
            self.operations = self.operations.saturating_add(1);
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.sum += other.sum;
        self.operations = self.operations.saturating_add(other.operations);
    }

    /// The mean in US dollars, cut to a tick; none where no cost is known.
    pub(crate) fn mean(&self) -> Option<Money> {
        self.sum.mean(self.operations)
    }

    /// Whether the mean is above this amount, exactly: nothing is divided.
    pub(crate) fn mean_is_above(&self, amount: Money) -> bool {
        let limit = amount.checked_mul(i128::from(self.operations));
        self.operations > 0 && limit.is_some_and(|limit| self.sum > limit)
    }
}
