//! A directory tree in memory: read from a host directory or a cpio archive, written as cpio (newc).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use cpio::newc;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, major, minor, utimensat};
use nix::sys::time::TimeSpec;
use walkdir::WalkDir;

const TYPE_MASK: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const SYMLINK: u32 = 0o120_000;
const REGULAR: u32 = 0o100_000;

/// How every entry of the format newc begins.
const MAGIC: &[u8] = b"070701";
const TRUNCATED: &str = "truncated archive: it ends before its entry TRAILER!!!";

/// Symbolic links followed before a path counts as a loop, as Linux does.
const LINKS_MAX: usize = 40;

/// One file, directory, symbolic link (whose contents are its target) or special file.
#[derive(Default)]
struct Node {
    mode: u32,
    owner: (u32, u32),
    /// A device's major and minor number.
    device: (u32, u32),
    ino: u32,
    nlink: u32,
    mtime: u32,
    contents: Vec<u8>,
}

/// The nodes by path; the root is `.`, the others have no leading slash.
#[derive(Default)]
pub(crate) struct Tree(BTreeMap<String, Node>);

impl Tree {
    /// Reads a directory, or a newc archive, whichever `path` is.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let tree = if path.is_dir() {
            Self::from_directory(path)
        } else {
            fs::read(path)
                .map_err(Into::into)
                .and_then(|bytes| Self::from_cpio(&bytes))
        };
        tree.with_context(|| format!("root={} cannot be read", path.display()))
    }

    /// Reads a directory.
    pub(crate) fn from_directory(top: &Path) -> Result<Self> {
        let mut nodes = BTreeMap::new();
        for entry in WalkDir::new(top) {
            let entry = entry?;
            let name = entry
                .path()
                .strip_prefix(top)?
                .to_str()
                .context("a file name is not UTF-8")?;
            let name = if name.is_empty() { "." } else { name };
            nodes.insert(name.to_owned(), Node::read(entry.path())?);
        }
        Ok(Self(nodes))
    }

    fn from_cpio(mut bytes: &[u8]) -> Result<Self> {
        let mut nodes = BTreeMap::new();
        loop {
            ensure!(
                bytes.iter().zip(MAGIC).all(|(got, wanted)| got == wanted),
                "{}; it should be a directory or a cpio archive in the format newc (`find . | cpio -o -H newc`)",
                if nodes.is_empty() {
                    "not a cpio archive"
                } else {
                    "damaged archive"
                }
            );
            let mut reader = newc::Reader::new(bytes).context(TRUNCATED)?;
            if reader.entry().is_trailer() {
                return Ok(Self(nodes));
            }
            let entry = reader.entry();
            let name = entry
                .name()
                .trim_start_matches("./")
                .trim_matches('/')
                .to_owned();
            let mut node = Node {
                mode: entry.mode(),
                owner: (entry.uid(), entry.gid()),
                device: (entry.rdev_major(), entry.rdev_minor()),
                ino: entry.ino(),
                nlink: entry.nlink(),
                mtime: entry.mtime(),
                contents: Vec::new(),
            };
            reader.read_to_end(&mut node.contents).context(TRUNCATED)?;
            nodes.insert(name, node);
            bytes = reader.finish().context(TRUNCATED)?;
        }
    }

    /// Adds a directory.
    pub(crate) fn insert_directory(&mut self, path: &str) {
        self.insert(path, DIRECTORY | 0o755, Vec::new());
    }

    /// Adds a file with these permissions.
    pub(crate) fn insert_file(&mut self, path: &str, permissions: u32, contents: Vec<u8>) {
        self.insert(path, REGULAR | permissions, contents);
    }

    /// Adds a symbolic link.
    pub(crate) fn insert_link(&mut self, path: &str, target: &str) {
        self.insert(path, SYMLINK | 0o777, target.into());
    }

    fn insert(&mut self, path: &str, mode: u32, contents: Vec<u8>) {
        let node = Node {
            mode,
            nlink: 1,
            contents,
            ..Node::default()
        };
        self.0.insert(path.to_owned(), node);
    }

    /// The tree with everything owned by root.
    pub(crate) fn owned_by_root(mut self) -> Self {
        for node in self.0.values_mut() {
            node.owner = (0, 0);
        }
        self
    }

    /// The archive. Entries are sorted by path, so that a directory precedes what it holds.
    pub(crate) fn to_cpio(&self) -> Result<Vec<u8>> {
        let mut archive = Vec::new();
        for (name, node) in &self.0 {
            let size =
                u32::try_from(node.contents.len()).context("a file is larger than newc can say")?;
            let mut writer = newc::Builder::new(name)
                .ino(node.ino)
                .mode(node.mode)
                .uid(node.owner.0)
                .gid(node.owner.1)
                .rdev_major(node.device.0)
                .rdev_minor(node.device.1)
                .nlink(node.nlink)
                .mtime(node.mtime)
                .write(&mut archive, size);
            writer.write_all(&node.contents)?;
            writer.finish()?;
        }
        newc::trailer(&mut archive)?;
        Ok(archive)
    }

    /// Makes the tree's files under `top`, a directory. Files with several names get one for each.
    pub(crate) fn unpack(&self, top: &Path) -> Result<()> {
        for (name, node) in &self.0 {
            node.write(&top.join(name))
                .with_context(|| format!("unpacking {name}"))?;
        }
        // What is made in a directory changes its time: the deepest come first.
        for (name, node) in self.0.iter().rev() {
            node.set_modified(&top.join(name))?;
        }
        Ok(())
    }

    /// The contents of the regular file at `path`, through symbolic links that stay in the tree;
    /// none if there is no such file.
    pub(crate) fn file(&self, path: &str) -> Result<Option<&[u8]>> {
        let mut rest: Vec<String> = words_reversed(path);
        let (mut at, mut links) = (Vec::<String>::new(), 0);
        while let Some(word) = rest.pop() {
            if word == ".." {
                at.pop();
                continue;
            }
            at.push(word);
            let Some(node) = self.0.get(&at.join("/")) else {
                return Ok(None);
            };
            if node.mode & TYPE_MASK == SYMLINK {
                links += 1;
                ensure!(
                    links <= LINKS_MAX,
                    "{path}: too many levels of symbolic links"
                );
                let target =
                    str::from_utf8(&node.contents).context("a link's target is not UTF-8")?;
                at.pop();
                if target.starts_with('/') {
                    at.clear();
                }
                rest.extend(words_reversed(target));
            }
        }
        Ok(self
            .0
            .get(&at.join("/"))
            .filter(|node| node.mode & TYPE_MASK == REGULAR)
            .map(|node| &node.contents[..]))
    }
}

