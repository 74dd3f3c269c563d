//! Who gets which memory: the heap, the stacks, and what is left for guests.

use crate::info::Info;
use core::ops::Range;
use cpu::percpu::{MAX_CPUS, STACKS_SIZE};
use cpu::phys;
use talc::{TalcLock, source::Manual};
use vmm::host::Heap;
use vmm::memory::Frames;

#[global_allocator]
static HEAP: TalcLock<spin::Mutex<()>, Manual> = TalcLock::new(Manual);

const MIB: u64 = 1 << 20;
/// What no guest is promised of the heap.
const OWN_HEAP: u64 = 2 * MIB;
/// What the early page tables map, and what CR3 can hold in an application processor's first steps.
pub const EARLY_END: u64 = 4 << 30;
/// The block that holds the application processors' stacks, mapped in 4 KiB pages.
pub const STACK_BLOCK: u64 = 2 * MIB;
const _: () = assert!((MAX_CPUS as u64 - 1) * STACKS_SIZE <= STACK_BLOCK);

unsafe extern "C" {
    static image_start: u8;
    static text_start: u8;
    static text_end: u8;
    static loaded_end: u8;
    static image_end: u8;
}

/// Where the image lies: `(all of it, its code)`. Before the code it is read-only, after it data.
pub fn image() -> (Range<u64>, Range<u64>) {
    let [start, text, data, end] = [
        &raw const image_start,
        &raw const text_start,
        &raw const text_end,
        &raw const image_end,
    ]
    .map(|p| p as u64);
    (start..end, text..data)
}

/// How many bytes of the image the boot loader copies from the file; the rest is zeros.
pub fn loaded() -> u64 {
    &raw const loaded_end as u64 - &raw const image_start as u64
}

/// What is not ours to give away, though the memory map calls it usable.
fn taken(info: &Info) -> impl Iterator<Item = Range<u64>> {
    info.reserved().chain([0..MIB, image().0])
}

/// Gives a part of the largest free piece of memory that is mapped already to the heap; returns it.
///
/// # Errors
/// The line to print, when there is too little memory.
pub fn init_heap(info: &Info) -> Result<Range<u64>, &'static str> {
    const LEAST: u64 = 4 * MIB;
    let total: u64 = info.usable().map(|r| r.end - r.start).sum();
    let wanted = (total / 4).min(64 * MIB);
    let piece = pieces(info)
        .max_by_key(|r| r.end - r.start)
        .ok_or("the memory map has no usable memory")?;
    let start = piece
        .start
        .max(piece.end.saturating_sub(wanted) & !(2 * MIB - 1));
    if piece.end - start < LEAST {
        return Err("less than 4 MiB of memory are free: give the machine 64 MiB or more");
    }
    // SAFETY: usable memory that holds nothing, mapped, and kept from the frame allocator.
    unsafe {
        HEAP.lock()
            .claim(start as *mut u8, (piece.end - start) as usize)
    }
    .ok_or("the heap is too small")?;
    Ok(start..piece.end)
}

/// The part of the heap that guests can be promised: what is free, less what we keep for ourselves. More is made
/// from free frames, for as many guests as there are.
pub fn heap_for_guests() -> Heap {
    let counters = *HEAP.lock().counters();
    let free = counters
        .claimed_bytes
        .saturating_sub(counters.allocated_bytes) as u64;
    Heap::new(free.saturating_sub(OWN_HEAP), |range| {
        // SAFETY: usable memory that the frame allocator gave away for good; it is mapped.
        let claimed = unsafe {
            HEAP.lock()
                .claim(range.start as *mut u8, (range.end - range.start) as usize)
        };
        assert!(claimed.is_some(), "the heap does not take {range:x?}");
    })
}

/// How many bytes of the heap are allocated.
pub fn heap_in_use() -> u64 {
    HEAP.lock().counters().allocated_bytes as u64
}

/// The free pieces of memory that the early page tables map. No heap yet, so each piece is found
/// from the address where it may start.
fn pieces(info: &Info) -> impl Iterator<Item = Range<u64>> {
    info.usable().flat_map(move |area| {
        let starts = core::iter::once(area.start).chain(taken(info).map(|r| r.end));
        starts.filter_map(move |start| {
            let start = start.next_multiple_of(4096);
            let free = area.contains(&start) && !taken(info).any(|r| r.contains(&start));
            let end = taken(info)
                .map(|r| r.start)
                .filter(|&s| s >= start)
                .fold(area.end.min(EARLY_END), u64::min)
                & !4095;
            (free && start < end).then_some(start..end)
        })
    })
}

/// The memory that is left, and the block for the application processors' stacks.
///
/// # Errors
/// The line to print, when there is too little memory.
pub fn divide(info: &Info, heap: &Range<u64>) -> Result<(Frames, u64), &'static str> {
    let mut ours = Frames::new();
    info.usable().for_each(|r| ours.add(r));
    info.reserved().for_each(|r| ours.reserve(r));
    ours.reserve(0..MIB);
    ours.reserve(image().0);
    ours.reserve(heap.clone());
    let stacks = ours
        .allocate(STACK_BLOCK, STACK_BLOCK)
        .filter(|&at| at < EARLY_END);
    let stacks = stacks.ok_or("no memory for the processors' stacks")?;
    Ok((ours, stacks))
}

/// Lets vmm touch the memory that is still free once our page tables are built and loaded.
pub fn register(ours: &Frames) {
    // SAFETY: usable RAM apart from the image, the modules, the heap, the stacks and our page tables, which map
    // all of it.
    unsafe { phys::register(ours.ranges()) }
}

/// A page below 640 KiB for the application processors' first steps.
pub fn trampoline_page(info: &Info) -> Option<u64> {
    let free = |page: u64| {
        let range = page..page + 4096;
        info.usable()
            .any(|r| r.start <= range.start && range.end <= r.end)
            && !info
                .reserved()
                .any(|r| r.start < range.end && range.start < r.end)
    };
    (1..0xa0)
        .rev()
        .map(|number| number << 12)
        .find(|&page| free(page))
}
