//! The function written anew: the same signature, and a body that is metered.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Result, ReturnType, Type};

use crate::args::Args;
use crate::function::Function;
use crate::types::{Future, error_borrows, within_body};

/// Which attribute it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Metered,
    Tool,
}

impl Kind {
    /// The module of `taximeter::__private` that holds the calls for it.
    fn module(self) -> Ident {
        let name = match self {
            Self::Metered => "metered",
            Self::Tool => "tool",
        };
        Ident::new(name, Span::mixed_site())
    }
}

/// Expands an attribute. Where it is used wrongly, the item is kept as it is beside the error, so that the error is
/// the only one.
pub(crate) fn attribute(kind: Kind, args: TokenStream, item: &TokenStream) -> TokenStream {
    expand(kind, args, item.clone()).unwrap_or_else(|error| {
        let error = error.into_compile_error();
        quote!(#error #item)
    })
}

fn expand(kind: Kind, args: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let function: Function = syn::parse2(item)?;
    let args: Args = syn::parse2(args)?;
    function.check()?;
    let body = Expansion::new(kind, &args, &function).body();
    Ok(function.with_body(&body))
}

/// The parts of which the new body is made.
struct Expansion<'a> {
    kind: Kind,
    args: &'a Args,
    function: &'a Function,
    /// The path of `taximeter::__private`.
    private: TokenStream,
}

impl<'a> Expansion<'a> {
    fn new(kind: Kind, args: &'a Args, function: &'a Function) -> Self {
        let krate = args.krate();
        Self { kind, args, function, private: quote!(#krate::__private) }
    }

    fn body(&self) -> TokenStream {
        let unit;
        let returned = match &self.function.signature.output {
            ReturnType::Type(_, returned) => &**returned,
            ReturnType::Default => {
                unit = Type::Tuple(syn::TypeTuple {
                    attrs: Vec::new(),
                    paren_token: syn::token::Paren::default(),
                    elems: syn::punctuated::Punctuated::new(),
                });
                &unit
            }
        };
        if self.function.signature.asyncness.is_some() {
            return self.async_body(returned);
        }
        match Future::of(returned) {
            Some(future) => self.future_body(&future),
            None => self.sync_body(returned),
        }
    }

    /// A closure takes the body in, for `return` and `?` to end where the call ends. It moves its captures, for the
    /// body may return what it borrows from the arguments.
    fn sync_body(&self, returned: &Type) -> TokenStream {
        let (calls, begin, body) = (self.calls(), self.begin(), &self.function.body);
        let probe = self.probe(returned);
        let returned = within_body(returned);
        quote_spanned! {Span::mixed_site()=>
            #begin
            #calls::run::<#returned>(running, move || { #body }, #probe)
        }
    }

    /// The branch that is never taken tells the block its type, as the signature told the body: what is returned is
    /// coerced to it, and `?` knows what to convert to.
    fn async_body(&self, returned: &Type) -> TokenStream {
        let (calls, begin, body) = (self.calls(), self.begin(), &self.function.body);
        let private = &self.private;
        let probe = self.probe(returned);
        let returned = within_body(returned);
        quote_spanned! {Span::mixed_site()=>
            #begin
            #calls::follow::<#returned, _>(
                running,
                async move {
                    if false {
                        return #private::never::<#returned>();
                    }
                    { #body }
                },
                #probe,
            )
            .await
        }
    }

    fn future_body(&self, future: &Future<'_>) -> TokenStream {
        let (calls, begin, body) = (self.calls(), self.begin(), &self.function.body);
        let private = &self.private;
        let probe = self.probe(future.output);
        let output = within_body(future.output);
        // Behind a box the closure has to return the box, or the body's would not be coerced to it.
        let arrow = future.boxed.then_some(&self.function.signature.output);
        let made = quote_spanned! {Span::mixed_site()=>
            #calls::made::<#output, _>(running, move || #arrow { #body }, #probe)
        };
        let made = if future.boxed { quote!(#private::boxed(#made)) } else { made };
        quote!(#begin #made)
    }

    fn calls(&self) -> TokenStream {
        let (private, module) = (&self.private, self.kind.module());
        quote!(#private::#module)
    }

    /// The statements that start it and record its metadata.
    fn begin(&self) -> TokenStream {
        let calls = self.calls();
        let name = self.args.name.clone().unwrap_or_else(|| self.function.name());
        let name = name.value();
        let sets = self.args.metadata.iter().map(|entry| {
            let (key, value) = (entry.key.value(), &entry.value);
            // A value that cannot be recorded is an error at that value.
            quote_spanned!(value.span().resolved_at(Span::mixed_site())=> running.set(#key, #value);)
        });
        if self.args.metadata.is_empty() {
            return quote_spanned!(Span::mixed_site()=> let running = #calls::begin(#name););
        }
        let mutability = (self.kind == Kind::Tool).then(|| quote!(mut));
        quote_spanned! {Span::mixed_site()=>
            let #mutability running = #calls::begin(#name);
            if running.is_recording() {
                #(#sets)*
            }
        }
    }

    /// The closure that asks a return whether it is a failure; `Ends` says what the references are for.
    fn probe(&self, returned: &Type) -> TokenStream {
        let private = &self.private;
        let depth = if error_borrows(returned) { 7 } else { 10 };
        let references = std::iter::repeat_n(quote!(&), depth);
        quote_spanned! {Span::mixed_site()=>
            |returned| {
                use #private::Ends as _;
                (#(#references)* #private::Returned(returned)).failure()
            }
        }
    }
}
