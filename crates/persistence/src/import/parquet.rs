//! Reading our operations from Parquet, by the column that holds each as a whole.

use std::fs::File;
use std::path::Path;

use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use taximeter_models::OperationRecord;

use super::error::{ImportError, Why};
use super::frame::Place;
use super::output::Output;
use super::{Format, Source};
use crate::export::parquet::RECORD;

/// How many operations are read at once.
const BATCH: usize = 256;

/// Reads operations in batches. Only the pages of one column are in memory, one at a time.
pub(crate) struct Groups {
    reader: SerializedFileReader<File>,
    column: usize,
    group: usize,
    /// The rows of the group that are passed over.
    skipped: usize,
    /// Who reads the column in the group that is open.
    open: Option<ColumnReaderImpl<ByteArrayType>>,
    rows_read: u64,
    rows: u64,
    bytes: u64,
}

impl Groups {
    pub(crate) fn open(path: &Path, at: Place) -> Result<Self, ImportError> {
        let file = File::open(path).map_err(ImportError::io("opening it", Some(path)))?;
        let bytes = file.metadata().map_err(ImportError::io("opening it", Some(path)))?.len();
        let broken = |error: ParquetError| {
            ImportError::io("reading it", Some(path))(std::io::Error::other(error))
        };
        let reader = SerializedFileReader::new(file).map_err(broken)?;
        let metadata = reader.metadata().file_metadata();
        let columns = metadata.schema_descr().columns();
        let column = columns.iter().position(|column| column.path().string() == RECORD);
        let is_record = |column: &usize| {
            let column = &columns[*column];
            column.physical_type() == parquet::basic::Type::BYTE_ARRAY
                && column.max_def_level() == 0
                && column.max_rep_level() == 0
        };
        let column = column.filter(is_record).ok_or_else(|| ImportError::Unsupported {
            path: Some(path.into()),
            format: Format::Parquet,
            what: "is read where it has a column `record` with the whole operations, as our exports have; this one has \
                   none",
        })?;
        let rows = u64::try_from(metadata.num_rows()).unwrap_or_default();
        let mut groups =
            Self { reader, column, group: 0, skipped: 0, open: None, rows_read: 0, rows, bytes };
        groups.skip(at.index);
        Ok(groups)
    }

    /// Passes over rows that were read before, by whole groups and then within one.
    fn skip(&mut self, mut rows: u64) {
        while self.group < self.reader.num_row_groups() {
            let here = u64::try_from(self.reader.metadata().row_group(self.group).num_rows());
            let here = here.unwrap_or_default();
            if rows < here {
                self.skipped = usize::try_from(rows).unwrap_or_default();
                self.rows_read += rows;
                return;
            }
            rows -= here;
            self.rows_read += here;
            self.group += 1;
        }
    }

    fn batch(&mut self) -> Result<Vec<ByteArray>, ParquetError> {
        let mut column = if let Some(column) = self.open.take() {
            column
        } else {
            let group = self.reader.get_row_group(self.group)?;
            let column = group.get_column_reader(self.column)?;
            if !matches!(column, ColumnReader::ByteArrayColumnReader(_)) {
                return Err(ParquetError::General("a group has another type of column".into()));
            }
            let mut column = get_typed_column_reader::<ByteArrayType>(column);
            column.skip_records(std::mem::take(&mut self.skipped))?;
            column
        };
        let mut values = Vec::with_capacity(BATCH);
        column.read_records(BATCH, None, None, &mut values)?;
        self.open = Some(column);
        Ok(values)
    }
}

impl Source for Groups {
    fn advance(&mut self, out: &mut Output) -> Result<bool, ImportError> {
        if self.group >= self.reader.num_row_groups() {
            return Ok(false);
        }
        let values = self.batch().map_err(|error| {
            ImportError::io("reading it", out.path.as_deref())(std::io::Error::other(error))
        })?;
        for value in &values {
            match serde_json::from_slice::<OperationRecord>(value.data()) {
                Ok(record) => out.record(record),
                Err(error) => out.reject(self.place(), Why::json(&error)),
            }
            self.rows_read += 1;
        }
        if values.is_empty() {
            self.group += 1;
            self.open = None;
        }
        Ok(true)
    }

    /// There are no lines; the byte is where it would be if all rows were of one length.
    fn place(&self) -> Place {
        let share = u128::from(self.rows_read) * u128::from(self.bytes);
        let offset = share / u128::from(self.rows.max(1));
        let offset = u64::try_from(offset).unwrap_or(u64::MAX).min(self.bytes);
        Place { line: 0, offset, index: self.rows_read }
    }

    fn restart(&self) -> Place {
        self.place()
    }
}
