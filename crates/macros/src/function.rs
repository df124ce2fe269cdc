//! What the attribute stands on: a function whose signature is understood, and whose body is left alone.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, TokenStreamExt};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{AttrStyle, Attribute, Error, LitStr, Result, ReturnType, Signature, Token, Type};
use syn::{Visibility, braced, token};

/// A function. Its body stays as it was written, also where it cannot be parsed yet because it is being typed.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    vis: Visibility,
    pub(crate) signature: Signature,
    brace: token::Brace,
    pub(crate) body: TokenStream,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        if !is_function(&input.fork()) {
            return Err(not_a_function(input));
        }
        let signature: Signature = input.parse()?;
        if input.peek(Token![;]) {
            let text = "a method without a body has nothing to meter: put the attribute on the methods that \
                        implement it";
            return Err(Error::new(signature.ident.span(), text));
        }
        let content;
        let brace = braced!(content in input);
        // Attributes within the body are about the function, and the body will be a closure or a future.
        for mut attr in content.call(Attribute::parse_inner)? {
            attr.style = AttrStyle::Outer;
            attrs.push(attr);
        }
        Ok(Self { attrs, vis, signature, brace, body: content.parse()? })
    }
}

fn is_function(ahead: ParseStream<'_>) -> bool {
    while skip_modifier(ahead) {}
    ahead.peek(Token![fn])
}

/// Skips one word that may stand before `fn`, but not only there.
fn skip_modifier(ahead: ParseStream<'_>) -> bool {
    let modifier = ahead.peek(Token![const])
        || ahead.peek(Token![async])
        || ahead.peek(Token![unsafe])
        || ahead.peek(Token![extern]);
    if modifier {
        let _ = ahead.call(Ident::parse_any);
    }
    modifier || (ahead.peek(LitStr) && ahead.parse::<LitStr>().is_ok())
}

fn not_a_function(input: ParseStream<'_>) -> Error {
    let ahead = input.fork();
    let mut found = ahead.call(Ident::parse_any);
    while found.as_ref().is_ok_and(|word| word == "unsafe" || word == "async") {
        found = ahead.call(Ident::parse_any);
    }
    let Ok(word) = found else {
        return input.error("only a function can be metered");
    };
    let text = match word.to_string().as_str() {
        "impl" => "only a function can be metered: put the attribute on the methods in this block",
        "trait" => {
            "only a function can be metered: put the attribute on the methods that implement this trait"
        }
        "struct" | "enum" | "union" | "type" => "only a function can be metered, not a type",
        "mod" => {
            "only a function can be metered: put the attribute on the functions in this module"
        }
        _ => "only a function can be metered",
    };
    Error::new(word.span(), text)
}

impl Function {
    /// Refuses the functions that have no run, or no end, which could be metered.
    pub(crate) fn check(&self) -> Result<()> {
        let signature = &self.signature;
        if let Some(keyword) = &signature.constness {
            let text =
                "a `const fn` may run in the compiler, where there is no clock to meter it by";
            return Err(Error::new(keyword.span, text));
        }
        if let Some(abi) = &signature.abi {
            let text = "an `extern` function cannot be metered: a panic must not unwind out of it; meter a function \
                        that it calls";
            return Err(Error::new_spanned(abi, text));
        }
        if let ReturnType::Type(_, returned) = &signature.output
            && matches!(**returned, Type::Never(_))
        {
            let text = "a function that never returns has no end: meter the steps that it takes";
            return Err(Error::new_spanned(returned, text));
        }
        Ok(())
    }

    /// Its name, as a name for what is recorded.
    pub(crate) fn name(&self) -> LitStr {
        let ident = &self.signature.ident;
        LitStr::new(&ident.unraw().to_string(), ident.span())
    }

    /// The same function with another body.
    pub(crate) fn with_body(&self, body: &TokenStream) -> TokenStream {
        let mut tokens = TokenStream::new();
        tokens.append_all(&self.attrs);
        self.vis.to_tokens(&mut tokens);
        self.signature.to_tokens(&mut tokens);
        self.brace.surround(&mut tokens, |inner| body.to_tokens(inner));
        tokens
    }
}
