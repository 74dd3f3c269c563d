//! Physical memory, as vmm sees it: only what was registered, never our own image, heap or stacks.

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};
use spec::addr::Hpa;
use spin::Once;
use vmm::machine::Memory;

/// The most ranges of memory.
pub const MOST_RANGES: usize = 64;

static RANGES: Once<([Range<u64>; MOST_RANGES], usize)> = Once::new();

/// Registers the memory that may be touched.
///
/// # Safety
/// All of it is RAM, mapped identically and writable, and no Rust object lives in it but byte
/// slices of modules that vmm does not write to.
pub unsafe fn register(ranges: impl Iterator<Item = Range<u64>>) {
    RANGES.call_once(|| {
        let mut table = [const { 0..0 }; MOST_RANGES];
        let count = table
            .iter_mut()
            .zip(ranges)
            .map(|(slot, range)| *slot = range)
            .count();
        (table, count)
    });
}

/// Registered memory.
#[derive(Clone, Copy, Debug)]
pub struct Phys;

/// The address as a pointer, once it is known to be within registered memory.
#[inline]
fn pointer(at: Hpa, length: u64) -> *mut u8 {
    let end = at.0.checked_add(length);
    let known = |(table, count): &([Range<u64>; MOST_RANGES], usize)| {
        table[..*count]
            .iter()
            .any(|r| r.start <= at.0 && end.is_some_and(|end| end <= r.end))
    };
    assert!(
        RANGES.get().is_some_and(known),
        "host-physical {at}, {length} bytes: not guest or table memory"
    );
    at.0 as *mut u8
}

#[inline]
fn word(at: Hpa) -> &'static AtomicU64 {
    assert!(at.0.is_multiple_of(8), "host-physical {at} is not aligned");
    // SAFETY: registered, aligned memory, which nobody accesses but atomically or as raw bytes.
    unsafe { AtomicU64::from_ptr(pointer(at, 8).cast()) }
}

impl Memory for Phys {
    #[inline]
    fn read(&self, at: Hpa, out: &mut [u8]) {
        let from = pointer(at, out.len() as u64);
        // SAFETY: registered memory; `out` is ours and cannot overlap it. A guest may write it
        // meanwhile: the bytes are data to us, whatever they are.
        unsafe { core::ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len()) }
    }

    #[inline]
    fn write(&self, at: Hpa, bytes: &[u8]) {
        let to = pointer(at, bytes.len() as u64);
        // SAFETY: registered memory. `copy` because `bytes` may be a module's.
        unsafe { core::ptr::copy(bytes.as_ptr(), to, bytes.len()) }
    }

    fn zero(&self, at: Hpa, length: u64) {
        let to = pointer(at, length);
        // SAFETY: registered memory.
        unsafe { core::ptr::write_bytes(to, 0, length as usize) }
    }

    #[inline]
    fn read_u64(&self, at: Hpa) -> u64 {
        word(at).load(Ordering::Acquire)
    }

    #[inline]
    fn write_u64(&self, at: Hpa, value: u64) {
        word(at).store(value, Ordering::Release);
    }

    fn words(&self, at: Hpa, length: u64) -> &'static [AtomicU64] {
        assert!(at.0.is_multiple_of(8), "host-physical {at} is not aligned");
        let words = pointer(at, length).cast::<AtomicU64>();
        // SAFETY: registered, aligned memory, which is there for ever and which nobody accesses but
        // atomically or as raw bytes.
        unsafe { core::slice::from_raw_parts(words, (length / 8) as usize) }
    }
}
