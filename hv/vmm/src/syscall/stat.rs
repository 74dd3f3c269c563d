//! Asking about files and file systems.

use super::call::{Answer, Call};
use super::record::Record;
use crate::errno::Errno;
use crate::file_system::{Ino, Inode, Time};
use linux_raw_sys::general::{
    AT_EACCESS, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, S_IFIFO, STATX_BASIC_STATS, X_OK,
};
use spec::addr::PAGE_SIZE;

/// The device that the file system is on: an unnamed one, as tmpfs has.
const DEVICE: (u32, u32) = (0, 24);
/// The magic number of tmpfs.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// What stat says about an inode.
struct About {
    ino: Ino,
    mode: u32,
    links: u32,
    owner: (u32, u32),
    rdev: u64,
    size: u64,
    blocks: u64,
    times: [Time; 3],
}

impl About {
    fn inode(ino: Ino, inode: &Inode) -> Self {
        Self {
            ino,
            mode: inode.mode,
            links: inode.links,
            owner: (inode.uid, inode.gid),
            rdev: inode.rdev(),
            size: inode.size(),
            blocks: inode.blocks(),
            times: [inode.accessed, inode.modified, inode.changed],
        }
    }

    /// A pipe, which has no inode of ours.
    fn pipe(now: Time) -> Self {
        Self {
            ino: 0,
            mode: S_IFIFO | 0o600,
            links: 1,
            owner: (0, 0),
            rdev: 0,
            size: 0,
            blocks: 0,
            times: [now; 3],
        }
    }

    /// `struct stat`.
    fn stat(&self) -> [u8; 144] {
        let mut record = Record::new()
            .u64(u64::from(DEVICE.1))
            .u64(self.ino)
            .u64(self.links.into())
            .u32(self.mode)
            .u32(self.owner.0)
            .u32(self.owner.1)
            .skip(4)
            .u64(self.rdev)
            .u64(self.size)
            .u64(PAGE_SIZE)
            .u64(self.blocks);
        for time in self.times {
            record = record.u64(time.seconds as u64).u64(time.nanoseconds.into());
        }
        record.done()
    }

    /// `struct statx`.
    fn statx(&self) -> [u8; 256] {
        let [accessed, modified, changed] = self.times;
        let mut record = Record::new()
            .u32(STATX_BASIC_STATS)
            .u32(PAGE_SIZE as u32)
            .u64(0)
            .u32(self.links)
            .u32(self.owner.0)
            .u32(self.owner.1)
            .u16(self.mode as u16)
            .skip(2)
            .u64(self.ino)
            .u64(self.size)
            .u64(self.blocks)
            .u64(0);
        for time in [accessed, Time::default(), changed, modified] {
            record = record
                .u64(time.seconds as u64)
                .u32(time.nanoseconds)
                .skip(4);
        }
        let (major, minor) = (
            self.rdev >> 8 & 0xfff,
            self.rdev & 0xff | self.rdev >> 12 & 0xfff00,
        );
        record
            .u32(major as u32)
            .u32(minor as u32)
            .u32(DEVICE.0)
            .u32(DEVICE.1)
            .done()
    }
}

/// What there is to say about the open file in this argument.
fn about_file(c: &Call<'_>, index: usize) -> Result<About, Errno> {
    match c.file(index)?.ino {
        Some(ino) => Ok(About::inode(ino, c.system.files.inode(ino)?)),
        None => Ok(About::pipe(c.now())),
    }
}

fn about(
    c: &mut Call<'_>,
    directory: Option<usize>,
    path: usize,
    flags: u32,
) -> Result<About, Errno> {
    if let (Some(index), true) = (directory, flags & AT_EMPTY_PATH != 0)
        && c.int(index) >= 0
        && (c.args[path] == 0 || c.path(path)?.is_empty())
    {
        return about_file(c, index);
    }
    let ino = c.find(directory, path, flags)?;
    Ok(About::inode(ino, c.system.files.inode(ino)?))
}

fn give(c: &mut Call<'_>, about: &About, to: u64) -> Answer {
    c.process.memory.write(to, &about.stat())?;
    Ok(0)
}

pub(super) fn stat(c: &mut Call<'_>) -> Answer {
    let found = about(c, None, 0, 0)?;
    give(c, &found, c.args[1])
}

pub(super) fn lstat(c: &mut Call<'_>) -> Answer {
    let found = about(c, None, 0, AT_SYMLINK_NOFOLLOW)?;
    give(c, &found, c.args[1])
}

