//! The clock that devices count by.

use crate::machine::Machine;

/// The time-stamp counter, and the ticks of other frequencies that are counted from it.
#[derive(Clone, Copy)]
pub struct Clock(&'static dyn Machine);

impl Clock {
    /// The clock of this machine.
    #[must_use]
    pub fn new(machine: &'static dyn Machine) -> Self {
        Self(machine)
    }

    /// The TSC.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.0.now()
    }

    /// How often a counter of this frequency, in hertz, has ticked since the TSC was 0.
    #[must_use]
    pub fn ticks(&self, hz: u64) -> u64 {
        scale(self.now(), hz, self.0.tsc_hz())
    }

    /// The first TSC at which a counter of this frequency has ticked so often.
    #[must_use]
    pub fn when(&self, ticks: u64, hz: u64) -> u64 {
        let early = scale(ticks, self.0.tsc_hz(), hz);
        match scale(early, hz, self.0.tsc_hz()) < ticks {
            true => early.saturating_add(1),
            false => early,
        }
    }

    /// The seconds since 1970-01-01 00:00 UTC at which the TSC was 0.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.0.epoch()
    }
}

/// What `count` at frequency `from` is at frequency `to`, rounded down.
fn scale(count: u64, to: u64, from: u64) -> u64 {
    let scaled = u128::from(count) * u128::from(to) / u128::from(from.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::fake::FakeMachine;
    use core::sync::atomic::Ordering::Relaxed;

    proptest::proptest! {
        /// A tick comes at the TSC that was foretold, and not before.
        #[test]
        fn ticks_come_when_foretold(ticks in 1..u64::from(u32::MAX), hz in 1..4_000_000_000u64) {
            let machine = FakeMachine::leak();
            let clock = Clock::new(machine);
            let at = clock.when(ticks, hz);
            if at < u64::MAX {
                machine.clock.store(at, Relaxed);
                proptest::prop_assert!(clock.ticks(hz) >= ticks);
                machine.clock.store(at - 1, Relaxed);
                proptest::prop_assert!(clock.ticks(hz) < ticks);
            }
        }
    }
}
