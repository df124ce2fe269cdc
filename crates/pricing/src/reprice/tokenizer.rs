//! How many tokens one text is to different LLMs, as far as that was published.

use std::fmt;

/// Which tokenizer an LLM counts with.
///
/// Some of these stand for one tokenizer; others only for a maker who changed it between LLMs. Between two of one
/// tokenizer no token more or fewer is counted; between all others [`Tokenizer::spread_to`] says how far apart they
/// may be.
///
/// ```
/// use taximeter_pricing::reprice::{Basis, Tokenizer};
///
/// assert_eq!(Tokenizer::of("gpt-5-mini"), Tokenizer::of("gpt-4o"));
/// let spread = Tokenizer::of("gpt-4o").spread_to(Tokenizer::of("claude-sonnet-4-5"));
/// assert_eq!((spread.to_string().as_str(), spread.basis), ("1.00 to 1.35", Basis::Measured));
///
/// // Of what is not known, a wide range is assumed; never that it is the same.
/// let unknown = Tokenizer::of("grok-4").spread_to(Tokenizer::of("grok-5"));
/// assert_eq!((spread.is_exact(), unknown.basis), (false, Basis::Assumed));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Tokenizer {
    /// OpenAI's `o200k_base`: GPT-4o, 4.1, 4.5, 5, the o-series, gpt-oss.
    O200k,
    /// OpenAI's `cl100k_base`: GPT-4, GPT-3.5, the embeddings.
    Cl100k,
    /// Anthropic's, from Claude 3 to Claude 4.6.
    Claude3,
    /// Anthropic's, from Claude Opus 4.7 and Claude 5 on.
    Claude47,
    /// That of Llama 3 to 3.3.
    Llama3,
    /// One of Google's.
    Google,
    /// One of Mistral's.
    Mistral,
    /// One of DeepSeek's.
    DeepSeek,
    /// One of Meta's, but not that of Llama 3.
    Llama,
    /// One of Alibaba's.
    Qwen,
    /// Any.
    Unknown,
}

/// On what a [`Spread`] is based.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Basis {
    /// It is the same tokenizer.
    Same,
    /// Somebody measured it; [`Spread::sources`] says who.
    Measured,
    /// Nobody published anything that could be cited.
    Assumed,
}

/// The fewest and the most tokens of one tokenizer that make up one of another, as fractions.
///
/// It holds for prose, data and source code in languages of Latin script, over a whole history. What can lie beyond it
/// says [`Spread::BEYOND`]; so can single texts, above all rows of one character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Spread {
    /// The fewest, as numerator and denominator.
    pub low: (u64, u64),
    /// The most, as numerator and denominator.
    pub high: (u64, u64),
    /// On what it is based.
    pub basis: Basis,
    /// One, or two where a spread was made of two; the second is empty where there is none.
    sources: [&'static str; 2],
}

/// Two tokenizers of today are within a factor of 1.4 of each other, in either direction. An assumption: it holds
/// for every pair below that was measured, but for the newest one of Anthropic, which has its own row.
const ASSUMED: Spread = Spread {
    low: (5, 7),
    high: (7, 5),
    basis: Basis::Assumed,
    sources: ["an assumption: no measurement of this pair is known", ""],
};

/// GPT-4o to Claude 3. Measured means, Claude 3.5 Sonnet to GPT-4o: articles 1.16, mathematics 1.21, Python 1.30
/// (`VentureBeat`, 2025-05-01); Claude 4.6 to GPT-5.4: text 1.17, JSON 1.22, YAML 1.25 (`TensorZero`, see
/// [`Spread::BEYOND`]). Short English texts come out nearly the same; five hundredths are left above.
const O200K_TO_CLAUDE_3: Spread = Spread {
    low: (1, 1),
    high: (27, 20),
    basis: Basis::Measured,
    sources: [
        "VentureBeat, \"Hidden costs in AI deployment\", 2025-05-01: means of 1.16 to 1.30",
        "",
    ],
};

/// GPT-4o to GPT-4. English prose 1.009, Hungarian 1.163 (a million words each, May 2024,
/// <https://aihirfolyam.hu/2024/05/gpt-4o-magyar-dragabb-mint-angol/>); Python and Rust source 0.97 to 1.02 (a hundred
/// files counted with tiktoken-rs 0.12.1, 2026-11-24).
const O200K_TO_CL100K: Spread = Spread {
    low: (19, 20),
    high: (6, 5),
    basis: Basis::Measured,
    sources: [
        "aihirfolyam.hu, 2024-05, prose: 1.01 to 1.16; counted, source code: 0.97 to 1.02",
        "",
    ],
};

/// GPT-5 to Gemini. Gemini 3.1 Pro to GPT-5.4: text 1.06, JSON 1.11, YAML 1.18 (`TensorZero`, see
/// [`Spread::BEYOND`]); others count a little less for English than OpenAI. Some hundredths are left on both sides.
const O200K_TO_GOOGLE: Spread = Spread {
    low: (9, 10),
    high: (5, 4),
    basis: Basis::Measured,
    sources: ["TensorZero, \"The hidden LLM API costs\", 2026: means of 1.06 to 1.18", ""],
};

