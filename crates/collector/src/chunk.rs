//! Finished frames, one behind another in a piece of memory that goes to the worker as a whole.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, PoisonError};

use foldhash::fast::RandomState;

use taximeter_models::{Name, OperationId, OperationRecord};

use crate::counts::LossReason;
use crate::frame::{self, Buffer, Names};
use crate::sink::SinkError;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// So many bytes are handed over at once, unless the budget is small.
pub(crate) const CHUNK: usize = 64 << 10;

/// Frames that travel together.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) bytes: Buffer,
    pub(crate) records: usize,
    /// The slot that fills it, and has it back.
    pub(crate) home: usize,
}

impl Chunk {
    pub(crate) fn fits(&self, length: usize) -> bool {
        self.bytes.memory() - self.bytes.len() >= length
    }

    /// Takes in a frame of so many bytes, which [fits](Chunk::fits).
    #[inline]
    pub(crate) fn push(&mut self, length: usize, fill: impl FnOnce(&mut [u8])) {
        if let Some(place) = self.bytes.room_for(length) {
            fill(place);
            self.records += 1;
        }
    }
}

/// Finished records as the worker hands them over: packed, and read one by one when they are asked for.
#[derive(Debug)]
pub struct Batch<'a> {
    chunk: &'a Chunk,
    names: &'a Interner,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(chunk: &'a Chunk, names: &'a Interner) -> Self {
        Self { chunk, names }
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.chunk.records
    }

    /// Whether it holds none; the worker hands over no such batch.
    pub fn is_empty(&self) -> bool {
        self.chunk.records == 0
    }

    /// Its records, each made when it is asked for; those that can be read.
    pub fn records(&self) -> impl Iterator<Item = OperationRecord> + '_ {
        let record = |frame| frame::read(frame, &mut *self.names.lock()).map(|(record, _)| record);
        frames(self.chunk.bytes.as_slice()).filter_map(record)
    }

    /// Shows each of its records without the texts that are no names: no metadata, no tags, no user, no session, and
    /// errors and warnings without their words. All that sums need, for a fraction of what [`records`](Batch::records)
    /// costs, for every record takes the place of the one before.
    pub fn for_each_lean(&self, see: impl FnMut(&mut OperationRecord)) {
        each_lean(self.chunk.bytes.as_slice(), 0, &mut self.names.lock(), see);
    }

    /// Adds to what came of a batch, of which a sink has read so many records, those that it could not: they are lost, and
    /// count by the reason of what else was, if anything was.
    ///
    /// # Errors
    /// Where something came of it that was an error, or some of its records could not be read.
    pub fn settled(&self, read: usize, came: Result<(), SinkError>) -> Result<(), SinkError> {
        let unread = self.len().saturating_sub(read) as u64;
        match came {
            Err(error) => Err(SinkError { lost: error.lost + unread, ..error }),
            Ok(()) if unread == 0 => Ok(()),
            Ok(()) => {
                let source = "they are no records".into();
                Err(SinkError { lost: unread, reason: LossReason::Invalid, source })
            }
        }
    }

    /// A copy of its bytes, to keep.
    pub fn to_packed(&self) -> PackedRecords {
        PackedRecords { bytes: self.chunk.bytes.as_slice().into(), records: self.chunk.records }
    }
}

/// Records as bytes, to keep many of them: a tenth of the memory, each made anew when it is asked for.
#[derive(Debug, Clone, Default)]
pub struct PackedRecords {
    bytes: Box<[u8]>,
    records: usize,
}

impl PackedRecords {
    /// Packs records.
    ///
    /// ```
    /// use taximeter_collector::PackedRecords;
    /// use taximeter_models::OperationRecord;
    ///
    /// let packed = PackedRecords::pack(&[OperationRecord::new("qa_response")]);
    /// assert_eq!(packed.iter().next().map(|record| record.name.to_string()).as_deref(), Some("qa_response"));
    /// assert!(packed.position(taximeter_models::OperationId::from_bits(1)).is_none());
    /// ```
    pub fn pack<'r>(records: impl IntoIterator<Item = &'r OperationRecord>) -> Self {
        let (mut bytes, mut frame, mut count) = (Vec::new(), Buffer::default(), 0);
        for record in records {
            frame::encode(&mut frame, record);
            bytes.extend_from_slice(frame.as_slice());
            count += 1;
        }
        Self { bytes: bytes.into(), records: count }
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.records
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Its records, the first first.
    pub fn iter(&self) -> impl Iterator<Item = OperationRecord> + '_ {
        frames(&self.bytes).filter_map(make)
    }

    /// The records from the one of this index on.
    pub fn iter_from(&self, first: usize) -> impl Iterator<Item = OperationRecord> + '_ {
        frames(&self.bytes).skip(first).filter_map(make)
    }

    /// Shows each record from the one of this index on, without the texts that are no names; see
    /// [`Batch::for_each_lean`].
    pub fn for_each_lean(&self, first: usize, see: impl FnMut(&mut OperationRecord)) {
        let names = Interner::new(usize::MAX);
        each_lean(&self.bytes, first, &mut names.lock(), see);
    }

    /// The index of the record of an operation.
    pub fn position(&self, id: OperationId) -> Option<usize> {
        frames(&self.bytes).position(|frame| frame::id_of(frame) == Some(id))
    }
}

