//! The most frequent parts of an operation, to be written to wherever there is room.

use std::time::Duration;

use taximeter_models::TokenUsage;

use crate::frame::{Put, part};

/// A part that can be put together again and again.
pub(crate) trait Compose {
    fn compose(&self, to: &mut impl Put);
}

pub(crate) struct TextPart<'a> {
    pub(crate) key: &'a str,
    pub(crate) text: &'a str,
}

impl Compose for TextPart<'_> {
    #[inline]
    fn compose(&self, to: &mut impl Put) {
        part::text(to, self.key, self.text);
    }
}

pub(crate) struct NumberPart<'a> {
    pub(crate) key: &'a str,
    pub(crate) number: u64,
}

impl Compose for NumberPart<'_> {
    #[inline]
    fn compose(&self, to: &mut impl Put) {
        part::unsigned(to, self.key, self.number);
    }
}

pub(crate) struct ComponentPart<'a> {
    pub(crate) name: &'a str,
    pub(crate) offset: Option<Duration>,
    pub(crate) took: Duration,
}

impl Compose for ComponentPart<'_> {
    #[inline]
    fn compose(&self, to: &mut impl Put) {
        part::component(to, self.name, self.offset, self.took, 1);
    }
}

pub(crate) struct UsagePart<'a> {
    pub(crate) provider: &'a str,
    pub(crate) model: &'a str,
    pub(crate) usage: &'a TokenUsage,
}

impl Compose for UsagePart<'_> {
    #[inline]
    fn compose(&self, to: &mut impl Put) {
        part::usage(to, self.provider, self.model, self.usage);
    }
}
