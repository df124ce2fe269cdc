//! Errors and warnings of records put together again from columns.

use std::sync::Arc;

use taximeter_models::{ErrorCategory, ErrorRecord, Warning};

use super::column::{ErrorColumns, warning};
use super::error::{BlockError, Broken};
use super::numbers::Numbers;
use super::presence::{Presence, Ranges, SomeTexts};
use super::reader::Reader;
use super::texts::Texts;
use super::times::Wrong;

pub(super) struct Errors {
    columns: ErrorColumns,
    category: Arc<Texts>,
    message: Arc<Texts>,
    causes: Ranges,
    cause: Arc<Texts>,
    component: SomeTexts,
}

impl Errors {
    pub(super) fn read(reader: &mut Reader<'_>, columns: ErrorColumns) -> Result<Self, BlockError> {
        let rows = reader.count(columns.mask());
        let mask = reader.numbers_of(columns.mask(), rows)?;
        let cause = reader.texts(columns.cause())?;
        Ok(Self {
            columns,
            category: reader.texts_of(columns.category(), rows)?,
            message: reader.texts_of(columns.message(), rows)?,
            causes: reader.ranges(columns.causes(), rows, cause.len())?,
            cause,
            component: reader.some_texts(
                columns.component(),
                &mask,
                ErrorColumns::COMPONENT_BIT,
            )?,
        })
    }

    pub(super) fn error(&self, row: usize) -> Result<ErrorRecord, Wrong> {
        let category: Result<ErrorCategory, _> = self.category.text(row).parse();
        let unknown = Broken("it names a category that is not known");
        let category = category.map_err(|_| Wrong(self.columns.category(), unknown))?;
        let mut error = ErrorRecord::new(category, self.message.text(row));
        error.causes = self.causes.get(row).map(|at| self.cause.text(at).into_owned()).collect();
        error.component = self.component.name(row);
        Ok(error)
    }
}

/// The errors of those calls that have one.
pub(super) struct SomeErrors {
    presence: Presence,
    errors: Errors,
}

impl SomeErrors {
    pub(super) fn read(
        reader: &mut Reader<'_>,
        columns: ErrorColumns,
        mask: &Numbers,
        bit: u64,
    ) -> Result<Self, BlockError> {
        let (presence, count) = Presence::of(mask, bit);
        let errors = Errors::read(reader, columns)?;
        if errors.message.len() == count {
            Ok(Self { presence, errors })
        } else {
            Err(Broken("there are other errors than calls that have one").at(Some(columns.mask())))
        }
    }

    pub(super) fn error(&self, row: usize) -> Result<Option<ErrorRecord>, Wrong> {
        self.presence.place(row).map(|place| self.errors.error(place)).transpose()
    }
}

pub(super) struct Warnings {
    message: Arc<Texts>,
    component: SomeTexts,
}

impl Warnings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, BlockError> {
        let rows = reader.count(warning::MASK);
        let mask = reader.numbers_of(warning::MASK, rows)?;
        Ok(Self {
            message: reader.texts_of(warning::MESSAGE, rows)?,
            component: reader.some_texts(warning::COMPONENT, &mask, warning::COMPONENT_BIT)?,
        })
    }

    pub(super) fn warning(&self, row: usize) -> Warning {
        Warning {
            message: self.message.text(row).into_owned(),
            component: self.component.name(row),
        }
    }
}
