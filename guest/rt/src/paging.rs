//! The page tables of the loader: identity, 2 MiB pages, the first 4 GiB; and changes to them.

use core::arch::asm;

use x86::controlregs::cr3;

use crate::{Exclusive, Single};

/// The page is present.
pub const PRESENT: u64 = 1;
/// The page can be written.
pub const WRITABLE: u64 = 1 << 1;
/// The page is open to CPL 3.
pub const USER: u64 = 1 << 2;
/// A page directory entry maps 2 MiB itself.
pub const LARGE: u64 = 1 << 7;
/// Instructions are not fetched from the page (with EFER.NXE).
pub const NO_EXECUTE: u64 = 1 << 63;

const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const PAGE: u64 = 4096;
const LARGE_PAGE: u64 = 2 << 20;

#[repr(C, align(4096))]
struct Tables([[u64; 512]; 4]);

static SPARE: Exclusive<Tables> = Exclusive::new(Tables([[0; 512]; 4]));
static SPARE_USED: Single<usize> = Single::new(0);

/// An entry of the paging structures.
#[derive(Clone, Copy)]
pub struct Entry(*mut u64);

impl Entry {
    /// The one for `address` in the structure at `table`.
    fn of(table: u64, address: u64, level: u32) -> Self {
        Self((table as *mut u64).wrapping_add(index(address, level)))
    }

    /// What it holds.
    #[must_use]
    pub fn get(self) -> u64 {
        // SAFETY: `of` is called with a structure that CR3 or an entry names: they are identity mapped and stay.
        unsafe { self.0.read_volatile() }
    }

    /// Replaces it; `flush` makes that count.
    pub fn set(self, value: u64) {
        // SAFETY: as for `get`. No Rust object lies in the structures.
        unsafe { self.0.write_volatile(value) }
    }
}

/// The structure that CR3 names.
fn root() -> u64 {
    // SAFETY: CR3 is readable at CPL 0.
    unsafe { cr3() & ADDRESS }
}

/// The entry that maps `address`, the last one of the walk.
///
/// # Panics
/// If a table on the way is not present.
#[must_use]
pub fn entry(address: u64) -> Entry {
    let mut table = root();
    for level in (0..4).rev() {
        let entry = Entry::of(table, address, level);
        if level == 0 || entry.get() & LARGE != 0 {
            return entry;
        }
        assert!(entry.get() & PRESENT != 0, "no table for {address:#x}");
        table = entry.get() & ADDRESS;
    }
    unreachable!("the walk ends at level 0")
}

fn index(address: u64, level: u32) -> usize {
    (address >> (12 + 9 * level) & 0x1ff) as usize
}

/// Gives CPL 3 the page of `address`, at every level of the walk.
pub fn open_to_user(address: u64) {
    let mut table = root();
    for level in (0..4).rev() {
        let entry = Entry::of(table, address, level);
        entry.set(entry.get() | USER);
        if entry.get() & LARGE != 0 {
            break;
        }
        table = entry.get() & ADDRESS;
    }
    flush(address);
}

/// Makes the 2 MiB page of `address` 512 pages of 4 KiB, so that `entry` is the small page's.
///
/// # Panics
/// If the spare tables are used up.
pub fn split(address: u64) {
    let entry = entry(address);
    let large = entry.get();
    if large & LARGE == 0 {
        return;
    }
    let base = large & ADDRESS & !(LARGE_PAGE - 1);
    let flags = large & !ADDRESS & !LARGE;
    let number = SPARE_USED.load();
    SPARE_USED.store(number + 1);
    let table = SPARE.with(|tables| {
        for (i, small) in tables.0[number].iter_mut().enumerate() {
            *small = (base + i as u64 * PAGE) | flags;
        }
        &raw const tables.0[number] as u64
    });
    entry.set(table | PRESENT | WRITABLE | flags & USER);
    flush(address);
}

/// Replaces the entry of the 4 KiB page of `address` for the time of `f`.
pub fn with_entry<R>(address: u64, value: u64, f: impl FnOnce() -> R) -> R {
    split(address);
    let entry = entry(address);
    let before = entry.get();
    entry.set(value);
    flush(address);
    let result = f();
    entry.set(before);
    flush(address);
    result
}

/// Forgets the cached translation of `address`.
pub fn flush(address: u64) {
    // SAFETY: INVLPG changes no memory, and the tables are right at any moment.
    unsafe { asm!("invlpg [{}]", in(reg) address) };
}
