//! Cuts documents into passages that fit a prompt, each knowing where it came from.

use std::fmt;

use text_splitter::MarkdownSplitter;

use crate::documents::Document;

/// A piece of a document, small enough to go into a prompt with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passage {
    /// The path of its document.
    pub(crate) path: String,
    /// The title of its document.
    pub(crate) title: String,
    /// The headings that it stands under.
    pub(crate) section: String,
    /// Its text, as Markdown.
    pub(crate) text: String,
}

impl Passage {
    /// What is embedded: a passage is also about what its title and headings say.
    pub(crate) fn embedded_text(&self) -> String {
        format!("{}\n{}\n{}", self.title, self.section, self.text)
    }
}

impl fmt::Display for Passage {
    /// Shows where the passage is, as a reader would look it up.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.section.as_str() {
            "" => write!(f, "{}", self.path),
            section => write!(f, "{}, {section}", self.path),
        }
    }
}

/// Cuts all documents into passages of at most `max_chars` characters, along the structure of the Markdown.
pub(crate) fn cut(documents: &[Document], max_chars: usize) -> Vec<Passage> {
    // The splitter fills chunks up to the lower bound and may exceed it to keep a paragraph whole.
    let splitter = MarkdownSplitter::new((max_chars / 2).max(1)..=max_chars.max(1));
    documents.iter().flat_map(|document| cut_one(&splitter, document)).collect()
}

fn cut_one(
    splitter: &MarkdownSplitter<text_splitter::Characters>,
    document: &Document,
) -> Vec<Passage> {
    splitter
        .chunk_indices(&document.text)
        .filter(|(_, chunk)| has_body(chunk))
        .map(|(offset, chunk)| Passage {
            path: document.path.clone(),
            title: document.title.clone(),
            section: document.section_at(offset),
            text: chunk.to_owned(),
        })
        .collect()
}

/// Whether there is more than headings and rules: a passage without a body answers nothing.
fn has_body(chunk: &str) -> bool {
    chunk
        .lines()
        .any(|line| !line.trim_start().starts_with('#') && line.chars().any(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document {
            path: "x.md".to_owned(),
            title: "X".to_owned(),
            headings: vec![
                crate::Heading { level: 1, text: "X".to_owned(), offset: 0 },
                crate::Heading {
                    level: 2,
                    text: "Y".to_owned(),
                    offset: text.find("## Y").unwrap_or(text.len()),
                },
            ],
            text: text.to_owned(),
        }
    }

    #[test]
    fn passages_are_bounded_placed_and_lose_no_word() {
        let paragraph = "The meter counts what the model was sent and what it said. ".repeat(7);
        let text = format!("# X\n\n{paragraph}\n\n{paragraph}\n\n## Y\n\nlast words\n");
        let passages = cut(&[document(&text)], 500);
        assert!(passages.len() > 1);
        assert!(passages.iter().all(|passage| passage.text.chars().count() <= 500));
        assert_eq!(passages[0].section, "X");
        let last = passages.last().unwrap();
        assert_eq!((last.section.as_str(), last.to_string().as_str()), ("X > Y", "x.md, X > Y"));
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let kept: Vec<_> = passages.iter().flat_map(|passage| words(&passage.text)).collect();
        assert_eq!(kept, words(&text));
    }

    #[test]
    fn a_long_line_is_cut_within_characters() {
        let text = format!("# X\n\n{}", "ä".repeat(2_000));
        let passages = cut(&[document(&text)], 100);
        assert!(passages.iter().all(|passage| passage.text.chars().count() <= 100));
    }

    #[test]
    fn headings_alone_are_no_passage() {
        assert!(cut(&[document("# X\n\n## Y\n")], 300).is_empty());
        assert!(cut(&[document("")], 300).is_empty());
    }
}
