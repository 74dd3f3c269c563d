//! Inodes.

use crate::memory::contents::Contents;
use alloc::vec::Vec;
use linux_raw_sys::general::{
    S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK,
};
use spec::addr::PAGE_SIZE;

use super::directory::Directory;

/// The number of an inode.
pub type Ino = u64;

/// A point in time, since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanoseconds: u32,
}

/// What an inode is.
#[derive(Debug)]
pub enum Kind {
    /// A file.
    File(Contents),
    /// A directory.
    Directory(Directory),
    /// A symbolic link, with its target.
    Link(Vec<u8>),
    /// A character or block device, with its major and minor number.
    Device(u32, u32),
    /// A named pipe or socket: it is there, and cannot be opened.
    Other,
}

/// A file, directory, link or device.
#[derive(Debug)]
pub struct Inode {
    /// Type and permissions (`S_IFMT` and below).
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// How many names it has.
    pub links: u32,
    /// How many open files refer to it.
    pub opens: u32,
    /// When it was read.
    pub accessed: Time,
    /// When its contents changed.
    pub modified: Time,
    /// When anything about it changed.
    pub changed: Time,
    /// What it is.
    pub kind: Kind,
}

impl Inode {
    /// A new inode without a name.
    #[must_use]
    pub fn new(mode: u32, kind: Kind, now: Time) -> Self {
        Self {
            mode,
            uid: 0,
            gid: 0,
            links: 0,
            opens: 0,
            accessed: now,
            modified: now,
            changed: now,
            kind,
        }
    }

    /// Its size as tmpfs gives it, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.kind {
            Kind::File(contents) => contents.size(),
            Kind::Directory(directory) => 40 + 20 * directory.count(),
            Kind::Link(target) => target.len() as u64,
            Kind::Device(..) | Kind::Other => 0,
        }
    }

    /// The memory that it takes, in units of 512 bytes. tmpfs counts only files' pages, and
    /// those of links too long for an inode.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        match &self.kind {
            Kind::File(contents) => contents.used_pages() * (PAGE_SIZE / 512),
            Kind::Link(target) if target.len() >= 128 => PAGE_SIZE / 512,
            _ => 0,
        }
    }

    /// Its device number as stat gives it.
    #[must_use]
    pub fn rdev(&self) -> u64 {
        match self.kind {
            Kind::Device(major, minor) => {
                u64::from(minor & 0xff) | u64::from(major) << 8 | u64::from(minor & !0xff) << 12
            }
            _ => 0,
        }
    }

    /// Its type as a directory entry gives it: `S_IFMT` shifted down.
    #[must_use]
    pub fn entry_type(&self) -> u8 {
        (self.mode >> 12 & 15) as u8
    }

    /// It is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory(_))
    }

    /// Its contents changed.
    pub fn touch(&mut self, now: Time) {
        self.modified = now;
        self.changed = now;
    }
}

/// Whether this mode names a type of inode that can be made.
#[must_use]
pub fn type_is_known(mode: u32) -> bool {
    matches!(
        mode & S_IFMT,
        S_IFBLK | S_IFCHR | S_IFDIR | S_IFIFO | S_IFLNK | S_IFREG | S_IFSOCK
    )
}
