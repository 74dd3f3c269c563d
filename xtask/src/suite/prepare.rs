//! What the runs of a stanza share: the image, and what the native run printed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::native::Native;
use super::stanza::{Case, OWN_FILES, OWN_IMAGE, OWN_TREE, Stanza};
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

    /// The image whose GRUB starts the guest itself.
    pub(crate) fn bare_image(&self) -> PathBuf {
        self.scratch.path().join("bare.iso")
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
    let places = Places::of(stanza, scratch.path());
    let tree = tree(stanza, &places)?;
    let parts = parts(stanza, &places);
    let guests = parts.named_guests()?;
    if !stanza.image.is_empty() {
        let inner = Parts {
            guests: stanza.image.clone(),
            ..Parts::default()
        };
        inner.assemble(&inner.named_guests()?, &places.image)?;
    }
    let prepared = Prepared {
        natives: natives(stanza, &guests, tree.as_ref())?,
        parts,
        scratch,
    };
    prepared.parts.assemble(&guests, &prepared.image())?;
    if stanza.bare.is_some() {
        let bare = Parts {
            bare: true,
            ..prepared.parts.clone()
        };
        bare.assemble(&guests, &prepared.bare_image())?;
    }
    Ok(prepared)
}

/// Where things of a stanza are that its guests name.
struct Places {
    /// Its tree, and that packed.
    tree: PathBuf,
    archive: PathBuf,
    image: PathBuf,
}

impl Places {
    fn of(stanza: &Stanza, scratch: &Path) -> Self {
        let place = |end: &str| Path::new(LOGS).join(format!("{}.{end}", stanza.name));
        let named = |spec: &String| {
            spec.contains(&format!("={OWN_FILES}")) || spec.contains(&format!(":{OWN_FILES}"))
        };
        Self {
            // What is named stays, for the command that repeats a run.
            tree: if stanza.guests.iter().any(named) {
                place("files")
            } else {
                scratch.join("root")
            },
            archive: place("cpio"),
            image: place("iso"),
        }
    }

    /// The SPEC with them in it.
    fn fill(&self, spec: &str) -> String {
        let (first, arguments) = spec.split_once(' ').unwrap_or((spec, ""));
        let parts: Vec<String> = first.split(',').map(|part| self.fill_part(part)).collect();
        format!("{} {arguments}", parts.join(","))
            .trim_end()
            .to_owned()
    }

    /// `NAME=VALUE` or `KIND:PATH`.
    fn fill_part(&self, part: &str) -> String {
        let Some(at) = part.find(['=', ':']) else {
            return part.to_owned();
        };
        let (name, value) = part.split_at(at + 1);
        let place = match (name, value) {
            ("root=" | "initrd=", OWN_TREE) => self.archive.clone(),
            ("disk:", OWN_IMAGE) => self.image.clone(),
            _ => match value.strip_prefix(OWN_FILES) {
                Some(file) => self.tree.join(file),
                None => return part.to_owned(),
            },
        };
        format!("{name}{}", place.display())
    }
}

/// Makes the stanza's tree, if it has one, and packs it.
fn tree(stanza: &Stanza, places: &Places) -> Result<Option<Tree>> {
    if stanza.files.is_empty() {
        return Ok(None);
    }
    if places.tree.exists() {
        fs::remove_dir_all(&places.tree)?;
    }
    fs::create_dir_all(&places.tree)?;
    files::make(&places.tree, &stanza.files)?;
    let tree = Tree::read(&places.tree)?.owned_by_root();
    fs::write(&places.archive, tree.to_cpio()?)?;
    Ok(Some(tree))
}

fn parts(stanza: &Stanza, places: &Places) -> Parts {
    let guests = stanza.guests.iter().map(|spec| places.fill(spec)).collect();
    let mut cmdline = stanza.cmdline.clone();
    if stanza.stdin.is_some() || !stanza.dialog.is_empty() {
        cmdline.push_str(" stdin=serial");
    }
    Parts {
        guests,
        cmdline: cmdline.trim().to_owned(),
        ..Parts::default()
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
    fn what_is_the_stanzas_own_is_filled_in() {
        let mut stanza = sample("stdin = \"x\"\ncmdline = \"log=warn\"");
        stanza.guests = [
            "app:/bin/x,root=files,mem=8 root=files",
            "linux:files/vmlinuz,initrd=busybox,initrd=files,disk=files/a/b  c",
            "disk:image,mem=64",
            "disk:files",
        ]
        .map(str::to_owned)
        .to_vec();
        let places = Places::of(&stanza, Path::new("s"));
        let parts = parts(&stanza, &places);
        let expected = [
            "app:/bin/x,root=target/test/x.cpio,mem=8 root=files",
            "linux:target/test/x.files/vmlinuz,initrd=busybox,initrd=target/test/x.cpio,disk=target/test/x.files/a/b  c",
            "disk:target/test/x.iso,mem=64",
            "disk:files",
        ];
        assert_eq!(parts.guests, expected);
        assert_eq!(parts.cmdline, "log=warn stdin=serial");
        stanza.guests.truncate(1);
        let places = Places::of(&stanza, Path::new("s"));
        assert_eq!(places.tree, Path::new("s/root"));
    }
}
