//! The application: opens a folder of documents, and answers questions about it.

use std::thread;
use std::time::Instant;

use taximeter::{Handle, LlmGuard, Meter, Operation, OperationBuilder, TokenUsage};

use crate::answer::{Answer, AnswerMetadata};
use crate::chat::{ChatClient, Message, Reply};
use crate::citations::{self, Citation, Resolved};
use crate::config::RagConfig;
use crate::documents::{Document, MarkdownFile};
use crate::error::RagError;
use crate::passages::{self, Passage};
use crate::prompt::{SystemPrompt, user_prompt};
use crate::questions::{Question, questions};
use crate::vectors::{Embedder, Hit, Vector, VectorStore};

/// A folder of documents that can be asked.
///
/// It is opened once and then asked from as many threads as one likes. Everything it does is metered.
#[derive(Debug)]
pub struct RagApp {
    meter: Meter,
    config: RagConfig,
    library: Library,
    system: SystemPrompt,
    client: ChatClient,
}

/// The documents, cut and indexed.
#[derive(Debug)]
struct Library {
    documents: Vec<Document>,
    passages: Vec<Passage>,
    embedder: Embedder,
    store: VectorStore,
}

impl RagApp {
    /// Reads, cuts, embeds and indexes the documents, and gets ready to ask the model.
    ///
    /// It is metered as the operation `chain_initialisation`.
    ///
    /// # Errors
    ///
    /// [`RagError::Read`] when the folder or a file in it cannot be read, [`RagError::NoDocuments`] when there is
    /// nothing to ask about. A server that is away, or does not list the model, is a warning.
    pub fn open(config: RagConfig, meter: Meter) -> Result<Self, RagError> {
        let op =
            meter.operation("chain_initialisation").with("model", config.model.as_str()).start();
        let app = Self::assemble(config, meter, &op);
        end(op, &app);
        app
    }

    /// Answers a question out of the documents.
    ///
    /// It is metered as the operation `qa_response`.
    ///
    /// # Errors
    ///
    /// [`RagError::EmptyQuestion`] or [`RagError::QuestionTooLong`] before anything is asked of the model; otherwise
    /// what the last attempt to reach it ran into.
    pub fn ask(&self, question: &str) -> Result<Answer, RagError> {
        self.run(self.operation(question), question)
    }

    /// Like [`ask`](RagApp::ask), in the name of a user, to whose account the tokens go.
    ///
    /// # Errors
    ///
    /// As [`ask`](RagApp::ask).
    pub fn ask_for(&self, user: &str, question: &str) -> Result<Answer, RagError> {
        self.run(self.operation(question).user(user), question)
    }

    /// The documents, in the order of their paths.
    pub fn documents(&self) -> &[Document] {
        &self.library.documents
    }

    /// How many passages the documents were cut into.
    pub fn passage_count(&self) -> usize {
        self.library.store.len()
    }

    /// Makes questions out of the documents; see [`questions`].
    pub fn questions(&self, seed: u64, count: usize) -> Vec<Question> {
        questions(&self.library.documents, seed, count)
    }

    /// What everything is metered with.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    fn assemble(config: RagConfig, meter: Meter, op: &Handle) -> Result<Self, RagError> {
        let library = op.time("index_loading", || Library::load(&config, op))?;
        let system = SystemPrompt::new(&library.documents);
        let client = op.time("model_initialisation", || connect(&config, op));
        Ok(Self { meter, config, library, system, client })
    }

    fn operation(&self, question: &str) -> OperationBuilder {
        self.meter
            .operation("qa_response")
            .with("question_length", question.chars().count())
            .tag("streamed", if self.config.stream { "yes" } else { "no" })
    }

    fn run(&self, operation: OperationBuilder, question: &str) -> Result<Answer, RagError> {
        let op = operation.start();
        let answer = {
            // The search has no handle: it records into whatever operation is the current one.
            let _entered = op.enter();
            self.answer(&op, question)
        };
        end(op, &answer);
        answer
    }

    fn answer(&self, op: &Handle, question: &str) -> Result<Answer, RagError> {
        let started = Instant::now();
        let question = op.time("input_validation", || self.validate(question))?;
        let _chain = op.component("chain_execution");
        let hits = op
            .time("document_retrieval", || self.library.retrieve(op, question, self.config.top_k));
        let messages = [
            Message::system(self.system.text()),
            Message::user(user_prompt(question, &self.library.passages_of(&hits))),
        ];
        let (reply, attempts) = op.time("llm_inference", || self.infer(op, &messages))?;
        let resolved =
            op.time("citation_processing", || citations::resolve(&reply.text, hits.len()));
        let citations = op.time("metadata_extraction", || self.library.citations(&resolved, &hits));
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
        let answer = Answer { text: resolved.text, citations, metadata };
        review(op, &answer);
        Ok(answer)
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

    /// Asks the model, again where that may help; gives back the number of attempts too.
    fn infer(&self, op: &Handle, messages: &[Message]) -> Result<(Reply, u32), RagError> {
        let policy = &self.config.retry;
        let mut attempt = 1;
        loop {
            match self.attempt(op, messages, attempt) {
                Err(error) if attempt < policy.attempts && error.is_transient() => {
                    thread::sleep(policy.wait_after(attempt, error.retry_after()));
                    attempt += 1;
                }
                // What was consumed is recorded before the text is judged: an empty reply is paid for, too.
                Ok(reply) if reply.text.trim().is_empty() => {
                    return Err(RagError::Incomplete { missing: "it holds no text" });
                }
                Ok(reply) => return Ok((reply, attempt)),
                Err(error) => return Err(error),
            }
        }
    }

    /// One request, and one call on the meter.
    fn attempt(&self, op: &Handle, messages: &[Message], attempt: u32) -> Result<Reply, RagError> {
        let mut call = op
            .llm_call(self.config.provider.as_str(), self.config.model.as_str())
            .streamed(self.config.stream)
            .attempt(attempt)
            .prompt_prefix_hash(self.system.hash())
            .start();
        match self.client.send(messages, || call.first_token()) {
            Ok(reply) => {
                fill(&mut call, &reply);
                call.succeed();
                Ok(reply)
            }
            Err(error) => {
                call.fail(&error.as_record());
                Err(error)
            }
        }
    }
}

