//! What a call consumed, as disjoint buckets, built by the convention of its source.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Declares [`Unit`] with its names on the wire; the macro keeps the list, the names and the parser in step.
macro_rules! units {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// A thing that providers count and put a price on.
        ///
        /// The buckets of one [`TokenUsage`] are disjoint, with one exception that is stated by name:
        /// [`Unit::Reasoning`] is a part of [`Unit::Output`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[non_exhaustive]
        pub enum Unit {
            $($(#[doc = $doc])+ #[serde(rename = $name)] $variant,)+
        }

        impl Unit {
            /// Every unit, in the order in which costs list them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name on the wire, such as `cache_write_5m`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

units! {
    /// Tokens of text input that came from no cache and went into none.
    Input = "input",
    /// Input tokens read from a prompt cache.
    CacheRead = "cache_read",
    /// Input tokens read from a prompt cache that the caller made explicitly.
    CacheReadExplicit = "cache_read_explicit",
    /// Input tokens written to a prompt cache whose time to live was not said.
    CacheWrite = "cache_write",
    /// Input tokens written to a prompt cache that lives five minutes.
    CacheWrite5m = "cache_write_5m",
    /// Input tokens written to a prompt cache that lives half an hour.
    CacheWrite30m = "cache_write_30m",
    /// Input tokens written to a prompt cache that lives one hour.
    CacheWrite1h = "cache_write_1h",
    /// Input tokens written to a prompt cache that lives twelve hours.
    CacheWrite12h = "cache_write_12h",
    /// Tokens of text output, reasoning included.
    Output = "output",
    /// The part of [`Unit::Output`] that was reasoning.
    Reasoning = "reasoning",
    /// Tokens of audio input.
    InputAudio = "input_audio",
    /// Tokens of audio input read from a prompt cache.
    CacheReadAudio = "cache_read_audio",
    /// Tokens of audio input written to a prompt cache.
    CacheWriteAudio = "cache_write_audio",
    /// Tokens of audio output.
    OutputAudio = "output_audio",
    /// Tokens of image input.
    InputImage = "input_image",
    /// Tokens of image input read from a prompt cache.
    CacheReadImage = "cache_read_image",
    /// Tokens of image output.
    OutputImage = "output_image",
    /// Tokens of video input.
    InputVideo = "input_video",
    /// Tokens of video input read from a prompt cache.
    CacheReadVideo = "cache_read_video",
    /// Tokens of video output.
    OutputVideo = "output_video",
    /// Tokens of citations.
    Citation = "citation",
    /// Requests.
    Request = "request",
    /// Searches of the web.
    WebSearch = "web_search",
    /// Searches of a store of files or vectors.
    StorageSearch = "storage_search",
    /// Queries to a map.
    MapQuery = "map_query",
    /// Results that a search was asked for; what a search costs may depend on them.
    SearchResult = "search_result",
    /// Queries to a reranker.
    RerankQuery = "rerank_query",
    /// Images made.
    Image = "image",
    /// Images that went in.
    ImageIn = "image_in",
    /// Pixels that went in.
    InputPixel = "input_pixel",
    /// Pixels made.
    OutputPixel = "output_pixel",
    /// Pages read.
    Page = "page",
    /// Pages read and annotated.
    AnnotatedPage = "annotated_page",
    /// Text messages that went in.
    TextMessage = "text_message",
    /// Characters of input.
    InputCharacter = "input_character",
    /// Characters of output.
    OutputCharacter = "output_character",
    /// Milliseconds of audio, in whichever direction.
    AudioMillisecond = "audio_ms",
    /// Milliseconds of audio input.
    InputAudioMillisecond = "input_audio_ms",
    /// Milliseconds of audio output.
    OutputAudioMillisecond = "output_audio_ms",
    /// Milliseconds of video input.
    InputVideoMillisecond = "input_video_ms",
    /// Milliseconds of video output.
    OutputVideoMillisecond = "output_video_ms",
    /// Sessions of a code interpreter.
    Session = "session",
    /// Milliseconds of computing.
    ComputeMillisecond = "compute_ms",
    /// Credits of the provider's own making.
    Credit = "credit",
    /// Units of a guardrail's policy.
    GuardrailUnit = "guardrail_unit",
}

impl Unit {
    /// Whether this counts tokens that went in, from whatever source.
    pub const fn is_input_tokens(self) -> bool {
        matches!(
            self,
            Self::Input
                | Self::CacheRead
                | Self::CacheReadExplicit
                | Self::CacheWrite
                | Self::CacheWrite5m
                | Self::CacheWrite30m
                | Self::CacheWrite1h
                | Self::CacheWrite12h
                | Self::InputAudio
                | Self::CacheReadAudio
                | Self::CacheWriteAudio
                | Self::InputImage
                | Self::CacheReadImage
                | Self::InputVideo
                | Self::CacheReadVideo
        )
    }

    /// The unit of that name on the wire, if there is one.
    ///
    /// ```
    /// use taximeter_models::Unit;
    ///
    /// assert_eq!(Unit::named("cache_write_1h"), Some(Unit::CacheWrite1h));
    /// assert_eq!(Unit::named("cache_write_1_hour"), None);
    /// ```
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|unit| unit.as_str() == name).copied()
    }

    /// Whether this counts tokens that came out. [`Unit::Reasoning`] does not: it is within [`Unit::Output`].
    pub const fn is_output_tokens(self) -> bool {
        matches!(self, Self::Output | Self::OutputAudio | Self::OutputImage | Self::OutputVideo)
    }

    /// Whether what this counts came out, in tokens or in whatever else it is billed by. All else went in, or is billed by
    /// the request.
    pub const fn is_output(self) -> bool {
        self.is_output_tokens()
            || matches!(
                self,
                Self::Reasoning
                    | Self::Citation
                    | Self::Image
                    | Self::OutputPixel
                    | Self::OutputCharacter
                    | Self::OutputAudioMillisecond
                    | Self::OutputVideoMillisecond
            )
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What one call consumed, as disjoint buckets.
///
/// Providers count cached tokens in two ways, and the constructor names which one its numbers follow:
/// [`TokenUsage::inclusive`] for OpenAI, Gemini and OpenTelemetry, [`TokenUsage::exclusive`] for Anthropic's API.
///
/// ```
/// use taximeter_models::{TokenUsage, Unit};
///
/// // OpenAI: prompt_tokens 1200, of them 200 cached; completion_tokens 350, of them 50 reasoning.
/// let openai = TokenUsage::inclusive(1_200, 350).cache_read(200).reasoning(50).build()?;
/// // The same, as Anthropic's API reports it.
/// let anthropic = TokenUsage::exclusive(1_000, 350).cache_read(200).reasoning(50).build()?;
///
/// assert_eq!(openai, anthropic);
/// assert_eq!(openai.input_tokens(), 1_200);
/// assert_eq!(openai.get(Unit::Reasoning), 50);
/// # Ok::<(), taximeter_models::UsageError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "BTreeMap<Unit, u64>", into = "BTreeMap<Unit, u64>")]
pub struct TokenUsage {
    uncached_input: u64,
    cache_read: u64,
    output: u64,
    /// What most calls have none of, sparse and sorted by unit; never holds a zero.
    more: Vec<(Unit, u64)>,
}

/// Numbers that cannot be the usage of one call.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UsageError {
    /// More input tokens are said to be cached, or of another modality, than there are.
    #[error(
        "reading a usage: {parts} input tokens are cached or of another modality, but only {input} went in; \
         if the source counts cached tokens beside the input, as Anthropic does, use `exclusive`"
    )]
    CacheAboveInput {
        /// The sum of the parts.
        parts: u64,
        /// The input that they should be part of.
        input: u64,
    },
    /// More output tokens are said to be reasoning, or of another modality, than came out.
    #[error(
        "reading a usage: {parts} output tokens are reasoning or of another modality, but only {output} came \
         out; if the source counts reasoning beside the output, use `reasoning_beside`"
    )]
    PartsAboveOutput {
        /// The sum of the parts.
        parts: u64,
        /// The output that they should be part of.
        output: u64,
    },
    /// A sum left the range of 64 bits.
    #[error("reading a usage: the sum of its tokens is above 2^64 - 1")]
    Overflow,
    /// Something else stands where a count should be, such as a negative number.
    #[error("reading a usage: what stands in {field:?} is not a count")]
    NotACount {
        /// The field of the source.
        field: String,
    },
}

