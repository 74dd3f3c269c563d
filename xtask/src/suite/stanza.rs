//! The stanzas of `tests/*.toml`, and the runs that they stand for.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use regex::Regex;
use serde::Deserialize;

use super::files::Entry;
use super::prepare::Prepared;
use crate::build;
use crate::emulator::Emulator;
use crate::guest::Guest;

/// In a guest's SPEC, `root=files` and `initrd=files` stand for the stanza's own tree.
pub(crate) const OWN_TREE: &str = "files";
/// `KIND:files/PATH` and `OPTION=files/PATH` stand for a file in it.
pub(crate) const OWN_FILES: &str = "files/";
/// `disk:image` stands for the image with the guests of `image`.
pub(crate) const OWN_IMAGE: &str = "image";

/// One table `[[run]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stanza {
    pub(crate) name: String,
    /// As after `--guest`; with none the hypervisor finds no guest.
    pub(crate) guests: Vec<String>,
    /// As after `--cmdline`.
    #[serde(default)]
    pub(crate) cmdline: String,
    /// Every count is a run.
    #[serde(default = "one_cpu")]
    pub(crate) cpus: Vec<u32>,
    #[serde(default = "both_emulators")]
    pub(crate) emulators: Vec<Emulator>,
    /// A run with UEFI is for QEMU only.
    #[serde(default = "bios")]
    pub(crate) firmware: Vec<Firmware>,
    /// In MiB.
    #[serde(default = "memory")]
    pub(crate) memory: u32,
    /// The CPU model, where it is not the emulator's usual one.
    pub(crate) model: Option<String>,
    /// The image is a disk instead of a CD.
    #[serde(default)]
    pub(crate) disk: bool,
    /// The exit status of `cargo xtask run`.
    #[serde(default)]
    pub(crate) status: u8,
    /// In seconds.
    #[serde(default = "timeout")]
    pub(crate) timeout: u64,
    /// What the guests read from the console.
    pub(crate) stdin: Option<String>,
    /// What is typed when: a text to wait for, and one to type then.
    #[serde(default)]
    pub(crate) dialog: Vec<(String, String)>,
    /// The guests of an image for `disk:image`.
    #[serde(default)]
    pub(crate) image: Vec<String>,
    /// Lines that match come also when GRUB itself starts the only guest on the machine as it is; numbers aside.
    pub(crate) bare: Option<String>,
    /// The guests' text.
    pub(crate) expect: Option<String>,
    /// A file with it.
    pub(crate) expect_file: Option<PathBuf>,
    /// Every guest's command prints the same and ends in the same way on Linux, in the same tree.
    #[serde(default)]
    pub(crate) native: bool,
    /// The stanza's tree.
    #[serde(default)]
    pub(crate) files: Vec<Entry>,
    /// Regular expressions that lines match, ours or the guests'.
    #[serde(default)]
    pub(crate) contains: Vec<String>,
    /// Run only with `--long`.
    #[serde(default)]
    pub(crate) long: bool,
}

/// What boots the machine.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Firmware {
    Bios,
    Uefi,
}

fn one_cpu() -> Vec<u32> {
    vec![1]
}

fn both_emulators() -> Vec<Emulator> {
    Emulator::ALL.to_vec()
}

fn bios() -> Vec<Firmware> {
    vec![Firmware::Bios]
}

const fn memory() -> u32 {
    512
}

const fn timeout() -> u64 {
    120
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default)]
    run: Vec<Stanza>,
}

/// A stanza with what its runs share; dropped with the last of them.
pub(crate) struct Case {
    pub(crate) stanza: Stanza,
    pub(crate) prepared: Mutex<Option<Arc<Prepared>>>,
}

/// A run: a stanza on one emulator, with one firmware and one number of CPUs.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) case: Arc<Case>,
    pub(crate) emulator: Emulator,
    pub(crate) firmware: Firmware,
    pub(crate) cpus: u32,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let firmware = if self.firmware == Firmware::Uefi {
            "/uefi"
        } else {
            ""
        };
        write!(
            f,
            "{}/{}{firmware}/{}",
            self.case.stanza.name, self.emulator, self.cpus
        )
    }
}

/// The stanzas of every file in `tests`.
pub(crate) fn read_all() -> Result<Vec<Stanza>> {
    let mut all = Vec::new();
    for file in build::files("tests", "toml")? {
        let text = fs::read_to_string(&file)?;
        all.extend(parse(&text).with_context(|| file.display().to_string())?);
    }
    let mut names = BTreeSet::new();
    for stanza in &all {
        ensure!(
            names.insert(&stanza.name),
            "two stanzas are called {}",
            stanza.name
        );
    }
    Ok(all)
}

