//! What a process mapped where: areas, sorted by address, that never overlap.

use crate::errno::Errno;
use crate::memory::table::Rights;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

/// The lowest address that a process can map (Linux' `vm.mmap_min_addr`).
pub const USER_START: u64 = 0x1_0000;
/// The end of what a process can map (Linux' TASK_SIZE_MAX): the last page below the hole stays
/// free, so that SYSRET never returns to a non-canonical address.
pub const USER_END: u64 = 0x7fff_ffff_f000;

/// What a process may do in an area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// Reading.
    pub read: bool,
    /// Writing.
    pub write: bool,
    /// Instruction fetches.
    pub execute: bool,
}

impl Protection {
    /// Reading and writing.
    pub const READ_WRITE: Self = Self {
        read: true,
        write: true,
        execute: false,
    };

    /// Whether anything is allowed.
    #[must_use]
    pub const fn any(self) -> bool {
        self.read | self.write | self.execute
    }

    /// In paging structures. A page that allows nothing keeps its frame, out of reach of CPL 3.
    #[must_use]
    pub const fn rights(self) -> Rights {
        Rights {
            write: self.write,
            execute: self.execute,
            user: self.any(),
        }
    }
}

/// Where the bytes of a page come from when it is first touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// Zeros.
    Zero,
    /// A file: `data` begins at address `at`, is followed by zeros up to the end of its last
    /// page, and beyond that there is nothing (SIGBUS).
    Bytes {
        /// The bytes.
        data: &'static [u8],
        /// The page-aligned address of the first one.
        at: u64,
    },
    /// A file whose bytes were copied there when it was mapped. They cannot come again, so that
    /// these pages are kept until they are unmapped; beyond there is nothing (SIGBUS).
    Copied {
        /// The page-aligned address behind the last of them.
        end: u64,
    },
}

impl Backing {
    pub(super) fn moved(self, by: u64) -> Self {
        match self {
            Self::Zero => Self::Zero,
            Self::Bytes { data, at } => Self::Bytes {
                data,
                at: at.wrapping_add(by),
            },
            Self::Copied { end } => Self::Copied {
                end: end.wrapping_add(by),
            },
        }
    }
}

/// Pages with the same protection and backing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// The first address.
    pub start: u64,
    /// The address behind the last.
    pub end: u64,
    /// What is allowed.
    pub protection: Protection,
    /// Where the bytes come from.
    pub backing: Backing,
    /// The stack: it grows when the page below it is touched.
    pub grows_down: bool,
    /// Memory is set aside for it: it could be touched once, and may hold pages ever since.
    pub charged: bool,
}

impl Area {
    /// Its size in pages, if memory is set aside for it.
    #[must_use]
    pub fn committed_pages(&self) -> u64 {
        match self.charged {
            true => (self.end - self.start) / spec::addr::PAGE_SIZE,
            false => 0,
        }
    }

    fn clipped(&self, range: &Range<u64>) -> Self {
        Self {
            start: self.start.max(range.start),
            end: self.end.min(range.end),
            ..*self
        }
    }

    fn continues(&self, before: &Self) -> bool {
        before.end == self.start
            && before.protection == self.protection
            && before.backing == self.backing
            && before.grows_down == self.grows_down
            && before.charged == self.charged
    }
}

/// The areas of a process.
#[derive(Debug, Default)]
pub struct Areas(BTreeMap<u64, Area>);

impl Areas {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The area that holds this address.
    #[must_use]
    pub fn find(&self, at: u64) -> Option<&Area> {
        let area = self.0.range(..=at).next_back()?.1;
        (at < area.end).then_some(area)
    }

    /// The first area above this address.
    #[must_use]
    pub fn above(&self, at: u64) -> Option<&Area> {
        Some(self.0.range(at..).next()?.1)
    }

    /// The parts of areas that lie in this range, in order.
    pub fn within(&self, range: Range<u64>) -> impl Iterator<Item = Area> {
        let first = self.find(range.start).map_or(range.start, |a| a.start);
        let areas = self.0.range(first..range.end.max(first));
        areas.map(move |(_, area)| area.clipped(&range))
    }

    /// Whether every address of the range lies in an area.
    #[must_use]
    pub fn cover(&self, range: Range<u64>) -> bool {
        let end = self
            .within(range.clone())
            .try_fold(range.start, |at, area| {
                (area.start == at).then_some(area.end)
            });
        end.is_some_and(|end| end >= range.end)
    }

