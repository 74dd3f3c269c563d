//! The sources to check, parsed once.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;

/// One `.rs` file.
pub(super) struct Source {
    /// From the workspace's root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
    /// The syntax tree without what `#[cfg(test)]` guards.
    pub(super) file: syn::File,
    /// The lines that `#[cfg(test)]` guards, first and last.
    pub(super) tests: Vec<(usize, usize)>,
    all: TokenStream,
}

impl Source {
    pub(super) fn parse(path: &str, text: &str) -> Result<Source> {
        let mut file = syn::parse_file(text).with_context(|| format!("{path} is not Rust"))?;
        let all = file.to_token_stream();
        let mut tests = Vec::new();
        file.items.retain(|item| {
            let guarded = is_test(item);
            if guarded {
                tests.push(lines(item));
            }
            !guarded
        });
        Ok(Source {
            path: path.to_owned(),
            text: text.to_owned(),
            file,
            tests,
            all,
        })
    }

    /// Every identifier, those of tests too, with its line.
    pub(super) fn all_identifiers(&self) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        identifiers(self.all.clone(), &mut found);
        found
    }

    /// Every identifier outside of tests.
    pub(super) fn identifiers(&self) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        identifiers(self.file.to_token_stream(), &mut found);
        found
    }

    /// A file that is a test module or an integration test as a whole.
    pub(super) fn is_all_tests(&self) -> bool {
        let path = Path::new(&self.path);
        path.components().any(|c| c.as_os_str() == "tests")
            || path.file_stem().is_some_and(|s| s == "tests")
    }
}

/// First and last line of a piece of syntax.
pub(super) fn lines(syntax: &impl ToTokens) -> (usize, usize) {
    let (mut first, mut last) = (usize::MAX, 0);
    for token in syntax.to_token_stream() {
        first = first.min(token.span().start().line);
        last = last.max(token.span().end().line);
    }
    (first.min(last), last)
}

fn identifiers(tokens: TokenStream, found: &mut Vec<(String, usize)>) {
    for token in tokens {
        match token {
            TokenTree::Ident(name) => found.push((name.to_string(), name.span().start().line)),
            TokenTree::Group(group) => identifiers(group.stream(), found),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

fn is_test(item: &syn::Item) -> bool {
    let attributes = match item {
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|a| {
        let tokens = a.meta.to_token_stream().to_string().replace(' ', "");
        a.path().is_ident("test")
            || tokens.starts_with("cfg(test)")
            || tokens.starts_with("cfg(all(test")
    })
}

/// The workspace's folder.
pub(super) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// Folders of the workspace that hold sources of ours.
const FOLDERS: [&str; 4] = ["hv", "guest", "xtask", "tests"];

/// Reads every `.rs` file of the workspace.
pub(super) fn read_all(root: &Path) -> Result<Vec<Source>> {
    let mut paths = Vec::new();
    for folder in FOLDERS.iter().map(|f| root.join(f)).filter(|f| f.is_dir()) {
        collect(&folder, &mut paths)?;
    }
    paths.sort();
    paths.iter().map(|path| read(root, path)).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in
        std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_some_and(|n| n != "target") {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}

fn read(root: &Path, path: &Path) -> Result<Source> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let short = path
        .strip_prefix(root)
        .unwrap_or(path)
        .to_string_lossy()
        .replace('\\', "/");
    Source::parse(&short, &text)
}

#[cfg(test)]
pub(super) fn source(path: &str, text: &str) -> Source {
    Source::parse(path, text).unwrap()
}
