//! Finding keys, tokens and passwords in a text, by how they look and by what stands before them.
//!
//! A text is looked at twice: [`is_suspicious`] tells in some nanoseconds that most texts hold nothing, of which nearly
//! all are known still sooner to be harmless; the others are read word by word.

use std::ops::Range;

use super::names::{SecretName, scheme};

/// Stands where a secret stood.
pub(crate) const MASK: &str = "***";

/// A key has no fewer characters than this, its prefix included.
pub(crate) const SHORTEST: usize = 16;

/// What the characters after a prefix must be.
#[derive(Debug, Clone, Copy)]
enum Tail {
    /// At least so many letters, digits, `-` and `_`; not all of them small letters.
    Mixed(usize),
    /// So many capital letters and digits, and no more.
    Capitals(usize),
    /// So many hexadecimal digits, and no more.
    Hex(usize),
}

/// How the keys of providers begin, and what follows; from the providers' own documentation and the secret formats
/// that GitHub's scanner lists.
const PREFIXES: [(&str, Tail); 56] = [
    ("sk-", Tail::Mixed(13)),
    ("pk-lf-", Tail::Mixed(16)),
    ("sk_live_", Tail::Mixed(16)),
    ("sk_test_", Tail::Mixed(16)),
    ("rk_live_", Tail::Mixed(16)),
    ("rk_test_", Tail::Mixed(16)),
    ("sk_", Tail::Mixed(24)),
    ("csk-", Tail::Mixed(16)),
    ("gsk_", Tail::Mixed(16)),
    ("xai-", Tail::Mixed(16)),
    ("pplx-", Tail::Mixed(16)),
    ("nvapi-", Tail::Mixed(16)),
    ("tvly-", Tail::Mixed(12)),
    ("fw_", Tail::Mixed(17)),
    ("fc-", Tail::Mixed(24)),
    ("hf_", Tail::Mixed(17)),
    ("api_org_", Tail::Mixed(16)),
    ("r8_", Tail::Mixed(17)),
    ("jina_", Tail::Mixed(16)),
    ("pcsk_", Tail::Mixed(16)),
    ("tgp_v1_", Tail::Mixed(16)),
    ("pa-", Tail::Mixed(30)),
    ("lsv2_", Tail::Mixed(16)),
    ("ls__", Tail::Mixed(16)),
    ("lin_api_", Tail::Mixed(16)),
    ("whsec_", Tail::Mixed(16)),
    ("AIza", Tail::Mixed(30)),
    ("GOCSPX-", Tail::Mixed(16)),
    ("ya29", Tail::Mixed(20)),
    ("AKIA", Tail::Capitals(16)),
    ("ASIA", Tail::Capitals(16)),
    ("ABSK", Tail::Mixed(40)),
    ("LTAI", Tail::Mixed(16)),
    ("AC", Tail::Hex(32)),
    ("SK", Tail::Hex(32)),
    ("key-", Tail::Hex(32)),
    ("dapi", Tail::Hex(32)),
    ("ghp_", Tail::Mixed(30)),
    ("gho_", Tail::Mixed(30)),
    ("ghu_", Tail::Mixed(30)),
    ("ghs_", Tail::Mixed(30)),
    ("ghr_", Tail::Mixed(30)),
    ("github_pat_", Tail::Mixed(22)),
    ("glpat-", Tail::Mixed(16)),
    ("xoxb-", Tail::Mixed(16)),
    ("xoxp-", Tail::Mixed(16)),
    ("xoxa-", Tail::Mixed(16)),
    ("xoxs-", Tail::Mixed(16)),
    ("xapp-", Tail::Mixed(16)),
    ("SG", Tail::Mixed(60)),
    ("npm_", Tail::Mixed(30)),
    ("pypi-", Tail::Mixed(30)),
    ("dop_v1_", Tail::Mixed(30)),
    ("shpat_", Tail::Mixed(30)),
    ("hvs", Tail::Mixed(24)),
    ("eyJ", Tail::Mixed(24)),
];

