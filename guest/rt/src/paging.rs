//! The page tables of the loader: identity, 2 MiB pages, the first 4 GiB; and changes to them.

use core::arch::asm;

use x86::controlregs::cr3;

use crate::Single;

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

static SPARE: Single<Tables> = Single::new(Tables([[0; 512]; 4]));
static SPARE_USED: Single<usize> = Single::new(0);

/// The entry that maps `address`, the last one of the walk.
///
/// # Panics
/// If a table on the way is not present.
pub fn entry(address: u64) -> &'static mut u64 {
    // SAFETY: CR3 is readable at CPL 0.
    let mut table = unsafe { cr3() } & ADDRESS;
    for level in (0..4).rev() {
        // SAFETY: tables are identity mapped, and only this function's callers change them.
        let entry = unsafe { &mut *(table as *mut u64).add(index(address, level)) };
        if level == 0 || *entry & LARGE != 0 {
            return entry;
        }
        assert!(*entry & PRESENT != 0, "no table for {address:#x}");
        table = *entry & ADDRESS;
    }
    unreachable!("the walk ends at level 0")
}

fn index(address: u64, level: u32) -> usize {
    (address >> (12 + 9 * level) & 0x1ff) as usize
}

/// Gives CPL 3 the page of `address`, at every level of the walk.
pub fn open_to_user(address: u64) {
    // SAFETY: CR3 is readable at CPL 0.
    let mut table = unsafe { cr3() } & ADDRESS;
    for level in (0..4).rev() {
        // SAFETY: as in `entry`.
        let entry = unsafe { &mut *(table as *mut u64).add(index(address, level)) };
        *entry |= USER;
        if *entry & LARGE != 0 {
            break;
        }
        table = *entry & ADDRESS;
    }
    flush(address);
}

/// Makes the 2 MiB page of `address` 512 pages of 4 KiB, so that `entry` is the small page's.
///
/// # Panics
/// If the spare tables are used up.
pub fn split(address: u64) {
    let large = entry(address);
    if *large & LARGE == 0 {
        return;
    }
    let base = *large & ADDRESS & !(LARGE_PAGE - 1);
    let flags = *large & !ADDRESS & !LARGE;
    let number = SPARE_USED.load();
    SPARE_USED.store(number + 1);
    let table = SPARE.with(|tables| {
        for (i, entry) in tables.0[number].iter_mut().enumerate() {
            *entry = (base + i as u64 * PAGE) | flags;
        }
        &raw const tables.0[number] as u64
    });
    *large = table | PRESENT | WRITABLE | flags & USER;
    flush(address);
}

/// Replaces the entry of the 4 KiB page of `address` for the time of `f`.
pub fn with_entry<R>(address: u64, value: u64, f: impl FnOnce() -> R) -> R {
    split(address);
    let before = core::mem::replace(entry(address), value);
    flush(address);
    let result = f();
    *entry(address) = before;
    flush(address);
    result
}

/// Forgets the cached translation of `address`.
pub fn flush(address: u64) {
    // SAFETY: INVLPG changes no memory, and the tables are right at any moment.
    unsafe { asm!("invlpg [{}]", in(reg) address) };
}
