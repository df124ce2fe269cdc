//! Any name at any provider, in the embedded book: never a panic, and no answer that contradicts itself.

use std::sync::LazyLock;

use arbitrary::{Arbitrary, Unstructured};
use taximeter_pricing::PriceBook;

use crate::call::Call;

/// The providers of the book, and the names at them. Random letters find none of them by themselves.
static KNOWN: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let book = PriceBook::embedded();
    let pairs = |model: &taximeter_pricing::Model| {
        let provider = model.provider.to_string();
        model.names().map(|name| (provider.clone(), name.to_owned())).collect::<Vec<_>>()
    };
    book.models().flat_map(pairs).collect()
});

#[derive(Debug, Arbitrary)]
struct Asked<'a> {
    /// One of those that are known.
    known: u16,
    provider: Provider<'a>,
    name: Name<'a>,
    call: Call<'a>,
}

#[derive(Debug, Arbitrary)]
enum Provider<'a> {
    Its,
    OfAnother(u16),
    None,
    Any(&'a str),
}

#[derive(Debug, Arbitrary)]
enum Name<'a> {
    Its,
    Upper,
    Longer { before: Before, after: &'a str },
    Framed { before: &'a str, after: After },
    Any(&'a str),
}

/// What grammars take off a name.
#[derive(Debug, Arbitrary)]
enum Before {
    Profile,
    Arn,
    Region,
    Publisher,
    Router,
    FineTuned,
    Models,
    Nothing,
}

#[derive(Debug, Arbitrary)]
enum After {
    Version,
    Date,
    AtDate,
    Variant,
    FineTuned,
    Nothing,
}

impl Asked<'_> {
    fn provider(&self) -> Option<&str> {
        let of = |at: u16| KNOWN[usize::from(at) % KNOWN.len()].0.as_str();
        match self.provider {
            Provider::Its => Some(of(self.known)),
            Provider::OfAnother(at) => Some(of(at)),
            Provider::None => None,
            Provider::Any(text) => Some(text),
        }
    }

    fn name(&self) -> String {
        let known = &KNOWN[usize::from(self.known) % KNOWN.len()].1;
        match &self.name {
            Name::Its => known.clone(),
            Name::Upper => known.to_uppercase(),
            Name::Longer { before, after } => format!("{}{known}{after}", before.text()),
            Name::Framed { before, after } => format!("{before}{known}{}", after.text()),
            Name::Any(text) => (*text).to_owned(),
        }
    }
}

impl Before {
    const fn text(&self) -> &'static str {
        match self {
            Self::Profile => "us.",
            Self::Arn => "arn:aws:bedrock:eu-west-1::foundation-model/",
            Self::Region => "eu/",
            Self::Publisher => "projects/p/locations/global/publishers/google/models/",
            Self::Router => "~openai/",
            Self::FineTuned => "ft:",
            Self::Models => "models/",
            Self::Nothing => "",
        }
    }
}

impl After {
    const fn text(&self) -> &'static str {
        match self {
            Self::Version => "-v1:0",
            Self::Date => "-2026-01-31",
            Self::AtDate => "@20260131",
            Self::Variant => ":nitro",
            Self::FineTuned => ":org::id",
            Self::Nothing => "",
        }
    }
}

pub(crate) fn holds(bytes: &[u8]) {
    let Ok(asked) = Asked::arbitrary_take_rest(Unstructured::new(bytes)) else { return };
    asked.call.check(PriceBook::embedded(), asked.provider(), &asked.name());
}
