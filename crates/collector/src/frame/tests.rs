//! Every record comes back from its bytes as it went in.

use std::time::Duration;

use chrono::DateTime;
use proptest::prelude::*;
use serde_json::{Value, json};
use taximeter_models::{
    CostOutcome, Currency, ErrorCategory, ErrorRecord, LlmCall, Money, Name, OperationId,
    OperationRecord, Outcome, ReportedCost, SpanId, TokenUsage, ToolCall, ToolStatus, Totals,
    TraceId, Unit, Warning,
};

use super::{
    Buffer, Ended, HEADER, LONG, Label, Word, Words, close, encode, hot, id_of, part, put_text,
    read, read_lean,
};

fn back(record: &OperationRecord) -> OperationRecord {
    let mut buffer = Buffer::default();
    encode(&mut buffer, record);
    let mut frame = buffer.as_slice().to_vec();
    assert_eq!(id_of(&frame), Some(record.id));
    frame.extend_from_slice(b"more");
    let (read, rest) = read(&frame, &mut |text: &str| Name::from(text)).expect("it is a frame");
    assert_eq!(rest, b"more");
    read
}

/// What is left of a record that is read for its numbers, by itself or in the place of another one.
fn lean(record: &OperationRecord, place: &mut OperationRecord) -> OperationRecord {
    let mut buffer = Buffer::default();
    encode(&mut buffer, record);
    let names = &mut |text: &str| Name::from(text);
    assert_eq!(read_lean(buffer.as_slice(), names, place), Some(&[][..]));
    place.clone()
}

#[test]
fn read_for_its_numbers_a_record_has_the_same_sums_and_nothing_of_the_one_before() {
    let (full, small) = (full(), OperationRecord::new("small"));
    let mut place = OperationRecord::new("");
    for record in [&full, &small, &full, &small] {
        let lean = lean(record, &mut place);
        assert_eq!(Totals::of([&lean]), Totals::of([record]));
        assert_eq!((&lean.components, lean.id), (&record.components, record.id));
        assert_eq!((lean.trace_id, lean.started_at), (record.trace_id, record.started_at));
        assert!(lean.metadata.is_empty() && lean.tags.is_empty() && lean.user.is_none());
        assert!(lean.tool_calls.iter().all(|call| call.metadata.is_empty()));
        assert!(lean.errors.iter().all(|error| error.message.is_empty()));
    }
}

