//! Texts that differ in a number, such as addresses of documents: the few texts around it, and the numbers.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::bytes::{Cursor, put_bytes, put_number};
use super::effort::Effort;
use super::error::{Broken, SealError};
use super::numbers::{self, Numbers};
use super::texts::{List, decode_keys, decode_plain, encode_plain};

/// So many digits fit into 64 bits.
const MOST_DIGITS: usize = 19;
/// Stands in a frame where the number stood; no text that is split has it.
const GAP: char = '\0';
/// All texts together are this long at most, so that a few damaged bytes never ask for much memory.
const MOST_BYTES: usize = 1 << 26;
/// There are to be so many texts to a frame, or it does not pay.
const TEXTS_PER_FRAME: usize = 8;

/// Texts that were split: for each a frame, which is written like a key of a dictionary, and a number.
pub(super) struct Split<'t> {
    frames: Vec<Frame<'t>>,
    keys: Vec<u64>,
    numbers: Vec<u64>,
}

/// What stands around a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Frame<'t> {
    /// How many digits the number has where it begins with zeros, else 0.
    width: usize,
    before: &'t str,
    after: &'t str,
}

/// Splits texts at their last number; none where that does not pay.
pub(super) fn split<'t>(list: &[&'t str]) -> Option<Split<'t>> {
    let bytes: usize = list.iter().map(|text| text.len()).sum();
    // A look at the first ones spares most of the work where the texts are no such texts.
    let sample = &list[..list.len().min(256)];
    let pays = list.len() >= TEXTS_PER_FRAME && bytes <= MOST_BYTES;
    if !pays || sample.len() < list.len() && split_all(sample).is_none() {
        return None;
    }
    split_all(list)
}

fn split_all<'t>(list: &[&'t str]) -> Option<Split<'t>> {
    let most = list.len() / TEXTS_PER_FRAME;
    let mut places: HashMap<Frame<'t>, u64, RandomState> = HashMap::default();
    let mut split = Split { frames: Vec::new(), keys: Vec::new(), numbers: Vec::new() };
    let mut last: Option<(Frame<'t>, u64)> = None;
    for text in list {
        let (frame, number) = split_one(text)?;
        let known = last.filter(|(known, _)| *known == frame).map(|(_, place)| place);
        let known = known.or_else(|| places.get(&frame).copied());
        let place = known.unwrap_or(split.frames.len() as u64);
        if known.is_none() {
            split.frames.push(frame);
            places.insert(frame, place);
            if split.frames.len() > most {
                return None;
            }
        }
        last = Some((frame, place));
        split.keys.push(known.map_or(0, |place| place + 1));
        split.numbers.push(number);
    }
    Some(split)
}

fn split_one(text: &str) -> Option<(Frame<'_>, u64)> {
    let bytes = text.as_bytes();
    let end = bytes.iter().rposition(u8::is_ascii_digit)? + 1;
    let digits = bytes[..end].iter().rev().take_while(|byte| byte.is_ascii_digit());
    let begin = end - digits.take(MOST_DIGITS).count();
    let (before, digits, after) = (&text[..begin], &text[begin..end], &text[end..]);
    let width = if digits.len() > 1 && digits.starts_with('0') { digits.len() } else { 0 };
    let split = !before.contains(GAP) && !after.contains(GAP);
    split.then_some((Frame { width, before, after }, digits.parse().ok()?))
}

/// Writes texts that were split.
pub(super) fn encode(to: &mut Vec<u8>, split: &Split<'_>, effort: Effort) -> Result<(), SealError> {
    let frames: Vec<String> = split.frames.iter().map(Frame::text).collect();
    let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
    let (mut list, mut keys) = (Vec::new(), Vec::new());
    encode_plain(&mut list, &frames, effort)?;
    numbers::encode(&mut keys, &split.keys, effort)?;
    put_number(to, frames.len() as u64);
    put_bytes(to, &list);
    put_bytes(to, &keys);
    numbers::encode(to, &split.numbers, effort)
}