impl From<Infallible> for UsageError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Takes the numbers as a source reports them, and makes disjoint buckets of them.
#[derive(Debug, Clone, Default)]
#[must_use = "a usage is there after `build()`"]
pub struct UsageBuilder {
    input: u64,
    output: u64,
    inclusive: bool,
    reasoning_beside: u64,
    parts: BTreeMap<Unit, u64>,
}

impl TokenUsage {
    /// Plain input and output tokens, nothing cached. Together they are at most 2⁶⁴ − 1; the output is cut to that.
    pub fn new(input: u64, output: u64) -> Self {
        Self { uncached_input: input, output: output.min(u64::MAX - input), ..Self::default() }
    }

    /// Starts a usage whose input **includes** cached tokens, tokens written to a cache and tokens of other
    /// modalities, as OpenAI, Gemini and OpenTelemetry count. Output includes reasoning and other modalities.
    pub fn inclusive(input: u64, output: u64) -> UsageBuilder {
        UsageBuilder { input, output, inclusive: true, ..UsageBuilder::default() }
    }

    /// Starts a usage whose input **excludes** cached tokens and tokens written to a cache, as Anthropic's API
    /// counts. Output includes reasoning.
    pub fn exclusive(input: u64, output: u64) -> UsageBuilder {
        UsageBuilder { input, output, inclusive: false, ..UsageBuilder::default() }
    }