impl Node {
    fn read(path: &Path) -> Result<Self> {
        let meta = fs::symlink_metadata(path)?;
        let contents = match meta.mode() & TYPE_MASK {
            REGULAR => fs::read(path).with_context(|| path.display().to_string())?,
            SYMLINK => fs::read_link(path)?.as_os_str().as_bytes().to_vec(),
            _ => Vec::new(),
        };
        Ok(Self {
            mode: meta.mode(),
            owner: (meta.uid(), meta.gid()),
            device: (
                u32::try_from(major(meta.rdev()))?,
                u32::try_from(minor(meta.rdev()))?,
            ),
            ino: u32::try_from(meta.ino())
                .context("an inode number is larger than newc can say")?,
            nlink: u32::try_from(meta.nlink())?,
            mtime: u32::try_from(meta.mtime()).unwrap_or(0),
            contents,
        })
    }

    fn write(&self, at: &Path) -> Result<()> {
        match self.mode & TYPE_MASK {
            REGULAR => fs::write(at, &self.contents)?,
            SYMLINK => return Ok(symlink(OsStr::from_bytes(&self.contents), at)?),
            DIRECTORY if at.is_dir() => {}
            DIRECTORY => fs::create_dir(at)?,
            kind => bail!("its type is {kind:o}"),
        }
        Ok(fs::set_permissions(
            at,
            Permissions::from_mode(self.mode & !TYPE_MASK),
        )?)
    }

