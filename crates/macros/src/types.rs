//! What a return type shows: whether it is a future, whether its error borrows, and how to write it within a body.

use proc_macro2::{Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{GenericArgument, PathArguments, PathSegment, Token, Type, TypeInfer, TypeParamBound};

/// A future that a function returns, and what it puts out.
pub(crate) struct Future<'a> {
    pub(crate) output: &'a Type,
    /// Whether it is behind a box: `Pin<Box<dyn Future>>`.
    pub(crate) boxed: bool,
}

impl<'a> Future<'a> {
    /// Reads the return type of a function that is not async; none where it shows no future.
    pub(crate) fn of(returned: &'a Type) -> Option<Self> {
        match bare(returned) {
            Type::ImplTrait(opaque) => {
                output_of(&opaque.bounds).map(|output| Self { output, boxed: false })
            }
            Type::Path(path) => {
                let last = path.path.segments.last()?;
                let output = if last.ident == "Pin" {
                    boxed_output(first_type(last)?)?
                } else if last.ident == "BoxFuture" || last.ident == "LocalBoxFuture" {
                    // The aliases of the futures crates.
                    first_type(last)?
                } else {
                    return None;
                };
                Some(Self { output, boxed: true })
            }
            _ => None,
        }
    }
}

fn boxed_output(pinned: &Type) -> Option<&Type> {
    let Type::Path(path) = bare(pinned) else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Box")?;
    match bare(first_type(last)?) {
        Type::TraitObject(object) => output_of(&object.bounds),
        _ => None,
    }
}

/// The `T` of `Future<Output = T>` among bounds.
fn output_of<'a>(bounds: impl IntoIterator<Item = &'a TypeParamBound>) -> Option<&'a Type> {
    bounds.into_iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        let last = bound.path.segments.last().filter(|last| last.ident == "Future")?;
        let PathArguments::AngleBracketed(args) = &last.arguments else { return None };
        args.args.iter().find_map(|arg| match arg {
            GenericArgument::AssocType(assoc) if assoc.ident == "Output" => Some(&assoc.ty),
            _ => None,
        })
    })
}

/// Whether the error of a `Result` has a lifetime in it other than `'static`.
pub(crate) fn error_borrows(returned: &Type) -> bool {
    let Type::Path(path) = bare(returned) else { return false };
    let Some(last) = path.path.segments.last() else { return false };
    types(last).nth(1).is_some_and(|error| borrows(error.to_token_stream()))
}

fn borrows(tokens: TokenStream) -> bool {
    let mut after_quote = false;
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => borrows(group.stream()),
        TokenTree::Punct(punct) => {
            after_quote = punct.as_char() == '\'' && punct.spacing() == Spacing::Joint;
            // A reference without a named lifetime has one all the same.
            punct.as_char() == '&'
        }
        TokenTree::Ident(ident) => std::mem::take(&mut after_quote) && ident != "static",
        TokenTree::Literal(_) => false,
    })
}

/// The type as it can be written within the body: every `impl Trait` is left to inference.
pub(crate) fn within_body(returned: &Type) -> Type {
    let mut returned = returned.clone();
    infer_opaque(&mut returned);
    returned
}

fn infer_opaque(ty: &mut Type) {
    match ty {
        Type::ImplTrait(opaque) => {
            let underscore_token = Token![_](opaque.impl_token.span);
            *ty = Type::Infer(TypeInfer { attrs: Vec::new(), underscore_token });
        }
        Type::Path(path) => path.path.segments.iter_mut().for_each(infer_in_segment),
        Type::TraitObject(object) => {
            for bound in &mut object.bounds {
                if let TypeParamBound::Trait(bound) = bound {
                    bound.path.segments.iter_mut().for_each(infer_in_segment);
                }
            }
        }
        Type::Reference(inner) => infer_opaque(&mut inner.elem),
        Type::Ptr(inner) => infer_opaque(&mut inner.elem),
        Type::Paren(inner) => infer_opaque(&mut inner.elem),
        Type::Group(inner) => infer_opaque(&mut inner.elem),
        Type::Array(inner) => infer_opaque(&mut inner.elem),
        Type::Slice(inner) => infer_opaque(&mut inner.elem),
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(infer_opaque),
        _ => {}
    }
}

fn infer_in_segment(segment: &mut PathSegment) {
    let PathArguments::AngleBracketed(args) = &mut segment.arguments else { return };
    for arg in &mut args.args {
        match arg {
            GenericArgument::Type(ty) => infer_opaque(ty),
            GenericArgument::AssocType(assoc) => infer_opaque(&mut assoc.ty),
            _ => {}
        }
    }
}

fn first_type(segment: &PathSegment) -> Option<&Type> {
    types(segment).next()
}

fn types(segment: &PathSegment) -> impl Iterator<Item = &Type> {
    let args = match &segment.arguments {
        PathArguments::AngleBracketed(args) => Some(&args.args),
        _ => None,
    };
    args.into_iter().flatten().filter_map(|arg| match arg {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// The type without the parentheses, seen or unseen, around it.
fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Paren(inner) => bare(&inner.elem),
        Type::Group(inner) => bare(&inner.elem),
        _ => ty,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Type {
        syn::parse_str(text).expect("it is a type")
    }

    fn check_future(text: &str, expected: Option<(&str, bool)>) {
        let returned = parsed(text);
        let found = Future::of(&returned)
            .map(|found| (found.output.to_token_stream().to_string(), found.boxed));
        assert_eq!(found, expected.map(|(output, boxed)| (output.to_owned(), boxed)), "{text}");
    }

    #[test]
    fn futures_are_seen_by_their_type() {
        check_future("impl Future<Output = u8> + Send", Some(("u8", false)));
        check_future("impl Send + ::core::future::Future<Output = u8> + 'a", Some(("u8", false)));
        check_future("Pin<Box<dyn Future<Output = u8> + Send + 'a>>", Some(("u8", true)));
        check_future(
            "std::pin::Pin<std::boxed::Box<(dyn Future<Output = u8>)>>",
            Some(("u8", true)),
        );
        check_future("BoxFuture<'_, u8>", Some(("u8", true)));
        check_future("Pin<Box<u8>>", None);
        check_future("impl Iterator<Item = u8>", None);
        check_future("Result<u8, String>", None);
    }

    fn check_borrows(text: &str, expected: bool) {
        assert_eq!(error_borrows(&parsed(text)), expected, "{text}");
    }

    #[test]
    fn only_the_lifetimes_of_the_error_count() {
        check_borrows("Result<&'a str, Box<dyn Error>>", false);
        check_borrows("Result<u8, Box<dyn Error + 'static>>", false);
        check_borrows("Result<u8, Box<dyn Error + 'a>>", true);
        check_borrows("io::Result<u8>", false);
        check_borrows("Result<u8, Wrong<'_>>", true);
        check_borrows("Result<u8, &io::Error>", true);
    }

    #[test]
    fn opaque_types_are_left_to_inference_wherever_they_stand() {
        let erased =
            within_body(&parsed("Result<(impl Sized, Box<dyn Iterator<Item = impl Sized>>), E>"));
        let expected = parsed("Result<(_, Box<dyn Iterator<Item = _>>), E>");
        assert_eq!(erased.to_token_stream().to_string(), expected.to_token_stream().to_string());
    }
}
