//! How much memory a collector may hold: one number of bytes and one of records, drawn from in portions.

use crate::sync::atomic::{AtomicUsize, Ordering};

/// Counts what is taken out of a fixed amount. The atomics guard amounts, not data, so relaxed order serves: without
/// the atomics, two threads could take the same bytes.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, used: AtomicUsize::new(0) }
    }

    /// Takes all of an amount, or nothing.
    pub(crate) fn take(&self, amount: usize) -> bool {
        self.take_up_to(amount, amount) == amount
    }

    /// Takes as much as there is, up to an amount, if that is no less than the least; else nothing.
    pub(crate) fn take_up_to(&self, amount: usize, least: usize) -> usize {
        let mut taken = 0;
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            taken = self.limit.saturating_sub(used).min(amount);
            if taken < least {
                taken = 0;
            }
            (taken > 0).then_some(used + taken)
        });
        taken
    }

    pub(crate) fn give_back(&self, amount: usize) {
        if amount > 0 {
            self.used.fetch_sub(amount, Ordering::Relaxed);
        }
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is() {
        let budget = Budget::new(10);
        assert!(budget.take(7));
        assert!(!budget.take(4));
        assert_eq!(budget.take_up_to(100, 4), 0);
        assert_eq!(budget.take_up_to(100, 1), 3);
        assert_eq!(budget.take_up_to(1, 1), 0);
        budget.give_back(10);
        assert_eq!(budget.used(), 0);
    }
}
