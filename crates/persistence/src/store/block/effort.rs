//! How hard sealing tries to take few bytes.

/// How hard sealing tries to take few bytes. Who reads a block need not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Effort {
    /// Little, which is quick: for a block that is soon put together with others.
    Quick,
    /// As much as pays for a block that stays.
    #[default]
    Small,
}
