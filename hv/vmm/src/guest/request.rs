//! A guest as it is asked for: the command line of its module,
//! `kind:path[,option[=value]]... [arguments]`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// The options that guests of every kind have.
pub const OF_EVERY_KIND: [&str; 3] = ["mem", "timeout", "stdin"];

/// The options that may be given more than once.
const REPEATED: [&str; 2] = ["module", "disk"];

/// One guest as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The kind of guest.
    pub kind: String,
    /// The path of its program.
    pub path: String,
    /// Options and their values; one without `=` has an empty value.
    pub options: Vec<(String, String)>,
    /// Arguments for the program.
    pub arguments: Vec<String>,
}

/// Why a command line asks for no guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadRequest {
    /// It is empty.
    Empty,
    /// The first word has no `kind:` before the path.
    NoKind(String),
    /// There is no path after `kind:`.
    NoPath(String),
    /// A quotation mark or a backslash is not closed.
    Unclosed(String),
    /// An option that this kind of guest does not have, and those that it has besides [`OF_EVERY_KIND`].
    UnknownOption(String, String),
    /// An option that is given more than once.
    Twice(String),
    /// An option with a value that it does not take.
    BadValue {
        /// The option.
        option: String,
        /// Its value.
        value: String,
        /// What it takes.
        wanted: &'static str,
    },
}

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(
                f,
                "a module has an empty command line; it should be `kind:path[,option=value]... arguments`"
            ),
            Self::NoKind(word) => write!(
                f,
                "`{word}` names no kind of guest; it should be `kind:path`, such as `test:t-cpuid`"
            ),
            Self::NoPath(word) => write!(
                f,
                "`{word}` names no program; it should be `kind:path`, such as `app:/bin/busybox`"
            ),
            Self::Unclosed(line) => {
                write!(f, "a quotation mark or backslash is not closed in `{line}`")
            }
            Self::Twice(option) => write!(f, "the option `{option}` is given twice"),
            Self::UnknownOption(option, own) => write!(
                f,
                "this kind of guest has no option `{option}`; its options are {}, {own}",
                OF_EVERY_KIND.join(", ")
            ),
            Self::BadValue {
                option,
                value,
                wanted,
            } => write!(f, "`{option}={value}`: {option} takes {wanted}"),
        }
    }
}

