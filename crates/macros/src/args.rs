//! What stands in the attribute: a name, metadata, the path of the crate.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Lit, LitStr, Path, Result, Token, parenthesized, token};

/// The arguments of an attribute.
#[derive(Default)]
pub(crate) struct Args {
    /// The name; by default that of the function.
    pub(crate) name: Option<LitStr>,
    /// What `with(..)` holds.
    pub(crate) metadata: Vec<Entry>,
    /// Where the crate `taximeter` is found; by default at `::taximeter`.
    pub(crate) krate: Option<Path>,
}

/// One `key = value` of the metadata.
pub(crate) struct Entry {
    pub(crate) key: LitStr,
    pub(crate) value: Expr,
}

const KNOWN: &str = "a name in quotes, `with(key = value, ..)` and `crate = path`";

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut args = Self::default();
        let mut with_seen = false;
        while !input.is_empty() {
            if input.peek(Lit) {
                args.set_name(input.parse()?)?;
            } else if input.peek(Token![crate]) && input.peek2(Token![=]) {
                let keyword: Token![crate] = input.parse()?;
                input.parse::<Token![=]>()?;
                let path = input.call(Path::parse_mod_style)?;
                if args.krate.replace(path).is_some() {
                    return Err(Error::new(keyword.span, "`crate` is given twice"));
                }
            } else if input.peek(Ident::peek_any) {
                let word = input.call(Ident::parse_any)?;
                if word != "with" {
                    return Err(unknown(&word, input));
                }
                if with_seen {
                    return Err(Error::new(word.span(), "`with(..)` is given twice"));
                }
                with_seen = true;
                args.metadata = entries(input, word.span())?;
            } else {
                return Err(input.error(format!("expected {KNOWN}")));
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(args)
    }
}

impl Args {
    fn set_name(&mut self, name: Lit) -> Result<()> {
        let Lit::Str(name) = name else {
            return Err(Error::new(
                name.span(),
                "the name must be a string in quotes, such as \"api_call\"",
            ));
        };
        if name.value().trim().is_empty() {
            return Err(Error::new(
                name.span(),
                "the name is empty; leave it out to take the function's",
            ));
        }
        if self.name.is_some() {
            return Err(Error::new(name.span(), "the name is given twice"));
        }
        self.name = Some(name);
        Ok(())
    }
}

/// The error for a word that is no argument; it guesses what was meant.
fn unknown(word: &Ident, input: ParseStream<'_>) -> Error {
    let text = if word == "name" {
        "unknown argument `name`: the name stands alone, such as `#[metered(\"api_call\")]`"
            .to_owned()
    } else if input.is_empty() || input.peek(Token![,]) {
        format!("the name must be a string in quotes: write \"{word}\"")
    } else {
        format!("unknown argument `{word}`: the attribute takes {KNOWN}")
    };
    Error::new(word.span(), text)
}

fn entries(input: ParseStream<'_>, with: Span) -> Result<Vec<Entry>> {
    if !input.peek(token::Paren) {
        return Err(Error::new(
            with,
            "`with` takes its metadata in parentheses: `with(key = value, ..)`",
        ));
    }
    let content;
    parenthesized!(content in input);
    let entries = Punctuated::<Entry, Token![,]>::parse_terminated(&content)?;
    let mut kept: Vec<Entry> = Vec::new();
    for entry in entries {
        if kept.iter().any(|earlier| earlier.key.value() == entry.key.value()) {
            let text = format!("the key `{}` is given twice", entry.key.value());
            return Err(Error::new(entry.key.span(), text));
        }
        kept.push(entry);
    }
    Ok(kept)
}

impl Parse for Entry {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let key = if input.peek(LitStr) {
            input.parse()?
        } else if input.peek(Ident::peek_any) {
            // Any word will do, `type` too: it is a key and never code.
            let word = input.call(Ident::parse_any)?;
            LitStr::new(&word.unraw().to_string(), word.span())
        } else {
            return Err(input.error("expected a key: a word or a string in quotes"));
        };
        if !input.peek(Token![=]) {
            let text = format!("the key `{0}` has no value: write `{0} = ..`", key.value());
            return Err(Error::new(key.span(), text));
        }
        input.parse::<Token![=]>()?;
        Ok(Self { key, value: input.parse()? })
    }
}

impl Args {
    /// The path of the crate `taximeter`.
    pub(crate) fn krate(&self) -> TokenStream {
        self.krate.as_ref().map_or_else(|| quote!(::taximeter), ToTokens::to_token_stream)
    }
}
