//! The outline of the beginning of a JSON text: which fields it has, even where it is cut off.

/// The most fields that are noted; a file whose first fields do not tell its format is not going to.
const MOST_KEYS: usize = 512;

/// What can be seen of the first value of a JSON text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    /// Whether it is an array.
    pub(crate) is_array: bool,
    /// Whether it ends before the first line does.
    pub(crate) is_whole_line: bool,
    /// The keys of it, where it is an object.
    pub(crate) keys: Vec<String>,
    /// The keys of the first object in the array that it is, or in the first array of objects that is a field of it.
    pub(crate) element_keys: Vec<String>,
    /// The key of that array.
    pub(crate) list: Option<String>,
    /// Its field `type`, if that is a text.
    pub(crate) kind: Option<String>,
    /// Its field `format`, if that is a text.
    pub(crate) format: Option<String>,
}

impl Outline {
    /// Looks at the first value of a text.
    pub(crate) fn of(text: &[u8]) -> Self {
        let mut look = Look { text, at: 0, open: Vec::new(), key: None, outline: Self::default() };
        look.run();
        look.outline
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|known| known == key)
    }

    pub(crate) fn element_has(&self, key: &str) -> bool {
        self.element_keys.iter().any(|known| known == key)
    }
}

struct Look<'a> {
    text: &'a [u8],
    at: usize,
    /// The brackets that are open.
    open: Vec<u8>,
    /// The key of the object at the top that was read last.
    key: Option<String>,
    outline: Outline,
}

impl Look<'_> {
    fn run(&mut self) {
        let line = self.text.iter().position(|byte| *byte == b'\n').unwrap_or(self.text.len());
        while let Some(byte) = self.text.get(self.at).copied() {
            self.at += 1;
            match byte {
                b'"' => self.string(),
                b'{' | b'[' => self.enter(byte),
                b'}' | b']' => {
                    self.open.pop();
                    if self.open.is_empty() {
                        self.outline.is_whole_line = self.at <= line;
                        return;
                    }
                }
                _ => {}
            }
        }
    }

    fn enter(&mut self, byte: u8) {
        if self.open.is_empty() {
            self.outline.is_array = byte == b'[';
        } else if self.open == b"{[" && byte == b'{' && self.outline.list.is_none() {
            self.outline.list = self.key.clone();
        }
        self.open.push(byte);
    }

    fn string(&mut self) {
        let start = self.at;
        let mut escaped = false;
        while let Some(byte) = self.text.get(self.at).copied() {
            self.at += 1;
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => break,
                _ => {}
            }
        }
        let deep = self.open.len();
        if deep > 3 {
            return;
        }
        let text = String::from_utf8_lossy(&self.text[start..self.at.saturating_sub(1).max(start)])
            .into_owned();
        let rest = self.text[self.at..].trim_ascii_start();
        if rest.first() == Some(&b':') {
            self.key(text);
        } else if self.open == b"{" {
            match self.key.as_deref() {
                Some("type") => self.outline.kind = Some(text),
                Some("format") => self.outline.format = Some(text),
                _ => {}
            }
        }
    }

    fn key(&mut self, key: String) {
        let within_list =
            self.open == b"[{" || self.open == b"{[{" && self.outline.list == self.key;
        if self.open == b"{" {
            note(&mut self.outline.keys, &key);
            self.key = Some(key);
        } else if within_list {
            note(&mut self.outline.element_keys, &key);
        }
    }
}

fn note(keys: &mut Vec<String>, key: &str) {
    if keys.len() < MOST_KEYS && !keys.iter().any(|known| known == key) {
        keys.push(key.to_owned());
    }
}
