//! The task-state segment: SDM 3A "Task-State Segment (TSS)", "16-Bit Task-State Segment (TSS)"; APM vol 2 "Legacy Task Management".

use crate::segment::{TYPE_BUSY_TSS, TYPE_BUSY_TSS_16};
use core::ops::Range;

/// The bytes of the larger TSS, without an I/O permission bit map.
pub const LARGEST: usize = 104;

/// The bit of the type of a TSS descriptor that makes the task a busy one.
pub const BUSY: u32 = 0b10;

/// What a task switch saves in one TSS and loads from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// CR3, in a 32-bit TSS. A task switch only loads it, as it does the two last ones here.
    pub cr3: Option<u32>,
    /// The instruction pointer.
    pub eip: u32,
    /// The flags.
    pub eflags: u32,
    /// The general-purpose registers, in the order of their numbers: EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI.
    pub gprs: [u32; 8],
    /// The segment selectors, in the order of their numbers: ES, CS, SS, DS, FS, GS. A 16-bit TSS has four.
    pub segments: [u16; 6],
    /// The selector of the task's LDT.
    pub ldt: u16,
    /// T: the processor raises #DB when it has switched to the task.
    pub debug_trap: bool,
}

/// Where a TSS has what. From the instruction pointer to the LDT's selector, each register has a field of `width` bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    /// The size of a field in bytes: 4 or 2.
    pub width: usize,
    /// Its size in bytes.
    pub size: usize,
    eip: usize,
    segments: usize,
    cr3: Option<usize>,
    debug_trap: Option<usize>,
}

/// A 32-bit TSS.
pub static TSS_32: Layout = Layout {
    width: 4,
    size: LARGEST,
    eip: 32,
    segments: 6,
    cr3: Some(28),
    debug_trap: Some(100),
};

/// A 16-bit TSS.
pub static TSS_16: Layout = Layout {
    width: 2,
    size: 44,
    eip: 14,
    segments: 4,
    cr3: None,
    debug_trap: None,
};

const EFLAGS: usize = 1;
const GPRS: usize = 2;
const SEGMENTS: usize = GPRS + 8;

impl Layout {
    /// That of a system segment of this type, busy or not, if it is a TSS.
    #[must_use]
    pub const fn of(segment_type: u32) -> Option<&'static Self> {
        match segment_type | BUSY {
            TYPE_BUSY_TSS => Some(&TSS_32),
            TYPE_BUSY_TSS_16 => Some(&TSS_16),
            _ => None,
        }
    }

    const fn field(&self, n: usize) -> usize {
        self.eip + n * self.width
    }

    /// The bytes that a task switch saves registers in.
    #[must_use]
    pub const fn saved(&self) -> Range<usize> {
        self.eip..self.field(SEGMENTS + self.segments)
    }

    /// The field at `at`, which has so many bytes.
    #[inline(never)]
    fn get(tss: &[u8; LARGEST], at: usize, width: usize) -> u32 {
        let bytes = tss[at..at + width].iter().rev();
        bytes.fold(0, |value, &byte| value << 8 | u32::from(byte))
    }

    #[inline(never)]
    fn put(tss: &mut [u8; LARGEST], at: usize, width: usize, value: u32) {
        for (byte, new) in tss[at..].iter_mut().zip(value.to_le_bytes()).take(width) {
            *byte = new;
        }
    }

    /// The registers in a TSS. What a 16-bit TSS does not have is 0.
    #[must_use]
    pub fn load(&self, tss: &[u8; LARGEST]) -> State {
        let register = |n| Self::get(tss, self.field(n), self.width);
        let mut state = State {
            cr3: self.cr3.map(|at| Self::get(tss, at, 4)),
            eip: register(0),
            eflags: register(EFLAGS),
            ldt: register(SEGMENTS + self.segments) as u16,
            debug_trap: self.debug_trap.is_some_and(|at| tss[at] & 1 != 0),
            ..State::default()
        };
        for (n, value) in state.gprs.iter_mut().enumerate() {
            *value = register(GPRS + n);
        }
        for (n, selector) in state.segments[..self.segments].iter_mut().enumerate() {
            *selector = register(SEGMENTS + n) as u16;
        }
        state
    }

    /// Saves registers in a TSS: as much of each as its field holds.
    pub fn save(&self, state: &State, tss: &mut [u8; LARGEST]) {
        let mut put = |n, value, width| Self::put(tss, self.field(n), width, value);
        put(0, state.eip, self.width);
        put(EFLAGS, state.eflags, self.width);
        for (n, &value) in state.gprs.iter().enumerate() {
            put(GPRS + n, value, self.width);
        }
        for (n, &selector) in state.segments[..self.segments].iter().enumerate() {
            put(SEGMENTS + n, selector.into(), 2);
        }
    }
}
