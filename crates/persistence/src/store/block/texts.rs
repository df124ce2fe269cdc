//! A column of texts: each different text once, and for each row which of them it has.
//!
//! The list of texts has them in the order in which the rows name them first. A row that names a new text has the key 0,
//! one that names a known text has its place in the list, counted from 1: so a column of texts that are all different
//! has no keys to speak of.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use taximeter_models::Name;

use super::bytes::{Cursor, put_bytes, put_number};
use super::effort::Effort;
use super::error::{Broken, SealError};
use super::numbered::{self, Numbered};
use super::numbers::{self, Words};
use super::squeeze;

mod form {
    pub(super) const PLAIN: u8 = 0;
    pub(super) const NUMBERED: u8 = 1;
}

/// The texts of a column.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// How many different ones there are.
    distinct: usize,
    list: OnceLock<List>,
    /// Of which the list is made where somebody asks for all of it; none where it is there.
    split: Option<Numbered>,
    /// For each row its place in the list; none where each row has its own.
    keys: Option<Vec<u32>>,
    names: OnceLock<Vec<Name>>,
}

/// The names of a list so short are made together and kept: rows ask for them again and again.
const FEW: usize = 64;

impl Texts {
    pub(super) fn len(&self) -> usize {
        self.keys.as_ref().map_or(self.distinct, Vec::len)
    }

    /// How many different texts there are.
    pub(super) fn distinct(&self) -> usize {
        self.distinct
    }

    pub(super) fn key(&self, row: usize) -> usize {
        self.keys.as_ref().map_or(row, |keys| keys[row] as usize)
    }

    /// For each row the place of its text in the list.
    pub(super) fn keys(&self) -> Cow<'_, [u32]> {
        match &self.keys {
            Some(keys) => Cow::Borrowed(keys),
            None => (0..).take(self.distinct).collect(),
        }
    }

    pub(super) fn text(&self, row: usize) -> Cow<'_, str> {
        self.different(self.key(row))
    }

    /// The text at a place of the list of different ones.
    pub(super) fn different(&self, place: usize) -> Cow<'_, str> {
        match (self.list.get(), &self.split) {
            (None, Some(split)) => split.text(place).into(),
            _ => self.list().get(place).into(),
        }
    }

    pub(super) fn name(&self, row: usize) -> Name {
        let place = self.key(row);
        if self.distinct <= FEW || self.names.get().is_some() {
            self.names()[place].clone()
        } else {
            Name::from(&*self.different(place))
        }
    }

    /// The different texts.
    pub(super) fn list(&self) -> &List {
        self.list.get_or_init(|| self.split.as_ref().map(Numbered::list).unwrap_or_default())
    }

    /// The different texts, as names.
    pub(super) fn names(&self) -> &[Name] {
        self.names.get_or_init(|| self.list().iter().map(Name::from).collect())
    }
}

/// Texts, one behind the other.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct List {
    pub(super) text: String,
    pub(super) ends: Vec<u32>,
}

impl List {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, at: usize) -> &str {
        let begin = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[begin as usize..self.ends[at] as usize]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// Adds a text. A list that came above 4 GiB is refused where it is written.
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.close();
    }

    /// Makes a text of what was added to the end.
    pub(super) fn close(&mut self) {
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
    }
}

/// The texts of a column on their way into a block, as they come or with their keys already.
#[derive(Debug, Default, Clone)]
pub(super) struct Gathered {
    /// One for each row, or each different one once where there are keys.
    list: List,
    keys: Option<Vec<u64>>,
}

impl Gathered {
    pub(super) fn len(&self) -> usize {
        self.keys.as_ref().map_or(self.list.len(), Vec::len)
    }

    /// Adds the text of the next row.
    pub(super) fn push(&mut self, text: &str) {
        self.list.push(text);
    }

