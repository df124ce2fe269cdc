//! The parts of an operation as they stand in its row: lists in JSON, which SQL takes apart with `json_each`.
//!
//! A part is the list of its cells in the order of its fields here; what it lacks at its end is left out. Names are
//! numbers of `names`, times nanoseconds, and times of calls count from the start of the operation.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rusqlite::types::ValueRef;
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use taximeter_models::{Metadata, Unit};

use super::more::{MoreOfLlmCall, MoreOfToolCall};

/// A part that is written as the list of its fields, and read from one that may end early.
macro_rules! part {
    ($(#[$said:meta])* $part:ident$(<$life:lifetime>)? {
        $($(#[$of_field:meta])* $field:ident: $type:ty,)*
    }) => {
        $(#[$said])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        pub(super) struct $part$(<$life>)? {
            $($(#[$of_field])* pub(super) $field: $type,)*
        }

        impl$(<$life>)? Serialize for $part$(<$life>)? {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut list = serializer.serialize_seq(None)?;
                $(list.serialize_element(&self.$field)?;)*
                list.end()
            }
        }
    };
}

part! {
    /// A component and what it took.
    Component {
        name: i64,
        offset_ns: Option<i64>,
        duration_ns: i64,
        /// None is once.
        count: Option<i64>,
    }
}

part! {
    /// A call of a tool.
    ToolRow<'a> {
        name: i64,
        status: i64,
        offset_ns: Option<i64>,
        duration_ns: Option<i64>,
        keys: Option<i64>,
        metadata: Option<Values<'a>>,
        /// None is the first.
        attempt: Option<i64>,
        arguments_hash: Option<i64>,
        more: Option<MoreOfToolCall>,
    }
}

part! {
    /// A call of an LLM. Where its usage is known, the three buckets of it that most calls have are.
    LlmRow<'a> {
        provider: Option<i64>,
        request_model: Option<i64>,
        response_model: Option<i64>,
        finish_reason: Option<i64>,
        offset_ns: Option<i64>,
        duration_ns: Option<i64>,
        first_token_ns: Option<i64>,
        uncached_input: Option<i64>,
        cache_read: Option<i64>,
        output: Option<i64>,
        /// The number of the explanation of its price.
        price: Option<i64>,
        /// For who reads by SQL, since it follows from the price; that of the only call is with the operation.
        cost: Option<Cow<'a, str>>,
        /// 1 where it was.
        streamed: Option<i64>,
        /// None is the first.
        attempt: Option<i64>,
        keys: Option<i64>,
        metadata: Option<Values<'a>>,
        other_usage: Option<BTreeMap<Unit, u64>>,
        /// None is US dollars; for who reads by SQL.
        currency: Option<Cow<'a, str>>,
        price_numbers: Option<Box<RawValue>>,
        more: Option<MoreOfLlmCall>,
    }
}

part! {
    /// An error or a warning.
    Fault<'a> {
        /// 0 is an error of the operation, 1 a warning, 2 an error of a call of a tool, 3 of an LLM.
        kind: i64,
        /// Of which call, from 0 on.
        place: usize,
        message: Cow<'a, str>,
        category: Option<Cow<'a, str>>,
        component: Option<i64>,
        causes: Option<Cow<'a, [String]>>,
    }
}

/// The values of metadata; their keys stand elsewhere.
#[derive(Debug)]
pub(super) enum Values<'a> {
    Of(&'a Metadata),
    Read(Vec<serde_json::Value>),
}

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Of(metadata) => serializer.collect_seq(metadata.values()),
            Self::Read(values) => serializer.collect_seq(values),
        }
    }
}

impl<'de> Deserialize<'de> for Values<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::Read)
    }
}

/// A list of parts as it is written.
#[derive(Debug, Default)]
pub(super) struct List {
    json: Vec<u8>,
}

impl List {
    /// Adds a part.
    pub(super) fn push(&mut self, part: &impl Serialize) {
        self.json.push(if self.json.is_empty() { b'[' } else { b',' });
        // Texts, numbers and maps with texts as keys always can be written.
        let _ = serde_json::to_writer(&mut self.json, part);
        while self.json.ends_with(b",null]") {
            self.json.truncate(self.json.len() - b",null]".len());
            self.json.push(b']');
        }
    }

    /// Ends the list, and gives it back as a cell: nothing where there is no part.
    pub(super) fn end(&mut self) -> ValueRef<'_> {
        if self.json.is_empty() {
            return ValueRef::Null;
        }
        self.json.push(b']');
        ValueRef::Text(&self.json)
    }

    pub(super) fn clear(&mut self) {
        self.json.clear();
    }
}
