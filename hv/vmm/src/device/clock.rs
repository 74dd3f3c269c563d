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

#[cfg(test)]
impl Clock {
    /// The machine whose clock it is.
    pub(crate) fn machine(&self) -> &'static dyn Machine {
        self.0
    }
}

/// What `count` at frequency `from` is at frequency `to`, rounded down. Whole seconds and the rest apart, so that 64 bits
/// mostly do: a division of 128 bits takes hundreds of instructions.
fn scale(count: u64, to: u64, from: u64) -> u64 {
    let from = from.max(1);
    let (seconds, rest) = (count / from, count % from);
    let rest = match rest.checked_mul(to) {
        Some(product) => product / from,
        // Less than `to`, as `rest` is less than `from`.
        None => (u128::from(rest) * u128::from(to) / u128::from(from)) as u64,
    };
    seconds.saturating_mul(to).saturating_add(rest)
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