    /// The texts of some rows of several columns. A text that a column has in many rows is looked at once.
    pub(super) fn of_runs<'t>(
        runs: impl IntoIterator<Item = (usize, Range<usize>)>,
        columns: &'t [Arc<Texts>],
    ) -> Self {
        let mut list = List::default();
        let mut places: HashMap<&'t str, u64, RandomState> = HashMap::default();
        // For each text of a column its key; 0 is not known yet.
        let mut known: Vec<Vec<u64>> =
            columns.iter().map(|texts| vec![0; texts.distinct()]).collect();
        let mut keys = Vec::new();
        for (column, rows) in runs {
            let (texts, known) = (&*columns[column], &mut known[column]);
            keys.extend(rows.map(|row| {
                let own = texts.key(row);
                if known[own] > 0 {
                    return known[own];
                }
                let text = texts.list().get(own);
                let key = *places.entry(text).or_insert(list.len() as u64 + 1);
                known[own] = key;
                let is_new = key > list.len() as u64;
                if is_new {
                    list.push(text);
                }
                if is_new { 0 } else { key }
            }));
        }
        Self { list, keys: Some(keys) }
    }
}

/// The different ones of some texts, and for each text its key as it is written.
pub(super) struct Dictionary<'t> {
    pub(super) list: Vec<&'t str>,
    pub(super) keys: Cow<'t, [u64]>,
}

fn dictionary(texts: &List) -> Dictionary<'_> {
    let mut places: HashMap<&str, usize, RandomState> = HashMap::default();
    let mut list: Vec<&str> = Vec::new();
    // For each text the one that came after it the last time: texts often come in turns.
    let mut after: Vec<usize> = Vec::new();
    let mut last = 0;
    let keys = texts.iter().map(|text| {
        let guess = after.get(last).copied().filter(|guess| list.get(*guess) == Some(&text));
        let (place, new) = guess.map_or_else(
            || {
                let place = *places.entry(text).or_insert(list.len());
                (place, place == list.len())
            },
            |guess| (guess, false),
        );
        if new {
            list.push(text);
            after.push(place);
        }
        after[last] = place;
        last = place;
        if new { 0 } else { place as u64 + 1 }
    });
    let keys = keys.collect::<Vec<_>>().into();
    Dictionary { list, keys }
}

/// Writes texts, and hands out the different ones.
pub(super) fn encode<'t>(
    to: &mut Vec<u8>,
    texts: &'t Gathered,
    effort: Effort,
) -> Result<Vec<&'t str>, SealError> {
    let Gathered { list, keys } = texts;
    if u32::try_from(list.text.len()).is_err() {
        let rows = list.text.len();
        return Err(SealError::TooMany { what: "bytes of text", rows, most: u32::MAX as usize });
    }
    let dictionary = match keys {
        Some(keys) => Dictionary { list: list.iter().collect(), keys: keys.into() },
        None => dictionary(list),
    };
    encode_dictionary(to, &dictionary, effort)?;
    Ok(dictionary.list)
}

/// Writes different texts, and a key for each row.
pub(super) fn encode_dictionary(
    to: &mut Vec<u8>,
    texts: &Dictionary<'_>,
    effort: Effort,
) -> Result<(), SealError> {
    put_number(to, texts.list.len() as u64);
    let mut written = Vec::new();
    encode_list(&mut written, &texts.list, effort)?;
    put_bytes(to, &written);
    numbers::encode(to, &texts.keys, effort)
}

fn encode_list(to: &mut Vec<u8>, list: &[&str], effort: Effort) -> Result<(), SealError> {
    if let Some(split) = numbered::split(list) {
        to.push(form::NUMBERED);
        return numbered::encode(to, &split, effort);
    }
    to.push(form::PLAIN);
    encode_plain(to, list, effort)
}