impl Request {
    /// Reads the command line of a module.
    pub fn parse(line: &str) -> Result<Self, BadRequest> {
        let mut words = split(line)?.into_iter();
        let first = words.next().filter(|word| !word.is_empty());
        let first = first.ok_or(BadRequest::Empty)?;
        let (kind, rest) = first
            .split_once(':')
            .ok_or_else(|| BadRequest::NoKind(first.clone()))?;
        let mut parts = rest.split(',');
        let path = parts.next().unwrap_or_default().to_string();
        if path.is_empty() {
            return Err(BadRequest::NoPath(first.clone()));
        }
        let options = parts
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(option, value)| (option.to_string(), value.to_string()))
            .collect();
        Ok(Self {
            kind: kind.to_string(),
            path,
            options,
            arguments: words.collect(),
        })
    }

    /// The value of an option, if it is given.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options
            .iter()
            .find(|(option, _)| option == name)
            .map(|(_, value)| value.as_str())
    }

    /// The values of an option that may be given more than once, in order.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let given = self
            .options
            .iter()
            .filter(move |(option, _)| option == name);
        given.map(|(_, value)| value.as_str())
    }

    /// The arguments as GRUB would write them into a kernel's command line: the reverse of [`Request::parse`].
    #[must_use]
    pub fn command_line(&self) -> String {
        let mut line = String::new();
        for (index, word) in self.arguments.iter().enumerate() {
            if index > 0 {
                line.push(' ');
            }
            let quote = if word.contains(' ') { "\"" } else { "" };
            line.push_str(quote);
            for c in word.chars() {
                if matches!(c, '\\' | '\'' | '"') {
                    line.push('\\');
                }
                line.push(c);
            }
            line.push_str(quote);
        }
        line
    }

    /// Refuses options other than these and [`OF_EVERY_KIND`].
    pub fn allow_options(&self, own: &[&str]) -> Result<(), BadRequest> {
        let unknown = self
            .options
            .iter()
            .map(|(option, _)| option.as_str())
            .find(|option| !own.contains(option) && !OF_EVERY_KIND.contains(option));
        match unknown {
            None => self.refuse_twice(),
            Some(option) => Err(BadRequest::UnknownOption(option.into(), own.join(", "))),
        }
    }

    /// How many seconds the guest may run: option `timeout`. Without it there is no end.
    pub fn timeout(&self) -> Result<Option<u64>, BadRequest> {
        const DAYS_100: u64 = 100 * 24 * 60 * 60;
        let Some(value) = self.option("timeout") else {
            return Ok(None);
        };
        match value.parse::<u64>() {
            Ok(seconds @ 1..=DAYS_100) => Ok(Some(seconds)),
            _ => Err(self.bad_value("timeout", "a number of seconds from 1 to 8640000")),
        }
    }

    /// Option `stdin`, by which a guest asks for the console's input, takes no value.
    pub fn check_stdin(&self) -> Result<(), BadRequest> {
        match self.option("stdin") {
            None | Some("") => Ok(()),
            Some(_) => Err(self.bad_value("stdin", "no value")),
        }
    }

    fn refuse_twice(&self) -> Result<(), BadRequest> {
        for (index, (option, _)) in self.options.iter().enumerate() {
            let mut before = self.options[..index].iter();
            if !REPEATED.contains(&option.as_str()) && before.any(|(other, _)| other == option) {
                return Err(BadRequest::Twice(option.clone()));
            }
        }
        Ok(())
    }

    /// The guest's memory in bytes: option `mem`, in MiB.
    pub fn memory(&self, default_mib: u64) -> Result<u64, BadRequest> {
        const MIB: u64 = 1 << 20;
        let Some(value) = self.option("mem") else {
            return Ok(default_mib * MIB);
        };
        match value.parse::<u64>() {
            Ok(mib @ 1..=0x10_0000) => Ok(mib * MIB),
            _ => Err(self.bad_value("mem", "a number of MiB")),
        }
    }

    /// How many virtual CPUs the guest has: option `cpus`.
    pub fn cpus(&self) -> Result<usize, BadRequest> {
        match self.option("cpus").unwrap_or("1").parse::<usize>() {
            Ok(cpus @ 1..=8) => Ok(cpus),
            _ => Err(self.bad_value("cpus", "a number from 1 to 8")),
        }
    }

    /// Says that an option's value is not what it takes.
    #[must_use]
    pub fn bad_value(&self, option: &str, wanted: &'static str) -> BadRequest {
        let value = self.option(option).unwrap_or_default().to_string();
        BadRequest::BadValue {
            option: option.to_string(),
            value,
            wanted,
        }
    }
}

