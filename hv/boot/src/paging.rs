//! The hypervisor's own paging structures: the identity, each page with no more rights than it needs.

use crate::info::Info;
use crate::memory::{self, EARLY_END, STACK_BLOCK};
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering};
use cpu::cpuid::Features;
use cpu::percpu::{self, MAX_CPUS, STACKS_SIZE};
use spec::addr::PAGE_SIZE;
use spec::paging::{ENTRIES, Entry, index};
use vmm::memory::Frames;
use vmm::memory::table::{self, Format, LongMode, Rights, Tables, page_size};

const DATA: Rights = Rights {
    write: true,
    execute: false,
    user: false,
};
const CODE: Rights = Rights {
    write: false,
    execute: true,
    user: false,
};
const READ: Rights = Rights {
    write: false,
    execute: false,
    user: false,
};

/// Before it is known that the processor has execute-disable.
const EARLY: Rights = Rights {
    write: true,
    execute: true,
    user: false,
};

/// What decides about the rights of a page.
pub struct Plan {
    /// The image, and its code.
    image: (Range<u64>, Range<u64>),
    /// Where each CPU's stacks begin.
    stacks: Vec<u64>,
    /// The 2 MiB blocks that are mapped in 4 KiB pages.
    split: Vec<Range<u64>>,
    trampoline: Option<u64>,
    /// Where one kind of memory ends and another begins. A large page must not reach across: its parts
    /// can be of different memory types. SDM 3A "Large Page Size Considerations".
    edges: Vec<u64>,
    /// What is memory; the rest is devices.
    memory: Vec<Range<u64>>,
    gib_pages: bool,
}

impl Plan {
    /// The plan for this machine. `boot_stacks` is the first CPU's, `stack_block` the others'.
    pub fn new(
        info: &Info,
        features: &Features,
        boot_stacks: u64,
        stack_block: u64,
        trampoline: Option<u64>,
    ) -> Self {
        let image = memory::image();
        let block = page_size(2);
        let split = [
            0..block,
            image.0.start & !(block - 1)..image.0.end.next_multiple_of(block),
        ];
        let others = (0..MAX_CPUS as u64 - 1).map(|n| stack_block + n * STACKS_SIZE);
        Self {
            stacks: core::iter::once(boot_stacks).chain(others).collect(),
            split: split
                .into_iter()
                .chain(core::iter::once(stack_block..stack_block + STACK_BLOCK))
                .collect(),
            edges: info.areas().flat_map(|(r, _)| [r.start, r.end]).collect(),
            memory: info.memory().collect(),
            gib_pages: features.gib_pages,
            image,
            trampoline,
        }
    }

    /// What a 4 KiB page allows; nothing at all for page 0 and the guard pages.
    fn rights(&self, page: u64) -> Option<Rights> {
        let (image, code) = &self.image;
        let is_guard = |&base: &u64| {
            (base..base + STACKS_SIZE).contains(&page)
                && percpu::stacks(base).any(|s| s.guard.contains(&page))
        };
        if page == 0 || self.stacks.iter().any(is_guard) {
            None
        } else if code.contains(&page) || self.trampoline == Some(page) {
            Some(CODE)
        } else if (image.start..code.start).contains(&page) {
            Some(READ)
        } else {
            Some(DATA)
        }
    }

    /// The level of the largest page that may map `at`, which is aligned to 2 MiB.
    fn level(&self, at: u64) -> u8 {
        let plain = |level| {
            let page = at..at.saturating_add(page_size(level));
            let mut edges = self.edges.iter();
            edges.all(|&edge| edge <= page.start || page.end <= edge)
                && (self.split.iter()).all(|r| r.end <= page.start || page.end <= r.start)
        };
        if self.gib_pages && at.is_multiple_of(page_size(3)) && plain(3) {
            3
        } else if plain(2) {
            2
        } else {
            1
        }
    }

    fn is_memory(&self, page: u64) -> bool {
        self.memory.iter().any(|r| r.contains(&page))
    }
}

/// Pages of devices' registers: uncacheable, whatever the MTRRs say.
struct Device;

impl Format for Device {
    fn present(entry: u64) -> bool {
        LongMode::present(entry)
    }

    fn table(next: u64) -> u64 {
        LongMode::table(next)
    }

    fn leaf(page: u64, level: u8, rights: Rights) -> u64 {
        LongMode::leaf(page, level, rights) | (Entry::PCD | Entry::PWT).bits()
    }

    fn rights(entry: u64) -> Rights {
        LongMode::rights(entry)
    }
}

/// The structures themselves: on pages that nobody else ever reaches.
struct Structures;