    /// The buckets of a sum of many usages, as they were told. Unlike those of one call they are not checked: a bucket of
    /// a sum may be at its limit, and then its parts do not add up any more.
    ///
    /// ```
    /// use taximeter_models::{TokenUsage, Unit};
    ///
    /// let mut sum = TokenUsage::new(1_000, 200);
    /// sum += &TokenUsage::new(500, 0);
    /// assert_eq!(TokenUsage::of_sum(sum.iter()), sum);
    /// ```
    pub fn of_sum(buckets: impl IntoIterator<Item = (Unit, u64)>) -> Self {
        let mut usage = Self::default();
        for (unit, count) in buckets {
            usage.add(unit, count);
        }
        usage
    }

    /// Text input tokens that had nothing to do with a cache.
    pub const fn uncached_input(&self) -> u64 {
        self.uncached_input
    }

    /// The quantity in one bucket.
    #[inline]
    pub fn get(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Input => self.uncached_input,
            Unit::CacheRead => self.cache_read,
            Unit::Output => self.output,
            other => {
                self.more.iter().find(|(unit, _)| *unit == other).map_or(0, |(_, count)| *count)
            }
        }
    }

    /// The buckets that hold something, in no particular order. [`Unit::Reasoning`] is part of [`Unit::Output`].
    pub fn iter(&self) -> impl Iterator<Item = (Unit, u64)> + '_ {
        [
            (Unit::Input, self.uncached_input),
            (Unit::CacheRead, self.cache_read),
            (Unit::Output, self.output),
        ]
        .into_iter()
        .chain(self.more.iter().copied())
        .filter(|(_, count)| *count > 0)
    }

    /// The buckets that hold something beside [`Unit::Input`], [`Unit::CacheRead`] and [`Unit::Output`], sorted by unit.
    ///
    /// ```
    /// use taximeter_models::{TokenUsage, Unit};
    ///
    /// let usage = TokenUsage::inclusive(1_200, 350).reasoning(50).build()?;
    /// assert_eq!(usage.further(), [(Unit::Reasoning, 50)]);
    /// assert!(TokenUsage::new(1_200, 350).further().is_empty());
    /// # Ok::<(), taximeter_models::UsageError>(())
    /// ```
    #[inline]
    pub fn further(&self) -> &[(Unit, u64)] {
        &self.more
    }

    /// All tokens that went in: uncached, cached, written to a cache, of every modality.
    pub fn input_tokens(&self) -> u64 {
        let text = self.uncached_input.saturating_add(self.cache_read);
        text.saturating_add(self.more(Unit::is_input_tokens))
    }

    /// All tokens that came out, of every modality, reasoning included.
    pub fn output_tokens(&self) -> u64 {
        self.output.saturating_add(self.more(Unit::is_output_tokens))
    }

    /// Input and output tokens together.
    pub fn total_tokens(&self) -> u64 {
        self.input_tokens().saturating_add(self.output_tokens())
    }

    /// All tokens written to a cache, of every time to live.
    pub fn cache_write_tokens(&self) -> u64 {
        self.more(|unit| {
            matches!(
                unit,
                Unit::CacheWrite
                    | Unit::CacheWrite5m
                    | Unit::CacheWrite30m
                    | Unit::CacheWrite1h
                    | Unit::CacheWrite12h
            )
        })
    }

    /// Whether nothing at all was consumed.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Of what most calls have none of.
    fn more(&self, counts: impl Fn(Unit) -> bool) -> u64 {
        let counted = self.more.iter().filter(|(unit, _)| counts(*unit));
        counted.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    fn add(&mut self, unit: Unit, count: u64) {
        let bucket = match unit {
            Unit::Input => &mut self.uncached_input,
            Unit::CacheRead => &mut self.cache_read,
            Unit::Output => &mut self.output,
            other if count > 0 => match self.more.binary_search_by_key(&other, |(unit, _)| *unit) {
                Ok(at) => &mut self.more[at].1,
                Err(at) => {
                    self.more.insert(at, (other, 0));
                    &mut self.more[at].1
                }
            },
            _ => return,
        };
        *bucket = bucket.saturating_add(count);
    }
}

