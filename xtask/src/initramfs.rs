//! Initial file systems for Linux guests.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

use crate::archive::Tree;
use crate::debian;
use crate::setup::{self, Need};

/// The word for our own one.
pub(crate) const BUSYBOX: &str = "busybox";

const INIT: &str = include_str!("init.sh");
const PROGRAM: &str = "/bin/busybox";

/// Drivers of the devices that a guest has and Debian's Linux does not bring in its own file, in order.
const MODULES: &[&str] = &[
    "drivers/virtio/virtio_ring.ko",
    "drivers/virtio/virtio.ko",
    "drivers/virtio/virtio_pci_legacy_dev.ko",
    "drivers/virtio/virtio_pci_modern_dev.ko",
    "drivers/virtio/virtio_pci.ko",
    "drivers/block/virtio_blk.ko",
    "drivers/char/virtio_console.ko",
    "drivers/char/hw_random/virtio-rng.ko",
];

/// The archive for these values of `initrd=`, one after the other as Linux wants several.
pub(crate) fn read(values: &[&str], debian: bool) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    for value in values {
        all.resize(all.len().next_multiple_of(4), 0);
        all.extend(one(value, debian).with_context(|| format!("initrd={value}"))?);
    }
    Ok(all)
}

fn one(value: &str, debian: bool) -> Result<Vec<u8>> {
    if value == BUSYBOX {
        return busybox(debian)?.to_cpio();
    }
    if Path::new(value).is_dir() {
        return Tree::from_directory(Path::new(value))?.to_cpio();
    }
    fs::read(value).map_err(Into::into)
}

/// Busybox with all its names, and an `/init` that runs it; for Debian's Linux with drivers.
fn busybox(debian: bool) -> Result<Tree> {
    setup::need(&[Need::Busybox])?;
    let mut tree = Tree::default();
    for directory in ["bin", "dev", "etc", "mnt", "proc", "root", "sys", "tmp"] {
        tree.insert_directory(directory);
    }
    tree.insert_file("init", 0o755, INIT.into());
    tree.insert_file("bin/busybox", 0o755, fs::read(PROGRAM).context(PROGRAM)?);
    let shell = Shell::new()?;
    let names = cmd!(shell, "{PROGRAM} --list").quiet().read()?;
    for name in names.lines().filter(|name| *name != BUSYBOX) {
        tree.insert_link(&format!("bin/{name}"), BUSYBOX);
    }
    if debian {
        insert_modules(&mut tree, &debian::linux_modules()?)?;
    }
    Ok(tree)
}

fn insert_modules(tree: &mut Tree, from: &Path) -> Result<()> {
    let release = from.file_name().context("no release")?.to_string_lossy();
    let directory = format!("lib/modules/{release}");
    for directory in ["lib", "lib/modules", &directory] {
        tree.insert_directory(directory);
    }
    let mut order = String::new();
    for module in MODULES {
        let file = from.join("kernel").join(module);
        let bytes = fs::read(&file).with_context(|| file.display().to_string())?;
        let name = module.rsplit('/').next().unwrap_or(module);
        tree.insert_file(&format!("{directory}/{name}"), 0o644, bytes);
        order += &format!("{name}\n");
    }
    tree.insert_file(&format!("{directory}/order"), 0o644, order.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_are_joined_on_a_boundary_of_four() {
        let top = tempfile::tempdir().unwrap();
        let file = top.path().join("odd.gz");
        fs::write(&file, b"12345").unwrap();
        let file = file.to_str().unwrap();
        assert_eq!(read(&[file, file], false).unwrap(), b"12345\0\0\x0012345");
        fs::create_dir(top.path().join("d")).unwrap();
        fs::write(top.path().join("d/init"), b"#!").unwrap();
        let directory = top.path().join("d");
        let packed = read(&[directory.to_str().unwrap()], false).unwrap();
        assert!(packed.starts_with(b"070701"));
    }

    #[test]
    fn a_missing_one_is_named() {
        let error = read(&["/no/such"], false).unwrap_err();
        assert!(format!("{error:#}").starts_with("initrd=/no/such: No such file"));
    }
}
