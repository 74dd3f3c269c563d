//! The allocator of physical memory: a sorted list of free ranges, first fit.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::ops::Range;
use spec::addr::PAGE_SIZE;

/// Free memory, as sorted ranges that neither touch nor overlap. The numbers are host-physical
/// addresses in the machine's own, guest-physical ones in that of a guest that we lay out.
#[derive(Debug, Default)]
pub struct Frames {
    free: Vec<Range<u64>>,
}

impl Frames {
    /// No memory.
    #[must_use]
    pub const fn new() -> Self {
        Self { free: Vec::new() }
    }

    /// Adds free memory, shrunk to whole pages. Overlaps with what is free already are merged.
    pub fn add(&mut self, range: Range<u64>) {
        let start = range.start.saturating_add(PAGE_SIZE - 1) & !(PAGE_SIZE - 1);
        let end = range.end & !(PAGE_SIZE - 1);
        if start >= end {
            return;
        }
        let first = self.free.partition_point(|r| r.end < start);
        let last = self.free.partition_point(|r| r.start <= end);
        let merged = self.free[first..last]
            .iter()
            .fold(start..end, |m, r| m.start.min(r.start)..m.end.max(r.end));
        self.free.splice(first..last, [merged]);
    }

    /// Makes room for so many ranges, so that no change needs memory as long as there are no more.
    pub fn reserve_ranges(&mut self, count: usize) -> Result<(), TryReserveError> {
        self.free
            .try_reserve_exact(count.saturating_sub(self.free.len()))
    }

    /// Takes this range out of what is free, whole pages outward.
    pub fn reserve(&mut self, range: Range<u64>) {
        let start = range.start & !(PAGE_SIZE - 1);
        let end = range.end.saturating_add(PAGE_SIZE - 1) & !(PAGE_SIZE - 1);
        if start >= end {
            return;
        }
        let first = self.free.partition_point(|r| r.end <= start);
        let last = self.free.partition_point(|r| r.start < end);
        let mut kept = Vec::with_capacity(2);
        for r in &self.free[first..last] {
            kept.extend(
                [r.start..start.max(r.start), end.min(r.end)..r.end]
                    .into_iter()
                    .filter(|k| k.start < k.end),
            );
        }
        self.free.splice(first..last, kept);
    }

    /// Allocates `size` bytes (whole pages) at a multiple of `align`, a power of two.
    pub fn allocate(&mut self, size: u64, align: u64) -> Option<u64> {
        let size = size
            .checked_next_multiple_of(PAGE_SIZE)
            .filter(|&s| s > 0)?;
        let align = align.max(PAGE_SIZE);
        let start = self.free.iter().find_map(|r| {
            let start = r.start.checked_next_multiple_of(align)?;
            (start.checked_add(size)? <= r.end).then_some(start)
        })?;
        self.reserve(start..start + size);
        Some(start)
    }

    /// Allocates one page.
    pub fn allocate_page(&mut self) -> Option<u64> {
        let first = self.free.first_mut()?;
        let page = first.start;
        first.start += PAGE_SIZE;
        if first.start == first.end {
            self.free.remove(0);
        }
        Some(page)
    }

    /// The free ranges.
    pub fn ranges(&self) -> impl Iterator<Item = Range<u64>> {
        self.free.iter().cloned()
    }

    /// How many bytes are free.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.free.iter().map(|r| r.end - r.start).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_page_is_never_given_twice() {
        let mut frames = Frames::new();
        frames.add(0x1800..0x9000);
        frames.reserve(0x4000..0x4001);
        let mut seen = BTreeSet::new();
        while let Some(page) = frames.allocate_page() {
            assert!(seen.insert(page) && page != 0x4000);
        }
        assert_eq!(seen.len(), 6);
    }

    #[test]
    fn alignment_is_kept_and_what_is_freed_merges() {
        let mut frames = Frames::new();
        frames.add(0x1000..0x80_0000);
        let a = frames.allocate(0x20_0000, 0x20_0000).unwrap();
        assert_eq!(a, 0x20_0000);
        assert_eq!(frames.allocate(0x80_0000, 1), None);
        frames.add(a..a + 0x20_0000);
        assert_eq!(frames.ranges().next(), Some(0x1000..0x80_0000));
        assert_eq!(frames.ranges().count(), 1);
    }

    proptest::proptest! {
        /// Against the obvious model: a set of free pages.
        #[test]
        fn agrees_with_a_set_of_pages(steps in proptest::collection::vec((0u8..3, 0u64..64, 1u64..16), 1..60)) {
            let mut frames = Frames::new();
            let mut model = BTreeSet::new();
            for (what, page, pages) in steps {
                let range = page * PAGE_SIZE..(page + pages) * PAGE_SIZE;
                match what {
                    0 => { frames.add(range); model.extend(page..page + pages); }
                    1 => { frames.reserve(range); model.retain(|p| !(page..page + pages).contains(p)); }
                    _ => if let Some(at) = frames.allocate(pages * PAGE_SIZE, PAGE_SIZE << (page % 4)) {
                        proptest::prop_assert_eq!(at % (PAGE_SIZE << (page % 4)), 0);
                        for p in at / PAGE_SIZE..at / PAGE_SIZE + pages { proptest::prop_assert!(model.remove(&p)); }
                    },
                }
                proptest::prop_assert_eq!(frames.free_bytes(), model.len() as u64 * PAGE_SIZE);
                proptest::prop_assert!(frames.free.windows(2).all(|w| w[0].end < w[1].start));
            }
        }
    }
}
