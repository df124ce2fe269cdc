//! What a slot of the intake counts.

use std::collections::BTreeMap;

use crate::counts::{Counts, LossReason};
use crate::redact::Changes;

/// Counts of one slot. An operation may start in one slot and end in another, so only their sums mean something, and
/// those that go down are signed.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) offered: u64,
    pub(crate) withdrawn: u64,
    pub(crate) open: i64,
    pub(crate) queued: i64,
    pub(crate) stored: u64,
    pub(crate) dropped: BTreeMap<LossReason, u64>,
    /// Signed, for it takes the place of what was queued.
    pub(crate) lost_in_fork: i64,
    pub(crate) abandoned: u64,
    pub(crate) flaws: Flaws,
}

/// What was not kept as it came.
#[derive(Debug, Default)]
pub(crate) struct Flaws {
    pub(crate) late_parts: u64,
    pub(crate) truncated: u64,
    pub(crate) invalid_usages: u64,
    pub(crate) invalid_values: u64,
    pub(crate) redacted: u64,
    pub(crate) redaction_failed: u64,
    pub(crate) internal_panics: u64,
    pub(crate) aged: u64,
}

/// Something of an operation that was not kept as it came.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Flaw {
    LatePart,
    Truncated(u64),
    InvalidUsage,
    InvalidValue(u64),
    Redacted(Changes),
    InternalPanic,
    Aged,
}

impl Ledger {
    #[cold]
    #[inline(never)]
    pub(crate) fn lose(&mut self, reason: LossReason, abandoned: bool) {
        self.open -= 1;
        self.abandoned += u64::from(abandoned);
        self.drop_many(reason, 1);
    }

    pub(crate) fn drop_many(&mut self, reason: LossReason, count: u64) {
        if count > 0 {
            *self.dropped.entry(reason).or_default() += count;
        }
    }

    pub(crate) fn add_to(&self, counts: &mut Counts) {
        counts.offered += self.offered;
        counts.stored += self.stored;
        counts.abandoned += self.abandoned;
        for (reason, count) in &self.dropped {
            *counts.dropped.entry(*reason).or_default() += count;
        }
        let flaws = &self.flaws;
        counts.late_parts += flaws.late_parts;
        counts.truncated += flaws.truncated;
        counts.invalid_usages += flaws.invalid_usages;
        counts.invalid_values += flaws.invalid_values;
        counts.redacted += flaws.redacted;
        counts.redaction_failed += flaws.redaction_failed;
        counts.internal_panics += flaws.internal_panics;
        counts.aged += flaws.aged;
    }
}
