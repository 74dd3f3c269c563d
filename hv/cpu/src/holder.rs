//! Whose registers each physical CPU holds: those that neither VM entry nor VM exit switches stay there until
//! another virtual CPU is loaded.

use crate::percpu::{self, MAX_CPUS};
use core::sync::atomic::{AtomicU64, Ordering};

/// The [`Holder::number`] of the virtual CPU that each physical CPU loaded last, or 0.
static HOLDERS: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// A virtual CPU as a holder of physical ones.
pub(crate) struct Holder {
    number: u64,
    /// The physical CPU that loaded it last.
    home: Option<usize>,
}

/// What a physical CPU has of the virtual one that is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Its registers, still.
    Kept,
    /// Those of another one that ran here since.
    Changed,
    /// Nothing: it was elsewhere last, or nowhere.
    Moved,
}

impl Holder {
    /// A new virtual CPU, which none holds.
    pub(crate) fn new() -> Self {
        Self {
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            home: None,
        }
    }

    /// This physical CPU is the virtual CPU's now.
    pub(crate) fn claim(&mut self) -> Claim {
        let cpu = percpu::this().index();
        let moved = self.home.replace(cpu) != Some(cpu);
        let before = HOLDERS[cpu].swap(self.number, Ordering::Relaxed);
        match (moved, before == self.number) {
            (true, _) => Claim::Moved,
            (false, true) => Claim::Kept,
            (false, false) => Claim::Changed,
        }
    }
}