/// The prefixes whose keys have dots in them, and would be ordinary words without.
const DOTTED: [&str; 4] = ["eyJ", "SG", "ya29", "hvs"];

/// Whether a text may hold a secret. Nearly all that hold none are known here: they have no `=`, no `@`, no `:` but in
/// `://`, no `Bearer` or `Basic`, and no word that is as long as a key and as mixed.
#[inline]
pub(crate) fn is_suspicious(text: &str) -> bool {
    !is_harmless(text.as_bytes()) && is_suspicious_closely(text)
}

#[inline(never)]
pub(super) fn is_suspicious_closely(text: &str) -> bool {
    has_key(text) || has_sign(text.as_bytes()) || has_scheme(text.as_bytes())
}

/// Whether there is a `bearer` or a `basic`, behind which a token of any length may come.
fn has_scheme(bytes: &[u8]) -> bool {
    let ends = |bytes: &[u8]| {
        [&b"bearer"[..], b"basic"].iter().any(|scheme| {
            let from = bytes.len().checked_sub(scheme.len());
            from.is_some_and(|from| bytes[from..].eq_ignore_ascii_case(scheme))
        })
    };
    let spaces = bytes.iter().enumerate().filter(|(_, byte)| **byte == b' ');
    spaces.map(|(place, _)| &bytes[..place]).any(ends)
}

/// Whether a text surely holds none of the three characters, no space, and no word that is as long as a key.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a call would cost half as much as the answer")]
pub(super) fn is_harmless(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"https://").unwrap_or(bytes);
    let signs = if let (Some((first, others)), Some(last)) =
        (bytes.split_first_chunk::<WIDE>(), bytes.last_chunk::<WIDE>())
    {
        (near_signs(first) | near_signs(last)) || have_near_signs(others.as_chunks().0)
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        near_signs::<HALF>(first) | near_signs::<HALF>(last)
    } else {
        bytes.iter().any(|byte| is_near_sign(*byte) || *byte == b' ')
    };
    // Who fills the first of these pieces and is as long as a key fills the second as well.
    !signs && (bytes.len() < SHORTEST || !bytes.as_chunks().0.iter().skip(1).any(may_be_word))
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "a call would cost as much as the answer")]
fn have_near_signs(pieces: &[[u8; WIDE]]) -> bool {
    for piece in pieces {
        if near_signs(piece) {
            return true;
        }
    }
    false
}

/// Half a key. A whole one fills at least one of the pieces of this length that a text falls into.
const HALF: usize = SHORTEST / 2;

/// Whether none of these bytes surely ends a word. All are looked at together: the compiler makes a few instructions of it.
#[inline]
#[expect(
    clippy::needless_bitwise_bool,
    clippy::trivially_copy_pass_by_ref,
    reason = "without a branch, many bytes are compared at once; they come as pieces of a text"
)]
fn may_be_word(bytes: &[u8; HALF]) -> bool {
    bytes.iter().fold(true, |all, byte| all & ((*byte >= b'0') | (*byte == b'-')))
}

/// Whether one of these bytes is a space, one of the three characters, or one of those between them.
#[inline]
fn near_signs<const N: usize>(bytes: &[u8; N]) -> bool {
    // One after the other: both are a few instructions for all bytes, which they together are not.
    let signs = bytes.iter().fold(false, |any, byte| any | is_near_sign(*byte));
    let spaces = bytes.iter().fold(0, |all, byte| all | u8::from(*byte == b' '));
    signs || spaces > 0
}

#[inline]
const fn is_near_sign(byte: u8) -> bool {
    byte.wrapping_sub(b':') <= b'@' - b':'
}

/// Whether there is a word that is as long as a key and has a digit or a capital letter.
#[inline]
pub(crate) fn has_key(text: &str) -> bool {
    text.len() >= SHORTEST && any(text.as_bytes(), is_drawn) && has_long_word(text.as_bytes())
}

