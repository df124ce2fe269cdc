//! The table of operations as Parquet, with each operation as a whole beside its columns.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{
    ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use taximeter_models::{Money, OperationRecord};

use super::columns::{Cell, ExportTable};

/// The column that holds the whole operation as JSON; by it everything comes back as it was.
pub(crate) const RECORD: &str = "record";

/// The most operations, and the most bytes of their JSON, that are gathered before they are written.
const MOST_ROWS: usize = 20_000;
const MOST_BYTES: usize = 16 << 20;

/// The decimal places of money: prices have at most 15.
const PLACES: u32 = 18;

/// Gathers rows, and writes them as groups of columns.
pub(crate) struct ParquetRows<W: Write> {
    sink: W,
    /// What was written of the file and not yet handed on: a group at most.
    buffer: Buffer,
    writer: SerializedFileWriter<Buffer>,
    columns: Vec<Values>,
    records: Vec<ByteArray>,
    bytes: usize,
}

/// Takes what the writer of Parquet writes, which asks for more of a sink than a stream may be.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The values of a column that are not null, and which rows have one.
enum Values {
    Text(Vec<ByteArray>, Vec<i16>),
    Number(Vec<i64>, Vec<i16>),
    Decimal(Vec<FixedLenByteArray>, Vec<i16>),
}

impl<W: Write> ParquetRows<W> {
    pub(crate) fn new(sink: W) -> io::Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by("taximeter".into())
            // A whole operation is like no other.
            .set_column_dictionary_enabled(RECORD.into(), false);
        let schema = parse_message_type(&schema()).map_err(other)?;
        let buffer = Buffer::default();
        let properties = Arc::new(properties.build());
        let writer = SerializedFileWriter::new(buffer.clone(), Arc::new(schema), properties);
        let columns =
            ExportTable::Operations.columns().iter().map(|name| Values::of(name)).collect();
        let writer = writer.map_err(other)?;
        Ok(Self { sink, buffer, writer, columns, records: Vec::new(), bytes: 0 })
    }

    pub(crate) fn write(&mut self, operation: &OperationRecord) -> io::Result<()> {
        let columns = &mut self.columns;
        ExportTable::Operations.rows(operation, |cells| {
            columns.iter_mut().zip(cells).for_each(|(column, cell)| column.push(&cell));
            Ok::<_, io::Error>(())
        })?;
        // Those that are no text in the table of CSV either.
        for (name, column) in ExportTable::Operations.columns().iter().zip(columns) {
            match *name {
                "started_at" => column.put(operation.started_at.timestamp_nanos_opt()),
                "cost_usd" => column.put_money(operation.cost().usd(), has_cost(operation)),
                _ => {}
            }
        }
        let record = serde_json::to_vec(operation)?;
        self.bytes += record.len();
        self.records.push(record.into());
        if self.records.len() >= MOST_ROWS || self.bytes >= MOST_BYTES {
            self.write_group()?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.write_group()?;
        self.writer.finish().map_err(other)?;
        self.sink.write_all(&self.buffer.take())?;
        Ok(self.sink)
    }

    fn write_group(&mut self) -> io::Result<()> {
        if self.records.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group().map_err(other)?;
        for column in &mut self.columns {
            column.write(&mut group).map_err(other)?;
        }
        let mut column = group.next_column().map_err(other)?.ok_or_else(io_missing)?;
        column.typed::<ByteArrayType>().write_batch(&self.records, None, None).map_err(other)?;
        column.close().map_err(other)?;
        group.close().map_err(other)?;
        self.records.clear();
        self.bytes = 0;
        self.writer.flush()?;
        self.sink.write_all(&self.buffer.take())
    }
}

