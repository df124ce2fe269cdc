//! Blocks put together, column by column: no record is made on the way.
//!
//! The rows of a table come in runs, each of one block. What runs there are of operations follows from when these began;
//! those of their parts follow from the columns that count them, and those of what only some rows have from the masks.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use taximeter_models::OperationId;
use thiserror::Error;

use super::column::{ColumnId, ErrorColumns, Map, component, llm, operation, tool, warning};
use super::costs::Costs;
use super::effort::Effort;
use super::error::{BlockError, SealError};
use super::maps::MapSheet;
use super::meta::{MOST_RECORDS, Meta};
use super::numbers::Numbers;
use super::read_maps::Shapes;
use super::reader::Reader;
use super::seal::{Sealed, encode};
use super::sheets::Sheets;
use super::texts::{Gathered, Texts};

/// Why blocks were not put together. They stay as they are.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MergeError {
    /// One of them cannot be read.
    #[error("putting sealed blocks together: the one at place {place} cannot be read")]
    Read {
        /// Which of them, counted from 0.
        place: usize,
        /// Why.
        source: BlockError,
    },
    /// They are too much for one block.
    #[error("putting sealed blocks together")]
    Seal(#[from] SealError),
}

/// Puts blocks together in one, as if their records were sealed at once. None where that has to go by way of the records:
/// where an operation began at a time that nanoseconds do not hold, or keys are too many for columns of their own.
///
/// ```
/// use std::collections::HashMap;
/// use taximeter_models::OperationRecord;
/// use taximeter_persistence::store::block::{Effort, MergeError, Reader, Rows, merge, seal_with};
///
/// // Columns of some size are not within the metadata.
/// let records = [OperationRecord::new("index"), OperationRecord::new(&*"answer ".repeat(20))];
/// let block = |record| seal_with([record], Effort::Quick).expect("nothing in it is out of range");
/// let blocks = [block(&records[0]), block(&records[1])];
/// let open = |place: usize| {
///     let columns: HashMap<_, _> = blocks[place].columns.iter().cloned().collect();
///     Reader::open(&blocks[place].meta, move |column| columns.get(&column).cloned().ok_or("it is not there"))
/// };
/// let whole = merge(&mut [open(0)?, open(1)?], Effort::Small)?.expect("its times and keys are as usual");
/// let columns: HashMap<_, _> = whole.columns.into_iter().collect();
/// let fetch = |column| columns.get(&column).cloned().ok_or("it is not there");
/// assert_eq!(Reader::open(&whole.meta, fetch)?.records(&Rows::All(2))?.len(), 2);
///
/// // Where one cannot be read, it is said which.
/// let damaged = Reader::open(&blocks[1].meta, |_| Ok::<_, &str>(b"nothing of it".to_vec()))?;
/// let refused = merge(&mut [open(0)?, damaged], Effort::Small);
/// assert!(matches!(refused, Err(MergeError::Read { place: 1, .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Where one cannot be read, or they are too much for one block.
pub fn merge(blocks: &mut [Reader<'_>], effort: Effort) -> Result<Option<Sealed>, MergeError> {
    let metas: Vec<Arc<Meta>> = blocks.iter().map(|block| Arc::clone(&block.meta)).collect();
    let is_far = |meta: &Arc<Meta>| meta.directory.contains_key(&operation::START.far_seconds());
    if metas.iter().any(is_far) {
        return Ok(None);
    }
    let starts = order(blocks)?;
    if starts.len() > MOST_RECORDS {
        let rows = starts.len();
        return Err(SealError::TooMany { what: "operations", rows, most: MOST_RECORDS }.into());
    }
    let mut sheets = Sheets::new(starts.first().map_or(0, |start| start.ns));
    for start in &starts {
        sheets.start(start.id, start.ns);
    }
    let rows = metas.iter().map(|meta| meta.rows).collect();
    let operations = Table { rows, runs: runs(starts.iter().map(|start| start.row.clone())) };
    let mut merging = Merging { blocks, metas: &metas, sheets, fits: true };
    merging.operations(&operations)?;
    let Merging { sheets, fits, .. } = merging;
    if fits { Ok(Some(encode(&sheets, effort)?)) } else { Ok(None) }
}

/// When an operation began, its id, and where it is.
struct Start {
    ns: i64,
    id: OperationId,
    row: Run,
}

/// The operations of all blocks in the order of the block to be.
fn order(blocks: &mut [Reader<'_>]) -> Result<Vec<Start>, MergeError> {
    let mut starts = Vec::new();
    for (place, block) in blocks.iter_mut().enumerate() {
        let ids = block.ids().and_then(|ids| Ok((ids, block.starts()?)));
        let (ids, from) = ids.map_err(|source| MergeError::Read { place, source })?;
        let start = |(row, (id, ns))| Start { ns, id, row: (place, row..row + 1) };
        starts.extend(ids.into_iter().zip(from).enumerate().map(start));
    }
    // Each block is in order, which this makes use of.
    starts.sort_by_key(|start| (start.ns, start.id));
    Ok(starts)
}

/// Rows of a table of one of the blocks.
type Run = (usize, Range<usize>);

/// Those that follow one another become one; empty ones are left out.
fn runs(rows: impl Iterator<Item = Run>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (place, rows) in rows.filter(|(_, rows)| !rows.is_empty()) {
        match runs.last_mut() {
            Some((last, run)) if *last == place && run.end == rows.start => run.end = rows.end,
            _ => runs.push((place, rows)),
        }
    }
    runs
}

/// The rows of a table: how many each block has, and in what order they come.
#[derive(Clone)]
struct Table {
    rows: Vec<usize>,
    runs: Vec<Run>,
}

impl Table {
    /// The table whose rows belong to those of this one: of each block, how many of them belong to each row.
    fn within(&self, counts: impl Fn(usize) -> Vec<u64>) -> Self {
        let begins: Vec<Vec<usize>> = (0..self.rows.len()).map(|at| begins(&counts(at))).collect();
        let within = |(place, rows): &Run| {
            let begins = &begins[*place];
            (*place, begins[rows.start]..begins[rows.end])
        };
        let rows = begins.iter().map(|begins| begins.last().copied().unwrap_or_default()).collect();
        Self { rows, runs: runs(self.runs.iter().map(within)) }
    }
}

/// Where what belongs to each row begins, and where that of the last row ends.
fn begins(counts: &[u64]) -> Vec<usize> {
    let mut end = 0_usize;
    let mut begins = Vec::with_capacity(counts.len() + 1);
    begins.push(end);
    begins.extend(counts.iter().map(|count| {
        // What is beyond all bounds is another count of rows than there are, which is found where they are read.
        end = end.saturating_add(usize::try_from(*count).unwrap_or(usize::MAX));
        end
    }));
    begins
}

type Done<T = ()> = Result<T, MergeError>;

struct Merging<'b, 'f, 'r> {
    blocks: &'b mut [Reader<'f>],
    metas: &'r [Arc<Meta>],
    sheets: Sheets<'r>,
    /// Whether no map has too many keys.
    fits: bool,
}

