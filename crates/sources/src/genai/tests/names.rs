//! How the rules of the table become names.

use taximeter_pricing::form::ModelForm;

use super::read_at;
use crate::Label;
use crate::small_tables::only;

/// The LLM whose names follow this rule, beside the notes.
fn named(id: &str, rule: &str) -> (ModelForm, Vec<String>) {
    let model = format!(
        r#"{{"id": "{id}", "match": {rule}, "prices": {{"input_mtok": 1, "output_mtok": 2}}}}"#
    );
    let import = read_at("openai", &model).unwrap();
    let why = import.notes.iter().map(|note| note.why.clone()).collect();
    (only(&import).clone(), why)
}

#[test]
fn rules_become_names() {
    let (model, notes) = named(
        "gpt-x",
        r#"{"or": [{"equals": "gpt-x"}, {"equals": "GPT-Y"}, {"equals": "gpt-y"}, {"starts_with": "Gpt-X-preview"},
            {"regex": "^gpt-y-\\d{8}$"}, {"regex": "^gpt-x\\[fast\\]$"}]}"#,
    );
    assert_eq!(model.id, "gpt-x");
    assert_eq!(model.aliases, ["GPT-Y", "gpt-x[fast]"]);
    assert_eq!(model.patterns, ["gpt-x-preview*"]);
    assert!(model.dated_ids && notes.is_empty(), "{notes:?}");
}

#[test]
fn parts_of_names_are_never_taken_for_names_around_them() {
    let (model, notes) = named(
        "claude-opus-4",
        r#"{"or": [{"contains": "opus-4"}, {"ends_with": "/claude-opus"}, {"regex": "^claude-opus-\\d"}]}"#,
    );
    // The label fits, and the part is a whole name by itself; nothing else is certain.
    assert_eq!((model.id.as_str(), model.aliases.len()), ("claude-opus-4", 1));
    assert_eq!(model.aliases, ["opus-4"]);
    assert!(model.patterns.is_empty() && !model.dated_ids);
    assert_eq!(notes.len(), 3);
}

#[test]
fn a_part_belongs_to_the_first_llm_that_it_fits() {
    let model = |id: &str, rule: &str| {
        format!(r#"{{"id": "{id}", "match": {rule}, "prices": {{"input_mtok": 1}}}}"#)
    };
    let models = [
        model("opus", r#"{"contains": "opus"}"#),
        model("opus-5", r#"{"or": [{"equals": "five"}, {"contains": "opus-5"}]}"#),
    ];
    let import = read_at("openai", &models.join(",")).unwrap();
    assert_eq!(import.book.models[1].id, "opus-5");
    assert_eq!(import.book.models[1].aliases, ["five"]);
}

#[test]
fn a_label_that_is_no_name_gives_way_to_a_name() {
    let (model, _) = named("label", r#"{"or": [{"starts_with": "real-"}, {"equals": "Real"}]}"#);
    assert_eq!((model.id.as_str(), model.aliases.len()), ("Real", 0));
    let (model, _) = named("label", r#"{"starts_with": "real-"}"#);
    assert_eq!((model.id.as_str(), model.patterns[0].as_str()), ("real-", "real-*"));
    let (model, _) = named("label", r#"{"contains": "us.real"}"#);
    assert_eq!(model.id, "us.real");
    let nameless =
        r#"{"id": "label", "match": {"ends_with": "/real"}, "prices": {"input_mtok": 1}}"#;
    let import = read_at("openai", nameless).unwrap();
    assert!(import.book.models.is_empty());
    assert_eq!(import.notes.len(), 2);
}

/// The labels of a table with two LLMs, each with the id that it stands for.
fn labels(provider: &str, first: (&str, &str), second: (&str, &str)) -> Vec<String> {
    let model = |(id, rule): (&str, &str)| {
        format!(r#"{{"id": "{id}", "match": {rule}, "prices": {{"input_mtok": 1}}}}"#)
    };
    let import = read_at(provider, &[model(first), model(second)].join(",")).unwrap();
    let told = |label: &Label| format!("{}/{}: {}", label.provider, label.label, label.id);
    import.labels.iter().map(told).collect()
}

#[test]
fn a_label_that_is_no_name_is_told_with_the_llm_that_it_stands_for() {
    let real = r#"{"equals": "real"}"#;
    let own = ("own", r#"{"equals": "own"}"#);
    assert_eq!(labels("aws", ("eu.label", real), own), ["bedrock/eu.label: real"]);
    // An LLM of Google's is told at both providers.
    assert_eq!(
        labels("google", ("label", real), own),
        ["vertex_ai/label: real", "google/label: real"]
    );
}

#[test]
fn a_label_that_is_a_name_or_stands_there_twice_is_not_told() {
    let real = r#"{"equals": "real"}"#;
    let other = r#"{"or": [{"equals": "other"}, {"equals": "Label"}]}"#;
    assert!(labels("aws", ("label", real), ("other", other)).is_empty());
    let twice = labels("aws", ("label", real), ("LABEL", r#"{"equals": "other"}"#));
    assert_eq!(twice, ["bedrock/label: real"]);
    // The second one is dropped, since it has no name of its own.
    assert_eq!(labels("aws", ("label", real), ("second", real)), ["bedrock/label: real"]);
}

#[test]
fn a_date_alone_makes_no_name() {
    let (model, notes) = named("mine", r#"{"or": [{"equals": "mine"}, {"regex": "^x-\\d{8}$"}]}"#);
    assert!(!model.dated_ids);
    assert_eq!(notes.len(), 1);
}

#[test]
fn rules_that_must_all_fit_are_left_out() {
    let (model, notes) =
        named("gemini", r#"{"and": [{"starts_with": "gemini"}, {"regex": "^(?!.*-tts)"}]}"#);
    assert_eq!((model.id.as_str(), model.patterns.len(), notes.len()), ("gemini", 0, 1));
}
