//! Cuts Markdown into plain sentences, leaving out code, tables and headings.

use pulldown_cmark::{Event, Parser, Tag, TagEnd};

use crate::documents::options;

/// The sentences of the prose in `markdown`, in order, without markup.
pub(crate) fn sentences(markdown: &str) -> Vec<String> {
    blocks(markdown).iter().flat_map(|block| split(block)).collect()
}

/// The paragraphs and list items, each as one line of plain text.
fn blocks(markdown: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    let mut skipped = 0_usize;
    for event in Parser::new_ext(markdown, options()) {
        match event {
            Event::Start(tag) => {
                skipped += usize::from(is_no_prose(&tag));
                if !is_inline(tag.to_end()) {
                    blocks.push(String::new());
                }
            }
            Event::End(end) => {
                skipped = skipped.saturating_sub(usize::from(ends_no_prose(end)));
                if !is_inline(end) {
                    blocks.push(String::new());
                }
            }
            Event::Text(text) | Event::Code(text) if skipped == 0 => push(&mut blocks, &text),
            Event::SoftBreak | Event::HardBreak if skipped == 0 => push(&mut blocks, " "),
            _ => {}
        }
    }
    // A table that lost its head to the cutting of passages is not seen as one any more.
    blocks.retain(|block| !block.trim().is_empty() && !block.starts_with('|'));
    blocks
}

fn push(blocks: &mut [String], text: &str) {
    if let Some(block) = blocks.last_mut() {
        block.push_str(text);
    }
}

fn is_no_prose(tag: &Tag<'_>) -> bool {
    matches!(tag, Tag::CodeBlock(_) | Tag::Table(_) | Tag::Heading { .. } | Tag::MetadataBlock(_))
}

fn ends_no_prose(end: TagEnd) -> bool {
    matches!(end, TagEnd::CodeBlock | TagEnd::Table | TagEnd::Heading(_) | TagEnd::MetadataBlock(_))
}

fn is_inline(end: TagEnd) -> bool {
    matches!(
        end,
        TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::Link | TagEnd::Image
    )
}

/// Splits after a full stop, question or exclamation mark that a capital, a digit or the end follows.
fn split(block: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut start = 0;
    for (at, mark) in block.char_indices().filter(|(_, c)| matches!(c, '.' | '!' | '?')) {
        let end = at + mark.len_utf8();
        if ends_sentence(&block[start..at], &block[end..]) {
            found.push(tidy(&block[start..end]));
            start = end;
        }
    }
    found.push(tidy(&block[start..]));
    found.retain(|sentence| sentence.chars().any(char::is_alphabetic));
    found
}

fn ends_sentence(before: &str, after: &str) -> bool {
    const SHORT_FORMS: [&str; 5] = ["e.g", "i.e", "cf", "vs", "approx"];
    let Some(next) = after.trim_start().chars().next() else { return true };
    let last_word = before.rsplit([' ', '(']).next().unwrap_or(before);
    after.starts_with(char::is_whitespace)
        && !(next.is_lowercase() || SHORT_FORMS.contains(&last_word))
}

fn tidy(sentence: &str) -> String {
    sentence.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_kept_and_the_rest_left_out() {
        let markdown = "---\ntitle: No\n---\n# Heading. One.\n\nA *first* sentence,\nover `two` lines. \
            A [second](x) one! See v1.2 of it\n\n```\nlet code = 1. That.\n```\n\n- item one\n- item two. And more?\n\n\
            | a | b |\n|---|---|\n| c. | d |\n\n| e. | f |\n\n> quoted.\n";
        assert_eq!(
            sentences(markdown),
            [
                "A first sentence, over two lines.",
                "A second one!",
                "See v1.2 of it",
                "item one",
                "item two.",
                "And more?",
                "quoted.",
            ]
        );
    }

    #[test]
    fn short_forms_end_nothing() {
        for text in ["Some, e.g. Three of them.", "Rust vs. Go is old.", "Ask it (cf. Smith) soon."]
        {
            assert_eq!(sentences(text), [text]);
        }
    }

    #[test]
    fn nothing_holds_no_sentence() {
        assert!(sentences("").is_empty());
        assert!(sentences("...\n\n1. \n\n---\n").is_empty());
    }
}
