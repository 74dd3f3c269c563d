//! The timer of a local APIC (SDM 3A "APIC Timer"). Its input clock is the TSC.

use super::MASKED;
use spec::apic::{Lvt, divide_ratio};

const PERIODIC: u32 = Lvt::PERIODIC.bits();
const TSC_DEADLINE: u32 = Lvt::TSC_DEADLINE.bits();
const MODE: u32 = PERIODIC | TSC_DEADLINE;

#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    /// The timer's LVT entry.
    pub(super) vector_entry: u32,
    /// The divide configuration register.
    divide: u32,
    initial_count: u32,
    deadline: Option<u64>,
}

impl Default for Timer {
    fn default() -> Self {
        Self {
            vector_entry: MASKED,
            divide: 0,
            initial_count: 0,
            deadline: None,
        }
    }
}

impl Timer {
    #[inline]
    pub(super) fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    pub(super) fn divide(&self) -> u32 {
        self.divide
    }

    /// The count that is left stays, and goes on at the new rate.
    pub(super) fn set_divide(&mut self, divide: u32, now: u64) {
        let before = u64::from(divide_ratio(core::mem::replace(&mut self.divide, divide)));
        if self.vector_entry & MODE != TSC_DEADLINE {
            let left = |deadline: u64| deadline.saturating_sub(now).div_ceil(before);
            let scaled = |deadline| left(deadline) * u64::from(divide_ratio(divide));
            self.deadline = self.deadline.map(|at| now.saturating_add(scaled(at)));
        }
    }

    fn period(&self) -> u64 {
        u64::from(self.initial_count) * u64::from(divide_ratio(self.divide))
    }

    /// A change between TSC-deadline mode and the others, the reserved one too, disarms the timer.
    pub(super) fn set_vector_entry(&mut self, value: u32) {
        let has_deadline = |entry: u32| entry & MODE == TSC_DEADLINE;
        let changed = has_deadline(self.vector_entry) != has_deadline(value);
        self.vector_entry = value;
        if changed {
            self.deadline = None;
            self.initial_count = 0;
        }
    }

    pub(super) fn initial_count(&self) -> u32 {
        self.initial_count
    }

    pub(super) fn set_initial_count(&mut self, count: u32, now: u64) {
        if self.vector_entry & MODE == TSC_DEADLINE {
            return;
        }
        self.initial_count = count;
        self.deadline = (count != 0).then(|| now.saturating_add(self.period()));
    }

    /// It is 0 when the timer fires, and not before.
    pub(super) fn current_count(&self, now: u64) -> u32 {
        match self.deadline {
            Some(deadline) if self.vector_entry & MODE != TSC_DEADLINE => deadline
                .saturating_sub(now)
                .div_ceil(u64::from(divide_ratio(self.divide)))
                .min(u64::from(self.initial_count))
                as u32,
            _ => 0,
        }
    }

    pub(super) fn tsc_deadline(&self) -> u64 {
        match self.deadline {
            Some(deadline) if self.vector_entry & MODE == TSC_DEADLINE => deadline,
            _ => 0,
        }
    }

    pub(super) fn set_tsc_deadline(&mut self, deadline: u64) {
        if self.vector_entry & MODE == TSC_DEADLINE {
            self.deadline = (deadline != 0).then_some(deadline);
        }
    }

    /// True if the timer fires. Periods that went by unseen make one interrupt, and so do those within `least`: a
    /// guest with a shorter period would do nothing but take interrupts.
    pub(super) fn expire(&mut self, now: u64, least: u64) -> bool {
        let Some(deadline) = self.deadline.filter(|&deadline| now >= deadline) else {
            return false;
        };
        let period = self.period();
        let unseen = now - deadline + if period < least { least } else { 0 };
        self.deadline = match self.vector_entry & MODE {
            PERIODIC if period != 0 => Some(deadline + (unseen / period + 1) * period),
            _ => None,
        };
        true
    }
}

#[cfg(test)]
mod tests;