/// Texts as they were written: who asks for a few of them has no other made.
#[derive(Debug)]
pub(super) struct Numbered {
    frames: List,
    /// For each text its frame; none where each has its own.
    keys: Option<Vec<u32>>,
    numbers: Numbers,
}

/// Reads so many texts, from bytes that hold nothing else.
pub(super) fn decode(bytes: &[u8], count: usize) -> Result<Numbered, Broken> {
    let mut cursor = Cursor(bytes);
    let distinct = cursor.at_most(count)?;
    let frames = decode_plain(cursor.bytes()?, distinct)?;
    let keys = decode_keys(cursor.bytes()?, count, distinct)?;
    let numbers = numbers::read(cursor.0.to_vec(), 0..cursor.0.len(), count)?;
    let read = Numbered { frames, keys, numbers };
    let frames = read.frames.iter().map(Frame::read).collect::<Option<Vec<_>>>();
    let frames = frames.ok_or(Broken("a text around a number is none"))?;
    if read.is_larger(&frames, MOST_BYTES) {
        return Err(Broken("its texts are larger than they can be"));
    }
    Ok(read)
}

impl Numbered {
    /// The text at a place.
    pub(super) fn text(&self, at: usize) -> String {
        let mut text = String::new();
        if let Some(frame) = Frame::read(self.frames.get(self.key(at))) {
            frame.write(self.numbers.get(at), &mut text);
        }
        text
    }

    /// All texts.
    pub(super) fn list(&self) -> List {
        let frames: Vec<_> = self.frames.iter().map(Frame::read).collect();
        let mut list = List::default();
        for (at, number) in self.numbers.iter().enumerate() {
            if let Some(frame) = &frames[self.key(at)] {
                frame.write(number, &mut list.text);
            }
            list.close();
        }
        list
    }

    fn key(&self, at: usize) -> usize {
        self.keys.as_ref().map_or(at, |keys| keys[at] as usize)
    }

    /// Whether all texts together have more bytes.
    fn is_larger(&self, frames: &[Frame<'_>], most: usize) -> bool {
        let longest = frames.iter().map(|frame| frame.length(u64::MAX)).max().unwrap_or_default();
        let is_far = self.numbers.len().checked_mul(longest).is_some_and(|all| all <= most);
        if is_far {
            return false;
        }
        let length = |(at, number)| frames[self.key(at)].length(number);
        self.numbers.iter().enumerate().map(length).fold(0, usize::saturating_add) > most
    }
}

impl<'t> Frame<'t> {
    fn text(&self) -> String {
        let Self { width, before, after } = self;
        format!("{width} {before}{GAP}{after}")
    }

    /// None where it is no frame.
    fn read(text: &'t str) -> Option<Self> {
        let (width, around) = text.split_once(' ')?;
        let (before, after) = around.split_once(GAP)?;
        let width = width.parse().ok().filter(|width| *width <= MOST_DIGITS)?;
        Some(Self { width, before, after })
    }

    /// How many bytes it takes around a number.
    fn length(&self, number: u64) -> usize {
        let digits = number.checked_ilog10().map_or(1, |digits| digits as usize + 1);
        self.before.len() + self.after.len() + digits.max(self.width)
    }

    fn write(&self, number: u64, to: &mut String) {
        to.push_str(self.before);
        put_decimal(number, self.width, to);
        to.push_str(self.after);
    }
}

/// The number in decimal, with zeros before it up to a width. Three times as fast as a format.
fn put_decimal(mut number: u64, width: usize, to: &mut String) {
    let mut digits = [b'0'; 20];
    let mut begin = digits.len();
    while number > 0 || begin == digits.len() {
        begin -= 1;
        digits[begin] = b'0' + (number % 10).to_le_bytes()[0];
        number /= 10;
    }
    let begin = begin.min(digits.len() - width.min(digits.len()));
    to.push_str(std::str::from_utf8(&digits[begin..]).unwrap_or_default());
}
