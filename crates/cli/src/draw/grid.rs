//! Tables that fit: where there is no room for all columns, the least important ones are left out, and then names are cut.

use taximeter::report::{Align, Style};

use super::{Tone, clean, columns, cut, toned};

/// A column: its title, its side, how important it is (the largest number goes first), and to how few columns of the
/// screen its texts may be cut before others are left out.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    title: String,
    align: Align,
    rank: u8,
    least: Option<usize>,
}

impl Column {
    /// A column of texts that always stays.
    pub(crate) fn name(title: &str) -> Self {
        Self { title: title.to_owned(), align: Align::Left, rank: 0, least: None }
    }

    /// A column of ids or other long texts, of which the beginning is enough: so many columns of the screen.
    pub(crate) fn beginning(title: &str, least: usize) -> Self {
        Self { title: title.to_owned(), align: Align::Left, rank: 0, least: Some(least) }
    }

    /// A column of numbers; those of the highest rank are left out first, and rank 0 never.
    pub(crate) fn number(title: &str, rank: u8) -> Self {
        Self { title: title.to_owned(), align: Align::Right, rank, least: None }
    }

    /// A column of texts that are left out where there is no room.
    pub(crate) fn text(title: &str, rank: u8) -> Self {
        Self { title: title.to_owned(), align: Align::Left, rank, least: None }
    }
}

/// A table.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<(String, Tone)>>,
}

/// Between two columns.
const GAP: usize = 2;

impl Grid {
    pub(crate) fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// A row of as many cells as there are columns; missing ones are empty.
    pub(crate) fn row<C: Into<String>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.toned_row(cells.into_iter().map(|cell| (cell, Tone::Plain)));
    }

    pub(crate) fn toned_row<C: Into<String>>(
        &mut self,
        cells: impl IntoIterator<Item = (C, Tone)>,
    ) {
        let cells = cells.into_iter().map(|(cell, tone)| (clean(&cell.into()), tone));
        let mut row: Vec<_> = cells.take(self.columns.len()).collect();
        row.resize(self.columns.len(), (String::new(), Tone::Plain));
        self.rows.push(row);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many columns there is no room for.
    pub(crate) fn left_out(&self, style: Style) -> usize {
        self.widths(usize::from(style.width)).iter().filter(|width| **width == 0).count()
    }

    /// The table as lines of at most the width of the style.
    pub(crate) fn draw(&self, style: Style) -> String {
        let widths = self.widths(usize::from(style.width));
        let shown: Vec<usize> = (0..self.columns.len()).filter(|at| widths[*at] > 0).collect();
        let mut text = String::new();
        let titles = |at: usize| (self.columns[at].title.as_str(), Tone::Plain);
        // A list of numbers whose columns have no titles needs no head.
        if shown.iter().any(|at| !self.columns[*at].title.is_empty()) {
            self.line(&mut text, style, &shown, &widths, titles);
            let whole = shown.iter().map(|at| widths[*at]).sum::<usize>()
                + GAP * shown.len().saturating_sub(1);
            text.push_str(&"─".repeat(whole));
            text.push('\n');
        }
        for row in &self.rows {
            self.line(&mut text, style, &shown, &widths, |at| (row[at].0.as_str(), row[at].1));
        }
        text
    }

    fn line<'c>(
        &self,
        text: &mut String,
        style: Style,
        shown: &[usize],
        widths: &[usize],
        cell: impl Fn(usize) -> (&'c str, Tone),
    ) {
        let mut line = String::new();
        for (place, at) in shown.iter().enumerate() {
            let (content, tone) = cell(*at);
            let content = cut(content, widths[*at]);
            let room = " ".repeat(widths[*at].saturating_sub(columns(&content)));
            if place > 0 {
                line.push_str(&" ".repeat(GAP));
            }
            let painted = toned(style, &content, tone);
            match self.columns[*at].align {
                Align::Left => line.extend([painted, room]),
                Align::Right => line.extend([room, painted]),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }

    /// The width of each column; 0 for those that are left out.
    fn widths(&self, most: usize) -> Vec<usize> {
        let natural = |at: usize| {
            let cells = self.rows.iter().map(|row| columns(&row[at].0)).max().unwrap_or(0);
            cells.max(columns(&self.columns[at].title)).max(1)
        };
        let mut widths: Vec<usize> = (0..self.columns.len()).map(natural).collect();
        self.cut_beginnings(&mut widths, most);
        while whole(&widths) > most {
            let goes = (0..widths.len())
                .filter(|at| widths[*at] > 0 && self.columns[*at].rank > 0)
                .max_by_key(|at| (self.columns[*at].rank, *at));
            let Some(goes) = goes else {
                squeeze(&mut widths, most);
                break;
            };
            widths[goes] = 0;
        }
        widths
    }

    /// Cuts the texts of which the beginning is enough, as far as that is needed.
    fn cut_beginnings(&self, widths: &mut [usize], most: usize) {
        for (at, column) in self.columns.iter().enumerate() {
            if let Some(least) = column.least {
                let over = whole(widths).saturating_sub(most);
                widths[at] = widths[at].saturating_sub(over).max(least.min(widths[at]));
            }
        }
    }
}

fn whole(widths: &[usize]) -> usize {
    let shown = widths.iter().filter(|width| **width > 0).count();
    widths.iter().sum::<usize>() + GAP * shown.saturating_sub(1)
}

/// Takes from the widest until all fit.
fn squeeze(widths: &mut [usize], most: usize) {
    while whole(widths) > most {
        let widest = (0..widths.len()).max_by_key(|at| widths[*at]);
        match widest {
            Some(widest) if widths[widest] > 1 => widths[widest] -= 1,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let mut grid = Grid::new([
            Column::name("LLM"),
            Column::number("calls", 1),
            Column::number("p95", 3),
            Column::number("cost", 0),
        ]);
        grid.row(["openai/gpt-4o-mini-2024-07-18", "12,345", "1.25 s", "$12.3456"]);
        grid.row(["a", "1", "–", "$0.00"]);
        grid
    }

    #[test]
    fn the_least_important_columns_go_first_and_names_are_cut_last() {
        let wide = grid().draw(Style::plain(80));
        assert!(wide.contains("p95") && wide.contains("2024-07-18"), "{wide}");
        let narrow = grid().draw(Style::plain(48));
        assert!(!narrow.contains("p95") && narrow.contains("calls"), "{narrow}");
        let tiny = grid().draw(Style::plain(24));
        assert!(tiny.contains('…') && tiny.contains("$12.3456"), "{tiny}");
    }

    #[test]
    fn no_line_is_wider_than_it_may_be_and_none_ends_in_blanks() {
        for width in 12..=200 {
            for line in grid().draw(Style::plain(width)).lines() {
                assert!(columns(line) <= usize::from(width), "{width}: {line}");
                assert_eq!(line, line.trim_end());
            }
        }
    }

    #[test]
    fn colours_take_no_room() {
        let mut grid = Grid::new([Column::name("tool"), Column::number("calls", 0)]);
        grid.toned_row([("search", Tone::Bad), ("7", Tone::Plain)]);
        let (plain, rich) = (grid.draw(Style::plain(60)), grid.draw(Style::rich(60)));
        assert!(!plain.contains('\u{1b}') && rich.contains('\u{1b}'));
        assert_eq!(plain.lines().last(), Some("search      7"));
    }
}
