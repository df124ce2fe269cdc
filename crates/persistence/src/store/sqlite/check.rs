//! Checking a store: whether everything in it can be read, and whether the sums are those of the operations.

use std::collections::BTreeMap;

use rusqlite::Connection;
use taximeter_models::OperationRecord;

use super::error::failed;
use super::extents::{self, Extent};
use super::{Reader, SqliteStore, blocks, notes, read, sums};
use crate::StoreError;
use crate::store::block::Rows;
use crate::store::memory::by_minute;
use crate::store::rows::nanos;
use crate::store::{Level, Numbers, Place, RollupQuery, Summarize, WindowBytes};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Checked {
    /// Operations that can be read.
    pub operations: u64,
    /// Operations that cannot, in rows or in blocks: all that there are, while a question counts those that it met.
    pub damaged_operations: u64,
    /// Sums of days that were compared with those of the operations.
    pub sums: u64,
    /// Sums that differ, or cannot be read.
    pub wrong_sums: u64,
    /// What is wrong, in words; so many at most that somebody reads them.
    pub problems: Vec<String>,
}

/// More problems than these are counted but not told.
const MOST_PROBLEMS: usize = 100;

impl Checked {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    fn problem(&mut self, what: impl Into<String>) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(what.into());
        }
    }
}

impl SqliteStore {
    /// Reads everything: the pages by SQLite's own check, every operation and every sealed column by its checksum; and
    /// compares the sums of days with those of the operations, where sums are made and none of the day's operations was
    /// removed. It takes as long as reading everything does.
    ///
    /// # Errors
    /// Where the store cannot be read at all. What is damaged in it is no error, but the answer.
    pub fn check(&self) -> Result<Checked, StoreError> {
        self.read("checking", |reader| {
            let mut checked = Checked::default();
            pages(&reader.connection, &mut checked);
            let mut days = Days::new(self.summarize.as_deref());
            let hot = self.check_hot(reader, &mut checked, &mut days);
            let sealed = self.check_blocks(reader, &mut checked, &mut days);
            let summed = self.check_sums(reader, &mut checked, &days);
            match notes::unreadable(&reader.connection) {
                Ok(0) => {}
                Ok(wrong) => checked.problem(format!("{wrong} notes do not fit their checksums")),
                Err(error) => checked.problem(format!("the notes cannot be read: {error}")),
            }
            // What cannot even be listed is damage, too.
            for error in [hot, sealed, summed].into_iter().filter_map(Result::err) {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                checked.problem(format!("{error}: {}", cause.unwrap_or_default()));
            }
            Ok(checked)
        })
    }

    fn check_hot(
        &self,
        reader: &mut Reader,
        checked: &mut Checked,
        days: &mut Days<'_>,
    ) -> Result<(), StoreError> {
        let said = failed("checking", &self.path);
        let Reader { connection, texts, .. } = reader;
        let listed = extents::all(connection).map_err(said)?;
        let mut counted = 0;
        for chunk in chunks(connection).map_err(said)? {
            let mut extent = Extent::empty(chunk);
            let known = listed.iter().find(|known| known.chunk == chunk).copied();
            match read::range(connection, texts, extent.numbers()) {
                Err(error) => {
                    checked.damaged_operations +=
                        known.map_or(0, |known| known.operations.max(0).cast_unsigned());
                    checked.problem(format!("operations around number {}: {error}", chunk << 12));
                }
                Ok(found) => {
                    for read in found {
                        counted += 1;
                        match read.record {
                            Ok(record) => {
                                checked.operations += 1;
                                extent.add(nanos(record.started_at));
                                days.add(&record);
                            }
                            Err(wrong) => {
                                checked.damaged_operations += 1;
                                extent.operations += 1;
                                checked.problem(format!("operation number {}: {wrong}", read.seq));
                            }
                        }
                    }
                    let holds = known.is_some_and(|known| {
                        known.operations == extent.operations
                            && known.from_ns <= extent.from_ns
                            && known.to_ns >= extent.to_ns
                    });
                    if !holds {
                        checked.problem(format!(
                            "the times noted for extent {chunk} are not those of its operations"
                        ));
                    }
                }
            }
        }
        let noted: i64 = listed.iter().map(|extent| extent.operations).sum();
        if noted != counted && checked.is_sound() {
            checked
                .problem(format!("{noted} operations are noted in rows, and {counted} are there"));
        }
        Ok(())
    }

