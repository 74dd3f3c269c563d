//! A guest's guest-physical space: its RAM, mapped as it is touched with the largest pages that
//! both the alignment and the engine allow.

use super::table::{self, Ept, LongMode, OutOfFrames, Rights, page_size};
use super::{Frames, GuestRam};
use crate::machine::{Capabilities, Memory, NestedFormat};
use alloc::vec::Vec;
use spec::addr::{Hpa, L1Gpa, PAGE_SIZE};
use spin::Mutex;

/// The nested paging structures of one guest.
pub struct Space {
    memory: &'static dyn Memory,
    frames: &'static Mutex<Frames>,
    capabilities: Capabilities,
    base: Hpa,
    size: u64,
    root: Hpa,
    structures: Vec<u64>,
}

impl Space {
    /// A space with `size` bytes of RAM, nothing mapped yet. The RAM holds what it held before:
    /// who gives it to a guest zeroes it, all at once or page by page.
    pub fn new(
        memory: &'static dyn Memory,
        frames: &'static Mutex<Frames>,
        capabilities: Capabilities,
        size: u64,
    ) -> Result<Self, OutOfFrames> {
        let size = size
            .checked_next_multiple_of(page_size(2))
            .ok_or(OutOfFrames)?;
        let wanted = if capabilities.nested_1g_pages && size >= page_size(3) {
            page_size(3)
        } else {
            page_size(2)
        };
        let mut free = frames.lock();
        let base = free
            .allocate(size, wanted)
            .or_else(|| free.allocate(size, page_size(2)))
            .ok_or(OutOfFrames)?;
        let Some(root) = free.allocate_page() else {
            free.add(base..base + size);
            return Err(OutOfFrames);
        };
        drop(free);
        memory.zero(Hpa(root), PAGE_SIZE);
        let structures = [root].into();
        Ok(Self {
            memory,
            frames,
            capabilities,
            base: Hpa(base),
            size,
            root: Hpa(root),
            structures,
        })
    }

    /// The guest's RAM.
    #[must_use]
    pub fn ram(&self) -> GuestRam {
        GuestRam::new(self.memory, self.base, self.size)
    }

    /// The root of the nested paging structures.
    #[must_use]
    pub fn root(&self) -> Hpa {
        self.root
    }

    /// Maps the RAM around `at`. False if there is no RAM.
    pub fn populate(&mut self, at: L1Gpa) -> Result<bool, OutOfFrames> {
        if at.0 >= self.size {
            return Ok(false);
        }
        let top = if self.capabilities.nested_1g_pages {
            3
        } else {
            2
        };
        let level = (1..=top)
            .rev()
            .find(|&level| self.fits(at, level))
            .unwrap_or(1);
        let start = at.align_down(page_size(level)).0;
        match self.capabilities.nested_format {
            NestedFormat::Ept => self.map::<Ept>(start, level)?,
            NestedFormat::Npt => self.map::<LongMode>(start, level)?,
        }
        Ok(true)
    }

    /// A page of this level around `at` lies within RAM and is aligned in the host too.
    fn fits(&self, at: L1Gpa, level: u8) -> bool {
        let size = page_size(level);
        self.base.offset_in(size) == 0 && at.align_down(size).0 + size <= self.size
    }

    fn map<F: table::Format>(&mut self, start: u64, level: u8) -> Result<(), OutOfFrames> {
        let (memory, frames, structures) = (self.memory, self.frames, &mut self.structures);
        table::map::<F>(
            &memory,
            self.root.0,
            start,
            self.base.0 + start,
            level,
            Rights::ALL,
            &mut || {
                let page = frames.lock().allocate_page()?;
                memory.zero(Hpa(page), PAGE_SIZE);
                structures.push(page);
                Some(page)
            },
        )
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let mut frames = self.frames.lock();
        frames.add(self.base.0..self.base.0 + self.size);
        for &page in &self.structures {
            frames.add(page..page + PAGE_SIZE);
        }
    }
}

#[cfg(test)]
mod tests;
