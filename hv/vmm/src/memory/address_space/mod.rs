//! The user address space of a process: areas, long-mode paging structures in the guest's RAM,
//! and demand paging between them.
//!
//! A private page of a file is copied when it is touched, so that no page is ever write-protected
//! for copy on write: a page that is present has the protection of its area.

mod area;
mod commit;
mod map;
mod user;

pub use area::{Area, Areas, Backing, Protection, USER_END, USER_START};
pub use map::Place;

use super::table::{self, Leaf, LongMode, Rights, page_size};
use super::{Frames, GuestRam};
use crate::errno::Errno;
use spec::addr::{L1Gpa, PAGE_SIZE};
use user::Translations;

/// How far the stack grows, in bytes: RLIMIT_STACK.
pub const STACK_MAX: u64 = 8 << 20;
/// How many areas a process may have; Linux' `vm.max_map_count` is 65530, but they are kept in
/// our own memory.
const AREAS_MAX: usize = 4096;
/// How many pages of a file are read at once when one is touched (Linux' `fault_around_bytes`).
const FILE_AROUND: u64 = 16;
/// How many pages of zeros are given at once.
const ZERO_AROUND: u64 = 4;

/// What an instruction tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read.
    Read,
    /// To write.
    Write,
    /// To fetch an instruction.
    Fetch,
}

/// Why a page cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is mapped there, or it is mapped, but not for this access: SIGSEGV.
    Segv {
        /// Something is mapped there.
        mapped: bool,
    },
    /// It lies behind the end of the file: SIGBUS.
    Bus,
    /// The guest's RAM is full: SIGKILL.
    OutOfMemory,
}

const NOT_MAPPED: Fault = Fault::Segv { mapped: false };

/// The user address space of a process.
pub struct AddressSpace {
    ram: GuestRam,
    frames: Frames,
    root: u64,
    areas: Areas,
    brk_start: u64,
    brk: u64,
    mmap_top: u64,
    pages: u64,
    structures: u64,
    committed: u64,
    resident: u64,
    flush: bool,
    translations: Translations,
}

impl AddressSpace {
    /// An empty space. `frames` is the free part of `ram`, in guest-physical numbers.
    pub fn new(ram: GuestRam, mut frames: Frames) -> Result<Self, Errno> {
        let pages = frames.free_bytes() / PAGE_SIZE;
        // Every second page free is the worst: freeing one never needs more memory of ours.
        frames
            .reserve_ranges(pages as usize / 2 + 2)
            .map_err(|_| Errno::ENOMEM)?;
        let root = frames.allocate_page().ok_or(Errno::ENOMEM)?;
        ram.zero(L1Gpa(root), PAGE_SIZE)
            .map_err(|_| Errno::ENOMEM)?;
        Ok(Self {
            ram,
            frames,
            root,
            areas: Areas::default(),
            brk_start: 0,
            brk: 0,
            mmap_top: USER_END - 2 * STACK_MAX,
            pages,
            structures: 1,
            committed: 0,
            resident: 0,
            flush: false,
            translations: Translations::default(),
        })
    }

    /// What CR3 holds.
    #[must_use]
    pub fn root(&self) -> u64 {
        self.root
    }

    /// The guest's RAM.
    #[must_use]
    pub fn ram(&self) -> GuestRam {
        self.ram
    }

