//! Room: where in a machine guest's RAM a loader puts things.

use super::LoadError;
use super::memory_map::{HIGH, LOW_END};
use alloc::format;
use alloc::vec::Vec;
use core::ops::Range;

/// What is taken of a guest's RAM.
pub(super) struct Room {
    size: u64,
    taken: Vec<Range<u64>>,
}

/// From which end to look for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Bottom,
    Top,
}

impl Room {
    /// All that the memory map of RAM of this size calls memory.
    pub(super) fn new(size: u64) -> Self {
        let taken = core::iter::once(LOW_END..HIGH).collect();
        Self { size, taken }
    }

    /// The size of the RAM.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Takes a block that has to be at `at`.
    pub(super) fn take(&mut self, what: &str, at: u64, length: u64) -> Result<(), LoadError> {
        let refuse = |why: &str| {
            let block = format!("{what} of {length:#x} bytes at {at:#x}");
            Err(LoadError::Program(format!("{block} {why}")))
        };
        if length == 0 {
            return Ok(());
        }
        let end = at.checked_add(length).filter(|&end| end <= self.size);
        let Some(end) = end else {
            let size_mib = self.size >> 20;
            return refuse(&format!("is outside the guest's {size_mib} MiB of memory"));
        };
        match self.over(&(at..end)) {
            Some(hole) if hole.start == LOW_END => {
                refuse("is over 0x9fc00 to 0x100000, where a PC has no free memory")
            }
            Some(other) => refuse(&format!(
                "overlaps what is at {:#x} to {:#x}",
                other.start, other.end
            )),
            None => {
                self.taken.push(at..end);
                Ok(())
            }
        }
    }

    /// Takes a block at the first multiple of `align` where it fits.
    pub(super) fn place(
        &mut self,
        length: u64,
        align: u64,
        within: Range<u64>,
        from: Side,
    ) -> Option<u64> {
        let within = within.start..within.end.min(self.size);
        let align = align.max(1);
        let at = match from {
            Side::Bottom => self.lowest(length, align, within)?,
            Side::Top => self.highest(length, align, within)?,
        };
        self.taken.push(at..at + length);
        Some(at)
    }

    fn lowest(&self, length: u64, align: u64, within: Range<u64>) -> Option<u64> {
        let mut at = within.start;
        loop {
            at = at.checked_next_multiple_of(align)?;
            let end = at.checked_add(length).filter(|&end| end <= within.end)?;
            match self.over(&(at..end)) {
                None => return Some(at),
                Some(taken) => at = taken.end,
            }
        }
    }

    fn highest(&self, length: u64, align: u64, within: Range<u64>) -> Option<u64> {
        let mut end = within.end;
        loop {
            let at = end.checked_sub(length)?;
            let at = at - at % align;
            if at < within.start {
                return None;
            }
            match self.over(&(at..at + length)) {
                None => return Some(at),
                Some(taken) => end = taken.start,
            }
        }
    }

    /// What is taken of a block.
    fn over(&self, block: &Range<u64>) -> Option<&Range<u64>> {
        let overlaps = |taken: &&Range<u64>| block.start < taken.end && taken.start < block.end;
        self.taken.iter().find(overlaps)
    }
}

#[cfg(test)]
mod tests;
