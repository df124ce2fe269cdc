//! Saving what can be saved of a damaged store, and the rarer works: giving all free room back, saying what takes it.

use std::path::Path;

use taximeter_models::OperationRecord;

use super::append::transaction;
use super::error::failed;
use super::extents::NUMBERS;
use super::{Reader, SqliteStore, blocks, notes, read, sums};
use crate::StoreError;
use crate::store::Store;
use crate::store::block::Rows;

/// What a repair saved, and what not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Repaired {
    /// Operations that are in the new store.
    pub operations: u64,
    /// Operations that are known to be lost.
    pub lost_operations: u64,
    /// Whether the sums are those of the old store; where one of them could not be read, all were made anew of the
    /// operations that are there, and what was known only from sums is lost.
    pub sums_kept: bool,
    /// What could not be saved, in words.
    pub problems: Vec<String>,
}

const BATCH: usize = 4_096;

impl SqliteStore {
    /// Writes what can be read into a new store, and says what not. This one stays as it is; whoever is content with the
    /// new one puts it in its place.
    ///
    /// # Errors
    /// Where there is something at the new place already, it cannot be written, or this store cannot be read at all.
    pub fn repair(&self, into: impl AsRef<Path>) -> Result<Repaired, StoreError> {
        let path = into.as_ref();
        if path.exists() {
            let what = "there already";
            return Err(StoreError::Unfit { path: path.to_owned(), what });
        }
        self.read("repairing", |reader| {
            let sums_kept = sums::unreadable(&reader.connection) == Ok(0);
            let mut open = Self::at(path).durability(self.how.durability).keep(self.keep);
            if let Some(summarize) = self.summarize.as_ref().filter(|_| !sums_kept) {
                open = open.summarize(summarize.clone());
            }
            let mut saving =
                Saving { new: open.open()?, batch: Vec::new(), done: Repaired::default() };
            saving.done.sums_kept = sums_kept;
            self.save_hot(reader, &mut saving)?;
            self.save_blocks(reader, &mut saving)?;
            saving.flush()?;
            let mut writer = saving.new.writer("repairing")?;
            let noted = transaction(&mut writer, path, |connection, _| {
                notes::copy(&reader.connection, connection).map_err(failed("repairing", path))
            });
            drop(writer);
            if let Err(error) = noted {
                saving.done.problems.push(format!("the notes: {error}"));
            }
            if sums_kept {
                let mut writer = saving.new.writer("repairing")?;
                transaction(&mut writer, path, |connection, _| {
                    sums::copy(&reader.connection, connection).map_err(failed("repairing", path))
                })?;
            }
            Ok(saving.done)
        })
    }

    fn save_hot(&self, reader: &mut Reader, saving: &mut Saving) -> Result<(), StoreError> {
        let ends = "SELECT coalesce(min(seq), 0), coalesce(max(seq), -1) FROM operations";
        let ends = reader
            .connection
            .query_row(ends, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
        let (mut first, last) = ends.map_err(failed("repairing", &self.path))?;
        while first <= last {
            let end = first.saturating_add(NUMBERS - 1).min(last);
            save_range(reader, saving, (first, end))?;
            first = end.saturating_add(1);
        }
        Ok(())
    }

    fn save_blocks(&self, reader: &mut Reader, saving: &mut Saving) -> Result<(), StoreError> {
        let Reader { connection, blocks: known, .. } = reader;
        for sheet in blocks::all(connection, known, &self.path)? {
            let read = sheet.meta.as_ref().map(|meta| {
                let mut block = blocks::reader(connection, sheet.id, std::sync::Arc::clone(meta));
                block.records(&Rows::All(meta.rows()))
            });
            match read {
                Some(Ok(records)) => {
                    records.into_iter().try_for_each(|record| saving.save(record))?;
                }
                other => {
                    let why = other.and_then(Result::err).map(|error| error.to_string());
                    let why = why.unwrap_or_else(|| "its metadata are damaged".into());
                    saving.lose(sheet.operations, format!("sealed block {}: {why}", sheet.id));
                }
            }
        }
        Ok(())
    }

    /// Gives all free room back to the file system. It takes as much room again while it works, and nobody else can write
    /// meanwhile; [`maintain`](Store::maintain) gives room back in small steps.
    ///
    /// # Errors
    /// Where there is no room for it, or somebody else holds the store.
    pub fn vacuum(&self) -> Result<(), StoreError> {
        let said = failed("vacuuming", &self.path);
        let writer = self.writer("vacuuming")?;
        writer.connection.execute_batch("VACUUM").map_err(said)?;
        writer.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(said)
    }

    /// What takes how many bytes: every table and index by its name, the largest first, and `free` for free room.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn disk_use(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let said = failed("reading", &self.path);
        self.read("reading", |reader| {
            let sql = "SELECT name, sum(pgsize) FROM dbstat GROUP BY name
                       UNION ALL SELECT 'free', f.freelist_count * p.page_size
                         FROM pragma_freelist_count f, pragma_page_size p
                       ORDER BY 2 DESC, 1";
            let mut select = reader.connection.prepare(sql).map_err(said)?;
            let row = |row: &rusqlite::Row<'_>| {
                Ok((row.get(0)?, row.get::<_, i64>(1)?.max(0).cast_unsigned()))
            };
            select.query_map([], row).and_then(Iterator::collect).map_err(said)
        })
    }
}

/// Saves a range of numbers; where a page of it is damaged, each half by itself, down to one operation.
fn save_range(
    reader: &mut Reader,
    saving: &mut Saving,
    (first, last): (i64, i64),
) -> Result<(), StoreError> {
    match read::range(&reader.connection, &mut reader.texts, (first, last)) {
        Ok(found) => {
            for read in found {
                match read.record {
                    Ok(record) => saving.save(record)?,
                    Err(wrong) => saving.lose(1, format!("operation number {}: {wrong}", read.seq)),
                }
            }
        }
        Err(error) if first == last => {
            saving.lose(1, format!("operation number {first}: {error}"));
        }
        Err(_) => {
            let middle = first + (last - first) / 2;
            save_range(reader, saving, (first, middle))?;
            save_range(reader, saving, (middle + 1, last))?;
        }
    }
    Ok(())
}

struct Saving {
    new: SqliteStore,
    batch: Vec<OperationRecord>,
    done: Repaired,
}

impl Saving {
    fn save(&mut self, record: OperationRecord) -> Result<(), StoreError> {
        self.batch.push(record);
        if self.batch.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.done.operations += self.new.append(&std::mem::take(&mut self.batch))?.stored;
        Ok(())
    }

    fn lose(&mut self, operations: u64, why: String) {
        self.done.lost_operations += operations;
        if self.done.problems.len() < 100 {
            self.done.problems.push(why);
        }
    }
}
