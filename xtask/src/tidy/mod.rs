//! `cargo xtask tidy`: the arrows, words and sizes of the design; formatting; clippy.
//!
//! The rules on sources read the tokens and the syntax tree of every `.rs` file below the workspace, so they hold in macros
//! too; what `#[cfg(test)]` guards is free of all but the words.

mod arrows;
mod neighbours;
mod sizes;
mod source;
mod tools;
mod words;

use std::path::Path;

use anyhow::Result;

use source::Source;

/// What to check.
#[derive(clap::Args, Debug, Clone, Default)]
pub(crate) struct Args {
    /// Only the rules on sources and crates: no `cargo fmt`, no clippy
    #[arg(long)]
    fast: bool,
}

/// One violation.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    /// What is wrong, and by which rule.
    what: String,
    /// What to do.
    fix: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}:{}: {}; {}",
            self.path, self.line, self.what, self.fix
        )
    }
}

/// Checks the workspace; status 1 if anything was found.
pub(crate) fn main(args: &Args) -> Result<u8> {
    let root = source::root();
    let packages = arrows::packages(&root)?;
    let mut findings = arrows::check(&packages);
    let sources = source::read_all(&root)?;
    let mut lengths = Vec::new();
    for source in &sources {
        check_source(source, &mut findings, &mut lengths);
    }
    findings.sort();
    findings.iter().for_each(|finding| println!("{finding}"));
    let failed = if args.fast { 0 } else { tools::run_all(&root)? };
    print_sizes(&sources, &mut lengths);
    let found = findings.len() + failed;
    println!("tidy: {found} findings");
    Ok(u8::from(found > 0))
}

fn check_source(source: &Source, findings: &mut Vec<Finding>, lengths: &mut Vec<usize>) {
    words::check(source, findings);
    neighbours::check(source, findings);
    sizes::check(source, findings, lengths);
}

fn print_sizes(sources: &[Source], lengths: &mut [usize]) {
    lengths.sort_unstable();
    let median = lengths.get(lengths.len() / 2).copied().unwrap_or(0);
    println!(
        "{} files, {} functions, median length {median} lines (the design: near 7)",
        sources.len(),
        lengths.len()
    );
}

/// Where a path from the workspace lies: `is_in("hv/cpu/src/x.rs", "hv/cpu")`.
fn is_in(path: &str, folder: &str) -> bool {
    Path::new(path).starts_with(folder)
}
