//! Columns of a block as the store shows them: numbers, amounts and keys of texts.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::ControlFlow;
use std::sync::Arc;

use foldhash::fast::RandomState;
use taximeter_models::{ErrorCategory, LlmCall, Name, Unit};

use super::bytes::unzigzag;
use super::column::{ColumnId, ErrorColumns, Map, component, llm, operation, tool};
use super::error::BlockError;
use super::maps::Kind;
use super::matching::{COMPONENTS, ERRORS, LLMS, Parts, Rows, TOOLS};
use super::picked::{Interner, Picked, as_key};
use super::presence::{EVERY, Presence, Ranges, SomeNumbers, SomeTexts};
use super::read_maps::{MapColumn, MapValues, Shapes};
use super::reader::Reader;
use super::spent::is_cache_read;
use crate::store::columns::Values;
use crate::store::gather::Gather;
use crate::store::{Block, Column, Keys, Query, Scanned, Table};

impl Reader<'_> {
    /// Shows columns of what a query asks for, as one block. Only the columns that are needed are fetched. Says what was
    /// looked at, and whether there is to be more.
    ///
    /// # Errors
    /// Where a column is damaged or cannot be fetched.
    pub fn scan(
        &mut self,
        table: Table,
        query: &Query,
        columns: &[Column],
        each: &mut dyn FnMut(&Block<'_>) -> ControlFlow<()>,
    ) -> Result<(Scanned, ControlFlow<()>), BlockError> {
        self.scan_tables(query, &[(table, columns)], &mut |blocks| match blocks {
            [block] if block.rows() > 0 => each(block),
            _ => ControlFlow::Continue(()),
        })
    }

    /// Shows columns of several tables of what a query asks for, a block of each, where any operation is meant. The rows of
    /// the first one are counted.
    ///
    /// # Errors
    /// Where a column is damaged or cannot be fetched.
    pub fn scan_tables(
        &mut self,
        query: &Query,
        tables: &[(Table, &[Column])],
        each: &mut dyn FnMut(&[Block<'_>]) -> ControlFlow<()>,
    ) -> Result<(Scanned, ControlFlow<()>), BlockError> {
        let rows = tables.first().map_or(0, |(table, _)| self.rows_of(*table) as u64);
        let mut scanned = Scanned { rows, ..Scanned::default() };
        let operations = self.matching(query)?;
        if operations.is_empty() {
            return Ok((scanned, ControlFlow::Continue(())));
        }
        let shown = tables.iter().map(|(table, columns)| self.show(*table, &operations, columns));
        let shown = shown.collect::<Result<Vec<_>, BlockError>>()?;
        let blocks: Vec<_> = shown.iter().map(|(rows, values)| Block::new(*rows, values)).collect();
        scanned.shown = blocks.first().map_or(0, |block| block.rows() as u64);
        Ok((scanned, each(&blocks)))
    }

    /// Columns of the rows of a table that are, or belong to, these operations.
    fn show(
        &mut self,
        table: Table,
        operations: &Rows,
        columns: &[Column],
    ) -> Result<(usize, Vec<(Column, Values)>), BlockError> {
        let picked = self.pick(table, operations, columns.contains(&Column::Owner))?;
        if picked.rows.is_empty() {
            return Ok(Gather::new(table, columns).take());
        }
        let values =
            columns.iter().map(|column| Ok((column.clone(), self.values(&picked, column)?)));
        Ok((picked.rows.len(), values.collect::<Result<_, BlockError>>()?))
    }

    /// How long these operations took, in nanoseconds.
    #[cfg(feature = "sqlite")]
    pub(in crate::store) fn durations_of(&mut self, rows: &Rows) -> Result<Vec<u64>, BlockError> {
        match self.durations(&Picked::operations(rows))? {
            Values::Numbers(numbers) => Ok(numbers),
            _ => Ok(Vec::new()),
        }
    }

    /// What is known of the cost of these operations, in US dollars.
    #[cfg(feature = "sqlite")]
    pub(in crate::store) fn costs_of(
        &mut self,
        rows: &Rows,
    ) -> Result<Vec<taximeter_models::Money>, BlockError> {
        match self.costs(&Picked::operations(rows))? {
            Values::Money(costs) => Ok(costs),
            _ => Ok(Vec::new()),
        }
    }

    fn rows_of(&self, table: Table) -> usize {
        parts(table).map_or(self.meta.rows, |parts| self.count(parts.mask))
    }

    /// The rows of a table that are, or belong to, these operations.
    fn pick(
        &mut self,
        table: Table,
        operations: &Rows,
        with_places: bool,
    ) -> Result<Picked, BlockError> {
        let mut picked = Picked { table, ..Picked::operations(operations) };
        let Some(parts) = parts(table) else { return Ok(picked) };
        let rows = self.count(parts.mask);
        let ranges = self.ranges(parts.count, self.meta.rows, rows)?;
        let parts_of = (&ranges, operations, rows.div_ceil(self.meta.rows.max(1)));
        let owners = spread(parts_of, |_, operation, _| operation);
        if let Rows::Some(_) = operations {
            picked.rows = Rows::Some(spread(parts_of, |_, _, part| part));
            picked.places = with_places.then(|| spread(parts_of, |place, _, _| place));
        } else {
            picked.rows = Rows::All(rows);
        }
        picked.owners = Some(Rows::Some(owners));
        Ok(picked)
    }

    /// The values of a column of the rows that were picked.
    fn values(&mut self, picked: &Picked, column: &Column) -> Result<Values, BlockError> {
        match column {
            Column::StartedAt => self.started(picked),
            Column::Duration => self.durations(picked),
            Column::Outcome => self.outcomes(picked),
            Column::Name => self.row_names(picked),
            Column::Operation => self.of_operation(picked, operation::NAME, EVERY),
            Column::User => self.of_operation(picked, operation::USER, operation::bit::USER),
            Column::Session => {
                self.of_operation(picked, operation::SESSION, operation::bit::SESSION)
            }
            Column::Tag(key) => self.value_keys(picked, Map::Tags, key),
            Column::Metadata(key) => self.value_keys(picked, Map::Metadata, key),
            Column::Provider => self.providers(picked),
            Column::ErrorCategory => self.error_categories(picked),
            Column::InputTokens => self.tokens(picked, Unit::is_input_tokens),
            Column::CacheReadTokens => self.tokens(picked, is_cache_read),
            Column::OutputTokens => self.tokens(picked, Unit::is_output_tokens),
            Column::FirstToken => self.first_tokens(picked),
            Column::CostUsd => self.costs(picked),
            Column::Unpriced => self.unpriced(picked),
            Column::Attempt => self.attempts(picked),
            Column::Owner => Ok(picked.numbers(|at, _| picked.place(at) as u64)),
            Column::Errors => self.faults(picked, operation::ERRORS, operation::UNLISTED_ERRORS),
            Column::Warnings => {
                self.faults(picked, operation::WARNINGS, operation::UNLISTED_WARNINGS)
            }
            Column::TimedOut => self.timed_out(picked),
            Column::Runs => self.runs(picked),
            Column::FinishReason => self.finish_reasons(picked),
            Column::Usage => self.usage(picked),
            Column::Charge => self.charges(picked),
            Column::Bill => self.bills(picked),
        }
    }

    fn started(&mut self, picked: &Picked) -> Result<Values, BlockError> {
        let first = self.meta.first_ns;
        let starts = self.numbers_of(operation::START, self.meta.rows)?;
        let started = |since: u64| first.wrapping_add(since.cast_signed());
        let own = match picked.table {
            Table::Operations => {
                let started = |since| started(since).cast_unsigned();
                return Ok(Values::Numbers(starts.of(&picked.rows, started)));
            }
            Table::Errors => {
                let started = |at| started(starts.get(picked.owner(at))).cast_unsigned();
                return Ok(picked.numbers(|at, _| started(at)));
            }
            Table::ToolCalls => self.child(tool::MASK, tool::START, tool::bit::START)?,
            Table::LlmCalls => self.child(llm::MASK, llm::START, llm::bit::START)?,
            Table::Components => self.offsets()?,
        };
        let start = |at: usize, row: usize| {
            let start = started(starts.get(picked.owner(at)));
            let since = own.get(row).unwrap_or_default();
            if picked.table == Table::Components {
                start.saturating_add_unsigned(since.min(Block::NONE - 1))
            } else {
                start.wrapping_add(unzigzag(since))
            }
        };
        Ok(picked.numbers(|at, row| start(at, row).cast_unsigned()))
    }

    fn child(
        &mut self,
        mask: ColumnId,
        column: ColumnId,
        bit: u64,
    ) -> Result<SomeNumbers, BlockError> {
        let mask = self.numbers_of(mask, self.count(mask))?;
        self.some_numbers(column, &mask, bit)
    }

    fn durations(&mut self, picked: &Picked) -> Result<Values, BlockError> {
        let durations = match picked.table {
            Table::Operations => self.child(operation::MASK, operation::DURATION, EVERY),
            Table::Components => self.child(component::MASK, component::DURATION, EVERY),
            Table::ToolCalls => self.child(tool::MASK, tool::DURATION, tool::bit::DURATION),
            Table::LlmCalls => self.child(llm::MASK, llm::DURATION, llm::bit::DURATION),
            Table::Errors => return Ok(picked.numbers(|_, _| Block::NONE)),
        }?;
        Ok(picked.told(&durations))
    }

    fn first_tokens(&mut self, picked: &Picked) -> Result<Values, BlockError> {
        if picked.table != Table::LlmCalls {
            return Ok(picked.numbers(|_, _| Block::NONE));
        }
        let times = self.child(llm::MASK, llm::FIRST_TOKEN, llm::bit::FIRST_TOKEN)?;
        Ok(picked.told(&times))
    }

    fn outcomes(&mut self, picked: &Picked) -> Result<Values, BlockError> {
        let (mask, bits) = match picked.table {
            Table::Operations | Table::Components | Table::Errors => {
                (operation::MASK, operation::bit::OUTCOME)
            }
            Table::ToolCalls => (tool::MASK, tool::bit::STATUS),
            Table::LlmCalls => (llm::MASK, llm::bit::ERROR),
        };
        let mask = self.numbers_of(mask, self.count(mask))?;
        Ok(match picked.table {
            Table::Operations => Values::Numbers(mask.of(&picked.rows, |mask| mask & bits)),
            Table::Components | Table::Errors => {
                picked.numbers(|at, _| mask.get(picked.owner(at)) & bits)
            }
            Table::ToolCalls | Table::LlmCalls => {
                Values::Numbers(mask.of(&picked.rows, |mask| u64::from(mask & bits != 0)))
            }
        })
    }

    fn row_names(&mut self, picked: &Picked) -> Result<Values, BlockError> {
        let column = match picked.table {
            Table::Operations => return self.of_operation(picked, operation::NAME, EVERY),
            Table::Components => component::NAME,
            Table::ToolCalls => tool::NAME,
            Table::LlmCalls => return self.llm_names(picked),
            Table::Errors => return self.error_components(picked),
        };
        let texts = self.texts_of(column, self.rows_of(picked.table))?;
        Ok(picked.own_keys(&SomeTexts { presence: Presence::All, texts }))
    }

    fn llm_names(&mut self, picked: &Picked) -> Result<Values, BlockError> {
        let (keys, names) = self.llm_keys(&picked.rows)?;
        Ok(Values::Keys { keys, names })
    }

    /// For each of these LLM calls the place of the name that [`LlmCall::model`] gives, and the names.
    ///
    /// [`LlmCall::model`]: taximeter_models::LlmCall::model
    pub(super) fn llm_keys(&mut self, calls: &Rows) -> Result<(Vec<u32>, Vec<Name>), BlockError> {
        let rows = self.count(llm::MASK);
        let mask = self.numbers_of(llm::MASK, rows)?;
        let asked = self.some_texts(llm::REQUEST_MODEL, &mask, llm::bit::REQUEST_MODEL)?;
        let answered = self.some_texts(llm::RESPONSE_MODEL, &mask, llm::bit::RESPONSE_MODEL)?;
        let mut interner = Interner::default();
        let [questions, answers] = [&asked, &answered].map(|some| interner.all(&some.texts));
        let nobody = LlmCall::default();
        let key = |row: usize| {
            let key = asked.key(row).map(|key| questions[key]);
            let key = key.or_else(|| answered.key(row).map(|key| answers[key]));
            key.unwrap_or_else(|| interner.key(nobody.model()))
        };
        Ok((calls.iter().map(key).collect(), interner.names))
    }

    fn of_operation(
        &mut self,
        picked: &Picked,
        column: ColumnId,
        bit: u64,
    ) -> Result<Values, BlockError> {
        let mask = self.numbers_of(operation::MASK, self.meta.rows)?;
        let texts = self.some_texts(column, &mask, bit)?;
        Ok(picked.some_keys(&texts))
    }

    fn providers(&mut self, picked: &Picked) -> Result<Values, BlockError> {
        if picked.table != Table::LlmCalls {
            return Ok(picked.no_keys());
        }
        let mask = self.numbers_of(llm::MASK, self.count(llm::MASK))?;
        let texts = self.some_texts(llm::PROVIDER, &mask, llm::bit::PROVIDER)?;
        Ok(picked.own_keys(&texts))
    }

    fn value_keys(&mut self, picked: &Picked, map: Map, key: &str) -> Result<Values, BlockError> {
        let shapes = Shapes::read(self, map, self.meta.rows)?;
        let asked =
            |(_, kind, known): &&(ColumnId, Kind, String)| *kind == Kind::Rest || known == key;
        let places: Vec<usize> =
            (0..shapes.columns.len()).filter(|place| asked(&&shapes.columns[*place])).collect();
        let columns = places.iter().map(|place| MapColumn::read(self, &shapes, *place));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        if let [MapColumn { kind: Kind::Text, presence, values: MapValues::Texts(texts), .. }] =
            &columns[..]
        {
            let texts = SomeTexts { presence: presence.clone(), texts: Arc::clone(texts) };
            return Ok(picked.some_keys(&texts));
        }
        let mut interner = Interner::default();
        let mut known: HashMap<(usize, u64), u32, RandomState> = HashMap::default();
        let keys = picked.map(|at, _| {
            let row = picked.owner(at);
            let found = columns.iter().enumerate().find_map(|(place, column)| {
                let entry = column.number(row).map(|number| known.entry((place, number)));
                if let Some(Entry::Occupied(key)) = entry {
                    return Some(*key.get());
                }
                let value = column.value(row).filter(|_| column.presence.place(row).is_some())?;
                let value = if column.kind == Kind::Rest { value.get(key)?.clone() } else { value };
                let new = match value {
                    serde_json::Value::String(text) => interner.key(&text),
                    other => interner.key(&other.to_string()),
                };
                if let Some(Entry::Vacant(place)) = entry {
                    place.insert(new);
                }
                Some(new)
            });
            found.unwrap_or(Keys::NONE)
        });
        Ok(Values::Keys { keys, names: interner.names })
    }

    /// The category of the first error of each row; that of a component is the first that names it.
    fn error_categories(&mut self, picked: &Picked) -> Result<Values, BlockError> {
        let categories = match picked.table {
            Table::ToolCalls => self.own_errors(&TOOLS, picked)?,
            Table::LlmCalls => self.own_errors(&LLMS, picked)?,
            Table::Errors => self.own_errors(&ERRORS, picked)?,
            Table::Operations => self.first_errors(picked)?,
            Table::Components => self.component_errors(picked)?,
        };
        let key = |category: &Option<ErrorCategory>| {
            let place =
                ErrorCategory::ALL.iter().position(|known| Some(known) == category.as_ref());
            place.map_or(Keys::NONE, as_key)
        };
        let names = ErrorCategory::ALL.iter().map(|category| category.as_str().into());
        Ok(Values::Keys { keys: categories.iter().map(key).collect(), names: names.collect() })
    }

    fn own_errors(
        &mut self,
        parts: &Parts,
        picked: &Picked,
    ) -> Result<Vec<Option<ErrorCategory>>, BlockError> {
        let all = self.categories(parts)?;
        Ok(picked.map(|_, row| all.of(row)))
    }

    fn first_errors(&mut self, picked: &Picked) -> Result<Vec<Option<ErrorCategory>>, BlockError> {
        let all = self.categories(&ERRORS)?;
        let ranges = self.ranges(operation::ERRORS, self.meta.rows, all.rows())?;
        Ok(picked.map(|_, row| ranges.get(row).next().and_then(|first| all.of(first))))
    }

    fn component_errors(
        &mut self,
        picked: &Picked,
    ) -> Result<Vec<Option<ErrorCategory>>, BlockError> {
        let all = self.categories(&ERRORS)?;
        let ranges = self.ranges(operation::ERRORS, self.meta.rows, all.rows())?;
        let columns = ErrorColumns::OPERATIONS;
        let mask = self.numbers_of(columns.mask(), all.rows())?;
        let within = self.some_texts(columns.component(), &mask, ErrorColumns::COMPONENT_BIT)?;
        let names = self.texts_of(component::NAME, self.rows_of(Table::Components))?;
        let category = |at: usize, row: usize| {
            let mut errors = ranges.get(picked.owner(at));
            errors
                .find(|error| within.text(*error).as_deref() == Some(&*names.text(row)))
                .and_then(|error| all.of(error))
        };
        Ok(picked.map(category))
    }

    fn attempts(&mut self, picked: &Picked) -> Result<Values, BlockError> {
        let column = match picked.table {
            Table::ToolCalls => tool::ATTEMPT,
            Table::LlmCalls => llm::ATTEMPT,
            _ => return Ok(picked.numbers(|_, _| Block::NONE)),
        };
        let attempts = self.numbers_of(column, self.rows_of(picked.table))?;
        Ok(Values::Numbers(attempts.of(&picked.rows, |attempt| attempt)))
    }
}

/// A number for each part of these operations, of which each has about so many: made of the place of its operation among
/// these, its operation, and itself.
fn spread(
    (ranges, operations, about): (&Ranges, &Rows, usize),
    number: impl Fn(usize, usize, usize) -> usize,
) -> Vec<u32> {
    let mut all = Vec::with_capacity(operations.len() * about);
    for (place, operation) in operations.iter().enumerate() {
        all.extend(ranges.get(operation).map(|part| as_key(number(place, operation, part))));
    }
    all
}

fn parts(table: Table) -> Option<&'static Parts> {
    match table {
        Table::Operations => None,
        Table::ToolCalls => Some(&TOOLS),
        Table::LlmCalls => Some(&LLMS),
        Table::Components => Some(&COMPONENTS),
        Table::Errors => Some(&ERRORS),
    }
}
