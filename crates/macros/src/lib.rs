//! The attribute macros of taximeter: metered functions and tools.
//!
//! Use them through the crate `taximeter`, which exports them and holds what they expand to: `taximeter::metered` and
//! `taximeter::tool`. The way of an attribute is short: `args` reads what stands in it, `function` what it stands on,
//! `expand` writes the function anew, with the same signature and a body that is metered.
//!
//! | On | It starts | It ends |
//! |---|---|---|
//! | `fn` | when called | with its return |
//! | `async fn` | when first polled | with its output, or abandoned where the future is dropped |
//! | `fn` that returns an `impl Future`, a `Pin<Box<dyn Future>>` or a `BoxFuture` | when called | as an `async fn` |
//!
//! An `Err` is a failure with its category and its causes, a panic is a failure that unwinds on, and everything else,
//! `None` too, is a success. Nothing is asked of the types: where an error type says nothing about itself, its name
//! is recorded, and never its contents.

mod args;
mod expand;
mod function;
mod types;

use proc_macro::TokenStream;

use crate::expand::Kind;

/// Meters a function as an operation: use it as `taximeter::metered`.
///
/// | Form | Meaning |
/// |---|---|
/// | `#[metered]` | the operation is named like the function |
/// | `#[metered("api_call")]` | it has that name |
/// | `#[metered("api_call", with(question_length = question.len(), "http.kind" = "x"))]` | it carries metadata, evaluated before the body runs, and only where the meter is on |
/// | `#[metered(crate = path::to::taximeter)]` | the crate `taximeter` is known by another name |
///
/// It is the current operation within the function, and the child of the one that is current where it starts.
#[proc_macro_attribute]
pub fn metered(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::attribute(Kind::Metered, args.into(), &item.into()).into()
}

/// Records a function as a call of a tool in the current operation: use it as `taximeter::tool`.
///
/// It has the forms of `metered`. An `Err` is an error, or a timeout by its category. A future that is dropped before
/// its end is recorded as cancelled. Where there is no current operation the function just runs.
#[proc_macro_attribute]
pub fn tool(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::attribute(Kind::Tool, args.into(), &item.into()).into()
}
