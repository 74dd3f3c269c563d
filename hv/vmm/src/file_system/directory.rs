//! Directories.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::Ino;

/// The place of `..` and of the first real entry in a directory's order.
const FIRST: u64 = 2;

/// The names in a directory. They are listed the newest first, as tmpfs does.
#[derive(Debug)]
pub struct Directory {
    /// The directory that holds this one; the root holds itself.
    pub parent: Ino,
    names: BTreeMap<Vec<u8>, Place>,
    order: BTreeMap<u64, Vec<u8>>,
    next: u64,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    ino: Ino,
    position: u64,
}

impl Directory {
    /// An empty directory.
    #[must_use]
    pub fn new(parent: Ino) -> Self {
        Self {
            parent,
            names: BTreeMap::new(),
            order: BTreeMap::new(),
            next: FIRST + 1,
        }
    }

    /// How many names there are, `.` and `..` not counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.names.len() as u64
    }

    /// What this name stands for.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<Ino> {
        Some(self.names.get(name)?.ino)
    }

    /// Adds a name, or lets it stand for something else.
    pub fn insert(&mut self, name: &[u8], ino: Ino) {
        self.remove(name);
        let position = self.next;
        self.next += 1;
        self.order.insert(position, name.to_vec());
        self.names.insert(name.to_vec(), Place { ino, position });
    }

    /// Removes a name.
    pub fn remove(&mut self, name: &[u8]) -> Option<Ino> {
        let place = self.names.remove(name)?;
        self.order.remove(&place.position);
        Some(place.ino)
    }

    /// The name that stands for this inode.
    #[must_use]
    pub fn name_of(&self, ino: Ino) -> Option<&[u8]> {
        let found = self.names.iter().find(|(_, place)| place.ino == ino);
        Some(found?.0)
    }

    /// What comes at `position` of a listing: the name, the inode, and the position to go on
    /// from. It begins at 0; names that come or go meanwhile do not disturb it.
    #[must_use]
    pub fn at(&self, position: u64, itself: Ino) -> Option<(&[u8], Ino, u64)> {
        match position {
            0 => Some((b".", itself, 1)),
            1 => Some((b"..", self.parent, FIRST)),
            _ => {
                let end = if position == FIRST {
                    u64::MAX
                } else {
                    position
                };
                let (&at, name) = self.order.range(..end).next_back()?;
                Some((name, self.get(name)?, at))
            }
        }
    }
}