impl Structures {
    /// A zeroed page for one.
    fn allocate(frames: &mut Frames) -> Option<u64> {
        let page = frames.allocate_page().filter(|&page| page < EARLY_END)?;
        // SAFETY: a free page of memory, which the early page tables map.
        unsafe { (page as *mut [u64; ENTRIES]).write([0; ENTRIES]) }
        Some(page)
    }
}

impl Tables for Structures {
    fn read_entry(&self, at: u64) -> Option<u64> {
        // SAFETY: the walker passes addresses of entries on pages from `allocate`.
        Some(unsafe { (at as *const u64).read() })
    }

    fn write_entry(&self, at: u64, entry: u64) -> Option<()> {
        // SAFETY: as above; the structures are not in use yet.
        unsafe { (at as *mut u64).write(entry) }
        Some(())
    }
}

/// Builds the structures; returns their root.
///
/// # Errors
/// The line to print, when memory runs out.
pub fn build(plan: &Plan, info: &Info, frames: &mut Frames) -> Result<u64, &'static str> {
    let mut allocate = || Structures::allocate(frames);
    let root = allocate().ok_or("no memory for page tables")?;
    let block = page_size(2);
    let screen = info
        .framebuffer()
        .map(|f| f.address()..f.address() + u64::from(f.pitch()) * u64::from(f.height()));
    let high = info.usable().chain(screen).filter(|r| r.end > EARLY_END);
    let ranges = core::iter::once(0..EARLY_END)
        .chain(high.map(|r| r.start.max(EARLY_END) & !(block - 1)..r.end.next_multiple_of(block)));
    for range in ranges {
        map(plan, root, range, &mut allocate).map_err(|_| "no memory for page tables")?;
    }
    Ok(root)
}

/// Maps a range whose ends are multiples of 2 MiB.
fn map(
    plan: &Plan,
    root: u64,
    range: Range<u64>,
    allocate: &mut impl FnMut() -> Option<u64>,
) -> Result<(), table::OutOfFrames> {
    let mut at = range.start;
    while at < range.end {
        let level = match plan.level(at) {
            3 if at + page_size(3) > range.end => 2,
            level => level,
        };
        if level == 1 {
            for page in (at..at + page_size(2)).step_by(PAGE_SIZE as usize) {
                if let Some(rights) = plan.rights(page) {
                    map_page(plan, root, page, 1, rights, allocate)?;
                }
            }
            at += page_size(2);
        } else {
            map_page(plan, root, at, level, DATA, allocate)?;
            at += page_size(level);
        }
    }
    Ok(())
}

fn map_page(
    plan: &Plan,
    root: u64,
    page: u64,
    level: u8,
    rights: Rights,
    allocate: &mut impl FnMut() -> Option<u64>,
) -> Result<(), table::OutOfFrames> {
    let map = if plan.is_memory(page) {
        table::map::<LongMode>
    } else {
        table::map::<Device>
    };
    map(&Structures, root, page, page, level, rights, allocate)
}

unsafe extern "C" {
    static early_pml4: u8;
    static early_pdpt: u8;
    static early_high: u8;
}

/// Maps what lies above [`EARLY_END`] in the early page tables, which are in use: once, and within
/// one GiB. Whether it could.
pub fn map_early(range: Range<u64>) -> bool {
    static DONE: AtomicBool = AtomicBool::new(false);
    let gib = page_size(3);
    let start = range.start & !(gib - 1);
    let fits = range.start >= EARLY_END && range.end <= 1 << 47 && range.end - start <= gib;
    if !fits || DONE.swap(true, Ordering::Relaxed) {
        return false;
    }
    let (high, low) = (&raw const early_high as u64, &raw const early_pdpt as u64);
    let directory = high + PAGE_SIZE;
    let slot = |table: u64, level| table + index(start, level) as u64 * 8;
    // The lowest 512 GiB have a structure already.
    let pointers = if index(start, 4) == 0 { low } else { high };
    let entries = (0..ENTRIES as u64).map(|n| {
        let page = Device::leaf(start + n * page_size(2), 2, EARLY);
        (directory + n * 8, page)
    });
    let upper = [
        (slot(pointers, 3), Device::table(directory)),
        (
            slot(&raw const early_pml4 as u64, 4),
            Device::table(pointers),
        ),
    ];
    for (at, entry) in entries.chain(upper) {
        // SAFETY: an entry of the early structures, that was not present or is what it was but for
        // its user bit; the level above is written last.
        unsafe { (at as *mut u64).write_volatile(entry) }
    }
    true
}
