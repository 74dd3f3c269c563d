//! A file system in memory that behaves like Linux' tmpfs. Every process is root: permissions
//! are kept and shown, and refuse nothing.

pub mod directory;
pub mod inode;
pub mod path;

pub use directory::Directory;
pub use inode::{Ino, Inode, Kind, Time};
pub use path::Spot;

use crate::errno::Errno;
use crate::memory::contents::{Budget, Contents};
use alloc::collections::BTreeMap;
use linux_raw_sys::general::{S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG};
use spec::addr::PAGE_SIZE;

/// The inode of the root directory.
pub const ROOT: Ino = 1;
/// The inode of the console, which descriptors 0 to 2 are from the start.
pub const CONSOLE: Ino = 2;
/// How many links an inode may have.
const LINKS_MAX: u32 = 32_000;
/// What a name is charged: it is kept twice, with at most 255 bytes, in nodes that may be half empty.
const NAME_COST: u64 = 1024;
/// What an inode with its first name is charged; a directory has nodes of its own besides.
const INODE_COST: u64 = 2048;

/// Devices that are there under `/dev` although no archive has them, and that no listing shows:
/// name, major and minor number.
const HIDDEN: [(&[u8], u32, u32); 7] = [
    (b"console", 5, 1),
    (b"null", 1, 3),
    (b"zero", 1, 5),
    (b"full", 1, 7),
    (b"random", 1, 8),
    (b"urandom", 1, 9),
    (b"tty", 5, 0),
];

/// All inodes of one guest.
#[derive(Debug)]
pub struct FileSystem {
    inodes: BTreeMap<Ino, Inode>,
    next: Ino,
    /// What files, names and pipes may still take.
    pub budget: Budget,
}

impl FileSystem {
    /// An empty root directory, and room for this many bytes.
    #[must_use]
    pub fn new(capacity: u64, now: Time) -> Self {
        let mut root = Inode::new(S_IFDIR | 0o755, Kind::Directory(Directory::new(ROOT)), now);
        root.links = 2;
        let mut inodes = BTreeMap::from([(ROOT, root)]);
        for (ino, (_, major, minor)) in (CONSOLE..).zip(HIDDEN) {
            let mode = if major == 5 { 0o620 } else { 0o666 };
            let mut device = Inode::new(S_IFCHR | mode, Kind::Device(major, minor), now);
            device.links = 1;
            inodes.insert(ino, device);
        }
        Self {
            inodes,
            next: CONSOLE + HIDDEN.len() as u64,
            budget: Budget::new(capacity),
        }
    }

    /// The device of this name, if `directory` is `/dev`.
    fn hidden(&self, directory: Ino, name: &[u8]) -> Option<Ino> {
        let place = HIDDEN.iter().position(|(hidden, ..)| *hidden == name)?;
        let dev = self.directory(ROOT).ok()?.get(b"dev")?;
        (dev == directory).then_some(CONSOLE + place as u64)
    }

