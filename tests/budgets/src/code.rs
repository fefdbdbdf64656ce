//! A source file without its tests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Item};

/// A parsed file.
pub(crate) struct Source {
    /// From the top of the workspace.
    pub(crate) path: PathBuf,
    /// As it stands on disk.
    pub(crate) text: String,
    /// Everything in it, tests too.
    pub(crate) whole: syn::File,
    /// Without items under `cfg(test)`.
    pub(crate) shipped: syn::File,
}

impl Source {
    /// Parses; the path is what findings will name.
    pub(crate) fn parse(path: impl Into<PathBuf>, text: &str) -> Result<Self, String> {
        let path = path.into();
        let whole = syn::parse_file(text).map_err(|e| {
            let at = e.span().start();
            format!("{}:{}:{}: {e}", path.display(), at.line, at.column + 1)
        })?;
        let mut shipped = whole.clone();
        WithoutTests.visit_file_mut(&mut shipped);
        Ok(Self { path, text: text.to_owned(), whole, shipped })
    }

    /// A place in it.
    pub(crate) fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    /// The numbers of the lines that hold code: no comment, no documentation, nothing blank, no test.
    pub(crate) fn code_lines(&self) -> BTreeSet<usize> {
        let mut lines = BTreeSet::new();
        each_token(self.shipped.to_token_stream(), &mut |token| {
            let (first, last) = match token {
                // What a group encloses comes as tokens of its own.
                TokenTree::Group(group) if group.delimiter() == Delimiter::None => return,
                TokenTree::Group(group) => {
                    lines.insert(group.span_open().start().line);
                    (group.span_close().end().line, group.span_close().end().line)
                }
                other => (other.span().start().line, other.span().end().line),
            };
            lines.extend(first..=last);
        });
        lines
    }

    /// Files of modules that are only there for tests.
    pub(crate) fn test_files(&self) -> Vec<PathBuf> {
        let stem = self.path.file_stem().unwrap_or_default();
        let parent = self.path.parent().unwrap_or(Path::new(""));
        let is_root = ["main", "lib", "mod"].iter().any(|name| stem == *name);
        let below = if is_root { parent.to_path_buf() } else { parent.join(stem) };
        let test_module = |item: &Item| match item {
            Item::Mod(module) if module.content.is_none() && is_test(&module.attrs) => Some(module.ident.to_string()),
            _ => None,
        };
        let names = self.whole.items.iter().filter_map(test_module);
        names.map(|name| below.join(name)).flat_map(|m| [m.with_extension("rs"), m]).collect()
    }
}

/// Gives every token, documentation left out.
pub(crate) fn each_token(stream: TokenStream, each: &mut impl FnMut(&TokenTree)) {
    let mut tokens = stream.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if matches!(&token, TokenTree::Punct(p) if p.as_char() == '#') {
            if matches!(tokens.peek(), Some(TokenTree::Punct(p)) if p.as_char() == '!') {
                tokens.next();
            }
            if let Some(TokenTree::Group(group)) = tokens.peek()
                && group.stream().into_iter().next().is_some_and(|t| t.to_string() == "doc")
            {
                tokens.next();
                continue;
            }
        }
        each(&token);
        if let TokenTree::Group(group) = token {
            each_token(group.stream(), each);
        }
    }
}

/// `#[cfg(test)]` or `#[cfg(all(test, ...))]`, or `#[test]` itself.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = attribute.meta.to_token_stream().to_string().replace(' ', "");
        text == "test" || text.starts_with("cfg(test") || text.starts_with("cfg(all(test")
    })
}

struct WithoutTests;

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(i) => &i.attrs,
        Item::Enum(i) => &i.attrs,
        Item::Fn(i) => &i.attrs,
        Item::Impl(i) => &i.attrs,
        Item::Macro(i) => &i.attrs,
        Item::Mod(i) => &i.attrs,
        Item::Static(i) => &i.attrs,
        Item::Struct(i) => &i.attrs,
        Item::Trait(i) => &i.attrs,
        Item::Type(i) => &i.attrs,
        Item::Use(i) => &i.attrs,
        _ => &[],
    }
}

impl VisitMut for WithoutTests {
    fn visit_file_mut(&mut self, file: &mut syn::File) {
        file.items.retain(|item| !is_test(attributes(item)));
        visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_mod_mut(&mut self, module: &mut syn::ItemMod) {
        if let Some((_, items)) = &mut module.content {
            items.retain(|item| !is_test(attributes(item)));
        }
        visit_mut::visit_item_mod_mut(self, module);
    }

    fn visit_item_impl_mut(&mut self, block: &mut syn::ItemImpl) {
        block.items.retain(|item| match item {
            syn::ImplItem::Fn(function) => !is_test(&function.attrs),
            syn::ImplItem::Const(constant) => !is_test(&constant.attrs),
            _ => true,
        });
        visit_mut::visit_item_impl_mut(self, block);
    }
}
