//! The numbers of the columns: what is written under which one. They are for good: a number is never used again.

use std::fmt;

/// Which column of a block: a number, under which the caller keeps its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(u16);

impl ColumnId {
    /// The column of this number.
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Where the seconds of a time are that nanoseconds of 64 bits do not reach.
    pub(super) const fn far_seconds(self) -> Self {
        Self(self.0 + 200)
    }

    /// Where the nanoseconds within the second of such a time are.
    pub(super) const fn far_nanos(self) -> Self {
        Self(self.0 + 400)
    }

    /// The values of a key of a map.
    pub(super) const fn keyed(at: u16) -> Self {
        Self(KEYED + at)
    }
}

/// Columns from here on belong to the keys that the metadata lists.
const KEYED: u16 = 1_000;
/// All columns below this number are fixed.
pub(super) const FIXED: usize = 600;

impl fmt::Display for ColumnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Columns of operations.
pub(super) mod operation {
    use super::ColumnId;

    pub(in super::super) const MASK: ColumnId = ColumnId(1);
    pub(in super::super) const START: ColumnId = ColumnId(2);
    pub(in super::super) const DURATION: ColumnId = ColumnId(3);
    pub(in super::super) const NAME: ColumnId = ColumnId(4);
    pub(in super::super) const ID_TIME: ColumnId = ColumnId(5);
    pub(in super::super) const ID_THREAD: ColumnId = ColumnId(6);
    pub(in super::super) const ID_COUNTER: ColumnId = ColumnId(7);
    pub(in super::super) const PARENT_HIGH: ColumnId = ColumnId(8);
    pub(in super::super) const PARENT_LOW: ColumnId = ColumnId(9);
    pub(in super::super) const TRACE_HIGH: ColumnId = ColumnId(10);
    pub(in super::super) const TRACE_LOW: ColumnId = ColumnId(11);
    pub(in super::super) const USER: ColumnId = ColumnId(12);
    pub(in super::super) const SESSION: ColumnId = ColumnId(13);
    pub(in super::super) const UNLISTED_ERRORS: ColumnId = ColumnId(14);
    pub(in super::super) const UNLISTED_WARNINGS: ColumnId = ColumnId(15);
    pub(in super::super) const COMPONENTS: ColumnId = ColumnId(16);
    pub(in super::super) const TOOL_CALLS: ColumnId = ColumnId(17);
    pub(in super::super) const LLM_CALLS: ColumnId = ColumnId(18);
    pub(in super::super) const ERRORS: ColumnId = ColumnId(19);
    pub(in super::super) const WARNINGS: ColumnId = ColumnId(20);
    pub(in super::super) const REMOTE_PARENT: ColumnId = ColumnId(21);

    /// What the bits of the mask say; the lowest two are the outcome.
    pub(in super::super) mod bit {
        pub(in super::super::super) const OUTCOME: u64 = 3;
        pub(in super::super::super) const PARENT: u64 = 1 << 2;
        /// The trace is that of the parent, and not its own.
        pub(in super::super::super) const TRACE_IS_PARENT: u64 = 1 << 3;
        /// The trace is neither.
        pub(in super::super::super) const TRACE: u64 = 1 << 4;
        pub(in super::super::super) const USER: u64 = 1 << 5;
        pub(in super::super::super) const SESSION: u64 = 1 << 6;
        pub(in super::super::super) const FAR_START: u64 = 1 << 7;
        pub(in super::super::super) const FAR_DURATION: u64 = 1 << 8;
        pub(in super::super::super) const REMOTE_PARENT: u64 = 1 << 9;
    }
}

/// Columns of components.
pub(super) mod component {
    use super::ColumnId;

    pub(in super::super) const MASK: ColumnId = ColumnId(40);
    pub(in super::super) const NAME: ColumnId = ColumnId(41);
    pub(in super::super) const OFFSET: ColumnId = ColumnId(42);
    pub(in super::super) const DURATION: ColumnId = ColumnId(43);
    pub(in super::super) const COUNT: ColumnId = ColumnId(44);

    pub(in super::super) mod bit {
        pub(in super::super::super) const OFFSET: u64 = 1;
        pub(in super::super::super) const FAR_OFFSET: u64 = 1 << 1;
        pub(in super::super::super) const FAR_DURATION: u64 = 1 << 2;
    }
}

/// Columns of calls of tools.
pub(super) mod tool {
    use super::ColumnId;

    pub(in super::super) const MASK: ColumnId = ColumnId(60);
    pub(in super::super) const NAME: ColumnId = ColumnId(61);
    pub(in super::super) const START: ColumnId = ColumnId(62);
    pub(in super::super) const DURATION: ColumnId = ColumnId(63);
    pub(in super::super) const ATTEMPT: ColumnId = ColumnId(64);
    pub(in super::super) const ARGUMENTS: ColumnId = ColumnId(65);

    /// The lowest two are the status.
    pub(in super::super) mod bit {
        pub(in super::super::super) const STATUS: u64 = 3;
        pub(in super::super::super) const START: u64 = 1 << 2;
        pub(in super::super::super) const DURATION: u64 = 1 << 3;
        pub(in super::super::super) const ERROR: u64 = 1 << 4;
        pub(in super::super::super) const ARGUMENTS: u64 = 1 << 5;
        pub(in super::super::super) const FAR_START: u64 = 1 << 6;
        pub(in super::super::super) const FAR_DURATION: u64 = 1 << 7;
    }
}

