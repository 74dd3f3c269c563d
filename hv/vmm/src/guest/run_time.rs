//! How long a guest has executed.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Ticks of the time-stamp counter in which a guest had a physical CPU: not those in which it waited, or others ran.
#[derive(Debug, Default)]
pub struct RunTime {
    total: AtomicU64,
    since: AtomicU64,
}

impl RunTime {
    /// It gets a physical CPU.
    pub fn resume(&self, now: u64) {
        self.since.store(now, Relaxed);
    }

    /// It gives the physical CPU back.
    pub fn pause(&self, now: u64) {
        let ticks = now.wrapping_sub(self.since.load(Relaxed));
        self.total.fetch_add(ticks, Relaxed);
    }

    /// The ticks until now, asked while it has a physical CPU.
    pub fn at(&self, now: u64) -> u64 {
        let ticks = now.wrapping_sub(self.since.load(Relaxed));
        self.total.load(Relaxed).wrapping_add(ticks)
    }
}
