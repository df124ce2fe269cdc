//! What was decided and what was left out while a book was made, for people to review.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write;

use taximeter_models::Unit;

use crate::merge::{Conflict, Merged, Rule, Table};
use crate::{Note, NoteKind};

/// How many places are named for one reason.
const NAMED: usize = 5;

/// The prices that are told of every conflict.
const TOKENS: [Unit; 3] = [Unit::Input, Unit::Output, Unit::CacheRead];

/// The report as Markdown; the same book gives the same text.
pub fn markdown(merged: &Merged) -> String {
    let mut text = String::from("# Where the tables differ, and what was left out\n\n");
    let day = merged.book.as_of.map_or_else(|| "an unknown day".to_owned(), |day| day.to_string());
    let _ = writeln!(
        text,
        "Made with the price book of {day} by `cargo xtask prices import`; the rules are those of `README.md`.\n"
    );
    counts(&mut text, merged);
    conflicts(&mut text, &merged.conflicts);
    let of = |kind| merged.notes.iter().filter(move |note| note.kind == kind);
    refused(&mut text, of(NoteKind::Refused));
    notes(&mut text, "Doubted, and kept", of(NoteKind::Doubted));
    notes(&mut text, "Left out", of(NoteKind::LeftOut));
    text
}

/// How often each rule decided, and for how many names it had to.
fn counts(text: &mut String, merged: &Merged) {
    let mut differ: BTreeMap<(Rule, Table), usize> = BTreeMap::new();
    for conflict in &merged.conflicts {
        *differ.entry((conflict.rule, conflict.taken)).or_default() += 1;
    }
    let names: usize = merged.decided.values().sum();
    let _ = writeln!(
        text,
        "## {} of {names} names with different prices\n\n| rule | taken | names | of these with different prices |\n|---|---|---|---|",
        merged.conflicts.len()
    );
    for (key, names) in &merged.decided {
        let differ = differ.get(key).copied().unwrap_or_default();
        let (rule, table) = key;
        let _ = writeln!(text, "| {} | {} | {names} | {differ} |", word(rule), word(table));
    }
}

/// The conflicts by how much they should be doubted: first where a unit may have been mistaken, then where one table
/// gives away what another charges for.
fn conflicts(text: &mut String, conflicts: &[Conflict]) {
    let mut sorted: Vec<&Conflict> = conflicts.iter().collect();
    sorted.sort_by_key(|it| (Reverse(it.factor), it.zero.is_empty(), &it.provider, &it.name));
    text.push_str("\nUS dollars for a million tokens: input / output / cache read. Other prices stand there only where they differ.\n\n");
    text.push_str("| name | LiteLLM | genai-prices | model-prices | taken | rule | doubt |\n|---|---|---|---|---|---|---|\n");
    for conflict in sorted {
        let told = |table| prices(conflict, table).unwrap_or_else(|| "–".to_owned());
        let _ = writeln!(
            text,
            "| {}/{} | {} | {} | {} | {} | {} | {} |",
            conflict.provider,
            cell(&conflict.name),
            told(Table::Litellm),
            told(Table::Genai),
            told(Table::ModelPrices),
            word(&conflict.taken),
            word(&conflict.rule),
            doubt(conflict),
        );
    }
}

/// Why somebody should look.
fn doubt(conflict: &Conflict) -> String {
    let mut why = Vec::new();
    if let Some(factor) = conflict.factor {
        why.push(format!("they differ {factor}-fold"));
    }
    if let Some(table) = &conflict.outlier {
        why.push(format!("{} stands alone and was not asked", word(table)));
    }
    if !conflict.zero.is_empty() {
        let units: Vec<&str> = conflict.zero.iter().map(|unit| unit.as_str()).collect();
        why.push(format!("{} is free in one table", units.join(" and ")));
    }
    why.join("; ")
}

