//! A difference as text for people.

use std::fmt::Write;

use super::{CardChange, Difference, PriceChange};

/// The difference by kind, what is worst first, with the totals at its end.
///
/// ```
/// use taximeter_sources::diff::{Difference, text};
///
/// let difference = Difference { came: vec!["p/m".into(), "p/n".into()], ..Difference::default() };
/// assert_eq!(text(&difference), "2 names came\n  p (2): m, n\n\n\
///     0 names vanished, 2 came; 0 statuses, 0 prices and 0 cards changed\n");
/// ```
pub fn text(difference: &Difference) -> String {
    let Difference { came, vanished, statuses, prices, cards } = difference;
    let mut text = String::new();
    names(&mut text, "vanished", vanished);
    names(&mut text, "came", came);
    if !statuses.is_empty() {
        let rows =
            statuses.iter().map(|(name, old, new)| [name.clone(), format!("{old} -> {new}")]);
        table(
            &mut text,
            &format!("{} statuses changed", statuses.len()),
            &rows.collect::<Vec<_>>(),
        );
    }
    let (doubtful, usual): (Vec<_>, Vec<_>) = prices.iter().partition(|it| it.is_doubtful());
    for (prices, title) in [
        (doubtful, "prices changed more than 20-fold; a unit may be mistaken"),
        (usual, "prices changed"),
    ] {
        if !prices.is_empty() {
            let rows: Vec<_> = prices.iter().map(|price| price_row(price)).collect();
            table(&mut text, &format!("{} {title}", prices.len()), &rows);
        }
    }
    if !cards.is_empty() {
        let rows: Vec<_> = cards.iter().map(card_row).collect();
        table(&mut text, &format!("{} cards came or went", cards.len()), &rows);
    }
    let _ = writeln!(
        text,
        "{} names vanished, {} came; {} statuses, {} prices and {} cards changed",
        vanished.len(),
        came.len(),
        statuses.len(),
        prices.len(),
        cards.len()
    );
    text
}

/// Names by their provider.
fn names(text: &mut String, what: &str, names: &[String]) {
    if names.is_empty() {
        return;
    }
    let _ = writeln!(text, "{} names {what}", names.len());
    let all: Vec<(&str, &str)> = names.iter().filter_map(|name| name.split_once('/')).collect();
    for group in all.chunk_by(|one, two| one.0 == two.0) {
        let of: Vec<&str> = group.iter().map(|(_, name)| *name).collect();
        let _ = writeln!(text, "  {} ({}): {}", group[0].0, of.len(), of.join(", "));
    }
    text.push('\n');
}

fn price_row(change: &PriceChange) -> [String; 5] {
    let or_none = |price: &Option<String>| price.clone().unwrap_or_else(|| "none".to_owned());
    let size = change.size.as_ref().map_or_else(String::new, |size| format!(" {size}"));
    [
        change.name.clone(),
        change.when.clone(),
        format!("{}{size}", change.unit),
        format!("{} -> {}", or_none(&change.old), or_none(&change.new)),
        change.per_cent.map_or_else(String::new, |share| format!("{:+} %", share - 100)),
    ]
}

fn card_row(change: &CardChange) -> [String; 4] {
    let from = change.from.map_or_else(
        || "without a beginning".to_owned(),
        |from| format!("from {}", from.format("%Y-%m-%d")),
    );
    let word = if change.came { "came" } else { "went" };
    [word.to_owned(), change.name.clone(), change.when.clone(), from]
}

/// A title and rows in columns that are as wide as they must be.
fn table<const N: usize>(text: &mut String, title: &str, rows: &[[String; N]]) {
    let _ = writeln!(text, "{title}");
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or_default()).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).filter(|(_, width)| **width > 0);
        let line: Vec<String> = cells.map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "  {}", line.join("  ").trim_end());
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use taximeter_models::Unit;

    #[test]
    fn what_is_doubtful_stands_first() {
        let change = |name: &str, new: &str, per_cent| PriceChange {
            name: name.into(),
            when: String::new(),
            unit: Unit::Input,
            size: None,
            old: Some("2".into()),
            new: Some(new.into()),
            per_cent,
        };
        let difference = Difference {
            prices: vec![change("p/a", "3", Some(150)), change("p/bcd", "200", Some(10_000))],
            ..Difference::default()
        };
        let text = text(&difference);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "1 prices changed more than 20-fold; a unit may be mistaken");
        assert_eq!(lines[1], "  p/bcd  input  2 -> 200  +9900 %");
        assert_eq!(lines[4], "  p/a  input  2 -> 3  +50 %");
    }
}
