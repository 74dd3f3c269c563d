//! The file system that a program finds.

use super::LoadError;
use crate::errno::Errno;
use crate::file_system::inode::type_is_known;
use crate::file_system::{Directory, FileSystem, Ino, Inode, Kind, ROOT, Time};
use crate::guest::cpio::{Archive, Entry};
use crate::memory::contents::Contents;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use linux_raw_sys::general::{S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG};

/// Files with several names: by device and inode in the archive.
type Links = BTreeMap<((u32, u32), u32), Ino>;

/// Unpacks an archive into an empty file system, as `cpio -idm` does. Files are not copied.
pub fn unpack(files: &mut FileSystem, archive: &'static [u8], now: Time) -> Result<(), LoadError> {
    let (mut links, mut entries) = (Links::new(), Vec::new());
    for entry in Archive::new(archive) {
        let entry = entry?;
        add(files, &entry, &mut links, now).map_err(|error| LoadError::file(entry.name, error))?;
        entries.push(entry);
    }
    // Unpacking changed the times of directories; they get those of the archive.
    for entry in entries.iter().filter(|e| e.mode & S_IFMT == S_IFDIR) {
        let ino = files.resolve(ROOT, entry.name, false);
        let inode = ino.and_then(|ino| files.inode_mut(ino));
        inode
            .map_err(|error| LoadError::file(entry.name, error))?
            .touch(modified(entry));
    }
    Ok(())
}

fn modified(entry: &Entry<'_>) -> Time {
    Time {
        seconds: i64::from(entry.modified),
        nanoseconds: 0,
    }
}

fn add(
    files: &mut FileSystem,
    entry: &Entry<'static>,
    links: &mut Links,
    now: Time,
) -> Result<(), Errno> {
    if !type_is_known(entry.mode) {
        return Err(Errno::EINVAL);
    }
    make_parents(files, entry.name, now)?;
    let spot = files.walk(ROOT, entry.name, false)?;
    let is_directory = entry.mode & S_IFMT == S_IFDIR;
    let there = files.entry(&spot)?;
    if let (true, Some(ino)) = (is_directory, there) {
        let inode = files.inode_mut(ino)?;
        (inode.mode, inode.uid, inode.gid) = (entry.mode, entry.uid, entry.gid);
        return Ok(());
    }
    let key = (entry.device, entry.inode);
    let shared = !is_directory && entry.links > 1;
    if let (true, Some(&ino)) = (shared, links.get(&key)) {
        files.link(ino, &spot, now)?;
        return add_name(files.inode_mut(ino)?, entry);
    }
    let ino = files.create(&spot, inode(entry))?;
    files.inode_mut(ino)?.changed = now;
    if shared {
        links.insert(key, ino);
    }
    Ok(())
}

/// The inode has one name more. Only one of a file's names carries the bytes, in most archives
/// the last; a symbolic link's target is with each of its names.
fn add_name(inode: &mut Inode, entry: &Entry<'static>) -> Result<(), Errno> {
    let kind = entry.mode & S_IFMT;
    if inode.mode & S_IFMT != kind {
        return Err(Errno::EINVAL);
    }
    if kind == S_IFREG && !entry.data.is_empty() {
        inode.kind = Kind::File(Contents::borrowed(entry.data));
        inode.touch(modified(entry));
    }
    Ok(())
}

fn inode(entry: &Entry<'static>) -> Inode {
    let kind = match entry.mode & S_IFMT {
        S_IFREG => Kind::File(Contents::borrowed(entry.data)),
        S_IFDIR => Kind::Directory(Directory::new(ROOT)),
        S_IFLNK => Kind::Link(entry.data.to_vec()),
        S_IFCHR | S_IFBLK => Kind::Device(entry.node.0, entry.node.1),
        _ => Kind::Other,
    };
    let mut inode = Inode::new(entry.mode, kind, modified(entry));
    (inode.uid, inode.gid) = (entry.uid, entry.gid);
    inode
}

/// Makes the directories above a path that no entry named before.
fn make_parents(files: &mut FileSystem, path: &[u8], now: Time) -> Result<(), Errno> {
    for (end, _) in path.iter().enumerate().filter(|&(_, &byte)| byte == b'/') {
        let parent = &path[..end];
        if !parent.is_empty() && files.resolve(ROOT, parent, true) == Err(Errno::ENOENT) {
            let spot = files.walk(ROOT, parent, true)?;
            files.create_directory(&spot, 0o755, now)?;
        }
    }
    Ok(())
}

/// A file system with only the program, `/dev` and `/tmp`.
pub fn only(
    files: &mut FileSystem,
    path: &[u8],
    program: &'static [u8],
    now: Time,
) -> Result<(), LoadError> {
    let mut make = || {
        for (directory, mode) in [(b"/dev", 0o755), (b"/tmp", 0o1777)] {
            let spot = files.walk(ROOT, directory, false)?;
            files.create_directory(&spot, mode, now)?;
        }
        make_parents(files, path, now)?;
        let spot = files.walk(ROOT, path, true)?;
        let kind = Kind::File(Contents::borrowed(program));
        files.create(&spot, Inode::new(S_IFREG | 0o755, kind, now))
    };
    make()
        .map(|_| ())
        .map_err(|error| LoadError::file(path, error))
}

#[cfg(test)]
mod tests;