fn frames(bytes: &[u8]) -> impl Iterator<Item = &[u8]> + '_ {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = u32::from_le_bytes(*rest.first_chunk::<4>()?) as usize;
        let (frame, after) = rest.split_at_checked(length.checked_add(4)?)?;
        rest = after;
        Some(frame)
    })
}

fn each_lean(
    bytes: &[u8],
    first: usize,
    names: &mut Known,
    mut see: impl FnMut(&mut OperationRecord),
) {
    let mut record = OperationRecord::new("");
    for frame in frames(bytes).skip(first) {
        if frame::read_lean(frame, names, &mut record).is_some() {
            see(&mut record);
        }
    }
}

fn make(frame: &[u8]) -> Option<OperationRecord> {
    frame::read(frame, &mut |text: &str| Name::from(text)).map(|(record, _)| record)
}

/// The names that records share. There may be so many and no more: what groups by name stays small, whatever a
/// program makes names of. Further ones become [`OVERFLOW`](crate::OVERFLOW), so that every sum over names is whole.
#[derive(Debug)]
pub(crate) struct Interner {
    known: Mutex<Known>,
    /// How often a name was above the limit. Beside the lock, which the worker holds for a whole batch: whoever asks must
    /// not wait for it, least of all in a forked child, where there is no worker to let it go.
    overflowed: Arc<AtomicU64>,
}

#[derive(Debug)]
pub(crate) struct Known {
    names: HashSet<ByBytes, RandomState>,
    overflow: Name,
    limit: usize,
    // Relaxed: a number for itself.
    overflowed: Arc<AtomicU64>,
}

/// The name that stands for all names above the limit of [`Limits::names`](crate::Limits::names).
pub const OVERFLOW: &str = "_other";

impl Interner {
    pub(crate) fn new(limit: usize) -> Self {
        let overflow = Name::from(OVERFLOW);
        let overflowed = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&overflowed);
        let known = Known { names: HashSet::default(), overflow, limit, overflowed: counted };
        Self { known: Mutex::new(known), overflowed }
    }

    /// How often a name was above the limit.
    pub(crate) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Names for Known {
    fn name(&mut self, text: &[u8]) -> Option<Name> {
        if let Some(known) = self.names.get(text) {
            return Some(known.0.clone());
        }
        let text = std::str::from_utf8(text).ok()?;
        if self.names.len() >= self.limit {
            self.overflowed.fetch_add(1, Ordering::Relaxed);
            return Some(self.overflow.clone());
        }
        let name = Name::from(text);
        self.names.insert(ByBytes(name.clone()));
        Some(name)
    }
}

/// A name that is found by its bytes: of one that is known it is known that it is a text.
#[derive(Debug, PartialEq, Eq)]
struct ByBytes(Name);

impl Borrow<[u8]> for ByBytes {
    fn borrow(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Hash for ByBytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_bytes().hash(state);
    }
}

#[cfg(all(test, not(taximeter_model)))]
mod tests {
    use super::*;
    use crate::{MemorySink, Sink};

    #[test]
    fn a_record_that_cannot_be_read_back_is_lost_alone_and_counted() {
        let mut frames = ["a", "broken", "c"].map(|name| {
            let mut frame = Buffer::default();
            frame::encode(&mut frame, &OperationRecord::new(name));
            frame.as_slice().to_vec()
        });
        // No part begins with this.
        frames[1][frame::HEADER] = u8::MAX;
        let mut chunk = Chunk { bytes: Buffer::of(4_096), ..Chunk::default() };
        for frame in &frames {
            chunk.push(frame.len(), |place| place.copy_from_slice(frame));
        }
        let (sink, names) = (MemorySink::default(), Interner::new(10));
        let batch = Batch::new(&chunk, &names);
        let error = sink.accept_packed(&batch).expect_err("one is broken");
        assert_eq!((error.lost, error.reason), (1, LossReason::Invalid));
        let taken: Vec<_> = sink.records().iter().map(|record| record.name.to_string()).collect();
        assert_eq!(taken, ["a", "c"]);

        let mut lean = Vec::new();
        batch.for_each_lean(|record| lean.push(record.name.to_string()));
        assert_eq!(lean, ["a", "c"]);
        // What else was lost says why; all of it is counted.
        let full =
            SinkError { lost: 2, reason: LossReason::DiskFull, source: "there is no room".into() };
        let error = batch.settled(lean.len(), Err(full)).expect_err("all three are lost");
        assert_eq!((error.lost, error.reason), (3, LossReason::DiskFull));
        assert!(batch.settled(batch.len(), Ok(())).is_ok());
    }

    #[test]
    fn names_above_the_limit_are_counted_and_told_while_the_worker_reads() {
        let names = Interner::new(1);
        let mut known = names.lock();
        assert_eq!(
            ["a", "b", "a", "b"].map(|name| known.name(name.as_bytes())).map(Option::unwrap),
            ["a", OVERFLOW, "a", OVERFLOW]
        );
        // The lock is held as the worker holds it; whoever asks does not wait for it.
        assert_eq!(names.overflowed(), 2);
    }
}
