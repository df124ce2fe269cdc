//! The tables of the store, version by version.

use std::path::Path;

use rusqlite::Connection;

use super::error::failed;
use crate::StoreError;

/// Stands in the head of the file, so that a store is told from other databases: `txmr`.
pub(super) const APPLICATION: i64 = 0x7478_6d72;

/// What makes each version out of the one before; the first makes an empty store.
const MIGRATIONS: &[&str] = &[include_str!("schema.sql")];

/// The newest version, which is the one that is written.
#[expect(clippy::cast_possible_wrap, reason = "there are few versions")]
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// Makes an empty store in an empty file that nobody else has open.
pub(super) fn create(file: &Path, path: &Path) -> Result<(), StoreError> {
    let said = failed("making", path);
    let connection = Connection::open(file).map_err(said)?;
    // Pages of this size hold a column of a block in few pieces. Room that is freed can be given back in small steps.
    connection
        .execute_batch(
            "PRAGMA page_size = 8192;
             PRAGMA auto_vacuum = INCREMENTAL;
             PRAGMA journal_mode = MEMORY;",
        )
        .map_err(said)?;
    migrate(&connection, path)?;
    // From here on, readers and the one who writes do not wait for one another.
    connection.execute_batch("PRAGMA journal_mode = WAL;").map_err(said)?;
    connection.close().map_err(|(_, error)| said(error))
}

/// Brings a store to the newest version, each step whole or not at all. Another process may do it first.
pub(super) fn migrate(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let said = failed("migrating", path);
    let version = |connection: &Connection| {
        connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
    };
    let step = |from: i64, sql: &str| -> rusqlite::Result<()> {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let done = (|| {
            if version(connection)? == from {
                connection.execute_batch(sql)?;
                connection.pragma_update(None, "application_id", APPLICATION)?;
                connection.pragma_update(None, "user_version", from + 1)?;
            }
            connection.execute_batch("COMMIT")
        })();
        done.inspect_err(|_| {
            let _ = connection.execute_batch("ROLLBACK");
        })
    };
    for (from, sql) in (0..).zip(MIGRATIONS) {
        if version(connection).map_err(said)? <= from {
            step(from, sql).map_err(said)?;
        }
    }
    Ok(())
}
