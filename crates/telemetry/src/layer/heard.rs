//! What was said of a span, as it came: a list, and one text in which all texts lie. It is used again for the next span.

use std::cell::RefCell;

use crate::otlp::alias::{Field, Spoken};
use crate::otlp::slots::{Slots, Value};

/// What was said of a span.
#[derive(Debug, Default)]
pub(super) struct Heard {
    said: Vec<(Spoken, Said)>,
    text: String,
    /// Its name, by its own word.
    pub(super) name: Option<Place>,
    /// What went wrong.
    pub(super) message: Option<Place>,
    /// Nanoseconds since 1970.
    pub(super) first_token: Option<i64>,
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

/// When so much was said, what was said again is left out. A span has 32 fields at most.
const MANY: usize = 128;
const LONG: usize = 64 << 10;

/// So many lists are kept by each thread to be used again, none of them larger.
const SPARES: usize = 16;
const LARGEST: usize = 4 << 10;

thread_local! {
    #[expect(clippy::vec_box, reason = "they are moved in and out by their place")]
    static SPARE: RefCell<Vec<Box<Heard>>> = const { RefCell::new(Vec::new()) };
}

impl Heard {
    /// One to be used again, if there is one.
    pub(super) fn spare() -> Option<Box<Self>> {
        SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten()
    }

    /// Keeps it for the next span.
    pub(super) fn give_back(mut self: Box<Self>) {
        if self.text.capacity() > LARGEST {
            return;
        }
        self.said.clear();
        self.text.clear();
        (self.name, self.message, self.first_token) = (None, None, None);
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARES {
                spare.push(self);
            }
        });
    }

    pub(super) fn say(&mut self, spoken: Spoken, value: Said) {
        if self.said.len() >= MANY {
            self.leave_out_what_was_said_again();
        }
        self.said.push((spoken, value));
    }

    pub(super) fn say_text(&mut self, spoken: Spoken, text: &str) {
        let place = self.keep(text);
        self.say(spoken, Said::Text(place));
    }

    /// Keeps a text.
    pub(super) fn keep(&mut self, text: &str) -> Place {
        if self.text.len() > LONG {
            self.leave_out_what_was_said_again();
        }
        let start = self.text.len();
        self.text.push_str(text);
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        (place(start), place(self.text.len()))
    }

    pub(super) fn text_at(&self, (start, end): Place) -> &str {
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }

    /// Each in the place of what it says; of what was said again, the last.
    pub(super) fn slots(&self) -> Slots<'_> {
        let mut slots = Slots::with_capacity(self.said.len() + 2);
        // Of names that are as good as each other, the first that is put in stays.
        for (spoken, value) in self.said.iter().rev() {
            for (field, rank) in spoken.iter().flatten() {
                let value = match value {
                    Said::Text(place) if *field == Field::FinishReason => {
                        Value::Text(super::facts::first_of_list(self.text_at(*place)).into())
                    }
                    Said::Text(place) => Value::Text(self.text_at(*place).into()),
                    Said::Int(value) => Value::Int(*value),
                    Said::Double(value) => Value::Double(*value),
                    Said::Bool(value) => Value::Bool(*value),
                };
                slots.put(*field, *rank, value);
            }
        }
        if let Some(at) = self.first_token {
            slots.put(Field::FirstTokenAt, 0, Value::Int(at));
        }
        slots
    }

    #[cold]
    fn leave_out_what_was_said_again(&mut self) {
        let before = std::mem::take(self);
        let keep = |place: Place, to: &mut Self| {
            let text = before.text_at(place);
            let start = to.text.len();
            to.text.push_str(text);
            let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
            (place(start), place(to.text.len()))
        };
        self.first_token = before.first_token;
        self.name = before.name.map(|place| keep(place, self));
        self.message = before.message.map(|place| keep(place, self));
        for (spoken, value) in before.said.iter().rev() {
            if self.said.iter().any(|(known, _)| known == spoken) {
                continue;
            }
            let value = match value {
                Said::Text(place) => Said::Text(keep(*place, self)),
                other => *other,
            };
            self.said.push((*spoken, value));
        }
        self.said.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: Spoken = [Some((Field::RequestModel, 0)), None];
    const INPUT: Spoken = [Some((Field::InputTokens, 0)), None];

    #[test]
    fn what_is_said_again_and_again_takes_no_more_memory() {
        let mut heard = Heard::default();
        heard.name = Some(heard.keep("chat"));
        for number in 0..100_000_i64 {
            heard.say(INPUT, Said::Int(number));
            heard.say_text(MODEL, &"x".repeat(1_000));
        }
        heard.say_text(MODEL, "gpt-4o");
        assert!(heard.said.capacity() <= 2 * MANY && heard.text.capacity() <= 4 * LONG);
        let slots = heard.slots();
        assert_eq!(slots.text(Field::RequestModel), Some("gpt-4o"));
        assert_eq!(slots.get(Field::InputTokens), Some(&Value::Int(99_999)));
        assert_eq!(heard.name.map(|name| heard.text_at(name)), Some("chat"));
    }
}
