//! Async functions and functions that return futures keep their signatures, and their futures can be sent.
#![deny(warnings, clippy::pedantic, rust_2018_idioms, unused_qualifications)]
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt::Display;
use std::future::{Future, ready};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use taximeter::{metered, tool};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

#[metered("api_call", with(question_length = question.len()))]
async fn answer(question: String) -> Result<String, Box<dyn Error + Send + Sync>> {
    if question.is_empty() {
        return Err("empty".into());
    }
    let number: u32 = ready(question).await.parse()?;
    Ok(number.to_string())
}

#[metered]
async fn unit() {
    ready(()).await;
}

#[metered]
async fn borrows(text: &str, mut count: usize) -> Option<&str> {
    count += ready(1).await;
    text.get(..count)
}

#[metered]
async fn generic<T: Display + Sync + ?Sized, E>(value: &T, error: Option<E>) -> Result<String, E> {
    ready(()).await;
    match error {
        Some(error) => Err(error),
        None => Ok(value.to_string()),
    }
}

#[metered]
async fn opaque(numbers: Vec<u32>) -> Result<impl Iterator<Item = u32>, io::Error> {
    ready(()).await;
    Ok(numbers.into_iter().map(|number| number + 1))
}

#[metered]
async fn coerced() -> Box<dyn Display + Send> {
    ready(()).await;
    Box::new(7)
}

#[metered]
fn opaque_future(number: u32) -> impl Future<Output = Result<u32, Box<dyn Error + Send + Sync>>> + Send {
    async move {
        if ready(number).await == 0 {
            return Err("zero".into());
        }
        Ok(number)
    }
}

#[metered]
fn opaque_future_unpin() -> impl Future<Output = u32> + Unpin {
    ready(1)
}

#[metered("boxed", with(length = text.len()))]
fn boxed_future<'a>(text: &'a str) -> Pin<Box<dyn Future<Output = Result<&'a str, io::Error>> + Send + 'a>> {
    if text.is_empty() {
        return Box::pin(ready(Err(io::ErrorKind::InvalidInput.into())));
    }
    Box::pin(async move { Ok(ready(text).await) })
}

#[metered]
fn aliased_future(number: u32) -> BoxFuture<'static, u32> {
    Box::pin(async move { ready(number).await })
}

#[tool("vector_search", with(query = query.as_str()))]
async fn search(query: String) -> Result<Vec<String>, io::Error> {
    Ok(vec![ready(query).await])
}

#[tool]
fn boxed_search(query: &str) -> BoxFuture<'_, usize> {
    Box::pin(async move { ready(query.len()).await })
}

#[tool]
fn opaque_search(query: &str) -> impl Future<Output = usize> + Send + '_ {
    async move { ready(query.len()).await }
}

trait Ask {
    fn ask(&mut self, question: &str) -> impl Future<Output = Result<usize, io::Error>> + Send;

    fn ask_boxed<'a>(&'a self, question: &'a str) -> BoxFuture<'a, usize>;
}

struct Client {
    asked: usize,
}

impl Ask for Client {
    #[metered("ask", with(asked = self.asked))]
    async fn ask(&mut self, question: &str) -> Result<usize, io::Error> {
        self.asked += ready(question.len()).await;
        Ok(self.asked)
    }

    #[metered(with(asked = self.asked))]
    fn ask_boxed<'a>(&'a self, question: &'a str) -> BoxFuture<'a, usize> {
        Box::pin(async move { self.asked + ready(question.len()).await })
    }
}

impl Client {
    #[metered]
    async fn into_asked(mut self) -> usize {
        self.asked += 1;
        ready(self.asked).await
    }

    #[metered]
    async fn asked_mut(&mut self) -> &mut usize {
        ready(&mut self.asked).await
    }
}

fn block_on<T>(future: impl Future<Output = T> + Send) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}

fn spawn<T: Send>(future: impl Future<Output = T> + Send + 'static) -> T {
    block_on(future)
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    assert_eq!(spawn(answer("7".to_owned()))?, "7");
    spawn(unit());
    assert_eq!(spawn(borrows("one", 1)), Some("on"));
    assert_eq!(spawn(generic::<_, io::Error>("x", None))?, "x");
    assert_eq!(spawn(opaque(vec![1]))?.collect::<Vec<_>>(), [2]);
    assert_eq!(spawn(coerced()).to_string(), "7");
    assert_eq!(spawn(opaque_future(1))?, 1);
    assert_eq!(block_on(opaque_future_unpin()), 1);
    assert_eq!(spawn(boxed_future("x"))?, "x");
    assert_eq!(spawn(aliased_future(1)), 1);
    assert_eq!(spawn(search("x".to_owned()))?, ["x"]);
    assert_eq!(spawn(boxed_search("x")), 1);
    assert_eq!(spawn(opaque_search("x")), 1);
    let mut client = Client { asked: 0 };
    assert_eq!(block_on(client.ask("why"))?, 3);
    assert_eq!(block_on(client.ask_boxed("why")), 6);
    *block_on(client.asked_mut()) += 1;
    assert_eq!(spawn(client.into_asked()), 5);
    Ok(())
}