impl Merging<'_, '_, '_> {
    fn operations(&mut self, table: &Table) -> Done {
        use operation::bit;

        let mask = operation::MASK;
        self.numbers(table, &[mask, operation::DURATION])?;
        self.numbers(table, &[operation::UNLISTED_ERRORS, operation::UNLISTED_WARNINGS])?;
        self.texts(table, &[operation::NAME])?;
        self.far(table, mask, operation::DURATION, bit::FAR_DURATION)?;
        let parent = self.having(table, mask, bit::PARENT)?;
        self.numbers(&parent, &[operation::PARENT_HIGH, operation::PARENT_LOW])?;
        let trace = self.having(table, mask, bit::TRACE)?;
        self.numbers(&trace, &[operation::TRACE_HIGH, operation::TRACE_LOW])?;
        self.some_numbers(table, mask, &[(operation::REMOTE_PARENT, bit::REMOTE_PARENT)])?;
        let texts = [(operation::USER, bit::USER), (operation::SESSION, bit::SESSION)];
        self.some_texts(table, mask, &texts)?;
        self.map(table, Map::Tags)?;
        self.map(table, Map::Metadata)?;
        let components = self.counted(table, operation::COMPONENTS)?;
        self.components(&components)?;
        let tools = self.counted(table, operation::TOOL_CALLS)?;
        self.tools(&tools)?;
        let llms = self.counted(table, operation::LLM_CALLS)?;
        self.llms(&llms)?;
        let errors = self.counted(table, operation::ERRORS)?;
        self.errors(&errors, ErrorColumns::OPERATIONS)?;
        let warnings = self.counted(table, operation::WARNINGS)?;
        self.numbers(&warnings, &[warning::MASK])?;
        self.texts(&warnings, &[warning::MESSAGE])?;
        let component = [(warning::COMPONENT, warning::COMPONENT_BIT)];
        self.some_texts(&warnings, warning::MASK, &component)
    }

    fn components(&mut self, table: &Table) -> Done {
        use component::bit;

        let mask = component::MASK;
        self.numbers(table, &[mask, component::DURATION, component::COUNT])?;
        self.texts(table, &[component::NAME])?;
        self.some_numbers(table, mask, &[(component::OFFSET, bit::OFFSET)])?;
        self.far(table, mask, component::OFFSET, bit::FAR_OFFSET)?;
        self.far(table, mask, component::DURATION, bit::FAR_DURATION)
    }

    fn tools(&mut self, table: &Table) -> Done {
        use tool::bit;

        let mask = tool::MASK;
        self.numbers(table, &[mask, tool::ATTEMPT])?;
        self.texts(table, &[tool::NAME])?;
        let numbers = [
            (tool::START, bit::START),
            (tool::DURATION, bit::DURATION),
            (tool::ARGUMENTS, bit::ARGUMENTS),
        ];
        self.some_numbers(table, mask, &numbers)?;
        self.far(table, mask, tool::START, bit::FAR_START)?;
        self.far(table, mask, tool::DURATION, bit::FAR_DURATION)?;
        let errors = self.having(table, mask, bit::ERROR)?;
        self.errors(&errors, ErrorColumns::TOOL_CALLS)?;
        self.map(table, Map::ToolMetadata)
    }

    fn llms(&mut self, table: &Table) -> Done {
        use llm::bit;

        let mask = llm::MASK;
        self.numbers(table, &[mask, llm::ATTEMPT])?;
        let texts = [
            (llm::PROVIDER, bit::PROVIDER),
            (llm::REQUEST_MODEL, bit::REQUEST_MODEL),
            (llm::RESPONSE_MODEL, bit::RESPONSE_MODEL),
            (llm::FINISH, bit::FINISH),
            (llm::TIER, bit::TIER),
        ];
        self.some_texts(table, mask, &texts)?;
        let numbers = [
            (llm::START, bit::START),
            (llm::DURATION, bit::DURATION),
            (llm::FIRST_TOKEN, bit::FIRST_TOKEN),
            (llm::PREFIX, bit::PREFIX),
            (llm::ARGUMENTS, bit::ARGUMENTS),
            (llm::WINDOW, bit::WINDOW),
        ];
        self.some_numbers(table, mask, &numbers)?;
        self.far(table, mask, llm::START, bit::FAR_START)?;
        self.far(table, mask, llm::DURATION, bit::FAR_DURATION)?;
        self.far(table, mask, llm::FIRST_TOKEN, bit::FAR_FIRST_TOKEN)?;
        let errors = self.having(table, mask, bit::ERROR)?;
        self.errors(&errors, ErrorColumns::LLM_CALLS)?;
        self.costs(table)?;
        self.map(table, Map::Usage)?;
        self.map(table, Map::ServedAs)?;
        self.map(table, Map::LlmMetadata)
    }

    fn errors(&mut self, table: &Table, columns: ErrorColumns) -> Done {
        self.numbers(table, &[columns.mask()])?;
        self.texts(table, &[columns.category(), columns.message()])?;
        let component = [(columns.component(), ErrorColumns::COMPONENT_BIT)];
        self.some_texts(table, columns.mask(), &component)?;
        let causes = self.counted(table, columns.causes())?;
        self.texts(&causes, &[columns.cause()])
    }

    /// Something of each block.
    fn each<T>(
        &mut self,
        read: impl Fn(&mut Reader<'_>, usize) -> Result<T, BlockError>,
    ) -> Done<Vec<T>> {
        let mut all = Vec::with_capacity(self.blocks.len());
        for (place, block) in self.blocks.iter_mut().enumerate() {
            all.push(read(block, place).map_err(|source| MergeError::Read { place, source })?);
        }
        Ok(all)
    }

    /// The numbers of a column that every row has, block by block.
    fn column(&mut self, table: &Table, column: ColumnId) -> Done<Vec<Arc<Numbers>>> {
        self.each(|block, place| block.numbers_of(column, table.rows[place]))
    }

    fn numbers(&mut self, table: &Table, columns: &[ColumnId]) -> Done {
        for column in columns {
            let read = self.column(table, *column)?;
            copy(table, &read, &mut self.sheets.numbers[usize::from(column.get())]);
        }
        Ok(())
    }

    fn texts(&mut self, table: &Table, columns: &[ColumnId]) -> Done {
        for column in columns {
            let read = self.each(|block, place| block.texts_of(*column, table.rows[place]))?;
            self.sheets.texts[usize::from(column.get())] = texts(table, &read);
        }
        Ok(())
    }

    fn some_numbers(&mut self, table: &Table, mask: ColumnId, some: &[(ColumnId, u64)]) -> Done {
        for (column, bit) in some {
            let having = self.having(table, mask, *bit)?;
            self.numbers(&having, &[*column])?;
        }
        Ok(())
    }

    fn some_texts(&mut self, table: &Table, mask: ColumnId, some: &[(ColumnId, u64)]) -> Done {
        for (column, bit) in some {
            let having = self.having(table, mask, *bit)?;
            self.texts(&having, &[*column])?;
        }
        Ok(())
    }

    fn far(&mut self, table: &Table, mask: ColumnId, column: ColumnId, bit: u64) -> Done {
        let far = self.having(table, mask, bit)?;
        self.numbers(&far, &[column.far_seconds(), column.far_nanos()])
    }

    /// Those rows whose mask has a bit.
    fn having(&mut self, table: &Table, mask: ColumnId, bit: u64) -> Done<Table> {
        let masks = self.column(table, mask)?;
        // Mostly all rows of all blocks are alike.
        let is_everywhere = |has: bool| {
            let mut masks = masks.iter().filter(|masks| masks.len() > 0);
            masks.all(
                |masks| matches!(**masks, Numbers::Constant(mask, _) if (mask & bit != 0) == has),
            )
        };
        if is_everywhere(true) {
            return Ok(table.clone());
        }
        if is_everywhere(false) {
            return Ok(Table { rows: vec![0; table.rows.len()], runs: Vec::new() });
        }
        let has = |mask: &u64| u64::from(mask & bit != 0);
        Ok(table.within(|place| masks[place].each().iter().map(has).collect()))
    }

    /// The parts that a column counts, which it keeps.
    fn counted(&mut self, table: &Table, column: ColumnId) -> Done<Table> {
        self.numbers(table, &[column])?;
        let counts = self.column(table, column)?;
        Ok(table.within(|place| counts[place].each().into_owned()))
    }

    fn costs(&mut self, table: &Table) -> Done {
        let costs = self.each(|block, place| Costs::read(block, table.rows[place]))?;
        let numbers = self.each(|block, _| block.numbers(llm::COST_NUMBERS))?;
        let to = &mut self.sheets.costs;
        let mut known: Vec<Vec<Option<u64>>> =
            costs.iter().map(|costs| vec![None; costs.forms().len()]).collect();
        for (place, rows) in &table.runs {
            for row in rows.clone() {
                let form = costs[*place].form(row);
                let number = known[*place][form]
                    .unwrap_or_else(|| to.form_of_json(costs[*place].forms().get(form)));
                known[*place][form] = Some(number);
                to.rows.push(number);
            }
        }
        let counts = |place: usize| {
            let count = |row| costs[place].numbers_of(row) as u64;
            (0..table.rows[place]).map(count).collect()
        };
        copy(&table.within(counts), &numbers, &mut to.numbers);
        Ok(())
    }

    fn map(&mut self, table: &Table, map: Map) -> Done {
        let shapes = self.each(|block, place| Shapes::read(block, map, table.rows[place]))?;
        let metas = self.metas;
        let sheet = &mut self.sheets.maps[map as usize];
        // For each block the place of each of its columns, and the number of each of its shapes.
        let mut places = Vec::new();
        for meta in metas {
            let keys = meta.keys_of(map).into_iter();
            let own =
                keys.map(|(_, key)| sheet.column(&key.name, key.kind)).collect::<Option<Vec<_>>>();
            let Some(own) = own else {
                self.fits = false;
                return Ok(());
            };
            places.push(own);
        }
        add_shapes(sheet, table, &shapes, &places);
        for place in 0..sheet.columns.len() {
            self.keyed(table, map, place, &shapes, &places)?;
        }
        Ok(())
    }

    /// The values of one key.
    fn keyed(
        &mut self,
        table: &Table,
        map: Map,
        place: usize,
        shapes: &[Shapes],
        places: &[Vec<u16>],
    ) -> Done {
        // Where this column is in each block.
        let own = |at: usize| places[at].iter().position(|known| usize::from(*known) == place);
        let table = table.within(|at| match own(at) {
            Some(own) => shapes[at].has(own),
            None => vec![0; table.rows[at]],
        });
        let kind = self.sheets.maps[map as usize].columns[place].kind;
        let column = |at: usize| own(at).map(|own| shapes[at].columns[own].0);
        if kind.is_text() {
            let read = self.each(|block, at| match column(at) {
                Some(column) => block.texts_of(column, table.rows[at]),
                None => Ok(Arc::default()),
            })?;
            self.sheets.maps[map as usize].columns[place].texts = texts(&table, &read);
        } else if kind.is_number() {
            let read = self.each(|block, at| match column(at) {
                Some(column) => block.numbers_of(column, table.rows[at]),
                None => Ok(Arc::default()),
            })?;
            copy(&table, &read, &mut self.sheets.maps[map as usize].columns[place].numbers);
        }
        self.sheets.maps[map as usize].columns[place].rows = table.rows.iter().sum();
        Ok(())
    }
}

