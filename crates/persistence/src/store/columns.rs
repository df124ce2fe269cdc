//! Columns of what is stored: numbers, and keys of texts, for who counts over millions of rows.

use taximeter_models::{Charge, Money, Name, Unit};

/// A column that can be asked for. Which table has it is said with each; in the other tables it is empty ([`Block::NONE`],
/// no money, [`Keys::NONE`]), but for those of the operation, which every table has: there they are those of the row's
/// operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Column {
    /// When it began: nanoseconds since 1970 as a number of 64 bits with a sign, written into one without. Every table; a
    /// call or component that did not tell it has that of its operation.
    StartedAt,
    /// How long it took, in nanoseconds; [`Block::NONE`] where that was not told. Every table: the row's own.
    Duration,
    /// How it ended: 0 success, 1 failure, 2 abandoned; for calls 0 or 1; a component has that of its operation. Every
    /// table.
    Outcome,
    /// Its name. Every table: the row's own; that of an LLM call is the LLM that was asked, or else the one that answered,
    /// or else `unknown`, as [`LlmCall::model`](taximeter_models::LlmCall::model) says.
    Name,
    /// The name of the row's operation.
    Operation,
    /// The user of the operation.
    User,
    /// The conversation of the operation.
    Session,
    /// The value of this tag of the operation.
    Tag(Name),
    /// The value of this metadata of the operation; what is no text is its JSON.
    Metadata(Name),
    /// The provider. LLM calls.
    Provider,
    /// The category of its first error. Every table: the row's own; a component's is that of the first error that arose
    /// in it.
    ErrorCategory,
    /// Input tokens, the cached ones included; 0 where that was not told. Operations (of all their calls together) and
    /// LLM calls.
    InputTokens,
    /// Input tokens that were read from a cache, of every kind. Operations and LLM calls.
    CacheReadTokens,
    /// Output tokens. Operations and LLM calls.
    OutputTokens,
    /// How long the first token took, in nanoseconds; [`Block::NONE`] where that was not told. LLM calls.
    FirstToken,
    /// The cost in US dollars, as far as it is known; see [`Block::money`]. Operations and LLM calls.
    CostUsd,
    /// LLM calls whose cost is not known, not known whole, or in another currency. Operations and LLM calls (0 or 1).
    Unpriced,
    /// Which attempt it was. Tool calls and LLM calls.
    Attempt,
    /// The place of the row's operation among those of the same piece, from 0 on. Every table.
    Owner,
    /// How many errors it has, those that were only counted included. Operations.
    Errors,
    /// How many warnings it has, likewise. Operations.
    Warnings,
    /// 1 where it took too long, else 0. Tool calls.
    TimedOut,
    /// How many times it ran. Components.
    Runs,
    /// Why the reply ended. LLM calls.
    FinishReason,
    /// What it consumed, of each unit; see [`Block::usage`]. LLM calls.
    Usage,
    /// What it adds to totals of costs; see [`Block::charges`]. LLM calls.
    Charge,
    /// What each unit that it consumed costs in US dollars, as far as it has a price for each; see [`Block::bills`]. LLM calls.
    Bill,
}

/// A piece of a table, column by column: as many values in each as the block has rows.
#[derive(Debug)]
pub struct Block<'a> {
    rows: usize,
    columns: &'a [(Column, Values)],
}

/// The values of one column of a block.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Values {
    Numbers(Vec<u64>),
    Money(Vec<Money>),
    Keys { keys: Vec<u32>, names: Vec<Name> },
    Usage { told: Vec<bool>, units: Vec<(Unit, Vec<u64>)> },
    Charges(Vec<Charge>),
    Bills(Vec<(Unit, Vec<Money>)>),
}

/// What LLM calls consumed.
#[derive(Debug, Clone, Copy)]
pub struct Usages<'a> {
    /// Of each row, whether its reply told what it consumed.
    pub told: &'a [bool],
    /// The units that any of them has, each with how much of it each row consumed; 0 where that was not told.
    pub units: &'a [(Unit, Vec<u64>)],
}

/// A column of texts: for each row the place of its text in a list.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    /// For each row the place in `names`; [`Keys::NONE`] where it has no text.
    pub keys: &'a [u32],
    /// The texts of this block. Another block has another list.
    pub names: &'a [Name],
}

impl Keys<'_> {
    /// Stands for no text.
    pub const NONE: u32 = u32::MAX;
}

impl<'a> Block<'a> {
    /// Stands for a number that was not told.
    pub const NONE: u64 = u64::MAX;

    pub(crate) fn new(rows: usize, columns: &'a [(Column, Values)]) -> Self {
        Self { rows, columns }
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The numbers of a column; none where it was not asked for, or holds no numbers.
    pub fn numbers(&self, column: &Column) -> Option<&'a [u64]> {
        match self.values(column)? {
            Values::Numbers(numbers) => Some(numbers),
            _ => None,
        }
    }

    /// The exact amounts of [`Column::CostUsd`]; zero where nothing is known, which
    /// [`Column::Unpriced`] tells apart from what is free.
    pub fn money(&self, column: &Column) -> Option<&'a [Money]> {
        match self.values(column)? {
            Values::Money(money) => Some(money),
            _ => None,
        }
    }

    /// The texts of a column; none where it was not asked for, or holds no texts.
    pub fn texts(&self, column: &Column) -> Option<Keys<'a>> {
        match self.values(column)? {
            Values::Keys { keys, names } => Some(Keys { keys, names }),
            _ => None,
        }
    }

    /// What the rows consumed; none where [`Column::Usage`] was not asked for.
    pub fn usage(&self) -> Option<Usages<'a>> {
        match self.values(&Column::Usage)? {
            Values::Usage { told, units } => Some(Usages { told, units }),
            _ => None,
        }
    }

    /// What each row adds to totals of costs; none where [`Column::Charge`] was not asked for.
    pub fn charges(&self) -> Option<&'a [Charge]> {
        match self.values(&Column::Charge)? {
            Values::Charges(charges) => Some(charges),
            _ => None,
        }
    }

    /// The units that any of the rows pays for, each with what each row pays for it; none where [`Column::Bill`] was not asked
    /// for. What a provider told as one amount is in none of them.
    pub fn bills(&self) -> Option<&'a [(Unit, Vec<Money>)]> {
        match self.values(&Column::Bill)? {
            Values::Bills(bills) => Some(bills),
            _ => None,
        }
    }

    fn values(&self, column: &Column) -> Option<&'a Values> {
        self.columns.iter().find(|(name, _)| name == column).map(|(_, values)| values)
    }
}
