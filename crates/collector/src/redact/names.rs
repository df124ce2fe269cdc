//! The names whose values are secrets or content, in whatever way they are written.

/// A name whose value is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretName {
    /// Nothing else has such a name: `password`.
    Certain,
    /// Something harmless may have it as well: `token`.
    Likely,
}

/// Secret names end with one of these, without regard to case, `-`, `_`, `.` and spaces.
const ENDS: [(&str, SecretName); 24] = [
    ("password", SecretName::Certain),
    ("passwd", SecretName::Certain),
    ("pwd", SecretName::Certain),
    ("passphrase", SecretName::Certain),
    ("apikey", SecretName::Certain),
    ("accesskey", SecretName::Certain),
    ("accesskeyid", SecretName::Certain),
    ("privatekey", SecretName::Certain),
    ("secretkey", SecretName::Certain),
    ("signingkey", SecretName::Certain),
    ("encryptionkey", SecretName::Certain),
    ("authkey", SecretName::Certain),
    ("accountkey", SecretName::Certain),
    ("subscriptionkey", SecretName::Certain),
    ("connectionstring", SecretName::Certain),
    ("credential", SecretName::Likely),
    ("credentials", SecretName::Likely),
    ("secret", SecretName::Likely),
    ("token", SecretName::Likely),
    ("jwt", SecretName::Likely),
    ("authorization", SecretName::Likely),
    ("cookie", SecretName::Likely),
    ("signature", SecretName::Likely),
    ("bearer", SecretName::Likely),
];

/// The letters with which they end, as numbers, each at the place that [`place`] gives it.
const LETTERS: [u32; 64] = {
    let mut letters = [0; 64];
    let mut at = 0;
    while at < ENDS.len() {
        let [.., a, b, c] = ENDS[at].0.as_bytes() else { panic!("they have three letters") };
        let end = u32::from_le_bytes([*a, *b, *c, 0]);
        let place = &mut letters[place(end)];
        assert!(*place == 0 || *place == end, "another number must be found for `place`");
        *place = end;
        at += 1;
    }
    letters
};

/// A place of its own for each of these ends: they are told apart by one look.
#[inline]
const fn place(end: u32) -> usize {
    (end.wrapping_mul(SPREAD) >> 26) as usize
}

/// Found by trying.
const SPREAD: u32 = 0x1027_c4d1;

/// The longest of them, and room for the separators that fall away.
const LONGEST: usize = 40;

/// Whether a word says how somebody shows who they are, and the proof follows.
pub(crate) fn scheme(word: &str) -> bool {
    ["bearer", "basic"].iter().any(|known| word.eq_ignore_ascii_case(known))
}

impl SecretName {
    /// The kind of a name, if it is a secret one.
    #[inline]
    pub(crate) fn of(name: &str) -> Option<Self> {
        // Hardly any other name ends with the letters with which these end.
        if Self::may_be(name) { Self::by_end(name) } else { None }
    }

    /// Whether a name ends as secret ones do, for which it is enough to look at its last letters.
    #[inline]
    pub(crate) fn may_be(name: &str) -> bool {
        let Some([a, b, c]) = name.as_bytes().last_chunk::<3>() else { return false };
        let letters = u32::from_le_bytes([*a, *b, *c, 0]) | 0x20_2020;
        LETTERS[place(letters)] == letters
    }

    fn by_end(name: &str) -> Option<Self> {
        let mut plain = [0; LONGEST];
        let mut from = LONGEST;
        let letters = name.bytes().rev().filter(u8::is_ascii_alphanumeric);
        for (place, letter) in plain.iter_mut().rev().zip(letters) {
            *place = letter.to_ascii_lowercase();
            from -= 1;
        }
        let plain = &plain[from..];
        ENDS.iter().find(|(end, _)| plain.ends_with(end.as_bytes())).map(|(_, name)| *name)
    }

    /// The kind of a name of two words: `api key`.
    pub(crate) fn of_two(first: &str, second: &str) -> Option<Self> {
        const FIRST: [&str; 6] = ["api", "access", "secret", "private", "signing", "auth"];
        let known = second.eq_ignore_ascii_case("key")
            && FIRST.iter().any(|known| first.eq_ignore_ascii_case(known));
        known.then_some(Self::Certain)
    }

    /// The kind of a name that is a secret one in the query of a URL alone.
    pub(crate) fn of_query(name: &str) -> Option<Self> {
        const NAMES: [&str; 6] = ["key", "sig", "auth", "code", "session", "sid"];
        NAMES.iter().any(|known| name.eq_ignore_ascii_case(known)).then_some(Self::Certain)
    }

    /// Whether a value that such a name has is a secret. In prose, behind a colon, it may be the beginning of an
    /// explanation; it `ended` where no further word follows.
    pub(crate) fn is_secret(self, value: &str, prose: bool, ended: bool) -> bool {
        const NOTHING: [&str; 8] =
            ["", "none", "null", "nil", "true", "false", "undefined", "redacted"];
        if NOTHING.iter().any(|nothing| value.eq_ignore_ascii_case(nothing)) {
            return false;
        }
        let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
        match self {
            // What begins a sentence has small letters behind its first.
            Self::Certain => {
                !prose || ended || value.bytes().skip(1).any(|byte| !byte.is_ascii_lowercase())
            }
            // 350 tokens are no token.
            Self::Likely if value.bytes().all(|byte| byte.is_ascii_digit()) => false,
            Self::Likely => !prose || (value.len() >= 8 && has_digit) || value.len() >= 24,
        }
    }
}

/// Metadata that holds what people and LLMs said, by the names of OpenTelemetry's GenAI conventions, of `OpenInference`
/// and of `OpenLLMetry`.
const CONTENT: [&str; 21] = [
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.retrieval.query.text",
    "gen_ai.retrieval.documents",
    "gen_ai.evaluation.explanation",
    "input.value",
    "output.value",
    "llm.prompts",
    "llm.completions",
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompt_template.variables",
    "retrieval.documents",
    "traceloop.entity.input",
    "traceloop.entity.output",
];

/// The characters of the shortest of them.
pub(crate) const CONTENT_KEY: usize = 11;

/// Whether metadata of this name is content. Names below it count too: `gen_ai.prompt.0.content`.
#[inline]
pub(crate) fn is_content(key: &str) -> bool {
    key.len() >= CONTENT_KEY && is_content_key(key)
}

fn is_content_key(key: &str) -> bool {
    CONTENT.iter().any(|known| {
        key.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}
