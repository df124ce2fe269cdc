//! A small application that answers questions out of documents, with a knob for each thing that can go wrong.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::struct_excessive_bools,
    reason = "times and tokens drawn by lot are small and not negative; a knob is a knob"
)]

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use taximeter_analysis::Prices;
use taximeter_models::{
    CardBasis, CostEstimate, CostLine, CostOutcome, Currency, ErrorCategory, ErrorRecord, LlmCall,
    MatchKind, Money, OperationId, OperationRecord, Outcome, RateCardRef, TokenUsage, ToolCall,
    ToolStatus, Unit,
};

/// What can be planted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cause {
    SlowSearch,
    SlowLlm,
    DearLlm,
    Failures,
    SameQuestions,
    RetryStorm,
    RateLimit,
    Timeouts,
    ToolLoop,
    CutReplies,
    FullContext,
    ColdCache,
    LongReplies,
    Background,
}

/// The knobs. Times are in milliseconds, chances in percent.
#[derive(Debug, Clone)]
pub(crate) struct App {
    questions: u64,
    search: f64,
    llm: &'static str,
    llm_latency: f64,
    failing: u64,
    same: u64,
    answers_are_cached: bool,
    tool_fails: u64,
    most_tries: u32,
    refused: u64,
    hangs: u64,
    timeout: f64,
    looping: u64,
    cut: u64,
    prompt: u64,
    window: u64,
    prefix: u64,
    cached: bool,
    reply: u64,
    background: bool,
    batch: bool,
}

impl App {
    pub(crate) fn healthy() -> Self {
        Self {
            questions: 1_000,
            search: 200.0,
            llm: "small",
            llm_latency: 900.0,
            failing: 1,
            same: 0,
            answers_are_cached: false,
            tool_fails: 2,
            most_tries: 3,
            refused: 0,
            hangs: 0,
            timeout: 8_000.0,
            looping: 0,
            cut: 0,
            prompt: 900,
            window: 128_000,
            prefix: 0,
            cached: false,
            reply: 150,
            background: false,
            batch: false,
        }
    }

    pub(crate) fn with(cause: Cause) -> Self {
        let mut app = Self::healthy();
        match cause {
            Cause::SlowSearch => app.search = 700.0,
            Cause::SlowLlm => app.llm_latency = 2_000.0,
            Cause::DearLlm => (app.llm, app.prompt) = ("large", 20_000),
            Cause::Failures => app.failing = 25,
            Cause::SameQuestions => app.same = 40,
            Cause::RetryStorm => (app.tool_fails, app.most_tries) = (30, 8),
            Cause::RateLimit => app.refused = 6,
            Cause::Timeouts => app.hangs = 5,
            Cause::ToolLoop => app.looping = 8,
            Cause::CutReplies => app.cut = 8,
            Cause::FullContext => app.window = 1_050,
            Cause::ColdCache => app.prefix = 3_000,
            Cause::LongReplies => (app.reply, app.prompt) = (1_800, 200),
            Cause::Background => app.background = true,
        }
        app
    }

    /// The same application after the advice was followed, as it is likely to be.
    pub(crate) fn remedied(cause: Cause) -> Self {
        let mut app = Self::with(cause);
        match cause {
            Cause::SlowSearch => app.search /= 2.0,
            Cause::SlowLlm => app.llm_latency /= 2.0,
            Cause::DearLlm => app.llm = "small",
            Cause::Failures => app.failing /= 2,
            Cause::SameQuestions => app.answers_are_cached = true,
            Cause::RetryStorm => app.most_tries = 2,
            Cause::RateLimit => app.refused = 0,
            Cause::Timeouts => app.timeout = 800.0,
            Cause::ToolLoop => app.looping = 0,
            Cause::CutReplies => app.cut = 0,
            Cause::FullContext => app.prompt /= 2,
            Cause::ColdCache => app.cached = true,
            Cause::LongReplies => app.reply = app.reply * 3 / 4,
            Cause::Background => app.batch = true,
        }
        app
    }
}

