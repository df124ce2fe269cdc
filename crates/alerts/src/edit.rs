//! One rule put into the text of a file, changed there or taken out. All else stays as it is, to the last comment.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// Where a rule stands in a text: from its header to the end of its last line. None where the text has no such rule, or has
/// its rules in one list and not under headers of their own.
pub(crate) fn place(text: &str, name: &str) -> Option<Range<usize>> {
    let document = DeTable::parse(text).ok()?;
    let rules = document.get_ref().get("rule")?.get_ref().as_array()?;
    let is_it = |rule: &&toml::Spanned<DeValue<'_>>| {
        let named = rule.get_ref().as_table().and_then(|table| table.get("name"));
        named.and_then(|name| name.get_ref().as_str()) == Some(name)
    };
    let rule = rules.iter().find(is_it)?;
    let start = rule.span().start;
    if !text.get(start..)?.starts_with("[[") {
        return None;
    }
    let end = last(rule.span().end, rule.get_ref());
    let line = text.get(end..)?.find('\n').map_or(text.len(), |at| end + at + 1);
    Some(start..line)
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

/// The text with a further rule at its end.
pub(crate) fn with(text: &str, rule: &str) -> String {
    let apart = match text {
        "" => "",
        text if text.ends_with("\n\n") => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    format!("{text}{apart}{}\n", rule.trim())
}

/// The text with another rule in place of one.
pub(crate) fn replaced(text: &str, place: Range<usize>, rule: &str) -> String {
    format!("{}{}\n{}", &text[..place.start], rule.trim(), &text[place.end..])
}

/// The text without a rule, and without the comment that stands right above it.
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
        let slow = &TEXT[place(TEXT, "slow").unwrap()];
        assert!(
            slow.starts_with("[[rule]]\nname = \"slow\" # seconds")
                && slow.ends_with("team = \"search\"\n"),
            "{slow}"
        );
        let dear = &TEXT[place(TEXT, "dear").unwrap()];
        assert!(dear.contains("# short") && dear.ends_with("]\n"), "{dear}");
        assert_eq!(place(TEXT, "none"), None);
        assert_eq!(place("rule = [{ name = 'in a list' }]", "in a list"), None);
        assert_eq!(place("[[rule", "any"), None);
    }

    #[test]
    fn what_stands_around_a_rule_stays() {
        let changed = replaced(
            TEXT,
            place(TEXT, "slow").unwrap(),
            "\n[[rule]]\nname = \"slow\"\nabove = 4\n\n",
        );
        assert_eq!(
            changed,
            TEXT.replace(
                "[[rule]]\nname = \"slow\" # seconds\nkind = \"threshold\"\nabove = 3 # was 5\n[rule.labels]\nteam = \"search\"\n",
                "[[rule]]\nname = \"slow\"\nabove = 4\n"
            )
        );
        let without_slow = without(TEXT, place(TEXT, "slow").unwrap());
        assert!(without_slow.starts_with("# Our rules.\n\n# Who is told.\n[[receiver]]\nname = \"ops\"\n\n# Until here.\n\n[[rule]]\nname = 'dear'"));
        let without_dear = without(TEXT, place(TEXT, "dear").unwrap());
        assert!(without_dear.ends_with("# Until here.\n\n# The end.\n"), "{without_dear}");
        assert_eq!(with("a = 1", "[[rule]]"), "a = 1\n\n[[rule]]\n");
        assert_eq!(with("", " [[rule]] "), "[[rule]]\n");
    }
}