impl Library {
    fn load(config: &RagConfig, op: &Handle) -> Result<Self, RagError> {
        let files = MarkdownFile::read_all(&config.docs_dir)?;
        let documents: Vec<Document> =
            op.time("metadata_extraction", || files.into_iter().map(Document::from).collect());
        let passages = passages::cut(&documents, config.max_passage_chars);
        if passages.is_empty() {
            return Err(RagError::NoDocuments { dir: config.docs_dir.clone() });
        }
        let texts: Vec<String> = passages.iter().map(Passage::embedded_text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (embedder, vectors) = op.time("embedding_generation", || {
            let embedder = Embedder::fit(&texts);
            let vectors: Vec<_> = texts.iter().map(|text| embedder.embed(text)).collect();
            (embedder, vectors)
        });
        let store: VectorStore = vectors.into_iter().collect();
        op.set("documents", documents.len());
        op.set("passages", passages.len());
        Ok(Self { documents, passages, embedder, store })
    }

    fn retrieve(&self, op: &Handle, question: &str, top_k: usize) -> Vec<Hit> {
        let vector = op.time("embedding_generation", || self.embedder.embed(question));
        self.search(&vector, top_k)
    }

    /// Finds the nearest passages: a call of a tool, and a component, of whatever operation is the current one.
    #[taximeter::tool("vector_search", with(top_k = top_k))]
    fn search(&self, vector: &Vector, top_k: usize) -> Vec<Hit> {
        taximeter::current().time("vector_search", || self.store.search(vector, top_k))
    }

    fn passages_of(&self, hits: &[Hit]) -> Vec<&Passage> {
        hits.iter().map(|hit| &self.passages[hit.text]).collect()
    }

    fn citations(&self, resolved: &Resolved, hits: &[Hit]) -> Vec<Citation> {
        let citation = |number: &usize| {
            let hit = hits[number - 1];
            let Passage { path, title, section, .. } = self.passages[hit.text].clone();
            Citation { number: *number, path, title, section, score: hit.score }
        };
        resolved.cited.iter().map(citation).collect()
    }
}

/// Gets the client ready, and looks whether the server knows the model.
fn connect(config: &RagConfig, op: &Handle) -> ChatClient {
    let client = ChatClient::new(config.clone());
    match client.models() {
        Ok(models) if models.contains(&config.model) => {}
        Ok(_) => op.warn(format!("the server does not list the model {}", config.model)),
        // Not every server lists its models, and not every key may ask for the list.
        Err(error) => op.warn(format!("the models of the server are not known: {error}")),
    }
    client
}

/// Puts what the reply says of itself on the meter.
fn fill(call: &mut LlmGuard, reply: &Reply) {
    if let Some(tokens) = reply.tokens {
        let usage = TokenUsage::inclusive(tokens.prompt, tokens.completion)
            .cache_read(tokens.cached)
            .reasoning(tokens.reasoning);
        call.usage(usage);
    }
    if let Some(model) = &reply.model {
        call.served_model(model.as_str());
    }
    if let Some(reason) = &reply.finish_reason {
        call.finish_reason(reason.as_str());
    }
}

/// Records what an answer came to, and warns of what makes it doubtful.
fn review(op: &Handle, answer: &Answer) {
    let AnswerMetadata { passages, invented_citations, finish_reason, tokens, .. } =
        &answer.metadata;
    op.set("passages", *passages);
    op.set("citations", answer.citations.len());
    op.set("answer_length", answer.text.chars().count());
    if *passages == 0 {
        op.warn("no passage found");
    } else if answer.citations.is_empty() {
        op.warn("no passage cited");
    }
    if *invented_citations > 0 {
        op.warn("citations of passages that do not exist");
    }
    if finish_reason.as_deref() == Some("length") {
        op.warn("the answer was cut at the limit of tokens");
    }
    if tokens.is_none() {
        op.warn("the server did not say what it used");
    }
}

fn end<T>(op: Operation, result: &Result<T, RagError>) {
    match result {
        Ok(_) => op.succeed(),
        Err(error) => op.fail(&error.as_record()),
    }
}