    fn check_blocks(
        &self,
        reader: &mut Reader,
        checked: &mut Checked,
        days: &mut Days<'_>,
    ) -> Result<(), StoreError> {
        let Reader { connection, blocks: known, .. } = reader;
        for sheet in blocks::all(connection, known, &self.path)? {
            let wrong = match &sheet.meta {
                None => Some("its metadata do not fit their checksum".to_owned()),
                Some(meta) => {
                    let mut block =
                        blocks::reader(connection, sheet.id, std::sync::Arc::clone(meta));
                    match block.records(&Rows::All(meta.rows())) {
                        Ok(records) => {
                            checked.operations += records.len() as u64;
                            for record in &records {
                                days.add(record);
                            }
                            None
                        }
                        Err(error) if blocks::is_damage(&error) => Some(error.to_string()),
                        Err(error) => return Err(blocks::refused(error, &self.path)),
                    }
                }
            };
            if let Some(wrong) = wrong {
                checked.damaged_operations += sheet.operations;
                checked.problem(format!("sealed block {}: {wrong}", sheet.id));
            }
        }
        Ok(())
    }

    fn check_sums(
        &self,
        reader: &Reader,
        checked: &mut Checked,
        days: &Days<'_>,
    ) -> Result<(), StoreError> {
        let Some(summarize) = days.summarize else { return Ok(()) };
        let said = failed("checking", &self.path);
        let connection = &reader.connection;
        let unreadable = sums::unreadable(connection).map_err(said)?;
        checked.wrong_sums += unreadable;
        if unreadable > 0 {
            checked.problem(format!("{unreadable} rows of sums do not fit their checksums"));
        }
        if unreadable > 0 || checked.damaged_operations > 0 {
            // What is missing on one side is no difference of the sums.
            return Ok(());
        }
        // Of days before this, operations were removed.
        let complete = removed_until(connection).map_err(said)?.map_or(i64::MIN, |last_ns| {
            Level::Day.start(last_ns.div_euclid(1_000_000_000)) + Level::Day.seconds()
        });
        let dimensions = sums::dimensions(connection).map_err(said)?;
        for dimension in dimensions {
            let mut query = RollupQuery::new(dimension.clone());
            (query.each, query.resolution) = (Some(Level::Day), Level::Day);
            for stored in sums::ask(connection, &query, summarize, &self.path)? {
                let start = stored.start.map_or(0, |start| start.timestamp());
                if start < complete {
                    continue;
                }
                checked.sums += 1;
                let place = Place { dimension: dimension.clone(), key: stored.key };
                if days.numbers(start, &place) != Some(stored.window.numbers) {
                    checked.wrong_sums += 1;
                    checked.problem(format!(
                        "the sums of {dimension} {:?} on the day that begins at {start} are not those of its operations",
                        place.key
                    ));
                }
            }
        }
        Ok(())
    }
}

fn pages(connection: &Connection, checked: &mut Checked) {
    let said = connection
        .prepare("PRAGMA integrity_check(20)")
        .and_then(|mut check| check.query_map([], |row| row.get::<_, String>(0))?.collect());
    let lines: Vec<String> = said.unwrap_or_else(|error: rusqlite::Error| vec![error.to_string()]);
    for line in lines.into_iter().filter(|line| line != "ok") {
        checked.problem(line);
    }
}

/// Every lot of numbers in which there are operations, whether or not it is noted.
fn chunks(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    let mut chunks = Vec::new();
    let mut select = connection
        .prepare_cached("SELECT seq FROM operations WHERE seq >= ?1 ORDER BY seq LIMIT 1")?;
    let mut from = i64::MIN;
    loop {
        match select.query_row([from], |row| row.get::<_, i64>(0)) {
            Ok(seq) => {
                let chunk = seq.div_euclid(extents::NUMBERS);
                chunks.push(chunk);
                from = (chunk + 1).saturating_mul(extents::NUMBERS);
            }
            Err(rusqlite::Error::QueryReturnedNoRows) => return Ok(chunks),
            Err(error) => return Err(error),
        }
    }
}

/// When the last of the operations began that were removed for their age.
pub(super) fn removed_until(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    connection.query_row(
        "SELECT max(value) FROM counters WHERE name = 'removed_until_ns'",
        [],
        |row| row.get(0),
    )
}

/// The sums of each day, made anew.
struct Days<'s> {
    summarize: Option<&'s dyn Summarize>,
    sums: BTreeMap<(i64, Place), WindowBytes>,
}

impl<'s> Days<'s> {
    fn new(summarize: Option<&'s dyn Summarize>) -> Self {
        Self { summarize, sums: BTreeMap::new() }
    }

    fn add(&mut self, record: &OperationRecord) {
        let Some(summarize) = self.summarize else { return };
        for (minute, records) in by_minute(&[record]) {
            let day = Level::Day.start(minute);
            summarize.windows(&records, &mut |place, window| {
                let sums = self.sums.entry((day, place)).or_default();
                if sums.bytes.is_empty() {
                    *sums = window;
                } else if let Ok(merged) = summarize.merge(&[&sums.bytes, &window.bytes]) {
                    *sums = merged;
                }
            });
        }
    }

    fn numbers(&self, day: i64, place: &Place) -> Option<Numbers> {
        self.sums.get(&(day, place.clone())).map(|sums| sums.numbers)
    }
}