pub(super) fn fstat(c: &mut Call<'_>) -> Answer {
    let found = about_file(c, 0)?;
    give(c, &found, c.args[1])
}

pub(super) fn newfstatat(c: &mut Call<'_>) -> Answer {
    let found = about(c, Some(0), 1, c.uint(3))?;
    give(c, &found, c.args[2])
}

pub(super) fn statx(c: &mut Call<'_>) -> Answer {
    let found = about(c, Some(0), 1, c.uint(2))?;
    c.process.memory.write(c.args[4], &found.statx())?;
    Ok(0)
}

/// Root may do anything but execute what nobody may.
fn check_access(c: &Call<'_>, ino: Ino, wanted: u32) -> Answer {
    if wanted & !7 != 0 {
        return Err(Errno::EINVAL.into());
    }
    let inode = c.system.files.inode(ino)?;
    let executable = inode.is_directory() || inode.mode & 0o111 != 0;
    match wanted & X_OK != 0 && !executable {
        true => Err(Errno::EACCES.into()),
        false => Ok(0),
    }
}

pub(super) fn access(c: &mut Call<'_>) -> Answer {
    let ino = c.find(None, 0, 0)?;
    check_access(c, ino, c.uint(1))
}

pub(super) fn faccessat(c: &mut Call<'_>) -> Answer {
    let ino = c.find(Some(0), 1, 0)?;
    check_access(c, ino, c.uint(2))
}

pub(super) fn faccessat2(c: &mut Call<'_>) -> Answer {
    let flags = c.uint(3);
    if flags & !(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let ino = c.find(Some(0), 1, flags)?;
    check_access(c, ino, c.uint(2))
}

fn give_statfs(c: &mut Call<'_>, to: u64) -> Answer {
    let (files, budget) = (c.system.files.count(), c.system.files.budget);
    let (total, free) = (budget.total / PAGE_SIZE, budget.free / PAGE_SIZE);
    let record: [u8; 120] = Record::new()
        .u64(TMPFS_MAGIC)
        .u64(PAGE_SIZE)
        .u64(total)
        .u64(free)
        .u64(free)
        .u64(files + free)
        .u64(free)
        .skip(8)
        .u64(255)
        .u64(PAGE_SIZE)
        .done();
    c.process.memory.write(to, &record)?;
    Ok(0)
}

pub(super) fn statfs(c: &mut Call<'_>) -> Answer {
    c.find(None, 0, 0)?;
    give_statfs(c, c.args[1])
}

pub(super) fn fstatfs(c: &mut Call<'_>) -> Answer {
    c.file(0)?;
    give_statfs(c, c.args[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::{offset_of, size_of};
    use linux_raw_sys::general as linux;

    #[test]
    fn layouts_are_those_of_linux() {
        let about = About {
            ino: 0x1111,
            mode: 0x8124,
            links: 7,
            owner: (8, 9),
            rdev: 0x0501,
            size: 0x2222,
            blocks: 0x3333,
            times: [1, 2, 3].map(|seconds| Time {
                seconds,
                nanoseconds: 4,
            }),
        };
        let stat = about.stat();
        assert_eq!(stat.len(), size_of::<linux::stat>());
        let at = |offset: usize| super::super::record::u64_at(&stat, offset);
        assert_eq!(at(offset_of!(linux::stat, st_ino)), 0x1111);
        assert_eq!(at(offset_of!(linux::stat, st_size)), 0x2222);
        assert_eq!(at(offset_of!(linux::stat, st_blocks)), 0x3333);
        assert_eq!(at(offset_of!(linux::stat, st_mtime)), 2);
        assert_eq!(at(offset_of!(linux::stat, st_ctime)), 3);
        let statx = about.statx();
        assert_eq!(statx.len(), size_of::<linux::statx>());
        let at = |offset: usize| super::super::record::u64_at(&statx, offset);
        assert_eq!(at(offset_of!(linux::statx, stx_ino)), 0x1111);
        assert_eq!(at(offset_of!(linux::statx, stx_blocks)), 0x3333);
        assert_eq!(at(offset_of!(linux::statx, stx_ctime)), 3);
        assert_eq!(at(offset_of!(linux::statx, stx_mtime)), 2);
        assert_eq!(at(offset_of!(linux::statx, stx_rdev_major)), 1 << 32 | 5);
    }
}
