//! What the runs of a stanza share: the image, and what the native run printed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::stanza::{Case, OWN_TREE, Stanza};
use super::{LOGS, files};
use crate::archive::Tree;
use crate::guest::Guest;
use crate::image::{self, Parts};

/// The environment of a native run, and of an `app` guest.
const ENVIRONMENT: &[&str] = &["HOME=/", "TERM=linux", "PATH=/bin:/sbin:/usr/bin:/usr/sbin"];

/// What is made once for all runs of a stanza.
pub(crate) struct Prepared {
    /// The image's parts, as `cargo xtask run` takes them.
    pub(crate) parts: Parts,
    /// What the native run printed, and its exit status.
    pub(crate) native: Option<Native>,
    scratch: TempDir,
}

/// The end of a native run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Native {
    pub(crate) output: Vec<u8>,
    pub(crate) status: i32,
}

impl Prepared {
    /// The image to boot.
    pub(crate) fn image(&self) -> PathBuf {
        self.scratch.path().join("nestling.iso")
    }
}

impl Case {
    /// Prepares the stanza, unless another run has done so.
    pub(crate) fn prepare(&self) -> Result<Arc<Prepared>> {
        let mut slot = self
            .prepared
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(prepared) = &*slot {
            return Ok(prepared.clone());
        }
        let prepared = Arc::new(prepare(&self.stanza)?);
        *slot = Some(prepared.clone());
        Ok(prepared)
    }
}

fn prepare(stanza: &Stanza) -> Result<Prepared> {
    let scratch = image::scratch()?;
    let tree = scratch.path().join("root");
    let archive = Path::new(LOGS).join(format!("{}.cpio", stanza.name));
    if !stanza.files.is_empty() {
        fs::create_dir_all(&tree)?;
        files::make(&tree, &stanza.files)?;
        fs::write(&archive, Tree::read(&tree)?.to_cpio()?)?;
    }
    let prepared = Prepared {
        parts: parts(stanza, &archive),
        native: native(stanza, &tree)?,
        scratch,
    };
    let guests = prepared
        .parts
        .guests
        .iter()
        .map(|spec| Guest::parse(spec))
        .collect::<Result<Vec<_>>>()?;
    prepared.parts.assemble(&guests, &prepared.image())?;
    Ok(prepared)
}

fn parts(stanza: &Stanza, archive: &Path) -> Parts {
    let root = format!("root={}", archive.display());
    let guests = stanza
        .guests
        .iter()
        .map(|spec| spec.replacen(OWN_TREE, &root, 1))
        .collect();
    let mut cmdline = stanza.cmdline.clone();
    if stanza.stdin.is_some() {
        cmdline.push_str(" stdin=serial");
    }
    Parts {
        guests,
        cmdline: cmdline.trim().to_owned(),
        hypervisor: None,
    }
}

/// Runs the stanza's `native` command: in its tree, or where it has none, in the host's own.
fn native(stanza: &Stanza, tree: &Path) -> Result<Option<Native>> {
    let Some(line) = &stanza.native else {
        return Ok(None);
    };
    let root = (!stanza.files.is_empty()).then_some(tree);
    let words = shell_words::split(line)?;
    let mut command = Command::new("/usr/bin/env");
    command
        .arg("-i")
        .args(ENVIRONMENT)
        .args(entering(root))
        .args(words);
    run(command, stanza.stdin.as_deref())
        .with_context(|| format!("running `{line}` natively"))
        .map(Some)
}

/// The words that change the root directory; who is not root becomes it in a user namespace.
fn entering(root: Option<&Path>) -> Vec<&OsStr> {
    let Some(root) = root else { return Vec::new() };
    let mut words = Vec::new();
    if !nix::unistd::geteuid().is_root() {
        words.extend(["unshare", "-r"].map(OsStr::new));
    }
    words.extend([OsStr::new("chroot"), root.as_os_str()]);
    words
}

/// Runs with standard output and error in one pipe, as on a console.
fn run(mut command: Command, stdin: Option<&str>) -> Result<Native> {
    let (mut reader, writer) = std::io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    command.current_dir("/").stdin(Stdio::null());
    if let Some(text) = stdin {
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), text)?;
        command.stdin(File::open(file.path())?);
    }
    let mut child = command.spawn()?;
    // The command holds the pipe's other end: without it the end is seen.
    drop(command);
    let mut output = Vec::new();
    reader.read_to_end(&mut output)?;
    let status = child.wait()?.code().context("it was killed by a signal")?;
    Ok(Native { output, status })
}

#[cfg(test)]
mod tests {
    use super::super::stanza::tests::sample;
    use super::*;

    #[test]
    fn root_is_the_packed_tree() {
        let mut stanza = sample("stdin = \"x\"\ncmdline = \"log=warn\"");
        stanza.guests = vec!["app:/bin/x,root=files,mem=8 root=files".into()];
        let parts = parts(&stanza, Path::new("t/x.cpio"));
        assert_eq!(parts.guests, ["app:/bin/x,root=t/x.cpio,mem=8 root=files"]);
        assert_eq!(parts.cmdline, "log=warn stdin=serial");
    }

    #[test]
    fn a_native_run_has_output_error_status_and_environment() {
        let stanza = sample(
            "stdin = \"in\"\nnative = \"/bin/sh -c 'cat; echo \\\" $HOME $TERM\\\"; pwd >&2; exit 3'\"",
        );
        let native = native(&stanza, Path::new("/")).unwrap().unwrap();
        assert_eq!(String::from_utf8_lossy(&native.output), "in / linux\n/\n");
        assert_eq!(native.status, 3);
    }
}