/// What a table says: the usual prices of tokens, and those others in which the tables differ.
fn prices(conflict: &Conflict, table: Table) -> Option<String> {
    let prices = conflict.prices.get(&table)?;
    let mut parts = Vec::new();
    if TOKENS.iter().any(|unit| prices.contains_key(unit)) {
        let price = |unit: &Unit| prices.get(unit).map_or("–", String::as_str);
        parts.push(TOKENS.iter().map(price).collect::<Vec<_>>().join(" / "));
    }
    let others = prices.iter().filter(|(unit, price)| {
        let differs =
            |other: &BTreeMap<Unit, String>| other.get(unit).is_some_and(|it| it != *price);
        !TOKENS.contains(unit) && conflict.prices.values().any(differs)
    });
    parts.extend(others.map(|(unit, price)| format!("{unit} {price}")));
    Some(if parts.is_empty() { "other units".to_owned() } else { parts.join(", ") })
}

/// What was refused, price by price: a person should see each.
fn refused<'n>(text: &mut String, notes: impl Iterator<Item = &'n Note>) {
    text.push_str("\n## Refused: what cannot be a price\n\n| where | why |\n|---|---|\n");
    for note in notes {
        let _ = writeln!(text, "| {} | {} |", cell(&note.place), cell(&note.why));
    }
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

    fn conflict(name: &str, litellm: &[(Unit, &str)], genai: &[(Unit, &str)]) -> Conflict {
        let prices = |prices: &[(Unit, &str)]| {
            prices.iter().map(|(unit, price)| (*unit, (*price).to_owned())).collect()
        };
        Conflict {
            provider: "p".into(),
            name: name.into(),
            prices: [(Table::Litellm, prices(litellm)), (Table::Genai, prices(genai))].into(),
            taken: Table::Genai,
            rule: Rule::MoreOftenRight,
            factor: None,
            outlier: None,
            zero: Vec::new(),
        }
    }

    #[test]
    fn the_report_counts_and_names() {
        let note = |kind, place: String| Note { kind, place, why: "it is -1".into() };
        let doubted = (0..7).map(|at| note(NoteKind::Doubted, format!("m{at}")));
        let refused = (0..2).map(|at| note(NoteKind::Refused, format!("r{at}")));
        let merged = Merged {
            decided: [((Rule::OnlyOne, Table::Litellm), 3)].into(),
            notes: doubted.chain(refused).collect(),
            ..Merged::default()
        };
        let text = markdown(&merged);
        for line in [
            "## 0 of 3 names with different prices",
            "| only_one | litellm | 3 | 0 |",
            "| it is … | 7 | m0, m1, m2, m3, m4, … |",
            "| r1 | it is -1 |",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn what_is_most_doubtful_stands_first() {
        let plain = conflict("a", &[(Unit::Input, "1")], &[(Unit::Input, "2")]);
        let mut free = conflict("b", &[(Unit::Input, "1")], &[(Unit::Input, "0")]);
        free.zero = vec![Unit::Input];
        let mut wrong = conflict("c", &[(Unit::Input, "1")], &[(Unit::Input, "50")]);
        (wrong.factor, wrong.outlier) = (Some(50), Some(Table::Genai));
        let text = markdown(&Merged { conflicts: vec![plain, free, wrong], ..Merged::default() });
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| p/")).collect();
        assert_eq!(
            rows,
            [
                "| p/c | 1 / – / – | 50 / – / – | – | genai | more_often_right | they differ 50-fold; genai stands alone and was not asked |",
                "| p/b | 1 / – / – | 0 / – / – | – | genai | more_often_right | input is free in one table |",
                "| p/a | 1 / – / – | 2 / – / – | – | genai | more_often_right |  |",
            ]
        );
    }

    #[test]
    fn other_units_are_told_where_they_differ() {
        let image = |price| [(Unit::Input, "1"), (Unit::Image, price), (Unit::WebSearch, "0.01")];
        let one = conflict("a", &image("0.1"), &image("0.2"));
        assert_eq!(prices(&one, Table::Genai).unwrap(), "1 / – / –, image 0.2");
    }
}