/// A word of so many characters stands at one of the places that are looked at.
#[inline(never)]
fn has_long_word(bytes: &[u8]) -> bool {
    let mut place = SHORTEST - 1;
    while place < bytes.len() {
        // Such a word holds one of the two bytes that are half its length away as well.
        let is_word_at = |place: usize| bytes.get(place).is_some_and(|byte| is_word(*byte));
        let half = SHORTEST / 2;
        if is_word_at(place) && (is_word_at(place - half) || is_word_at(place + half)) {
            let (before, after) = bytes.split_at(place);
            let before = before.iter().rev().take_while(|byte| is_word(**byte)).count();
            let after = after.iter().take_while(|byte| is_word(**byte)).count();
            let word = &bytes[place - before..place + after];
            if word.len() >= SHORTEST && any(word, is_drawn) {
                return true;
            }
            place += after;
        }
        place += SHORTEST;
    }
    false
}

/// Whether written words hardly have such a character in their midst, and keys nearly always.
#[inline]
const fn is_drawn(byte: u8) -> bool {
    byte.is_ascii_digit() | byte.is_ascii_uppercase()
}

/// Whether there is a byte of a kind, in a text that is no shorter than a register. As many as fit into one are looked
/// at together; the last ones overlap with those before.
#[inline]
fn any(bytes: &[u8], kind: impl Fn(u8) -> bool + Copy) -> bool {
    let some = |wide: &[u8; WIDE]| wide.iter().fold(false, |any, byte| any | kind(*byte));
    let (all, _) = bytes.as_chunks::<WIDE>();
    all.iter().any(some) || bytes.last_chunk::<WIDE>().is_some_and(some)
}

/// The bytes of a register.
const WIDE: usize = 16;

/// Whether there is a `=`, a `@`, or a `:` that no `/` follows. What stands at the end gives a value to nothing.
#[inline]
fn has_sign(bytes: &[u8]) -> bool {
    // The pairs below begin with every byte but the last.
    if bytes.last() == Some(&b'@') {
        return true;
    }
    let Some((last, next)) = bytes
        .split_last()
        .and_then(|(_, first)| first.last_chunk::<WIDE>().zip(bytes.last_chunk::<WIDE>()))
    else {
        return bytes.windows(2).any(|pair| is_sign(pair[0], pair[1]));
    };
    let these = bytes.as_chunks::<WIDE>().0.iter();
    let nexts = bytes[1..].as_chunks::<WIDE>().0.iter();
    these.zip(nexts).any(|(these, next)| signs(these, next)) || signs(last, next)
}

/// Whether one of these bytes is a sign. All are looked at together: the compiler makes a few instructions of it.
#[inline]
fn signs(these: &[u8; WIDE], next: &[u8; WIDE]) -> bool {
    these.iter().zip(next).fold(false, |any, (byte, next)| any | is_sign(*byte, *next))
}

#[inline]
#[expect(
    clippy::needless_bitwise_bool,
    reason = "without a branch, many bytes are compared at once"
)]
const fn is_sign(byte: u8, next: u8) -> bool {
    (byte == b'=') | (byte == b'@') | ((byte == b':') & (next != b'/'))
}

/// The text with its secrets masked; none where it holds none.
pub(crate) fn masked(text: &str) -> Option<String> {
    let mut result = String::new();
    let mut copied = 0;
    for Range { start, end } in Words::new(text).secrets() {
        if start < copied {
            continue;
        }
        result.push_str(&text[copied..start]);
        result.push_str(MASK);
        copied = end;
    }
    (copied > 0).then(|| {
        result.push_str(&text[copied..]);
        result
    })
}

const fn is_word(byte: u8) -> bool {
    WORD[byte as usize]
}

