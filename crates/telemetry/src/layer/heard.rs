//! What was said of a span, as it came: a list, and one text in which all texts lie. It is used again for the next span.

use crate::otlp::alias::{Field, Spoken};
use crate::otlp::slots::{Slots, Value};

/// What was said of a span.
#[derive(Debug, Default)]
pub(super) struct Heard {
    said: Vec<(Spoken, Said)>,
    text: String,
    pub(super) facts: Facts,
}

/// What was said besides the fields that the conventions know.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    /// Its name, by its own word.
    pub(super) name: Option<Place>,
    /// What went wrong.
    pub(super) message: Option<Place>,
    /// Nanoseconds since 1970.
    pub(super) first_token: Option<i64>,
    pub(super) failed: bool,
    /// An event within it said that something went wrong, which need not have been the end.
    pub(super) troubled: bool,
}

/// Where a text lies.
pub(super) type Place = (u32, u32);

/// A value that was said.
#[derive(Debug, Clone, Copy)]
pub(super) enum Said {
    Text(Place),
    Int(i64),
    Double(f64),
    Bool(bool),
}

/// What was said of a span, to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'h> {
    pub(super) said: &'h [(Spoken, Said)],
    pub(super) text: &'h str,
    pub(super) facts: Facts,
}

/// When so much was said, what was said again is left out. A span has 32 fields at most.
const MANY: usize = 128;
const LONG: usize = 64 << 10;

/// No larger text is kept to be used again.
const LARGEST: usize = 4 << 10;

impl Heard {
    /// Forgets it all, and keeps the memory for what comes next, unless that is much.
    pub(super) fn forget(&mut self) {
        if self.text.capacity() > LARGEST {
            *self = Self::default();
        }
        self.said.clear();
        self.text.clear();
        self.facts = Facts::default();
    }

    #[inline]
    pub(super) fn say(&mut self, spoken: Spoken, value: Said) {
        self.make_room();
        self.said.push((spoken, value));
    }

    #[inline]
    pub(super) fn say_text(&mut self, spoken: Spoken, text: &str) {
        // Before the text is there: what nobody has said yet would be left out.
        self.make_room();
        let place = self.push(text);
        self.said.push((spoken, Said::Text(place)));
    }

    /// Keeps a text.
    pub(super) fn keep(&mut self, text: &str) -> Place {
        self.make_room();
        self.push(text)
    }

    #[inline]
    fn make_room(&mut self) {
        if self.said.len() >= MANY || self.text.len() > LONG {
            self.leave_out_what_was_said_again();
        }
    }

    #[inline]
    fn push(&mut self, text: &str) -> Place {
        let start = self.text.len();
        self.text.push_str(text);
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        (place(start), place(self.text.len()))
    }

    /// Takes in that an event within it said that something went wrong; whether it is known what.
    pub(super) fn trouble(&mut self) -> bool {
        self.facts.troubled = true;
        self.facts.message.is_some()
    }

    /// Takes in what went wrong, unless that was said before.
    pub(super) fn because(&mut self, message: &str) {
        if self.facts.message.is_none() {
            self.facts.message = Some(self.keep(message));
        }
    }

    /// Takes in when the first token came, in nanoseconds since 1970; the first time counts.
    pub(super) fn first_token(&mut self, at: u64) {
        if self.facts.first_token.is_none() {
            self.facts.first_token = i64::try_from(at).ok();
        }
    }

    pub(super) fn words(&self) -> Words<'_> {
        Words { said: &self.said, text: &self.text, facts: self.facts }
    }

    #[cold]
    fn leave_out_what_was_said_again(&mut self) {
        let before = std::mem::take(self);
        let words = before.words();
        let Facts { name, message, .. } = words.facts;
        self.facts = words.facts;
        self.facts.name = name.map(|name| self.push(words.text_at(name)));
        self.facts.message = message.map(|message| self.push(words.text_at(message)));
        for (spoken, value) in words.said.iter().rev() {
            if self.said.iter().any(|(known, _)| known == spoken) {
                continue;
            }
            let value = match value {
                Said::Text(place) => Said::Text(self.push(words.text_at(*place))),
                other => *other,
            };
            self.said.push((*spoken, value));
        }
        self.said.reverse();
    }
}

impl<'h> Words<'h> {
    pub(super) fn text_at(&self, (start, end): Place) -> &'h str {
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Each in the place of what it says; of what was said again, the last.
    pub(super) fn slots(&self) -> Slots<'h> {
        let mut slots = Slots::with_capacity(self.said.len() + 2);
        // Of names that are as good as each other, the first that is put in stays.
        for (spoken, value) in self.said.iter().rev() {
            for (field, rank) in spoken.iter().flatten() {
                let value = match value {
                    Said::Text(place) if *field == Field::FinishReason => {
                        Value::Text(first_of_list(self.text_at(*place)).into())
                    }
                    Said::Text(place) => Value::Text(self.text_at(*place).into()),
                    Said::Int(value) => Value::Int(*value),
                    Said::Double(value) => Value::Double(*value),
                    Said::Bool(value) => Value::Bool(*value),
                };
                slots.put(*field, *rank, value);
            }
        }
        if let Some(at) = self.facts.first_token {
            slots.put(Field::FirstTokenAt, 0, Value::Int(at));
        }
        slots
    }
}

/// Lists come as JSON in a text; the first of them stands for all, as it does for lists of OTLP.
fn first_of_list(text: &str) -> &str {
    let first = text.starts_with('[').then(|| text.split('"').nth(1)).flatten();
    first.unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: Spoken = [Some((Field::RequestModel, 0)), None];
    const INPUT: Spoken = [Some((Field::InputTokens, 0)), None];

    #[test]
    fn what_is_said_again_and_again_takes_no_more_memory() {
        let mut heard = Heard::default();
        heard.facts.name = Some(heard.keep("chat"));
        for number in 0..100_000_i64 {
            heard.say(INPUT, Said::Int(number));
            heard.say_text(MODEL, &"x".repeat(1_000));
        }
        heard.say_text(MODEL, "gpt-4o");
        assert!(heard.said.capacity() <= 2 * MANY && heard.text.capacity() <= 4 * LONG);
        let words = heard.words();
        let slots = words.slots();
        assert_eq!(slots.text(Field::RequestModel), Some("gpt-4o"));
        assert_eq!(slots.get(Field::InputTokens), Some(&Value::Int(99_999)));
        assert_eq!(words.facts.name.map(|name| words.text_at(name)), Some("chat"));
    }

    #[test]
    fn the_text_for_which_room_was_made_is_heard_too() {
        let mut heard = Heard::default();
        for number in 0..10 * MANY {
            let model = format!("model {number}");
            heard.say_text(MODEL, &model);
            assert_eq!(heard.words().slots().text(Field::RequestModel), Some(model.as_str()));
        }
    }
}
