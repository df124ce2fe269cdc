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

impl From<i64> for Said {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Said {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<bool> for Said {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// What was said of a span, to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'h> {
    pub(super) said: &'h [(Spoken, Said)],
    pub(super) text: &'h str,
    pub(super) facts: &'h Facts,
}

/// For so many values there is room at first.
const FEW: usize = 16;

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

    /// Takes in a value. Mostly there is room, and then nothing is called: to prepare for a call costs more than the rest.
    #[inline]
    pub(super) fn say(&mut self, spoken: Spoken, value: impl Into<Said>) {
        if self.said.len() == self.said.capacity() {
            return self.say_with_more_room(spoken, value);
        }
        self.said.push((spoken, value.into()));
    }

    /// Takes in a text.
    #[inline]
    pub(super) fn say_text(&mut self, spoken: Spoken, text: &str) {
        if self.said.len() == self.said.capacity() || !self.has_room(text) {
            return self.say_text_with_more_room(spoken, text);
        }
        // The less is to be done after the text was copied, the less is to be kept meanwhile.
        let start = self.text.len();
        self.said.push((spoken, Said::Text((place(start), place(start + text.len())))));
        self.text.push_str(text);
    }

    /// Keeps a text.
    pub(super) fn keep(&mut self, text: &str) -> Place {
        if !self.has_room(text) {
            self.make_room(text);
        }
        self.push(text)
    }

    #[cold]
    #[inline(never)]
    fn say_with_more_room(&mut self, spoken: Spoken, value: impl Into<Said>) {
        self.make_room("");
        self.said.push((spoken, value.into()));
    }

    #[cold]
    #[inline(never)]
    fn say_text_with_more_room(&mut self, spoken: Spoken, text: &str) {
        // Before the text is there: what nobody has said yet would be left out.
        self.make_room(text);
        let place = self.push(text);
        self.said.push((spoken, Said::Text(place)));
    }

    /// Makes room for one more value, and for a text. Much is said again and again, if it is said at all.
    #[cold]
    fn make_room(&mut self, text: &str) {
        if self.said.len() >= MANY || self.text.len() > LONG {
            self.leave_out_what_was_said_again();
        }
        if self.said.len() == self.said.capacity() {
            self.said.reserve(FEW);
        }
        self.text.reserve(text.len());
    }

    #[inline]
    fn has_room(&self, text: &str) -> bool {
        self.text.capacity() - self.text.len() >= text.len()
    }

    #[inline]
    fn push(&mut self, text: &str) -> Place {
        let start = self.text.len();
        self.text.push_str(text);
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

    #[inline]
    pub(super) fn words(&self) -> Words<'_> {
        Words { said: &self.said, text: &self.text, facts: &self.facts }
    }

    #[cold]
    fn leave_out_what_was_said_again(&mut self) {
        let before = std::mem::take(self);
        let words = before.words();
        let Facts { name, message, .. } = *words.facts;
        self.facts = *words.facts;
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

/// A place in a text, which is far shorter than 32 bits can say: room is made long before.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "a text has some hundred KiB, a pile of them 8 MiB"
)]
pub(super) const fn place(at: usize) -> u32 {
    at as u32
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
            heard.say(INPUT, number);
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
