//! The tables of the store, version by version.

use std::path::Path;

use rusqlite::Connection;

use super::error::failed;
use super::version_1;
use crate::StoreError;

/// Stands in the head of the file, so that a store is told from other databases: `txmr`.
pub(super) const APPLICATION: i64 = 0x7478_6d72;

/// The newest version, which is the one that is written.
pub(super) const VERSION: i64 = 3;
/// The oldest version that is read as it is. Version 3 has rows of sums of many keys, and all else as version 2.
pub(super) const READ_FROM: i64 = 2;

/// The tables of the newest version.
const TABLES: &str = include_str!("schema/tables.sql");
/// The one of them that holds recent operations.
pub(super) const OPERATIONS: &str = include_str!("schema/operations.sql");
/// The one that lists sealed blocks.
pub(super) const BLOCKS: &str = include_str!("schema/blocks.sql");
/// What people read.
pub(super) const VIEWS: &str = include_str!("schema/views.sql");

/// Takes all of these away.
pub(super) const DROP_VIEWS: &str = "
    DROP VIEW IF EXISTS hot_operations; DROP VIEW IF EXISTS hot_components;
    DROP VIEW IF EXISTS hot_tool_calls; DROP VIEW IF EXISTS hot_llm_calls;
    DROP VIEW IF EXISTS hot_faults; DROP VIEW IF EXISTS hot_names;
    DROP VIEW IF EXISTS rollups_minute; DROP VIEW IF EXISTS rollups_hour; DROP VIEW IF EXISTS rollups_day;";

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

/// Brings a store to the newest version, whole or not at all. Another process may do it first.
pub(super) fn migrate(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let said = failed("migrating", path);
    if version(connection).map_err(said)? >= VERSION {
        // Views hold nothing: where these cannot be made anew just now, all else goes on.
        let _ = renew_views(connection);
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE").map_err(said)?;
    let done = step(connection).and_then(|()| connection.execute_batch("COMMIT"));
    done.map_err(|error| {
        let _ = connection.execute_batch("ROLLBACK");
        said(error)
    })
}

/// Makes the views anew where they lack the column that came last.
fn renew_views(connection: &Connection) -> rusqlite::Result<()> {
    let lacks = "SELECT NOT EXISTS (SELECT 1 FROM pragma_table_info('hot_operations') WHERE name = 'remote_parent_id')";
    let lacks = |connection: &Connection| connection.query_row(lacks, [], |row| row.get(0));
    if !lacks(connection)? {
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let renew = || {
        connection.execute_batch(DROP_VIEWS)?;
        connection.execute_batch(VIEWS)
    };
    let done = lacks(connection).and_then(|lacks| if lacks { renew() } else { Ok(()) });
    let done = done.and_then(|()| connection.execute_batch("COMMIT"));
    done.inspect_err(|_| drop(connection.execute_batch("ROLLBACK")))
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn step(connection: &Connection) -> rusqlite::Result<()> {
    match version(connection)? {
        0 => {
            for sql in [TABLES, OPERATIONS, BLOCKS, VIEWS] {
                connection.execute_batch(sql)?;
            }
        }
        1 => version_1::migrate(connection)?,
        2 => {
            connection.execute_batch(DROP_VIEWS)?;
            connection.execute_batch(VIEWS)?;
        }
        _ => return Ok(()),
    }
    connection.pragma_update(None, "application_id", APPLICATION)?;
    connection.pragma_update(None, "user_version", VERSION)
}
