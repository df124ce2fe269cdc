//! Reads Markdown files from a folder and finds what they say about themselves: title, headings, sections.

use std::fs;
use std::path::Path;

use pulldown_cmark::{Event, MetadataBlockKind, Options, Parser, Tag, TagEnd};
use walkdir::{DirEntry, WalkDir};

use crate::error::RagError;

/// A Markdown file, as it was read, with its metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Document {
    /// Where it is within the folder, with `/` between the parts.
    pub path: String,
    /// Its own title: from the front matter, or the first heading, or else the name of the file.
    pub title: String,
    /// Its headings, in order.
    pub headings: Vec<Heading>,
    /// The whole text.
    pub text: String,
}

/// One heading of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Heading {
    /// 1 for the topmost, 6 for the lowest.
    pub level: usize,
    /// Its text, without markup.
    pub text: String,
    /// The byte of the document that it starts at.
    pub offset: usize,
}

/// A file that was read, before anything is known about it.
#[derive(Debug)]
pub(crate) struct MarkdownFile {
    path: String,
    text: String,
}

impl MarkdownFile {
    /// Reads every Markdown file below `dir`, in the order of their paths.
    ///
    /// Hidden folders and build output are left out. Bytes that are no UTF-8 are replaced, for one odd file is no
    /// reason to answer nothing.
    pub(crate) fn read_all(dir: &Path) -> Result<Vec<Self>, RagError> {
        let mut files = Vec::new();
        for entry in WalkDir::new(dir).sort_by_file_name().into_iter().filter_entry(is_wanted) {
            let entry = entry.map_err(|error| walk_error(dir, error))?;
            if entry.file_type().is_file() && is_markdown(entry.path()) {
                files.push(Self::read(dir, entry.path())?);
            }
        }
        Ok(files)
    }

    fn read(dir: &Path, path: &Path) -> Result<Self, RagError> {
        let bytes =
            fs::read(path).map_err(|source| RagError::Read { path: path.to_owned(), source })?;
        let parts = path.strip_prefix(dir).unwrap_or(path).components();
        let parts: Vec<_> = parts.map(|part| part.as_os_str().to_string_lossy()).collect();
        Ok(Self { path: parts.join("/"), text: String::from_utf8_lossy(&bytes).into_owned() })
    }
}

fn is_wanted(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    entry.depth() == 0
        || !(name.starts_with('.')
            || entry.file_type().is_dir() && ["target", "node_modules"].contains(&&*name))
}

fn is_markdown(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ext| ext.eq_ignore_ascii_case("md") || ext.eq_ignore_ascii_case("markdown"))
}

fn walk_error(dir: &Path, error: walkdir::Error) -> RagError {
    RagError::Read { path: error.path().unwrap_or(dir).to_owned(), source: error.into() }
}

impl From<MarkdownFile> for Document {
    /// Extracts the metadata.
    fn from(file: MarkdownFile) -> Self {
        let Outline { front_title, headings } = Outline::of(&file.text);
        let title = front_title
            .or_else(|| headings.iter().min_by_key(|heading| heading.level).map(|h| h.text.clone()))
            .unwrap_or_else(|| file_stem(&file.path));
        Self { path: file.path, title, headings, text: file.text }
    }
}

impl Document {
    /// The headings that stand over the byte at `offset`, from the top down, joined by `>`.
    pub fn section_at(&self, offset: usize) -> String {
        let mut open: Vec<&Heading> = Vec::new();
        for heading in self.headings.iter().take_while(|heading| heading.offset <= offset) {
            open.retain(|above| above.level < heading.level);
            open.push(heading);
        }
        open.iter().map(|heading| heading.text.as_str()).collect::<Vec<_>>().join(" > ")
    }
}

