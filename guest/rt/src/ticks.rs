//! Interrupts that are counted, and waited for.

use crate::{Single, execute, machine};

/// How many interrupts have come, which their handler counts.
pub struct Ticks(Single<u32>);

impl Default for Ticks {
    fn default() -> Self {
        Self::new()
    }
}

impl Ticks {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(Single::new(0))
    }

    /// One more has come.
    pub fn add(&self) {
        self.0.store(self.0.load() + 1);
    }

    /// How many have come.
    pub fn count(&self) -> u32 {
        self.0.load()
    }

    /// Halts until so many more have come; returns how many came.
    pub fn halt_for(&self, ticks: u32) -> u32 {
        let first = self.count();
        while self.count().wrapping_sub(first) < ticks {
            execute!("sti", "hlt", "cli");
        }
        self.count() - first
    }

    /// How many come in 1 ms with interrupts enabled.
    pub fn in_1_ms(&self) -> u32 {
        let first = self.count();
        let until = machine::rdtsc() + machine::tsc_khz();
        execute!("sti");
        while machine::rdtsc() < until {
            core::hint::spin_loop();
        }
        execute!("cli");
        self.count() - first
    }
}
