//! Which operations of a block fulfil a query, found on columns, without making a record.

use std::sync::Arc;

use serde_json::Value;
use taximeter_models::{ErrorCategory, Outcome, ToolStatus};

use super::column::{ColumnId, ErrorColumns, Map, component, llm, operation, tool};
use super::error::BlockError;
use super::maps::{Item, Kind};
use super::numbers::Numbers;
use super::presence::{EVERY, Presence, SomeTexts};
use super::read_maps::{MapColumn, MapValues, Shapes};
use super::reader::Reader;
use super::sheets::{moment, outcome};
use super::texts::Texts;
use crate::store::{Block, Condition, Query};

/// Rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// All of so many.
    All(usize),
    /// Some, in rising order.
    Some(Vec<u32>),
}

impl Rows {
    /// How many they are.
    pub fn len(&self) -> usize {
        match self {
            Self::All(rows) => *rows,
            Self::Some(rows) => rows.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let row = |at: usize| match self {
            Self::All(_) => at,
            Self::Some(rows) => rows[at] as usize,
        };
        (0..self.len()).map(row)
    }

    /// Leaves the first ones, so many at most.
    #[cfg(feature = "sqlite")]
    pub(in crate::store) fn keep_first(&mut self, most: usize) {
        match self {
            Self::All(rows) => *rows = (*rows).min(most),
            Self::Some(rows) => rows.truncate(most),
        }
    }

    /// Leaves the last ones, so many at most.
    #[cfg(feature = "sqlite")]
    pub(in crate::store) fn keep_last(&mut self, most: usize) {
        match self {
            Self::All(rows) if *rows > most => {
                let number = |row| u32::try_from(row).ok();
                *self = Self::Some((*rows - most..*rows).filter_map(number).collect());
            }
            Self::All(_) => {}
            Self::Some(rows) => drop(rows.drain(..rows.len().saturating_sub(most))),
        }
    }

    fn of(keep: &[bool]) -> Self {
        let count = keep.iter().filter(|keep| **keep).count();
        if count == keep.len() {
            return Self::All(count);
        }
        // Written without a branch: whether a row is kept, a processor cannot guess.
        let mut rows = vec![0; keep.len()];
        let mut next = 0;
        for (row, keep) in (0_u32..).zip(keep) {
            rows[next] = row;
            next += usize::from(*keep);
        }
        rows.truncate(count);
        Self::Some(rows)
    }
}

impl Reader<'_> {
    /// Whether an operation that fulfils a condition may be here, from the metadata alone.
    pub fn may_have(&self, condition: &Condition) -> bool {
        self.meta.may_have(condition)
    }

    /// The operations that began within the time of a query and fulfil its conditions. Its order and limit are not looked
    /// at: the rows of a block are ordered by their beginning.
    ///
    /// # Errors
    /// Where a column is damaged or cannot be fetched.
    pub fn matching(&mut self, query: &Query) -> Result<Rows, BlockError> {
        if !self.meta.may_match(query) {
            return Ok(Rows::Some(Vec::new()));
        }
        let mut keep = vec![true; self.meta.rows];
        self.keep_time(query, &mut keep)?;
        for condition in &query.conditions {
            self.keep(condition, &mut keep)?;
        }
        Ok(Rows::of(&keep))
    }

    fn keep_time(&mut self, query: &Query, keep: &mut [bool]) -> Result<(), BlockError> {
        if query.since.is_none() && query.until.is_none() {
            return Ok(());
        }
        // To the nanosecond, as far as 64 bits reach.
        let [since, until] = [query.since, query.until].map(|at| at.map(|at| moment(at).0));
        let within =
            |at: i64| since.is_none_or(|since| at >= since) && until.is_none_or(|until| at < until);
        let (first, last) = self.meta.range_ns();
        if within(first) && within(last) {
            return Ok(());
        }
        for (keep, at) in keep.iter_mut().zip(self.starts()?) {
            *keep &= within(at);
        }
        Ok(())
    }

