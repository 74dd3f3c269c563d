//! The ring of the last events on one physical CPU.

use crate::exit::Kind;
use crate::exit::table::Verdict;
use core::fmt;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

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

impl Level {
    const ALL: [Self; 3] = [Self::L0, Self::L1, Self::L2];
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

impl Outcome {
    const ALL: [Self; 7] = [
        Self::Next,
        Self::Resume,
        Self::Inject,
        Self::Halt,
        Self::Yield,
        Self::Wait,
        Self::Stop,
    ];
}

impl From<&Verdict> for Outcome {
    #[inline]
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Next | Verdict::NextBy(_) => Self::Next,
            Verdict::Resume | Verdict::Redirect => Self::Resume,
            Verdict::Inject(_) => Self::Inject,
            Verdict::Halt => Self::Halt,
            Verdict::Yield => Self::Yield,
            Verdict::Wait(_) => Self::Wait,
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
            "guest {guest} {level:?} {:<22} rip {rip:#018x} -> {outcome:?}",
            kind.name()
        )
    }
}

/// The bit of the packed word that says that the slot was written.
const WRITTEN: u64 = 1 << 63;

impl Event {
    #[inline]
    fn pack(self) -> (u64, u64) {
        let Self::Exit {
            guest,
            level,
            kind,
            outcome,
            rip,
        } = self;
        let word =
            kind as u64 | (outcome as u64) << 8 | (level as u64) << 16 | u64::from(guest) << 32;
        (word | WRITTEN, rip)
    }

    fn unpack(word: u64, rip: u64) -> Option<Self> {
        if word & WRITTEN == 0 {
            return None;
        }
        let byte = |n: u32| usize::from((word >> (8 * n)) as u8);
        Some(Self::Exit {
            guest: (word >> 32) as u16,
            level: *Level::ALL.get(byte(2))?,
            kind: *Kind::ALL.get(byte(0))?,
            outcome: *Outcome::ALL.get(byte(1))?,
            rip,
        })
    }
}

#[derive(Debug)]
struct Slot {
    tsc: AtomicU64,
    word: AtomicU64,
    rip: AtomicU64,
}

/// The last [`CAPACITY`] events with the TSC of each. One CPU writes; any may read, a panic
/// handler too, so there is no lock, and a slot read while it is written may mix two events.
#[derive(Debug)]
pub struct Ring {
    slots: [Slot; CAPACITY],
    next: AtomicUsize,
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
        let slots = [const {
            Slot {
                tsc: AtomicU64::new(0),
                word: AtomicU64::new(0),
                rip: AtomicU64::new(0),
            }
        }; CAPACITY];
        Self {
            slots,
            next: AtomicUsize::new(0),
        }
    }

    /// Remembers an event, forgetting the oldest.
    #[inline]
    pub fn push(&self, tsc: u64, event: Event) {
        let next = self.next.load(Relaxed);
        let slot = &self.slots[next % CAPACITY];
        let (word, rip) = event.pack();
        slot.tsc.store(tsc, Relaxed);
        slot.word.store(word, Relaxed);
        slot.rip.store(rip, Relaxed);
        self.next.store(next.wrapping_add(1), Relaxed);
    }

    /// The events, oldest first, with the TSC of each.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Event)> + '_ {
        let next = self.next.load(Relaxed);
        (0..CAPACITY).filter_map(move |i| {
            let slot = &self.slots[next.wrapping_add(i) % CAPACITY];
            let event = Event::unpack(slot.word.load(Relaxed), slot.rip.load(Relaxed))?;
            Some((slot.tsc.load(Relaxed), event))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn exit(rip: u64) -> Event {
        Event::Exit {
            guest: 7,
            level: Level::L1,
            kind: Kind::Wbinvd,
            outcome: Outcome::Halt,
            rip,
        }
    }

    #[test]
    fn remembers_the_last_events_in_order() {
        let ring = Ring::new();
        assert_eq!(ring.iter().count(), 0);
        for n in 0..CAPACITY as u64 + 3 {
            ring.push(n, exit(!n));
        }
        let got: Vec<_> = ring.iter().collect();
        let want: Vec<_> = (3..CAPACITY as u64 + 3).map(|n| (n, exit(!n))).collect();
        assert_eq!(got, want);
    }
}
