//! The hypervisor's own paging structures: the identity, each page with no more rights than it needs.

use crate::info::Info;
use crate::memory::{self, EARLY_END, STACK_BLOCK};
use alloc::vec::Vec;
use core::ops::Range;
use cpu::cpuid::Features;
use cpu::percpu::{self, MAX_CPUS, STACKS_SIZE};
use cpu::phys::Phys;
use spec::addr::{Hpa, PAGE_SIZE};
use vmm::machine::Memory;
use vmm::memory::Frames;
use vmm::memory::table::{self, LongMode, Rights, page_size};

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

/// What decides about the rights of a page.
pub struct Plan {
    /// The image, and its code.
    image: (Range<u64>, Range<u64>),
    /// Where each CPU's stacks begin.
    stacks: Vec<u64>,
    /// The 2 MiB blocks that are mapped in 4 KiB pages.
    split: Vec<Range<u64>>,
    trampoline: Option<u64>,
    /// Where one kind of memory ends and another begins; a 1 GiB page must not reach across.
    edges: Vec<u64>,
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
        let gib = at..at.saturating_add(page_size(3));
        let whole = |r: &Range<u64>| r.end <= gib.start || gib.end <= r.start;
        let plain = !self
            .edges
            .iter()
            .any(|edge| gib.start < *edge && *edge < gib.end);
        if self.gib_pages
            && at.is_multiple_of(page_size(3))
            && plain
            && self.split.iter().all(whole)
        {
            3
        } else if self.split.iter().any(|r| r.contains(&at)) {
            1
        } else {
            2
        }
    }
}

/// Builds the structures; returns their root.
///
/// # Errors
/// The line to print, when memory runs out.
pub fn build(plan: &Plan, info: &Info, frames: &mut Frames) -> Result<u64, &'static str> {
    let mut allocate = || {
        let page = frames.allocate_page().filter(|&page| page < EARLY_END)?;
        Phys.zero(Hpa(page), PAGE_SIZE);
        Some(page)
    };
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
    let memory: &dyn Memory = &Phys;
    let mut at = range.start;
    while at < range.end {
        let level = match plan.level(at) {
            3 if at + page_size(3) > range.end => 2,
            level => level,
        };
        if level == 1 {
            for page in (at..at + page_size(2)).step_by(PAGE_SIZE as usize) {
                if let Some(rights) = plan.rights(page) {
                    table::map::<LongMode>(&memory, root, page, page, 1, rights, allocate)?;
                }
            }
            at += page_size(2);
        } else {
            table::map::<LongMode>(&memory, root, at, at, level, DATA, allocate)?;
            at += page_size(level);
        }
    }
    Ok(())
}
