//! Every kind of function that is not async keeps its signature and its meaning.
#![deny(warnings, clippy::pedantic, rust_2018_idioms, unused_qualifications)]
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt::{self, Display};

use taximeter::{metered, tool};

/// A documented function.
#[metered("api_call")]
#[must_use]
pub fn documented() -> u32 {
    42
}

#[metered]
fn unit() {
    let numbers = [1, 2, 3];
    for number in numbers {
        if number == 2 {
            return;
        }
    }
}

#[metered()]
fn empty_arguments() {
    unit();
}

#[metered("with_metadata", with(length = question.len(), kind = "x", "http.method" = "GET", type = 1.5))]
fn takes_its_argument(question: String) -> String {
    question
}

#[metered]
fn mutable(mut numbers: Vec<u32>, (mut a, b): (u32, u32)) -> Vec<u32> {
    a += b;
    numbers.push(a);
    numbers
}

#[metered]
fn borrows(text: &str) -> &str {
    text.split(' ').next().unwrap_or(text)
}

#[metered]
fn borrows_mutably(numbers: &mut Vec<u32>) -> &mut u32 {
    numbers.push(1);
    &mut numbers[0]
}

#[metered]
fn named<'a>(one: &'a str, _other: &str) -> Result<&'a str, fmt::Error> {
    Ok(one)
}

#[metered]
fn generic<T: Display + ?Sized, const N: usize>(value: &T) -> [String; N] {
    std::array::from_fn(|_| value.to_string())
}

#[metered]
fn where_clause<T, E>(result: Result<T, E>) -> Result<T, E>
where
    E: Error,
{
    let value = result?;
    Ok(value)
}

#[metered]
fn unbounded<T, E>(result: Result<T, E>) -> Result<T, E> {
    result
}

#[metered]
fn anything<T>(value: T) -> T {
    value
}

#[metered]
fn opaque_argument(value: impl Display) -> String {
    value.to_string()
}

#[metered]
fn opaque(numbers: &[u32]) -> impl Iterator<Item = u32> + '_ {
    numbers.iter().map(|number| number + 1)
}

#[metered]
fn opaque_closure() -> impl Fn(u32) -> u32 {
    |number| number + 1
}

#[metered]
fn opaque_inside(number: u32) -> Result<impl Display, impl Error> {
    if number > 3 {
        return Err(fmt::Error);
    }
    Ok(number)
}

#[metered]
fn coerced(long: bool) -> Box<dyn Display> {
    if long {
        return Box::new("long");
    }
    Box::new(7)
}

#[metered]
fn converted(text: &str) -> Result<u32, Box<dyn Error + Send + Sync>> {
    if text.is_empty() {
        return Err("empty".into());
    }
    Ok(text.parse::<u32>()?)
}

#[metered]
fn option(text: &str) -> Option<char> {
    let first = text.chars().next()?;
    Some(first)
}

#[metered]
fn diverges_in_fact() -> u32 {
    panic!("it always does")
}

#[metered]
fn attributes_within() -> u32 {
    #![expect(unused_variables, reason = "it is here to be")]
    let unused = 1;
    2
}

#[metered]
fn r#match(r#type: u32) -> u32 {
    r#type
}

struct Borrowing<'a>(&'a str);

impl fmt::Debug for Borrowing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Display for Borrowing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Borrowing<'_> {}

#[metered]
fn error_that_borrows(text: &str) -> Result<u32, Borrowing<'_>> {
    Err(Borrowing(text))
}

#[metered]
fn boxed_error_that_borrows<'a>(text: &'a str) -> Result<u32, Box<dyn Error + 'a>> {
    Err(Box::new(Borrowing(text)))
}

#[metered]
fn text_that_borrows(text: &str) -> Result<u32, &str> {
    Err(text)
}

#[tool("vector_search", with(query = query))]
fn search(query: &str) -> Result<Vec<u32>, String> {
    if query.is_empty() {
        return Err("empty".to_owned());
    }
    Ok(vec![1])
}

#[tool]
fn lookup() {}

struct Client {
    calls: u32,
}

trait Ask {
    type Error;

    fn ask(&mut self, question: &str) -> Result<String, Self::Error>;

    #[metered]
    fn by_default(&self) -> u32 {
        7
    }
}

impl Ask for Client {
    type Error = std::io::Error;

    #[metered("ask", with(calls = self.calls))]
    fn ask(&mut self, question: &str) -> Result<String, Self::Error> {
        self.calls += 1;
        if question.is_empty() {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        Ok(format!("{question}!"))
    }
}

impl Client {
    #[metered]
    fn new() -> Self {
        Self { calls: 0 }
    }

    #[metered]
    fn calls(&self) -> &u32 {
        &self.calls
    }

    #[metered]
    fn calls_mut(&mut self) -> &mut u32 {
        &mut self.calls
    }

    #[metered]
    fn into_calls(mut self) -> u32 {
        self.calls += 1;
        self.calls
    }

    #[tool(with(calls = self.calls))]
    fn boxed(self: Box<Self>) -> u32 {
        self.calls
    }
}

struct Holder<E>(Option<E>);

impl<E: Error> Holder<E> {
    #[metered]
    fn take(&mut self) -> Result<(), E> {
        self.0.take().map_or(Ok(()), Err)
    }
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    assert_eq!(documented(), 42);
    empty_arguments();
    assert_eq!(takes_its_argument("why?".to_owned()), "why?");
    assert_eq!(mutable(vec![1], (2, 3)), [1, 5]);
    assert_eq!(borrows("one two"), "one");
    *borrows_mutably(&mut Vec::new()) += 1;
    assert_eq!(named("one", "two")?, "one");
    assert_eq!(generic::<_, 2>("x"), ["x", "x"]);
    assert_eq!(where_clause::<_, fmt::Error>(Ok(1))?, 1);
    assert_eq!(unbounded::<_, Client>(Ok(1)).ok(), Some(1));
    assert_eq!(anything(1), 1);
    assert_eq!(opaque_argument(1), "1");
    assert_eq!(opaque(&[1]).collect::<Vec<_>>(), [2]);
    assert_eq!(opaque_closure()(1), 2);
    assert!(opaque_inside(7).is_err());
    assert_eq!(coerced(false).to_string(), "7");
    assert_eq!(converted("7")?, 7);
    assert_eq!(option(""), None);
    assert!(std::panic::catch_unwind(diverges_in_fact).is_err());
    assert_eq!(attributes_within(), 2);
    assert_eq!(r#match(1), 1);
    assert!(error_that_borrows("x").is_err());
    assert!(boxed_error_that_borrows("x").is_err());
    assert!(text_that_borrows("x").is_err());
    assert_eq!(search("x")?, [1]);
    lookup();
    let mut client = Client::new();
    assert_eq!(client.ask("why")?, "why!");
    *client.calls_mut() += client.by_default();
    assert_eq!(*client.calls(), 8);
    assert_eq!(Box::new(Client::new()).boxed(), 0);
    assert_eq!(client.into_calls(), 9);
    assert!(Holder(Some(fmt::Error)).take().is_err());
    Ok(())
}
