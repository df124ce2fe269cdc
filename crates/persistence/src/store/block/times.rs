//! Times of records put together again from columns.

use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::bytes::unzigzag;
use super::column::ColumnId;
use super::error::{BlockError, Broken};
use super::numbers::Numbers;
use super::presence::SomeNumbers;
use super::reader::Reader;

/// A value that no record can have, and its column.
#[derive(Debug)]
pub(super) struct Wrong(pub(super) ColumnId, pub(super) Broken);

pub(super) const JSON: Broken = Broken("a value is no JSON");

/// Times as they are kept: nanoseconds, and seconds where these do not reach.
#[derive(Debug)]
pub(super) struct Times {
    pub(super) column: ColumnId,
    pub(super) nanos: SomeNumbers,
    pub(super) far_seconds: SomeNumbers,
    pub(super) far_nanos: SomeNumbers,
}

impl Times {
    /// Those of the rows whose mask has a bit; another bit says which are far.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        column: ColumnId,
        mask: &Numbers,
        bit: u64,
        far: u64,
    ) -> Result<Self, BlockError> {
        Ok(Self {
            column,
            nanos: reader.some_numbers(column, mask, bit)?,
            far_seconds: reader.some_numbers(column.far_seconds(), mask, far)?,
            far_nanos: reader.some_numbers(column.far_nanos(), mask, far)?,
        })
    }

    /// The same, or no time of any row.
    pub(super) fn read_if(
        is_asked: bool,
        reader: &mut Reader<'_>,
        column: ColumnId,
        mask: &Numbers,
        (bit, far): (u64, u64),
    ) -> Result<Self, BlockError> {
        if is_asked {
            return Self::read(reader, column, mask, bit, far);
        }
        let none = || SomeNumbers::none(mask.len());
        Ok(Self { column, nanos: none(), far_seconds: none(), far_nanos: none() })
    }

    pub(super) fn far(&self, row: usize) -> Option<(u64, u32)> {
        let nanos = u32::try_from(self.far_nanos.get(row)?).unwrap_or(u32::MAX);
        Some((self.far_seconds.get(row)?, nanos))
    }

    pub(super) fn duration(&self, row: usize) -> Option<Duration> {
        self.nanos.get(row).map(|nanos| self.duration_of(row, nanos))
    }

    /// The duration of a row, from so many nanoseconds.
    pub(super) fn duration_of(&self, row: usize, nanos: u64) -> Duration {
        match self.far(row) {
            // A duration whose nanoseconds run over has no more seconds than there can be.
            Some((seconds, nanos)) => {
                Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into()))
            }
            None => Duration::from_nanos(nanos),
        }
    }

    /// A moment, from so many nanoseconds.
    pub(super) fn moment(&self, row: usize, nanos: i64) -> Result<DateTime<Utc>, Wrong> {
        match self.far(row) {
            Some((seconds, nanos)) => DateTime::from_timestamp(seconds.cast_signed(), nanos).ok_or(
                Wrong(self.column.far_seconds(), Broken("it holds a time that no calendar has")),
            ),
            None => Ok(DateTime::from_timestamp_nanos(nanos)),
        }
    }

    /// A moment that is kept as its distance from another.
    pub(super) fn since(&self, row: usize, base: i64) -> Result<Option<DateTime<Utc>>, Wrong> {
        let Some(since) = self.nanos.get(row) else { return Ok(None) };
        self.moment(row, base.wrapping_add(unzigzag(since))).map(Some)
    }
}

/// How long after the start of their operation its components began, one after the other: that is kept as the distance from
/// the end of the component before.
pub(super) fn offsets<'n>(
    components: Range<usize>,
    since: &'n SomeNumbers,
    durations: impl Fn(usize) -> u64 + 'n,
) -> impl Iterator<Item = (usize, Option<u64>)> + 'n {
    let mut end = 0_u64;
    components.map(move |row| {
        let since = since.get(row).map(|since| unzigzag(since).cast_unsigned());
        let offset = since.map(|since| end.wrapping_add(since));
        end = offset.unwrap_or(end).wrapping_add(durations(row));
        (row, offset)
    })
}

/// When operations began.
#[derive(Debug)]
pub(super) struct Starts {
    pub(super) times: Times,
    pub(super) first: i64,
}

impl Starts {
    pub(super) fn nanos(&self, row: usize) -> i64 {
        self.first.wrapping_add(self.times.nanos.get(row).unwrap_or_default().cast_signed())
    }
}