/// Numbers by lot: splitmix64, from S. Vigna's public domain description. Each question has its own, so that two runs
/// of one seed differ only in what a knob changes.
struct Lot(u64);

impl Lot {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    /// Around one, skewed to the right, in the mean about 1.03.
    fn spread(&mut self) -> f64 {
        let unit = |number: u64| (number >> 11) as f64 / (1_u64 << 53) as f64;
        let sum: f64 = (0..6).map(|_| unit(self.next())).sum();
        ((sum - 3.0) * 0.35).exp()
    }
}

fn millis(time: f64) -> Duration {
    Duration::from_secs_f64(time / 1e3)
}

/// A day of the application's work.
pub(crate) fn run(app: &App, seed: u64) -> Vec<OperationRecord> {
    let midnight: DateTime<Utc> = "2026-11-23T00:00:00Z".parse().expect("a moment");
    (0..app.questions)
        .map(|number| {
            // Every question draws from lots of its own, one for each thing.
            let lot = |thing: u64| Lot(seed.wrapping_mul(1_000_003) + number * 1_000 + thing);
            question(app, number, midnight + TimeDelta::seconds(60 * number.cast_signed()), &lot)
        })
        .collect()
}

fn question(
    app: &App,
    number: u64,
    at: DateTime<Utc>,
    lot: &dyn Fn(u64) -> Lot,
) -> OperationRecord {
    let mut operation = OperationRecord::new("qa_response");
    operation.id = OperationId::from_bits(u128::from(number) + 1);
    operation.started_at = at;
    let search = millis(app.search * lot(1).spread());
    operation.add_component("vector_search", search);
    let mut time = search + millis(20.0);
    time += tools(app, &mut operation, lot);
    time += ask(app, number, &mut operation, lot);
    if lot(7).chance(app.failing) {
        operation.outcome = Outcome::Failure;
        operation.errors.push(ErrorRecord::new(ErrorCategory::Parse, "the answer has no citation"));
    }
    if app.background {
        operation.tags.insert("background".into(), "true".into());
    }
    operation.duration = time;
    operation
}

/// The tool, tried again where it fails, and called again in a loop.
fn tools(app: &App, operation: &mut OperationRecord, lot: &dyn Fn(u64) -> Lot) -> Duration {
    let mut sum = Duration::ZERO;
    let mut one = |attempt: u32, hash: u64, failing: Option<ErrorCategory>, time: Duration| {
        let mut call = ToolCall::new("lookup", ToolStatus::Success).lasting(time).attempt(attempt);
        if let Some(category) = failing {
            call.status = ToolStatus::of_error(category);
            call.error = Some(ErrorRecord::new(category, "no luck"));
        }
        call.arguments_hash = Some(hash);
        operation.tool_calls.push(call);
        sum += time;
    };
    let hash = lot(2).next();
    let mut luck = lot(3);
    if lot(4).chance(app.hangs) {
        one(1, hash, Some(ErrorCategory::Timeout), millis(app.timeout));
    } else {
        let usually = luck.chance(app.tool_fails);
        for attempt in 1..=app.most_tries {
            let again = usually && attempt < app.most_tries;
            let failing = again.then_some(ErrorCategory::Server);
            one(attempt, hash, failing, millis(50.0 * luck.spread()));
            if !again {
                break;
            }
        }
    }
    if lot(5).chance(app.looping) {
        for _ in 0..6 {
            one(1, hash, None, millis(50.0));
        }
    }
    sum
}

