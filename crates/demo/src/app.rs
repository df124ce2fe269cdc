//! The application: opens a folder of documents, and answers questions about it.

use std::thread;
use std::time::Instant;

use crate::answer::{Answer, AnswerMetadata};
use crate::chat::{ChatClient, Message, Reply};
use crate::citations::{self, Citation};
use crate::config::RagConfig;
use crate::documents::{Document, MarkdownFile};
use crate::error::RagError;
use crate::passages::{self, Passage};
use crate::prompt::{SystemPrompt, user_prompt};
use crate::questions::{Question, questions};
use crate::vectors::{Embedder, Hit, VectorStore};

/// A folder of documents that can be asked.
///
/// It is opened once and then asked from as many threads as one likes.
#[derive(Debug)]
pub struct RagApp {
    config: RagConfig,
    documents: Vec<Document>,
    passages: Vec<Passage>,
    embedder: Embedder,
    store: VectorStore,
    system: SystemPrompt,
    client: ChatClient,
}

impl RagApp {
    /// Reads, cuts, embeds and indexes the documents, and gets ready to ask the model.
    ///
    /// # Errors
    ///
    /// [`RagError::Read`] when the folder or a file in it cannot be read, [`RagError::NoDocuments`] when there is
    /// nothing to ask about. A server that is away is no error yet.
    pub fn open(config: RagConfig) -> Result<Self, RagError> {
        let files = MarkdownFile::read_all(&config.docs_dir)?;
        let documents: Vec<Document> = files.into_iter().map(Document::from).collect();
        let passages = passages::cut(&documents, config.max_passage_chars);
        if passages.is_empty() {
            return Err(RagError::NoDocuments { dir: config.docs_dir });
        }
        let (embedder, store) = index(&passages);
        let system = SystemPrompt::new(&documents);
        let client = ChatClient::new(config.clone());
        Ok(Self { config, documents, passages, embedder, store, system, client })
    }

    /// Answers a question out of the documents.
    ///
    /// # Errors
    ///
    /// [`RagError::EmptyQuestion`] or [`RagError::QuestionTooLong`] before anything is asked of the model; otherwise
    /// what the last attempt to reach it ran into.
    pub fn ask(&self, question: &str) -> Result<Answer, RagError> {
        let started = Instant::now();
        let question = self.validate(question)?;
        let hits = self.retrieve(question);
        let passages: Vec<&Passage> = hits.iter().map(|hit| &self.passages[hit.text]).collect();
        let messages =
            [Message::system(self.system.text()), Message::user(user_prompt(question, &passages))];
        let (reply, attempts) = self.infer(&messages)?;
        Ok(self.answer(reply, &hits, attempts, started))
    }

    /// The documents, in the order of their paths.
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// How many passages the documents were cut into.
    pub fn passage_count(&self) -> usize {
        self.store.len()
    }

    /// Makes questions out of the documents; see [`questions`].
    pub fn questions(&self, seed: u64, count: usize) -> Vec<Question> {
        questions(&self.documents, seed, count)
    }

    fn validate<'a>(&self, question: &'a str) -> Result<&'a str, RagError> {
        let question = question.trim();
        let (length, limit) = (question.chars().count(), self.config.max_question_chars);
        match length {
            0 => Err(RagError::EmptyQuestion),
            _ if length > limit => Err(RagError::QuestionTooLong { length, limit }),
            _ => Ok(question),
        }
    }

    fn retrieve(&self, question: &str) -> Vec<Hit> {
        let vector = self.embedder.embed(question);
        self.store.search(&vector, self.config.top_k)
    }

    /// Asks the model, again where that may help; gives back the number of attempts too.
    fn infer(&self, messages: &[Message]) -> Result<(Reply, u32), RagError> {
        let policy = &self.config.retry;
        let mut attempt = 1;
        loop {
            match self.client.send(messages, || ()) {
                Ok(reply) => return Ok((reply, attempt)),
                Err(error) if attempt < policy.attempts && error.is_transient() => {
                    thread::sleep(policy.wait_after(attempt, error.retry_after()));
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn answer(&self, reply: Reply, hits: &[Hit], attempts: u32, started: Instant) -> Answer {
        let resolved = citations::resolve(&reply.text, hits.len());
        let citations = resolved.cited.iter().map(|number| self.citation(*number, hits)).collect();
        let metadata = AnswerMetadata {
            model: reply.model.unwrap_or_else(|| self.config.model.clone()),
            finish_reason: reply.finish_reason,
            tokens: reply.tokens,
            attempts,
            passages: hits.len(),
            invented_citations: resolved.invented,
            first_token: reply.first_token,
            elapsed: started.elapsed(),
        };
        Answer { text: resolved.text, citations, metadata }
    }

    fn citation(&self, number: usize, hits: &[Hit]) -> Citation {
        let hit = hits[number - 1];
        let Passage { path, title, section, .. } = self.passages[hit.text].clone();
        Citation { number, path, title, section, score: hit.score }
    }
}

fn index(passages: &[Passage]) -> (Embedder, VectorStore) {
    let texts: Vec<String> = passages.iter().map(Passage::embedded_text).collect();
    let embedder = Embedder::fit(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let store = texts.iter().map(|text| embedder.embed(text)).collect();
    (embedder, store)
}
