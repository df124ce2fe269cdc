//! When the operations of each 4,096 numbers began, so that a question about a day reads that day.

use rusqlite::{Connection, OptionalExtension, Row};

use super::cells::{Sum, int};

/// So many numbers of operations make an extent.
pub(super) const NUMBERS: i64 = 4_096;

/// What is known of the operations of some numbers in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Which numbers: those from this one times [`NUMBERS`] on.
    pub(super) chunk: i64,
    /// When the first of them began, in nanoseconds since 1970.
    pub(super) from_ns: i64,
    /// When the last of them began, likewise.
    pub(super) to_ns: i64,
    /// How many there are.
    pub(super) operations: i64,
}

impl Extent {
    pub(super) fn empty(chunk: i64) -> Self {
        Self { chunk, from_ns: i64::MAX, to_ns: i64::MIN, operations: 0 }
    }

    pub(super) fn add(&mut self, started_ns: i64) {
        self.from_ns = self.from_ns.min(started_ns);
        self.to_ns = self.to_ns.max(started_ns);
        self.operations += 1;
    }

    /// The numbers, both ends included.
    pub(super) fn numbers(&self) -> (i64, i64) {
        let first = self.chunk.saturating_mul(NUMBERS);
        (first, first.saturating_add(NUMBERS - 1))
    }

    /// Whether a number belongs here.
    pub(super) fn has(&self, seq: i64) -> bool {
        seq.div_euclid(NUMBERS) == self.chunk
    }

    fn checked(&self) -> i64 {
        let mut sum = Sum::default();
        for number in [self.chunk, self.from_ns, self.to_ns, self.operations] {
            sum.add(int(number));
        }
        sum.checked()
    }

    /// What does not fit its checksum may hold anything from any time.
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let extent = Self {
            chunk: row.get(0)?,
            from_ns: row.get(1)?,
            to_ns: row.get(2)?,
            operations: row.get(3)?,
        };
        let fits = extent.checked() == row.get::<_, i64>(4)?;
        Ok(if fits { extent } else { Self { from_ns: i64::MIN, to_ns: i64::MAX, ..extent } })
    }

    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut write =
            connection.prepare_cached("INSERT OR REPLACE INTO extents VALUES (?, ?, ?, ?, ?)")?;
        let Self { chunk, from_ns, to_ns, operations } = *self;
        write.execute((chunk, from_ns, to_ns, operations, self.checked()))?;
        Ok(())
    }
}

/// The extent to which an operation's number belongs.
pub(super) fn of(connection: &Connection, seq: i64) -> rusqlite::Result<Extent> {
    let chunk = seq.div_euclid(NUMBERS);
    let found = connection
        .prepare_cached("SELECT * FROM extents WHERE chunk = ?1")?
        .query_row([chunk], Extent::read)
        .optional()?;
    Ok(found.unwrap_or_else(|| Extent::empty(chunk)))
}

/// All extents, in the order of their numbers.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<Extent>> {
    let mut select = connection.prepare_cached("SELECT * FROM extents ORDER BY chunk")?;
    let extents = select.query_map([], Extent::read)?;
    extents.collect()
}

pub(super) fn remove(connection: &Connection, chunk: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM extents WHERE chunk = ?1")?.execute([chunk])?;
    Ok(())
}
