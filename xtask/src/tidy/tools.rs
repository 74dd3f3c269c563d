//! `cargo fmt` and clippy.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::setup;

/// What is run: a name, cargo's arguments, and what to do about a failure.
const TOOLS: [(&str, &[&str], &str); 3] = [
    (
        "formatting",
        &["fmt", "--all", "--check"],
        "run `cargo fmt --all`",
    ),
    (
        "clippy on the host",
        &["clippy", "--quiet", "--all-targets", "--", "-Dwarnings"],
        "mend what clippy printed above",
    ),
    (
        "clippy for x86_64-unknown-none",
        &[
            "clippy",
            "--quiet",
            "--keep-going",
            "--release",
            "--target=x86_64-unknown-none",
            "--package=nestling",
            "--package=cpu",
            "--package=rt",
            "--package=guest-tests",
            "--",
            "-Dwarnings",
        ],
        "mend what clippy printed above",
    ),
];

/// Runs all of them, gives how many failed.
pub(super) fn run_all(root: &Path) -> Result<usize> {
    setup::need(&[setup::Need::Build])?;
    components()?;
    let mut failed = 0;
    for (name, arguments, fix) in TOOLS {
        let status = Command::new("cargo")
            .args(arguments)
            .current_dir(root)
            .status();
        let status = status.with_context(|| format!("cannot start cargo for {name}"))?;
        if !status.success() {
            println!(".:1: {name}: `cargo {}` fails; {fix}", arguments.join(" "));
            failed += 1;
        }
    }
    Ok(failed)
}

/// rustfmt and clippy, which rustup's minimal profile leaves out.
fn components() -> Result<()> {
    for (component, command) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        let found = Command::new("cargo").args([command, "--version"]).output();
        if found.is_ok_and(|output| output.status.success()) {
            continue;
        }
        eprintln!("xtask: installing the Rust component {component}");
        let status = Command::new("rustup")
            .args(["component", "add", component])
            .status();
        let status = status.with_context(|| format!("rustup, to add the component {component}"))?;
        ensure!(
            status.success(),
            "`rustup component add {component}` failed"
        );
    }
    Ok(())
}
