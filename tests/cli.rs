//! The command line, as the shell calls it: what it prints, and its exit codes.

use serde_json::Value;

/// Exit code, standard output and standard error.
fn run(arguments: &[&str], input: &str) -> (u8, String, String) {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let all = std::iter::once("taximeter").chain(arguments.iter().copied());
    let code = taximeter_cli::run(all, &mut input.as_bytes(), &mut output, &mut errors);
    (code, String::from_utf8(output).unwrap(), String::from_utf8(errors).unwrap())
}

const GPT_4O: [&str; 5] = ["price", "--provider", "openai", "--model", "gpt-4o"];

fn price(more: &[&str]) -> (u8, String, String) {
    run(&[&GPT_4O, more].concat(), "")
}

#[test]
fn a_price_explains_itself() {
    let (code, output, _) = price(&[
        "--input",
        "12345",
        "--cache-read",
        "2345",
        "--output",
        "678",
        "--at",
        "2026-11-01T00:00:00Z",
    ]);
    assert_eq!(code, 0);
    for part in [
        "10,000",
        "2,345",
        "$0.00293125",
        "total: $0.03471125",
        "card: openai/gpt-4o",
        "match: exact",
    ] {
        assert!(output.contains(part), "{part} is not in {output}");
    }
}

#[test]
fn both_conventions_give_the_same_price() {
    let total = |arguments: &[&str]| {
        let (_, output, errors) = price(&[arguments, &["--json"]].concat());
        serde_json::from_str::<Value>(&output).unwrap_or_else(|_| panic!("{errors}"))["total"]
            .clone()
    };
    let inclusive = total(&["--input", "12345", "--cache-read", "2345"]);
    let exclusive = total(&["--exclusive", "--input", "10000", "--cache-read", "2345"]);
    assert_eq!((&inclusive, &inclusive), (&exclusive, &Value::from("0.02793125")));
}

#[test]
fn what_has_no_price_says_why_by_words_and_by_exit_code() {
    let (code, output, _) =
        run(&["price", "--provider", "openai", "--model", "gpt-4oo", "--input", "1"], "");
    assert_eq!(code, 3);
    assert!(output.contains("Nearest: gpt-4o"), "{output}");
    let (code, output, _) =
        run(&["price", "--provider", "nobody", "--model", "gpt-4o", "--input", "1"], "");
    assert!(code == 3 && output.contains("no provider nobody"), "{output}");
    let (code, _, errors) = price(&["--input", "1", "--cache-read", "2"]);
    assert!(code == 1 && errors.contains("2 input tokens are cached"), "{errors}");
    let (code, _, errors) = price(&["--unit", "apples=3"]);
    assert!(code == 2 && errors.contains("there is no unit apples"), "{errors}");
    let (code, _, errors) = price(&["--at", "yesterday"]);
    assert!(code == 2 && errors.contains("yesterday"), "{errors}");
    let (code, output, _) = run(&["price", "--help"], "");
    assert!(code == 0 && output.contains("Examples:"), "{output}");
}

