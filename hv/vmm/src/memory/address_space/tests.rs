use super::*;
use crate::memory::testing::VecMemory;
use proptest::prelude::*;
use spec::addr::Hpa;
use std::collections::BTreeMap;
use std::vec::Vec;

const SIZE: u64 = 4 << 20;
const RW: Protection = Protection::READ_WRITE;
const READ: Protection = Protection {
    read: true,
    write: false,
    execute: false,
};

fn space() -> AddressSpace {
    sized(SIZE)
}

fn sized(size: u64) -> AddressSpace {
    let ram = GuestRam::new(VecMemory::leak(size as usize), Hpa(0), size);
    let mut frames = Frames::new();
    frames.add(0x1000..size);
    AddressSpace::new(ram, frames).unwrap()
}

fn zeros(space: &mut AddressSpace, pages: u64) -> u64 {
    space
        .map(Place::Hint(0), pages * PAGE_SIZE, RW, Backing::Zero)
        .unwrap()
}

#[test]
fn pages_come_when_they_are_touched() {
    let mut space = space();
    let at = zeros(&mut space, 64);
    assert_eq!(space.resident_pages(), 0);
    space.write(at + 5, b"hello").unwrap();
    assert_eq!(space.read_array(at + 4).unwrap(), *b"\0hello\0");
    assert!(space.resident_pages() <= ZERO_AROUND);
    assert!(!space.take_flush());
    assert_eq!(
        space.fault(at + 64 * PAGE_SIZE, Access::Read),
        Err(NOT_MAPPED)
    );
    assert_eq!(
        space.fault(at, Access::Fetch),
        Err(Fault::Segv { mapped: true })
    );
    assert_eq!(space.fault(0, Access::Read), Err(NOT_MAPPED));
}

#[test]
fn what_is_unmapped_is_gone_and_its_frames_are_free() {
    let mut space = space();
    let before = space.free_bytes();
    let at = zeros(&mut space, 8);
    space.write(at, &[1; 8 * 4096]).unwrap();
    space.unmap(at, 8 * PAGE_SIZE).unwrap();
    assert!(space.take_flush());
    assert_eq!(space.write(at, b"x"), Err(Errno::EFAULT));
    assert_eq!(space.resident_pages(), 0);
    // Three paging structures stay.
    assert_eq!(before - space.free_bytes(), 3 * PAGE_SIZE);
    assert_eq!(zeros(&mut space, 8), at);
    assert_eq!(space.read_u64(at).unwrap(), 0);
}

#[test]
fn protection_is_kept_also_for_what_we_remember() {
    let mut space = space();
    let at = zeros(&mut space, 4);
    space.write(at, b"abc").unwrap();
    space.protect(at, PAGE_SIZE, READ).unwrap();
    assert!(space.take_flush());
    assert_eq!(space.write(at, b"x"), Err(Errno::EFAULT));
    assert_eq!(space.read_array(at).unwrap(), *b"abc");
    space.protect(at, PAGE_SIZE, Protection::default()).unwrap();
    assert_eq!(space.read_u64(at), Err(Errno::EFAULT));
    space.protect(at, PAGE_SIZE, RW).unwrap();
    assert_eq!(space.read_array(at).unwrap(), *b"abc");
    assert_eq!(space.protect(at, 5 * PAGE_SIZE, RW), Err(Errno::ENOMEM));
    assert_eq!(space.protect(at + 1, 1, RW), Err(Errno::EINVAL));
}

#[test]
fn a_file_ends_in_zeros_and_then_in_sigbus() {
    let mut space = space();
    let data: &'static [u8] = &[7; 5000];
    let backing = Backing::Bytes { data, at: 0 };
    let at = space
        .map(Place::Hint(0), 4 * PAGE_SIZE, RW, backing)
        .unwrap();
    assert_eq!(space.read_array(at + 4998).unwrap(), [7, 7, 0, 0]);
    assert_eq!(
        space.fault(at + 2 * PAGE_SIZE, Access::Read),
        Err(Fault::Bus)
    );
    space.write(at, b"own").unwrap();
    assert_eq!(data[0], 7);
    // Discarded, the page comes from the file again.
    space.discard(at, PAGE_SIZE).unwrap();
    assert_eq!(space.read_array(at).unwrap(), [7; 3]);
    // A hole splits the file where it should.
    space.unmap(at, PAGE_SIZE).unwrap();
    space.discard(at + PAGE_SIZE, PAGE_SIZE).unwrap();
    assert_eq!(space.read_array(at + 4998).unwrap(), [7, 7, 0, 0]);
}

