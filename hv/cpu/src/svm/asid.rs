//! Address space identifiers: each physical CPU gives out its own, and starts anew with a flushed
//! TLB when it has no more. ASID 0 is the host's.

use crate::percpu::MAX_CPUS;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What a CPU has given out. Only that CPU touches it.
struct Pool {
    generation: AtomicU64,
    last: AtomicU32,
    count: AtomicU32,
}

static POOLS: [Pool; MAX_CPUS] = [const {
    Pool {
        generation: AtomicU64::new(1),
        last: AtomicU32::new(0),
        count: AtomicU32::new(0),
    }
}; MAX_CPUS];

/// An ASID, and when and where it was given. The default was never given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asid {
    pub(super) number: u32,
    cpu: usize,
    generation: u64,
}

/// Says how many ASIDs this CPU has, ASID 0 included.
pub(super) fn set_count(cpu: usize, count: u32) {
    POOLS[cpu].count.store(count, Ordering::Relaxed);
}

impl Asid {
    /// Whether it may still be used on this CPU.
    pub(super) fn is_valid(self, cpu: usize) -> bool {
        self.cpu == cpu && self.generation == POOLS[cpu].generation.load(Ordering::Relaxed)
    }

    /// One that this CPU has not given out in this generation, and whether the whole TLB must be
    /// flushed first because a new generation begins.
    pub(super) fn allocate(cpu: usize) -> (Self, bool) {
        let pool = &POOLS[cpu];
        let next = pool.last.load(Ordering::Relaxed) + 1;
        let wrapped = next >= pool.count.load(Ordering::Relaxed);
        let number = if wrapped { 1 } else { next };
        pool.last.store(number, Ordering::Relaxed);
        let step = u64::from(wrapped);
        let generation = pool.generation.load(Ordering::Relaxed) + step;
        pool.generation.store(generation, Ordering::Relaxed);
        (
            Self {
                number,
                cpu,
                generation,
            },
            wrapped,
        )
    }
}
