//! Secrets by their shapes, and what only looks like one.

use proptest::prelude::*;

use super::names::{SecretName, is_content};
use super::secrets::{is_harmless, is_suspicious, is_suspicious_closely, masked};
use super::*;

/// A tail as keys have it: letters of both cases and digits, drawn once.
const T: &str = "9fKq2LmZx7Wc4RtYb8Nv3JhGd6Ps5QaEe1UiOoTz0XwVrBn";

fn tail(length: usize) -> &'static str {
    &T[..length]
}

/// Keys by their shapes. None of them is anybody's: all share one tail.
fn keys() -> Vec<String> {
    let mixed = [
        ("sk-", 46),
        ("sk-", 20),
        ("sk-proj-", 40),
        ("sk-ant-api03-", 40),
        ("sk-or-v1-", 40),
        ("sk-lf-", 32),
        ("pk-lf-", 32),
        ("sk_live_", 24),
        ("rk_test_", 24),
        ("sk_", 40),
        ("csk-", 40),
        ("gsk_", 46),
        ("xai-", 40),
        ("pplx-", 40),
        ("nvapi-", 40),
        ("tvly-", 30),
        ("fw_", 24),
        ("fc-", 32),
        ("hf_", 34),
        ("r8_", 37),
        ("jina_", 40),
        ("pcsk_", 40),
        ("tgp_v1_", 40),
        ("pa-", 43),
        ("lsv2_pt_", 40),
        ("lin_api_", 40),
        ("whsec_", 32),
        ("AIza", 35),
        ("GOCSPX-", 28),
        ("LTAI", 20),
        ("ghp_", 36),
        ("gho_", 36),
        ("ghs_", 36),
        ("github_pat_11", 40),
        ("glpat-", 20),
        ("xoxb-", 40),
        ("xoxp-", 40),
        ("xapp-1-", 40),
        ("npm_", 36),
        ("pypi-", 46),
        ("dop_v1_", 46),
        ("shpat_", 32),
    ];
    let mut keys: Vec<_> =
        mixed.iter().map(|(prefix, length)| format!("{prefix}{}", tail(*length))).collect();
    keys.extend([
        "AKIAIOSFODNN7EXAMPLE".to_owned(),
        "ASIAY34FZKBOKMUTVV7A".to_owned(),
        "SK0123456789abcdef0123456789abcdef".to_owned(),
        "dapi0123456789abcdef0123456789abcdef".to_owned(),
        "key-0123456789abcdef0123456789abcdef".to_owned(),
        format!("SG.{}.{}", tail(22), tail(43)),
        format!("ya29.{}", tail(40)),
        format!("hvs.{}", tail(30)),
        // The example of RFC 7519, section 3.1.
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned(),
    ]);
    keys
}

fn after_masking(text: &str) -> String {
    if is_suspicious(text) {
        masked(text).unwrap_or_else(|| text.to_owned())
    } else {
        text.to_owned()
    }
}

#[test]
fn keys_are_masked_wherever_they_stand() {
    for key in keys() {
        for text in [
            key.clone(),
            format!("Incorrect API key provided: {key}."),
            format!("Incorrect API key provided: {key}. See the page."),
            format!("({key})"),
            format!("\"{key}\""),
            format!("tried {key}, then gave up"),
            format!("https://api.example.com/v1/{key}/x"),
            format!("line\n{key}\nline"),
        ] {
            let after = after_masking(&text);
            assert_eq!(after, text.replace(&key, MASK), "of {text}");
        }
    }
}

