//! Records to disk and back: session files, the store, imports and exports, one record at a time.
//!
//! | You want | It is |
//! |---|---|
//! | to save, load and list sessions in a directory | [`SessionFiles`] |
//! | what is there, and what was passed over | [`SessionList`], of [`SessionFile`] and [`SkippedEntry`] |
//! | records that are kept for good, and can be asked | [`store::Store`] |
//! | why it did not work, and what to do | [`PersistenceError`], with [`Action`] and [`NameProblem`] |
//! | what was recorded elsewhere, as records one by one | [`Importer`], of any [`Format`], with [`ImportOptions`] |
//! | records as lines, tables or Parquet | [`Exporter`], by [`ExportOptions`] in an [`ExportFormat`] |
//!
//! A session goes from the facade to [`SessionFiles::save`], which writes it beside its target and renames it into
//! place, so that a reader sees the old file or the new one and nothing between. What is read is checked by
//! `taximeter-models`: a document that is newer than this library is refused, one of the original system is read.
//!
//! ```
//! use taximeter_models::Session;
//! use taximeter_persistence::{PersistenceError, SessionFiles};
//!
//! # let room = tempfile::tempdir().expect("a temporary directory");
//! # let directory = room.path();
//! let files = SessionFiles::new(directory);
//! let now = "2026-11-23T12:00:00Z".parse().expect("a time");
//! let session = Session::new("demo", now);
//!
//! let path = files.save(&session, None, now)?;
//! assert!(path.ends_with("metrics_demo_20261123_120000.json"));
//! assert_eq!(files.load("metrics_demo_20261123_120000")?, session);
//!
//! // A name is not a path: nothing is written outside of the directory.
//! let error = files.save(&session, Some("../evening"), now).expect_err("a path was given");
//! assert!(error.is_invalid_name());
//! // What is not there says so.
//! assert!(files.load("evening").expect_err("it was not saved").is_not_found());
//! # Ok::<(), PersistenceError>(())
//! ```

mod error;
mod export;
mod files;
mod import;
mod list;
mod name;
mod read;
pub mod store;
mod store_error;
mod write;

pub use error::{Action, PersistenceError};
pub use export::{
    ExportError, ExportFormat, ExportMark, ExportOptions, ExportTable, Exporter, UnknownExportTable,
};
pub use files::SessionFiles;
pub use import::{
    Checkpoint, Counts, Format, ImportError, ImportOptions, Importer, Position, Rejected,
    UnknownFormatName, Why,
};
pub use list::{SessionFile, SessionList, SkippedEntry};
pub use name::NameProblem;
pub use store_error::StoreError;