/// Writes texts as their lengths and one compressed text of all.
pub(super) fn encode_plain(
    to: &mut Vec<u8>,
    list: &[&str],
    effort: Effort,
) -> Result<(), SealError> {
    let lengths: Vec<u64> = list.iter().map(|text| text.len() as u64).collect();
    let mut written = Vec::new();
    numbers::encode(&mut written, &lengths, effort)?;
    put_bytes(to, &written);
    squeeze::encode(to, list.concat().as_bytes(), effort)
}

/// Reads so many texts, from bytes that hold nothing else.
pub(super) fn decode(bytes: &[u8], count: usize) -> Result<Texts, Broken> {
    let mut cursor = Cursor(bytes);
    let distinct = cursor.at_most(count)?;
    let mut list = Cursor(cursor.bytes()?);
    let (list, split) = match list.byte()? {
        form::PLAIN => (decode_plain(list.0, distinct)?.into(), None),
        form::NUMBERED => (OnceLock::new(), Some(numbered::decode(list.0, distinct)?)),
        _ => return Err(Broken("its texts have a form that is not known")),
    };
    let keys = decode_keys(cursor.0, count, distinct)?;
    Ok(Texts { distinct, list, split, keys, names: OnceLock::new() })
}

/// The place of each row's text from the keys as they are written; none where each row has its own.
pub(super) fn decode_keys(
    bytes: &[u8],
    rows: usize,
    distinct: usize,
) -> Result<Option<Vec<u32>>, Broken> {
    match numbers::decode_words(bytes, rows)? {
        Words::Constant(0, count) if count == distinct => Ok(None),
        // A second row of a constant column would name a new text or none.
        Words::Constant(..) => Err(OUTSIDE),
        Words::Short(keys) => places(&keys, distinct).map(Some),
        Words::Word(keys) => places(&keys, distinct).map(Some),
    }
}

const OUTSIDE: Broken = Broken("a key points outside of its list of texts");

fn places<K: Copy + Into<u32>>(keys: &[K], distinct: usize) -> Result<Vec<u32>, Broken> {
    let distinct = u32::try_from(distinct).map_err(|_| OUTSIDE)?;
    let mut places = Vec::with_capacity(keys.len());
    let (mut next, mut within) = (0_u32, true);
    let mut rest = keys;
    while let ([key, more @ ..], true) = (rest, next < distinct) {
        let key: u32 = (*key).into();
        places.push(if key == 0 { next } else { key - 1 });
        next += u32::from(key == 0);
        within &= key <= next;
        rest = more;
    }
    // Once every text was named, the loop has nothing to remember from row to row, and runs four times as fast.
    let known = rest.iter().map(|key| {
        let place = (*key).into().wrapping_sub(1);
        within &= place < distinct;
        place
    });
    places.extend(known);
    if within && next == distinct { Ok(places) } else { Err(OUTSIDE) }
}

