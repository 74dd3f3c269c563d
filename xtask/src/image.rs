//! The boot image: GRUB for BIOS (CD, disk, USB stick) and for UEFI, the hypervisor, the modules.

mod bare;
mod multiboot;

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use xshell::{Shell, cmd};

use crate::guest::{Contents, DEFAULT, Guest, Module, modules};
use crate::setup::{self, Need};
use crate::{boot, build};

const GRUB_CFG: &str = "grub/grub.cfg";
const GRUB_MODULES: &str = "grub/modules";
const EFI_CFG: &str = "grub/efi.cfg";
/// The code of a hybrid image's first sector, which finds the El Torito image from a disk.
const HYBRID_MBR: &str = "/usr/lib/grub/i386-pc/boot_hybrid.img";
/// Where GRUB's own images are kept between runs.
const CACHE: &str = "target/grub";

/// The image of `grub-image`, where no other name is given.
const OUT: &str = "target/nestling.iso";

/// A file named on the command line: relative to where the command was called.
pub(crate) fn absolute(name: &str) -> Result<PathBuf> {
    Ok(std::path::absolute(name)?)
}

/// What an image is made of.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Parts {
    /// A guest: KIND:PATH[,OPTION[=VALUE]]... [ARGUMENTS], quoted as in a shell; repeat for more.
    ///
    /// `app:FILE` is a static Linux program (relative to the workspace), `test:NAME` a test guest of guest/t,
    /// `multiboot:FILE` a kernel of the Multiboot specification, `linux:FILE` a Linux kernel (`linux:debian` is
    /// Debian's), `disk:FILE` the image of a disk. Options of all: `mem=MB`, `timeout=SECONDS`, `stdin`;
    /// of all but app: `cpus=N`; of app: `root=PATH` (a directory or a newc archive, the guest's file system);
    /// of test: `mode=16|32|64`; of multiboot: `module=FILE`, `protocol=1|2`; of linux: `initrd=PATH`,
    /// `entry=32|64`; of multiboot, linux and disk: `disk=FILE`, `console=uart|virtio`.
    /// The default is a Debian program and a test guest.
    #[arg(long = "guest", value_name = "SPEC")]
    pub(crate) guests: Vec<String>,
    /// Words for the hypervisor, such as `console=com2,9600 trace=dump`.
    #[arg(
        long,
        value_name = "WORDS",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) cmdline: String,
    /// Boot this file instead of building the hypervisor.
    #[arg(long, value_name = "FILE", value_parser = absolute)]
    pub(crate) hypervisor: Option<PathBuf>,
    /// Without Nestling: GRUB itself starts the guest, a `linux:` or `multiboot:` one, on the machine as it is.
    #[arg(long)]
    pub(crate) bare: bool,
}

/// Makes a hybrid BIOS and UEFI image that boots from CD, disk or USB stick.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    parts: Parts,
    /// Where to write the image [default: target/nestling.iso].
    #[arg(long, value_name = "FILE", value_parser = absolute)]
    out: Option<PathBuf>,
}

impl Parts {
    /// Whether there is a guest to which Ctrl-C means something: a program of Linux, or a whole system.
    pub(crate) fn take_keys(&self) -> bool {
        self.guests.is_empty() || self.guests.iter().any(|spec| !spec.starts_with("test:"))
    }

    /// The guests, read; the default ones if none is named.
    pub(crate) fn parse_guests(&self) -> Result<Vec<Guest>> {
        if self.guests.is_empty() {
            setup::need(&[Need::Busybox])?;
            return DEFAULT.iter().map(|spec| Guest::parse(spec)).collect();
        }
        self.named_guests()
    }

    /// The guests that are named, read.
    pub(crate) fn named_guests(&self) -> Result<Vec<Guest>> {
        self.guests.iter().map(|spec| Guest::parse(spec)).collect()
    }

    /// Builds what the image needs and writes it to `out`.
    pub(crate) fn make(&self, out: &Path) -> Result<()> {
        let guests = self.parse_guests()?;
        if self.hypervisor.is_none() && !self.bare {
            build::machine()?;
        }
        build::apps_of(&guests)?;
        self.assemble(&guests, out)
    }

    /// Writes the image to `out`; everything is built already.
    pub(crate) fn assemble(&self, guests: &[Guest], out: &Path) -> Result<()> {
        setup::need(&[Need::Image])?;
        let modules = modules(guests)?;
        if self.bare {
            let menu = bare::menu(guests, &modules)?;
            return write(None, &menu, &modules, out);
        }
        let words = shell_words::split(&self.cmdline).context("--cmdline")?;
        let template = fs::read_to_string(GRUB_CFG).context(GRUB_CFG)?;
        let menu = menu(&template, &words, &modules);
        let hypervisor = self.hypervisor.clone().unwrap_or_else(build::hypervisor);
        ensure!(
            hypervisor.is_file(),
            "no hypervisor at {}",
            hypervisor.display()
        );
        write(Some(&hypervisor), &menu, &modules, out)
            .with_context(|| format!("making {}", out.display()))
    }
}

