//! Filtered groups over sealed operations, on one core: fetching, decompressing, filtering, adding up; beside DuckDB on a
//! Parquet file of the same columns, and a plain loop over columns that lie in memory.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use cpu_time::ThreadTime;
use taximeter_models::{Name, OperationRecord, Outcome};
use taximeter_persistence::store::block::{Meta, Sealed, seal};
use taximeter_persistence::store::{Block, Column, Condition, Keys, Query, Table};

use crate::out::{Bound, Out};
use crate::peers;
use crate::sealed::{BLOCK, open};
use crate::standard::{Form, Standard};

/// A group: how many, and their durations and input tokens added up.
pub(crate) type Groups = BTreeMap<String, [u64; 3]>;

/// The columns that are asked, as they lie in memory.
#[derive(Default)]
pub(crate) struct Plain {
    pub(crate) texts: [PlainTexts; 4],
    pub(crate) failed: Vec<u8>,
    pub(crate) nanos: Vec<u64>,
    pub(crate) tokens: Vec<u32>,
}

/// A column of texts.
#[derive(Default)]
pub(crate) struct PlainTexts {
    pub(crate) keys: Vec<u16>,
    pub(crate) names: Vec<String>,
    places: HashMap<String, u16>,
}

/// The columns of texts.
pub(crate) const TEXTS: [&str; 4] = ["operation", "user", "team", "plan"];

/// A question: the column by which groups are told apart, and the one that is to have a value.
pub(crate) struct Question {
    pub(crate) by: &'static str,
    pub(crate) of: Option<(&'static str, String)>,
}

impl Question {
    fn query(&self) -> Query {
        let Some((column, value)) = &self.of else {
            return Query::default().and(Condition::Outcome(Outcome::Success));
        };
        let value = Name::from(value.as_str());
        Query::default().and(match *column {
            "operation" => Condition::Operation(value),
            "user" => Condition::User(value),
            "team" => Condition::Tag("team".into(), value),
            _ => Condition::Metadata("plan".into(), value.as_str().into()),
        })
    }

    fn column(&self) -> Column {
        match self.by {
            "operation" => Column::Operation,
            "user" => Column::User,
            "team" => Column::Tag("team".into()),
            _ => Column::Metadata("plan".into()),
        }
    }