/// The stanzas of one file.
fn parse(text: &str) -> Result<Vec<Stanza>> {
    let page: Page = toml::from_str(text)?;
    for stanza in &page.run {
        stanza
            .check()
            .with_context(|| format!("stanza {}", stanza.name))?;
    }
    Ok(page.run)
}

impl Stanza {
    fn check(&self) -> Result<()> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        ensure!(
            !self.name.is_empty() && self.name.chars().all(plain),
            "the name is a file name: a-z 0-9 - _ ."
        );
        for guest in &self.guests {
            let guest = Guest::parse(guest)?;
            ensure!(
                guest.files().all(|file| file.1 != OWN_TREE) || !self.files.is_empty(),
                "`{OWN_TREE}`, but there are no files"
            );
        }
        for pattern in self.contains.iter().chain(&self.bare) {
            Regex::new(pattern)?;
        }
        ensure!(
            self.bare.is_none() || self.guests.len() == 1,
            "`bare` is for one guest"
        );
        ensure!(
            self.stdin.is_none() || self.dialog.is_empty(),
            "both `stdin` and `dialog`"
        );
        ensure!(
            self.expect.is_none() || self.expect_file.is_none(),
            "both `expect` and `expect_file`"
        );
        Ok(())
    }

    /// Whether its tree has a kernel of Debian's.
    pub(crate) fn copies_kernels(&self) -> bool {
        self.files.iter().any(Entry::is_of_debian)
    }

    /// The runs that this stanza stands for, on these emulators.
    pub(crate) fn runs(self, emulators: &[Emulator]) -> Vec<Run> {
        let case = Arc::new(Case {
            stanza: self,
            prepared: Mutex::default(),
        });
        let stanza = &case.stanza;
        let mut runs = Vec::new();
        for &emulator in stanza
            .emulators
            .iter()
            .filter(|emulator| emulators.contains(emulator))
        {
            for &firmware in &stanza.firmware {
                if firmware == Firmware::Uefi && emulator == Emulator::Bochs {
                    continue;
                }
                for &cpus in &stanza.cpus {
                    runs.push(Run {
                        case: case.clone(),
                        emulator,
                        firmware,
                        cpus,
                    });
                }
            }
        }
        runs
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sample(more: &str) -> Stanza {
        let text = format!("[[run]]\nname = \"x\"\nguests = [\"app:/bin/x\"]\n{more}");
        parse(&text).unwrap().remove(0)
    }

    #[test]
    fn defaults() {
        let stanza = sample("");
        assert_eq!(
            (stanza.memory, stanza.status, stanza.timeout, stanza.long),
            (512, 0, 120, false)
        );
        let names: Vec<String> = stanza
            .runs(&Emulator::ALL)
            .iter()
            .map(Run::to_string)
            .collect();
        assert_eq!(names, ["x/qemu/1", "x/bochs/1"]);
    }

    #[test]
    fn every_count_and_firmware_is_a_run() {
        let stanza = sample("cpus = [1, 2]\nfirmware = [\"bios\", \"uefi\"]");
        let names: Vec<String> = stanza
            .clone()
            .runs(&Emulator::ALL)
            .iter()
            .map(Run::to_string)
            .collect();
        assert_eq!(
            names,
            [
                "x/qemu/1",
                "x/qemu/2",
                "x/qemu/uefi/1",
                "x/qemu/uefi/2",
                "x/bochs/1",
                "x/bochs/2"
            ]
        );
        assert_eq!(stanza.runs(&[Emulator::Bochs]).len(), 2);
    }

    #[test]
    fn files_are_read() {
        let stanza = sample(
            "files = [{ path = \"a\", size = 5, seed = 1 }, { path = \"b\", symlink = \"a\" }]",
        );
        assert_eq!(stanza.files.len(), 2);
    }

    #[test]
    fn mistakes_are_refused() {
        for (text, why) in [
            ("[[run]]\nname = \"x\"\n", "guests"),
            (
                "[[run]]\nname = \"a/b\"\nguests = [\"test:t\"]\n",
                "file name",
            ),
            (
                "[[run]]\nname = \"x\"\nguests = [\"test:t\"]\nexpected = \"\"\n",
                "unknown field",
            ),
            (
                "[[run]]\nname = \"x\"\nguests = [\"nix:t\"]\n",
                "kind `nix`",
            ),
            (
                "[[run]]\nname = \"x\"\nguests = [\"test:t\"]\ncontains = [\"(\"]\n",
                "unclosed group",
            ),
            (
                "[[run]]\nname = \"x\"\nguests = [\"app:/t,root=files\"]\n",
                "there are no files",
            ),
            (
                "[[run]]\nname = \"x\"\nguests = [\"test:t\"]\nemulators = [\"vbox\"]\n",
                "unknown variant",
            ),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
