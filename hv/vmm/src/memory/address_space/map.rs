//! Mapping and unmapping: what mmap, munmap, mprotect, mremap and brk do.

use super::area::{Area, Backing, Protection, USER_END, USER_START};
use super::{AddressSpace, LongMode, table};
use crate::errno::Errno;
use core::ops::Range;
use spec::addr::{L1Gpa, PAGE_SIZE};

/// Where a new area goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// There if it is free, else anywhere; 0 is no wish.
    Hint(u64),
    /// There, in place of what is there (MAP_FIXED).
    Fixed(u64),
    /// There if it is free, else EEXIST (MAP_FIXED_NOREPLACE).
    FixedNoReplace(u64),
}

/// `length` rounded up to whole pages.
fn pages_up(length: u64) -> Result<u64, Errno> {
    length
        .checked_next_multiple_of(PAGE_SIZE)
        .ok_or(Errno::ENOMEM)
}

/// The page-aligned range, if it lies in the part that a process can use.
fn user_range(start: u64, length: u64, outside: Errno) -> Result<Range<u64>, Errno> {
    if !start.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let end = start.checked_add(pages_up(length).map_err(|_| outside)?);
    match end {
        Some(end) if end <= USER_END => Ok(start..end),
        _ => Err(outside),
    }
}

impl AddressSpace {
    /// Adds an area, and returns where. Addresses in the backing count from the area's start.
    pub fn map(
        &mut self,
        place: Place,
        length: u64,
        protection: Protection,
        backing: Backing,
    ) -> Result<u64, Errno> {
        if length == 0 {
            return Err(Errno::EINVAL);
        }
        let length = pages_up(length)?;
        let start = self.choose(place, length)?;
        if let Place::Fixed(_) = place {
            self.unmap(start, length)?;
        }
        self.add(Area {
            start,
            end: start + length,
            protection,
            backing: backing.moved(start),
            grows_down: false,
            charged: protection.any() || matches!(backing, Backing::Copied { .. }),
        })?;
        Ok(start)
    }

    fn add(&mut self, area: Area) -> Result<(), Errno> {
        self.check_area_count(1)?;
        self.charge(area.start..area.end, area.committed_pages())?;
        self.areas.insert(area);
        Ok(())
    }

    fn choose(&self, place: Place, length: u64) -> Result<u64, Errno> {
        match place {
            Place::Fixed(at) | Place::FixedNoReplace(at) => {
                let range = user_range(at, length, Errno::ENOMEM)?;
                if at < USER_START {
                    return Err(Errno::EPERM);
                }
                let replace = matches!(place, Place::Fixed(_));
                match replace || self.is_free(range) {
                    true => Ok(at),
                    false => Err(Errno::EEXIST),
                }
            }
            Place::Hint(at) => {
                let at = at & !(PAGE_SIZE - 1);
                let wished = user_range(at, length, Errno::ENOMEM)
                    .is_ok_and(|range| at >= USER_START && self.is_free(range));
                if wished {
                    return Ok(at);
                }
                self.areas.gap(length, self.mmap_top).ok_or(Errno::ENOMEM)
            }
        }
    }

    fn is_free(&self, range: Range<u64>) -> bool {
        self.areas.within(range).next().is_none()
    }

    /// Adds the stack below `top`, if nothing lies there.
    pub fn map_stack(&mut self, top: u64, size: u64) -> Result<(), Errno> {
        let start = top.checked_sub(size).ok_or(Errno::ENOMEM)?;
        if !self.is_free(start..top) {
            return Err(Errno::ENOMEM);
        }
        self.add(Area {
            start,
            end: top,
            protection: Protection::READ_WRITE,
            backing: Backing::Zero,
            grows_down: true,
            charged: true,
        })
    }

    /// Takes a range away; what is not mapped in it does not matter.
    pub fn unmap(&mut self, start: u64, length: u64) -> Result<(), Errno> {
        let range = user_range(start, length, Errno::EINVAL)?;
        if range.is_empty() {
            return Err(Errno::EINVAL);
        }
        self.check_area_count(usize::from(self.areas.splits(&range)))?;
        for gone in self.areas.carve(range)? {
            self.committed -= gone.committed_pages();
            self.release(gone.start, gone.end);
        }
        Ok(())
    }