/// The characters of words: letters, digits, `-` and `_`.
const WORD: [bool; 256] = {
    let mut word = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        word[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        byte += 1;
    }
    word
};

/// What may stand within a value that is no name: the characters of base64, of JWT and of RFC 6750's `b64token`.
const fn is_token(byte: u8) -> bool {
    is_word(byte) || matches!(byte, b'.' | b'+' | b'/' | b'=' | b'~')
}

/// A value does not go on behind one of these.
const fn ends_value(byte: u8) -> bool {
    byte.is_ascii_whitespace()
        || matches!(byte, b'&' | b';' | b',' | b')' | b'}' | b']' | b'>' | b'"' | b'\'' | b'`')
}

/// Whether a text looks drawn by lot rather than written: it has a digit, or capital and small letters.
fn is_mixed(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_digit)
        || (text.iter().any(u8::is_ascii_uppercase) && text.iter().any(u8::is_ascii_lowercase))
}

/// Reads a text word by word.
struct Words<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    /// The word before, for names of two words: `api key`.
    before: Range<usize>,
}

impl<'t> Words<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, before: 0..0 }
    }

    /// Where its secrets are, the first first.
    fn secrets(mut self) -> impl Iterator<Item = Range<usize>> {
        std::iter::from_fn(move || {
            while let Some(word) = self.next_word() {
                let found = self.secret(&word);
                self.before = word;
                if let Some(secret) = found.filter(|secret| !secret.is_empty()) {
                    self.at = self.at.max(secret.end);
                    return Some(secret);
                }
            }
            None
        })
    }

    fn next_word(&mut self) -> Option<Range<usize>> {
        let start = self.at + self.bytes[self.at..].iter().position(|byte| is_word(*byte))?;
        let end = self.run(start, is_word);
        self.at = end;
        Some(start..end)
    }

    /// Where the characters of a kind end that begin here.
    fn run(&self, from: usize, kind: impl Fn(u8) -> bool) -> usize {
        from + self.bytes[from..].iter().take_while(|byte| kind(**byte)).count()
    }

    fn secret(&self, word: &Range<usize>) -> Option<Range<usize>> {
        self.key(word)
            .or_else(|| self.private_key(word))
            .or_else(|| self.user_info(word))
            .or_else(|| self.authorization(word))
            .or_else(|| self.assigned(word))
    }

    /// A key that is known by its prefix.
    fn key(&self, word: &Range<usize>) -> Option<Range<usize>> {
        let text = &self.text[word.clone()];
        let (prefix, tail) = PREFIXES.iter().find(|(prefix, _)| text.starts_with(prefix))?;
        let dotted = DOTTED.contains(prefix);
        let start = word.start + prefix.len();
        let mut end = self.run(start, |byte| is_word(byte) || (dotted && byte == b'.'));
        while end > start && self.bytes[end - 1] == b'.' {
            end -= 1;
        }
        let rest = &self.bytes[start..end];
        let fits = match *tail {
            Tail::Mixed(least) => {
                // Of parts between dots, one is as long as a key.
                let dots = || rest.contains(&b'.') && has_key(&self.text[word.start..end]);
                rest.len() >= least && is_mixed(rest) && (!dotted || dots())
            }
            Tail::Capitals(length) => {
                rest.len() == length
                    && rest.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
            }
            Tail::Hex(length) => rest.len() == length && rest.iter().all(u8::is_ascii_hexdigit),
        };
        fits.then_some(word.start..end)
    }

    /// A private key in the form of RFC 7468.
    fn private_key(&self, word: &Range<usize>) -> Option<Range<usize>> {
        const END: &str = "-----END";
        let rest = self.text[word.start..].strip_prefix("-----BEGIN")?;
        let label = rest.find("PRIVATE KEY").filter(|at| *at < 32)?;
        let end = rest[label..].find(END).map_or(self.text.len(), |at| {
            let end = self.text.len() - rest.len() + label + at + END.len();
            let line = &self.text[end..];
            end + line.find('\n').unwrap_or(line.len())
        });
        Some(word.start..end)
    }

    /// User and password in a URL (RFC 3986, section 3.2.1).
    fn user_info(&self, word: &Range<usize>) -> Option<Range<usize>> {
        let authority = self.text[word.end..].strip_prefix("://")?;
        let stop = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<');
        let authority = &authority[..authority.find(stop).unwrap_or(authority.len())];
        let start = word.end + 3;
        authority.rfind('@').map(|at| start..start + at)
    }

    /// What follows `Bearer` or `Basic` (RFC 6750, RFC 7617).
    fn authorization(&self, word: &Range<usize>) -> Option<Range<usize>> {
        if !scheme(&self.text[word.clone()]) || self.bytes.get(word.end) != Some(&b' ') {
            return None;
        }
        let start = word.end + 1;
        let end = self.run(start, is_token);
        let value = &self.bytes[start..end];
        (value.len() >= 8 && is_mixed(value)).then_some(start..end)
    }

    /// A value that is given to a secret name: `password=…`, `"api_key": "…"`.
    fn assigned(&self, word: &Range<usize>) -> Option<Range<usize>> {
        let quoted = self.run(word.end, |byte| matches!(byte, b'"' | b'\'' | b'\\'));
        let sign = self.run(quoted, |byte| byte == b' ');
        let is_colon = match *self.bytes.get(sign)? {
            b':' => true,
            b'=' => false,
            _ => return None,
        };
        let name = self.name(word, is_colon)?;
        let from = self.run(sign + 1, |byte| matches!(byte, b'=' | b'>' | b' '));
        if self.bytes[sign..].starts_with(b"://") {
            return None;
        }
        let value = self.value(from)?;
        let follows = self.bytes.get(value.end).copied();
        let ended = follows.is_none_or(|byte| byte != b' ');
        // After a colon in running text comes an explanation as often as a value.
        let prose = is_colon && value.start == from && quoted == word.end;
        name.is_secret(&self.text[value.clone()], prose, ended).then_some(value)
    }

    fn name(&self, word: &Range<usize>, is_colon: bool) -> Option<SecretName> {
        let text = &self.text[word.clone()];
        let before = &self.text[self.before.clone()];
        let beside = self.before.end + 1 == word.start && self.bytes[self.before.end] == b' ';
        if beside && let Some(name) = SecretName::of_two(before, text) {
            return Some(name);
        }
        // `?key=` of a URL is a secret; the key of a cache or of a map is none.
        let in_query =
            !is_colon && matches!(self.bytes.get(word.start.wrapping_sub(1)), Some(b'?' | b'&'));
        SecretName::of(text).or_else(|| SecretName::of_query(text).filter(|_| in_query))
    }

    fn value(&self, from: usize) -> Option<Range<usize>> {
        let quote = self.run(from, |byte| byte == b'\\');
        if let Some(mark @ (b'"' | b'\'')) = self.bytes.get(quote) {
            let start = quote + 1;
            let length = self.bytes[start..].iter().position(|byte| byte == mark);
            let mut end = length.map_or(self.bytes.len(), |length| start + length);
            while end > start && self.bytes[end - 1] == b'\\' {
                end -= 1;
            }
            return Some(self.without_scheme(start)..end);
        }
        let start = self.without_scheme(from);
        let end = self.run(start, |byte| !ends_value(byte));
        let first = *self.bytes.get(start)?;
        (!matches!(first, b'[' | b'{' | b'*' | b'<' | b'$')).then_some(start..end)
    }

    /// The place behind `Bearer `, if that is what stands here.
    fn without_scheme(&self, from: usize) -> usize {
        let end = self.run(from, is_word);
        let is_scheme = scheme(&self.text[from..end]) && self.bytes.get(end) == Some(&b' ');
        if is_scheme { end + 1 } else { from }
    }
}
