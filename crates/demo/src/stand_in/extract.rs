//! Answers a question out of numbered passages, by the sentences in them that match it best.

use std::fmt::Write as _;

use fastrand::Rng;

use crate::sentences::sentences;
use crate::vectors::{Embedder, VectorStore};

/// No answer is longer than this many sentences.
const MAX_SENTENCES: usize = 4;
/// A sentence is left out when it matches so much worse than the best one.
const WORTH_SAYING: f32 = 0.45;

const OPENINGS: [&str; 4] = ["", "", "According to the documents: ", "In short: "];
const NO_ANSWER: &str = "The passages do not answer this question.";

/// An answer, with the thoughts behind it.
#[derive(Debug)]
pub(super) struct Extract {
    pub(super) text: String,
    /// What a model that reasons would have written down first.
    pub(super) thoughts: String,
}

/// A sentence of a passage, with the number that it is cited by.
struct Statement {
    number: usize,
    sentence: String,
}

/// Answers the user's message `prompt`, which has passages under their numbers and then a question.
pub(super) fn answer(prompt: &str, rng: &mut Rng) -> Extract {
    let (passages, question) = prompt.rsplit_once("Question:").unwrap_or(("", prompt));
    let statements = statements(passages);
    let best = rank(&statements, question);
    let thoughts = thoughts(question, &best);
    if best.is_empty() {
        return Extract { text: NO_ANSWER.to_owned(), thoughts };
    }
    let opening = OPENINGS[rng.usize(..OPENINGS.len())];
    let cited: Vec<String> = best.iter().map(|statement| cite(statement)).collect();
    Extract { text: format!("{opening}{}", cited.join(" ")), thoughts }
}

/// The sentences of all passages; a passage begins with a line that opens with its number.
fn statements(passages: &str) -> Vec<Statement> {
    let mut found: Vec<(usize, String)> = Vec::new();
    for line in passages.lines() {
        // Numbers count up from one, so that a marker within a passage does not begin another.
        match opening_number(line).filter(|number| *number == found.len() + 1) {
            Some(number) => found.push((number, String::new())),
            None => {
                if let Some((_, text)) = found.last_mut() {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
    }
    let sentences_of = |(number, text): (usize, String)| {
        sentences(&text).into_iter().map(move |sentence| Statement { number, sentence })
    };
    found.into_iter().flat_map(sentences_of).collect()
}

fn opening_number(line: &str) -> Option<usize> {
    line.strip_prefix('[')?.split_once(']')?.0.parse().ok()
}

/// The statements worth saying, in the order of the passages.
fn rank<'a>(statements: &'a [Statement], question: &str) -> Vec<&'a Statement> {
    let texts: Vec<&str> = statements.iter().map(|statement| statement.sentence.as_str()).collect();
    let embedder = Embedder::fit(&texts);
    let store: VectorStore = texts.iter().map(|text| embedder.embed(text)).collect();
    let hits = store.search(&embedder.embed(question), MAX_SENTENCES);
    let bar = hits.first().map_or(0.0, |best| best.score * WORTH_SAYING);
    let mut chosen: Vec<usize> =
        hits.iter().filter(|hit| hit.score >= bar).map(|hit| hit.text).collect();
    chosen.sort_unstable();
    chosen.dedup_by_key(|at| texts[*at]);
    chosen.into_iter().map(|at| &statements[at]).collect()
}

/// `A sentence [1].`: the marker stands before the full stop, as models write it.
fn cite(Statement { number, sentence }: &Statement) -> String {
    match sentence.strip_suffix(['.', '!', '?']) {
        Some(body) => format!("{body} [{number}]{}", &sentence[body.len()..]),
        None => format!("{sentence} [{number}]."),
    }
}

fn thoughts(question: &str, best: &[&Statement]) -> String {
    let mut thoughts = format!("The question is: {}\n", question.trim());
    for Statement { number, sentence } in best {
        // Writing to a string cannot fail.
        let _ = writeln!(thoughts, "Passage {number} says: {sentence} That bears on it.");
    }
    thoughts.push_str(if best.is_empty() {
        "No passage bears on it, so I must say that it is not answered."
    } else {
        "I put these together and cite each."
    });
    thoughts
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMPT: &str = "Passages:\n\n[1] a.md, Fares\n## Fares\n\nNight fares cost more. Dogs ride free.\n\n\
        [2] b.md, Receipts\nA receipt names the night fare.\n[9] is only a marker here. Receipts are printed\n\nQuestion: ";

    fn ask(question: &str) -> String {
        answer(&format!("{PROMPT}{question}"), &mut Rng::with_seed(1)).text
    }

    #[test]
    fn the_best_sentences_are_quoted_with_their_numbers() {
        let text = ask("What do dogs pay?");
        assert!(text.ends_with("Dogs ride free [1]."), "{text}");
        let text = ask("night fares?");
        assert!(
            text.contains("Night fares cost more [1]. A receipt names the night fare [2]."),
            "{text}"
        );
        assert!(ask("Are they printed?").ends_with("Receipts are printed [2]."));
    }

    #[test]
    fn what_is_not_there_is_not_answered() {
        assert_eq!(ask("What is the capital of Mongolia?"), NO_ANSWER);
        assert_eq!(answer("no passages at all", &mut Rng::with_seed(1)).text, NO_ANSWER);
        assert_eq!(answer("", &mut Rng::with_seed(1)).text, NO_ANSWER);
    }

    #[test]
    fn the_same_request_gets_the_same_answer() {
        for seed in 0..20 {
            let prompt = format!("{PROMPT}fares");
            let answers = [0, 1].map(|_| answer(&prompt, &mut Rng::with_seed(seed)).text);
            assert_eq!(answers[0], answers[1]);
        }
    }
}
