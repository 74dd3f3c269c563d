//! Open files: what descriptors refer to. Duplicated descriptors share one, with its offset.

use super::pipe::{Pipes, Side};
use crate::errno::Errno;
use crate::file_system::{FileSystem, Ino};
use alloc::vec::Vec;
use linux_raw_sys::general::{O_ACCMODE, O_PATH, O_RDONLY, O_WRONLY};

/// What is behind a device node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// `/dev/null`.
    Null,
    /// `/dev/zero`.
    Zero,
    /// `/dev/full`.
    Full,
    /// `/dev/random` and `/dev/urandom`.
    Random,
    /// `/dev/console` and `/dev/tty`.
    Terminal,
}

impl Device {
    /// The device with these numbers (Linux' devices.txt).
    #[must_use]
    pub const fn from_numbers(major: u32, minor: u32) -> Option<Self> {
        match (major, minor) {
            (1, 3) => Some(Self::Null),
            (1, 5) => Some(Self::Zero),
            (1, 7) => Some(Self::Full),
            (1, 8 | 9) => Some(Self::Random),
            (5, 0 | 1) => Some(Self::Terminal),
            _ => None,
        }
    }
}

/// What an open file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A device.
    Device(Device),
    /// One side of a pipe.
    Pipe(usize, Side),
    /// Only a place in the file system (O_PATH).
    Path,
}

/// An open file.
#[derive(Clone, Debug)]
pub struct OpenFile {
    /// What it is.
    pub object: Object,
    /// Its inode; pipes have none.
    pub ino: Option<Ino>,
    /// Access mode and status flags, as F_GETFL gives them.
    pub flags: u32,
    /// Where the next read or write begins.
    pub offset: u64,
    references: u32,
}

impl OpenFile {
    /// A new open file, with one reference.
    #[must_use]
    pub const fn new(object: Object, ino: Option<Ino>, flags: u32) -> Self {
        Self {
            object,
            ino,
            flags,
            offset: 0,
            references: 1,
        }
    }

    /// It may be read.
    pub fn check_readable(&self) -> Result<(), Errno> {
        match self.flags & O_PATH == 0 && self.flags & O_ACCMODE != O_WRONLY {
            true => Ok(()),
            false => Err(Errno::EBADF),
        }
    }

    /// It may be written.
    pub fn check_writable(&self) -> Result<(), Errno> {
        match self.flags & O_PATH == 0 && self.flags & O_ACCMODE != O_RDONLY {
            true => Ok(()),
            false => Err(Errno::EBADF),
        }
    }
}

/// All open files of a guest.
#[derive(Debug, Default)]
pub struct OpenFiles(Vec<Option<OpenFile>>);

impl OpenFiles {
    /// Adds one, with one reference; ENFILE if there is no memory for it.
    pub fn add(&mut self, file: OpenFile) -> Result<usize, Errno> {
        if let Some(free) = self.0.iter().position(Option::is_none) {
            self.0[free] = Some(file);
            return Ok(free);
        }
        self.0.try_reserve(1).map_err(|_| Errno::ENFILE)?;
        self.0.push(Some(file));
        Ok(self.0.len() - 1)
    }

    /// An open file.
    #[inline]
    pub fn get(&self, index: usize) -> Result<&OpenFile, Errno> {
        match self.0.get(index) {
            Some(Some(file)) => Ok(file),
            _ => Err(Errno::EBADF),
        }
    }

    /// An open file, to change.
    pub fn get_mut(&mut self, index: usize) -> Result<&mut OpenFile, Errno> {
        match self.0.get_mut(index) {
            Some(Some(file)) => Ok(file),
            _ => Err(Errno::EBADF),
        }
    }

    /// One more descriptor refers to it.
    pub fn share(&mut self, index: usize) {
        if let Ok(file) = self.get_mut(index) {
            file.references += 1;
        }
    }

    /// One descriptor less refers to it; without any it is closed.
    pub fn release(&mut self, index: usize, files: &mut FileSystem, pipes: &mut Pipes) {
        let Ok(file) = self.get_mut(index) else {
            return;
        };
        file.references -= 1;
        if file.references > 0 {
            return;
        }
        if let Some(ino) = file.ino {
            files.close(ino);
        }
        if let Object::Pipe(pipe, side) = file.object {
            pipes.close(pipe, side, &mut files.budget);
        }
        self.0[index] = None;
    }
}
