//! What became of every operation: counts, and losses by reason.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Weak;

use crate::collector::Shared;

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
    pub fn as_str(self) -> &'static str {
        self.name_of_count().trim_start_matches("dropped_")
    }

    const fn name_of_count(self) -> &'static str {
        match self {
            Self::QueueFull => "dropped_queue_full",
            Self::TooLarge => "dropped_too_large",
            Self::TooManyOpen => "dropped_too_many_open",
            Self::Sampled => "dropped_sampled",
            Self::AfterShutdown => "dropped_after_shutdown",
            Self::Fork => "dropped_fork",
            Self::Invalid => "dropped_invalid",
            Self::IoError => "dropped_io_error",
            Self::DiskFull => "dropped_disk_full",
            Self::InternalPanic => "dropped_internal_panic",
        }
    }
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reads the counts of a collector without keeping it alive; see
/// [`Collector::counts_reader`](crate::Collector::counts_reader).
///
/// ```
/// use taximeter_collector::Collector;
///
/// let collector = Collector::builder().build()?;
/// let reader = collector.counts_reader().expect("it is on");
/// collector.operation("qa_response").start().succeed();
/// assert_eq!(reader.read().expect("the collector is there").offered, 1);
///
/// drop(collector);
/// assert!(reader.read().is_none());
/// # Ok::<(), taximeter_collector::CollectorError>(())
/// ```
#[derive(Debug, Clone)]
pub struct CountsReader(pub(crate) Weak<Shared>);

impl CountsReader {
    /// The counts of now; none where the collector is gone.
    pub fn read(&self) -> Option<Counts> {
        self.0.upgrade().map(|shared| shared.counts())
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
    /// Every count by its name on the wire, in the order of this type; losses as `dropped_` and their reason, and those
    /// that did not occur as zero, so that an export always has the same rows.
    ///
    /// ```
    /// use taximeter_collector::Collector;
    ///
    /// let collector = Collector::builder().build()?;
    /// collector.operation("qa_response").start().succeed();
    /// let counts = collector.counts();
    /// assert_eq!(counts.by_name().next(), Some(("offered", 1)));
    /// assert!(counts.by_name().any(|count| count == ("dropped_queue_full", 0)));
    /// # Ok::<(), taximeter_collector::CollectorError>(())
    /// ```
    pub fn by_name(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let whole = [
            ("offered", self.offered),
            ("stored", self.stored),
            ("queued", self.queued),
            ("open", self.open),
        ];
        let dropped = LossReason::ALL.iter().map(|reason| {
            let count = self.dropped.get(reason).copied().unwrap_or_default();
            (reason.name_of_count(), count)
        });
        let besides = [
            ("abandoned", self.abandoned),
            ("late_parts", self.late_parts),
            ("truncated", self.truncated),
            ("invalid_usages", self.invalid_usages),
            ("invalid_values", self.invalid_values),
            ("redacted", self.redacted),
            ("redaction_failed", self.redaction_failed),
            ("cardinality", self.cardinality),
            ("aged", self.aged),
            ("internal_panics", self.internal_panics),
            ("queue_bytes", self.queue_bytes),
        ];
        whole.into_iter().chain(dropped).chain(besides)
    }

    /// All losses.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Whether every operation is accounted for. It always is; a test that sees false has found a fault.
    pub fn adds_up(&self) -> bool {
        self.offered == self.stored + self.queued + self.dropped_total() + self.open
    }
}