#[test]
fn memory_is_promised_only_once() {
    let mut space = space();
    let pages = promisable(&mut space);
    let at = zeros(&mut space, pages);
    let again = space.map(Place::Hint(0), PAGE_SIZE, RW, Backing::Zero);
    assert_eq!(again, Err(Errno::ENOMEM));
    let none = Protection::default();
    let reserved = space.map(Place::Hint(0), 1 << 40, none, Backing::Zero);
    assert_eq!(
        space.protect(reserved.unwrap(), PAGE_SIZE, RW),
        Err(Errno::ENOMEM)
    );
    // All that was promised can be had.
    for page in 0..pages {
        space.fault(at + page * PAGE_SIZE, Access::Write).unwrap();
    }
    space.unmap(at, pages * PAGE_SIZE).unwrap();
    zeros(&mut space, pages);
}

#[test]
fn the_heap_and_the_stack_grow() {
    let mut space = space();
    space.set_brk_start(0x50_0000);
    assert_eq!(space.set_brk(0), 0x50_0000);
    assert_eq!(space.set_brk(0x50_1234), 0x50_1234);
    space.write(0x50_1230, b"heap").unwrap();
    assert_eq!(space.set_brk(0x50_0001), 0x50_0001);
    assert_eq!(space.write(0x50_1230, b"heap"), Err(Errno::EFAULT));
    assert_eq!(space.set_brk(1 << 40), 0x50_0001);
    let top = 0x7fff_ffff_e000;
    space.map_stack(top, 2 * PAGE_SIZE).unwrap();
    space.write(top - 0x10_0000, b"deep").unwrap();
    let twice = space.map_stack(top - PAGE_SIZE, 2 * PAGE_SIZE);
    assert_eq!(twice, Err(Errno::ENOMEM));
    let below = top - STACK_MAX - PAGE_SIZE;
    assert_eq!(space.fault(below, Access::Write), Err(NOT_MAPPED));
}

#[test]
fn what_is_moved_keeps_its_bytes() {
    let mut space = space();
    let at = zeros(&mut space, 4);
    space.write(at + 0x2000, b"third").unwrap();
    let guard = space.map(Place::Fixed(at + 0x4000), 1, READ, Backing::Zero);
    assert_eq!(guard, Ok(at + 0x4000));
    assert_eq!(
        space.remap(at, 0x4000, 0x8000, false, None),
        Err(Errno::ENOMEM)
    );
    let moved = space.remap(at, 0x4000, 0x8000, true, None).unwrap();
    assert_ne!(moved, at);
    assert_eq!(space.read_array(moved + 0x2000).unwrap(), *b"third");
    assert_eq!(space.read_u64(at + 0x2000), Err(Errno::EFAULT));
    assert_eq!(space.remap(moved, 0x8000, 0x3000, false, None), Ok(moved));
    assert_eq!(space.read_u64(moved + 0x3000), Err(Errno::EFAULT));
    assert_eq!(
        space.remap(at, 0x1000, 0x1000, true, None),
        Err(Errno::EFAULT)
    );
}

#[test]
fn strings_end_or_are_too_long() {
    let mut space = space();
    let at = zeros(&mut space, 2);
    space.write(at + 4090, b"0123456789\0").unwrap();
    assert_eq!(space.read_path(at + 4090).unwrap(), b"0123456789");
    let long = space.read_string(at + 4090, 5, Errno::ENAMETOOLONG);
    assert_eq!(long, Err(Errno::ENAMETOOLONG));
    space.write(at, &[b'x'; 8192]).unwrap();
    assert_eq!(space.read_path(at + 8000), Err(Errno::EFAULT));
    assert_eq!(space.read_path(u64::MAX - 3), Err(Errno::EFAULT));
    assert_eq!(space.read_u64(u64::MAX - 3), Err(Errno::EFAULT));
    assert_eq!(space.write(0xffff_8000_0000_0000, b"x"), Err(Errno::EFAULT));
}

#[test]
fn kernel_pages_are_out_of_reach() {
    let mut space = space();
    let rights = Rights {
        write: true,
        execute: true,
        user: false,
    };
    space
        .map_kernel_page(0xffff_ffff_8000_0000, 0x3000, rights)
        .unwrap();
    assert_eq!(space.read_u64(0xffff_ffff_8000_0000), Err(Errno::EFAULT));
}

