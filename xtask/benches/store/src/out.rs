//! What is printed: each number as it is measured, and at the end those that something must be reached with, beside that.

use std::cell::RefCell;

use serde_json::{Value, json};

/// Where numbers go: lines for people, or an object a line.
pub(crate) struct Out {
    json: bool,
    judged: RefCell<Vec<Judged>>,
}

/// What a number must reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

struct Judged {
    what: String,
    value: f64,
    unit: &'static str,
    bound: Bound,
    is_goal: bool,
}

impl Out {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, judged: RefCell::default() }
    }

    /// A line: the words, or the object.
    pub(crate) fn say(&self, words: impl FnOnce() -> String, object: impl FnOnce() -> Value) {
        println!("{}", if self.json { object().to_string() } else { words() });
    }

    /// A number that must reach something.
    pub(crate) fn judge(&self, what: impl Into<String>, value: f64, unit: &'static str, bound: Bound) {
        self.add(Judged { what: what.into(), value, unit, bound, is_goal: false });
    }

    /// A number that would better reach something.
    pub(crate) fn hope(&self, what: impl Into<String>, value: f64, unit: &'static str, bound: Bound) {
        self.add(Judged { what: what.into(), value, unit, bound, is_goal: true });
    }

    fn add(&self, judged: Judged) {
        self.judged.borrow_mut().push(judged);
    }

    /// All that something must be reached with.
    pub(crate) fn end(&self) {
        if !self.json {
            println!("\nWhat must be reached:");
        }
        for judged in self.judged.borrow().iter() {
            self.say(|| judged.words(), || judged.object());
        }
    }
}

impl Judged {
    fn met(&self) -> bool {
        match self.bound {
            Bound::AtLeast(least) => self.value >= least,
            Bound::AtMost(most) => self.value <= most,
        }
    }

    fn words(&self) -> String {
        let Self { what, value, unit, .. } = self;
        let met = match (self.met(), self.is_goal) {
            (true, _) => "met",
            (false, true) => "NOT met (a goal)",
            (false, false) => "NOT met",
        };
        let (side, limit) = match self.bound {
            Bound::AtLeast(least) => ("at least", least),
            Bound::AtMost(most) => ("at most", most),
        };
        format!("{met:8} {what}: {} {unit}, {side} {}", short(*value), short(limit))
    }

    fn object(&self) -> Value {
        let (least, most) = match self.bound {
            Bound::AtLeast(least) => (Some(least), None),
            Bound::AtMost(most) => (None, Some(most)),
        };
        json!({
            "what": self.what, "value": self.value, "unit": self.unit, "at_least": least, "at_most": most,
            "goal": self.is_goal, "met": self.met(),
        })
    }
}

/// A number in as many digits as tell something.
fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}
