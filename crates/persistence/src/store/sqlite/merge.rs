//! Small blocks, as most batches make them, put together: few large ones are read sooner, and take less room.

use std::collections::HashMap;

use taximeter_models::Money;

use super::append::transaction;
use super::blocks;
use super::error::failed;
use super::whole::{Sound, Whole};
use super::{Reader, SqliteStore, summed};
use crate::StoreError;
use crate::store::Summarize;
use crate::store::block::{self, ColumnId, Effort, MOST_RECORDS, MergeError, Rows, SUMS, Sealed};

/// Small blocks that fill a large one.
#[derive(Debug)]
pub(super) struct Parts(Vec<Whole>);

/// What was made of them: a block, and its sums as they are kept, where any are made.
#[derive(Debug)]
pub(super) struct Merged {
    parts: Parts,
    made: Result<Made, MergeError>,
}

type Made = (Sealed, Option<Vec<u8>>);

/// Small blocks may hold so many times the operations of a large one before nobody goes on without waiting for them to be
/// put together.
const MOST_SMALL: usize = 4;

/// The blocks that are small and can be put together, the oldest first.
fn small(store: &SqliteStore, reader: &mut Reader) -> Result<Vec<Sound>, StoreError> {
    let lone = store.writer("maintaining")?.lone.clone();
    let mut small = Vec::new();
    for sheet in blocks::all(&reader.connection, &mut reader.blocks, &store.path)? {
        let is_meant = store.keep.is_small(sheet.operations) && !lone.contains(&sheet.id);
        let meta = sheet.meta.clone().filter(|_| is_meant);
        small.extend(meta.map(|meta| (sheet, meta)));
    }
    small.sort_unstable_by_key(|(sheet, meta)| (meta.range_ns().1, sheet.id));
    Ok(small)
}

/// Whether more small blocks wait than there are to be.
pub(super) fn is_behind(store: &SqliteStore) -> Result<bool, StoreError> {
    let small = store.read("maintaining", |reader| small(store, reader))?;
    let waiting: usize = small.iter().map(|(_, meta)| meta.rows()).sum();
    Ok(waiting >= MOST_SMALL * store.keep.operations_of_a_block())
}

/// The oldest small blocks, where there are enough of them for a large one.
pub(super) fn next(store: &SqliteStore) -> Result<Option<Parts>, StoreError> {
    store.read("maintaining", |reader| {
        let mut small = small(store, reader)?;
        let (mut many, wanted) = (0, store.keep.operations_of_a_block());
        let enough = small.iter().position(|(_, meta)| {
            many += meta.rows();
            many >= wanted
        });
        let Some(last) = enough else { return Ok(None) };
        small.truncate(if many > MOST_RECORDS { last } else { last + 1 });
        let parts = small.iter().map(|sound| Whole::read(&reader.connection, sound));
        let parts: rusqlite::Result<Vec<Whole>> = parts.collect();
        parts.map(|parts| Some(Parts(parts))).map_err(failed("maintaining", &store.path))
    })
}

impl Parts {
    /// Puts them together, and sums up what comes of it.
    pub(super) fn merge(self, summarize: Option<&dyn Summarize>) -> Merged {
        let made = self.make(summarize);
        Merged { parts: self, made }
    }

    fn make(&self, summarize: Option<&dyn Summarize>) -> Result<Made, MergeError> {
        let sealed = self.together()?;
        let sums = summarize.and_then(|summarize| {
            let columns: HashMap<ColumnId, &Vec<u8>> =
                sealed.columns.iter().map(|(column, bytes)| (*column, bytes)).collect();
            let fetch =
                |column| columns.get(&column).map(|bytes| (*bytes).clone()).ok_or("there is none");
            // It is counted by its columns where that cannot be.
            summed::make(block::Reader::open(&sealed.meta, fetch).ok()?, summarize)
        });
        Ok((sealed, sums))
    }

    fn together(&self) -> Result<Sealed, MergeError> {
        let mut readers: Vec<block::Reader<'_>> = self.0.iter().map(Whole::reader).collect();
        if let Some(sealed) = block::merge(&mut readers, Effort::Small)? {
            return Ok(sealed);
        }
        let mut records = Vec::new();
        for (place, reader) in readers.iter_mut().enumerate() {
            let read = reader.records(&Rows::All(reader.meta().rows()));
            records.append(&mut read.map_err(|source| MergeError::Read { place, source })?);
        }
        Ok(block::seal(&records)?)
    }

    fn dearest(&self) -> Option<Money> {
        let dearest: Option<Vec<Money>> = self.0.iter().map(|part| part.dearest).collect();
        dearest.and_then(|dearest| dearest.into_iter().max())
    }
}

impl Merged {
    /// Puts the block in the place of its parts; how many operations it holds. None where they stay as they are.
    pub(super) fn put(self, store: &SqliteStore) -> Result<Option<u64>, StoreError> {
        let Self { parts, made } = self;
        let (sealed, sums) = match made {
            Ok(made) => made,
            Err(error) => return parts.leave(error, store).map(|()| None),
        };
        let meta = blocks::meta_of(&sealed, &store.path)?;
        let said = failed("maintaining", &store.path);
        let mut writer = store.writer("maintaining")?;
        transaction(&mut writer, &store.path, |connection, _| {
            for part in &parts.0 {
                if !part.is_there(connection).map_err(said)? {
                    return Ok(None);
                }
            }
            let id = blocks::insert(connection, &sealed, &meta, parts.dearest()).map_err(said)?;
            if let Some(sums) = &sums {
                blocks::insert_column(connection, id, SUMS, sums).map_err(said)?;
            }
            for part in &parts.0 {
                blocks::remove(connection, part.id).map_err(said)?;
            }
            Ok(Some(meta.rows() as u64))
        })
    }
}

impl Parts {
    /// What cannot be put together stays as it is from now on, and what is damaged is for a repair.
    fn leave(&self, error: MergeError, store: &SqliteStore) -> Result<(), StoreError> {
        let is_meant = |place| match error {
            MergeError::Read { place: damaged, .. } => place == damaged,
            MergeError::Seal(_) => true,
        };
        let meant = self.0.iter().enumerate().filter(|(place, _)| is_meant(*place));
        let meant: Vec<i64> = meant.map(|(_, part)| part.id).collect();
        match error {
            MergeError::Read { source, .. } if !blocks::is_damage(&source) => {
                Err(blocks::refused(source, &store.path))
            }
            _ => {
                store.writer("maintaining")?.lone.extend(meant);
                Ok(())
            }
        }
    }
}
