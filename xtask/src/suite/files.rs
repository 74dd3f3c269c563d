//! The root tree of a stanza: built on the host for the native run, packed for the guest.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use serde::Deserialize;
use walkdir::WalkDir;

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
    /// A copy of this host file, with its mode.
    copy: Option<PathBuf>,
    /// A symbolic link to this path.
    symlink: Option<String>,
    /// The permissions, such as 0o755.
    mode: Option<u32>,
}

impl Entry {
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
        match (&self.contents, self.size, &self.copy, &self.symlink) {
            (Some(text), None, None, None) => fs::write(&at, text)?,
            (None, Some(size), None, None) => fs::write(&at, random(size, self.seed.unwrap_or(0)))?,
            (None, None, Some(from), None) => {
                fs::copy(from, &at).with_context(|| from.display().to_string())?;
            }
            (None, None, None, Some(target)) => symlink(target, &at)?,
            (None, None, None, None) => fs::create_dir_all(&at)?,
            _ => bail!("only one of contents, size, copy and symlink can be given"),
        }
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
    fn random_bytes_repeat() {
        assert_eq!(random(13, 5).len(), 13);
        assert_eq!(random(13, 5), random(16, 5)[..13]);
        assert_ne!(random(13, 5), random(13, 6));
    }
}
