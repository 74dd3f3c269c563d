//! A guest's RAM: one contiguous block of ours, guest-physical 0 upwards; and its ROM, if it has one.

use crate::machine::Memory;
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::{Acquire, Release};
use spec::addr::{Hpa, L1Gpa};

/// The access was outside the guest's RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutsideRam;

/// A guest's RAM. What is read is a copy: the guest may change it at any time.
#[derive(Clone, Copy)]
pub struct GuestRam {
    memory: &'static dyn Memory,
    base: Hpa,
    size: u64,
    /// The same memory, for accesses of a word.
    words: &'static [AtomicU64],
    rom: Option<Rom>,
}

/// A ROM: it can be read where RAM is not.
#[derive(Clone, Copy)]
pub(super) struct Rom {
    pub(super) start: u64,
    pub(super) size: u64,
    pub(super) base: Hpa,
}

impl GuestRam {
    /// RAM of `size` bytes at guest-physical 0, kept at `base`.
    #[must_use]
    pub fn new(memory: &'static dyn Memory, base: Hpa, size: u64) -> Self {
        let words = memory.words(base, size);
        Self {
            memory,
            base,
            size,
            words,
            rom: None,
        }
    }

    /// The same RAM, and a ROM.
    pub(super) const fn with_rom(mut self, rom: Option<Rom>) -> Self {
        self.rom = rom;
        self
    }

    /// Its size in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Where a block of the guest's RAM really is.
    #[inline]
    pub fn hpa(&self, at: L1Gpa, length: u64) -> Result<Hpa, OutsideRam> {
        match at.0.checked_add(length) {
            Some(end) if end <= self.size => Ok(Hpa(self.base.0 + at.0)),
            _ => Err(OutsideRam),
        }
    }

    /// Copies bytes out of the guest, from RAM or ROM.
    #[inline]
    pub fn read(&self, at: L1Gpa, out: &mut [u8]) -> Result<(), OutsideRam> {
        let from = match self.hpa(at, out.len() as u64) {
            Ok(from) => from,
            Err(OutsideRam) => self.in_rom(at, out.len() as u64).ok_or(OutsideRam)?,
        };
        self.memory.read(from, out);
        Ok(())
    }

    #[cold]
    fn in_rom(&self, at: L1Gpa, length: u64) -> Option<Hpa> {
        let rom = self.rom?;
        let offset = at.0.checked_sub(rom.start)?;
        let inside = offset.checked_add(length)? <= rom.size;
        inside.then_some(Hpa(rom.base.0 + offset))
    }

    /// Copies bytes into the guest.
    #[inline]
    pub fn write(&self, at: L1Gpa, bytes: &[u8]) -> Result<(), OutsideRam> {
        self.memory.write(self.hpa(at, bytes.len() as u64)?, bytes);
        Ok(())
    }

    /// Fills with zeros.
    pub fn zero(&self, at: L1Gpa, length: u64) -> Result<(), OutsideRam> {
        self.memory.zero(self.hpa(at, length)?, length);
        Ok(())
    }

    /// Reads an aligned quadword, atomically.
    #[inline]
    pub fn read_u64(&self, at: L1Gpa) -> Result<u64, OutsideRam> {
        Ok(self.word(at)?.load(Acquire))
    }

    /// Writes an aligned quadword, atomically.
    #[inline]
    pub fn write_u64(&self, at: L1Gpa, value: u64) -> Result<(), OutsideRam> {
        self.word(at)?.store(value, Release);
        Ok(())
    }

    /// An aligned quadword, to be read again and again.
    #[inline]
    pub fn word(&self, at: L1Gpa) -> Result<&'static AtomicU64, OutsideRam> {
        debug_assert!(at.0.is_multiple_of(8), "guest-physical {at} is not aligned");
        self.words.get((at.0 / 8) as usize).ok_or(OutsideRam)
    }
}
