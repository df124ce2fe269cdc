//! From the rules by which the table fits names to the names that are certain.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::table::Model;

/// A rule that a name fits or does not fit; upper and lower case are the same.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Clause {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Regex(String),
    Or(Vec<Self>),
    And(Vec<Self>),
}

/// The names of one LLM.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// None where no rule gives a whole name.
    pub(super) id: Option<String>,
    pub(super) aliases: Vec<String>,
    pub(super) patterns: Vec<String>,
    pub(super) dated_ids: bool,
    /// Whether what the table calls it is one of its names.
    pub(super) label_fits: bool,
    /// Why some rules were left out.
    pub(super) left_out: Vec<String>,
}

/// The names of an LLM, of which those `earlier` in the table are not: there the first one that fits wins.
pub(super) fn of(model: &Model, earlier: &[Model]) -> Names {
    let mut gathered = Gathered::default();
    gathered.take(&model.r#match);
    let is_first = |name: &String| !earlier.iter().any(|other| other.r#match.fits(name));
    gathered.parts.retain(is_first);
    gathered.names(&model.id, model.r#match.fits(&model.id))
}

impl Clause {
    /// Whether a name fits. A regular expression that is not read here is given the benefit of the doubt.
    fn fits(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        match self {
            Self::Equals(text) => name == text.to_ascii_lowercase(),
            Self::StartsWith(text) => name.starts_with(&text.to_ascii_lowercase()),
            Self::EndsWith(text) => name.ends_with(&text.to_ascii_lowercase()),
            Self::Contains(text) => name.contains(&text.to_ascii_lowercase()),
            Self::Regex(text) => {
                shapes(text).is_none_or(|shapes| shapes.iter().any(|shape| shape.fits(&name)))
            }
            Self::Or(clauses) => clauses.iter().any(|clause| clause.fits(&name)),
            Self::And(clauses) => clauses.iter().all(|clause| clause.fits(&name)),
        }
    }
}

/// What the rules say, sorted by how it can be used.
#[derive(Default)]
struct Gathered {
    whole: Vec<String>,
    /// Texts that a name need only contain; each is a name by itself.
    parts: Vec<String>,
    starts: Vec<String>,
    /// Names that may have a date behind them.
    dated: Vec<String>,
    left_out: Vec<String>,
}

impl Gathered {
    fn take(&mut self, clause: &Clause) {
        match clause {
            Clause::Equals(text) => self.whole.push(text.clone()),
            Clause::StartsWith(text) => self.starts.push(text.to_ascii_lowercase()),
            Clause::EndsWith(text) => self.take_part("ends_with", text),
            Clause::Contains(text) => self.take_part("contains", text),
            Clause::Regex(text) => self.take_regex(text),
            Clause::Or(clauses) => clauses.iter().for_each(|clause| self.take(clause)),
            Clause::And(_) => {
                self.left_out.push("rules that must all fit say no whole name".to_owned());
            }
        }
    }

    /// Takes of a rule about a part of a name only the one name that is the part; all others are a guess.
    fn take_part(&mut self, rule: &str, text: &str) {
        self.left_out.push(format!("{rule} {text:?} is a guess by a part of the name"));
        let ends = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        };
        if ends(text) {
            self.parts.push(text.to_owned());
        }
    }

    fn take_regex(&mut self, text: &str) {
        let Some(shapes) = shapes(text) else {
            let why = format!("the regular expression {text} is no name, nor one with a date");
            return self.left_out.push(why);
        };
        for shape in shapes {
            if shape.dated {
                self.dated.push(shape.stem);
            } else {
                self.whole.push(shape.stem);
            }
        }
    }

    /// The names. The label is the id if it fits the rules; the table may have made it up.
    fn names(mut self, label: &str, label_fits: bool) -> Names {
        let own = label_fits.then(|| label.to_owned());
        let mut others = self.whole.iter().chain(&self.starts).chain(&self.parts);
        let id = own.or_else(|| others.next().cloned());
        let mut known: BTreeSet<String> = id.iter().map(|id| id.to_ascii_lowercase()).collect();
        let mut aliases = self.whole;
        aliases.append(&mut self.parts);
        aliases.retain(|alias| known.insert(alias.to_ascii_lowercase()));
        self.dated.retain(|stem| {
            if !known.contains(stem) {
                self.left_out.push(format!("only with a date is {stem:?} a name of it"));
            }
            known.contains(stem)
        });
        Names {
            id,
            aliases,
            patterns: self.starts.iter().map(|start| format!("{start}*")).collect(),
            dated_ids: !self.dated.is_empty(),
            label_fits,
            left_out: self.left_out,
        }
    }
}

/// What a simple regular expression fits: a name in lower case, or a name with a date behind it.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    stem: String,
    dated: bool,
}

impl Shape {
    fn fits(&self, name: &str) -> bool {
        let Some(rest) = name.strip_prefix(&self.stem) else { return false };
        let date = rest.strip_prefix(['-', '@']).unwrap_or_default();
        let is_date = date.len() >= 8 && date.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        if self.dated { is_date } else { rest.is_empty() }
    }
}

/// How the table writes that a name ends in a date.
const DATES: &[&str] = &[r"-\d{8}", r"[-@]\d{8}", r"-\d{4}-\d{2}-\d{2}"];

/// The shapes of a regular expression that is bound at both ends; none where it is more than names and dates.
fn shapes(regex: &str) -> Option<Vec<Shape>> {
    let body = regex.strip_prefix('^')?.strip_suffix('$')?;
    let shape = |text: String| {
        let date = DATES.iter().find_map(|date| text.strip_suffix(date));
        Some(Shape { stem: literal(date.unwrap_or(&text))?, dated: date.is_some() })
    };
    without_options(body).into_iter().map(shape).collect()
}

/// The text with each `(…)?` once left out and once taken in.
fn without_options(text: &str) -> Vec<String> {
    let option = text.split_once('(').and_then(|(head, tail)| {
        let (inner, tail) = tail.split_once(")?")?;
        Some([format!("{head}{tail}"), format!("{head}{inner}{tail}")])
    });
    match option {
        Some(both) => both.iter().flat_map(|text| without_options(text)).collect(),
        None => vec![text.to_owned()],
    }
}

/// The text that a regular expression without any choice stands for, in lower case.
fn literal(regex: &str) -> Option<String> {
    let mut text = String::with_capacity(regex.len());
    let mut characters = regex.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.push(characters.next().filter(char::is_ascii_punctuation)?),
            '.' | '*' | '+' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '|' | '^' | '$' => {
                return None;
            }
            plain => text.push(plain.to_ascii_lowercase()),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_shapes(regex: &str, expected: Option<&[(&str, bool)]>) {
        let found = shapes(regex).map(|shapes| {
            shapes.into_iter().map(|shape| (shape.stem, shape.dated)).collect::<Vec<_>>()
        });
        let expected = expected.map(|shapes| {
            shapes.iter().map(|(stem, dated)| ((*stem).to_owned(), *dated)).collect()
        });
        assert_eq!(found, expected, "{regex}");
    }

    #[test]
    fn simple_regular_expressions_are_names_and_dates() {
        check_shapes(r"^composer-2\.5\[fast=true\]$", Some(&[("composer-2.5[fast=true]", false)]));
        check_shapes(r"^grok-4\.3-\d{8}$", Some(&[("grok-4.3", true)]));
        check_shapes(r"^claude-opus-5[-@]\d{8}$", Some(&[("claude-opus-5", true)]));
        check_shapes(r"^gpt-5-\d{4}-\d{2}-\d{2}$", Some(&[("gpt-5", true)]));
        check_shapes(
            r"^(a/)?b(-\d{8})?$",
            Some(&[("b", false), ("b", true), ("a/b", false), ("a/b", true)]),
        );
        check_shapes(r"^gemini-3\.5-flash-\d", None);
        check_shapes(r"^gpt-.*$", None);
        check_shapes(r"^gpt-\d$", None);
        check_shapes(r"^(?!.*-tts)$", None);
        check_shapes("gpt-5$", None);
    }
}
