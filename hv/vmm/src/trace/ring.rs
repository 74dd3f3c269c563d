//! The ring of the last events on one physical CPU.

use crate::exit::Kind;
use crate::exit::table::Verdict;
use core::fmt;

/// How many events the ring remembers.
pub const CAPACITY: usize = 64;

/// At which level the code runs that left, or that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Level {
    /// Our own.
    L0,
    /// A guest of ours.
    L1,
    /// A guest of a guest.
    L2,
}

/// What was decided, without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Outcome {
    Next,
    Resume,
    Inject,
    Halt,
    Yield,
    Wait,
    Stop,
}

impl From<&Verdict> for Outcome {
    #[inline]
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Next => Self::Next,
            Verdict::Resume => Self::Resume,
            Verdict::Inject(_) => Self::Inject,
            Verdict::Halt => Self::Halt,
            Verdict::Yield => Self::Yield,
            Verdict::Wait => Self::Wait,
            Verdict::Stop(_) => Self::Stop,
        }
    }
}

/// What happened. Text is made by [`fmt::Display`], outside the path of an exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A VM exit.
    Exit {
        /// The guest's number.
        guest: u16,
        /// Who ran.
        level: Level,
        /// Why it left.
        kind: Kind,
        /// What was decided.
        outcome: Outcome,
        /// Where it was.
        rip: u64,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Exit {
            guest,
            level,
            kind,
            outcome,
            rip,
        } = self;
        write!(
            f,
            "guest {guest} {level:?} {:<20} rip {rip:#018x} -> {outcome:?}",
            kind.name()
        )
    }
}

/// The last [`CAPACITY`] events with the TSC of each.
#[derive(Debug)]
pub struct Ring {
    entries: [Option<(u64, Event)>; CAPACITY],
    next: usize,
}

impl Default for Ring {
    fn default() -> Self {
        Self::new()
    }
}

impl Ring {
    /// An empty ring.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: [None; CAPACITY],
            next: 0,
        }
    }

    /// Remembers an event, forgetting the oldest.
    #[inline]
    pub fn push(&mut self, tsc: u64, event: Event) {
        self.entries[self.next % CAPACITY] = Some((tsc, event));
        self.next = self.next.wrapping_add(1);
    }

    /// The events, oldest first, with the TSC of each.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Event)> + '_ {
        (0..CAPACITY).filter_map(|i| self.entries[self.next.wrapping_add(i) % CAPACITY])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn remembers_the_last_events_in_order() {
        let mut ring = Ring::new();
        for n in 0..CAPACITY as u64 + 3 {
            ring.push(
                n,
                Event::Exit {
                    guest: 1,
                    level: Level::L1,
                    kind: Kind::Cpuid,
                    outcome: Outcome::Next,
                    rip: n,
                },
            );
        }
        let times: Vec<u64> = ring.iter().map(|(tsc, _)| tsc).collect();
        assert_eq!(times, (3..CAPACITY as u64 + 3).collect::<Vec<_>>());
    }
}
