//! Changing the tree: making, removing, renaming, linking, and attributes.

use super::call::{Answer, Call, SECOND};
use super::record::u64_at;
use crate::errno::Errno;
use crate::file_system::inode::type_is_known;
use crate::file_system::{Ino, Inode, Kind, Spot, Time};
use crate::memory::contents::Contents;
use linux_raw_sys::general::{
    AT_EMPTY_PATH, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW, RENAME_NOREPLACE, S_IFBLK,
    S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, UTIME_NOW, UTIME_OMIT,
};

impl Call<'_> {
    /// The spot that the path in argument `path` names, seen from the `dirfd` in argument
    /// `directory` or the working directory.
    fn spot(&mut self, directory: Option<usize>, path: usize) -> Result<Spot, Errno> {
        let path = self.path(path)?;
        let start = match directory {
            Some(index) => self.start(index, &path)?,
            None => self.process.directory,
        };
        self.system.files.walk(start, &path, false)
    }

    /// The inode that a path names, or with AT_EMPTY_PATH the open file itself.
    pub(super) fn find(
        &mut self,
        directory: Option<usize>,
        path: usize,
        flags: u32,
    ) -> Result<Ino, Errno> {
        let text = self.path(path)?;
        let start = match directory {
            Some(index) if text.is_empty() && flags & AT_EMPTY_PATH != 0 => {
                return self.own_inode(index);
            }
            Some(index) => self.start(index, &text)?,
            None => self.process.directory,
        };
        let follow = flags & AT_SYMLINK_NOFOLLOW == 0;
        self.system.files.resolve(start, &text, follow)
    }

    /// The inode of the descriptor in this argument, or the working directory for AT_FDCWD.
    fn own_inode(&self, index: usize) -> Result<Ino, Errno> {
        match self.int(index) {
            linux_raw_sys::general::AT_FDCWD => Ok(self.process.directory),
            _ => self.file(index)?.ino.ok_or(Errno::EINVAL),
        }
    }

    fn make_directory(&mut self, directory: Option<usize>, path: usize, mode: usize) -> Answer {
        let now = self.now();
        let spot = self.spot(directory, path)?;
        let mode = self.uint(mode) & !self.process.umask & 0o1777;
        self.system.files.create_directory(&spot, mode, now)?;
        Ok(0)
    }

    fn make_node(&mut self, directory: Option<usize>, path: usize) -> Answer {
        let now = self.now();
        let spot = self.spot(directory, path)?;
        let (mode, device) = (self.uint(path + 1), self.args[path + 2]);
        let mode = if mode & S_IFMT == 0 {
            mode | S_IFREG
        } else {
            mode
        };
        let kind = match mode & S_IFMT {
            S_IFREG => Kind::File(Contents::default()),
            S_IFCHR | S_IFBLK => {
                let minor = device & 0xff | device >> 12 & 0xfff00;
                Kind::Device((device >> 8 & 0xfff) as u32, minor as u32)
            }
            S_IFDIR => return Err(Errno::EPERM.into()),
            S_IFLNK => return Err(Errno::EINVAL.into()),
            _ if type_is_known(mode) => Kind::Other,
            _ => return Err(Errno::EINVAL.into()),
        };
        let mode = mode & !(self.process.umask & 0o777);
        self.system
            .files
            .create(&spot, Inode::new(mode, kind, now))?;
        Ok(0)
    }

    fn rename_from_to(&mut self, from: &Spot, to: &Spot, replace: bool) -> Answer {
        let now = self.now();
        self.system.files.rename(from, to, replace, now)?;
        Ok(0)
    }

    fn make_link(&mut self, ino: Ino, spot: &Spot) -> Answer {
        let now = self.now();
        self.system.files.link(ino, spot, now)?;
        Ok(0)
    }

    fn change_mode(&mut self, ino: Ino, mode: u32) -> Answer {
        let now = self.now();
        let inode = self.system.files.inode_mut(ino)?;
        if inode.mode & S_IFMT == S_IFLNK {
            return Err(Errno::EOPNOTSUPP.into());
        }
        inode.mode = inode.mode & S_IFMT | mode & 0o7777;
        inode.changed = now;
        Ok(0)
    }

    fn change_owner(&mut self, ino: Ino, uid: u32, gid: u32) -> Answer {
        let now = self.now();
        let inode = self.system.files.inode_mut(ino)?;
        if uid != u32::MAX {
            inode.uid = uid;
        }
        if gid != u32::MAX {
            inode.gid = gid;
        }
        // A program loses what made it run as its owner.
        if inode.mode & S_IFMT == S_IFREG {
            let group_too = if inode.mode & 0o010 != 0 { 0o2000 } else { 0 };
            inode.mode &= !(0o4000 | group_too);
        }
        inode.changed = now;
        Ok(0)
    }

    fn set_size(&mut self, ino: Ino, size: u64) -> Answer {
        let now = self.now();
        if size > i64::MAX as u64 {
            return Err(Errno::EINVAL.into());
        }
        let (contents, budget) = self.system.files.contents_mut(ino)?;
        contents.resize(size, budget)?;
        self.system.files.inode_mut(ino)?.touch(now);
        Ok(0)
    }

    /// Sets the times of an inode from two `struct timespec` at `at`, or to now.
    fn set_times(&mut self, ino: Ino, at: u64) -> Answer {
        let now = self.now();
        let mut wanted = [Some(now); 2];
        if at != 0 {
            let bytes: [u8; 32] = self.process.memory.read_array(at)?;
            for (wanted, bytes) in wanted.iter_mut().zip(bytes.chunks_exact(16)) {
                *wanted = chosen_time(u64_at(bytes, 0), u64_at(bytes, 8), now)?;
            }
        }
        let inode = self.system.files.inode_mut(ino)?;
        inode.accessed = wanted[0].unwrap_or(inode.accessed);
        inode.modified = wanted[1].unwrap_or(inode.modified);
        inode.changed = now;
        Ok(0)
    }
}

