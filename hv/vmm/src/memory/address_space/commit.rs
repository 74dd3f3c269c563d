//! What is set aside, so that touching a page cannot fail: the page itself, and the paging
//! structures above it, which are built when an area is charged.
//!
//! Each page of the process's memory is promised to a charged area, or is a structure, or is
//! free. What is present is a part of what was promised, so that a promise always finds a free
//! page: `frames` holds at least `committed - resident` of them.

use super::{AREAS_MAX, AddressSpace, LongMode, USER_END, table};
use crate::errno::Errno;
use crate::memory::table::page_size;
use core::ops::Range;
use spec::addr::{L1Gpa, PAGE_SIZE};

impl AddressSpace {
    /// Sets `pages` more aside for a range, and the structures for all of it.
    pub(super) fn charge(&mut self, range: Range<u64>, pages: u64) -> Result<(), Errno> {
        if pages == 0 {
            return Ok(());
        }
        if self.promise(range.clone(), pages).is_ok() {
            return Ok(());
        }
        self.prune_structures();
        self.promise(range, pages)
    }

    fn promise(&mut self, range: Range<u64>, pages: u64) -> Result<(), Errno> {
        if pages > self.pages - self.structures - self.committed {
            return Err(Errno::ENOMEM);
        }
        self.committed += pages;
        self.build_structures(range)
            .inspect_err(|_| self.committed -= pages)
    }

    /// Builds the structures that a range's pages want, from what is not promised.
    pub(super) fn build_structures(&mut self, range: Range<u64>) -> Result<(), Errno> {
        let (ram, frames, structures) = (self.ram, &mut self.frames, &mut self.structures);
        let limit = self.pages - self.committed;
        let mut allocate = || {
            let page = (*structures < limit).then(|| frames.allocate_page())??;
            ram.zero(L1Gpa(page), PAGE_SIZE).ok()?;
            *structures += 1;
            Some(page)
        };
        let mut at = range.start;
        while at < range.end {
            table::structure::<LongMode>(&ram, self.root, at, 1, &mut allocate)
                .map_err(|_| Errno::ENOMEM)?;
            at = (at & !(page_size(2) - 1)).saturating_add(page_size(2));
        }
        Ok(())
    }

    /// Frees the structures above which no charged area is left. They are kept until memory is
    /// short: what is unmapped is often mapped again.
    fn prune_structures(&mut self) {
        let (areas, frames, structures) = (&self.areas, &mut self.frames, &mut self.structures);
        let before = *structures;
        let mut needed =
            |range: Range<u64>| range.start >= USER_END || areas.within(range).any(|a| a.charged);
        let mut free = |page: u64| {
            frames.add(page..page + PAGE_SIZE);
            *structures -= 1;
        };
        table::prune::<LongMode>(&self.ram, self.root, 4, 0, &mut needed, &mut free);
        if *structures != before {
            self.forget_translations();
        }
    }

    /// ENOMEM if there are too many areas when there are `more`.
    pub(super) fn check_area_count(&self, more: usize) -> Result<(), Errno> {
        match more == 0 || self.areas.count() + more <= AREAS_MAX {
            true => Ok(()),
            false => Err(Errno::ENOMEM),
        }
    }
}
