//! The operation of a part that runs: lent by a handle, or held.

use std::ops::Deref;
use std::sync::Arc;

use crate::place::Core;

/// The operation that a part is of. While it is lent nobody counts who holds it, which would take an atomic step at the
/// beginning of each part and one at its end.
#[derive(Debug)]
pub(crate) enum Hold<'h> {
    Lent(&'h Arc<Core>),
    Own(Arc<Core>),
}

impl Hold<'_> {
    /// It for as long as it is wanted.
    pub(crate) fn owned(self) -> Hold<'static> {
        Hold::Own(match self {
            Self::Lent(core) => Arc::clone(core),
            Self::Own(core) => core,
        })
    }
}

impl Deref for Hold<'_> {
    type Target = Core;

    #[inline]
    fn deref(&self) -> &Core {
        match self {
            Self::Lent(core) => core,
            Self::Own(core) => core,
        }
    }
}
