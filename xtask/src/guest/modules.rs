//! The boot modules that carry guests: one for each guest, then the files that guests name.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{FILES, Guest};
use crate::archive::Tree;
use crate::setup::{self, Need};
use crate::{build, debian, initramfs};

/// The firmware of guests of the kind `disk`.
const SEABIOS: &str = "/usr/share/seabios/bios-256k.bin";

/// A multiboot2 module: a file, and the words of its command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Module {
    /// Its name in the image.
    pub(crate) name: String,
    /// What it holds.
    pub(crate) contents: Contents,
    /// Its command line, before quoting.
    pub(crate) words: Vec<String>,
    /// GRUB unpacks it if it is packed, as it does for kernels of the Multiboot specification.
    pub(crate) unpack: bool,
}

/// What a module holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    /// A file of this machine.
    File(PathBuf),
    /// These bytes.
    Bytes(Vec<u8>),
}

/// A file that guests name: by which option, and its path; `initrd` may have several.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key<'a> {
    option: &'a str,
    paths: Vec<&'a str>,
    /// The initial file system has the drivers of Debian's Linux.
    debian: bool,
}

/// The files that guests name, each once.
#[derive(Default)]
struct Files<'a> {
    rows: Vec<(Key<'a>, Module)>,
    /// Those of `root=`, in which programs are looked for, by path.
    trees: Vec<(&'a str, Tree)>,
}

/// The modules of these guests: one for each guest, in order, then one for each file that they name.
pub(crate) fn modules(guests: &[Guest]) -> Result<Vec<Module>> {
    let (mut modules, mut files) = (Vec::new(), Files::default());
    for (number, guest) in (1..).zip(guests) {
        let module = files.guest(number, guest);
        modules.push(module.with_context(|| format!("guest {number}"))?);
    }
    modules.extend(files.rows.into_iter().map(|row| row.1));
    Ok(modules)
}

impl<'a> Files<'a> {
    /// The module of a guest; the files that it names are taken in.
    fn guest(&mut self, number: usize, guest: &'a Guest) -> Result<Module> {
        // Before the files: what the program is, is the first question.
        let program = if guest.option("root").is_none() {
            Some(program(guest)?)
        } else {
            None
        };
        let mut options = Vec::new();
        for (name, value) in &guest.options {
            let file = FILES.contains(&&**name) && name != "initrd";
            let value = match value {
                Some(value) if name == "module" => Some(self.with_words(value)?),
                Some(value) if name == "disk" => Some(self.disk(value)?),
                Some(path) if file => Some(self.name(name, vec![path], false)?),
                value => value.clone(),
            };
            if name != "initrd" {
                options.push((name.as_str(), value));
            }
        }
        let initial = initial(guest);
        if !initial.is_empty() {
            let name = self.name("initrd", initial, guest.is_debian_linux())?;
            options.push(("initrd", Some(name)));
        }
        if guest.kind == "disk" {
            setup::need(&[Need::Seabios])?;
            self.name("seabios", vec![SEABIOS], false)?;
        }
        Ok(Module {
            name: format!("{number}-{}", plain(&guest.path)),
            contents: match program {
                Some(contents) => contents,
                None => self.in_root(guest)?,
            },
            words: words(guest, &options),
            unpack: guest.kind == "multiboot",
        })
    }

    /// The name of the module for the file of `module=FILE WORDS`, and the words.
    fn with_words(&mut self, value: &'a str) -> Result<String> {
        let (path, words) = value.split_once(' ').unwrap_or((value, ""));
        let name = self.name("module", vec![path], false)?;
        Ok(format!("{name} {words}").trim_end().to_owned())
    }

    /// The name of the module for the file of `disk=FILE` or `disk=FILE:ro`, and what follows it.
    fn disk(&mut self, value: &'a str) -> Result<String> {
        const READ_ONLY: &str = ":ro";
        match value.strip_suffix(READ_ONLY) {
            Some(path) => Ok(self.name("disk", vec![path], false)? + READ_ONLY),
            None => self.name("disk", vec![value], false),
        }
    }

    /// The name of the module for a file.
    fn name(&mut self, option: &'a str, paths: Vec<&'a str>, debian: bool) -> Result<String> {
        let key = Key {
            option,
            paths,
            debian,
        };
        if let Some((_, module)) = self.rows.iter().find(|row| row.0 == key) {
            return Ok(module.name.clone());
        }
        let same = self.rows.iter().filter(|row| row.0.option == option);
        let name = match option {
            "seabios" => option.to_owned(),
            _ => format!("{option}{}", same.count() + 1),
        };
        let module = Module {
            name: name.clone(),
            contents: self.contents(&key)?,
            words: vec![format!("file:{name}")],
            unpack: option == "module",
        };
        self.rows.push((key, module));
        Ok(name)
    }

    fn contents(&mut self, key: &Key<'a>) -> Result<Contents> {
        let path = Path::new(key.paths[0]);
        if key.option == "initrd" && (key.paths.len() > 1 || !path.is_file()) {
            return initramfs::read(&key.paths, key.debian).map(Contents::Bytes);
        }
        if key.option != "root" {
            return file(path).with_context(|| format!("{}={}", key.option, path.display()));
        }
        let tree = Tree::read(path)?;
        // An archive goes as it is.
        let contents = if path.is_file() {
            Contents::File(path.to_owned())
        } else {
            Contents::Bytes(tree.to_cpio()?)
        };
        self.trees.push((key.paths[0], tree));
        Ok(contents)
    }

    /// The program of a guest that has a root tree: there, or on this machine.
    fn in_root(&self, guest: &Guest) -> Result<Contents> {
        let of_guest = |row: &&(&str, Tree)| guest.option("root") == Some(row.0);
        let tree = self.trees.iter().find(of_guest);
        let (_, tree) = tree.context("no tree")?;
        match tree.file(&guest.path)? {
            Some(bytes) => Ok(Contents::Bytes(bytes.to_vec())),
            None => file(Path::new(&guest.path))
                .with_context(|| format!("{}: not in root=, and on this machine", guest.path)),
        }
    }
}

/// The values of `initrd=`, or what stands for them.
fn initial(guest: &Guest) -> Vec<&str> {
    let given = guest.files().filter(|file| file.0 == "initrd");
    let given: Vec<&str> = given.map(|file| file.1).collect();
    if given.is_empty() && guest.is_debian_linux() {
        return vec![initramfs::BUSYBOX];
    }
    given
}

/// The file of a guest's program.
fn program(guest: &Guest) -> Result<Contents> {
    let Guest { kind, path, .. } = guest;
    if kind == "test" {
        return build::test_guest(path).map(Contents::File);
    }
    if let Some(kernel) = debian::kernel(kind, path)? {
        return Ok(Contents::File(kernel));
    }
    let words = debian::words(kind);
    file(Path::new(path)).with_context(|| match &words[..] {
        [] => path.clone(),
        words => {
            let words: Vec<String> = words.iter().map(|w| format!("`{kind}:{w}`")).collect();
            format!("{path} ({} would get Debian's)", words.join(", "))
        }
    })
}

fn file(path: &Path) -> Result<Contents> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_file() => Ok(Contents::File(path.to_owned())),
        Ok(_) => bail!("it is not a file"),
        Err(error) => bail!(error),
    }
}

/// The words of the guest's module, with names of modules in place of paths of this machine.
fn words(guest: &Guest, options: &[(&str, Option<String>)]) -> Vec<String> {
    let mut first = format!("{}:{}", guest.kind, guest.path);
    for (name, value) in options {
        first.push(',');
        first.push_str(name);
        if let Some(value) = value {
            first.push('=');
            first.push_str(value);
        }
    }
    let usual = guest.usual_words();
    let words = std::iter::once(first).chain(usual.map(str::to_owned));
    words.chain(guest.arguments.iter().cloned()).collect()
}

/// The last part of a path, with only what an ISO 9660 name and a GRUB script take without quoting.
fn plain(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or_default();
    last.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .take(32)
        .collect()
}

#[cfg(test)]
mod tests;
