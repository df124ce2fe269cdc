//! What became of every operation: counts, and losses by reason.

use std::collections::BTreeMap;
use std::fmt;

/// Why an ended operation did not reach its sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LossReason {
    /// The queue to the worker was full, by number or by bytes.
    QueueFull,
    /// Its record was larger than all the room there is.
    TooLarge,
    /// Too many operations were open, by number or by bytes.
    TooManyOpen,
    /// Sampling left it out, because the queue was more than half full.
    Sampled,
    /// It ended after the collector was shut down.
    AfterShutdown,
    /// It was queued or ended in a forked child of the collector's process.
    Fork,
    /// Its record could not be read back.
    Invalid,
    /// The sink could not store it.
    IoError,
    /// The sink had no room for it.
    DiskFull,
    /// The sink panicked on its batch.
    InternalPanic,
}

impl LossReason {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::QueueFull,
        Self::TooLarge,
        Self::TooManyOpen,
        Self::Sampled,
        Self::AfterShutdown,
        Self::Fork,
        Self::Invalid,
        Self::IoError,
        Self::DiskFull,
        Self::InternalPanic,
    ];

    /// The name on the wire, such as `queue_full`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::TooLarge => "too_large",
            Self::TooManyOpen => "too_many_open",
            Self::Sampled => "sampled",
            Self::AfterShutdown => "after_shutdown",
            Self::Fork => "fork",
            Self::Invalid => "invalid",
            Self::IoError => "io_error",
            Self::DiskFull => "disk_full",
            Self::InternalPanic => "internal_panic",
        }
    }
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The state of a collector at one instant. In every snapshot, `offered = stored + queued + dropped + open`; none of
/// the five is computed from the others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Operations that were started.
    pub offered: u64,
    /// Operations that the sink has taken.
    pub stored: u64,
    /// Operations that have ended and are on their way to the sink.
    pub queued: u64,
    /// Operations that were lost, by reason; reasons without a loss are left out.
    pub dropped: BTreeMap<LossReason, u64>,
    /// Operations that have not ended.
    pub open: u64,
    /// Operations that ended by being dropped; they are stored like any other.
    pub abandoned: u64,
    /// Parts (timings, calls, usages) that came after their operation had ended, and were left out.
    pub late_parts: u64,
    /// Texts, keys and parts that were cut or left out because they were above a limit.
    pub truncated: u64,
    /// Usages whose numbers cannot be; the calls were kept, without a usage.
    pub invalid_usages: u64,
    /// Numbers of metadata and durations that JSON or 64 bits cannot hold; they were kept as null, or as the most.
    pub invalid_values: u64,
    /// Texts that were masked, replaced or left out by the [`Redaction`](crate::Redaction).
    pub redacted: u64,
    /// Texts that were left out because the hook of the redaction panicked.
    pub redaction_failed: u64,
    /// Names that were above the limit of names, and became [`OVERFLOW`](crate::OVERFLOW).
    pub cardinality: u64,
    /// Operations that were open for longer than is allowed, and were closed as abandoned; counted there too.
    pub aged: u64,
    /// Panics of a sink, a clock or another part of the program's own that were caught.
    pub internal_panics: u64,
    /// Bytes that queued records, open operations and the memory kept for the next ones hold.
    pub queue_bytes: u64,
}

impl Counts {
    /// All losses.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Whether every operation is accounted for. It always is; a test that sees false has found a fault.
    pub fn adds_up(&self) -> bool {
        self.offered == self.stored + self.queued + self.dropped_total() + self.open
    }
}