/// Claude 3 to Claude 4.7. Anthropic says 1.0 to 1.35, and "approximately 30 percent more" in its documentation of
/// token counting; claudecodecamp.com measured up to 1.47 on technical documents (2026-04).
const CLAUDE_3_TO_4_7: Spread = Spread {
    low: (1, 1),
    high: (147, 100),
    basis: Basis::Measured,
    sources: [
        "Anthropic, migration guide of Claude Opus 4.7, 2026-04: 1.0 to 1.35; measured to 1.47",
        "",
    ],
};

impl Tokenizer {
    /// The tokenizer of the LLM of that name, whoever serves it. OpenAI's are as `tiktoken` maps their names.
    pub fn of(model: &str) -> Self {
        let name = bare(model);
        let begins = |heads: &[&str]| heads.iter().any(|head| name.starts_with(head));
        let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        if has(&["distill"]) {
            // It is named after the LLM that taught it, and has the tokenizer of the one that it was.
            return Self::Unknown;
        }
        if has(&["claude"]) {
            return claude(&name);
        }
        let omni = ["gpt-4o", "chatgpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "gpt-oss"];
        if begins(&omni) || begins(&["o1", "o3", "o4-mini", "codex-mini"]) {
            Self::O200k
        } else if begins(&[
            "gpt-4",
            "gpt-3.5",
            "gpt-35",
            "text-embedding-3",
            "text-embedding-ada-002",
        ]) {
            Self::Cl100k
        } else if has(&["llama-3", "llama3"]) {
            Self::Llama3
        } else if has(&["llama"]) {
            Self::Llama
        } else if begins(&["gemini", "gemma"]) {
            Self::Google
        } else if has(&["mistral", "mixtral", "ministral", "codestral", "devstral", "magistral"])
            || begins(&["pixtral", "voxtral"])
        {
            Self::Mistral
        } else if begins(&["deepseek"]) {
            Self::DeepSeek
        } else if begins(&["qwen", "qwq"]) {
            Self::Qwen
        } else {
            Self::Unknown
        }
    }

    /// How many tokens of the other tokenizer one of this may be.
    pub fn spread_to(self, other: Self) -> Spread {
        match (self, other) {
            _ if self == other && self.is_one() => Spread::EXACT,
            (Self::O200k, Self::Claude3) => O200K_TO_CLAUDE_3,
            (Self::Claude3, Self::O200k) => O200K_TO_CLAUDE_3.turned(),
            (Self::O200k, Self::Cl100k) => O200K_TO_CL100K,
            (Self::Cl100k, Self::O200k) => O200K_TO_CL100K.turned(),
            (Self::O200k, Self::Google) => O200K_TO_GOOGLE,
            (Self::Google, Self::O200k) => O200K_TO_GOOGLE.turned(),
            (Self::Claude3, Self::Claude47) => CLAUDE_3_TO_4_7,
            (Self::Claude47, Self::Claude3) => CLAUDE_3_TO_4_7.turned(),
            (_, Self::Claude47) => self.spread_to(Self::Claude3).then(CLAUDE_3_TO_4_7),
            (Self::Claude47, _) => other.spread_to(self).turned(),
            _ => ASSUMED,
        }
    }

    /// Whether it stands for one tokenizer, and not for several of one maker.
    const fn is_one(self) -> bool {
        matches!(self, Self::O200k | Self::Cl100k | Self::Claude3 | Self::Claude47 | Self::Llama3)
    }

    /// What it is called.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::O200k => "o200k",
            Self::Cl100k => "cl100k",
            Self::Claude3 => "Claude 3",
            Self::Claude47 => "Claude 4.7",
            Self::Llama3 => "Llama 3",
            Self::Google => "Google",
            Self::Mistral => "Mistral",
            Self::DeepSeek => "DeepSeek",
            Self::Llama => "Llama",
            Self::Qwen => "Qwen",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Spread {
    /// Not a token more or fewer.
    pub const EXACT: Self =
        Self { low: (1, 1), high: (1, 1), basis: Basis::Same, sources: ["the same tokenizer", ""] };

    /// What a range leaves out, and by how much it may be beyond. Providers write the definitions of tools into the
    /// prompt, each in its own way (`TensorZero`, "Stop comparing price per million tokens: the hidden LLM API costs",
    /// 2026, by the counting interfaces of the three providers); no record tells how much of a prompt they were.
    pub const BEYOND: &str = "text only; definitions of tools are up to 1.82 (Gemini), 2.06 (Claude 4.6) and 2.65 \
        (Claude 4.7) of what they are to GPT-5.4 (TensorZero, 2026), and other scripts than Latin may be beyond too";

    /// Whether there is nothing to spread.
    pub fn is_exact(self) -> bool {
        self.basis == Basis::Same
    }

    /// Where it was published, and when; or that it was assumed.
    pub fn sources(&self) -> impl Iterator<Item = &'static str> {
        self.sources.into_iter().filter(|source| !source.is_empty())
    }

    /// The way back.
    const fn turned(self) -> Self {
        let ((a, b), (c, d)) = (self.low, self.high);
        Self { low: (d, c), high: (b, a), ..self }
    }

    /// One after the other; it is as well known as the less known of the two.
    fn then(self, next: Self) -> Self {
        let times = |one: (u64, u64), other: (u64, u64)| (one.0 * other.0, one.1 * other.1);
        Self {
            low: times(self.low, next.low),
            high: times(self.high, next.high),
            basis: self.basis.max(next.basis),
            sources: [self.sources[0], next.sources[0]],
        }
    }
}

/// The two factors, such as `1.00 to 1.35`.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Rounded outwards, so that what is shown never promises more than what was computed.
        let (low, high) =
            (self.low.0 * 100 / self.low.1, (self.high.0 * 100).div_ceil(self.high.1));
        write!(f, "{}.{:02} to {}.{:02}", low / 100, low % 100, high / 100, high % 100)
    }
}

