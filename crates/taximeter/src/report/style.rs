//! How reports look: width, colour, headings, tables.

use std::fmt::Display;

use anstyle::{AnsiColor, Style as Ansi};
use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle,
};

/// How a report is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// The width of a line in columns.
    pub width: u16,
    /// Whether headings are emphasised by the colour codes of terminals.
    pub colour: bool,
}

/// On which side the cells of a column stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A line under the header, and none else.
const LINED: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

impl Style {
    /// No colour: for files, pipes and tests.
    pub fn plain(width: u16) -> Self {
        Self { width, colour: false }
    }

    /// With colour: for terminals.
    pub fn rich(width: u16) -> Self {
        Self { width, colour: true }
    }

    /// A heading.
    pub fn heading(self, text: &str) -> String {
        self.paint(text, Ansi::new().bold().fg_color(Some(AnsiColor::Cyan.into())))
    }

    /// Something that is as it should be.
    pub fn good(self, text: &str) -> String {
        self.paint(text, Ansi::new().fg_color(Some(AnsiColor::Green.into())))
    }

    /// Something that wants attention.
    pub fn bad(self, text: &str) -> String {
        self.paint(text, Ansi::new().fg_color(Some(AnsiColor::Red.into())))
    }

    fn paint(self, text: &str, style: Ansi) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// A table that fits the width; cells that are too long are broken into lines, but not those that name
    /// the row, nor the numbers at its end.
    pub fn table<const N: usize, C: Display>(
        self,
        columns: [(&str, Align); N],
        rows: impl IntoIterator<Item = [C; N]>,
    ) -> String {
        let mut table = Table::new();
        table.load_style(LINED);
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(self.width);
        table.set_header(columns.map(|(title, _)| Cell::new(title)));
        for row in rows {
            table.add_row(row.map(Cell::new));
        }
        for (at, (column, (_, align))) in table.column_iter_mut().zip(columns).enumerate() {
            if N > 2 && (at == 0 || (at == N - 1 && align == Align::Right)) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
            if align == Align::Right {
                column.set_cell_alignment(CellAlignment::Right);
            }
            column.set_padding((0, 1));
        }
        table.trim_fmt()
    }
}