/// Sums saturate at 2⁶⁴ − 1 tokens in a bucket.
impl TokenUsage {
    /// Apart from the rest, which stays short for the many calls that have no more.
    #[inline(never)]
    fn add_more(&mut self, more: &[(Unit, u64)]) {
        for (unit, count) in more {
            self.add(*unit, *count);
        }
    }
}

impl AddAssign<&Self> for TokenUsage {
    #[inline]
    fn add_assign(&mut self, other: &Self) {
        self.uncached_input = self.uncached_input.saturating_add(other.uncached_input);
        self.cache_read = self.cache_read.saturating_add(other.cache_read);
        self.output = self.output.saturating_add(other.output);
        if !other.more.is_empty() {
            self.add_more(&other.more);
        }
    }
}

impl fmt::Debug for TokenUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(unit, count)| (unit.as_str(), count))).finish()
    }
}

impl UsageBuilder {
    /// Adds input tokens read from a cache.
    pub fn cache_read(self, tokens: u64) -> Self {
        self.unit(Unit::CacheRead, tokens)
    }

    /// Adds input tokens written to a cache of unknown time to live.
    pub fn cache_write(self, tokens: u64) -> Self {
        self.unit(Unit::CacheWrite, tokens)
    }

    /// Adds input tokens written to a cache that lives five minutes.
    pub fn cache_write_5m(self, tokens: u64) -> Self {
        self.unit(Unit::CacheWrite5m, tokens)
    }

