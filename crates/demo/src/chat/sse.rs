//! Reads server-sent events: the `data` of each, one after the other.

use std::io::{self, BufRead};

/// The data of the events in a stream, until its end.
pub(super) struct Events<R> {
    reader: R,
}

impl<R: BufRead> Events<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader }
    }

    /// Reads up to the empty line that ends an event; `None` at the end of the stream.
    fn next_event(&mut self) -> io::Result<Option<String>> {
        let mut data: Option<String> = None;
        let mut line = String::new();
        loop {
            line.clear();
            if self.reader.read_line(&mut line)? == 0 {
                // An event that no empty line ends is dropped by the standard. Here it is handed on, so that a reply
                // cut short shows as malformed and not as missing.
                return Ok(data);
            }
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                if data.is_some() {
                    return Ok(data);
                }
            } else if let Some(value) = line.strip_prefix("data:") {
                append(&mut data, value.strip_prefix(' ').unwrap_or(value));
            }
        }
    }
}

/// Lines of data within one event are joined by a line break.
fn append(data: &mut Option<String>, value: &str) {
    match data {
        Some(data) => {
            data.push('\n');
            data.push_str(value);
        }
        None => *data = Some(value.to_owned()),
    }
}

impl<R: BufRead> Iterator for Events<R> {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_event().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(stream: &str) -> Vec<String> {
        Events::new(stream.as_bytes()).map(Result::unwrap).collect()
    }

    #[test]
    fn the_data_of_each_event_is_read() {
        assert_eq!(events("data: a\n\ndata:b\r\n\r\n"), ["a", "b"]);
        assert_eq!(events(": ping\n\nevent: x\nid: 1\ndata: a\ndata: b\n\n\n\n"), ["a\nb"]);
    }

    #[test]
    fn an_event_without_an_end_is_still_handed_on() {
        assert_eq!(events("data: a\n\ndata: {\"b"), ["a", "{\"b"]);
        assert!(events("").is_empty());
        assert!(events("\n\n: only a comment\n").is_empty());
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error() {
        let mut events = Events::new(&b"data: \xff\n\n"[..]);
        assert!(events.next().unwrap().is_err());
    }
}
