//! Small blocks, as large batches make them, put together: few large ones are read sooner, and take less room.

use std::collections::HashMap;
use std::sync::Arc;

use taximeter_models::Money;

use super::append::transaction;
use super::blocks::{self, Sheet};
use super::error::failed;
use super::{Reader, SqliteStore};
use crate::StoreError;
use crate::store::block::{self, ColumnId, Effort, MOST_RECORDS, MergeError, Meta, Rows, Sealed};

/// A small block with all its columns.
struct Part {
    id: i64,
    meta: Arc<Meta>,
    dearest: Option<Money>,
    columns: HashMap<ColumnId, Vec<u8>>,
}

/// Puts the oldest small blocks together, where they fill one; how many operations that holds.
pub(super) fn step(store: &SqliteStore) -> Result<Option<u64>, StoreError> {
    let Some(parts) = parts(store)? else { return Ok(None) };
    let sealed = match together(&parts) {
        Ok(sealed) => sealed,
        Err(MergeError::Read { source, .. }) if !blocks::is_damage(&source) => {
            return Err(blocks::refused(source, &store.path));
        }
        Err(error) => {
            // They stay as they are, what is damaged for a repair.
            let is_meant = |place| match error {
                MergeError::Read { place: damaged, .. } => place == damaged,
                _ => true,
            };
            let meant = parts.iter().enumerate().filter(|(place, _)| is_meant(*place));
            store.writer("maintaining")?.lone.extend(meant.map(|(_, part)| part.id));
            return Ok(None);
        }
    };
    let meta = blocks::meta_of(&sealed, &store.path)?;
    let dearest: Option<Vec<Money>> = parts.iter().map(|part| part.dearest).collect();
    let dearest = dearest.and_then(|dearest| dearest.into_iter().max());
    let said = failed("maintaining", &store.path);
    let mut writer = store.writer("maintaining")?;
    transaction(&mut writer, &store.path, |connection, _| {
        for part in &parts {
            // Another process may have put them together or removed them meanwhile.
            if !blocks::is_there(connection, part.id).map_err(said)? {
                return Ok(None);
            }
        }
        blocks::insert(connection, &sealed, &meta, dearest).map_err(said)?;
        for part in &parts {
            blocks::remove(connection, part.id).map_err(said)?;
        }
        Ok(Some(meta.rows() as u64))
    })
}

/// The oldest small blocks, where there are enough of them for a large one.
fn parts(store: &SqliteStore) -> Result<Option<Vec<Part>>, StoreError> {
    let lone = store.writer("maintaining")?.lone.clone();
    store.read("maintaining", |reader| {
        let Reader { connection, blocks: known, .. } = reader;
        let mut small = Vec::new();
        for Sheet { id, meta, operations, dearest } in blocks::all(connection, known, &store.path)?
        {
            let meta = meta.filter(|_| store.keep.is_small(operations) && !lone.contains(&id));
            small.extend(meta.map(|meta| (meta.range_ns().1, id, meta, dearest)));
        }
        small.sort_unstable_by_key(|(to_ns, id, ..)| (*to_ns, *id));
        let (mut many, wanted) = (0, store.keep.operations_of_a_block());
        let enough = small.iter().position(|(_, _, meta, _)| {
            many += meta.rows();
            many >= wanted
        });
        let Some(last) = enough else { return Ok(None) };
        small.truncate(if many > MOST_RECORDS { last } else { last + 1 });
        let part = |(_, id, meta, dearest)| {
            let columns = blocks::columns(connection, id)?;
            Ok(Part { id, meta, dearest, columns })
        };
        let parts: rusqlite::Result<Vec<Part>> = small.into_iter().map(part).collect();
        parts.map(Some).map_err(failed("maintaining", &store.path))
    })
}

fn together(parts: &[Part]) -> Result<Sealed, MergeError> {
    let mut readers: Vec<block::Reader<'_>> = parts.iter().map(Part::reader).collect();
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

impl Part {
    fn reader(&self) -> block::Reader<'_> {
        let columns = &self.columns;
        let fetch = move |column: ColumnId| {
            columns.get(&column).cloned().ok_or(rusqlite::Error::QueryReturnedNoRows)
        };
        block::Reader::of(Arc::clone(&self.meta), fetch)
    }
}
