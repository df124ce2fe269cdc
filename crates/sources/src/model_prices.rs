//! Reads model_prices.

use crate::{Import, ImportError, Origin};

/// Stub.
pub fn read(_: &str, _: &Origin) -> Result<Import, ImportError> {
    unimplemented!()
}
