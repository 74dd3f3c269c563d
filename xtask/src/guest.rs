//! What a guest is made of: `kind:path[,option[=value]]... [arguments]`, and the modules that carry it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::archive::Tree;
use crate::build;

/// The guests of `run` and `grub-image` when none is named: a Debian program and a test guest.
pub(crate) const DEFAULT: &[&str] = &["app:/bin/busybox uname -a", "test:t-cpuid"];

/// The kinds of guest, and the options that each takes.
const KINDS: &[(&str, &[&str])] = &[
    ("app", &["root", "mem", "timeout", "stdin"]),
    ("test", &["mode", "mem", "timeout", "stdin"]),
];

/// A guest as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Guest {
    kind: String,
    path: String,
    options: Vec<(String, Option<String>)>,
    arguments: Vec<String>,
}

/// A multiboot2 module: a file, and the words of its command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Module {
    /// Its name in the image.
    pub(crate) name: String,
    /// What it holds.
    pub(crate) contents: Contents,
    /// Its command line, before quoting.
    pub(crate) words: Vec<String>,
}

/// What a module holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    /// A file of this machine.
    File(PathBuf),
    /// These bytes.
    Bytes(Vec<u8>),
}

impl Guest {
    /// Reads a SPEC, whose words are quoted as in a POSIX shell.
    pub(crate) fn parse(spec: &str) -> Result<Self> {
        Self::from_words(spec).with_context(|| {
            format!("bad guest `{spec}`: it should be KIND:PATH[,OPTION[=VALUE]]... [ARGUMENTS], such as `{}`", DEFAULT[0])
        })
    }

    fn from_words(spec: &str) -> Result<Self> {
        let mut words = shell_words::split(spec)?.into_iter();
        let first = words.next().context("it is empty")?;
        let (kind, rest) = first.split_once(':').context("there is no `KIND:`")?;
        let Some((_, known)) = KINDS.iter().find(|row| row.0 == kind) else {
            bail!("the kind `{kind}` is unknown; known: {}", kind_names());
        };
        let mut parts = rest.split(',');
        let path = parts.next().unwrap_or_default();
        ensure!(!path.is_empty(), "there is no path after `{kind}:`");
        let options = parts
            .map(|text| option(text, kind, known))
            .collect::<Result<Vec<_>>>()?;
        for (index, (name, _)) in options.iter().enumerate() {
            let twice = options[..index].iter().any(|other| other.0 == *name);
            ensure!(!twice, "the option `{name}` is given twice");
        }
        let guest = Self {
            kind: kind.into(),
            path: path.into(),
            options,
            arguments: words.collect(),
        };
        guest.check_words()?;
        Ok(guest)
    }

    fn check_words(&self) -> Result<()> {
        for word in &self.arguments {
            ensure!(!word.contains('\0'), "an argument contains a zero byte");
        }
        Ok(())
    }

    /// Whether this guest's file is one of `guest/apps`, built by us.
    pub(crate) fn is_built_app(&self) -> bool {
        self.kind == "app" && Path::new(&self.path).starts_with(build::APPS)
    }

    /// The path of its program.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The words that a shell would start its program by.
    pub(crate) fn command(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.path).chain(&self.arguments)
    }

    /// The value of an option.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        self.options
            .iter()
            .find(|option| option.0 == name)
            .and_then(|option| option.1.as_deref())
    }

    /// The words of the module's command line, with `root` in place of the host path of `root=`.
    fn words(&self, root: Option<&str>) -> Vec<String> {
        let mut first = format!("{}:{}", self.kind, self.path);
        for (name, value) in &self.options {
            first.push(',');
            first.push_str(name);
            let value = if name == "root" {
                root
            } else {
                value.as_deref()
            };
            if let Some(value) = value {
                first.push('=');
                first.push_str(value);
            }
        }
        std::iter::once(first)
            .chain(self.arguments.iter().cloned())
            .collect()
    }

    fn contents(&self, root: Option<&Tree>) -> Result<Contents> {
        if self.kind == "test" {
            return Ok(Contents::File(build::test_guest(&self.path)?));
        }
        if let Some(bytes) = root
            .map(|tree| tree.file(&self.path))
            .transpose()?
            .flatten()
        {
            return Ok(Contents::Bytes(bytes.to_vec()));
        }
        let file = PathBuf::from(&self.path);
        match fs::metadata(&file) {
            Ok(meta) if meta.is_file() => Ok(Contents::File(file)),
            Ok(_) => bail!("{} is not a file", self.path),
            Err(error) if root.is_some() => {
                bail!("{}: not in root=, and on this machine: {error}", self.path)
            }
            Err(error) => bail!("{}: {error}", self.path),
        }
    }
}