/// `cargo xtask grub-image`.
pub(crate) fn main(args: &Args) -> Result<()> {
    let out = args.out.as_deref().unwrap_or(Path::new(OUT));
    args.parts.make(out)?;
    println!(
        "{} ({} KiB)",
        out.display(),
        fs::metadata(out)?.len() / 1024
    );
    Ok(())
}

/// GRUB's configuration for these words of the hypervisor and these modules.
fn menu(template: &str, words: &[String], modules: &[Module]) -> String {
    let lines: Vec<String> = modules
        .iter()
        .map(|module| {
            let packed = if module.unpack { "" } else { "--nounzip " };
            format!(
                "module2 {packed}/boot/modules/{} {}",
                module.name,
                grub_words(&module.words)
            )
        })
        .collect();
    template
        .replace("@CMDLINE@", &grub_words(words))
        .replace("@MODULES@", &lines.join("\n    "))
}

/// The words as GRUB's script language reads them: each in single quotes, in which nothing is special.
fn grub_words(words: &[String]) -> String {
    let quoted: Vec<String> = words
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', r"'\''")))
        .collect();
    quoted.join(" ")
}

/// Writes the image; without a hypervisor GRUB has what it needs for bare kernels.
fn write(hypervisor: Option<&Path>, menu: &str, modules: &[Module], out: &Path) -> Result<()> {
    let (bios, efi) = grub_images(hypervisor.is_none())?;
    let scratch = scratch()?;
    let menu_file = scratch.path().join("grub.cfg");
    fs::write(&menu_file, menu)?;
    let mut grafts = vec![
        graft("boot/grub/eltorito.img", &bios),
        graft("boot/grub/efi.img", &efi),
        graft("boot/grub/grub.cfg", &menu_file),
    ];
    grafts.extend(hypervisor.map(|file| graft("boot/nestling", file)));
    for module in modules {
        let file = match &module.contents {
            // xorriso would take a symbolic link as one.
            Contents::File(path) => path.canonicalize()?,
            Contents::Bytes(bytes) => {
                let file = scratch.path().join(&module.name);
                fs::write(&file, bytes)?;
                file
            }
        };
        grafts.push(graft(&format!("boot/modules/{}", module.name), &file));
    }
    if let Some(parent) = out.parent() {
        fs::create_dir_all(parent)?;
    }
    let made = scratch.path().join("image");
    xorriso(&made, &grafts)?;
    // An emulator that still runs from the old image keeps it.
    fs::rename(&made, out).or_else(|_| fs::copy(&made, out).map(drop))?;
    Ok(())
}

/// As grub-mkrescue calls it: El Torito for BIOS, `boot_hybrid.img` in the first sector for BIOS disks,
/// the FAT image as El Torito's EFI entry and as a partition.
fn xorriso(out: &Path, grafts: &[String]) -> Result<()> {
    let shell = Shell::new()?;
    let made = cmd!(
        shell,
        "xorriso -report_about WARNING -as mkisofs -quiet -graft-points -r -V NESTLING
         -b boot/grub/eltorito.img -no-emul-boot -boot-load-size 4 -boot-info-table
         --grub2-boot-info --grub2-mbr {HYBRID_MBR}
         --efi-boot boot/grub/efi.img -efi-boot-part --efi-boot-image --protective-msdos-label
         -o {out} {grafts...}"
    )
    .quiet()
    .ignore_status()
    .output()?;
    ensure!(
        made.status.success(),
        "xorriso: {}",
        String::from_utf8_lossy(&made.stderr).trim()
    );
    Ok(())
}

/// A file for xorriso's `-graft-points`, where `=` and `\` in a name are escaped.
fn graft(name: &str, file: &Path) -> String {
    let file = file
        .display()
        .to_string()
        .replace('\\', r"\\")
        .replace('=', r"\=");
    format!("{name}={file}")
}

/// A directory of one command's own under `target`, removed in the end, also when a signal asks us to end: from now on
/// Ctrl-C ends the program that we wait for, and by its failure us.
pub(crate) fn scratch() -> Result<TempDir> {
    boot::catch_signals();
    fs::create_dir_all("target/scratch")?;
    Ok(tempfile::Builder::new()
        .prefix("x")
        .tempdir_in("target/scratch")?)
}