proptest! {
    /// Against the obvious model: the bytes of each page, or none.
    #[test]
    fn agrees_with_a_map_of_pages(steps in prop::collection::vec((0u8..7, 0u64..40, 1u64..10, any::<u8>()), 1..80)) {
        const BASE: u64 = 0x10_0000;
        let mut space = space();
        let mut model: BTreeMap<u64, (u8, bool)> = BTreeMap::new();
        for (what, page, pages, byte) in steps {
            let (at, length) = (BASE + page * PAGE_SIZE, pages * PAGE_SIZE);
            let range: Vec<u64> = (page..page + pages).collect();
            match what {
                0 => {
                    space.map(Place::Fixed(at), length, RW, Backing::Zero).unwrap();
                    model.extend(range.iter().map(|&p| (p, (0, true))));
                }
                1 => {
                    space.unmap(at, length).unwrap();
                    model.retain(|p, _| !range.contains(p));
                }
                2 | 3 => {
                    let all = range.iter().all(|p| model.contains_key(p));
                    let protection = if what == 2 { READ } else { RW };
                    prop_assert_eq!(space.protect(at, length, protection).is_ok(), all);
                    if all { for p in &range { model.get_mut(p).unwrap().1 = what == 3; } }
                }
                4 => {
                    let _ = space.discard(at, length);
                    for p in &range { if let Some(page) = model.get_mut(p) { page.0 = 0; } }
                }
                _ => {
                    let writable = model.get(&page).is_some_and(|p| p.1);
                    prop_assert_eq!(space.write(at + 7, &[byte]).is_ok(), writable);
                    if writable { model.get_mut(&page).unwrap().0 = byte; }
                }
            }
        }
        for page in 0..50 {
            let found = space.read_array::<1>(BASE + page * PAGE_SIZE + 7).ok();
            prop_assert_eq!(found, model.get(&page).map(|p| [p.0]));
        }
        let whole = space.areas.within(0..USER_END).map(|a| a.committed_pages()).sum::<u64>();
        prop_assert_eq!((space.committed, whole), (model.len() as u64, model.len() as u64));
    }
}

/// An area of `write` alone, then of `read` alone ... no two of them join.
fn fill_with_areas(space: &mut AddressSpace, base: u64) -> u64 {
    let mut at = base;
    while space.areas.count() < AREAS_MAX {
        let protection = if (at / PAGE_SIZE).is_multiple_of(2) {
            RW
        } else {
            READ
        };
        (space.map(Place::Fixed(at), PAGE_SIZE, protection, Backing::Zero)).unwrap();
        at += PAGE_SIZE;
    }
    at
}

#[test]
fn at_the_limit_of_areas_only_a_split_is_refused() {
    const BASE: u64 = 0x4000_0000;
    let mut space = sized(64 << 20);
    let whole = zeros(&mut space, 3);
    let end = fill_with_areas(&mut space, BASE);
    let middle = whole + PAGE_SIZE;
    assert_eq!(space.unmap(middle, PAGE_SIZE), Err(Errno::ENOMEM));
    assert_eq!(space.protect(middle, PAGE_SIZE, READ), Err(Errno::ENOMEM));
    assert_eq!(space.protect(middle, PAGE_SIZE, RW), Ok(()));
    let into = Place::Fixed(end);
    assert_eq!(
        space.map(into, PAGE_SIZE, RW, Backing::Zero),
        Err(Errno::ENOMEM)
    );
    // An area changes whole, shrinks, or goes.
    assert_eq!(
        space.protect(BASE, PAGE_SIZE, Protection::default()),
        Ok(())
    );
    assert_eq!(space.unmap(whole, PAGE_SIZE), Ok(()));
    assert_eq!(space.unmap(end - PAGE_SIZE, PAGE_SIZE), Ok(()));
    assert_eq!(space.unmap(BASE, end - BASE), Ok(()));
    assert_eq!(space.areas.count(), 1);
}

#[test]
fn a_move_that_would_split_at_the_limit_changes_nothing() {
    const BASE: u64 = 0x4000_0000;
    let mut space = sized(64 << 20);
    let whole = zeros(&mut space, 3);
    space.write(whole + PAGE_SIZE, b"bytes").unwrap();
    let end = fill_with_areas(&mut space, BASE);
    space.unmap(end - PAGE_SIZE, PAGE_SIZE).unwrap();
    let (before, middle) = (space.committed, whole + PAGE_SIZE);
    let moved = space.remap(middle, PAGE_SIZE, 2 * PAGE_SIZE, true, None);
    assert_eq!(moved, Err(Errno::ENOMEM));
    assert_eq!(space.committed, before);
    assert_eq!(space.read_array(middle).unwrap(), *b"bytes");
}

