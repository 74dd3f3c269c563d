//! File descriptors: opening, closing, duplicating, flags, pipes.

use super::call::{Answer, Call};
use super::descriptors::{DESCRIPTORS_MAX, Descriptor};
use super::open_files::{Device, Object, OpenFile};
use super::pipe::Side;
use crate::errno::Errno;
use crate::file_system::{Ino, Kind};
use linux_raw_sys::general::{
    F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_GETLK, F_GETPIPE_SZ, F_SETFD, F_SETFL, F_SETLK,
    F_SETLKW, F_UNLCK, FD_CLOEXEC, O_ACCMODE, O_APPEND, O_CLOEXEC, O_CREAT, O_DIRECT, O_DIRECTORY,
    O_EXCL, O_NOATIME, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_RDONLY, O_TMPFILE, O_TRUNC,
    O_WRONLY,
};

/// O_LARGEFILE, which every 64-bit open has.
const LARGE_FILE: u32 = 0o100_000;
/// What F_SETFL may change.
const CHANGEABLE: u32 = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME;

impl Call<'_> {
    /// Gives the open file the lowest free descriptor.
    fn add_descriptor(&mut self, file: OpenFile, close_on_exec: bool) -> Answer {
        self.process.descriptors.free(0)?;
        let file = self.system.open.add(file)?;
        let descriptor = Descriptor {
            file,
            close_on_exec,
        };
        Ok(self.process.descriptors.add(descriptor, 0)?)
    }

    fn open_at(&mut self, start: Ino, path: &[u8], flags: u32, mode: u32) -> Answer {
        self.process.descriptors.free(0)?;
        if flags & O_TMPFILE == O_TMPFILE {
            return Err(Errno::EOPNOTSUPP.into());
        }
        let ino = self.find_or_create(start, path, flags, mode)?;
        let object = self.object_of(ino, flags)?;
        if object == Object::File && flags & O_TRUNC != 0 && flags & O_PATH == 0 {
            let now = self.now();
            let (contents, budget) = self.system.files.contents_mut(ino)?;
            contents.resize(0, budget)?;
            self.system.files.inode_mut(ino)?.touch(now);
        }
        self.system.files.open(ino);
        let dropped = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC;
        let file = OpenFile::new(object, Some(ino), flags & !dropped | LARGE_FILE);
        self.add_descriptor(file, flags & O_CLOEXEC != 0)
            .inspect_err(|_| self.system.files.close(ino))
    }

    fn find_or_create(
        &mut self,
        start: Ino,
        path: &[u8],
        flags: u32,
        mode: u32,
    ) -> Result<Ino, Errno> {
        let now = self.now();
        let create = flags & O_CREAT != 0 && flags & O_PATH == 0;
        let exclusive = create && flags & O_EXCL != 0;
        let follow = flags & O_NOFOLLOW == 0 && !exclusive;
        let files = &mut self.system.files;
        if !create {
            return files.resolve(start, path, follow);
        }
        let spot = files.walk(start, path, follow)?;
        match files.entry(&spot)? {
            Some(_) if exclusive => Err(Errno::EEXIST),
            Some(ino) if files.inode(ino)?.is_directory() => Err(Errno::EISDIR),
            Some(_) if spot.must_be_directory => Err(Errno::ENOTDIR),
            Some(ino) => Ok(ino),
            None if spot.must_be_directory => Err(Errno::EISDIR),
            None => files.create_file(&spot, mode & !self.process.umask, now),
        }
    }

    fn object_of(&self, ino: Ino, flags: u32) -> Result<Object, Errno> {
        let inode = self.system.files.inode(ino)?;
        if flags & O_DIRECTORY != 0 && !inode.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        if flags & O_PATH != 0 {
            return Ok(Object::Path);
        }
        match &inode.kind {
            Kind::File(_) => Ok(Object::File),
            Kind::Directory(_) if flags & (O_ACCMODE | O_TRUNC) != O_RDONLY => Err(Errno::EISDIR),
            Kind::Directory(_) => Ok(Object::Directory),
            Kind::Link(_) => Err(Errno::ELOOP),
            // Without anybody who types there is no controlling terminal: who asks there for an answer would
            // read the end of the input for ever.
            Kind::Device(5, 0) if !self.kernel.has_console_input() => Err(Errno::ENXIO),
            Kind::Device(major, minor) => {
                let device = Device::from_numbers(*major, *minor);
                Ok(Object::Device(device.ok_or(Errno::ENXIO)?))
            }
            Kind::Other => Err(Errno::ENXIO),
        }
    }
}

pub(super) fn open(c: &mut Call<'_>) -> Answer {
    let path = c.path(0)?;
    let (start, flags, mode) = (c.process.directory, c.uint(1), c.uint(2));
    c.open_at(start, &path, flags, mode)
}

pub(super) fn creat(c: &mut Call<'_>) -> Answer {
    let path = c.path(0)?;
    let (start, mode) = (c.process.directory, c.uint(1));
    c.open_at(start, &path, O_CREAT | O_WRONLY | O_TRUNC, mode)
}

pub(super) fn openat(c: &mut Call<'_>) -> Answer {
    let path = c.path(1)?;
    let start = c.start(0, &path)?;
    c.open_at(start, &path, c.uint(2), c.uint(3))
}

pub(super) fn close(c: &mut Call<'_>) -> Answer {
    let gone = c.process.descriptors.remove(c.int(0))?;
    c.system.release(gone.file);
    Ok(0)
}

