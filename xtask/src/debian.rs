//! Kernels of Debian's as guests: unpacked from their packages below `target`, not installed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::setup;

/// Where packages are unpacked, a directory each, beside links to the kernels: `linux-debian`, `multiboot-xen`.
pub(crate) const UNPACKED: &str = "target/debian";

/// A kernel that a SPEC names by a word instead of a file.
struct Kernel {
    /// The kind of guest.
    kind: &'static str,
    /// The word.
    name: &'static str,
    package: &'static str,
    /// How the path of its file in the package begins.
    file: &'static str,
}

const KERNELS: &[Kernel] = &[
    Kernel {
        kind: "linux",
        name: LINUX,
        package: "linux-image-cloud-amd64",
        file: "boot/vmlinuz-",
    },
    Kernel {
        kind: "linux",
        name: "memtest86+",
        package: "memtest86+",
        file: "boot/memtest86+x64.bin",
    },
    Kernel {
        kind: "multiboot",
        name: "xen",
        package: "xen-hypervisor-4.17-amd64",
        file: "boot/xen-4.17-amd64.gz",
    },
];

/// The word for Debian's Linux.
pub(crate) const LINUX: &str = "debian";

/// The file of the kernel that this kind of guest calls so, got where it is not there yet; none if it is no such word.
pub(crate) fn kernel(kind: &str, name: &str) -> Result<Option<PathBuf>> {
    let Some(kernel) = KERNELS
        .iter()
        .find(|row| row.kind == kind && row.name == name)
    else {
        return Ok(None);
    };
    kernel
        .get()
        .map(Some)
        .with_context(|| format!("`{kind}:{name}`"))
}

/// The modules of Debian's Linux: `lib/modules/RELEASE`.
pub(crate) fn linux_modules() -> Result<PathBuf> {
    kernel("linux", LINUX)?;
    let package = unpacked(KERNELS[0].package);
    starting_with(&package, "lib/modules/").context("Debian's Linux has no modules")
}

/// Gets every kernel.
pub(crate) fn every_kernel() -> Result<()> {
    KERNELS.iter().try_for_each(|kernel| kernel.get().map(drop))
}

/// The words that a kind of guest has for kernels.
pub(crate) fn words(kind: &str) -> Vec<&'static str> {
    let of_kind = KERNELS.iter().filter(|row| row.kind == kind);
    of_kind.map(|row| row.name).collect()
}

impl Kernel {
    fn get(&self) -> Result<PathBuf> {
        let directory = unpacked(self.package);
        if !directory.exists() {
            unpack(&real(self.package)?, &directory)?;
        }
        let file = starting_with(&directory, self.file).with_context(|| {
            let (file, directory) = (self.file, directory.display());
            format!("the package has no {file}; to get it anew remove {directory}")
        })?;
        let link = unpacked(&format!("{}-{}", self.kind, self.name));
        if !link.exists() {
            // A link to what is gone is replaced.
            let _ = fs::remove_file(&link);
            symlink(file.strip_prefix(UNPACKED)?, &link)?;
        }
        Ok(file)
    }
}

fn unpacked(package: &str) -> PathBuf {
    Path::new(UNPACKED).join(package)
}

/// The package that this one stands for, if it stands for the newest of several kernels.
fn real(package: &str) -> Result<String> {
    if !package.starts_with("linux-image-") {
        return Ok(package.to_owned());
    }
    let shell = Shell::new()?;
    let text = cmd!(shell, "apt-cache depends {package}")
        .quiet()
        .ignore_stderr()
        .read()
        .unwrap_or_default();
    if let Some(real) = image_in(&text) {
        return Ok(real);
    }
    setup::update_lists()?;
    let text = cmd!(shell, "apt-cache depends {package}").quiet().read()?;
    image_in(&text).with_context(|| format!("{package} depends on no kernel"))
}

/// The kernel's package in the text of `apt-cache depends`.
fn image_in(text: &str) -> Option<String> {
    let depends = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "));
    depends
        .map(str::to_owned)
        .find(|name| name.starts_with("linux-image-"))
}

fn unpack(package: &str, directory: &Path) -> Result<()> {
    let scratch = crate::image::scratch()?;
    eprintln!(
        "xtask: getting the Debian package {package}, for {}",
        directory.display()
    );
    if download(package, scratch.path()).is_err() {
        setup::update_lists()?;
        download(package, scratch.path()).with_context(|| {
            format!("could not get {package}; try in {UNPACKED}: apt-get download {package}")
        })?;
    }
    let file = starting_with(scratch.path(), &format!("{package}_"))
        .context("apt-get has left no package")?;
    let (shell, fresh) = (Shell::new()?, scratch.path().join("fresh"));
    cmd!(shell, "dpkg-deb -x {file} {fresh}").quiet().run()?;
    fs::create_dir_all(UNPACKED)?;
    // Failing means that another xtask was quicker.
    let moved = fs::rename(&fresh, directory);
    ensure!(moved.is_ok() || directory.exists(), "{moved:?}");
    Ok(())
}

fn download(package: &str, to: &Path) -> Result<()> {
    let shell = Shell::new()?;
    shell.change_dir(to);
    // As root, apt-get would become a user who cannot write here.
    let root = nix::unistd::geteuid().is_root();
    let user = root.then_some(["-o", "APT::Sandbox::User=root"]);
    let user = user.into_iter().flatten();
    cmd!(shell, "apt-get -qq {user...} download {package}")
        .quiet()
        .ignore_stdout()
        .run()?;
    Ok(())
}

/// The first path below `top` whose last part begins as that of `path` does.
fn starting_with(top: &Path, path: &str) -> Option<PathBuf> {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let entries = fs::read_dir(top.join(directory)).ok()?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|found| {
            found
                .file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with(name))
        })
        .collect();
    found.sort();
    found.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_that_a_package_stands_for() {
        let text =
            "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-56-cloud-amd64\n  Suggests: x\n";
        assert_eq!(
            image_in(text).as_deref(),
            Some("linux-image-6.1.0-56-cloud-amd64")
        );
        assert_eq!(image_in("x\n  Depends: y\n"), None);
    }

    #[test]
    fn a_file_is_found_by_its_beginning() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join("boot")).unwrap();
        fs::write(top.path().join("boot/vmlinuz-6.1"), "").unwrap();
        let found = starting_with(top.path(), "boot/vmlinuz-").unwrap();
        assert_eq!(found, top.path().join("boot/vmlinuz-6.1"));
        assert_eq!(starting_with(top.path(), "boot/xen"), None);
        assert_eq!(starting_with(top.path(), "lib/modules/"), None);
    }

    #[test]
    fn other_words_are_files() {
        assert_eq!(kernel("linux", "boot/vmlinuz").unwrap(), None);
        assert_eq!(kernel("multiboot", LINUX).unwrap(), None);
        assert_eq!(words("linux"), ["debian", "memtest86+"]);
    }
}