    /// Adds input tokens written to a cache that lives one hour.
    pub fn cache_write_1h(self, tokens: u64) -> Self {
        self.unit(Unit::CacheWrite1h, tokens)
    }

    /// Says how many of the output tokens were reasoning.
    pub fn reasoning(self, tokens: u64) -> Self {
        self.unit(Unit::Reasoning, tokens)
    }

    /// Adds reasoning that the source counts beside its output tokens, as Gemini does with its thoughts.
    pub fn reasoning_beside(mut self, tokens: u64) -> Self {
        self.reasoning_beside = self.reasoning_beside.saturating_add(tokens);
        self
    }

    /// Adds to any bucket. Tokens of another modality are within input or output; requests, searches, pages and
    /// seconds stand for themselves.
    pub fn unit(mut self, unit: Unit, count: u64) -> Self {
        let bucket = self.parts.entry(unit).or_default();
        *bucket = bucket.saturating_add(count);
        self
    }

    /// Makes the usage.
    ///
    /// # Errors
    /// Where the parts are above the whole, or a sum is above 2⁶⁴ − 1.
    pub fn build(self) -> Result<TokenUsage, UsageError> {
        let mut parts = self.parts;
        let input =
            self.input.checked_add(take(&mut parts, Unit::Input)).ok_or(UsageError::Overflow)?;
        let output = [take(&mut parts, Unit::Output), self.reasoning_beside]
            .into_iter()
            .try_fold(self.output, u64::checked_add)
            .ok_or(UsageError::Overflow)?;
        let input_parts = sum_of(&parts, Unit::is_input_tokens)?;
        let output_parts = sum_of(&parts, Unit::is_output_tokens)?;
        let reasoning = take(&mut parts, Unit::Reasoning)
            .checked_add(self.reasoning_beside)
            .ok_or(UsageError::Overflow)?;
        let uncached_input = if self.inclusive {
            let error = UsageError::CacheAboveInput { parts: input_parts, input };
            input.checked_sub(input_parts).ok_or(error)?
        } else {
            input
        };
        let above =
            UsageError::PartsAboveOutput { parts: output_parts.saturating_add(reasoning), output };
        let text_output = output.checked_sub(output_parts).ok_or(above.clone())?;
        if reasoning > text_output {
            return Err(above);
        }
        let mut usage = TokenUsage { uncached_input, output: text_output, ..TokenUsage::default() };
        usage.add(Unit::Reasoning, reasoning);
        for (unit, count) in parts {
            usage.add(unit, count);
        }
        checked_total(&usage)?;
        Ok(usage)
    }
}

fn take(parts: &mut BTreeMap<Unit, u64>, unit: Unit) -> u64 {
    parts.remove(&unit).unwrap_or_default()
}

fn sum_of(parts: &BTreeMap<Unit, u64>, counts: impl Fn(Unit) -> bool) -> Result<u64, UsageError> {
    let mut counted = parts.iter().filter(|(unit, _)| counts(**unit)).map(|(_, count)| *count);
    counted.try_fold(0, u64::checked_add).ok_or(UsageError::Overflow)
}

/// A usage whose total does not fit would make every derived sum lie.
fn checked_total(usage: &TokenUsage) -> Result<(), UsageError> {
    let tokens = usage.iter().filter(|(unit, _)| unit.is_input_tokens() || unit.is_output_tokens());
    let sum = tokens.map(|(_, count)| count).try_fold(0, u64::checked_add);
    sum.map(|_| ()).ok_or(UsageError::Overflow)
}

impl TryFrom<UsageBuilder> for TokenUsage {
    type Error = UsageError;

    fn try_from(builder: UsageBuilder) -> Result<Self, UsageError> {
        builder.build()
    }
}

/// A usage that was already made, or found to be none: for those who take anything that may become one.
impl TryFrom<Result<Self, UsageError>> for TokenUsage {
    type Error = UsageError;