#[test]
fn what_is_out_of_reach_stays_promised() {
    let mut space = space();
    let pages = promisable(&mut space);
    let at = zeros(&mut space, pages);
    for page in 0..pages {
        space.fault(at + page * PAGE_SIZE, Access::Write).unwrap();
    }
    (space.protect(at, pages * PAGE_SIZE, Protection::default())).unwrap();
    let again = space.map(Place::Hint(0), PAGE_SIZE, RW, Backing::Zero);
    assert_eq!(again, Err(Errno::ENOMEM));
    assert_eq!(space.protect(at, pages * PAGE_SIZE, RW), Ok(()));
    assert_eq!(space.unmap(at, pages * PAGE_SIZE), Ok(()));
    assert_eq!(space.committed, 0);
}

#[test]
fn paging_structures_are_counted_and_come_back() {
    let mut space = space();
    // Each page wants three structures of its own.
    let lonely = |i: u64| (i + 1) << 39;
    let mut last = 0;
    while space
        .map(Place::Fixed(lonely(last)), 1, RW, Backing::Zero)
        .is_ok()
    {
        last += 1;
    }
    assert!(last > 100, "{last}");
    for i in 0..last {
        space.fault(lonely(i), Access::Write).unwrap();
    }
    for i in 0..last {
        space.unmap(lonely(i), PAGE_SIZE).unwrap();
    }
    let all = promisable(&mut space);
    zeros(&mut space, all);
    assert!(all + 8 > SIZE / PAGE_SIZE, "{all}");
}

#[test]
fn a_move_moves_all_or_nothing() {
    let mut space = space();
    let at = zeros(&mut space, 2);
    space.write(at, b"first").unwrap();
    let all = promisable(&mut space);
    zeros(&mut space, all - 4);
    // Two pages would fit, but not the three structures that they want there.
    let moved = space.remap(at, 0x2000, 0x2000, true, Some(1 << 40));
    assert_eq!(moved, Err(Errno::ENOMEM));
    assert_eq!(space.read_array(at).unwrap(), *b"first");
    assert_eq!(space.read_u64(1 << 40), Err(Errno::EFAULT));
}

/// How many pages can be promised at once.
fn promisable(space: &mut AddressSpace) -> u64 {
    (1..SIZE / PAGE_SIZE)
        .rev()
        .find(|pages| {
            let at = space.map(Place::Hint(0), pages * PAGE_SIZE, RW, Backing::Zero);
            at.is_ok_and(|at| space.unmap(at, pages * PAGE_SIZE).is_ok())
        })
        .unwrap()
}

proptest! {
    /// Whatever was mapped where: what may be touched can be touched.
    #[test]
    fn promises_are_kept(steps in prop::collection::vec((0u8..8, 0u64..24, 1u64..200), 1..60)) {
        let mut space = sized(1 << 20);
        let place = |i: u64| (1 + i % 4) << 39 | (i / 4 % 2) << 30 | (i / 8) << 21 | (511 << 12);
        for (what, to, pages) in steps {
            let (at, length) = (place(to), pages * PAGE_SIZE);
            let none = Protection::default();
            let _ = match what {
                0..3 => space.map(Place::Fixed(at), length, RW, Backing::Zero).map(|_| ()),
                3 => space.map(Place::Fixed(at), length, none, Backing::Zero).map(|_| ()),
                4 => space.unmap(at, length),
                5 => space.protect(at, length, none),
                6 => space.protect(at, length, RW),
                _ => space.remap(at, PAGE_SIZE, length, true, Some(place(pages))).map(|_| ()),
            };
            let touched: Vec<u64> = space.areas.within(0..USER_END)
                .filter(|a| a.protection.any())
                .flat_map(|a| (a.start..a.end).step_by(PAGE_SIZE as usize))
                .skip(to as usize)
                .step_by(1 + what as usize)
                .collect();
            for page in touched {
                prop_assert_eq!(space.fault(page, Access::Write), Ok(()));
            }
            let free = space.free_bytes() / PAGE_SIZE;
            prop_assert!(space.committed - space.resident <= free);
        }
        let all: Vec<Area> = space.areas.within(0..USER_END).collect();
        for area in all.iter().filter(|a| a.protection.any()) {
            for page in (area.start..area.end).step_by(PAGE_SIZE as usize) {
                prop_assert_eq!(space.fault(page, Access::Write), Ok(()));
            }
        }
    }
}