    fn words(&self) -> String {
        match &self.of {
            Some((column, _)) => format!("by {}, of one {column}", self.by),
            None => format!("by {}, of those that succeeded", self.by),
        }
    }
}

pub(crate) fn run(rows: usize, out: &Out) {
    let (blocks, plain) = make(rows);
    let user = plain.texts[1].names[0].clone();
    let questions = [
        Question { by: "team", of: None },
        Question { by: "plan", of: Some(("operation", "qa_response".into())) },
        Question { by: "user", of: Some(("team", "search".into())) },
        Question { by: "team", of: Some(("plan", "free".into())) },
        Question { by: "operation", of: Some(("user", user)) },
    ];
    let answers: Vec<Groups> = questions.iter().map(|question| ask(&blocks, question).0).collect();
    let mut took = Vec::new();
    for (question, answer) in questions.iter().zip(&answers) {
        assert_eq!(*answer, plain.ask(question).0, "{}", question.words());
        let rounds = [(); 5].map(|()| (ask(&blocks, question).1, plain.ask(question).1));
        let best = |of: fn(&(f64, f64)) -> f64| rounds.iter().map(of).fold(f64::MAX, f64::min);
        let ours = best(|round| round.0);
        print(out, "sealed blocks", question, rows, ours);
        print(out, "plain loop over columns in memory", question, rows, best(|round| round.1));
        let what = format!("sealed blocks, {}", question.words());
        out.judge(what, rows as f64 / ours / 1e6, "million operations/s on one core", Bound::AtLeast(10.0));
        took.push(ours);
    }
    drop(blocks);
    match peers::ask(&plain, &questions, &answers) {
        Ok(peers) => {
            for (what, question, seconds) in peers {
                print(out, &what, &questions[question], rows, seconds);
                let times = seconds / took[question];
                let what = format!("sealed blocks beside {what}, {}", questions[question].words());
                out.hope(what, times, "times as fast", Bound::AtLeast(1.0));
            }
        }
        Err(why) => println!("no peers: {why}"),
    }
}

fn print(out: &Out, what: &str, question: &Question, rows: usize, seconds: f64) {
    let (question, each) = (question.words(), rows as f64 / seconds / 1e6);
    out.say(
        || format!("{question:40} {what:40} {each:8.1} M operations/s"),
        || serde_json::json!({"what": what, "question": question, "rows": rows, "seconds": seconds}),
    );
}

fn make(rows: usize) -> (Vec<Sealed>, Plain) {
    let mut standard = Standard::new(Form::Tagged);
    let mut plain = Plain::default();
    let blocks = (0..rows.div_ceil(BLOCK)).map(|at| {
        let records = standard.batch(BLOCK.min(rows - at * BLOCK));
        records.iter().for_each(|record| plain.push(record));
        seal(&records).expect("standard operations can be sealed")
    });
    (blocks.collect(), plain)
}

/// The groups, and how many seconds of CPU they took.
fn ask(blocks: &[Sealed], question: &Question) -> (Groups, f64) {
    let (query, by) = (question.query(), question.column());
    let columns = [by.clone(), Column::Duration, Column::InputTokens];
    let began = ThreadTime::now();
    let mut groups: HashMap<Name, [u64; 3]> = HashMap::new();
    for sealed in blocks {
        let meta = Meta::read(&sealed.meta).expect("it was just sealed");
        if meta.may_match(&query) {
            let scanned = open(sealed).scan(Table::Operations, &query, &columns, &mut |block| {
                add_up(block, &by, &mut groups);
                ControlFlow::Continue(())
            });
            let (_, _more) = scanned.expect("it was just sealed");
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    (groups.into_iter().map(|(name, group)| (name.to_string(), group)).collect(), seconds)
}

pub(crate) fn add_up(block: &Block<'_>, by: &Column, groups: &mut HashMap<Name, [u64; 3]>) {
    let texts = block.texts(by).expect("texts were asked for");
    let nanos = block.numbers(&Column::Duration).expect("durations were asked for");
    let tokens = block.numbers(&Column::InputTokens).expect("tokens were asked for");
    let mut here = vec![[0_u64; 3]; texts.names.len()];
    for ((key, nanos), tokens) in texts.keys.iter().zip(nanos).zip(tokens) {
        if *key != Keys::NONE {
            let group = &mut here[*key as usize];
            group[0] += 1;
            group[1] += nanos;
            group[2] += tokens;
        }
    }
    for (name, group) in texts.names.iter().zip(here).filter(|(_, group)| group[0] > 0) {
        let sums = groups.entry(name.clone()).or_default();
        sums.iter_mut().zip(group).for_each(|(sum, more)| *sum += more);
    }
}

impl Plain {
    fn push(&mut self, record: &OperationRecord) {
        let plan = record.metadata.get("plan").and_then(|plan| plan.as_str());
        let texts = [
            Some(record.name.as_str()),
            record.user.as_deref(),
            record.tags.get("team").map(String::as_str),
            plan,
        ];
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.push(text.expect("it is told of every operation"));
        }
        self.failed.push(u8::from(!record.is_success()));
        self.nanos.push(u64::try_from(record.duration.as_nanos()).expect("a short time"));
        self.tokens.push(u32::try_from(record.usage().input_tokens()).expect("few tokens"));
    }

    fn column(&self, name: &str) -> &PlainTexts {
        &self.texts[TEXTS.iter().position(|known| *known == name).expect("a column")]
    }

    fn ask(&self, question: &Question) -> (Groups, f64) {
        let by = self.column(question.by);
        let began = ThreadTime::now();
        let mut groups = vec![[0_u64; 3]; by.names.len()];
        let mut add = |row: usize| {
            let group = &mut groups[usize::from(by.keys[row])];
            group[0] += 1;
            group[1] += self.nanos[row];
            group[2] += u64::from(self.tokens[row]);
        };
        match &question.of {
            None => (0..self.nanos.len()).filter(|row| self.failed[*row] == 0).for_each(&mut add),
            Some((column, value)) => {
                let of = self.column(column);
                let key = of.places[value];
                (0..self.nanos.len()).filter(|row| of.keys[*row] == key).for_each(&mut add);
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        let found = by.names.iter().cloned().zip(groups).filter(|(_, group)| group[0] > 0);
        (found.collect(), seconds)
    }
}

impl PlainTexts {
    fn push(&mut self, text: &str) {
        let key = match self.places.get(text) {
            Some(key) => *key,
            None => {
                let key = u16::try_from(self.names.len()).expect("few different texts");
                self.names.push(text.into());
                self.places.insert(text.into(), key);
                key
            }
        };
        self.keys.push(key);
    }
}