    /// Whether taking this range out makes two areas of one.
    #[must_use]
    pub fn splits(&self, range: &Range<u64>) -> bool {
        let area = self.find(range.start);
        area.is_some_and(|area| area.start < range.start && range.end < area.end)
    }

    /// How many areas more there may be when this range is protected so.
    #[must_use]
    pub fn cuts(&self, range: &Range<u64>, protection: Protection) -> usize {
        let cuts = |&at: &u64| {
            let area = self.find(at);
            area.is_some_and(|area| area.start < at && area.protection != protection)
        };
        [range.start, range.end]
            .iter()
            .filter(|at| cuts(at))
            .count()
    }

    /// Takes this range out, and returns what lay there; ENOMEM if that is too much to remember.
    pub fn carve(&mut self, range: Range<u64>) -> Result<Vec<Area>, Errno> {
        let mut gone = Vec::new();
        gone.try_reserve_exact(self.within(range.clone()).count())
            .map_err(|_| Errno::ENOMEM)?;
        gone.extend(self.within(range));
        for part in &gone {
            let Some(whole) = self.find(part.start).copied() else {
                continue;
            };
            self.0.remove(&whole.start);
            for kept in [whole.start..part.start, part.end..whole.end] {
                if kept.start < kept.end {
                    self.0.insert(kept.start, whole.clipped(&kept));
                }
            }
        }
        Ok(gone)
    }

    /// Adds an area where none is, joined with its neighbours where they are alike.
    pub fn insert(&mut self, mut area: Area) {
        debug_assert!(self.within(area.start..area.end).next().is_none());
        if let Some((&start, before)) = self.0.range(..area.start).next_back()
            && area.continues(before)
        {
            area.start = start;
        }
        if let Some(after) = self.0.get(&area.end).copied()
            && after.continues(&area)
        {
            self.0.remove(&after.start);
            area.end = after.end;
        }
        self.0.insert(area.start, area);
    }

    /// The highest free range of this size below `top`.
    #[must_use]
    pub fn gap(&self, size: u64, top: u64) -> Option<u64> {
        let mut end = top;
        for area in self.0.range(..top).rev().map(|(_, area)| area) {
            let start = end.checked_sub(size)?;
            if start >= area.end {
                break;
            }
            end = end.min(area.start);
        }
        end.checked_sub(size).filter(|&start| start >= USER_START)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(range: Range<u64>, write: bool) -> Area {
        let protection = Protection {
            read: true,
            write,
            execute: false,
        };
        Area {
            start: range.start,
            end: range.end,
            protection,
            backing: Backing::Zero,
            grows_down: false,
            charged: true,
        }
    }

    #[test]
    fn carving_splits_and_inserting_joins() {
        let mut areas = Areas::default();
        areas.insert(area(0x1_0000..0x2_0000, true));
        let gone = areas.carve(0x1_4000..0x1_5000).unwrap();
        assert_eq!(gone, [area(0x1_4000..0x1_5000, true)]);
        assert_eq!(areas.count(), 2);
        assert!(!areas.cover(0x1_0000..0x2_0000));
        assert_eq!(areas.gap(0x1000, 0x2_0000), Some(0x1_4000));
        areas.insert(gone[0]);
        assert_eq!(areas.count(), 1);
        assert!(areas.cover(0x1_0000..0x2_0000));
    }

    #[test]
    fn unlike_neighbours_stay_apart() {
        let mut areas = Areas::default();
        areas.insert(area(0x1_0000..0x1_1000, true));
        areas.insert(area(0x1_1000..0x1_2000, false));
        assert_eq!(areas.count(), 2);
        assert_eq!(areas.gap(0x1000, 0x1_2000), None);
        assert_eq!(areas.gap(0x1000, 0x1_4000), Some(0x1_3000));
        assert!(areas.find(0x1_2000).is_none());
    }

    proptest::proptest! {
        /// Against the obvious model: the protection of each page.
        #[test]
        fn agrees_with_an_array(steps in proptest::collection::vec((0u64..3, 0u64..32, 1u64..12), 1..60)) {
            let (mut areas, mut model) = (Areas::default(), [0u64; 64]);
            for (what, page, pages) in steps {
                let range = page * 4096..(page + pages) * 4096;
                areas.carve(range.clone()).unwrap();
                if what > 0 { areas.insert(area(range, what == 2)); }
                model[page as usize..(page + pages) as usize].fill(what);
                for (page, &what) in model.iter().enumerate() {
                    let found = areas.find(page as u64 * 4096).map_or(0, |a| 1 + u64::from(a.protection.write));
                    proptest::prop_assert_eq!(found, what);
                }
            }
        }
    }
}