/// The shape of each row.
fn add_shapes(sheet: &mut MapSheet<'_>, table: &Table, shapes: &[Shapes], places: &[Vec<u16>]) {
    let number = |(shapes, places): (&Shapes, &Vec<u16>)| -> Vec<u64> {
        let place = |place: &u16| places[usize::from(*place)];
        let shape = |shape: &Vec<u16>| sheet.shape(shape.iter().map(place).collect());
        shapes.list.iter().map(shape).collect()
    };
    let numbers: Vec<Vec<u64>> = shapes.iter().zip(places).map(number).collect();
    let rows: Vec<Cow<'_, [u64]>> = shapes.iter().map(|shapes| shapes.rows.each()).collect();
    for (at, run) in &table.runs {
        let number = |shape: &u64| numbers[*at][usize::try_from(*shape).unwrap_or(usize::MAX)];
        sheet.rows.extend(rows[*at][run.clone()].iter().map(number));
    }
}

fn copy(table: &Table, from: &[Arc<Numbers>], to: &mut Vec<u64>) {
    let from: Vec<Cow<'_, [u64]>> = from.iter().map(|numbers| numbers.each()).collect();
    to.reserve(table.runs.iter().map(|(_, rows)| rows.len()).sum());
    for (place, rows) in &table.runs {
        to.extend_from_slice(&from[*place][rows.clone()]);
    }
}

fn texts(table: &Table, from: &[Arc<Texts>]) -> Gathered {
    Gathered::of_runs(table.runs.iter().cloned(), from)
}