pub(super) fn close_range(c: &mut Call<'_>) -> Answer {
    let (first, last, flags) = (c.uint(0), c.uint(1), c.uint(2));
    if first > last || flags & !4 != 0 {
        return Err(Errno::EINVAL.into());
    }
    let numbers: alloc::vec::Vec<usize> = c.process.descriptors.numbers().collect();
    for fd in numbers {
        if (first as usize..=last as usize).contains(&fd) {
            if flags != 0 {
                c.process.descriptors.get_mut(fd as i32)?.close_on_exec = true;
            } else {
                let gone = c.process.descriptors.remove(fd as i32)?;
                c.system.release(gone.file);
            }
        }
    }
    Ok(0)
}

fn duplicate(c: &mut Call<'_>, least: usize, close_on_exec: bool) -> Answer {
    let file = c.file_index(0)?;
    let descriptor = Descriptor {
        file,
        close_on_exec,
    };
    let fd = c.process.descriptors.add(descriptor, least)?;
    c.system.open.share(file);
    Ok(fd)
}

pub(super) fn dup(c: &mut Call<'_>) -> Answer {
    duplicate(c, 0, false)
}

fn duplicate_to(c: &mut Call<'_>, close_on_exec: bool) -> Answer {
    let (file, target) = (c.file_index(0)?, c.uint(1) as usize);
    if target >= DESCRIPTORS_MAX {
        return Err(Errno::EBADF.into());
    }
    c.system.open.share(file);
    let descriptor = Descriptor {
        file,
        close_on_exec,
    };
    if let Some(old) = c.process.descriptors.set(target, descriptor) {
        c.system.release(old.file);
    }
    Ok(target as u64)
}

pub(super) fn dup2(c: &mut Call<'_>) -> Answer {
    c.file_index(0)?;
    match c.int(0) == c.int(1) {
        true => Ok(c.uint(0).into()),
        false => duplicate_to(c, false),
    }
}

pub(super) fn dup3(c: &mut Call<'_>) -> Answer {
    if c.int(0) == c.int(1) || c.uint(2) & !O_CLOEXEC != 0 {
        return Err(Errno::EINVAL.into());
    }
    duplicate_to(c, c.uint(2) != 0)
}

pub(super) fn fcntl(c: &mut Call<'_>) -> Answer {
    let index = c.file_index(0)?;
    let (fd, value) = (c.int(0), c.args[2]);
    match c.uint(1) {
        F_DUPFD | F_DUPFD_CLOEXEC if value as u32 as usize >= DESCRIPTORS_MAX => {
            Err(Errno::EINVAL.into())
        }
        F_DUPFD => duplicate(c, value as u32 as usize, false),
        F_DUPFD_CLOEXEC => duplicate(c, value as u32 as usize, true),
        F_GETFD => Ok(c.process.descriptors.get(fd)?.close_on_exec.into()),
        F_SETFD => {
            let close = value as u32 & FD_CLOEXEC != 0;
            c.process.descriptors.get_mut(fd)?.close_on_exec = close;
            Ok(0)
        }
        F_GETFL => Ok(c.system.open.get(index)?.flags.into()),
        F_SETFL => {
            let file = c.system.open.get_mut(index)?;
            file.flags = file.flags & !CHANGEABLE | value as u32 & CHANGEABLE;
            Ok(0)
        }
        // A process alone always gets its locks, and sees none of others.
        F_SETLK | F_SETLKW => Ok(0),
        F_GETLK => {
            let none = (F_UNLCK as u16).to_le_bytes();
            c.process.memory.write(value, &none)?;
            Ok(0)
        }
        F_GETPIPE_SZ => match c.system.open.get(index)?.object {
            Object::Pipe(pipe, _) => {
                let pipe = c.system.pipes.get(pipe).ok_or(Errno::EBADF)?;
                Ok(pipe.capacity as u64)
            }
            _ => Err(Errno::EBADF.into()),
        },
        _ => Err(Errno::EINVAL.into()),
    }
}

pub(super) fn flock(c: &mut Call<'_>) -> Answer {
    c.file(0)?;
    Ok(0)
}

fn make_pipe(c: &mut Call<'_>, flags: u32) -> Answer {
    if flags & !(O_CLOEXEC | O_NONBLOCK | O_DIRECT) != 0 {
        return Err(Errno::EINVAL.into());
    }
    let least = c.process.descriptors.free(0)?;
    c.process.descriptors.free(least + 1)?;
    let pipe = (c.system.pipes).add(&mut c.system.files.budget)?;
    let status = flags & O_NONBLOCK;
    let close = flags & O_CLOEXEC != 0;
    let reader = OpenFile::new(Object::Pipe(pipe, Side::Read), None, O_RDONLY | status);
    let writer = OpenFile::new(Object::Pipe(pipe, Side::Write), None, O_WRONLY | status);
    let (reader, writer) = (
        c.add_descriptor(reader, close)?,
        c.add_descriptor(writer, close)?,
    );
    let pair = reader | writer << 32;
    if let Err(error) = c.process.memory.write(c.args[0], &pair.to_le_bytes()) {
        for fd in [reader, writer] {
            let gone = c.process.descriptors.remove(fd as i32)?;
            c.system.release(gone.file);
        }
        return Err(error.into());
    }
    Ok(0)
}

pub(super) fn pipe(c: &mut Call<'_>) -> Answer {
    make_pipe(c, 0)
}

pub(super) fn pipe2(c: &mut Call<'_>) -> Answer {
    make_pipe(c, c.uint(1))
}

pub(super) fn fsync(c: &mut Call<'_>) -> Answer {
    match c.file(0)?.object {
        Object::Pipe(..) | Object::Device(_) => Err(Errno::EINVAL.into()),
        _ => Ok(0),
    }
}

pub(super) fn sync(_: &mut Call<'_>) -> Answer {
    Ok(0)
}
