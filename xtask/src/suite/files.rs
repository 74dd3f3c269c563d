//! The root tree of a stanza: built on the host for the native run, packed for the guest.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use serde::Deserialize;
use walkdir::WalkDir;

use crate::debian;

/// When everything in a tree was last changed: 2001-02-03 04:05:06 UTC, so long ago that `ls` prints the year.
const CHANGED: u64 = 981_173_106;

/// One file, directory or symbolic link of a tree.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Where it is; directories on the way are made.
    path: String,
    /// A file with this text.
    contents: Option<String>,
    /// A file with this many pseudo-random bytes.
    size: Option<usize>,
    /// What they depend on.
    seed: Option<u64>,
    /// A file with these bytes, as pairs of hexadecimal digits.
    hex: Option<String>,
    /// A copy of this host file, with its mode.
    copy: Option<PathBuf>,
    /// Only so many of its bytes.
    cut: Option<u64>,
    /// A symbolic link to this path.
    symlink: Option<String>,
    /// The permissions, such as 0o755.
    mode: Option<u32>,
}

impl Entry {
    /// Whether it is a copy from a package that is not installed.
    pub(crate) fn is_of_debian(&self) -> bool {
        let copy = self.copy.as_ref();
        copy.is_some_and(|from| from.starts_with(debian::UNPACKED))
    }

    fn make(&self, top: &Path) -> Result<()> {
        let relative = Path::new(self.path.trim_start_matches('/'));
        let inside = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        ensure!(
            inside && !relative.as_os_str().is_empty(),
            "it is not a path inside the tree"
        );
        let at = top.join(relative);
        fs::create_dir_all(at.parent().context("no parent")?)?;
        self.fill(&at)?;
        if self.symlink.is_none() {
            let usual = if at.is_dir() || self.copy.is_some() {
                0o755
            } else {
                0o644
            };
            fs::set_permissions(&at, Permissions::from_mode(self.mode.unwrap_or(usual)))?;
        }
        Ok(())
    }

    fn fill(&self, at: &Path) -> Result<()> {
        let given = [
            self.contents.is_some(),
            self.size.is_some(),
            self.hex.is_some(),
            self.copy.is_some(),
            self.symlink.is_some(),
        ];
        ensure!(
            given.iter().filter(|given| **given).count() <= 1,
            "only one of contents, size, hex, copy and symlink can be given"
        );
        if let Some(text) = &self.contents {
            fs::write(at, text)?;
        } else if let Some(size) = self.size {
            fs::write(at, random(size, self.seed.unwrap_or(0)))?;
        } else if let Some(digits) = &self.hex {
            fs::write(at, bytes(digits)?)?;
        } else if let Some(from) = &self.copy {
            fs::copy(from, at).with_context(|| from.display().to_string())?;
            if let Some(size) = self.cut {
                File::options().write(true).open(at)?.set_len(size)?;
            }
        } else if let Some(target) = &self.symlink {
            symlink(target, at)?;
        } else {
            fs::create_dir_all(at)?;
        }
        Ok(())
    }
}

/// Makes the tree under `top`.
pub(crate) fn make(top: &Path, entries: &[Entry]) -> Result<()> {
    for entry in entries {
        entry
            .make(top)
            .with_context(|| format!("making {} of a test's files", entry.path))?;
    }
    for found in WalkDir::new(top).contents_first(true) {
        let found = found?;
        if found.file_type().is_dir()
            && found.path() != top
            && !entries.iter().any(|e| names(e, top, found.path()))
        {
            fs::set_permissions(found.path(), Permissions::from_mode(0o755))?;
        }
        set_changed(found.path(), found.path_is_symlink())?;
    }
    fs::set_permissions(top, Permissions::from_mode(0o755))?;
    set_changed(top, false)
}

fn names(entry: &Entry, top: &Path, path: &Path) -> bool {
    top.join(entry.path.trim_start_matches('/')) == path
}

fn set_changed(path: &Path, link: bool) -> Result<()> {
    if link {
        let time = TimeSpec::from_duration(Duration::from_secs(CHANGED));
        return Ok(utimensat(
            nix::fcntl::AT_FDCWD,
            path,
            &time,
            &time,
            UtimensatFlags::NoFollowSymlink,
        )?);
    }
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(CHANGED);
    Ok(File::open(path)?.set_times(FileTimes::new().set_modified(time).set_accessed(time))?)
}

fn bytes(digits: &str) -> Result<Vec<u8>> {
    let digits: Vec<char> = digits.chars().filter(|c| !c.is_whitespace()).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16);
    ensure!(digits.len().is_multiple_of(2), "an odd number of digits");
    Ok(digits.chunks(2).map(byte).collect::<Result<_, _>>()?)
}

/// The same bytes for the same seed everywhere: Marsaglia's xorshift64.
fn random(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn entry(path: &str) -> Entry {
        Entry {
            path: path.into(),
            ..Entry::default()
        }
    }

    #[test]
    fn a_tree_has_its_modes_and_times() {
        let top = tempfile::tempdir().unwrap();
        let entries = [
            Entry {
                contents: Some("hi\n".into()),
                mode: Some(0o600),
                ..entry("/etc/motd")
            },
            Entry {
                symlink: Some("../etc/motd".into()),
                ..entry("var/motd")
            },
            Entry {
                mode: Some(0o700),
                ..entry("root")
            },
        ];
        make(top.path(), &entries).unwrap();
        let meta = |path: &str| fs::symlink_metadata(top.path().join(path)).unwrap();
        assert_eq!(
            fs::read_to_string(top.path().join("var/motd")).unwrap(),
            "hi\n"
        );
        assert_eq!(
            [
                meta("etc/motd").mode() & 0o777,
                meta("etc").mode() & 0o777,
                meta("root").mode() & 0o777
            ],
            [0o600, 0o755, 0o700]
        );
        for path in ["etc/motd", "etc", "var/motd", "."] {
            assert_eq!(
                meta(path).mtime(),
                i64::try_from(CHANGED).unwrap(),
                "{path}"
            );
        }
    }

    #[test]
    fn entries_stay_inside_and_say_one_thing() {
        let top = tempfile::tempdir().unwrap();
        for bad in [
            entry("../x"),
            entry("/"),
            Entry {
                contents: Some(String::new()),
                size: Some(1),
                ..entry("x")
            },
            Entry {
                copy: Some("/no/such".into()),
                ..entry("x")
            },
        ] {
            assert!(
                make(top.path(), std::slice::from_ref(&bad)).is_err(),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn bytes_are_given_or_cut() {
        let top = tempfile::tempdir().unwrap();
        let given = Entry {
            hex: Some("7f45 4c 46".into()),
            ..entry("given")
        };
        make(top.path(), &[given]).unwrap();
        let copied = Entry {
            copy: Some(top.path().join("given")),
            cut: Some(2),
            ..entry("copied")
        };
        make(top.path(), &[copied]).unwrap();
        assert_eq!(fs::read(top.path().join("given")).unwrap(), b"\x7fELF");
        assert_eq!(fs::read(top.path().join("copied")).unwrap(), b"\x7fE");
        assert!(bytes("123").is_err() && bytes("xy").is_err());
    }

    #[test]
    fn random_bytes_repeat() {
        assert_eq!(random(13, 5).len(), 13);
        assert_eq!(random(13, 5), random(16, 5)[..13]);
        assert_ne!(random(13, 5), random(13, 6));
    }
}
