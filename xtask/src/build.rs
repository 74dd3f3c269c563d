//! Building what runs in the machine.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use crate::guest::Guest;
use crate::setup::{self, Need, TARGET};

/// The packages built for the machine, all their binaries.
const PACKAGES: &[&str] = &["nestling", "guest-tests"];

/// Where the C programs of `guest/apps` are built, relative to the workspace.
pub(crate) const APPS: &str = "target/apps";

/// The top of the workspace. Every command runs with this as its working directory.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

/// Builds the hypervisor and the test guests.
pub(crate) fn machine() -> Result<()> {
    setup::need(&[Need::Build])?;
    let packages = PACKAGES.iter().flat_map(|package| ["-p", package]);
    let shell = Shell::new()?;
    cmd!(
        shell,
        "cargo build --release --target-dir target --target {TARGET} {packages...}"
    )
    .quiet()
    .run()
    .context("building the hypervisor and the test guests")
}

/// Builds the C programs that these guests name.
pub(crate) fn apps_of(guests: &[Guest]) -> Result<()> {
    if guests.iter().any(Guest::is_built_app) {
        apps()
    } else {
        Ok(())
    }
}

/// Builds the C programs of `guest/apps`, where older than their source.
pub(crate) fn apps() -> Result<()> {
    setup::need(&[Need::Apps])?;
    fs::create_dir_all(APPS)?;
    let shell = Shell::new()?;
    for source in files("guest/apps", "c")? {
        let name = source.file_stem().context("a source without a name")?;
        let program = Path::new(APPS).join(name);
        if !older(&program, &source)? {
            continue;
        }
        cmd!(
            shell,
            "musl-gcc -static -O2 -Wall -Wextra -Werror -o {program} {source}"
        )
        .quiet()
        .run()?;
    }
    Ok(())
}

fn older(made: &Path, source: &Path) -> Result<bool> {
    let Ok(made) = fs::metadata(made) else {
        return Ok(true);
    };
    Ok(made.modified()? < fs::metadata(source)?.modified()?)
}

/// The files of a directory with this extension, sorted; none if there is no such directory.
pub(crate) fn files(directory: &str, extension: &str) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| directory.to_owned())?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The hypervisor's ELF file.
pub(crate) fn hypervisor() -> PathBuf {
    release().join("nestling")
}

fn release() -> PathBuf {
    Path::new("target").join(TARGET).join("release")
}

/// The ELF file of the test guest with this name.
pub(crate) fn test_guest(name: &str) -> Result<PathBuf> {
    let file = release().join(name);
    if file.is_file() && !name.contains('/') {
        return Ok(file);
    }
    bail!(
        "there is no test guest `{name}`; there are: {}",
        test_guests().join(", ")
    );
}

fn test_guests() -> Vec<String> {
    let sources = files("guest/t/src/bin", "rs").unwrap_or_default();
    sources
        .iter()
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect()
}

/// `cargo xtask build`.
pub(crate) fn everything() -> Result<()> {
    machine()?;
    apps()
}
