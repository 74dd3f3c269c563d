//! Physical memory for host tests.

use crate::machine::Memory;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use spec::addr::Hpa;
use std::boxed::Box;

/// Memory from address 0.
pub(crate) struct VecMemory(&'static [AtomicU64]);

impl VecMemory {
    /// Memory of `size` bytes that lives as long as the test process.
    pub(crate) fn leak(size: usize) -> &'static Self {
        let words = bytemuck::zeroed_slice_box(size.div_ceil(8));
        Box::leak(Box::new(Self(Box::leak(words))))
    }

    fn word(&self, at: u64) -> &AtomicU64 {
        &self.0[(at / 8) as usize]
    }

    fn set(&self, at: u64, byte: u8) {
        let shift = at % 8 * 8;
        let set = |old: u64| Some(old & !(0xff << shift) | u64::from(byte) << shift);
        let _ = self.word(at).fetch_update(Relaxed, Relaxed, set);
    }
}

impl Memory for VecMemory {
    fn read(&self, at: Hpa, out: &mut [u8]) {
        for (byte, at) in out.iter_mut().zip(at.0..) {
            *byte = (self.word(at).load(Relaxed) >> (at % 8 * 8)) as u8;
        }
    }

    fn write(&self, at: Hpa, bytes: &[u8]) {
        for (byte, at) in bytes.iter().zip(at.0..) {
            self.set(at, *byte);
        }
    }

    fn zero(&self, at: Hpa, length: u64) {
        let end = at.0 + length;
        let words = at.0.next_multiple_of(8).min(end)..(end / 8 * 8).max(at.0);
        (at.0..words.start).for_each(|at| self.set(at, 0));
        for word in &self.0[(words.start / 8) as usize..(words.end.max(words.start) / 8) as usize] {
            // What was never touched takes no memory.
            if word.load(Relaxed) != 0 {
                word.store(0, Relaxed);
            }
        }
        (words.end.max(words.start)..end).for_each(|at| self.set(at, 0));
    }

    fn read_u64(&self, at: Hpa) -> u64 {
        self.word(at.0).load(Relaxed)
    }

    fn write_u64(&self, at: Hpa, value: u64) {
        self.word(at.0).store(value, Relaxed);
    }

    fn words(&self, at: Hpa, length: u64) -> &'static [AtomicU64] {
        &self.0[(at.0 / 8) as usize..][..(length / 8) as usize]
    }
}