    fn try_from(made: Result<Self, UsageError>) -> Result<Self, UsageError> {
        made
    }
}

impl TryFrom<BTreeMap<Unit, u64>> for TokenUsage {
    type Error = UsageError;

    /// Reads disjoint buckets, as they are written to JSON.
    fn try_from(buckets: BTreeMap<Unit, u64>) -> Result<Self, UsageError> {
        let mut usage = Self::default();
        for (unit, count) in buckets {
            usage.add(unit, count);
        }
        let reasoning = usage.get(Unit::Reasoning);
        if reasoning > usage.output {
            return Err(UsageError::PartsAboveOutput { parts: reasoning, output: usage.output });
        }
        checked_total(&usage)?;
        Ok(usage)
    }
}

impl From<TokenUsage> for BTreeMap<Unit, u64> {
    fn from(usage: TokenUsage) -> Self {
        usage.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn gemini_counts_thoughts_beside_its_output() {
        let usage = TokenUsage::inclusive(100, 40).reasoning_beside(60).build().unwrap();
        assert_eq!((usage.output_tokens(), usage.get(Unit::Reasoning)), (100, 60));
    }

    #[test]
    fn audio_is_within_input_and_output() {
        let usage = TokenUsage::inclusive(100, 40)
            .unit(Unit::InputAudio, 30)
            .unit(Unit::OutputAudio, 10)
            .unit(Unit::WebSearch, 2)
            .build()
            .unwrap();
        assert_eq!((usage.uncached_input(), usage.get(Unit::Output)), (70, 30));
        assert_eq!(
            (usage.input_tokens(), usage.output_tokens(), usage.total_tokens()),
            (100, 40, 140)
        );
    }

    #[test]
    fn impossible_numbers_are_errors() {
        assert!(matches!(
            TokenUsage::inclusive(10, 0).cache_read(8).cache_write(3).build(),
            Err(UsageError::CacheAboveInput { parts: 11, input: 10 })
        ));
        assert!(matches!(
            TokenUsage::exclusive(10, 5).reasoning(6).build(),
            Err(UsageError::PartsAboveOutput { parts: 6, output: 5 })
        ));
        assert_eq!(TokenUsage::exclusive(u64::MAX, 1).build(), Err(UsageError::Overflow));
    }

    proptest! {
        #[test]
        fn both_conventions_agree(
            fresh in 0..1_000_000_u64, read in 0..1_000_000_u64, write in 0..1_000_000_u64, out in 0..1_000_000_u64,
        ) {
            let inclusive = TokenUsage::inclusive(fresh + read + write, out).cache_read(read).cache_write_1h(write);
            let exclusive = TokenUsage::exclusive(fresh, out).cache_read(read).cache_write_1h(write);
            prop_assert_eq!(inclusive.build(), exclusive.build());
        }

        #[test]
        fn json_and_back(buckets in prop::collection::btree_map(0..Unit::ALL.len(), 0..1_u64 << 40, 0..12)) {
            let buckets: BTreeMap<Unit, u64> = buckets.into_iter().map(|(at, n)| (Unit::ALL[at], n)).collect();
            if let Ok(usage) = TokenUsage::try_from(buckets) {
                let json = serde_json::to_string(&usage).unwrap();
                prop_assert_eq!(serde_json::from_str::<TokenUsage>(&json).unwrap(), usage);
            }
        }

        #[test]
        fn extremes_are_answers(input: u64, output: u64, read: u64, reasoning: u64, beside: u64) {
            for builder in [TokenUsage::inclusive(input, output), TokenUsage::exclusive(input, output)] {
                if let Ok(usage) = builder.cache_read(read).reasoning(reasoning).reasoning_beside(beside).build() {
                    prop_assert_eq!(usage.input_tokens() + usage.output_tokens(), usage.total_tokens());
                    prop_assert!(usage.get(Unit::Reasoning) <= usage.get(Unit::Output));
                }
            }
        }
    }
}