#[test]
fn a_batch_goes_on_after_rows_that_cannot_be_read() {
    let rows = [
        r#"{"id":1,"provider":"openai","model":"gpt-4o","at":"2026-11-01T00:00:00Z","context":{},"usage":{"input_tokens_including_cached":12345,"input_tokens_excluding_cached":10000,"cache_read_tokens":2345,"output_tokens":678,"other_units":{}}}"#,
        r#"{"id":2,"model"#,
        "",
        r#"{"id":3,"provider":"openai","model":"gpt-4o","usage":{}}"#,
        r#"{"id":4,"provider":"openai","model":"gpt-4o","at":"2026-11-01T00:00:00Z","usage":{"input_tokens_including_cached":100,"cache_read_tokens":200}}"#,
        r#"{"id":5,"provider":"ollama","model":"llama3","at":"2026-11-01T00:00:00Z","usage":{"output_tokens":5}}"#,
        r#"{"id":6,"provider":"openai","model":"gpt-0","at":"2026-11-01T00:00:00Z","usage":{"output_tokens":5}}"#,
        r#"{"id":7,"provider":"openai","model":"gpt-4o","at":"2026-11-01T00:00:00Z","usage":{"output_tokens":-5}}"#,
        r#"{"id":8,"provider":"openai","model":"gpt-4o","at":"2026-11-01T00:00:00Z","usage":{"other_units":{"apples":5}}}"#,
        r#"{"id":9,"provider":"openai","model":"gpt-4o","at":"2026-11-01T00:00:00Z","usage":{"other_units":{"audio_seconds":1.5}}}"#,
    ];
    let (code, output, errors) = run(&["price", "--batch"], &rows.join("\n"));
    assert_eq!((code, errors.as_str()), (4, ""));
    let results: Vec<Value> =
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let outcomes: Vec<_> =
        results.iter().map(|result| result["outcome"].as_str().unwrap()).collect();
    assert_eq!(
        outcomes,
        [
            "cost",
            "error",
            "error",
            "invalid_usage",
            "free",
            "unknown_model",
            "invalid_usage",
            "error",
            "unpriced_usage"
        ]
    );
    let first = &results[0];
    assert_eq!(
        (&first["id"], &first["cost_usd"], &first["match"]),
        (&1.into(), &"0.03471125".into(), &"exact".into())
    );
    assert_eq!((&first["provider"], &first["model"]), (&"openai".into(), &"gpt-4o".into()));
    assert_eq!((&results[1]["id"], &results[2]["id"]), (&Value::Null, &3.into()));
    assert!(results[2]["error"].as_str().unwrap().contains("`at`"));
    assert_eq!((&results[4]["cost_usd"], &results[5]["cost_usd"]), (&"0".into(), &Value::Null));
    assert!(results.iter().all(|result| result.as_object().unwrap().contains_key("card_from")));
}

#[test]
fn a_book_of_ones_own_replaces_the_embedded_one_or_lies_over_it() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own.json");
    let text = r#"{"models": [{"provider": "openai", "id": "gpt-4o", "cards": [{"rates": {"input": "1"}}]}]}"#;
    std::fs::write(&own, text).unwrap();
    let own = own.to_str().unwrap();
    let total = |more: &[&str]| {
        let (_, output, errors) = price(&[&["--input", "1000000", "--json"], more].concat());
        serde_json::from_str::<Value>(&output).unwrap_or_else(|_| panic!("{errors}"))["total"]
            .clone()
    };
    assert_eq!(total(&[]), "2.5");
    assert_eq!(total(&["--overrides", own]), "1");
    let (code, output, _) = run(
        &[
            "price",
            "--provider",
            "openai",
            "--model",
            "gpt-4o-mini",
            "--input",
            "1",
            "--overrides",
            own,
        ],
        "",
    );
    assert!(code == 0, "the rest of the book is still there: {output}");
    let (code, _, errors) = price(&["--book", "missing.json"]);
    assert!(code == 1 && errors.contains("missing.json"), "{errors}");
}

#[test]
fn the_book_is_listed_with_prices_dates_and_sources() {
    let (code, output, _) = run(&["models", "--provider", "OpenAI", "--search", "GPT-4O"], "");
    assert_eq!(code, 0);
    assert!(
        output.contains("gpt-4o-mini") && output.contains("0.15") && output.contains("as of 20"),
        "{output}"
    );
    let (_, output, _) =
        run(&["models", "--provider", "openai", "--search", "gpt-4o-mini", "--json"], "");
    let document: Value = serde_json::from_str(&output).unwrap();
    let models = document["models"].as_array().unwrap();
    let mini = models.iter().find(|model| model["model"] == "gpt-4o-mini").unwrap();
    assert_eq!(mini["card"]["rates"]["input"]["amount"], "0.15");
    assert!(mini["card"]["source"].as_str().unwrap().contains("://"));
}