/// Columns of calls of LLMs.
pub(super) mod llm {
    use super::ColumnId;

    pub(in super::super) const MASK: ColumnId = ColumnId(80);
    pub(in super::super) const PROVIDER: ColumnId = ColumnId(81);
    pub(in super::super) const REQUEST_MODEL: ColumnId = ColumnId(82);
    pub(in super::super) const RESPONSE_MODEL: ColumnId = ColumnId(83);
    pub(in super::super) const FINISH: ColumnId = ColumnId(84);
    pub(in super::super) const START: ColumnId = ColumnId(85);
    pub(in super::super) const DURATION: ColumnId = ColumnId(86);
    pub(in super::super) const FIRST_TOKEN: ColumnId = ColumnId(87);
    pub(in super::super) const ATTEMPT: ColumnId = ColumnId(88);
    pub(in super::super) const TIER: ColumnId = ColumnId(89);
    pub(in super::super) const PREFIX: ColumnId = ColumnId(90);
    pub(in super::super) const ARGUMENTS: ColumnId = ColumnId(91);
    pub(in super::super) const WINDOW: ColumnId = ColumnId(92);
    pub(in super::super) const COST: ColumnId = ColumnId(93);
    pub(in super::super) const COST_NUMBERS: ColumnId = ColumnId(94);

    pub(in super::super) mod bit {
        pub(in super::super::super) const PROVIDER: u64 = 1;
        pub(in super::super::super) const REQUEST_MODEL: u64 = 1 << 1;
        pub(in super::super::super) const RESPONSE_MODEL: u64 = 1 << 2;
        pub(in super::super::super) const USAGE: u64 = 1 << 3;
        pub(in super::super::super) const FINISH: u64 = 1 << 4;
        pub(in super::super::super) const START: u64 = 1 << 5;
        pub(in super::super::super) const DURATION: u64 = 1 << 6;
        pub(in super::super::super) const FIRST_TOKEN: u64 = 1 << 7;
        pub(in super::super::super) const STREAMED: u64 = 1 << 8;
        pub(in super::super::super) const TIER: u64 = 1 << 9;
        pub(in super::super::super) const PREFIX: u64 = 1 << 10;
        pub(in super::super::super) const ARGUMENTS: u64 = 1 << 11;
        pub(in super::super::super) const WINDOW: u64 = 1 << 12;
        pub(in super::super::super) const ERROR: u64 = 1 << 13;
        pub(in super::super::super) const FAR_START: u64 = 1 << 14;
        pub(in super::super::super) const FAR_DURATION: u64 = 1 << 15;
        pub(in super::super::super) const FAR_FIRST_TOKEN: u64 = 1 << 16;
    }
}

/// Columns of errors, of which there are three lots: those of operations, of tool calls and of LLM calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct ErrorColumns(u16);

impl ErrorColumns {
    pub(super) const OPERATIONS: Self = Self(110);
    pub(super) const TOOL_CALLS: Self = Self(120);
    pub(super) const LLM_CALLS: Self = Self(130);
    /// Bit 0 says whether it names a component.
    pub(super) const COMPONENT_BIT: u64 = 1;

    pub(super) const fn mask(self) -> ColumnId {
        ColumnId(self.0)
    }

    pub(super) const fn category(self) -> ColumnId {
        ColumnId(self.0 + 1)
    }

    pub(super) const fn message(self) -> ColumnId {
        ColumnId(self.0 + 2)
    }

    /// How many causes each has.
    pub(super) const fn causes(self) -> ColumnId {
        ColumnId(self.0 + 3)
    }

    /// The causes of all.
    pub(super) const fn cause(self) -> ColumnId {
        ColumnId(self.0 + 4)
    }

    pub(super) const fn component(self) -> ColumnId {
        ColumnId(self.0 + 5)
    }
}

/// Columns of warnings.
pub(super) mod warning {
    use super::ColumnId;

    pub(in super::super) const MASK: ColumnId = ColumnId(140);
    pub(in super::super) const MESSAGE: ColumnId = ColumnId(141);
    pub(in super::super) const COMPONENT: ColumnId = ColumnId(142);
    /// Bit 0 says whether it names a component.
    pub(in super::super) const COMPONENT_BIT: u64 = 1;
}

/// The maps: keys with values, of operations and calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Map {
    Tags,
    Metadata,
    ToolMetadata,
    LlmMetadata,
    ServedAs,
    Usage,
}

impl Map {
    pub(super) const ALL: [Self; 6] = [
        Self::Tags,
        Self::Metadata,
        Self::ToolMetadata,
        Self::LlmMetadata,
        Self::ServedAs,
        Self::Usage,
    ];

    /// For each row, the place of its shape in the list of shapes.
    pub(super) const fn shape(self) -> ColumnId {
        ColumnId(150 + 2 * self as u16)
    }

    /// The list of shapes: which keys a row has.
    pub(super) const fn shapes(self) -> ColumnId {
        ColumnId(151 + 2 * self as u16)
    }
}