    fn keep(&mut self, condition: &Condition, keep: &mut [bool]) -> Result<(), BlockError> {
        use operation::bit;

        match condition {
            Condition::Operation(name) => self.keep_text(operation::NAME, EVERY, name, keep),
            Condition::User(name) => self.keep_text(operation::USER, bit::USER, name, keep),
            Condition::Session(name) => {
                self.keep_text(operation::SESSION, bit::SESSION, name, keep)
            }
            Condition::Tag(key, value) => {
                self.keep_value(Map::Tags, key, &Value::from(value.as_str()), keep)
            }
            Condition::Metadata(key, value) => self.keep_value(Map::Metadata, key, value, keep),
            Condition::Outcome(outcome) => self.keep_outcome(*outcome, keep),
            Condition::AtLeastNanos(nanos) => self.keep_slow(*nanos, keep),
            Condition::Tool(name) => self.keep_part(&TOOLS, tool::NAME, EVERY, name, keep),
            Condition::Provider(name) => {
                self.keep_part(&LLMS, llm::PROVIDER, llm::bit::PROVIDER, name, keep)
            }
            Condition::Llm(name) => self.keep_llm(name, keep),
            Condition::Component(name) => {
                self.keep_part(&COMPONENTS, component::NAME, EVERY, name, keep)
            }
            Condition::Error(category) => self.keep_error(*category, keep),
        }
    }

    fn keep_text(
        &mut self,
        column: ColumnId,
        bit: u64,
        text: &str,
        keep: &mut [bool],
    ) -> Result<(), BlockError> {
        let mask = self.numbers_of(operation::MASK, self.meta.rows)?;
        let texts = self.some_texts(column, &mask, bit)?;
        keep_equal(&texts, text, keep);
        Ok(())
    }

    fn keep_outcome(&mut self, asked: Outcome, keep: &mut [bool]) -> Result<(), BlockError> {
        let mask = self.numbers_of(operation::MASK, self.meta.rows)?;
        for (keep, mask) in keep.iter_mut().zip(&*mask.each()) {
            *keep &= mask & operation::bit::OUTCOME == outcome(asked);
        }
        Ok(())
    }

    fn keep_slow(&mut self, nanos: u64, keep: &mut [bool]) -> Result<(), BlockError> {
        let durations = self.numbers_of(operation::DURATION, self.meta.rows)?;
        for (keep, duration) in keep.iter_mut().zip(&*durations.each()) {
            *keep &= (*duration).min(Block::NONE - 1) >= nanos;
        }
        Ok(())
    }

    fn keep_value(
        &mut self,
        map: Map,
        key: &str,
        value: &Value,
        keep: &mut [bool],
    ) -> Result<(), BlockError> {
        let shapes = Shapes::read(self, map, self.meta.rows)?;
        let mut found = vec![false; keep.len()];
        for place in 0..shapes.columns.len() {
            let (_, kind, known) = &shapes.columns[place];
            if *kind == Kind::Rest || known == key {
                MapColumn::read(self, &shapes, place)?.find(key, value, &mut found);
            }
        }
        keep.iter_mut().zip(found).for_each(|(keep, found)| *keep &= found);
        Ok(())
    }

    /// Keeps operations that have a part with a text.
    fn keep_part(
        &mut self,
        parts: &Parts,
        column: ColumnId,
        bit: u64,
        text: &str,
        keep: &mut [bool],
    ) -> Result<(), BlockError> {
        let rows = self.count(parts.mask);
        let mask = self.numbers_of(parts.mask, rows)?;
        let texts = self.some_texts(column, &mask, bit)?;
        let mut found = vec![true; rows];
        keep_equal(&texts, text, &mut found);
        self.keep_having(parts, &found, keep)
    }

    fn keep_having(
        &mut self,
        parts: &Parts,
        found: &[bool],
        keep: &mut [bool],
    ) -> Result<(), BlockError> {
        let ranges = self.ranges(parts.count, keep.len(), found.len())?;
        for (row, keep) in keep.iter_mut().enumerate() {
            *keep = *keep && found[ranges.get(row)].contains(&true);
        }
        Ok(())
    }

    /// Calls go by the name that `LlmCall::model` gives.
    fn keep_llm(&mut self, name: &str, keep: &mut [bool]) -> Result<(), BlockError> {
        let (keys, names) = self.llm_keys(&Rows::All(self.count(llm::MASK)))?;
        let is_it: Vec<bool> = names.iter().map(|known| *known == *name).collect();
        let found: Vec<bool> = keys.iter().map(|key| is_it[*key as usize]).collect();
        self.keep_having(&LLMS, &found, keep)
    }

    fn keep_error(&mut self, asked: ErrorCategory, keep: &mut [bool]) -> Result<(), BlockError> {
        let mut having = vec![false; keep.len()];
        for parts in [&ERRORS, &TOOLS, &LLMS] {
            let categories = self.categories(parts)?;
            let is_it = |part| categories.of(part) == Some(asked);
            let found: Vec<bool> = (0..categories.rows()).map(is_it).collect();
            let mut these = vec![true; keep.len()];
            self.keep_having(parts, &found, &mut these)?;
            having.iter_mut().zip(these).for_each(|(having, these)| *having |= these);
        }
        keep.iter_mut().zip(having).for_each(|(keep, having)| *keep &= having);
        Ok(())
    }

