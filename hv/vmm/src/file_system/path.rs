//! From paths to inodes.

use super::inode::{Ino, Kind};
use super::{FileSystem, ROOT};
use crate::errno::Errno;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// How many symbolic links one path may go through, as on Linux.
const LINKS_MAX: u32 = 40;
/// The longest name, in bytes.
pub const NAME_MAX: usize = 255;
/// The longest path, in bytes.
const PATH_MAX: usize = 4095;

/// Where the last name of a path lives, or would live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The directory.
    pub directory: Ino,
    /// The name in it; `.`, `..` or empty (the root itself) for a path that ends so.
    pub name: Vec<u8>,
    /// The path ended with a slash: only a directory will do.
    pub must_be_directory: bool,
}

impl Spot {
    /// The last name can be made, removed or renamed.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        !matches!(self.name.as_slice(), b"" | b"." | b"..")
    }
}

impl FileSystem {
    /// The inode that a path names, seen from the directory `start`. `follow` says whether a
    /// symbolic link at its end is followed.
    pub fn resolve(&self, start: Ino, path: &[u8], follow: bool) -> Result<Ino, Errno> {
        let spot = self.walk(start, path, follow)?;
        let ino = self.entry(&spot)?.ok_or(Errno::ENOENT)?;
        if spot.must_be_directory && !self.inode(ino)?.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        Ok(ino)
    }

    /// The place of a path's last name, which need not exist. A symbolic link there is followed
    /// only if `follow` says so; one that points to nothing leads to where its target would be.
    pub fn walk(&self, start: Ino, path: &[u8], follow: bool) -> Result<Spot, Errno> {
        check_length(path)?;
        let mut at = if path[0] == b'/' { ROOT } else { start };
        let mut must_be_directory = path.ends_with(b"/");
        let mut names = split(path);
        let mut links = 0;
        while let Some(name) = names.pop_front() {
            let spot = Spot {
                directory: at,
                name,
                must_be_directory: must_be_directory && names.is_empty(),
            };
            let last = names.is_empty();
            let entry = self.entry(&spot)?;
            let target = entry
                .map(|ino| self.link_target(ino))
                .transpose()?
                .flatten();
            match (target, entry) {
                (Some(target), _) if !last || follow || must_be_directory => {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(Errno::ELOOP);
                    }
                    at = self.enter_link(at, target, &mut names)?;
                    must_be_directory |= last && target.ends_with(b"/");
                }
                _ if last => return Ok(spot),
                (_, None) => return Err(Errno::ENOENT),
                (_, Some(ino)) if self.inode(ino)?.is_directory() => at = ino,
                _ => return Err(Errno::ENOTDIR),
            }
        }
        Ok(Spot {
            directory: at,
            name: Vec::new(),
            must_be_directory: true,
        })
    }

    fn enter_link(
        &self,
        at: Ino,
        target: &[u8],
        names: &mut VecDeque<Vec<u8>>,
    ) -> Result<Ino, Errno> {
        let known: usize = names.iter().map(Vec::len).sum();
        if target.is_empty() {
            return Err(Errno::ENOENT);
        }
        if known + target.len() > 2 * PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        for name in split(target).into_iter().rev() {
            names.push_front(name);
        }
        Ok(if target[0] == b'/' { ROOT } else { at })
    }

    /// What is at a spot.
    pub fn entry(&self, spot: &Spot) -> Result<Option<Ino>, Errno> {
        let directory = self.directory(spot.directory)?;
        match spot.name.as_slice() {
            b"" | b"." => Ok(Some(spot.directory)),
            b".." => Ok(Some(directory.parent)),
            name if name.len() > NAME_MAX => Err(Errno::ENAMETOOLONG),
            name => Ok((directory.get(name)).or_else(|| self.hidden(spot.directory, name))),
        }
    }

    fn link_target(&self, ino: Ino) -> Result<Option<&[u8]>, Errno> {
        Ok(match &self.inode(ino)?.kind {
            Kind::Link(target) => Some(target),
            _ => None,
        })
    }

    /// The absolute path of a directory, or ENOENT if it was removed.
    pub fn path_of(&self, mut ino: Ino) -> Result<Vec<u8>, Errno> {
        let mut names = Vec::new();
        while ino != ROOT {
            let parent = self.directory(ino)?.parent;
            let name = self.directory(parent)?.name_of(ino);
            names.push(name.ok_or(Errno::ENOENT)?);
            ino = parent;
        }
        let mut path = Vec::new();
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        Ok(path)
    }
}

fn check_length(path: &[u8]) -> Result<(), Errno> {
    match path.len() {
        0 => Err(Errno::ENOENT),
        length if length > PATH_MAX => Err(Errno::ENAMETOOLONG),
        _ => Ok(()),
    }
}

fn split(path: &[u8]) -> VecDeque<Vec<u8>> {
    let names = path.split(|&byte| byte == b'/');
    names
        .filter(|name| !name.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}
