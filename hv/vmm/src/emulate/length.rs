//! The length of the instruction at RIP, for hardware that does not say it.
//!
//! Guests exit at the same few instructions again and again. So a length is remembered together with all that it
//! came from.

use super::fetch;
use super::origin::Origin;
use crate::machine::{CodeState, Event};
use crate::vcpu::Vcpu;
use alloc::boxed::Box;

/// How many instructions are remembered. Where the low bits of RIP are equal, the last one.
const LINES: usize = 32;

/// The lengths of instructions seen before, kept by an engine whose processor does not save the next RIP.
pub struct Lengths(Box<[Line; LINES]>);

impl Default for Lengths {
    fn default() -> Self {
        Self(Box::new([Line::EMPTY; LINES]))
    }
}

/// The length of one instruction, and all that it came from. Its size makes its address cheap.
#[derive(Clone, Copy)]
#[repr(align(128))]
pub struct Line {
    origin: Origin,
    length: u8,
}

impl Lengths {
    /// The length of the instruction that this is the state at; 0 if it is not known.
    #[inline]
    #[must_use]
    pub fn find(&self, state: &CodeState) -> u8 {
        let line = &self.0[state.rip as usize % LINES];
        if line.origin.is_at(state) && line.origin.is_unchanged() {
            line.length
        } else {
            0
        }
    }

    /// Remembers a length.
    pub fn remember(&mut self, line: Line) {
        self.0[line.origin.state.rip as usize % LINES] = line;
    }

    /// Forgets them all.
    pub fn forget(&mut self) {
        *self.0 = [Line::EMPTY; LINES];
    }
}

const _: () = assert!(size_of::<Line>() == 128);

impl Line {
    /// Whatever it matches has no known length.
    const EMPTY: Self = Self {
        origin: Origin::NOWHERE,
        length: 0,
    };
}

/// The length of the instruction at RIP, in bytes, which the engine may remember.
pub fn decode(v: &mut Vcpu) -> Result<u8, Event> {
    let found = Origin::of(v);
    let length = fetch::instruction(v)?.len() as u8;
    // What another CPU, or our own fetch, has changed meanwhile is not remembered.
    if let Some((origin, code)) = found
        && u64::from(length) <= code
        && origin.is_unchanged()
    {
        v.engine.remember_length(Line { origin, length });
    }
    Ok(length)
}

#[cfg(test)]
mod tests;