/// The columns and their types, in the words of Parquet.
fn schema() -> String {
    let columns = ExportTable::Operations.columns().iter().map(|name| match Values::of(name) {
        _ if *name == "started_at" => format!("optional int64 {name} (TIMESTAMP(NANOS,true));"),
        Values::Text(..) => format!("optional binary {name} (STRING);"),
        Values::Number(..) => format!("optional int64 {name};"),
        Values::Decimal(..) => {
            format!("optional fixed_len_byte_array(16) {name} (DECIMAL(38,{PLACES}));")
        }
    });
    let columns: Vec<_> = columns.collect();
    format!("message operations {{ {} required binary {RECORD} (JSON); }}", columns.join(" "))
}

impl Values {
    fn of(column: &str) -> Self {
        match column {
            "cost_usd" => Self::Decimal(Vec::new(), Vec::new()),
            "started_at" | "duration_ns" | "llm_calls" | "tool_calls" | "failed_tool_calls"
            | "error_count" | "warning_count" | "unpriced_calls" => {
                Self::Number(Vec::new(), Vec::new())
            }
            tokens if tokens.ends_with("_tokens") => Self::Number(Vec::new(), Vec::new()),
            _ => Self::Text(Vec::new(), Vec::new()),
        }
    }

    /// Puts a cell of the table; a number that has no room is left to the whole record.
    fn push(&mut self, cell: &Cell<'_>) {
        match (self, cell) {
            (Self::Text(values, present), Cell::Text(text)) => {
                put(values, present, Some(ByteArray::from(&**text)));
            }
            (Self::Text(values, present), Cell::Plain(text)) => {
                put(values, present, Some(ByteArray::from(text.as_str())));
            }
            (Self::Text(values, present), Cell::None) => put(values, present, None),
            (Self::Number(values, present), cell) => {
                let number = match cell {
                    Cell::Plain(text) => text.parse().ok(),
                    _ => None,
                };
                put(values, present, number);
            }
            (Self::Decimal(values, present), _) => put(values, present, None),
        }
    }

    /// Puts a number in the place of the last.
    fn put(&mut self, number: Option<i64>) {
        if let Self::Number(values, present) = self {
            take_last(values, present);
            put(values, present, number);
        }
    }

    fn put_money(&mut self, money: Money, is_known: bool) {
        if let Self::Decimal(values, present) = self {
            take_last(values, present);
            // Rounded half to even at the 18th place, which is that of a mean.
            let ticks = money.mean(1).filter(|_| is_known).map(Money::ticks);
            let scaled = ticks.map(|ticks| ticks / (Money::TICKS_PER_UNIT / 10_i128.pow(PLACES)));
            let bytes = |scaled: i128| FixedLenByteArray::from(scaled.to_be_bytes().to_vec());
            put(values, present, scaled.map(bytes));
        }
    }

    fn write(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, Buffer>,
    ) -> Result<(), ParquetError> {
        let Some(mut column) = group.next_column()? else { return Ok(()) };
        match self {
            Self::Text(values, present) => {
                column.typed::<ByteArrayType>().write_batch(values, Some(present), None)?;
                values.clear();
                present.clear();
            }
            Self::Number(values, present) => {
                column.typed::<Int64Type>().write_batch(values, Some(present), None)?;
                values.clear();
                present.clear();
            }
            Self::Decimal(values, present) => {
                column.typed::<FixedLenByteArrayType>().write_batch(values, Some(present), None)?;
                values.clear();
                present.clear();
            }
        }
        column.close()
    }
}

fn put<T>(values: &mut Vec<T>, present: &mut Vec<i16>, value: Option<T>) {
    present.push(i16::from(value.is_some()));
    values.extend(value);
}

fn take_last<T>(values: &mut Vec<T>, present: &mut Vec<i16>) {
    if present.pop() == Some(1) {
        values.pop();
    }
}

fn has_cost(operation: &OperationRecord) -> bool {
    let cost = operation.cost();
    !cost.amounts.is_empty() || cost.free_calls > 0
}

fn other(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(inner) => io::Error::other(inner),
        },
        error => io::Error::other(error),
    }
}

fn io_missing() -> io::Error {
    io::Error::other("the schema has no column for the records")
}