    /// The categories of the errors of parts.
    pub(super) fn categories(&mut self, parts: &Parts) -> Result<Categories, BlockError> {
        let rows = self.count(parts.mask);
        let mask = self.numbers_of(parts.mask, rows)?;
        let (presence, count) = Presence::of(&mask, parts.error_bit);
        let texts = self.texts_of(parts.errors.category(), count)?;
        let known = texts.list().iter().map(|text| text.parse().ok()).collect();
        let inferred = if parts.mask == tool::MASK { inferred() } else { [None; 4] };
        Ok(Categories { mask, presence, texts, known, inferred })
    }
}

/// The category of the error of each part.
pub(super) struct Categories {
    mask: Arc<Numbers>,
    presence: Presence,
    texts: Arc<Texts>,
    known: Vec<Option<ErrorCategory>>,
    /// The category of a part that has no record of its error, by its status.
    inferred: [Option<ErrorCategory>; 4],
}

impl Categories {
    /// How many parts there are.
    pub(super) fn rows(&self) -> usize {
        self.mask.len()
    }

    /// None where the part has no error.
    pub(super) fn of(&self, part: usize) -> Option<ErrorCategory> {
        if let Some(place) = self.presence.place(part) {
            return self.known[self.texts.key(place)];
        }
        let status = usize::try_from(self.mask.get(part) & tool::bit::STATUS).ok()?;
        self.inferred.get(status).copied().flatten()
    }
}

/// A table of parts of operations.
pub(super) struct Parts {
    /// A column that every part has.
    pub(super) mask: ColumnId,
    /// The column of operations that counts them.
    pub(super) count: ColumnId,
    pub(super) errors: ErrorColumns,
    /// The bit of the mask that says that there is an error.
    error_bit: u64,
}

pub(super) const COMPONENTS: Parts = Parts {
    mask: component::MASK,
    count: operation::COMPONENTS,
    errors: ErrorColumns::OPERATIONS,
    error_bit: 0,
};
pub(super) const TOOLS: Parts = Parts {
    mask: tool::MASK,
    count: operation::TOOL_CALLS,
    errors: ErrorColumns::TOOL_CALLS,
    error_bit: tool::bit::ERROR,
};
pub(super) const LLMS: Parts = Parts {
    mask: llm::MASK,
    count: operation::LLM_CALLS,
    errors: ErrorColumns::LLM_CALLS,
    error_bit: llm::bit::ERROR,
};
pub(super) const ERRORS: Parts = Parts {
    mask: ErrorColumns::OPERATIONS.mask(),
    count: operation::ERRORS,
    errors: ErrorColumns::OPERATIONS,
    error_bit: EVERY,
};

/// The category of a call of a tool that has no record of its error, by its status.
fn inferred() -> [Option<ErrorCategory>; 4] {
    let of = |status| taximeter_models::ToolCall::new("", status).error_category();
    [None, of(ToolStatus::Failure), of(ToolStatus::Timeout), of(ToolStatus::Error)]
}

fn keep_equal(texts: &SomeTexts, text: &str, keep: &mut [bool]) {
    let place = texts.texts.list().iter().position(|known| known == text);
    // No row has the key of no text.
    let asked = place.and_then(|place| u32::try_from(place).ok());
    match asked {
        Some(asked) => {
            for (keep, key) in keep.iter_mut().zip(&*texts.keys()) {
                *keep &= *key == asked;
            }
        }
        None => keep.fill(false),
    }
}

impl MapColumn {
    /// Marks the rows whose key has this value, where this column has the key.
    fn find(&self, key: &str, value: &Value, found: &mut [bool]) {
        if let (Kind::Text, Some(text), MapValues::Texts(texts)) =
            (self.kind, value.as_str(), &self.values)
        {
            let texts = SomeTexts { presence: self.presence.clone(), texts: Arc::clone(texts) };
            let mut equal = vec![true; found.len()];
            keep_equal(&texts, text, &mut equal);
            found.iter_mut().zip(equal).for_each(|(found, equal)| *found |= equal);
            return;
        }
        let is_it = |row: usize| match (self.kind, Item::from(value)) {
            (Kind::Rest, _) => self.value(row).is_some_and(|rest| rest.get(key) == Some(value)),
            (Kind::Text, _) | (_, Item::Text(_)) => false,
            _ => self.presence.place(row).is_some() && self.value(row).as_ref() == Some(value),
        };
        for (row, found) in found.iter_mut().enumerate() {
            *found = *found || is_it(row);
        }
    }
}