    /// Free memory, in bytes.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.frames.free_bytes()
    }

    /// How many pages the process holds.
    #[must_use]
    pub fn resident_pages(&self) -> u64 {
        self.resident
    }

    /// Whether a page was taken away or its protection changed since the last call: the CPU
    /// must then forget its translations before the guest goes on.
    #[inline]
    pub fn take_flush(&mut self) -> bool {
        core::mem::take(&mut self.flush)
    }

    /// Maps one page for CPL 0, outside of the areas.
    pub fn map_kernel_page(&mut self, at: u64, page: u64, rights: Rights) -> Result<(), Errno> {
        self.build_structures(at..at + PAGE_SIZE)?;
        self.set_leaf(at, page, rights).ok_or(Errno::ENOMEM)
    }

    /// Makes the page at `at` present, if the areas allow this access.
    pub fn fault(&mut self, at: u64, access: Access) -> Result<(), Fault> {
        if self.areas.find(at).is_none() {
            self.grow_stack(at)?;
        }
        let area = *self.areas.find(at).ok_or(NOT_MAPPED)?;
        let allowed = match access {
            Access::Read => area.protection.any(),
            Access::Write => area.protection.write,
            Access::Fetch => area.protection.execute,
        };
        if !allowed {
            return Err(Fault::Segv { mapped: true });
        }
        let page = at & !(PAGE_SIZE - 1);
        if self.leaf(page).is_some() {
            // The CPU remembers an older protection.
            self.flush = true;
            return Ok(());
        }
        self.populate(&area, page)?;
        self.populate_around(&area, page);
        Ok(())
    }

    fn grow_stack(&mut self, at: u64) -> Result<(), Fault> {
        let page = at & !(PAGE_SIZE - 1);
        let area = *self.areas.above(page).ok_or(NOT_MAPPED)?;
        let floor = (area.end)
            .saturating_sub(STACK_MAX)
            .max(USER_START + PAGE_SIZE);
        // Linux keeps a gap of 256 pages below the stack.
        let gap_start = page.saturating_sub(256 * PAGE_SIZE);
        if !area.grows_down || page < floor || self.areas.within(gap_start..page).next().is_some() {
            return Err(NOT_MAPPED);
        }
        let grown = (area.start - page) / PAGE_SIZE;
        self.charge(page..area.start, grown)
            .map_err(|_| Fault::OutOfMemory)?;
        self.areas.insert(Area {
            start: page,
            end: area.start,
            ..area
        });
        Ok(())
    }

    /// The neighbours of a page that was touched will be touched too; each spares an exit.
    fn populate_around(&mut self, area: &Area, page: u64) {
        let around = match area.backing {
            Backing::Zero | Backing::Copied { .. } => ZERO_AROUND,
            Backing::Bytes { .. } => FILE_AROUND,
        } * PAGE_SIZE;
        let start = page & !(around - 1);
        let mut at = start.max(area.start);
        while at < (start + around).min(area.end) {
            if self.leaf(at).is_none() && self.populate(area, at).is_err() {
                return;
            }
            at += PAGE_SIZE;
        }
    }

    fn populate(&mut self, area: &Area, page: u64) -> Result<(), Fault> {
        let bytes = match area.backing {
            Backing::Zero => &[][..],
            Backing::Copied { end } if page < end => &[],
            Backing::Copied { .. } => return Err(Fault::Bus),
            Backing::Bytes { data, at } => {
                let start = usize::try_from(page.wrapping_sub(at)).unwrap_or(usize::MAX);
                let rest = data.get(start..).unwrap_or_default();
                if rest.is_empty() {
                    return Err(Fault::Bus);
                }
                &rest[..rest.len().min(PAGE_SIZE as usize)]
            }
        };
        let frame = self.frames.allocate_page().ok_or(Fault::OutOfMemory)?;
        let filled = self.fill(frame, bytes);
        let mapped = filled.and_then(|()| self.set_leaf(page, frame, area.protection.rights()));
        if mapped.is_none() {
            self.frames.add(frame..frame + PAGE_SIZE);
            return Err(Fault::OutOfMemory);
        }
        self.resident += 1;
        Ok(())
    }

    fn fill(&self, frame: u64, bytes: &[u8]) -> Option<()> {
        let length = bytes.len() as u64;
        self.ram.write(L1Gpa(frame), bytes).ok()?;
        self.ram
            .zero(L1Gpa(frame + length), PAGE_SIZE - length)
            .ok()
    }

    /// Maps a page where the structures are built.
    fn set_leaf(&mut self, at: u64, page: u64, rights: Rights) -> Option<()> {
        table::map::<LongMode>(&self.ram, self.root, at, page, 1, rights, &mut || None).ok()
    }

    fn leaf(&self, page: u64) -> Option<Leaf> {
        table::walk::<LongMode>(&self.ram, self.root, page).ok()
    }

    /// The first page in the range that is present. What has no paging structure is skipped.
    fn next_present(&self, mut at: u64, end: u64) -> Option<(u64, Leaf)> {
        while at < end {
            match table::walk::<LongMode>(&self.ram, self.root, at) {
                Ok(leaf) => return Some((at, leaf)),
                Err(level) => at = (at & !(page_size(level) - 1)).saturating_add(page_size(level)),
            }
        }
        None
    }

    /// A page was taken away or its protection changed.
    fn forget_translations(&mut self) {
        self.flush = true;
        self.translations = Translations::default();
    }
}

#[cfg(test)]
impl AddressSpace {
    /// What is kept for a process is within bounds.
    pub(crate) fn check_bounds(&self) {
        assert!(self.areas.count() <= AREAS_MAX);
        assert!(self.free_bytes() <= self.ram().size());
    }
}

#[cfg(test)]
mod tests;
