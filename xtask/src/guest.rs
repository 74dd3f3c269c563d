//! A guest as the command line names it: `kind:path[,option[=value]]... [arguments]`.

mod modules;

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::build;
use crate::debian;

pub(crate) use modules::{Contents, Module, modules};

/// The guests of `run` and `grub-image` when none is named: a Debian program and a test guest.
pub(crate) const DEFAULT: &[&str] = &["app:/bin/busybox uname -a", "test:t-cpuid"];

/// The kinds of guest, and the options that each takes besides [`OF_EVERY_KIND`].
const KINDS: &[(&str, &[&str])] = &[
    ("app", &["root"]),
    ("test", &["mode", "cpus"]),
    (
        "multiboot",
        &["module", "protocol", "disk", "console", "cpus"],
    ),
    ("linux", &["initrd", "disk", "console", "entry", "cpus"]),
    ("disk", &["disk", "console", "cpus"]),
];
const OF_EVERY_KIND: &[&str] = &["mem", "timeout", "stdin"];
/// Options that may be given several times.
const REPEATED: &[&str] = &["module", "initrd", "disk"];
/// Options whose value is a file of this machine.
pub(crate) const FILES: &[&str] = &["root", "module", "initrd", "disk"];

/// What Linux needs to be told to use the serial port, and not to wait after a panic.
const USUAL: &[&str] = &["console=ttyS0", "panic=-1"];

/// A guest as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Guest {
    kind: String,
    path: String,
    options: Vec<(String, Option<String>)>,
    arguments: Vec<String>,
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
            ensure!(
                !twice || REPEATED.contains(&&**name),
                "the option `{name}` is given twice"
            );
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

    /// Its kind.
    pub(crate) fn kind(&self) -> &str {
        &self.kind
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

    /// The options that name files of this machine, with their values.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options.iter().filter_map(|(name, value)| {
            let value = value.as_deref()?;
            FILES.contains(&&**name).then_some((&**name, value))
        })
    }

    /// Whether it is Debian's Linux.
    pub(crate) fn is_debian_linux(&self) -> bool {
        self.kind == "linux" && self.path == debian::LINUX
    }

    /// Words that Debian's Linux gets before its arguments, unless these have others to the same end: the console is
    /// the serial port, and after a panic the machine is reset.
    fn usual_words(&self) -> impl Iterator<Item = &'static str> {
        let given = |word: &str| {
            let name = word.split_inclusive('=').next().unwrap_or(word);
            self.arguments
                .iter()
                .any(|argument| argument.starts_with(name))
        };
        let usual = if self.is_debian_linux() { USUAL } else { &[] };
        usual.iter().copied().filter(move |word| !given(word))
    }
}

fn option(text: &str, kind: &str, known: &[&str]) -> Result<(String, Option<String>)> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    let known = [known, OF_EVERY_KIND].concat();
    ensure!(
        known.contains(&name),
        "`{kind}:` has no option `{name}`; known: {}",
        known.join(", ")
    );
    ensure!(
        !FILES.contains(&name) || value.as_ref().is_some_and(|v| !v.is_empty()),
        "`{name}` needs a path: {name}=PATH"
    );
    Ok((name.to_owned(), value))
}

fn kind_names() -> String {
    KINDS.iter().map(|row| row.0).collect::<Vec<_>>().join(", ")
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
    }

    #[test]
    fn a_bad_spec_says_what_is_wrong() {
        for (spec, why) in [
            ("", "it is empty"),
            ("/bin/sh", "there is no `KIND:`"),
            (
                "nix:/bin/sh",
                "the kind `nix` is unknown; known: app, test, multiboot, linux, disk",
            ),
            ("app:", "there is no path after `app:`"),
            (
                "app:/x,size=3",
                "`app:` has no option `size`; known: root, mem, timeout, stdin",
            ),
            ("app:/x,root", "`root` needs a path"),
            ("linux:/x,initrd=", "`initrd` needs a path"),
            ("app:/x,mem=1,mem=2", "the option `mem` is given twice"),
            (
                "linux:/x,disk=a,disk=b,cpus=1,cpus=1",
                "the option `cpus` is given twice",
            ),
            ("app:/x 'a", "missing closing quote"),
        ] {
            let error = format!("{:#}", Guest::parse(spec).unwrap_err());
            assert!(error.contains(why), "{spec}: {error}");
        }
    }
}
