//! The one error of the facade: what was being done, and the cause from the room in which it failed.

use taximeter_collector::{CollectorError, FlushError};
use taximeter_persistence::{PersistenceError, StoreError};
use taximeter_pricing::ReadBookError;
use thiserror::Error;

use crate::settings::SettingsError;

/// Something that a [`Meter`](crate::Meter) could not do. Recording never meets with it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The collector could not do it.
    #[error(transparent)]
    Collector(#[from] CollectorError),
    /// A flush or a shutdown did not come to its end.
    #[error(transparent)]
    Flush(#[from] FlushError),
    /// The prices in a file could not be read.
    #[error(transparent)]
    Prices(#[from] ReadBookError),
    /// A session could not be saved or loaded.
    #[error(transparent)]
    Persistence(#[from] PersistenceError),
    /// A store could not be opened, written or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A store is set, and this program was built without one.
    #[error(
        "opening the store {path:?}: this program was built without the feature `store` of taximeter; \
         build it with that, or leave the setting `store` out"
    )]
    NoStore {
        /// The store that is set.
        path: std::path::PathBuf,
    },
}