    /// Frees the pages of a range; touched again, they come anew from the backing.
    fn release(&mut self, mut at: u64, end: u64) {
        while let Some((page, leaf)) = self.next_present(at, end) {
            table::unmap::<LongMode>(&self.ram, self.root, page);
            let frame = leaf.address & !(PAGE_SIZE - 1);
            self.frames.add(frame..frame + PAGE_SIZE);
            self.resident -= 1;
            self.forget_translations();
            at = page + PAGE_SIZE;
        }
    }

    /// Frees the pages of a range (MADV_DONTNEED), but those that could not come anew.
    pub fn discard(&mut self, start: u64, length: u64) -> Result<(), Errno> {
        let range = user_range(start, length, Errno::ENOMEM)?;
        let mut at = range.start;
        while at < range.end {
            let Some(area) = self.areas.within(at..range.end).next() else {
                break;
            };
            if !matches!(area.backing, Backing::Copied { .. }) {
                self.release(area.start, area.end);
            }
            at = area.end;
        }
        self.check_mapped(start, length)
    }

    /// Changes what is allowed in a range.
    pub fn protect(
        &mut self,
        start: u64,
        length: u64,
        protection: Protection,
    ) -> Result<(), Errno> {
        let range = user_range(start, length, Errno::ENOMEM)?;
        if range.is_empty() {
            return Ok(());
        }
        if !self.areas.cover(range.clone()) {
            return Err(Errno::ENOMEM);
        }
        self.check_area_count(self.areas.cuts(&range, protection))?;
        let mut pages = 0;
        if protection.any() {
            let charged = self.areas.within(range.clone());
            let charged: u64 = charged.map(|area| area.committed_pages()).sum();
            pages = (range.end - range.start) / PAGE_SIZE - charged;
            self.charge(range.clone(), pages)?;
        }
        let carved = self.areas.carve(range.clone());
        for area in carved.inspect_err(|_| self.committed -= pages)? {
            self.areas.insert(Area {
                protection,
                charged: area.charged | protection.any(),
                ..area
            });
        }
        self.protect_present(range, protection);
        Ok(())
    }

    fn protect_present(&mut self, range: Range<u64>, protection: Protection) {
        let mut at = range.start;
        while let Some((page, _)) = self.next_present(at, range.end) {
            table::protect::<LongMode>(&self.ram, self.root, page, protection.rights());
            self.forget_translations();
            at = page + PAGE_SIZE;
        }
    }

    /// Makes an area longer or shorter, and returns where it is then. `target` is
    /// MREMAP_FIXED's; `may_move` is implied by it.
    pub fn remap(
        &mut self,
        start: u64,
        old: u64,
        new: u64,
        may_move: bool,
        target: Option<u64>,
    ) -> Result<u64, Errno> {
        let range = user_range(start, old, Errno::EFAULT)?;
        let new = pages_up(new)?;
        let area = *self.areas.find(start).ok_or(Errno::EFAULT)?;
        if new == 0 || range.is_empty() {
            return Err(Errno::EINVAL);
        }
        if area.end < range.end {
            return Err(Errno::EFAULT);
        }
        let old = range.end - range.start;
        if let Some(target) = target {
            return self.relocate(area, range, new, Place::Fixed(target));
        }
        if new <= old {
            if new < old {
                self.unmap(start + new, old - new)?;
            }
            return Ok(start);
        }
        if self.extend(area, range.end..start.saturating_add(new))? {
            return Ok(start);
        }
        match may_move {
            true => self.relocate(area, range, new, Place::Hint(0)),
            false => Err(Errno::ENOMEM),
        }
    }

    /// Lets an area go on over what lies behind it, if that is free.
    fn extend(&mut self, area: Area, more: Range<u64>) -> Result<bool, Errno> {
        let free = more.end <= USER_END && self.is_free(more.clone());
        if free {
            self.add(Area {
                start: more.start,
                end: more.end,
                grows_down: false,
                ..area
            })?;
        }
        Ok(free)
    }