/// The question to the LLM.
fn ask(
    app: &App,
    number: u64,
    operation: &mut OperationRecord,
    lot: &dyn Fn(u64) -> Lot,
) -> Duration {
    let mut sizes = lot(6);
    let asked_before = number > 50 && lot(8).chance(app.same);
    if asked_before && app.answers_are_cached {
        return Duration::ZERO;
    }
    let prompt = app.prefix + (app.prompt as f64 * sizes.spread()) as u64;
    let reply = (app.reply as f64 * sizes.spread()) as u64;
    let mut sum = Duration::ZERO;
    if lot(9).chance(app.refused) {
        let mut refused = LlmCall::new("openai", app.llm).lasting(millis(300.0));
        refused.error = Some(ErrorRecord::new(ErrorCategory::RateLimit, "429"));
        refused.cost = CostOutcome::NoUsage;
        operation.llm_calls.push(refused);
        sum += millis(300.0);
    }
    let cached = if app.cached { app.prefix * 8 / 10 } else { 0 };
    let usage = TokenUsage::inclusive(prompt, reply).cache_read(cached).build().expect("tokens");
    let first = 200.0 * sizes.spread();
    let writing = app.llm_latency * sizes.spread() * reply as f64 / 150.0_f64.max(app_reply(app));
    let time = millis(first + writing);
    let mut call = LlmCall::new("openai", app.llm).using(usage).lasting(time);
    call.time_to_first_token = Some(millis(first));
    call.context_window = Some(app.window);
    call.arguments_hash = Some(if asked_before { 42 } else { number + 1_000 });
    call.prompt_prefix_hash = (app.prefix > 0).then_some(7);
    call.finish_reason = Some(if lot(10).chance(app.cut) { "length" } else { "stop" }.into());
    if app.batch {
        call = call.served_as("processing", "batch");
    }
    call.cost = priced(&call);
    operation.add_component("llm_inference", time);
    operation.llm_calls.push(call);
    sum + time
}

/// Long replies are written at the same speed per token as the usual ones of the application that writes them.
fn app_reply(app: &App) -> f64 {
    if app.reply > 1_000 { 1_800.0 } else { 150.0 }
}

/// Millionths of a dollar for a thousand tokens: input, cached input, output.
fn rates(llm: &str) -> (i128, i128, i128) {
    if llm == "large" { (10_000, 1_000, 40_000) } else { (400, 40, 1_600) }
}

fn priced(call: &LlmCall) -> CostOutcome {
    let (input, cached, output) = rates(call.model());
    let usage = call.usage.as_ref().expect("a usage");
    let batch = call.served_as.contains_key("processing");
    let line = |unit, quantity: u64, micros: i128| {
        let rate = Money::from_ticks(Money::TICKS_PER_UNIT / 1_000_000 * micros);
        let per = 1_000 * if batch { 2 } else { 1 };
        let ticks = rate.ticks() * i128::from(quantity) / i128::from(per);
        let amount = Money::from_ticks(ticks);
        CostLine { unit, quantity, rate, per, multiplier: None, billed_as: None, amount }
    };
    let uncached = usage.uncached_input() + usage.cache_write_tokens();
    CostOutcome::Priced(Box::new(CostEstimate {
        currency: Currency::USD,
        lines: vec![
            line(Unit::Input, uncached, input),
            line(Unit::CacheRead, usage.get(Unit::CacheRead), cached),
            line(Unit::Output, usage.get(Unit::Output), output),
        ],
        card: Arc::new(RateCardRef {
            provider: "openai".into(),
            model: "any".into(),
            valid_from: None,
            basis: CardBasis::Unknown,
            source: "test".into(),
            checked_on: None,
        }),
        match_kind: MatchKind::Exact,
        tier: None,
        provider_inferred: false,
        region_assumed: None,
        context_ignored: Vec::new(),
    }))
}

/// The price book of the application: two LLMs, and half the price in a batch.
pub(crate) struct Book;

impl Prices for Book {
    fn usd(&self, call: &LlmCall, _: DateTime<Utc>) -> Option<Money> {
        call.usage.as_ref()?;
        priced(call).amount().map(|(usd, _)| usd)
    }

    fn alternatives(&self) -> Vec<(taximeter_models::Name, taximeter_models::Name)> {
        vec![("openai".into(), "small".into())]
    }
}