#[test]
fn values_of_secret_names_are_masked() {
    for (text, expected) in [
        ("password=hunter2", "password=***"),
        ("Password: hunter2", "Password: ***"),
        ("pwd=a&user=b", "pwd=***&user=b"),
        ("db_password='let me in' ok", "db_password='***' ok"),
        (r#"{"api_key": "abc", "n": 1}"#, r#"{"api_key": "***", "n": 1}"#),
        (r#"{\"token\":\"abc\"}"#, r#"{\"token\":\"***\"}"#),
        ("x-api-key: 12ab34", "x-api-key: ***"),
        ("api key: 12ab34cd", "api key: ***"),
        ("AZURE_OPENAI_API_KEY=0a1b2c", "AZURE_OPENAI_API_KEY=***"),
        ("Authorization: Bearer abc.def-1234567", "Authorization: Bearer ***"),
        ("authorization: Basic dXNlcjpwYXNz", "authorization: Basic ***"),
        ("sent Bearer 0123456789abcdef", "sent Bearer ***"),
        ("Cookie: session=12345678abc; x", "Cookie: ***; x"),
        ("https://h/?key=abc&page=2", "https://h/?key=***&page=2"),
        ("https://h/?a=1&sig=A%2FB", "https://h/?a=1&sig=***"),
        ("https://h/?access_token=abc#top", "https://h/?access_token=***"),
        ("postgres://me:secret@db:5432/x", "postgres://***@db:5432/x"),
        ("redis://:pw1@cache", "redis://***@cache"),
        ("https://token@github.com/x.git", "https://***@github.com/x.git"),
        ("AccountKey=abc==;EndpointSuffix=x", "AccountKey=***;EndpointSuffix=x"),
        ("client_secret => 'x1'", "client_secret => '***'"),
        ("token=abc", "token=***"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAx\n-----END RSA PRIVATE KEY-----\nx",
            "***\nx",
        ),
        ("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqh", "***"),
    ] {
        assert_eq!(after_masking(text), expected, "of {text}");
    }
}

#[test]
fn what_is_no_secret_stays() {
    for text in [
        "",
        "a",
        "qa_response",
        "https://api.example.com/v1/q/3",
        "http://localhost:8080/health",
        "user-1-abcde",
        "task-force-for-the-new-building-2026",
        "risk-assessment-of-the-third-kind-9",
        "ask-me-anything-about-rust-1-85-0",
        "550e8400-e29b-41d4-a716-446655440000",
        "0af7651916cd43dd8448eb211c80319c",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "gpt-4o-mini-2024-07-18",
        "claude-sonnet-4-5-20250929",
        "sk-learn-pipeline-of-the-team",
        "AKIA is how they begin",
        "max_tokens: 4096",
        "tokens=350",
        "input_token: 350",
        "token: 350",
        "unexpected token: expected a comma",
        "password: must have eight letters",
        "password is wrong",
        "the password",
        "token=null",
        "password=None",
        "api_key=\"\"",
        "password=***",
        "secret: no",
        "cache_key=abc",
        "key=abc",
        "sort key: name",
        "bearer of bad news",
        "Bearer authentication is required",
        "basic understanding of the matter",
        "mail alice@example.com at 12:30",
        "a = b @ c : d",
        "12:30:15",
        "see https://user.example.com/@alice/posts",
        "std::fs::File",
        "eyJ is how it begins",
        "eyJustAVeryLongWordWithoutAnyDotsInIt1",
        "authentication: none",
        "monkey=1 donkey=2 keyboard=3",
        "design_pattern=observer",
        "Größe: 3 €, Schlüssel: keiner",
        "日本語=テキスト:だけ@ここ",
        "ctx=0x7ffdeadbeef",
        "SG-1 is a series",
        "signature: fn(x: u32) -> u32",
        "the secret of success: work",
        "credential: missing",
    ] {
        assert_eq!(after_masking(text), text);
    }
}

#[test]
fn names_of_secrets_and_of_content_are_known_however_written() {
    for name in [
        "password",
        "DB_PASSWORD",
        "x-api-key",
        "apiKey",
        "aws.secret.access.key",
        "OPENAI_API_KEY",
    ] {
        assert_eq!(SecretName::of(name), Some(SecretName::Certain), "{name}");
    }
    for name in ["token", "csrfToken", "Authorization", "set-cookie", "client_secret"] {
        assert_eq!(SecretName::of(name), Some(SecretName::Likely), "{name}");
    }
    let harmless = [
        "user_id",
        "tokens",
        "max_tokens",
        "key",
        "cache_key",
        "n",
        "",
        "region",
        "temperature",
        "monkey",
    ];
    for name in harmless {
        assert_eq!(SecretName::of(name), None, "{name}");
    }
    assert!(is_content("gen_ai.input.messages") && is_content("gen_ai.prompt.0.content"));
    assert!(!is_content("gen_ai.prompt_tokens") && !is_content("gen_ai.request.model"));
}

#[test]
fn values_keep_their_kind_unless_they_are_secrets() {
    let mut changes = Changes::default();
    let mut value = |key: &str, value: MetaValue<'static>| {
        Redaction::default().value(key, value, &mut changes).map(MetaValue::into_value)
    };
    assert_eq!(value("token", 350.into()), Some(350.into()));
    assert_eq!(value("password", 350.into()), Some(MASK.into()));
    assert_eq!(value("password", true.into()), Some(true.into()));
    let nested =
        serde_json::json!({"headers": [{"Authorization": "Bearer x"}, "sk-", 7], "n": null});
    let expected = serde_json::json!({"headers": [{"Authorization": "***"}, "sk-", 7], "n": null});
    assert_eq!(value("request", nested.into()), Some(expected));
    assert_eq!(changes, Changes { redacted: 2, failed: 0 });
}

#[test]
fn a_hook_that_panics_costs_its_text_alone() {
    let redaction = Redaction::default().hook(|field, text| match field {
        Field::Warning => panic!("a fault of the hook"),
        Field::User => Redacted::Drop,
        Field::Tool => Redacted::Replace(text.to_uppercase()),
        _ => Redacted::Keep,
    });
    let mut changes = Changes::default();
    assert_eq!(redaction.text(Field::Warning, "w", &mut changes), None);
    assert_eq!(redaction.text(Field::User, "u", &mut changes), None);
    assert_eq!(redaction.name(Field::Tool, "search", &mut changes), "SEARCH");
    assert_eq!(redaction.name(Field::Component, "x", &mut changes), "x");
    assert_eq!(changes, Changes { redacted: 2, failed: 1 });
}

#[test]
fn an_allow_list_keeps_its_keys_alone() {
    let redaction = Redaction::default().allow_only(["user_id"]);
    let mut changes = Changes::default();
    assert!(redaction.keeps("user_id", &mut changes) && !redaction.keeps("url", &mut changes));
    assert_eq!(changes.redacted, 1);
    let all = Redaction::default().capture_content(true).mask_secrets(false);
    assert!(all.keeps("gen_ai.prompt", &mut changes) && !all.is_secret("password"));
    assert_eq!(all.text(Field::Error, "password=x", &mut changes).as_deref(), Some("password=x"));
}

#[test]
fn an_address_that_ends_with_its_password_is_looked_at() {
    for text in ["sk-://password@", "https://user:a-password-of-ours@"] {
        assert!(is_suspicious(text) && masked(text).is_some(), "{text}");
    }
}

#[test]
fn a_short_token_behind_its_scheme_is_masked_in_values_too() {
    for text in ["Bearer eyJpassword", "basic dXNlcjpw", "with Bearer a1b2c3d4"] {
        assert!(is_suspicious(text) && masked(text).is_some(), "{text}");
    }
    assert!(!is_suspicious("the bearer") && !is_suspicious("a basket of fruit"));
}

proptest! {
    #[test]
    fn what_is_harmless_at_first_sight_is_not_suspicious_at_a_closer_look(
        scheme in "(https://|http://)?",
        // Few signs, or hardly any text would be harmless.
        parts in prop::collection::vec(
            prop_oneof![8 => "[a-zA-Z0-9_-]{0,20}", 8 => "[./,é]", 1 => "[=@: ]|bearer |:/"], 0..12,
        ),
    ) {
        let text = format!("{scheme}{}", parts.concat());
        prop_assert!(!(is_harmless(text.as_bytes()) && is_suspicious_closely(&text)), "{text}");
    }

    #[test]
    fn any_text_is_masked_without_a_panic_and_once_is_enough(text in "\\PC{0,120}") {
        if let Some(once) = masked(&text) {
            prop_assert!(is_suspicious(&text), "{}", text);
            prop_assert_eq!(after_masking(&once), once);
        }
    }

    #[test]
    fn texts_of_signs_and_names_are_masked_without_a_panic(
        parts in prop::collection::vec(prop::sample::select(vec![
            "password", "token", "api", "key", "Bearer", "://", "@", ":", "=", " ", "\"", "'", "\\", "&", "?", "sk-",
            "eyJ", ".", "AKIA", "-----END", "é", "\n", "9fKq2LmZx7Wc4RtYb8", "{", "*",
        ]), 0..24)
    ) {
        let text = parts.concat();
        if masked(&text).is_some() {
            prop_assert!(is_suspicious(&text), "{}", text);
        }
    }

    #[test]
    fn no_key_survives_between_other_words(
        before in "[a-z ,.\n(]{0,40}[ (\n]",
        place in 0..51_usize,
        after in "[ ,)\n][a-zA-Z0-9 ,.=:@]{0,40}",
    ) {
        let key = &keys()[place];
        let text = format!("{before}{key}{after}");
        prop_assert!(!after_masking(&text).contains(key.as_str()), "{}", after_masking(&text));
    }
}
