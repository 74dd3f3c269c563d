//! All that the instruction at RIP comes from: registers, the paging entries that lead to its code, and the code
//! itself. As long as these are what they were, so is the instruction, whatever the guest flushed or did not flush.

use super::fetch;
use crate::machine::CodeState;
use crate::memory::GuestRam;
use crate::vcpu::Vcpu;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use spec::addr::{L1Gpa, PAGE_SIZE};

/// The most words that an instruction comes from: four paging entries and a word of code, or three and two.
const WORDS: usize = 5;
const WORD: u64 = 8;

/// What one instruction came from.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    pub(super) state: CodeState,
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

impl Origin {
    /// That of no instruction that is known.
    pub(super) const NOWHERE: Self = {
        static ZERO: AtomicU64 = AtomicU64::new(0);
        let word = Word {
            place: &ZERO,
            value: 0,
        };
        Self {
            state: CodeState {
                rip: 0,
                cr3: 0,
                cs_base: 0,
                cs_access: 0,
            },
            words: [word; WORDS],
        }
    };

    /// That of the instruction at RIP, and how many bytes of its code are in the words. None for code or paging
    /// entries outside RAM.
    pub(super) fn of(v: &Vcpu) -> Option<(Self, u64)> {
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
        let state = v.engine.code_state();
        Some((Self { state, words }, bytes))
    }

    /// Whether the instruction at this state comes from here.
    #[inline]
    pub(super) fn is_at(&self, state: &CodeState) -> bool {
        self.state.rip == state.rip
            && self.state.cr3 == state.cr3
            && self.state.cs_base == state.cs_base
            && self.state.cs_access == state.cs_access
    }

    #[inline]
    pub(super) fn is_unchanged(&self) -> bool {
        self.words.iter().all(Word::is_unchanged)
    }
}
