//! The table of handlers: one for each kind of exit, and what a handler can decide.

use super::{Exit, Kind};
use crate::machine::Event;
use crate::vcpu::Vcpu;
use alloc::string::String;

/// Decides what to do about an exit. It may change registers and devices; only
/// [`crate::run`] advances RIP, injects and stops.
pub type Handler = fn(&Exit, &mut Vcpu) -> Verdict;

/// What a handler decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done: go on behind the instruction.
    Next,
    /// Done, for an instruction whose length the handler knows and the exit does not say: go on
    /// this many bytes further. With 0, one repetition of a repeated instruction is done.
    NextBy(u8),
    /// Go on where the guest is: the instruction runs again, or RIP was set.
    Resume,
    /// Go on at another place, where RIP was set: an event that was being delivered is over.
    Redirect,
    /// Deliver this event instead of the instruction.
    Inject(Event),
    /// Done, and the virtual CPU waits for an interrupt behind the instruction.
    Halt,
    /// Done, and the guest gives away the rest of its time slice.
    Yield,
    /// Wait for input, or until the TSC reaches this, then run the instruction again.
    Wait(Option<u64>),
    /// The guest ends.
    Stop(Stop),
}

/// How a guest ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It asked to, with this status; 0 is success.
    Exit(u64),
    /// An application was killed by this signal.
    Signal {
        /// Its Linux number.
        number: u32,
        /// Its name.
        name: &'static str,
    },
    /// It switched its machine off, which is a good end.
    PowerOff,
    /// It reset its machine.
    Reset,
    /// A triple fault or shutdown.
    TripleFault,
    /// It did something that we do not support, or its state cannot be entered.
    Unsupported(String),
}

impl Verdict {
    /// Injects #GP(0), the answer to most forbidden things.
    pub const GP: Self = Self::Inject(Event::exception(13, Some(0)));
    /// Injects #UD.
    pub const UD: Self = Self::Inject(Event::exception(6, None));
}

/// A handler for every kind of exit.
pub struct ExitTable([Handler; Kind::COUNT]);

impl ExitTable {
    /// The handler of this kind.
    #[inline]
    #[must_use]
    pub fn handler(&self, kind: Kind) -> Handler {
        self.0[kind as usize]
    }

    /// This table with some rows changed: what a guest kind does differently. A doubled row fails the build.
    #[must_use]
    pub const fn with(mut self, rows: &[(Kind, Handler)]) -> Self {
        let mut seen = [false; Kind::COUNT];
        let mut i = 0;
        while i < rows.len() {
            let slot = rows[i].0 as usize;
            assert!(!seen[slot], "a kind of exit has two rows");
            seen[slot] = true;
            self.0[slot] = rows[i].1;
            i += 1;
        }
        self
    }
}

/// Builds a table from its rows. A missing or doubled row fails the build.
#[must_use]
pub const fn exit_table(rows: &[(Kind, Handler)]) -> ExitTable {
    assert!(
        rows.len() == Kind::COUNT,
        "the exit table wants one row for each kind"
    );
    let mut handlers = [rows[0].1; Kind::COUNT];
    let mut seen = [false; Kind::COUNT];
    let mut i = 0;
    while i < rows.len() {
        let slot = rows[i].0 as usize;
        assert!(!seen[slot], "a kind of exit has two rows");
        seen[slot] = true;
        handlers[slot] = rows[i].1;
        i += 1;
    }
    ExitTable(handlers)
}

#[cfg(test)]
mod tests;