/// GRUB's El Torito image and the FAT image with its UEFI program, made where they are not there yet.
fn grub_images(bare: bool) -> Result<(PathBuf, PathBuf)> {
    let list = fs::read_to_string(GRUB_MODULES).context(GRUB_MODULES)?;
    let list = if bare {
        list.replace("bare:", "all:")
    } else {
        list
    };
    let efi_cfg = fs::read_to_string(EFI_CFG).context(EFI_CFG)?;
    let mut hasher = DefaultHasher::new();
    (&list, &efi_cfg, fs::metadata(HYBRID_MBR)?.modified()?).hash(&mut hasher);
    let key = hasher.finish();
    let bios = Path::new(CACHE).join(format!("eltorito-{key:016x}.img"));
    let efi = Path::new(CACHE).join(format!("efi-{key:016x}.img"));
    if !bios.exists() || !efi.exists() {
        fs::create_dir_all(CACHE)?;
        let scratch = scratch()?;
        fs::rename(bios_image(&scratch, &list)?, &bios)?;
        fs::rename(efi_image(&scratch, &list)?, &efi)?;
    }
    Ok((bios, efi))
}

fn bios_image(scratch: &TempDir, list: &str) -> Result<PathBuf> {
    let (shell, out, names) = (
        Shell::new()?,
        scratch.path().join("eltorito.img"),
        grub_modules(list, "bios"),
    );
    cmd!(
        shell,
        "grub-mkimage -O i386-pc-eltorito -p /boot/grub -o {out} {names...}"
    )
    .quiet()
    .run()?;
    Ok(out)
}

fn efi_image(scratch: &TempDir, list: &str) -> Result<PathBuf> {
    let (shell, names) = (Shell::new()?, grub_modules(list, "efi"));
    let (program, out) = (
        scratch.path().join("bootx64.efi"),
        scratch.path().join("efi.img"),
    );
    cmd!(
        shell,
        "grub-mkimage -O x86_64-efi -p /boot/grub -c {EFI_CFG} -o {program} {names...}"
    )
    .quiet()
    .run()?;
    cmd!(shell, "mformat -C -i {out} -f 2880 -v NESTLING ::")
        .quiet()
        .run()?;
    cmd!(shell, "mmd -i {out} ::/EFI ::/EFI/BOOT")
        .quiet()
        .run()?;
    cmd!(shell, "mcopy -i {out} {program} ::/EFI/BOOT/BOOTX64.EFI")
        .quiet()
        .run()?;
    Ok(out)
}

/// The names on the lines `all:` and `PLATFORM:` of `grub/modules`.
fn grub_modules<'a>(list: &'a str, platform: &str) -> Vec<&'a str> {
    let of = |line: &'a str| {
        line.split_once(':')
            .filter(|(name, _)| *name == "all" || *name == platform)
    };
    list.lines()
        .filter_map(of)
        .flat_map(|(_, names)| names.split_whitespace())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn words_are_quoted_for_grub() {
        assert_eq!(
            grub_words(&owned(&["a", "b c", "$x \"y\" \\z"])),
            r#"'a' 'b c' '$x "y" \z'"#
        );
        assert_eq!(grub_words(&owned(&["it's"])), r"'it'\''s'");
        assert_eq!(grub_words(&[]), "");
    }

    #[test]
    fn the_menu_names_every_module() {
        let module = |name: &str, words: &[&str]| Module {
            name: name.into(),
            contents: Contents::Bytes(vec![]),
            words: owned(words),
            unpack: name == "1-x",
        };
        let modules = [
            module("1-x", &["app:/x", "a b"]),
            module("root1", &["file:root1"]),
        ];
        assert_eq!(
            menu(
                "{\nhv @CMDLINE@\n    @MODULES@\n}",
                &owned(&["log=info"]),
                &modules
            ),
            "{\nhv 'log=info'\n    module2 /boot/modules/1-x 'app:/x' 'a b'\n    module2 --nounzip /boot/modules/root1 'file:root1'\n}"
        );
    }

    #[test]
    fn the_template_has_both_places() {
        let template = include_str!("../../grub/grub.cfg");
        assert_eq!(template.matches("@CMDLINE@").count(), 1);
        assert_eq!(template.matches("@MODULES@").count(), 1);
    }

    #[test]
    fn grub_modules_of_a_platform() {
        let list = "# x: y\nall: a b\nbios: c\nefi: d\n";
        assert_eq!(grub_modules(list, "bios"), ["a", "b", "c"]);
    }

    #[test]
    fn graft_points_escape_what_xorriso_reads() {
        assert_eq!(graft("boot/x", Path::new("/a=b\\c")), r"boot/x=/a\=b\\c");
    }
}