fn full() -> OperationRecord {
    let mut record = OperationRecord::new("qa_response");
    record.id = OperationId::from_bits(7 << 100 | 3);
    record.trace_id = TraceId::from_bits(u128::MAX);
    record.parent = Some(OperationId::from_bits(9));
    record.remote_parent = Some(SpanId::from_bits(10));
    record.started_at = "1969-12-31T23:59:59.999999999Z".parse().unwrap();
    record.duration = Duration::from_nanos(u64::MAX);
    record.outcome = Outcome::Abandoned;
    record.user = Some("ünal".into());
    record.session = Some("s".into());
    record.tags.insert("env".into(), "prod".into());
    record.unlisted_errors = 3;
    record.metadata = [
        ("null", Value::Null),
        ("float", json!(0.1)),
        ("least", json!(i64::MIN)),
        ("most", json!(u64::MAX)),
        ("nested", json!([{"a": [1.5, true, false, null]}, "text", ""])),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    record.add_component("llm", Duration::from_millis(3));
    record.components.push(taximeter_models::ComponentTiming {
        name: "late".into(),
        offset: Some(Duration::from_nanos(0)),
        duration: Duration::ZERO,
        count: 300,
    });
    record.components.push(taximeter_models::ComponentTiming {
        name: "at".into(),
        offset: Some(Duration::from_nanos(LONG - 1)),
        duration: Duration::from_nanos(u64::MAX),
        count: 1,
    });
    let mut tool = ToolCall::new("search", ToolStatus::Timeout).attempt(u32::MAX).with("k", -1);
    tool.started_at = Some("2026-11-24T12:00:00.5Z".parse().unwrap());
    tool.error = Some(ErrorRecord::new(ErrorCategory::Timeout, "slow").within("net"));
    tool.arguments_hash = Some(u64::MAX);
    tool.duration = Some(Duration::from_nanos(LONG));
    record.tool_calls = vec![tool, ToolCall::new("", ToolStatus::Success)];
    let mut llm = LlmCall::new("openai", "gpt-4o").lasting(Duration::from_secs(2));
    let usage = TokenUsage::inclusive(1_200, 350).cache_read(200).unit(Unit::Request, 1);
    llm.usage = Some(usage.reasoning(50).build().unwrap());
    llm.cost = CostOutcome::ProviderReported(ReportedCost {
        total: Money::from_ticks(i128::MAX),
        input: None,
        output: None,
        currency: Currency::USD,
    });
    (llm.streamed, llm.attempt) = (true, 2);
    llm.served_as.insert("region".into(), "eu".into());
    (llm.served_tier, llm.finish_reason) = (Some("flex".into()), Some("stop".into()));
    (llm.prompt_prefix_hash, llm.arguments_hash) = (Some(1), Some(2));
    (llm.context_window, llm.time_to_first_token) = (Some(128_000), Some(Duration::from_millis(7)));
    llm.response_model = Some("gpt-4o-2024-08-06".into());
    llm.started_at = Some(DateTime::<chrono::Utc>::MAX_UTC);
    llm.error = Some(ErrorRecord::new(ErrorCategory::RateLimit, "busy"));
    llm.metadata.insert("k".into(), json!([1]));
    record.llm_calls = vec![llm, LlmCall::default()];
    let mut error = ErrorRecord::new(ErrorCategory::Unknown, "it\nfailed");
    error.causes = vec!["because".into(), String::new()];
    record.errors.push(error);
    record.warnings.push(Warning { message: "w".into(), component: Some("llm".into()) });
    record
}

#[test]
fn a_record_that_holds_everything_comes_back_as_it_was() {
    assert_eq!(back(&full()), full());
    assert_eq!(back(&OperationRecord::default()), OperationRecord::default());
}

#[test]
fn every_category_unit_and_status_comes_back() {
    let mut record = OperationRecord::new("all");
    let errors = ErrorCategory::ALL.iter().map(|category| ErrorRecord::new(*category, "e"));
    record.errors = errors.collect();
    for unit in Unit::ALL {
        let usage = std::collections::BTreeMap::from([(Unit::Output, 9), (*unit, 9)]);
        let mut call = LlmCall::default();
        call.usage = Some(TokenUsage::try_from(usage).unwrap());
        record.llm_calls.push(call);
    }
    for status in [ToolStatus::Success, ToolStatus::Failure, ToolStatus::Timeout, ToolStatus::Error]
    {
        record.tool_calls.push(ToolCall::new("t", status));
    }
    assert_eq!(back(&record), record);
}

/// The words of a piece.
fn piece(compose: impl FnOnce(&mut Words<'_, 16>)) -> Vec<u64> {
    let places = [const { Word::new(u64::MAX) }; 16];
    let mut words = Words::new(&places);
    compose(&mut words);
    let length = words.len();
    places[..length].iter().map(|place| place.load(std::sync::atomic::Ordering::Relaxed)).collect()
}

fn frequent(usage: &TokenUsage) -> hot::Tokens {
    let tokens = hot::Tokens::of(usage).expect("they are few, and of no other kind");
    assert_eq!(&tokens.usage(), usage);
    tokens
}

/// The words of a text and its key.
fn text_of(key: Label, text: &str) -> Vec<u64> {
    let places = [const { Word::new(u64::MAX) }; hot::TEXT / 8];
    put_text(&places, text.as_bytes()).expect("it is short");
    let mut words = piece(|to| hot::key_of_text(to, key, text.len()));
    let text = places[..text.len().div_ceil(8)].iter();
    words.extend(text.map(|place| place.load(std::sync::atomic::Ordering::Relaxed)));
    words
}

/// The frame of parts that are put together as words.
fn in_words(pieces: impl IntoIterator<Item = Vec<u64>>) -> Vec<u8> {
    let mut bytes = Buffer::default();
    bytes.extend(HEADER).fill(0);
    pieces.into_iter().flatten().for_each(|word| bytes.put(&word.to_le_bytes()));
    close(&mut bytes, &Ended::default());
    bytes.as_slice().to_vec()
}

proptest! {
    #[test]
    fn a_frequent_part_comes_back_as_it_was(
        name in "[a-zé]{0,7}", key in "[a-z_]{1,15}", text in ".{0,16}|[ -~]{0,64}",
        (bits, number) in (0..64_u32, any::<u64>()), started in any::<i64>(),
        [took, offset] in [0..LONG, 0..LONG], tokens in any::<[u32; 3]>(),
    ) {
        let number = number >> bits;
        let label = |text: &str| Label::of(text).expect("it is short");
        let [input, output, cached] = tokens.map(u64::from);
        let usage = TokenUsage::new(input, output);
        let with_cached = TokenUsage::inclusive(input + cached, output).cache_read(cached);
        let with_cached = with_cached.build().expect("it is consistent");
        let frame = in_words([
            piece(|to| hot::name(to, label(&name))),
            text_of(label("text"), &text),
            vec![hot::gone(2), u64::MAX],
            piece(|to| hot::unsigned(to, label(&key), number)),
            piece(|to| hot::component(to, label(&name), None, took)),
            piece(|to| hot::component(to, label(&key), Some(offset), took)),
            piece(|to| hot::tool(to, label(&key))),
            text_of(label(&key), &text),
            piece(|to| hot::tool_end(to, took, ToolStatus::Timeout)),
            piece(|to| hot::usage(to, label(&name), label(&key), frequent(&usage))),
            piece(|to| hot::tool(to, label(&name))),
            piece(|to| hot::unsigned(to, label(&key), number)),
            piece(|to| hot::started(to, started)),
            piece(|to| hot::tool_end(to, took, ToolStatus::Error)),
            piece(|to| hot::usage(to, label(&key), label(&name), frequent(&with_cached))),
        ]);
        let (name, key) = (name.as_str(), key.as_str());
        let mut record = OperationRecord::new(name);
        record.outcome = Outcome::Success;
        record.started_at = DateTime::UNIX_EPOCH;
        record.metadata.insert("text".into(), text.clone().into());
        record.metadata.insert(key.to_owned(), number.into());
        let duration = Duration::from_nanos(took);
        record.add_component(name, duration);
        record.add_component(key, duration);
        record.components[1].offset = Some(Duration::from_nanos(offset));
        record.tool_calls = vec![
            ToolCall::new(key, ToolStatus::Timeout).with(key, text.as_str()),
            ToolCall::new(name, ToolStatus::Error).with(key, number),
        ];
        record.tool_calls.iter_mut().for_each(|call| call.duration = Some(duration));
        record.tool_calls[1].started_at = Some(DateTime::from_timestamp_nanos(started));
        record.llm_calls = vec![
            LlmCall::new(name, key).using(usage),
            LlmCall::new(key, name).using(with_cached),
        ];
        let mut names = |text: &str| Name::from(text);
        let (read, rest) = read(&frame, &mut names).expect("it is a frame");
        prop_assert_eq!(&read, &record);
        prop_assert!(rest.is_empty());
        // In a place where there is something else, of which nothing is left.
        let mut lean = full();
        lean.metadata.clear();
        lean.tool_calls.iter_mut().for_each(|call| call.metadata.clear());
        prop_assert!(read_lean(&frame, &mut names, &mut lean).is_some());
        record.metadata.clear();
        record.tool_calls.iter_mut().for_each(|call| call.metadata.clear());
        prop_assert_eq!(lean.tool_calls, record.tool_calls);
        prop_assert_eq!(lean.llm_calls, record.llm_calls);
        prop_assert_eq!(lean.components, record.components);
        prop_assert_eq!((lean.name, lean.outcome), (record.name, record.outcome));
    }

    #[test]
    fn frequent_and_rare_pieces_of_a_call_stand_side_by_side(
        name in "[a-z]{0,15}", long in "[a-z]{120,140}", attempt in any::<u32>(), took in any::<u64>(),
    ) {
        let label = || Label::of(&name).expect("it is short");
        let mut rare = Buffer::default();
        part::attempt(&mut rare, attempt);
        part::duration(&mut rare, Duration::from_nanos(took));
        part::tool_end(&mut rare, ToolStatus::Failure);
        part::component(&mut rare, &long, None, Duration::from_nanos(took), 1);
        let rare = rare.padded().chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
        let frame = in_words([
            piece(|to| hot::name(to, label())),
            piece(|to| hot::tool(to, label())),
            piece(|to| hot::unsigned(to, label(), took)),
            rare.collect(),
            piece(|to| hot::tool(to, label())),
            piece(|to| hot::tool_end(to, 7, ToolStatus::Success)),
        ]);
        let mut names = |text: &str| Name::from(text);
        let (full, _) = read(&frame, &mut names).expect("it is a frame");
        let first = &full.tool_calls[0];
        prop_assert_eq!((first.attempt, first.status), (attempt, ToolStatus::Failure));
        prop_assert_eq!(first.duration, Some(Duration::from_nanos(took)));
        prop_assert_eq!(&first.metadata[&name], &json!(took));
        prop_assert_eq!(&*full.components[0].name, long.as_str());
        prop_assert_eq!((full.tool_calls.len(), &*full.tool_calls[1].name), (2, name.as_str()));
        let mut lean = OperationRecord::new("");
        prop_assert!(read_lean(&frame, &mut names, &mut lean).is_some());
        prop_assert_eq!(Totals::of([&lean]), Totals::of([&full]));
        prop_assert_eq!(lean.tool_calls[0].attempt, attempt);
    }

    #[test]
    fn bytes_that_are_no_frame_are_refused_and_nothing_panics(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let mut buffer = Buffer::default();
        encode(&mut buffer, &full());
        let label = Label::of("a name").expect("it is short");
        let usage = TokenUsage::new(1_200, 350);
        let words = in_words([
            piece(|to| hot::name(to, label)),
            text_of(label, "a text"),
            vec![hot::gone(2), 0],
            piece(|to| hot::component(to, label, None, 3)),
            piece(|to| hot::tool(to, label)),
            piece(|to| hot::unsigned(to, label, u64::MAX)),
            piece(|to| hot::started(to, 5)),
            piece(|to| hot::tool_end(to, 7, ToolStatus::Success)),
            piece(|to| hot::usage(to, label, label, frequent(&usage))),
        ]);
        for mut frame in [buffer.as_slice().to_vec(), words] {
            let place = at.index(frame.len());
            frame[place] = byte;
            frame.truncate(cut.index(frame.len() + 1));
            let mut names = |text: &str| Name::from(text);
            let record = read(&frame, &mut names).map(|(record, _)| record);
            let mut lean = full();
            // What is read in full is read for its numbers; texts are not looked at there.
            let is_read = read_lean(&frame, &mut names, &mut lean).is_some();
            prop_assert!(is_read || record.is_none());
            if let Some(record) = record {
                prop_assert_eq!(Totals::of([&lean]), Totals::of([&record]));
            }
        }
    }
}
