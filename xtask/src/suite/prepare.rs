//! What the runs of a stanza share: the image, and what the native run printed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::native::Native;
use super::stanza::{Case, OWN_TREE, Stanza};
use super::{LOGS, files};
use crate::archive::Tree;
use crate::guest::Guest;
use crate::image::{self, Parts};

/// What is made once for all runs of a stanza.
pub(crate) struct Prepared {
    /// The image's parts, as `cargo xtask run` takes them.
    pub(crate) parts: Parts,
    /// What the guests' commands do natively, if the stanza wants to know.
    pub(super) natives: Vec<Native>,
    scratch: TempDir,
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
    let archive = Path::new(LOGS).join(format!("{}.cpio", stanza.name));
    let tree = tree(stanza, &scratch.path().join("root"), &archive)?;
    let parts = parts(stanza, &archive);
    let guests = parts
        .guests
        .iter()
        .map(|spec| Guest::parse(spec))
        .collect::<Result<Vec<_>>>()?;
    let prepared = Prepared {
        natives: natives(stanza, &guests, tree.as_ref())?,
        parts,
        scratch,
    };
    prepared.parts.assemble(&guests, &prepared.image())?;
    Ok(prepared)
}

/// Makes the stanza's tree, if it has one, and packs it.
fn tree(stanza: &Stanza, top: &Path, archive: &Path) -> Result<Option<Tree>> {
    if stanza.files.is_empty() {
        return Ok(None);
    }
    fs::create_dir_all(top)?;
    files::make(top, &stanza.files)?;
    let tree = Tree::read(top)?.owned_by_root();
    fs::write(archive, tree.to_cpio()?)?;
    Ok(Some(tree))
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

/// Runs what each guest runs natively too, if the stanza wants it.
fn natives(stanza: &Stanza, guests: &[Guest], tree: Option<&Tree>) -> Result<Vec<Native>> {
    if !stanza.native {
        return Ok(Vec::new());
    }
    let stdin = stanza.stdin.as_deref().unwrap_or_default();
    let run = |guest: &Guest| {
        let tree = tree.filter(|_| guest.option("root").is_some());
        Native::run(guest, tree, stdin)
            .with_context(|| format!("running {} natively", guest.path()))
    };
    guests.iter().map(run).collect()
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
}