    fn set_modified(&self, at: &Path) -> Result<()> {
        let time = TimeSpec::new(self.mtime.into(), 0);
        Ok(utimensat(
            AT_FDCWD,
            at,
            &time,
            &time,
            UtimensatFlags::NoFollowSymlink,
        )?)
    }
}

fn words_reversed(path: &str) -> Vec<String> {
    path.split('/')
        .rev()
        .filter(|word| !word.is_empty() && *word != ".")
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;

    fn sample() -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("usr/bin")).unwrap();
        fs::write(top.path().join("usr/bin/tool"), b"tool").unwrap();
        symlink("usr/bin", top.path().join("bin")).unwrap();
        symlink("/bin/../bin/tool", top.path().join("usr/bin/alias")).unwrap();
        symlink("loop", top.path().join("loop")).unwrap();
        top
    }

    #[test]
    fn links_are_followed_inside_the_tree() {
        let tree = Tree::read(sample().path()).unwrap();
        assert_eq!(tree.file("/bin/alias").unwrap(), Some(&b"tool"[..]));
        assert_eq!(tree.file("../bin/tool").unwrap(), Some(&b"tool"[..]));
        assert_eq!(tree.file("/bin").unwrap(), None);
        assert_eq!(tree.file("/none").unwrap(), None);
        assert!(tree.file("/loop").is_err());
    }

    #[test]
    fn an_archive_reads_back_the_same() {
        let bytes = Tree::read(sample().path()).unwrap().to_cpio().unwrap();
        let again = Tree::from_cpio(&bytes).unwrap();
        assert_eq!(again.to_cpio().unwrap(), bytes);
        assert_eq!(again.file("bin/tool").unwrap(), Some(&b"tool"[..]));
    }

    #[test]
    fn owners_and_special_files_are_kept() {
        let top = sample();
        nix::unistd::mkfifo(&top.path().join("pipe"), Mode::S_IRUSR).unwrap();
        let tree = Tree::read(top.path()).unwrap();
        let mut again = Tree::from_cpio(&tree.to_cpio().unwrap()).unwrap();
        let me = (
            nix::unistd::getuid().as_raw(),
            nix::unistd::getgid().as_raw(),
        );
        assert_eq!((again.0["pipe"].mode, again.0["bin"].owner), (0o10_400, me));
        again.0.get_mut("pipe").unwrap().owner = (7, 8);
        again.0.get_mut("pipe").unwrap().device = (5, 1);
        let third = Tree::from_cpio(&again.to_cpio().unwrap()).unwrap();
        let pipe = &third.0["pipe"];
        assert_eq!((pipe.owner, pipe.device), ((7, 8), (5, 1)));
        assert_eq!(third.owned_by_root().0["pipe"].owner, (0, 0));
    }

    #[test]
    fn a_tree_unpacks_to_the_same() {
        let (from, to) = (sample(), tempfile::tempdir().unwrap());
        fs::set_permissions(from.path().join("usr"), Permissions::from_mode(0o1750)).unwrap();
        let tree = Tree::read(from.path()).unwrap();
        tree.unpack(to.path()).unwrap();
        let again = Tree::read(to.path()).unwrap();
        let about = |tree: &Tree| {
            let node = |(name, node): (&String, &Node)| {
                (name.clone(), node.mode, node.mtime, node.contents.clone())
            };
            tree.0.iter().map(node).collect::<Vec<_>>()
        };
        assert_eq!(about(&again), about(&tree));
    }

    #[test]
    fn other_files_are_refused_as_archives() {
        let top = tempfile::tempdir().unwrap();
        fs::write(top.path().join("x.cpio"), b"no archive").unwrap();
        assert!(Tree::read(&top.path().join("x.cpio")).is_err());
    }
}
