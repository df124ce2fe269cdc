//! Texts that differ in a number, such as addresses of documents: the few texts around it, and the numbers.

use super::bytes::{Cursor, put_bytes, put_number};
use super::error::{Broken, SealError};
use super::numbers;
use super::texts::{Dictionary, List, decode_keys, decode_plain, dictionary, encode_plain};

/// So many digits fit into 64 bits.
const MOST_DIGITS: usize = 19;
/// Stands in a frame where the number stood; no text that is split has it.
const GAP: char = '\0';
/// All texts together are this long at most, so that a few damaged bytes never ask for much memory.
const MOST_BYTES: usize = 1 << 26;
/// There are to be so many texts to a frame, or it does not pay.
const TEXTS_PER_FRAME: usize = 8;

/// Texts that were split: a frame and a number for each.
pub(super) struct Split {
    frames: Vec<String>,
    numbers: Vec<u64>,
}

/// Splits texts at their last number; none where that does not pay.
pub(super) fn split(list: &[&str]) -> Option<Split> {
    // A look at the first ones spares most of the work where the texts are no such texts.
    let sample = &list[..list.len().min(256)];
    if list.len() < TEXTS_PER_FRAME || sample.len() < list.len() && split_all(sample).is_none() {
        return None;
    }
    split_all(list)
}

fn split_all(list: &[&str]) -> Option<Split> {
    let bytes: usize = list.iter().map(|text| text.len()).sum();
    if bytes > MOST_BYTES {
        return None;
    }
    let (frames, numbers) = list.iter().map(|text| split_one(text)).collect::<Option<_>>()?;
    let split = Split { frames, numbers };
    let pays = dictionary(&split.frames).list.len() * TEXTS_PER_FRAME <= list.len();
    pays.then_some(split)
}

/// The frame holds how many digits the number has where it begins with zeros, else 0, and what stands around it.
fn split_one(text: &str) -> Option<(String, u64)> {
    if text.contains(GAP) {
        return None;
    }
    let end = text.rfind(|c: char| c.is_ascii_digit())? + 1;
    let begin = text[..end]
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |before| before + text[before..].chars().next().map_or(1, char::len_utf8));
    let begin = begin.max(end.saturating_sub(MOST_DIGITS));
    let digits = &text[begin..end];
    let width = if digits.len() > 1 && digits.starts_with('0') { digits.len() } else { 0 };
    let frame = format!("{width} {}{GAP}{}", &text[..begin], &text[end..]);
    Some((frame, digits.parse().ok()?))
}

/// Writes texts that were split.
pub(super) fn encode(to: &mut Vec<u8>, split: &Split) -> Result<(), SealError> {
    let Dictionary { list, keys } = dictionary(&split.frames);
    let (mut frames, mut places) = (Vec::new(), Vec::new());
    encode_plain(&mut frames, &list)?;
    numbers::encode(&mut places, &keys)?;
    put_number(to, list.len() as u64);
    put_bytes(to, &frames);
    put_bytes(to, &places);
    numbers::encode(to, &split.numbers)
}

/// Reads so many texts, from bytes that hold nothing else.
pub(super) fn decode(bytes: &[u8], count: usize) -> Result<List, Broken> {
    let mut cursor = Cursor(bytes);
    let distinct = cursor.at_most(count)?;
    let frames = decode_plain(cursor.bytes()?, distinct)?;
    let frames = frames.iter().map(Frame::read).collect::<Result<Vec<_>, _>>()?;
    let keys = decode_keys(&numbers::decode(cursor.bytes()?, count)?, distinct)?;
    let numbers = numbers::decode(cursor.0, count)?;
    let mut list = List::default();
    for (row, number) in numbers.iter().enumerate() {
        let key = keys.as_ref().map_or(row, |keys| keys[row] as usize);
        frames[key].write(number, &mut list.text);
        list.close()?;
        if list.text.len() > MOST_BYTES {
            return Err(Broken("its texts are larger than they can be"));
        }
    }
    Ok(list)
}

struct Frame<'t> {
    width: usize,
    before: &'t str,
    after: &'t str,
}

impl<'t> Frame<'t> {
    fn read(text: &'t str) -> Result<Self, Broken> {
        let read = || {
            let (width, around) = text.split_once(' ')?;
            let (before, after) = around.split_once(GAP)?;
            let width = width.parse().ok().filter(|width| *width <= MOST_DIGITS)?;
            Some(Self { width, before, after })
        };
        read().ok_or(Broken("a text around a number is none"))
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
