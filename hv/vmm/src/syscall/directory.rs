//! The working directory and listings.

use super::call::{Answer, Call};
use super::open_files::Object;
use crate::errno::Errno;
use alloc::vec::Vec;
use linux_raw_sys::general::AT_SYMLINK_NOFOLLOW;

/// The size of `struct linux_dirent64` before its name, in bytes.
const ENTRY_HEAD: usize = 19;

pub(super) fn getdents64(c: &mut Call<'_>) -> Answer {
    let index = c.file_index(0)?;
    let file = c.system.open.get(index)?;
    let (Object::Directory, Some(ino)) = (file.object, file.ino) else {
        return Err(if file.ino.is_some() {
            Errno::ENOTDIR
        } else {
            Errno::EBADF
        }
        .into());
    };
    let room = c.uint(2) as usize;
    let directory = c.system.files.directory(ino)?;
    if c.system.files.inode(ino)?.links == 0 {
        return Err(Errno::ENOENT.into());
    }
    let (mut position, mut done) = (file.offset, 0);
    while let Some((name, entry, next)) = directory.at(position, ino) {
        let kind = c.system.files.inode(entry)?.entry_type();
        let record = entry_record(name, entry, next, kind);
        if done + record.len() > room {
            if done == 0 {
                return Err(Errno::EINVAL.into());
            }
            break;
        }
        c.process
            .memory
            .write(c.args[1].wrapping_add(done as u64), &record)?;
        done += record.len();
        position = next;
    }
    c.system.open.get_mut(index)?.offset = position;
    Ok(done as u64)
}

/// `struct linux_dirent64`, padded to 8 bytes.
fn entry_record(name: &[u8], ino: u64, next: u64, kind: u8) -> Vec<u8> {
    let length = (ENTRY_HEAD + name.len() + 1).next_multiple_of(8);
    let mut record = Vec::with_capacity(length);
    record.extend(ino.to_le_bytes());
    record.extend(next.to_le_bytes());
    record.extend((length as u16).to_le_bytes());
    record.push(kind);
    record.extend(name);
    record.resize(length, 0);
    record
}

pub(super) fn getcwd(c: &mut Call<'_>) -> Answer {
    let mut path = c.system.files.path_of(c.process.directory)?;
    path.push(0);
    if path.len() as u64 > c.args[1] {
        return Err(Errno::ERANGE.into());
    }
    c.process.memory.write(c.args[0], &path)?;
    Ok(path.len() as u64)
}

fn enter(c: &mut Call<'_>, ino: u64) -> Answer {
    c.system.files.directory(ino)?;
    c.system.files.open(ino);
    let old = core::mem::replace(&mut c.process.directory, ino);
    c.system.files.close(old);
    Ok(0)
}

pub(super) fn chdir(c: &mut Call<'_>) -> Answer {
    let ino = c.find(None, 0, 0)?;
    enter(c, ino)
}

pub(super) fn fchdir(c: &mut Call<'_>) -> Answer {
    let ino = c.file(0)?.ino.ok_or(Errno::ENOTDIR)?;
    enter(c, ino)
}

fn give_link(c: &mut Call<'_>, ino: u64, to: u64, room: i32) -> Answer {
    let crate::file_system::Kind::Link(target) = &c.system.files.inode(ino)?.kind else {
        return Err(Errno::EINVAL.into());
    };
    if room <= 0 {
        return Err(Errno::EINVAL.into());
    }
    let count = target.len().min(room as usize);
    c.process.memory.write(to, &target[..count])?;
    Ok(count as u64)
}

pub(super) fn readlink(c: &mut Call<'_>) -> Answer {
    let ino = c.find(None, 0, AT_SYMLINK_NOFOLLOW)?;
    give_link(c, ino, c.args[1], c.int(2))
}

pub(super) fn readlinkat(c: &mut Call<'_>) -> Answer {
    let flags = AT_SYMLINK_NOFOLLOW | linux_raw_sys::general::AT_EMPTY_PATH;
    let ino = c.find(Some(0), 1, flags)?;
    give_link(c, ino, c.args[2], c.int(3))
}
