//! Embeds texts as sparse BM25 vectors and finds the ones nearest to a question.
//!
//! BM25 vectors need no model to be downloaded, they are the same on every machine, and they are what the sparse half
//! of a hybrid vector store holds.

use std::fmt;
use std::sync::OnceLock;

use bm25::{DefaultTokenizer, EmbedderBuilder, Embedding, Language, Scorer, Tokenizer};

/// Turns text into a vector. It is fitted to a set of texts, as their mean length is part of the formula.
pub(crate) struct Embedder(bm25::Embedder<u32, Stems>);

/// A text as a vector.
pub(crate) struct Vector(Embedding<u32>);

/// Vectors by the number of their text.
pub(crate) struct VectorStore {
    scorer: Scorer<usize, u32>,
    len: usize,
}

/// A text that was found, by its number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Hit {
    pub(crate) text: usize,
    pub(crate) score: f32,
}

impl Embedder {
    pub(crate) fn fit(texts: &[&str]) -> Self {
        Self(EmbedderBuilder::with_tokenizer_and_fit_to_corpus(Stems, texts).build())
    }

    pub(crate) fn embed(&self, text: &str) -> Vector {
        Vector(self.0.embed(text))
    }
}

impl FromIterator<Vector> for VectorStore {
    fn from_iter<T: IntoIterator<Item = Vector>>(vectors: T) -> Self {
        let mut store = Self { scorer: Scorer::new(), len: 0 };
        for vector in vectors {
            store.scorer.upsert(&store.len, vector.0);
            store.len += 1;
        }
        store
    }
}

impl VectorStore {
    /// The texts that share a word with the question, best first, at most `top_k`.
    pub(crate) fn search(&self, question: &Vector, top_k: usize) -> Vec<Hit> {
        let matches = self.scorer.matches(&question.0);
        let mut hits: Vec<_> =
            matches.into_iter().map(|found| Hit { text: found.id, score: found.score }).collect();
        // The scorer walks a hash set; texts of the same score would come in another order each time.
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.text.cmp(&b.text)));
        hits.truncate(top_k);
        hits
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

/// Words without stop words, reduced to their stems. The word lists are large, so there is one for all embedders.
pub(crate) struct Stems;

impl Tokenizer for Stems {
    fn tokenize(&self, text: &str) -> Vec<String> {
        static ENGLISH: OnceLock<DefaultTokenizer> = OnceLock::new();
        ENGLISH.get_or_init(|| DefaultTokenizer::new(Language::English)).tokenize(text)
    }
}

impl fmt::Debug for Embedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedder").field("avgdl", &self.0.avgdl()).finish()
    }
}

impl fmt::Debug for VectorStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VectorStore").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [&str; 4] = [
        "A cached prompt costs less than a fresh one.",
        "Retries wait longer each time.",
        "Retries wait longer each time.",
        "The weather is fine.",
    ];

    fn search(question: &str, top_k: usize) -> Vec<usize> {
        let embedder = Embedder::fit(&TEXTS);
        let store: VectorStore = TEXTS.iter().map(|text| embedder.embed(text)).collect();
        assert_eq!(store.len(), TEXTS.len());
        store.search(&embedder.embed(question), top_k).iter().map(|hit| hit.text).collect()
    }

    #[test]
    fn the_text_with_the_same_words_comes_first() {
        assert_eq!(search("What do cached prompts cost?", 3), [0]);
        assert_eq!(search("the weather", 3), [3]);
    }

    #[test]
    fn equal_scores_come_in_order_and_only_top_k() {
        for _ in 0..20 {
            assert_eq!(search("How long does a retry wait?", 3), [1, 2]);
        }
        assert_eq!(search("retries", 1), [1]);
    }

    #[test]
    fn foreign_words_find_nothing() {
        assert!(search("zebra", 3).is_empty());
        assert!(search("", 3).is_empty());
    }
}