/// Splits a command line into words as GRUB joined them: one blank between two, double quotes around words with
/// blanks, a backslash before quotes and backslashes. An empty word is the nothing between two blanks.
fn split(line: &str) -> Result<Vec<String>, BadRequest> {
    let unclosed = || BadRequest::Unclosed(line.to_string());
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' => word.push(characters.next().ok_or_else(unclosed)?),
            ' ' if !quoted => words.push(core::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    match quoted {
        true => Err(unclosed()),
        false => Ok(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn reads_kind_path_options_and_arguments() {
        let got = Request::parse(r#"app:/bin/busybox,root=f.cpio,x sh -c "echo \"a b\" > \\f"  z"#)
            .unwrap();
        assert_eq!(
            (got.kind.as_str(), got.path.as_str()),
            ("app", "/bin/busybox")
        );
        assert_eq!(
            (got.option("root"), got.option("x"), got.option("y")),
            (Some("f.cpio"), Some(""), None)
        );
        assert_eq!(got.arguments, ["sh", "-c", r#"echo "a b" > \f"#, "", "z"]);
        assert_eq!(
            got.allow_options(&["root"]),
            Err(BadRequest::UnknownOption("x".into(), "root".into()))
        );
        let why = got
            .allow_options(&["root", "cpus"])
            .unwrap_err()
            .to_string();
        assert_eq!(
            why,
            "this kind of guest has no option `x`; its options are mem, timeout, stdin, root, cpus"
        );
    }

    #[test]
    fn says_what_is_wrong() {
        for (line, want) in [
            ("  ", BadRequest::Empty),
            ("busybox sh", BadRequest::NoKind("busybox".into())),
            ("app: x", BadRequest::NoPath("app:".into())),
            ("app:,mem=3", BadRequest::NoPath("app:,mem=3".into())),
            (r#"app:x "y"#, BadRequest::Unclosed(r#"app:x "y"#.into())),
            (r"app:x y\", BadRequest::Unclosed(r"app:x y\".into())),
        ] {
            assert_eq!(Request::parse(line), Err(want));
        }
        for (line, ok) in [
            ("test:t,mem=3", true),
            ("test:t,mem=0", false),
            ("test:t,mem=-1", false),
            ("test:t,mem", false),
        ] {
            assert_eq!(
                Request::parse(line).unwrap().memory(16).is_ok(),
                ok,
                "{line}"
            );
        }
    }

    #[test]
    fn every_kind_has_a_timeout_in_seconds() {
        for (line, want) in [
            ("test:t", Some(None)),
            ("test:t,timeout=1", Some(Some(1))),
            ("app:t,mem=3,timeout=8640000 x", Some(Some(8_640_000))),
            ("test:t,timeout=8640001", None),
            ("test:t,timeout=0", None),
            ("test:t,timeout=-1", None),
            ("test:t,timeout=2s", None),
            ("test:t,timeout", None),
        ] {
            let request = Request::parse(line).unwrap();
            assert_eq!(request.allow_options(&[]), Ok(()), "{line}");
            assert_eq!(request.timeout().ok(), want, "{line}");
        }
    }

    proptest::proptest! {
        /// Any words come back from GRUB's way of joining them.
        #[test]
        fn undoes_grubs_quoting(words in proptest::collection::vec(r#"[a-z "'\\$]{0,6}"#, 0..5)) {
            let line = words.iter().map(|w| {
                let escaped: String = w.chars().flat_map(|c| matches!(c, '"' | '\'' | '\\').then_some('\\').into_iter().chain([c])).collect();
                if w.contains(' ') { std::format!("\"{escaped}\"") } else { escaped }
            }).collect::<Vec<_>>().join(" ");
            let words = if words.is_empty() { vec![String::new()] } else { words };
            proptest::prop_assert_eq!(split(&line).unwrap(), words);
        }

        #[test]
        fn never_panics(line in ".*") {
            let _ = Request::parse(&line);
        }
    }

    #[test]
    fn the_command_line_is_what_grub_would_have_written() {
        for line in [
            "",
            "a b",
            "a  b",
            r#"a "b c" \"d\" e=\'f\' g\\"#,
            r#""console=x y""#,
        ] {
            let request = Request::parse(&std::format!("linux:vmlinuz {line}")).unwrap();
            assert_eq!(request.command_line(), line);
        }
        let request = Request::parse("linux:vmlinuz").unwrap();
        assert_eq!(request.command_line(), "");
    }

    #[test]
    fn modules_are_given_in_order() {
        let request = Request::parse("multiboot:k,module=b,mem=3,module=a,module=b").unwrap();
        assert_eq!(request.allow_options(&["module"]), Ok(()));
        assert!(request.values("module").eq(["b", "a", "b"]));
    }

    #[test]
    fn an_option_is_given_once() {
        let request = Request::parse("app:x,mem=1,root=r,mem=2").unwrap();
        let twice = Err(BadRequest::Twice("mem".into()));
        assert_eq!(request.allow_options(&["root", "mem"]), twice);
    }
}
