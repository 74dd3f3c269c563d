//! The file descriptors of a process.

use crate::errno::Errno;
use alloc::vec::Vec;

/// How many descriptors a process may have: RLIMIT_NOFILE.
pub const DESCRIPTORS_MAX: usize = 1024;

/// One descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Its open file.
    pub file: usize,
    /// It is closed by execve.
    pub close_on_exec: bool,
}

/// The descriptors of a process.
#[derive(Clone, Debug)]
pub struct Descriptors(Vec<Option<Descriptor>>);

impl Default for Descriptors {
    /// None, with the memory for all that there can be.
    fn default() -> Self {
        Self(Vec::with_capacity(DESCRIPTORS_MAX))
    }
}

impl Descriptors {
    /// The open file behind a descriptor.
    #[inline]
    pub fn file(&self, fd: i32) -> Result<usize, Errno> {
        Ok(self.get(fd)?.file)
    }

    /// A descriptor.
    #[inline]
    pub fn get(&self, fd: i32) -> Result<Descriptor, Errno> {
        match self.0.get(fd as u32 as usize) {
            Some(Some(descriptor)) => Ok(*descriptor),
            _ => Err(Errno::EBADF),
        }
    }

    /// A descriptor, to change.
    pub fn get_mut(&mut self, fd: i32) -> Result<&mut Descriptor, Errno> {
        match self.0.get_mut(fd as u32 as usize) {
            Some(Some(descriptor)) => Ok(descriptor),
            _ => Err(Errno::EBADF),
        }
    }

    /// The lowest free number from `least` on.
    pub fn free(&self, least: usize) -> Result<usize, Errno> {
        let used = |fd: &usize| self.0.get(*fd).is_some_and(Option::is_some);
        let free = (least..DESCRIPTORS_MAX).find(|fd| !used(fd));
        free.ok_or(Errno::EMFILE)
    }

    /// Adds a descriptor with the lowest free number from `least` on.
    pub fn add(&mut self, descriptor: Descriptor, least: usize) -> Result<u64, Errno> {
        let fd = self.free(least)?;
        self.set(fd, descriptor);
        Ok(fd as u64)
    }

    /// Puts a descriptor at this number, and returns what was there.
    pub fn set(&mut self, fd: usize, descriptor: Descriptor) -> Option<Descriptor> {
        if self.0.len() <= fd {
            self.0.resize(fd + 1, None);
        }
        self.0[fd].replace(descriptor)
    }

    /// Removes a descriptor.
    pub fn remove(&mut self, fd: i32) -> Result<Descriptor, Errno> {
        let slot = self.0.get_mut(fd as u32 as usize).ok_or(Errno::EBADF)?;
        slot.take().ok_or(Errno::EBADF)
    }

    /// The numbers that are in use.
    pub fn numbers(&self) -> impl Iterator<Item = usize> {
        let used = self.0.iter().enumerate().filter(|(_, d)| d.is_some());
        used.map(|(fd, _)| fd)
    }
}
