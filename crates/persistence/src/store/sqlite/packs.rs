//! Sums of one minute by something of which there is much, such as users: many windows in one row.
//!
//! A row for each of some hundred users, in every minute, would take longer to write than all else of a batch. When they are
//! rolled up, each goes into the row of its hour.

use std::collections::BTreeMap;

use crate::store::block::{Broken, Cursor};
use crate::store::{Numbers, WindowBytes};

/// The version that is written, and the newest that is read.
const VERSION: u8 = 1;

/// No windows yet.
pub(super) fn empty() -> WindowBytes {
    WindowBytes { bytes: vec![VERSION], numbers: Numbers::default() }
}

/// Adds the window of a key to others.
pub(super) fn push(pack: &mut WindowBytes, key: Option<&str>, window: &WindowBytes) {
    push_bytes(&mut pack.bytes, key, &window.bytes);
    pack.numbers = plus(pack.numbers, window.numbers);
}

/// Keys come behind one another in whatever order. What has no key is told apart from an empty one.
fn push_bytes(to: &mut Vec<u8>, key: Option<&str>, window: &[u8]) {
    put_length(to, key.map_or(0, |key| key.len() + 1));
    to.extend(key.unwrap_or_default().as_bytes());
    put_length(to, window.len());
    to.extend(window);
}

fn put_length(to: &mut Vec<u8>, length: usize) {
    to.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

/// Makes one of several: of windows of one key by merging them, all others stay as they are.
pub(super) fn together(
    packs: &[WindowBytes],
    merge: impl Fn(&[&[u8]]) -> Result<WindowBytes, String>,
) -> Result<WindowBytes, String> {
    let mut keys = BTreeMap::<Option<&str>, Vec<&[u8]>>::new();
    let mut all = empty();
    for pack in packs {
        for (key, window) in windows(&pack.bytes)? {
            keys.entry(key).or_default().push(window);
        }
        all.numbers = plus(all.numbers, pack.numbers);
    }
    for (key, windows) in keys {
        match windows[..] {
            [window] => push_bytes(&mut all.bytes, key, window),
            _ => push_bytes(&mut all.bytes, key, &merge(&windows)?.bytes),
        }
    }
    Ok(all)
}

/// A key and its window.
pub(super) type Keyed<'b> = (Option<&'b str>, &'b [u8]);

/// The windows of a row, each with its key.
pub(super) fn windows(bytes: &[u8]) -> Result<Vec<Keyed<'_>>, String> {
    let mut cursor = Cursor(bytes);
    let version = cursor.byte().map_err(said)?;
    if version != VERSION {
        return Err(format!(
            "its sums have version {version}, and this library reads up to {VERSION}"
        ));
    }
    let mut windows = Vec::new();
    while !cursor.0.is_empty() {
        let key = match length(&mut cursor)?.checked_sub(1) {
            Some(length) => Some(cursor.take(length).map_err(said)?),
            None => None,
        };
        let key = key.map(std::str::from_utf8).transpose().map_err(|error| error.to_string())?;
        let length = length(&mut cursor)?;
        windows.push((key, cursor.take(length).map_err(said)?));
    }
    Ok(windows)
}

fn length(cursor: &mut Cursor<'_>) -> Result<usize, String> {
    // What does not fit is longer than all that there is.
    let length = cursor.array().map(u32::from_le_bytes).map_err(said)?;
    Ok(usize::try_from(length).unwrap_or(usize::MAX))
}

fn said(broken: Broken) -> String {
    format!("reading a row of sums: {}", broken.0)
}

/// Both together.
fn plus(one: Numbers, other: Numbers) -> Numbers {
    let mut sum = one;
    for (own, more) in [
        (&mut sum.count, other.count),
        (&mut sum.failed, other.failed),
        (&mut sum.duration_ns, other.duration_ns),
        (&mut sum.input_tokens, other.input_tokens),
        (&mut sum.output_tokens, other.output_tokens),
        (&mut sum.unpriced, other.unpriced),
    ] {
        *own = own.saturating_add(more);
    }
    sum.cost_usd += other.cost_usd;
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn windows_come_back(kept in prop::collection::vec((prop::option::of(".{0,9}"), prop::collection::vec(any::<u8>(), 0..40)), 0..9), cut: prop::sample::Index) {
            let mut pack = empty();
            for (key, window) in &kept {
                push_bytes(&mut pack.bytes, key.as_deref(), window);
            }
            let read = windows(&pack.bytes).unwrap();
            let expected: Vec<_> = kept.iter().map(|(key, window)| (key.as_deref(), window.as_slice())).collect();
            prop_assert_eq!(read, expected.clone());
            let cut = cut.index(pack.bytes.len());
            if let Ok(fewer) = windows(&pack.bytes[..cut]) {
                prop_assert!(cut > 0 && expected.starts_with(&fewer));
            }
            pack.bytes[0] += 1;
            prop_assert!(windows(&pack.bytes).is_err_and(|wrong| wrong.contains("version 2")));
        }

        #[test]
        fn no_bytes_make_it_panic(mut bytes: Vec<u8>) {
            let _ = windows(&bytes);
            bytes.insert(0, VERSION);
            let _ = windows(&bytes);
        }
    }
}
