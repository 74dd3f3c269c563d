//! Physical memory, as vmm sees it: only what was registered, never our own image, heap, stacks or
//! page tables.
//!
//! Guests write this memory while we read it, so to the compiler it is not memory at all: it is reached
//! by assembly and by atomic accesses alone, and no reference into it exists but to atomics.

use alloc::boxed::Box;
use core::arch::asm;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};
use spec::addr::Hpa;
use spin::Once;
use vmm::machine::Memory;

static RANGES: Once<Box<[Range<u64>]>> = Once::new();

/// Registers the memory that may be touched.
///
/// # Safety
/// All of it is RAM, mapped identically and writable, and no Rust object lives in it, nor anything that
/// the processor relies on for the hypervisor's own sake. What the frame allocator gives away for the heap later
/// is not vmm's to touch any more.
pub unsafe fn register(ranges: impl Iterator<Item = Range<u64>>) {
    RANGES.call_once(|| ranges.collect());
}

/// Registered memory.
#[derive(Clone, Copy, Debug)]
pub struct Phys;

/// The address as a pointer, once it is known to be within registered memory.
#[inline]
fn pointer(at: Hpa, length: u64) -> *mut u8 {
    let end = at.0.checked_add(length);
    let known = |ranges: &[Range<u64>]| {
        ranges
            .iter()
            .any(|r| r.start <= at.0 && end.is_some_and(|end| end <= r.end))
    };
    assert!(
        RANGES.get().is_some_and(|ranges| known(ranges)),
        "host-physical {at}, {length} bytes: not guest or table memory"
    );
    at.0 as *mut u8
}

#[inline]
fn word(at: Hpa) -> &'static AtomicU64 {
    assert!(at.0.is_multiple_of(8), "host-physical {at} is not aligned");
    // SAFETY: registered, aligned memory, which Rust code accesses in no other way.
    unsafe { AtomicU64::from_ptr(pointer(at, 8).cast()) }
}

/// Copies bytes upwards, eight at a time.
///
/// # Safety
/// `from` can be read, `to` written, and what is Rust's of either is the caller's.
#[inline]
unsafe fn copy(from: *const u8, to: *mut u8, length: usize) {
    // SAFETY: by the caller. The direction flag is clear, as everywhere between functions.
    unsafe {
        asm!(
            "rep movsq",
            "mov ecx, {rest:e}",
            "rep movsb",
            rest = in(reg) length % 8,
            inout("rcx") length / 8 => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags)
        );
    }
}

impl Memory for Phys {
    #[inline]
    fn read(&self, at: Hpa, out: &mut [u8]) {
        let from = pointer(at, out.len() as u64);
        // SAFETY: registered memory; `out` is ours. A guest may write the memory meanwhile: the bytes
        // are data to us, whatever they are.
        unsafe { copy(from, out.as_mut_ptr(), out.len()) }
    }

    #[inline]
    fn write(&self, at: Hpa, bytes: &[u8]) {
        let to = pointer(at, bytes.len() as u64);
        // SAFETY: registered memory, in which no Rust object is: not `bytes` either.
        unsafe { copy(bytes.as_ptr(), to, bytes.len()) }
    }

    fn zero(&self, at: Hpa, length: u64) {
        let to = pointer(at, length);
        // SAFETY: registered memory.
        unsafe {
            asm!(
                "rep stosq",
                "mov ecx, {rest:e}",
                "rep stosb",
                rest = in(reg) length % 8,
                inout("rcx") length / 8 => _,
                inout("rdi") to => _,
                in("rax") 0_u64,
                options(nostack, preserves_flags)
            );
        }
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
        // SAFETY: registered, aligned memory, which is there for ever and which Rust code accesses in
        // no other way.
        unsafe { core::slice::from_raw_parts(words, (length / 8) as usize) }
    }
}