/// A name without what providers put before it, in lower case.
pub(super) fn bare(model: &str) -> String {
    let name = model.trim().to_ascii_lowercase();
    let name = name.rsplit('/').next().unwrap_or_default();
    name.strip_prefix("ft:").unwrap_or(name).to_owned()
}

/// Claude by its version: the first number of the name, and the one behind it if it is no date.
fn claude(name: &str) -> Tokenizer {
    let behind = name.split("claude").nth(1).unwrap_or_default();
    let numbers = behind.split(|char: char| !char.is_ascii_digit());
    let mut short = numbers.skip_while(|part| part.is_empty());
    let major = short.next().and_then(|part| part.parse::<u64>().ok());
    let minor = short.next().filter(|part| part.len() <= 2).and_then(|part| part.parse().ok());
    match (major, minor.unwrap_or(0_u64)) {
        (Some(major @ 3..=99), minor) if (major, minor) >= (4, 7) => Tokenizer::Claude47,
        (Some(3 | 4), _) => Tokenizer::Claude3,
        _ => Tokenizer::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Tokenizer; 11] = [
        Tokenizer::O200k,
        Tokenizer::Cl100k,
        Tokenizer::Claude3,
        Tokenizer::Claude47,
        Tokenizer::Llama3,
        Tokenizer::Google,
        Tokenizer::Mistral,
        Tokenizer::DeepSeek,
        Tokenizer::Llama,
        Tokenizer::Qwen,
        Tokenizer::Unknown,
    ];

    #[test]
    fn names_lead_to_tokenizers() {
        use Tokenizer as T;
        for (name, tokenizer) in [
            ("gpt-4o-2024-08-06", T::O200k),
            ("ft:gpt-4o-mini:me:x:1", T::O200k),
            ("openai/gpt-oss-120b", T::O200k),
            ("o3-mini", T::O200k),
            ("gpt-4-turbo", T::Cl100k),
            ("gpt-6-sol", T::Unknown),
            ("o4", T::Unknown),
            ("davinci-002", T::Unknown),
            ("claude-2", T::Unknown),
            ("claude-instant", T::Unknown),
            ("claude-3-5-sonnet-20240620", T::Claude3),
            ("claude-opus-4-20250514", T::Claude3),
            ("us.anthropic.claude-sonnet-4-6-v1:0", T::Claude3),
            ("Claude-Opus-4.7", T::Claude47),
            ("claude-sonnet-5-20260601", T::Claude47),
            ("claude-opus-5-5", T::Claude47),
            ("meta-llama/Llama-3.3-70B-Instruct", T::Llama3),
            ("llama3.2", T::Llama3),
            ("llama-4-maverick", T::Llama),
            ("deepseek-r1-distill-llama-70b", T::Unknown),
            ("deepseek-chat", T::DeepSeek),
            ("models/gemini-2.5-pro", T::Google),
            ("open-mixtral-8x22b", T::Mistral),
            ("qwen2.5-coder", T::Qwen),
            ("", T::Unknown),
        ] {
            assert_eq!(T::of(name), tokenizer, "{name}");
        }
    }

    #[test]
    fn every_spread_holds_both_ways_and_is_exact_only_for_one_tokenizer() {
        for one in ALL {
            for other in ALL {
                let (there, back) = (one.spread_to(other), other.spread_to(one));
                assert_eq!(there, back.turned(), "{one} {other}");
                assert!(there.low.0 * there.high.1 <= there.high.0 * there.low.1, "{one} {other}");
                assert_eq!(there.is_exact(), one == other && one.is_one(), "{one} {other}");
            }
        }
    }

    #[test]
    fn a_spread_over_two_steps_is_the_product() {
        let spread = Tokenizer::O200k.spread_to(Tokenizer::Claude47);
        assert_eq!((spread.to_string().as_str(), spread.basis), ("1.00 to 1.99", Basis::Measured));
        let spread = Tokenizer::Google.spread_to(Tokenizer::Claude47);
        assert_eq!((spread.to_string().as_str(), spread.basis), ("0.71 to 2.06", Basis::Assumed));
        assert_eq!(spread.sources().count(), 2);
    }
}