    fn relocate(
        &mut self,
        area: Area,
        from: Range<u64>,
        new: u64,
        place: Place,
    ) -> Result<u64, Errno> {
        let to = self.choose(place, new)?;
        if to < from.end && from.start < to + new {
            return Err(Errno::EINVAL);
        }
        if let Place::Fixed(_) = place {
            self.unmap(to, new)?;
        }
        // Once pages are being moved, nothing may fail: `add` builds the structures for them.
        self.check_area_count(1 + usize::from(self.areas.splits(&from)))?;
        let by = to.wrapping_sub(from.start);
        self.add(Area {
            start: to,
            end: to + new,
            backing: area.backing.moved(by),
            grows_down: false,
            ..area
        })?;
        let mut at = from.start;
        let moved_end = from.end.min(from.start + new);
        while let Some((page, leaf)) = self.next_present(at, moved_end) {
            let frame = leaf.address & !(PAGE_SIZE - 1);
            self.set_leaf(page.wrapping_add(by), frame, area.protection.rights())
                .ok_or(Errno::ENOMEM)?;
            table::unmap::<LongMode>(&self.ram, self.root, page);
            self.forget_translations();
            at = page + PAGE_SIZE;
        }
        self.unmap(from.start, from.end - from.start)?;
        Ok(to)
    }

    /// Where the heap begins.
    pub fn set_brk_start(&mut self, start: u64) {
        self.brk_start = start;
        self.brk = start;
    }

    /// Moves the end of the heap, and returns where it is then.
    pub fn set_brk(&mut self, end: u64) -> u64 {
        if end < self.brk_start || end > USER_END {
            return self.brk;
        }
        let (Ok(old), Ok(new)) = (pages_up(self.brk), pages_up(end)) else {
            return self.brk;
        };
        let done = if new > old {
            self.grow_heap(old..new)
        } else if new < old {
            self.unmap(new, old - new)
        } else {
            Ok(())
        };
        if done.is_ok() {
            self.brk = end;
        }
        self.brk
    }

    fn grow_heap(&mut self, range: Range<u64>) -> Result<(), Errno> {
        if !self.is_free(range.clone()) {
            return Err(Errno::ENOMEM);
        }
        self.add(Area {
            start: range.start,
            end: range.end,
            protection: Protection::READ_WRITE,
            backing: Backing::Zero,
            grows_down: false,
            charged: true,
        })
    }

    /// ENOMEM unless all of the range is mapped.
    pub fn check_mapped(&self, start: u64, length: u64) -> Result<(), Errno> {
        let range = user_range(start, length, Errno::ENOMEM)?;
        match range.is_empty() || self.areas.cover(range) {
            true => Ok(()),
            false => Err(Errno::ENOMEM),
        }
    }

    /// Where the stack that holds this address begins today.
    #[must_use]
    pub fn stack_start(&self, at: u64) -> Option<u64> {
        let area = self.areas.find(at)?;
        area.grows_down.then_some(area.start)
    }

    /// Whether the page at this address is present.
    #[must_use]
    pub fn is_present(&self, at: u64) -> bool {
        self.leaf(at).is_some()
    }

    /// Copies bytes to pages that the process itself may not write: what the loader does.
    pub fn store(&mut self, at: u64, bytes: &[u8]) -> Result<(), Errno> {
        let mut done = 0;
        while done < bytes.len() {
            let page = at + done as u64;
            let area = *self.areas.find(page).ok_or(Errno::EFAULT)?;
            let start = page & !(PAGE_SIZE - 1);
            if self.leaf(start).is_none() {
                self.populate(&area, start).map_err(|_| Errno::ENOMEM)?;
            }
            let to = self.leaf(page).ok_or(Errno::EFAULT)?.address;
            let count = ((PAGE_SIZE - page % PAGE_SIZE) as usize).min(bytes.len() - done);
            self.ram
                .write(L1Gpa(to), &bytes[done..done + count])
                .map_err(|_| Errno::EFAULT)?;
            done += count;
        }
        Ok(())
    }
}