    /// How many inodes there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.inodes.len() as u64
    }

    /// An inode.
    #[inline]
    pub fn inode(&self, ino: Ino) -> Result<&Inode, Errno> {
        self.inodes.get(&ino).ok_or(Errno::ENOENT)
    }

    /// An inode, to change.
    pub fn inode_mut(&mut self, ino: Ino) -> Result<&mut Inode, Errno> {
        self.inodes.get_mut(&ino).ok_or(Errno::ENOENT)
    }

    /// A directory.
    pub fn directory(&self, ino: Ino) -> Result<&Directory, Errno> {
        match &self.inode(ino)?.kind {
            Kind::Directory(directory) => Ok(directory),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn directory_mut(&mut self, ino: Ino) -> Result<&mut Directory, Errno> {
        match &mut self.inode_mut(ino)?.kind {
            Kind::Directory(directory) => Ok(directory),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// A file's bytes.
    pub fn contents(&self, ino: Ino) -> Result<&Contents, Errno> {
        match &self.inode(ino)?.kind {
            Kind::File(contents) => Ok(contents),
            Kind::Directory(_) => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    /// A file's bytes, to change, and what they may take.
    pub fn contents_mut(&mut self, ino: Ino) -> Result<(&mut Contents, &mut Budget), Errno> {
        let inode = self.inodes.get_mut(&ino).ok_or(Errno::ENOENT)?;
        match &mut inode.kind {
            Kind::File(contents) => Ok((contents, &mut self.budget)),
            Kind::Directory(_) => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Makes an inode at a spot where nothing is.
    pub fn create(&mut self, spot: &Spot, inode: Inode) -> Result<Ino, Errno> {
        if !spot.is_plain() || self.entry(spot)?.is_some() {
            return Err(Errno::EEXIST);
        }
        if spot.must_be_directory && !inode.is_directory() {
            return Err(Errno::ENOENT);
        }
        self.check_alive(spot.directory)?;
        self.budget.take(cost(&inode))?;
        let (ino, now) = (self.next, inode.changed);
        self.next += 1;
        self.inodes.insert(ino, inode);
        if let Kind::Directory(directory) = &mut self.inode_mut(ino)?.kind {
            directory.parent = spot.directory;
            self.inode_mut(ino)?.links = 1;
        }
        self.add_name(spot, ino, now)?;
        Ok(ino)
    }

    /// Nothing can be added to a directory that was removed.
    fn check_alive(&self, directory: Ino) -> Result<(), Errno> {
        match self.inode(directory)?.links {
            0 => Err(Errno::ENOENT),
            _ => Ok(()),
        }
    }

    fn add_name(&mut self, spot: &Spot, ino: Ino, now: Time) -> Result<(), Errno> {
        let inode = self.inode_mut(ino)?;
        inode.links += 1;
        inode.changed = now;
        let is_directory = inode.is_directory();
        self.directory_mut(spot.directory)?.insert(&spot.name, ino);
        let directory = self.inode_mut(spot.directory)?;
        directory.links += u32::from(is_directory);
        directory.touch(now);
        Ok(())
    }

    fn remove_name(&mut self, spot: &Spot, ino: Ino, now: Time) -> Result<(), Errno> {
        self.directory_mut(spot.directory)?.remove(&spot.name);
        let is_directory = self.inode(ino)?.is_directory();
        let directory = self.inode_mut(spot.directory)?;
        directory.links -= u32::from(is_directory);
        directory.touch(now);
        let inode = self.inode_mut(ino)?;
        inode.links -= 1;
        inode.changed = now;
        Ok(())
    }

    /// Makes a file.
    pub fn create_file(&mut self, spot: &Spot, mode: u32, now: Time) -> Result<Ino, Errno> {
        let kind = Kind::File(Contents::default());
        self.create(spot, Inode::new(S_IFREG | mode & 0o7777, kind, now))
    }

    /// Makes a directory.
    pub fn create_directory(&mut self, spot: &Spot, mode: u32, now: Time) -> Result<Ino, Errno> {
        let kind = Kind::Directory(Directory::new(spot.directory));
        self.create(spot, Inode::new(S_IFDIR | mode & 0o7777, kind, now))
    }

    /// Makes a symbolic link.
    pub fn create_link(&mut self, spot: &Spot, target: &[u8], now: Time) -> Result<Ino, Errno> {
        let kind = Kind::Link(target.to_vec());
        self.create(spot, Inode::new(S_IFLNK | 0o777, kind, now))
    }

    /// Gives an inode one more name.
    pub fn link(&mut self, ino: Ino, spot: &Spot, now: Time) -> Result<(), Errno> {
        if !spot.is_plain() || self.entry(spot)?.is_some() {
            return Err(Errno::EEXIST);
        }
        let inode = self.inode(ino)?;
        if inode.is_directory() || inode.links == 0 {
            return Err(if inode.is_directory() {
                Errno::EPERM
            } else {
                Errno::ENOENT
            });
        }
        if inode.links >= LINKS_MAX {
            return Err(Errno::EMLINK);
        }
        if spot.must_be_directory {
            return Err(Errno::ENOENT);
        }
        self.check_alive(spot.directory)?;
        self.budget.take(NAME_COST)?;
        self.add_name(spot, ino, now)
    }

    /// Removes a name of something that is no directory.
    pub fn unlink(&mut self, spot: &Spot, now: Time) -> Result<(), Errno> {
        let ino = self.named(spot)?;
        if self.inode(ino)?.is_directory() {
            return Err(Errno::EISDIR);
        }
        if spot.must_be_directory {
            return Err(Errno::ENOTDIR);
        }
        self.drop_name(spot, ino, now)
    }

    /// Removes a name, and the inode if it was the last one.
    fn drop_name(&mut self, spot: &Spot, ino: Ino, now: Time) -> Result<(), Errno> {
        self.remove_name(spot, ino, now)?;
        if self.inode(ino)?.links > 0 {
            self.budget.give(NAME_COST);
        }
        self.forget_if_unused(ino);
        Ok(())
    }

    /// What is at a spot that has a name of its own.
    fn named(&self, spot: &Spot) -> Result<Ino, Errno> {
        match spot.name.as_slice() {
            b"" => return Err(Errno::EBUSY),
            b"." => return Err(Errno::EINVAL),
            b".." => return Err(Errno::ENOTEMPTY),
            _ => {}
        }
        let directory = self.directory(spot.directory)?;
        directory.get(&spot.name).ok_or(Errno::ENOENT)
    }

    /// Removes an empty directory.
    pub fn remove_directory(&mut self, spot: &Spot, now: Time) -> Result<(), Errno> {
        let ino = self.named(spot)?;
        if self.directory(ino)?.count() > 0 {
            return Err(Errno::ENOTEMPTY);
        }
        self.remove_name(spot, ino, now)?;
        self.inode_mut(ino)?.links = 0;
        self.forget_if_unused(ino);
        Ok(())
    }

    /// Renames, in place of what has the new name unless `replace` is false.
    pub fn rename(
        &mut self,
        from: &Spot,
        to: &Spot,
        replace: bool,
        now: Time,
    ) -> Result<(), Errno> {
        if !from.is_plain() || !to.is_plain() {
            return Err(Errno::EBUSY);
        }
        let ino = self.named(from)?;
        let is_directory = self.inode(ino)?.is_directory();
        if !is_directory && (from.must_be_directory || to.must_be_directory) {
            return Err(Errno::ENOTDIR);
        }
        if is_directory && self.holds(ino, to.directory)? {
            return Err(Errno::EINVAL);
        }
        self.check_alive(to.directory)?;
        if let Some(old) = self.directory(to.directory)?.get(&to.name) {
            if !replace {
                return Err(Errno::EEXIST);
            }
            if old == ino {
                return Ok(());
            }
            self.displace(to, old, is_directory, now)?;
        }
        // The new name first: where there is no room for it, the old one stays.
        self.add_name(to, ino, now)?;
        self.remove_name(from, ino, now)?;
        if is_directory {
            self.directory_mut(ino)?.parent = to.directory;
        }
        Ok(())
    }

    /// Removes what a rename replaces.
    fn displace(
        &mut self,
        to: &Spot,
        old: Ino,
        by_directory: bool,
        now: Time,
    ) -> Result<(), Errno> {
        match (self.inode(old)?.is_directory(), by_directory) {
            (true, true) => self.remove_directory(to, now),
            (true, false) => Err(Errno::EISDIR),
            (false, true) => Err(Errno::ENOTDIR),
            (false, false) => self.drop_name(to, old, now),
        }
    }

    /// Whether `inner` is `outer` or lies below it.
    fn holds(&self, outer: Ino, mut inner: Ino) -> Result<bool, Errno> {
        while inner != outer {
            if inner == ROOT {
                return Ok(false);
            }
            inner = self.directory(inner)?.parent;
        }
        Ok(true)
    }

    /// An open file refers to this inode from now on.
    pub fn open(&mut self, ino: Ino) {
        if let Some(inode) = self.inodes.get_mut(&ino) {
            inode.opens += 1;
        }
    }

    /// One open file less refers to this inode.
    pub fn close(&mut self, ino: Ino) {
        if let Some(inode) = self.inodes.get_mut(&ino) {
            inode.opens = inode.opens.saturating_sub(1);
        }
        self.forget_if_unused(ino);
    }

    fn forget_if_unused(&mut self, ino: Ino) {
        let unused = |inode: &Inode| inode.links == 0 && inode.opens == 0;
        if self.inodes.get(&ino).is_some_and(unused)
            && let Some(inode) = self.inodes.remove(&ino)
        {
            self.budget.give(cost(&inode));
        }
    }

    /// All inodes that hang in the tree from the root, each once: for tests.
    #[cfg(test)]
    fn reachable(&self) -> std::collections::BTreeSet<Ino> {
        let (mut seen, mut open) = (std::collections::BTreeSet::new(), std::vec![ROOT]);
        while let Some(ino) = open.pop() {
            seen.insert(ino);
            let Ok(directory) = self.directory(ino) else {
                continue;
            };
            let mut position = 2;
            while let Some((_, child, next)) = directory.at(position, ino) {
                position = next;
                open.push(child);
            }
        }
        seen
    }
}

/// What an inode is charged, with what it holds.
fn cost(inode: &Inode) -> u64 {
    INODE_COST
        + match &inode.kind {
            Kind::File(contents) => contents.owned_pages() * PAGE_SIZE,
            Kind::Link(target) => target.len() as u64,
            _ => 0,
        }
}

#[cfg(test)]
mod tests;
