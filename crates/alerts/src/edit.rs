//! One rule, budget or receiver put into the text of a file, changed there or taken out. All else stays as it is, to the
//! last comment.

use std::fmt::Write;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// Where an entry of a kind (`rule`) stands in a text: from its header to the end of its last line. None where the text has
/// none of that name, or has them in one list and not under headers of their own.
pub(crate) fn place(text: &str, kind: &str, name: &str) -> Option<Range<usize>> {
    let document = DeTable::parse(text).ok()?;
    let entries = document.get_ref().get(kind)?.get_ref().as_array()?;
    let is_it = |entry: &&toml::Spanned<DeValue<'_>>| {
        let named = entry.get_ref().as_table().and_then(|table| table.get("name"));
        named.and_then(|name| name.get_ref().as_str()) == Some(name)
    };
    let entry = entries.iter().find(is_it)?;
    let start = entry.span().start;
    if !text.get(start..)?.starts_with("[[") {
        return None;
    }
    let end = last(entry.span().end, entry.get_ref());
    let line = text.get(end..)?.find('\n').map_or(text.len(), |at| end + at + 1);
    Some(start..line)
}

/// An entry, by itself in a text, with another value of a key, which is TOML; or without the key. None where it is no
/// entry of that kind.
pub(crate) fn set(entry: &str, kind: &str, key: &str, value: Option<&str>) -> Option<String> {
    let document = DeTable::parse(entry).ok()?;
    let table = document.get_ref().get(kind)?.get_ref().as_array()?.first()?;
    let found = table.get_ref().as_table()?.get_key_value(key);
    let (from, to, put) = match (found, value) {
        (Some((_, old)), Some(new)) => (old.span().start, old.span().end, new.to_owned()),
        (Some((key, old)), None) => {
            let line = entry[..key.span().start].rfind('\n').map_or(0, |at| at + 1);
            let end = last(old.span().end, old.get_ref());
            let next = entry[end..].find('\n').map_or(entry.len(), |at| end + at + 1);
            (line, next, String::new())
        }
        // Behind the header it is in no table of the entry's own.
        (None, Some(new)) => {
            let at = entry.find("]]")?;
            let at = entry[at..].find('\n').map_or(entry.len(), |line| at + line + 1);
            (at, at, format!("{key} = {new}\n"))
        }
        (None, None) => return Some(entry.to_owned()),
    };
    Some(format!("{}{put}{}", &entry[..from], &entry[to..]))
}