/// The time that one `struct timespec` of utimensat asks for; `None` leaves it.
fn chosen_time(seconds: u64, nanoseconds: u64, now: Time) -> Result<Option<Time>, Errno> {
    match nanoseconds {
        n if n == u64::from(UTIME_NOW) => Ok(Some(now)),
        n if n == u64::from(UTIME_OMIT) => Ok(None),
        n if n < SECOND => Ok(Some(Time {
            seconds: seconds as i64,
            nanoseconds: n as u32,
        })),
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn mkdir(c: &mut Call<'_>) -> Answer {
    c.make_directory(None, 0, 1)
}

pub(super) fn mkdirat(c: &mut Call<'_>) -> Answer {
    c.make_directory(Some(0), 1, 2)
}

pub(super) fn mknod(c: &mut Call<'_>) -> Answer {
    c.make_node(None, 0)
}

pub(super) fn mknodat(c: &mut Call<'_>) -> Answer {
    c.make_node(Some(0), 1)
}

pub(super) fn rmdir(c: &mut Call<'_>) -> Answer {
    let (now, spot) = (c.now(), c.spot(None, 0)?);
    c.system.files.remove_directory(&spot, now)?;
    Ok(0)
}

pub(super) fn unlink(c: &mut Call<'_>) -> Answer {
    let (now, spot) = (c.now(), c.spot(None, 0)?);
    c.system.files.unlink(&spot, now)?;
    Ok(0)
}

pub(super) fn unlinkat(c: &mut Call<'_>) -> Answer {
    let (now, spot) = (c.now(), c.spot(Some(0), 1)?);
    match c.uint(2) {
        0 => c.system.files.unlink(&spot, now)?,
        AT_REMOVEDIR => c.system.files.remove_directory(&spot, now)?,
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}

pub(super) fn rename(c: &mut Call<'_>) -> Answer {
    let (from, to) = (c.spot(None, 0)?, c.spot(None, 1)?);
    c.rename_from_to(&from, &to, true)
}

pub(super) fn renameat(c: &mut Call<'_>) -> Answer {
    let (from, to) = (c.spot(Some(0), 1)?, c.spot(Some(2), 3)?);
    c.rename_from_to(&from, &to, true)
}

pub(super) fn renameat2(c: &mut Call<'_>) -> Answer {
    let (from, to) = (c.spot(Some(0), 1)?, c.spot(Some(2), 3)?);
    match c.uint(4) {
        0 => c.rename_from_to(&from, &to, true),
        RENAME_NOREPLACE => c.rename_from_to(&from, &to, false),
        _ => Err(Errno::EINVAL.into()),
    }
}

pub(super) fn link(c: &mut Call<'_>) -> Answer {
    let ino = c.find(None, 0, AT_SYMLINK_NOFOLLOW)?;
    let spot = c.spot(None, 1)?;
    c.make_link(ino, &spot)
}

pub(super) fn linkat(c: &mut Call<'_>) -> Answer {
    let flags = c.uint(4);
    let nofollow = if flags & AT_SYMLINK_FOLLOW == 0 {
        AT_SYMLINK_NOFOLLOW
    } else {
        0
    };
    let ino = c.find(Some(0), 1, flags & AT_EMPTY_PATH | nofollow)?;
    let spot = c.spot(Some(2), 3)?;
    c.make_link(ino, &spot)
}

fn make_symlink(c: &mut Call<'_>, directory: Option<usize>, path: usize) -> Answer {
    let (now, target) = (c.now(), c.path(0)?);
    if target.is_empty() {
        return Err(Errno::ENOENT.into());
    }
    let spot = c.spot(directory, path)?;
    c.system.files.create_link(&spot, &target, now)?;
    Ok(0)
}

pub(super) fn symlink(c: &mut Call<'_>) -> Answer {
    make_symlink(c, None, 1)
}

pub(super) fn symlinkat(c: &mut Call<'_>) -> Answer {
    make_symlink(c, Some(1), 2)
}

pub(super) fn chmod(c: &mut Call<'_>) -> Answer {
    let ino = c.find(None, 0, 0)?;
    c.change_mode(ino, c.uint(1))
}

pub(super) fn fchmod(c: &mut Call<'_>) -> Answer {
    let ino = c.file(0)?.ino.ok_or(Errno::EINVAL)?;
    c.change_mode(ino, c.uint(1))
}

pub(super) fn fchmodat(c: &mut Call<'_>) -> Answer {
    let ino = c.find(Some(0), 1, 0)?;
    c.change_mode(ino, c.uint(2))
}

pub(super) fn chown(c: &mut Call<'_>) -> Answer {
    let ino = c.find(None, 0, 0)?;
    c.change_owner(ino, c.uint(1), c.uint(2))
}

pub(super) fn lchown(c: &mut Call<'_>) -> Answer {
    let ino = c.find(None, 0, AT_SYMLINK_NOFOLLOW)?;
    c.change_owner(ino, c.uint(1), c.uint(2))
}

pub(super) fn fchown(c: &mut Call<'_>) -> Answer {
    let ino = c.file(0)?.ino.ok_or(Errno::EINVAL)?;
    c.change_owner(ino, c.uint(1), c.uint(2))
}

pub(super) fn fchownat(c: &mut Call<'_>) -> Answer {
    let ino = c.find(Some(0), 1, c.uint(4))?;
    c.change_owner(ino, c.uint(2), c.uint(3))
}

pub(super) fn truncate(c: &mut Call<'_>) -> Answer {
    let ino = c.find(None, 0, 0)?;
    c.set_size(ino, c.args[1])
}

pub(super) fn ftruncate(c: &mut Call<'_>) -> Answer {
    let file = c.file(0)?;
    file.check_writable().map_err(|_| Errno::EINVAL)?;
    let ino = file.ino.ok_or(Errno::EINVAL)?;
    c.set_size(ino, c.args[1])
}

pub(super) fn utimensat(c: &mut Call<'_>) -> Answer {
    let ino = match c.args[1] {
        0 => c.own_inode(0)?,
        _ => c.find(Some(0), 1, c.uint(3))?,
    };
    c.set_times(ino, c.args[2])
}

pub(super) fn umask(c: &mut Call<'_>) -> Answer {
    let old = c.process.umask;
    c.process.umask = c.uint(0) & 0o777;
    Ok(old.into())
}
