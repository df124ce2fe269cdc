//! plotly.js without the kinds of charts that no page draws, for a browser compiles all that it is sent before it draws.
//!
//! The library is one script that esbuild made of a thousand modules, `var a=wrap((exports,module)=>{…});` each, which run
//! when `a()` is called for the first time. The last of them puts the kinds of charts on a list. What cannot be reached any
//! longer when the others are off that list is left out, as an author would who bundles the library for his page alone.

use std::collections::HashMap;

/// What esbuild calls `__commonJS`: it makes a module of a function.
const WRAP: &str = "=(e,t)=>()=>(t||e((t={exports:{}}).exports,t),t.exports)";

/// What esbuild calls `__esm`: it goes with functions that stand outside of every module.
const OUTSIDE: &str = "=(e,t)=>()=>(e&&(t=e(e=0)),t)";

/// The library with these kinds of charts; with all of them, where it is not made as it is known to be.
pub(super) fn only(kinds: &[&str], library: &str) -> String {
    Bundle::read(library)
        .and_then(|bundle| bundle.only(kinds))
        .unwrap_or_else(|| library.to_owned())
}

struct Bundle<'a> {
    /// What makes modules, before the first of them.
    head: &'a str,
    modules: Vec<Module<'a>>,
    places: HashMap<&'a str, usize>,
}

struct Module<'a> {
    /// It, and what follows up to the next.
    text: &'a str,
    /// Nothing but itself, so that nothing else is lost with it.
    is_alone: bool,
}

impl<'a> Bundle<'a> {
    fn read(library: &'a str) -> Option<Self> {
        let wrap = format!("={}(", name_before(library, library.find(WRAP)?));
        let outside = format!("={}(", name_before(library, library.find(OUTSIDE)?));
        let starts = library.match_indices(&wrap).filter_map(|(at, _)| {
            let name = name_before(library, at);
            let start = library[..at - name.len()].strip_suffix("var ")?.len();
            Some((name, start))
        });
        let (names, starts): (Vec<_>, Vec<_>) = starts.unzip();
        let ends = starts.iter().skip(1).copied().chain([library.len()]);
        let modules = starts.iter().zip(ends).map(|(start, end)| {
            let text = &library[*start..end];
            Module { text, is_alone: text.ends_with("});") && !text.contains(&outside) }
        });
        Some(Self {
            head: &library[..*starts.first()?],
            modules: modules.collect(),
            places: names.into_iter().zip(0..).collect(),
        })
    }

    fn only(&self, kinds: &[&str]) -> Option<String> {
        let (last, others) = self.modules.split_last()?;
        let (before, rest) = last.text.split_once(".register([")?;
        let (list, after) = rest.split_once(']')?;
        let listed = list.split(',').filter(|call| kinds.iter().any(|kind| self.is(call, kind)));
        let listed: Vec<_> = listed.collect();
        if listed.len() < kinds.len() {
            return None;
        }
        let last = [before, ".register([", &listed.join(","), "]", after].concat();
        let kept = self.reached_from(&last);
        let others = others.iter().zip(kept).filter(|(_, kept)| *kept);
        let texts = others.map(|(module, _)| module.text);
        Some([self.head].into_iter().chain(texts).chain([last.as_str()]).collect())
    }

    /// Whether a listed module hands on the kind of charts of this name.
    fn is(&self, call: &str, kind: &str) -> bool {
        let Some(place) = self.places.get(call.trim_end_matches("()")) else { return false };
        // The first word it holds besides its own name is what it hands on.
        let handed_on = self.named_in(self.modules[*place].text).find(|named| named != place);
        let text = handed_on.map_or("", |place| self.modules[place].text);
        ["name:", "name="].iter().any(|name| text.contains(&format!("{name}\"{kind}\"")))
    }

    fn named_in(&self, text: &str) -> impl Iterator<Item = usize> {
        text.split(|letter| !is_word(letter)).filter_map(|word| self.places.get(word).copied())
    }

    /// Which modules are named by this text, by what stands outside of the modules, or by a module that is.
    fn reached_from(&self, text: &str) -> Vec<bool> {
        let mut reached: Vec<_> = self.modules.iter().map(|module| !module.is_alone).collect();
        // This text is what is left of the last module, which is not read therefore.
        let before_last = 0..reached.len() - 1;
        let mut open: Vec<_> = before_last.filter(|place| reached[*place]).collect();
        let mut text = text;
        loop {
            for place in self.named_in(text) {
                if !std::mem::replace(&mut reached[place], true) {
                    open.push(place);
                }
            }
            let Some(place) = open.pop() else { return reached };
            text = self.modules[place].text;
        }
    }
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '$')
}

/// The word that ends at this place.
fn name_before(text: &str, end: usize) -> &str {
    let start = text[..end].trim_end_matches(is_word).len();
    &text[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As esbuild writes it: two kinds of charts, what both need, a function outside of all modules, and what it needs.
    const LIBRARY: &str = "(()=>{var l=(e,t)=>()=>(e&&(t=e(e=0)),t);\
        var y=(e,t)=>()=>(t||e((t={exports:{}}).exports,t),t.exports);\
        var core=y((e,m)=>{m.exports={register(){}}});\
        var a=y((e,m)=>{m.exports={name:\"bar\",of:core()}});\
        var A=y((e,m)=>{m.exports=a()});\
        var maps=y(e=>{e.of=core()});\
        var b=y((e,m)=>{var m=m;m.moduleType=\"trace\",m.name=\"map\",maps()});\
        var B=y((e,m)=>{m.exports=b()});\
        var far=y(()=>{});\
        var near=y((e,m)=>{m.exports=1});function out(){return far()}var o=l(()=>{out()});\
        var end=y((e,m)=>{var c=core();c.register([A(),B()]);m.exports=c});return end();})();";

    #[test]
    fn what_only_the_other_kinds_need_is_left_out() {
        let bars = only(&["bar"], LIBRARY);
        for kept in ["var core", "var a=", "var A=", "var far", "var near", "function out", "[A()]"]
        {
            assert!(bars.contains(kept), "{kept}: {bars}");
        }
        for gone in ["var maps", "var b=", "var B=", "B()"] {
            assert!(!bars.contains(gone), "{gone}: {bars}");
        }
        assert_eq!(only(&["map", "bar"], LIBRARY), LIBRARY);
    }

    #[test]
    fn a_library_that_is_made_otherwise_is_left_whole() {
        assert_eq!(only(&["pie"], LIBRARY), LIBRARY);
        for without in [WRAP, OUTSIDE, "register([", "y(("] {
            let other = LIBRARY.replace(without, "other");
            assert_eq!(only(&["bar"], &other), other);
        }
    }
}