/// A text as TOML has it.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                // A String takes everything.
                let _ = write!(quoted, "\\u{:04X}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// Where what a value holds ends.
fn last(end: usize, value: &DeValue<'_>) -> usize {
    match value {
        DeValue::Table(table) => table.iter().fold(end, |end, (key, value)| {
            let end = end.max(key.span().end).max(value.span().end);
            last(end, value.get_ref())
        }),
        DeValue::Array(items) => {
            items.iter().fold(end, |end, item| last(end.max(item.span().end), item.get_ref()))
        }
        _ => end,
    }
}

/// The text with a further entry at its end.
pub(crate) fn with(text: &str, rule: &str) -> String {
    let apart = match text {
        "" => "",
        text if text.ends_with("\n\n") => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    format!("{text}{apart}{}\n", rule.trim())
}

/// The text with another entry in place of one.
pub(crate) fn replaced(text: &str, place: Range<usize>, rule: &str) -> String {
    format!("{}{}\n{}", &text[..place.start], rule.trim(), &text[place.end..])
}

/// The text without an entry, and without the comment that stands right above it.
pub(crate) fn without(text: &str, place: Range<usize>) -> String {
    let mut start = place.start;
    for line in text[..place.start].split_inclusive('\n').rev() {
        if !line.trim_start().starts_with('#') {
            break;
        }
        start -= line.len();
    }
    let (before, after) = (&text[..start], &text[place.end..]);
    // One empty line of the two that stood around it is enough.
    let after = if before.is_empty() || before.ends_with("\n\n") {
        after.trim_start_matches('\n')
    } else {
        after
    };
    format!("{before}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Our rules.\n\n# Who is told.\n[[receiver]]\nname = \"ops\"\n\n# Slow answers,\n# since May.\n[[rule]]\n\
        name = \"slow\" # seconds\nkind = \"threshold\"\nabove = 3 # was 5\n[rule.labels]\nteam = \"search\"\n# Until here.\n\n\
        [[rule]]\nname = 'dear'\nwindows = [\n  '1h', # short\n  '6h',\n]\n# The end.\n";

    #[test]
    fn a_rule_stands_from_its_header_to_its_last_line() {
        let slow = &TEXT[place(TEXT, "rule", "slow").unwrap()];
        assert!(
            slow.starts_with("[[rule]]\nname = \"slow\" # seconds")
                && slow.ends_with("team = \"search\"\n"),
            "{slow}"
        );
        let dear = &TEXT[place(TEXT, "rule", "dear").unwrap()];
        assert!(dear.contains("# short") && dear.ends_with("]\n"), "{dear}");
        assert_eq!(place(TEXT, "rule", "none"), None);
        assert_eq!(place("rule = [{ name = 'in a list' }]", "rule", "in a list"), None);
        assert_eq!(place("[[rule", "rule", "any"), None);
    }

    #[test]
    fn a_key_is_set_where_it_stands_or_behind_the_header() {
        let entry = "[[receiver]] # Ours.\nname = 'ops' # on call\nurl = \"http://a/\"\n[receiver.x]\ny = 1\n";
        let set = |entry: &str, key: &str, value: Option<&str>| {
            set(entry, "receiver", key, value).unwrap()
        };
        assert_eq!(
            set(entry, "url", Some(&quoted("http://b/"))),
            entry.replace("http://a/", "http://b/")
        );
        assert_eq!(set(entry, "url", None), entry.replace("url = \"http://a/\"\n", ""));
        let timed = entry.replace("# Ours.\n", "# Ours.\ntimeout = \"5s\"\n");
        assert_eq!(set(entry, "timeout", Some(&quoted("5s"))), timed);
        assert_eq!(set(entry, "timeout", None), entry);
        assert_eq!(super::set("[[rule]]\n", "receiver", "url", None), None);
        for text in ["plain", "\"quoted\" \\ and\nlines\u{7f}\u{1b}", "ü€😀"] {
            let table = DeTable::parse(&format!("a = {}", quoted(text))).map(|table| {
                table.get_ref().get("a").and_then(|a| a.get_ref().as_str().map(str::to_owned))
            });
            assert_eq!(table.unwrap().as_deref(), Some(text));
        }
    }

    #[test]
    fn what_stands_around_a_rule_stays() {
        let changed = replaced(
            TEXT,
            place(TEXT, "rule", "slow").unwrap(),
            "\n[[rule]]\nname = \"slow\"\nabove = 4\n\n",
        );
        assert_eq!(
            changed,
            TEXT.replace(
                "[[rule]]\nname = \"slow\" # seconds\nkind = \"threshold\"\nabove = 3 # was 5\n[rule.labels]\nteam = \"search\"\n",
                "[[rule]]\nname = \"slow\"\nabove = 4\n"
            )
        );
        let without_slow = without(TEXT, place(TEXT, "rule", "slow").unwrap());
        assert!(without_slow.starts_with("# Our rules.\n\n# Who is told.\n[[receiver]]\nname = \"ops\"\n\n# Until here.\n\n[[rule]]\nname = 'dear'"));
        let without_dear = without(TEXT, place(TEXT, "rule", "dear").unwrap());
        assert!(without_dear.ends_with("# Until here.\n\n# The end.\n"), "{without_dear}");
        assert_eq!(with("a = 1", "[[rule]]"), "a = 1\n\n[[rule]]\n");
        assert_eq!(with("", " [[rule]] "), "[[rule]]\n");
    }
}
