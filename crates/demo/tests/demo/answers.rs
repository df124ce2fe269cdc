//! The application against a stand-in that works.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;

use taximeter::Meter;
use taximeter_demo::{RagApp, RagConfig, RagError, StandIn};

use crate::support::{app, failing, library, quick, stand_in};

#[test]
fn a_question_is_answered_with_citations() {
    let stand_in = stand_in();
    for stream in [false, true] {
        let app = app(&stand_in, |config| config.stream = stream);
        let answer = app.ask("Which prefixes are not cached at OpenAI?").unwrap();
        assert!(answer.text.contains("shorter than 1,024 tokens"), "{}", answer.text);
        let best = &answer.citations[0];
        assert!(answer.text.contains(&format!("[{}]", best.number)));
        assert_eq!((best.path.as_str(), best.title.as_str()), ("caching.md", "Prompt caching"));
        assert!(best.section.starts_with("Prompt caching") && best.score > 0.0);
        let metadata = &answer.metadata;
        assert_eq!(metadata.model, "gpt-4o-mini-2024-07-18");
        assert_eq!(metadata.finish_reason.as_deref(), Some("stop"));
        assert_eq!(metadata.attempts, 1);
        assert!((1..=4).contains(&metadata.passages));
        assert_eq!(metadata.first_token.is_some(), stream);
        assert!(metadata.first_token.unwrap_or_default() <= metadata.elapsed);
    }
}

#[test]
fn tokens_are_those_that_were_served() {
    let stand_in = stand_in();
    for (stream, model) in [(false, "gpt-4o-mini"), (true, "gpt-4o-mini"), (true, "o4-mini")] {
        let app = app(&stand_in, |config| {
            config.stream = stream;
            config.model = model.to_owned();
        });
        let before = stand_in.served().tokens;
        let tokens = app.ask("What is a token?").unwrap().metadata.tokens.unwrap();
        let after = stand_in.served().tokens;
        assert_eq!(tokens.prompt, after.prompt - before.prompt);
        assert_eq!(tokens.cached, after.cached - before.cached);
        assert_eq!(tokens.completion, after.completion - before.completion);
        assert_eq!(tokens.reasoning, after.reasoning - before.reasoning);
        assert_eq!(tokens.reasoning > 0, model == "o4-mini");
        assert!(tokens.prompt > 500 && tokens.cached < tokens.prompt);
    }
}

#[test]
fn the_system_prompt_is_cached_from_the_second_question_on() {
    let stand_in = StandIn::start(quick().cache_threshold(512)).unwrap();
    let app = app(&stand_in, |_| {});
    let cached = |question| app.ask(question).unwrap().metadata.tokens.unwrap().cached;
    assert_eq!(cached("What are rate limits?"), 0);
    let second = cached("What is chunking?");
    assert!(second >= 512 && second % 128 == 0, "{second}");
}

#[test]
fn invalid_questions_never_reach_the_model() {
    let stand_in = stand_in();
    let app = app(&stand_in, |config| config.max_question_chars = 10);
    for empty in ["", "  \n"] {
        assert!(matches!(app.ask(empty), Err(RagError::EmptyQuestion)));
    }
    let error = app.ask("elf zeichen").unwrap_err();
    assert!(matches!(error, RagError::QuestionTooLong { length: 11, limit: 10 }), "{error}");
    assert!(error.is_invalid_question());
    assert_eq!(stand_in.served().requests, 0);
}

#[test]
fn a_question_about_something_else_is_answered_without_citations() {
    let stand_in = stand_in();
    let answer = app(&stand_in, |_| {}).ask("zebra giraffe").unwrap();
    assert_eq!(answer.text, "The passages do not answer this question.");
    assert_eq!((answer.citations.len(), answer.metadata.passages), (0, 0));
}

#[test]
fn invented_citations_are_dropped() {
    let stand_in = failing(|faults| faults.invented_citation = 1.0);
    let answer = app(&stand_in, |_| {}).ask("What is jitter?").unwrap();
    assert!(answer.text.ends_with("It is said elsewhere, too."), "{}", answer.text);
    assert_eq!(answer.metadata.invented_citations, 1);
    assert!(!answer.citations.is_empty());
}

#[test]
fn a_limit_on_the_reply_ends_it() {
    let stand_in = stand_in();
    let answer = app(&stand_in, |config| config.max_answer_tokens = Some(5))
        .ask("What is a token?")
        .unwrap();
    assert_eq!(answer.metadata.finish_reason.as_deref(), Some("length"));
    assert_eq!(answer.metadata.tokens.unwrap().completion, 5);
}

#[test]
fn documents_come_with_their_metadata() {
    let stand_in = stand_in();
    let app = app(&stand_in, |_| {});
    let found: Vec<_> =
        app.documents().iter().map(|found| (found.path.as_str(), found.title.as_str())).collect();
    let expected = [
        ("caching.md", "Prompt caching"),
        ("guides/retrieval.md", "Retrieval-augmented generation"),
        ("retries.md", "Failures and retries"),
        ("tokens.md", "Tokens and what they cost"),
    ];
    assert_eq!(found, expected);
    assert!(app.passage_count() > 10);
}

#[test]
fn a_folder_without_text_cannot_be_opened() {
    let dir = tempfile::tempdir().unwrap();
    let open =
        || RagApp::open(RagConfig::new(dir.path(), "http://127.0.0.1:1/v1", "m"), Meter::off());
    assert!(matches!(open().unwrap_err(), RagError::NoDocuments { .. }));
    fs::write(dir.path().join("empty.md"), "# Only\n\n## Headings\n").unwrap();
    assert!(matches!(open().unwrap_err(), RagError::NoDocuments { .. }));
    let gone = RagConfig::new(dir.path().join("gone"), "http://127.0.0.1:1/v1", "m");
    assert!(matches!(RagApp::open(gone, Meter::off()).unwrap_err(), RagError::Read { .. }));
}

#[test]
fn many_threads_ask_one_application() {
    let stand_in = stand_in();
    let app = app(&stand_in, |config| config.stream = true);
    let questions = app.questions(11, 60);
    let valid = questions.iter().filter(|question| question.valid).count();
    let answers: BTreeSet<String> = thread::scope(|scope| {
        let askers: Vec<_> = questions
            .chunks(15)
            .map(|part| {
                scope.spawn(|| {
                    part.iter()
                        .filter_map(|question| app.ask(&question.text).ok())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        askers
            .into_iter()
            .flat_map(|asker| asker.join().unwrap())
            .map(|answer| answer.text)
            .collect()
    });
    let served = stand_in.served();
    assert_eq!((served.requests, served.answered), (valid as u64, valid as u64));
    assert!(answers.len() > 30, "{}", answers.len());
}

#[test]
fn latency_is_felt_and_scaled() {
    let stand_in = StandIn::start(quick().latency_scale(0.2)).unwrap();
    let app = app(&stand_in, |config| config.stream = true);
    let metadata = app.ask("What is backoff with jitter?").unwrap().metadata;
    let first = metadata.first_token.unwrap();
    assert!(first >= Duration::from_millis(16), "{first:?}");
    assert!(metadata.elapsed >= first + Duration::from_millis(20), "{:?}", metadata.elapsed);
}

#[test]
fn questions_are_made_of_the_documents() {
    let stand_in = stand_in();
    let app = app(&stand_in, |_| {});
    let questions = app.questions(1, 300);
    let different: BTreeSet<_> = questions.iter().map(|question| &question.text).collect();
    assert!(different.len() > 270, "{}", different.len());
    assert!(library().is_dir() && questions.iter().any(|q| q.text.contains("“Vector search”")));
}
