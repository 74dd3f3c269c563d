//! What the other commands need on this machine, and how it is installed.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

use crate::debian;

/// The Rust target of everything that runs in the machine.
pub(crate) const TARGET: &str = "x86_64-unknown-none";

/// A purpose that packages are needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Building the hypervisor and the test guests.
    Build,
    /// Making the boot image.
    Image,
    /// Running on QEMU.
    Qemu,
    /// Running on QEMU with UEFI firmware.
    Uefi,
    /// Running on Bochs.
    Bochs,
    /// The program that the default guest and the tests run.
    Busybox,
    /// Other static programs that the tests run.
    Programs,
    /// Building the C programs of `guest/apps`.
    Apps,
    /// The firmware of guests that boot from a disk.
    Seabios,
    /// Checking the ACPI tables that guests find.
    Acpi,
    /// Building libFuzzer, for `fuzz/run`.
    Fuzz,
}

use Need::{Acpi, Apps, Bochs, Build, Busybox, Fuzz, Image, Programs, Qemu, Seabios, Uefi};

const EVERYTHING: &[Need] = &[
    Build, Image, Qemu, Uefi, Bochs, Busybox, Programs, Apps, Seabios, Acpi, Fuzz,
];

/// (purpose, Debian package, a file that the package brings)
const PACKAGES: &[(Need, &str, &str)] = &[
    (Build, "gcc", "/usr/bin/cc"),
    (Image, "grub-common", "/usr/bin/grub-mkimage"),
    (Image, "grub-pc-bin", "/usr/lib/grub/i386-pc/multiboot2.mod"),
    (
        Image,
        "grub-efi-amd64-bin",
        "/usr/lib/grub/x86_64-efi/multiboot2.mod",
    ),
    (Image, "xorriso", "/usr/bin/xorriso"),
    (Image, "mtools", "/usr/bin/mformat"),
    (Qemu, "qemu-system-x86", "/usr/bin/qemu-system-x86_64"),
    (Uefi, "ovmf", "/usr/share/OVMF/OVMF_CODE_4M.fd"),
    (Bochs, "bochs", "/usr/bin/bochs-bin"),
    (
        Bochs,
        "bochs-term",
        "/usr/lib/x86_64-linux-gnu/bochs/plugins/libbx_term_gui.so",
    ),
    (Bochs, "bochsbios", "/usr/share/bochs/BIOS-bochs-latest"),
    (Bochs, "vgabios", "/usr/share/bochs/VGABIOS-lgpl-latest"),
    (Busybox, "busybox-static", "/bin/busybox"),
    (Programs, "bash-static", "/bin/bash-static"),
    (Programs, "zsh-static", "/bin/zsh-static"),
    (Programs, "sash", "/bin/sash"),
    (Apps, "musl-tools", "/usr/bin/musl-gcc"),
    (Seabios, "seabios", "/usr/share/seabios/bios-256k.bin"),
    (Acpi, "acpica-tools", "/usr/bin/iasl"),
    (Fuzz, "g++", "/usr/bin/c++"),
];

/// Installs everything that any command needs.
pub(crate) fn everything() -> Result<()> {
    need(EVERYTHING)?;
    debian::every_kernel()?;
    println!("Everything that Nestling needs is installed.");
    Ok(())
}

/// Installs what is missing for these purposes, and says so; silent and quick if nothing is.
pub(crate) fn need(purposes: &[Need]) -> Result<()> {
    let missing: Vec<&str> = missing(purposes, |file| Path::new(file).exists());
    if !missing.is_empty() {
        install_packages(&missing)?;
        let left = self::missing(purposes, |file| Path::new(file).exists());
        ensure!(
            left.is_empty(),
            "still missing after apt-get: {}",
            left.join(" ")
        );
    }
    if purposes.contains(&Build) {
        rust_target()?;
    }
    Ok(())
}

fn missing(purposes: &[Need], exists: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let wanted = |row: &&(Need, &'static str, &str)| purposes.contains(&row.0) && !exists(row.2);
    PACKAGES.iter().filter(wanted).map(|row| row.1).collect()
}

fn install_packages(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!(
            "these Debian packages are missing, and there is no apt-get here: {names}\ninstall what your system calls them"
        );
    }
    as_root().with_context(|| {
        format!("these Debian packages are missing; run as root: apt-get install {names}")
    })?;
    eprintln!("xtask: installing Debian packages: {names}");
    if apt_get(&install_words(packages)).is_err() {
        update_lists()?;
        apt_get(&install_words(packages))
            .with_context(|| format!("could not install {names}; try: apt-get install {names}"))?;
    }
    Ok(())
}

/// Brings the lists of Debian's packages up to date: something was not found by them.
pub(crate) fn update_lists() -> Result<()> {
    eprintln!("xtask: updating the package lists, then trying again");
    apt_get(&["update", "-qq"])
}

/// The words before a command that makes it run as root.
fn as_root() -> Result<&'static [&'static str]> {
    let root = nix::unistd::geteuid().is_root();
    ensure!(
        root || Path::new("/usr/bin/sudo").exists(),
        "here is neither root nor sudo"
    );
    Ok(if root { &[] } else { &["sudo"] })
}

fn install_words<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    ["install", "-y", "-qq", "--no-install-recommends"]
        .iter()
        .chain(packages)
        .copied()
        .collect()
}

fn apt_get(words: &[&str]) -> Result<()> {
    let (shell, as_root) = (Shell::new()?, as_root()?);
    // stdout is for the command's own output: apt-get's goes to stderr.
    let script = "exec \"$@\" </dev/null >&2";
    cmd!(
        shell,
        "sh -c {script} sh {as_root...} env DEBIAN_FRONTEND=noninteractive apt-get {words...}"
    )
    .quiet()
    .run()?;
    Ok(())
}

fn rust_target() -> Result<()> {
    let shell = Shell::new()?;
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let library = cmd!(shell, "{rustc} --print target-libdir --target {TARGET}")
        .quiet()
        .read()?;
    if Path::new(&library).exists() {
        return Ok(());
    }
    eprintln!("xtask: installing the Rust target {TARGET}");
    cmd!(shell, "rustup target add {TARGET}").quiet().run().with_context(|| {
        format!(
            "rustup could not install the Rust target {TARGET}\n\
             check that the network reaches static.rust-lang.org, or, where Rust is not from rustup,\n\
             put that target's core and alloc into {library}, or install rustup (https://rustup.rs)"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_packages_of_the_purpose_are_missing() {
        assert_eq!(missing(&[Uefi], |_| false), ["ovmf"]);
        assert_eq!(
            missing(&[Uefi, Busybox], |file| file == "/bin/busybox"),
            ["ovmf"]
        );
        assert!(missing(EVERYTHING, |_| true).is_empty());
    }

    #[test]
    fn every_purpose_has_a_package() {
        for need in EVERYTHING {
            assert!(PACKAGES.iter().any(|row| row.0 == *need), "{need:?}");
        }
    }
}
