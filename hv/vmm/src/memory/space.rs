//! A guest's guest-physical space: its RAM and perhaps a ROM, mapped as they are touched with the largest pages that
//! both the alignment and the engine allow.

use super::ram::Rom;
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
    ram: Block,
    rom: Option<Block>,
    root: Hpa,
    structures: Vec<u64>,
}

/// Guest-physical memory that is in one piece of ours.
#[derive(Clone, Copy)]
struct Block {
    start: u64,
    size: u64,
    base: Hpa,
    rights: Rights,
}

impl Block {
    const fn ram(base: Hpa, size: u64) -> Self {
        Self {
            start: 0,
            size,
            base,
            rights: Rights::ALL,
        }
    }

    fn has(&self, at: L1Gpa) -> bool {
        at.0.checked_sub(self.start)
            .is_some_and(|offset| offset < self.size)
    }

    /// A page of this level around `at` lies within, and is aligned in the host too.
    fn fits(&self, at: L1Gpa, level: u8) -> bool {
        let size = page_size(level);
        let page = at.align_down(size).0.checked_sub(self.start);
        page.is_some_and(|page| page + size <= self.size)
            && self.base.0.wrapping_sub(self.start).is_multiple_of(size)
    }
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
            ram: Block::ram(Hpa(base), size),
            rom: None,
            root: Hpa(root),
            structures,
        })
    }

    /// The guest's RAM, with the ROM to be read.
    #[must_use]
    pub fn ram(&self) -> GuestRam {
        let rom = self.rom.map(|rom| Rom {
            start: rom.start,
            size: rom.size,
            base: rom.base,
        });
        GuestRam::new(self.memory, self.ram.base, self.ram.size).with_rom(rom)
    }

    /// Adds the space's only ROM with these bytes, which end at 4 GiB; they are whole pages and less than 1 GiB.
    pub fn add_rom(&mut self, bytes: &[u8]) -> Result<(), OutOfFrames> {
        let size = bytes.len() as u64;
        debug_assert!(self.rom.is_none() && size.is_multiple_of(PAGE_SIZE) && size < page_size(3));
        let base = self.frames.lock().allocate(size, PAGE_SIZE);
        let base = Hpa(base.ok_or(OutOfFrames)?);
        self.memory.write(base, bytes);
        self.rom = Some(Block {
            start: (1 << 32) - size,
            size,
            base,
            rights: Rights {
                write: false,
                ..Rights::ALL
            },
        });
        Ok(())
    }

    /// The root of the nested paging structures.
    #[must_use]
    pub fn root(&self) -> Hpa {
        self.root
    }

    /// Maps the memory around `at`. False if there is none that takes such an access.
    pub fn populate(&mut self, at: L1Gpa, write: bool) -> Result<bool, OutOfFrames> {
        let blocks = [Some(self.ram), self.rom];
        let mut blocks = blocks.into_iter().flatten();
        let found = blocks.find(|block| block.has(at) && (block.rights.write || !write));
        let Some(block) = found else {
            return Ok(false);
        };
        let top = if self.capabilities.nested_1g_pages {
            3
        } else {
            2
        };
        let level = (1..=top)
            .rev()
            .find(|&level| block.fits(at, level))
            .unwrap_or(1);
        let start = at.align_down(page_size(level)).0;
        match self.capabilities.nested_format {
            NestedFormat::Ept => self.map::<Ept>(&block, start, level)?,
            NestedFormat::Npt => self.map::<LongMode>(&block, start, level)?,
        }
        Ok(true)
    }

    fn map<F: table::Format>(
        &mut self,
        block: &Block,
        start: u64,
        level: u8,
    ) -> Result<(), OutOfFrames> {
        let (memory, frames, structures) = (self.memory, self.frames, &mut self.structures);
        table::map::<F>(
            &memory,
            self.root.0,
            start,
            block.base.0 + (start - block.start),
            level,
            block.rights,
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
        for block in [Some(self.ram), self.rom].into_iter().flatten() {
            frames.add(block.base.0..block.base.0 + block.size);
        }
        for &page in &self.structures {
            frames.add(page..page + PAGE_SIZE);
        }
    }
}

#[cfg(test)]
mod tests;
