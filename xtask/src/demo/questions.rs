//! Asking: the RAG application, its server, and a few hundred questions from several threads.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use taximeter::Meter;
use taximeter_demo::{
    Answer, FaultRates, Question, RagApp, RagConfig, Served, StandIn, StandInConfig,
};

use super::Arguments;

/// What was asked, of whom, and what came back.
pub(crate) struct Asked {
    /// Who answered, in words.
    pub(crate) server: String,
    /// The folder that was asked about.
    pub(crate) docs: PathBuf,
    pub(crate) documents: usize,
    pub(crate) passages: usize,
    pub(crate) questions: usize,
    pub(crate) threads: u16,
    pub(crate) answered: usize,
    pub(crate) refused: usize,
    /// A question with its answer.
    pub(crate) example: Option<(String, Answer)>,
    /// The stand-ins' own books, before and after the change to the slower one; none for a real server.
    pub(crate) served: Option<[Served; 2]>,
}

/// Half way through, the stand-in is replaced by one that is slower by this factor: a trend to be found.
pub(crate) const SLOWER: f64 = 1.8;

/// The share of a real LLM's latency before that.
const LATENCY: f64 = 0.35;

pub(crate) fn ask(
    arguments: &Arguments,
    docs: &Path,
    meter: &Meter,
) -> Result<Asked, Box<dyn Error>> {
    let progress = progress(arguments.questions);
    match RagConfig::from_env(docs) {
        Some(config) => {
            let server = format!("{} at {}", config.model, config.base_url);
            let app = RagApp::open(config, meter.clone())?;
            let questions = app.questions(arguments.seed, arguments.questions);
            let half = half(&app, arguments.threads, &questions, &progress);
            progress.finish_and_clear();
            Ok(asked(arguments, docs, &app, server, [half, Half::default()], None))
        }
        None => ask_stand_ins(arguments, docs, meter, &progress),
    }
}

fn ask_stand_ins(
    arguments: &Arguments,
    docs: &Path,
    meter: &Meter,
    progress: &ProgressBar,
) -> Result<Asked, Box<dyn Error>> {
    let start = |latency: f64| {
        let settings = StandInConfig::default()
            .seed(arguments.seed)
            .faults(FaultRates::busy_day())
            .latency_scale(latency)
            .stall(Duration::from_secs(3));
        StandIn::start(settings)
    };
    let open = |stand_in: &StandIn, stream: bool| {
        let mut config = RagConfig::for_stand_in(docs, stand_in);
        config.stream = stream;
        config.timeout = Duration::from_millis(1_500);
        RagApp::open(config, meter.clone())
    };
    let quick = start(LATENCY)?;
    let app = open(&quick, false)?;
    let questions = app.questions(arguments.seed, arguments.questions);
    let (first, second) = questions.split_at(questions.len() / 2);
    let before = half(&app, arguments.threads, first, progress);
    let slow = start(LATENCY * SLOWER)?;
    let after = half(&open(&slow, true)?, arguments.threads, second, progress);
    progress.finish_and_clear();
    let served = settled(&quick, &slow);
    let server = "a stand-in on this machine, not a real LLM".to_owned();
    Ok(asked(arguments, docs, &app, server, [before, after], Some(served)))
}

/// The books of both, once no request is under way any more: one that its client has given up may still be.
fn settled(quick: &StandIn, slow: &StandIn) -> [Served; 2] {
    let books = || [quick.served(), slow.served()];
    for _ in 0..50 {
        if books().iter().all(|served| served.under_way() == 0) {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    books()
}

fn progress(questions: usize) -> ProgressBar {
    // On standard error, and only on a terminal: standard output is for what is asked for.
    let progress =
        ProgressBar::with_draw_target(Some(questions as u64), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("asking {bar:40} {pos}/{len} questions, {eta} left");
    if let Ok(style) = style {
        progress.set_style(style);
    }
    progress
}

/// What became of the questions of one run.
#[derive(Default)]
struct Half {
    answered: usize,
    refused: usize,
    example: Option<(String, Answer)>,
}

impl Half {
    fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.refused += other.refused;
        self.example = self.example.take().or(other.example);
    }
}

/// Asks the questions from several threads; each takes the next that nobody has taken.
fn half(app: &RagApp, threads: u16, questions: &[Question], progress: &ProgressBar) -> Half {
    let next = AtomicUsize::new(0);
    let worker = |thread: u16| {
        let mut half = Half::default();
        // Relaxed is enough: only that no two threads take the same question matters.
        while let Some(question) = questions.get(next.fetch_add(1, Ordering::Relaxed)) {
            match app.ask_for(&format!("user-{thread}"), &question.text) {
                Ok(answer) => {
                    half.answered += 1;
                    half.example.get_or_insert_with(|| (question.text.clone(), answer));
                }
                Err(error) => half.refused += usize::from(error.is_invalid_question()),
            }
            progress.inc(1);
        }
        half
    };
    thread::scope(|scope| {
        let workers: Vec<_> =
            (1..=threads).map(|thread| scope.spawn(move || worker(thread))).collect();
        let mut sum = Half::default();
        for worker in workers {
            // A thread that panicked has nothing to add; what it did until then is in the meter.
            sum.add(worker.join().unwrap_or_default());
        }
        sum
    })
}

fn asked(
    arguments: &Arguments,
    docs: &Path,
    app: &RagApp,
    server: String,
    halves: [Half; 2],
    served: Option<[Served; 2]>,
) -> Asked {
    let mut sum = Half::default();
    for half in halves {
        sum.add(half);
    }
    Asked {
        server,
        docs: docs.to_owned(),
        documents: app.documents().len(),
        passages: app.passage_count(),
        questions: arguments.questions,
        threads: arguments.threads,
        answered: sum.answered,
        refused: sum.refused,
        example: sum.example,
        served,
    }
}
