//! The rules that are told from source.

use std::collections::BTreeMap;
use std::path::Path;

use proc_macro2::{Span, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::code::{Source, each_token};
use crate::figure::Figure;

const LONGEST_FUNCTION: usize = 60;
const LONGEST_FILE: usize = 400;
/// How far above an unsafe block its reason may begin, in lines of code between.
const REASON_WITHIN: usize = 2;

pub(crate) fn lines(name: &'static str, sources: &[&Source], budget: usize) -> Figure {
    let mut counted: Vec<(usize, String)> =
        sources.iter().map(|s| (s.code_lines().len(), s.path.display().to_string())).collect();
    counted.sort_by(|a, b| b.cmp(a));
    let value = counted.iter().map(|(lines, _)| lines).sum();
    Figure { name, value, budget, places: counted.iter().map(|(lines, path)| format!("{lines:5}  {path}")).collect() }
}

pub(crate) fn long_files(sources: &[&Source]) -> Figure {
    let long = |s: &&Source| {
        let lines = s.code_lines().len();
        (lines > LONGEST_FILE).then(|| format!("{} has {lines} lines", s.path.display()))
    };
    Figure::none_of("files over 400 code lines", sources.iter().filter_map(long).collect())
}

/// First and last line of every function, and its name.
#[derive(Default)]
struct Functions(Vec<(usize, usize, String)>);

impl Functions {
    fn add(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let (first, last) = (signature.span().start().line, block.brace_token.span.close().end().line);
        self.0.push((first, last, signature.ident.to_string()));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.add(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

pub(crate) fn long_functions(sources: &[&Source]) -> Figure {
    let mut found = Vec::new();
    for source in sources {
        let mut functions = Functions::default();
        functions.visit_file(&source.shipped);
        for (first, last, name) in functions.0 {
            let lines = last + 1 - first;
            if lines > LONGEST_FUNCTION {
                found.push(format!("{} {name} has {lines} lines", source.at(first)));
            }
        }
    }
    Figure::none_of("functions over 60 lines", found)
}

/// Every `unsafe` that permits something, by the line of the word. In tokens, so that macros hide none; a pointer type
/// and an attribute (`unsafe(no_mangle)` aside) permit nothing.
fn unsafes(source: &Source) -> Vec<usize> {
    let mut found = Vec::new();
    let mut pending: Option<Span> = None;
    each_token(source.shipped.to_token_stream(), &mut |token| {
        if let Some(span) = pending.take() {
            let permits = match token {
                TokenTree::Group(_) => true,
                TokenTree::Ident(word) => ["fn", "impl", "extern", "trait"].iter().any(|w| word == w),
                _ => false,
            };
            if permits {
                found.push(span.start().line);
            }
        }
        if matches!(token, TokenTree::Ident(word) if word == "unsafe") {
            pending = Some(token.span());
        }
    });
    found
}

pub(crate) fn unsafe_outside_sys(sources: &[&Source]) -> Figure {
    let outside = sources.iter().filter(|s| !is_sys(s));
    let places = outside.flat_map(|s| unsafes(s).into_iter().map(|line| s.at(line))).collect();
    Figure::none_of("unsafe outside a module named sys", places)
}

fn is_sys(source: &Source) -> bool {
    source.path.with_extension("").iter().any(|part| part == "sys")
}

pub(crate) fn several_sys(sources: &[&Source]) -> Figure {
    let mut crates: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources.iter().filter(|s| s.path.file_stem().is_some_and(|stem| stem == "sys")) {
        let path = source.path.display().to_string();
        let owner = path.split("/src/").next().unwrap_or_default().to_owned();
        crates.entry(owner).or_default().push(path);
    }
    let places = crates.into_values().filter(|modules| modules.len() > 1).map(|m| m.join(", ")).collect();
    Figure::none_of("crates with more than one sys module", places)
}

/// A reason is `SAFETY:` in the comment above (or `# Safety` in the documentation of an unsafe function).
fn has_reason(lines: &[&str], line: usize) -> bool {
    let says = |text: &str| text.contains("SAFETY:") || text.contains("# Safety");
    let is_comment = |text: &str| text.trim_start().starts_with("//");
    let mut code_between = 0;
    for text in lines.iter().take(line).rev() {
        if says(text) {
            return true;
        }
        if !is_comment(text) && !text.trim_start().starts_with("#[") {
            code_between += 1;
        }
        if code_between > REASON_WITHIN || text.trim().is_empty() {
            return false;
        }
    }
    false
}

pub(crate) fn unsafe_without_reason(sources: &[&Source]) -> Figure {
    let mut places = Vec::new();
    for source in sources {
        let lines: Vec<&str> = source.text.lines().collect();
        let bare = unsafes(source).into_iter().filter(|line| !has_reason(&lines, *line));
        places.extend(bare.map(|line| source.at(line)));
    }
    Figure::none_of("unsafe without a SAFETY comment", places)
}

/// Methods and macros that panic, and macros that panic when nobody reads their output.
pub(crate) fn panics(sources: &[&Source]) -> Figure {
    const METHODS: [&str; 4] = ["unwrap", "expect", "unwrap_err", "expect_err"];
    const MACROS: [&str; 9] =
        ["panic", "todo", "unimplemented", "unreachable", "print", "println", "eprint", "eprintln", "dbg"];
    let mut places = Vec::new();
    for source in sources {
        let mut before = String::new();
        let mut earlier = String::new();
        each_token(source.shipped.to_token_stream(), &mut |token| {
            let now = match token {
                TokenTree::Group(_) => "(".to_owned(),
                other => other.to_string(),
            };
            let method = earlier == "." && METHODS.contains(&before.as_str()) && now == "(";
            let macro_call = MACROS.contains(&before.as_str()) && now == "!";
            if method || macro_call {
                places.push(format!("{} {before}", source.at(token.span().start().line)));
            }
            earlier = std::mem::replace(&mut before, now);
        });
    }
    Figure::none_of("unwrap, expect, panic or print in the setuid program", places)
}

/// Words that put something off. Spelled in two parts, so that this file is not among its own findings.
pub(crate) fn marks(sources: &[&Source]) -> Figure {
    let words = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["HA", "CK"]].map(|parts| parts.concat());
    let mut places = Vec::new();
    for source in sources {
        let marked = source.text.lines().enumerate().filter(|(_, text)| {
            text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| words.iter().any(|w| w == word))
        });
        places.extend(marked.map(|(index, _)| source.at(index + 1)));
    }
    Figure::none_of("notes that put something off", places)
}

struct Ignored(Vec<usize>);

impl<'ast> Visit<'ast> for Ignored {
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("ignore") && matches!(attribute.meta, syn::Meta::Path(_)) {
            self.0.push(attribute.span().start().line);
        }
    }
}

pub(crate) fn ignored_tests(sources: &[&Source]) -> Figure {
    let mut places = Vec::new();
    for source in sources {
        let mut ignored = Ignored(Vec::new());
        ignored.visit_file(&source.whole);
        places.extend(ignored.0.into_iter().map(|line| source.at(line)));
    }
    Figure::none_of("tests ignored without a reason", places)
}

/// Suites with a `main` of their own whose crate does not say so: cargo would build them as ordinary tests, of which they have
/// none, and nothing of them would ever run. `manifest` reads the one of a directory.
pub(crate) fn never_run(sources: &[&Source], manifest: impl Fn(&Path) -> String) -> Figure {
    let mut places = Vec::new();
    for source in sources.iter().filter(|source| source.text.contains("suite(CASES)")) {
        let (Some(tests), Some(stem)) = (source.path.parent(), source.path.file_stem()) else { continue };
        let named = format!("name = \"{}\"\nharness = false", stem.display());
        if tests.ends_with("tests") && !tests.parent().is_some_and(|of| manifest(of).contains(&named)) {
            places.push(source.at(1));
        }
    }
    Figure::none_of("suites that never run", places)
}

#[cfg(test)]
mod tests;
