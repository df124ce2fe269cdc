//! What was decided and what was left out while a book was made, for people to review.

use std::collections::BTreeMap;
use std::fmt::Write;

use taximeter_models::Unit;

use crate::merge::{Conflict, Merged, Table};
use crate::{Note, NoteKind};

/// How many places are named for one reason.
const NAMED: usize = 5;

/// The report as Markdown; the same book gives the same text.
pub fn markdown(merged: &Merged) -> String {
    let mut text = String::from("# Where the tables differ, and what was left out\n\n");
    let day = merged.book.as_of.map_or_else(|| "an unknown day".to_owned(), |day| day.to_string());
    let _ = writeln!(
        text,
        "Made with the price book of {day} by `cargo xtask prices import`; the rules are those of `README.md`.\n"
    );
    counts(&mut text, &merged.conflicts);
    conflicts(&mut text, &merged.conflicts);
    for (kind, title) in [
        (NoteKind::Refused, "Refused: what cannot be a price"),
        (NoteKind::Doubted, "Doubted, and kept"),
        (NoteKind::LeftOut, "Left out"),
    ] {
        notes(&mut text, title, merged.notes.iter().filter(|note| note.kind == kind));
    }
    text
}

fn counts(text: &mut String, conflicts: &[Conflict]) {
    let mut by_rule: BTreeMap<(String, String), usize> = BTreeMap::new();
    for conflict in conflicts {
        *by_rule.entry((word(&conflict.rule), word(&conflict.taken))).or_default() += 1;
    }
    let _ = writeln!(
        text,
        "## {} names with different prices\n\n| rule | taken | names |\n|---|---|---|",
        conflicts.len()
    );
    for ((rule, taken), names) in by_rule {
        let _ = writeln!(text, "| {rule} | {taken} | {names} |");
    }
}

/// The conflicts, those first in which a unit may have been mistaken.
fn conflicts(text: &mut String, conflicts: &[Conflict]) {
    let mut sorted: Vec<&Conflict> = conflicts.iter().collect();
    sorted.sort_by_key(|conflict| {
        (std::cmp::Reverse(conflict.factor), &conflict.provider, &conflict.name)
    });
    text.push_str("\nUS dollars for a million tokens: input / output / cache read.\n\n");
    text.push_str("| name | LiteLLM | genai-prices | model-prices | taken | rule |\n|---|---|---|---|---|---|\n");
    for conflict in sorted {
        let told =
            |table: Table| conflict.prices.get(&table).map_or_else(|| "–".to_owned(), prices);
        let factor =
            conflict.factor.map_or_else(String::new, |factor| format!(" (differ {factor}-fold)"));
        let _ = writeln!(
            text,
            "| {}/{} | {} | {} | {} | {} | {}{factor} |",
            conflict.provider,
            conflict.name,
            told(Table::Litellm),
            told(Table::Genai),
            told(Table::ModelPrices),
            word(&conflict.taken),
            word(&conflict.rule),
        );
    }
}

fn prices(prices: &BTreeMap<Unit, String>) -> String {
    let tokens = [Unit::Input, Unit::Output, Unit::CacheRead];
    if !tokens.iter().any(|unit| prices.contains_key(unit)) {
        let all: Vec<String> =
            prices.iter().map(|(unit, price)| format!("{unit} {price}")).collect();
        return all.join(", ");
    }
    let price = |unit: &Unit| prices.get(unit).map_or("–", String::as_str);
    tokens.iter().map(price).collect::<Vec<_>>().join(" / ")
}

/// Notes by their reason, with the number and the first of the places.
fn notes<'n>(text: &mut String, title: &str, notes: impl Iterator<Item = &'n Note>) {
    let mut by_reason: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for note in notes {
        by_reason.entry(reason(&note.why)).or_default().push(&note.place);
    }
    let _ = writeln!(text, "\n## {title}\n\n| what | how often | where |\n|---|---|---|");
    for (why, places) in by_reason {
        let named = places.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = if places.len() > NAMED { ", …" } else { "" };
        let _ = writeln!(text, "| {} | {} | {}{more} |", cell(&why), places.len(), cell(&named));
    }
}

/// The reason without what is particular to one place: numbers, and what stands in quotation marks.
fn reason(why: &str) -> String {
    let mut general = String::new();
    let mut quoted = false;
    for word in why.split(' ') {
        let starts = word.starts_with('"');
        let number = word.chars().all(|c| c.is_ascii_digit() || "./-e,:".contains(c))
            && word.contains(|c: char| c.is_ascii_digit());
        if !quoted && !starts && !number {
            general.push_str(word);
            general.push(' ');
        } else if !general.ends_with("… ") {
            general.push_str("… ");
        }
        quoted = (quoted || starts)
            && !(word.len() > 1 && word.trim_end_matches([',', ';', ':']).ends_with('"'));
    }
    general.trim_end().to_owned()
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// The word of a variant as it stands in JSON.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| Some(value.as_str()?.to_owned()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_gathered_without_what_is_particular() {
        assert_eq!(
            reason("the price of input is 0.1 for 1, above"),
            "the price of input is … for … above"
        );
        assert_eq!(reason(r#"contains "a b" is a guess"#), "contains … is a guess");
        assert_eq!(reason("nothing particular"), "nothing particular");
    }

    #[test]
    fn the_report_counts_and_names() {
        let note = |place: &str| Note {
            kind: NoteKind::Refused,
            place: place.into(),
            why: "it is -1".into(),
        };
        let merged = Merged {
            book: taximeter_pricing::form::BookForm::default(),
            conflicts: Vec::new(),
            notes: (0..7).map(|at| note(&format!("m{at}"))).collect(),
        };
        let text = markdown(&merged);
        assert!(
            text.contains("## 0 names") && text.contains("| it is … | 7 | m0, m1, m2, m3, m4, … |"),
            "{text}"
        );
    }
}