pub(super) fn decode_plain(bytes: &[u8], count: usize) -> Result<List, Broken> {
    let mut cursor = Cursor(bytes);
    let lengths = numbers::decode(cursor.bytes()?, count)?;
    let text = String::from_utf8(squeeze::decode(cursor.0)?)
        .map_err(|_| Broken("its texts are no UTF-8"))?;
    let mut ends = Vec::with_capacity(count);
    let mut end = 0_u64;
    for length in lengths.iter() {
        end = end.saturating_add(length);
        let fits = usize::try_from(end).is_ok_and(|end| text.is_char_boundary(end));
        ends.push(
            u32::try_from(end).ok().filter(|_| fits).ok_or(Broken("a text has another length"))?,
        );
    }
    if end == text.len() as u64 {
        Ok(List { text, ends })
    } else {
        Err(Broken("a text has another length"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(texts: &[String]) -> Gathered {
        let mut list = Gathered::default();
        for text in texts {
            list.push(text);
        }
        list
    }

    fn back(texts: &[String]) -> usize {
        back_from(texts, Effort::Quick);
        back_from(texts, Effort::Small)
    }

    fn back_from(texts: &[String], effort: Effort) -> usize {
        let mut bytes = Vec::new();
        encode(&mut bytes, &list(texts), effort).unwrap();
        let read = decode(&bytes, texts.len()).unwrap();
        let all = || (0..read.len()).map(|row| read.text(row).into_owned()).collect::<Vec<_>>();
        assert_eq!(all(), texts);
        assert_eq!(read.distinct(), read.list().len());
        // Now that the list is made, out of this.
        assert_eq!(all(), texts);
        let mut names = read.names().to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), read.list().len(), "a text is in the list twice");
        bytes.len()
    }

    #[test]
    fn urls_with_numbers_shrink_to_their_numbers() {
        let urls = |step: usize| -> Vec<String> {
            (0..2_000)
                .map(|row| format!("https://example.org/doc/{}", row * step % 7_919))
                .collect()
        };
        assert!(back(&urls(1)) < 200);
        // Each of 13 bits, which is 1.6 bytes.
        assert!(back(&urls(6_007)) < 2 * 2_000);
    }

    #[test]
    fn texts_of_every_shape_come_back() {
        let texts =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        back(&[]);
        back(&texts(&[""]));
        back(&texts(&["", "", "a", "", "a", "ü", "ü"]));
        let many = |text: &dyn Fn(usize) -> String| (0..300).map(text).collect::<Vec<_>>();
        back(&many(&|row| format!("a{row:05}b")));
        back(&many(&|row| format!("a\0{row}")));
        back(&many(&|row| format!("{row}")));
        back(&many(&|row| format!("{row}{}", "9".repeat(row))));
        back(&many(&|row| format!("{}", u64::MAX - row as u64)));
        back(&many(&|row| format!("same {}", row % 2)));
    }

    proptest! {
        #[test]
        fn texts_come_back(texts in prop::collection::vec("[a-c0-2]{0,3}|\\PC{0,9}|x0{0,3}[0-9]{1,21}", 0..80)) {
            back(&texts);
        }

        #[test]
        fn runs_of_columns_are_one_column(
            columns in prop::collection::vec(prop::collection::vec("[a-c]{0,2}|x[0-9]{1,3}", 1..40), 1..4),
            runs in prop::collection::vec((any::<prop::sample::Index>(), 0..40_usize, 0..40_usize), 0..9),
        ) {
            let read = columns.iter().map(|texts| {
                let mut bytes = Vec::new();
                encode(&mut bytes, &list(texts), Effort::Quick).unwrap();
                Arc::new(decode(&bytes, texts.len()).unwrap())
            });
            let read: Vec<Arc<Texts>> = read.collect();
            let runs: Vec<(usize, Range<usize>)> = runs.iter().map(|(column, from, to)| {
                let column = column.index(columns.len());
                let rows = columns[column].len();
                (column, *from.min(&rows)..*to.max(from).min(&rows))
            }).collect();
            let texts = |(column, rows): &(usize, Range<usize>)| columns[*column][rows.clone()].to_vec();
            let expected: Vec<String> = runs.iter().flat_map(texts).collect();
            let (mut merged, mut bytes) = (Vec::new(), Vec::new());
            let gathered = Gathered::of_runs(runs, &read);
            prop_assert_eq!(gathered.len(), expected.len());
            encode(&mut merged, &gathered, Effort::Small).unwrap();
            encode(&mut bytes, &list(&expected), Effort::Small).unwrap();
            prop_assert_eq!(merged, bytes);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, count in 0..2_000_usize) {
            let _ = decode(&bytes, count);
        }

        #[test]
        fn damaged_bytes_make_no_panic(
            texts in prop::collection::vec("a?b?[0-9]{0,3}", 1..80), at: prop::sample::Index, byte: u8, count in 0..90_usize,
        ) {
            let mut bytes = Vec::new();
            encode(&mut bytes, &list(&texts), Effort::Small).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(read) = decode(&bytes, count) {
                (0..read.len()).for_each(|row| { let _ = read.text(row); });
            }
        }
    }
}