fn option(text: &str, kind: &str, known: &[&str]) -> Result<(String, Option<String>)> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    ensure!(
        known.contains(&name),
        "`{kind}:` has no option `{name}`; known: {}",
        known.join(", ")
    );
    ensure!(
        name != "root" || value.as_ref().is_some_and(|v| !v.is_empty()),
        "`root` needs a path: root=PATH"
    );
    Ok((name.to_owned(), value))
}

fn kind_names() -> String {
    KINDS.iter().map(|row| row.0).collect::<Vec<_>>().join(", ")
}

/// The modules of these guests: one for each guest, in order, then one for each root tree.
pub(crate) fn modules(guests: &[Guest]) -> Result<Vec<Module>> {
    let mut roots: BTreeMap<&str, (String, Tree)> = BTreeMap::new();
    for path in guests.iter().filter_map(|guest| guest.option("root")) {
        if !roots.contains_key(path) {
            let name = format!("root{}", roots.len() + 1);
            roots.insert(path, (name, Tree::read(Path::new(path))?));
        }
    }
    let mut modules = Vec::new();
    for (index, guest) in guests.iter().enumerate() {
        let root = guest.option("root").map(|path| &roots[path]);
        modules.push(Module {
            name: format!("{}-{}", index + 1, plain(&guest.path)),
            contents: guest
                .contents(root.map(|(_, tree)| tree))
                .with_context(|| format!("guest {}", index + 1))?,
            words: guest.words(root.map(|(name, _)| name.as_str())),
        });
    }
    for (path, (name, tree)) in &roots {
        // An archive goes as it is.
        let contents = if Path::new(path).is_file() {
            Contents::File(PathBuf::from(path))
        } else {
            Contents::Bytes(tree.to_cpio()?)
        };
        modules.push(Module {
            name: name.clone(),
            contents,
            words: vec![format!("file:{name}")],
        });
    }
    Ok(modules)
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
mod tests {
    use super::*;

    #[test]
    fn a_spec_has_kind_path_options_arguments() {
        let guest = Guest::parse("app:/bin/sh,mem=64,root=/tmp/x -c 'echo \"a b\"; ls'").unwrap();
        assert_eq!(
            (&*guest.kind, &*guest.path, guest.option("mem")),
            ("app", "/bin/sh", Some("64"))
        );
        assert_eq!(guest.arguments, ["-c", "echo \"a b\"; ls"]);
        assert_eq!(
            guest.words(Some("root1")),
            ["app:/bin/sh,mem=64,root=root1", "-c", "echo \"a b\"; ls"]
        );
    }

    #[test]
    fn a_bad_spec_says_what_is_wrong() {
        for (spec, why) in [
            ("", "it is empty"),
            ("/bin/sh", "there is no `KIND:`"),
            ("nix:/bin/sh", "the kind `nix` is unknown; known: app, test"),
            ("app:", "there is no path after `app:`"),
            (
                "app:/x,size=3",
                "`app:` has no option `size`; known: root, mem, timeout, stdin",
            ),
            ("app:/x,root", "`root` needs a path"),
            ("app:/x,mem=1,mem=2", "the option `mem` is given twice"),
            ("app:/x 'a", "missing closing quote"),
        ] {
            let error = format!("{:#}", Guest::parse(spec).unwrap_err());
            assert!(error.contains(why), "{spec}: {error}");
        }
    }

    #[test]
    fn one_module_carries_a_root_of_two_guests() {
        let top = tempfile::tempdir().unwrap();
        fs::write(top.path().join("prog"), b"elf").unwrap();
        let spec = format!("app:/prog,root={} 1", top.path().display());
        let modules =
            modules(&[Guest::parse(&spec).unwrap(), Guest::parse(&spec).unwrap()]).unwrap();
        assert_eq!(
            modules.iter().map(|m| &*m.name).collect::<Vec<_>>(),
            ["1-prog", "2-prog", "root1"]
        );
        assert_eq!(modules[1].words, ["app:/prog,root=root1", "1"]);
        assert_eq!(modules[1].contents, Contents::Bytes(b"elf".to_vec()));
        assert_eq!(modules[2].words, ["file:root1"]);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = modules(&[Guest::parse("app:/no/such").unwrap()]).unwrap_err();
        assert!(
            format!("{error:#}").starts_with("guest 1: /no/such: No such file"),
            "{error:#}"
        );
    }
}
