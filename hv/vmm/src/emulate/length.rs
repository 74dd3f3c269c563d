//! The length of the instruction at RIP, for hardware that does not say it.
//!
//! Guests exit at the same few instructions again and again. So a length is remembered together with all that it
//! came from: registers, the paging entries and the code itself. As long as these are what they were,
//! so is the length, whatever the guest flushed or did not flush.

use super::fetch;
use crate::machine::{CodeState, Event};
use crate::memory::GuestRam;
use crate::vcpu::Vcpu;
use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use spec::addr::{L1Gpa, PAGE_SIZE};

/// How many instructions are remembered. Where the low bits of RIP are equal, the last one.
const LINES: usize = 32;
/// The most words that a length comes from: four paging entries and a word of code, or three and two.
const WORDS: usize = 5;
const WORD: u64 = 8;

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
    rip: u64,
    cr3: u64,
    cs_base: u64,
    cs_access: u32,
    length: u8,
    /// The first is a word of code; what is left over repeats it.
    words: [Word; WORDS],
}

/// A word of the guest's memory, and what was in it.
#[derive(Clone, Copy)]
struct Word {
    place: &'static AtomicU64,
    value: u64,
}

impl Word {
    fn read(ram: &GuestRam, at: L1Gpa) -> Option<Self> {
        let place = ram.word(L1Gpa(at.0 & !(WORD - 1))).ok()?;
        let value = place.load(Relaxed);
        Some(Self { place, value })
    }

    #[inline]
    fn is_unchanged(&self) -> bool {
        self.place.load(Relaxed) == self.value
    }
}

impl Lengths {
    /// The length of the instruction that this is the state at; 0 if it is not known.
    #[inline]
    #[must_use]
    pub fn find(&self, state: &CodeState) -> u8 {
        let line = &self.0[state.rip as usize % LINES];
        if line.is_at(state) && line.is_unchanged() {
            line.length
        } else {
            0
        }
    }

    /// Remembers a length.
    pub fn remember(&mut self, line: Line) {
        self.0[line.rip as usize % LINES] = line;
    }

    /// Forgets them all.
    pub fn forget(&mut self) {
        *self.0 = [Line::EMPTY; LINES];
    }
}

const _: () = assert!(size_of::<Line>() == 128);

impl Line {
    /// Whatever it matches has no known length.
    const EMPTY: Self = {
        static ZERO: AtomicU64 = AtomicU64::new(0);
        let word = Word {
            place: &ZERO,
            value: 0,
        };
        Self {
            rip: 0,
            cr3: 0,
            cs_base: 0,
            cs_access: 0,
            length: 0,
            words: [word; WORDS],
        }
    };

    fn new(state: &CodeState, words: [Word; WORDS], length: u8) -> Self {
        Self {
            rip: state.rip,
            cr3: state.cr3,
            cs_base: state.cs_base,
            cs_access: state.cs_access,
            length,
            words,
        }
    }

    #[inline]
    fn is_at(&self, state: &CodeState) -> bool {
        self.rip == state.rip
            && self.cr3 == state.cr3
            && self.cs_base == state.cs_base
            && self.cs_access == state.cs_access
    }

    #[inline]
    fn is_unchanged(&self) -> bool {
        self.words.iter().all(Word::is_unchanged)
    }
}

/// The length of the instruction at RIP, in bytes, which the engine may remember.
pub fn decode(v: &mut Vcpu) -> Result<u8, Event> {
    let found = words(v);
    let length = fetch::instruction(v)?.len() as u8;
    let line = found
        .filter(|(_, code)| u64::from(length) <= *code)
        .map(|(words, _)| Line::new(&v.engine.code_state(), words, length));
    // What another CPU, or our own fetch, has changed meanwhile is not remembered.
    if let Some(line) = line.filter(Line::is_unchanged) {
        v.engine.remember_length(line);
    }
    Ok(length)
}

/// The words that the instruction at RIP comes from, and how many bytes of code are in them. None
/// for code or paging entries outside RAM.
fn words(v: &Vcpu) -> Option<([Word; WORDS], u64)> {
    let ram = &v.guest.ram;
    let (mut entries, mut count) = ([None; WORDS], 0);
    let code = fetch::locate(v, &mut |at| {
        entries[count] = Word::read(ram, at);
        count += 1;
    })?;
    let first = Word::read(ram, code)?;
    let mut words = [first; WORDS];
    for (word, entry) in words[1..].iter_mut().zip(&entries[..count]) {
        *word = (*entry)?;
    }
    let mut bytes = WORD - code.0 % WORD;
    if count < WORDS - 1 && !(code.0 + bytes).is_multiple_of(PAGE_SIZE) {
        words[WORDS - 1] = Word::read(ram, L1Gpa(code.0 + bytes))?;
        bytes += WORD;
    }
    Some((words, bytes))
}

#[cfg(test)]
mod tests;