fn file_stem(path: &str) -> String {
    Path::new(path).file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

#[derive(Default)]
struct Outline {
    front_title: Option<String>,
    headings: Vec<Heading>,
}

impl Outline {
    fn of(markdown: &str) -> Self {
        let mut outline = Self::default();
        let mut in_front_matter = false;
        let mut open: Option<Heading> = None;
        for (event, range) in Parser::new_ext(markdown, options()).into_offset_iter() {
            match event {
                Event::Start(Tag::MetadataBlock(_)) => in_front_matter = true,
                Event::End(TagEnd::MetadataBlock(MetadataBlockKind::YamlStyle)) => {
                    in_front_matter = false;
                }
                Event::Start(Tag::Heading { level, .. }) => {
                    let text = String::new();
                    open = Some(Heading { level: level as usize, text, offset: range.start });
                }
                Event::End(TagEnd::Heading(_)) => {
                    outline.headings.extend(open.take().filter(|heading| !heading.text.is_empty()));
                }
                Event::Text(text) if in_front_matter => outline.front_title = yaml_title(&text),
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut open {
                        heading.text.push_str(&text);
                    }
                }
                Event::SoftBreak => {
                    if let Some(heading) = &mut open {
                        heading.text.push(' ');
                    }
                }
                _ => {}
            }
        }
        outline
    }
}

/// The dialect of all that is read here: GitHub's tables and lists, and front matter.
pub(crate) fn options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
}

/// The `title:` of a front matter. One scalar is all that is wanted, so a YAML parser would be much for little.
fn yaml_title(front_matter: &str) -> Option<String> {
    let value = front_matter.lines().find_map(|line| line.strip_prefix("title:"))?;
    let value = value.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(path: &str, text: &str) -> Document {
        MarkdownFile { path: path.to_owned(), text: text.to_owned() }.into()
    }

    #[test]
    fn metadata_is_taken_from_the_text() {
        let text =
            "# The `Meter`\n\ntext\n\n## Ways *in*\n\n```\n# no heading\n```\n\nSetext\n---\n";
        let document = document("a/b.md", text);
        assert_eq!(document.title, "The Meter");
        let headings: Vec<_> =
            document.headings.iter().map(|heading| (heading.level, &*heading.text)).collect();
        assert_eq!(headings, [(1, "The Meter"), (2, "Ways in"), (2, "Setext")]);
        assert!(text[document.headings[1].offset..].starts_with("## Ways"));
    }

    #[test]
    fn a_title_is_found_wherever_it_is() {
        for (text, title) in [
            ("---\ntitle: \"From the front\"\n---\n\n# Heading\n", "From the front"),
            ("---\nauthor: me\n---\n\n# Heading\n", "Heading"),
            ("## Second level\n\n# First level\n", "First level"),
            ("only text", "notes"),
            ("", "notes"),
        ] {
            assert_eq!(document("dir/notes.md", text).title, title, "{text:?}");
        }
    }

    #[test]
    fn a_section_is_the_path_of_headings() {
        let text = "intro\n# A\n## B\n### C\n## D\nhere\n";
        let document = document("x.md", text);
        assert_eq!(document.section_at(0), "");
        assert_eq!(document.section_at(text.find("### C").unwrap()), "A > B > C");
        assert_eq!(document.section_at(text.len()), "A > D");
    }

    #[test]
    fn files_are_found_recursively_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for (path, bytes) in [
            ("z.md", &b"# Z"[..]),
            ("sub/deep/a.MARKDOWN", b"# A"),
            ("sub/bad.md", b"# \xff"),
            ("sub/code.rs", b"fn main() {}"),
            (".git/hidden.md", b"# Hidden"),
            ("target/built.md", b"# Built"),
        ] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let files = MarkdownFile::read_all(dir.path()).unwrap();
        let paths: Vec<_> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["sub/bad.md", "sub/deep/a.MARKDOWN", "z.md"]);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = MarkdownFile::read_all(Path::new("no/such/folder")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read no/such/folder");
        assert!(std::error::Error::source(&error).is_some());
    }
}
