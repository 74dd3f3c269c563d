//! Physical memory for host tests.

use crate::machine::Memory;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use spec::addr::{Hpa, PAGE_SIZE};
use std::boxed::Box;
use std::sync::OnceLock;
use std::vec::Vec;

const WORDS: usize = PAGE_SIZE as usize / 8;

type Page = [AtomicU64; WORDS];

/// Memory from address 0, whose pages come to be, zeroed, when they are touched.
pub(crate) struct VecMemory(Vec<OnceLock<&'static Page>>);

impl VecMemory {
    /// Memory of `size` bytes that lives as long as the test process.
    pub(crate) fn leak(size: usize) -> &'static Self {
        let pages = size.div_ceil(PAGE_SIZE as usize);
        Box::leak(Box::new(Self(
            (0..pages).map(|_| OnceLock::new()).collect(),
        )))
    }

    fn page(&self, at: u64) -> &'static Page {
        self.0[(at / PAGE_SIZE) as usize]
            .get_or_init(|| Box::leak(Box::new([const { AtomicU64::new(0) }; WORDS])))
    }

    fn set(&self, at: u64, byte: u8) {
        let shift = at % 8 * 8;
        let word = self.word(Hpa(at & !7));
        let set = |old: u64| Some(old & !(0xff << shift) | u64::from(byte) << shift);
        let _ = word.fetch_update(Relaxed, Relaxed, set);
    }
}

impl Memory for VecMemory {
    fn read(&self, at: Hpa, out: &mut [u8]) {
        for (byte, at) in out.iter_mut().zip(at.0..) {
            *byte = (self.read_u64(Hpa(at & !7)) >> (at % 8 * 8)) as u8;
        }
    }

    fn write(&self, at: Hpa, bytes: &[u8]) {
        for (byte, at) in bytes.iter().zip(at.0..) {
            self.set(at, *byte);
        }
    }

    fn zero(&self, at: Hpa, length: u64) {
        let mut next = at.0;
        while next < at.0 + length {
            let page_end = (next / PAGE_SIZE + 1) * PAGE_SIZE;
            let end = page_end.min(at.0 + length);
            if self.0[(next / PAGE_SIZE) as usize].get().is_some() {
                (next..end).for_each(|at| self.set(at, 0));
            }
            next = end;
        }
    }

    fn read_u64(&self, at: Hpa) -> u64 {
        self.word(at).load(Relaxed)
    }

    fn write_u64(&self, at: Hpa, value: u64) {
        self.word(at).store(value, Relaxed);
    }

    fn word(&self, at: Hpa) -> &'static AtomicU64 {
        &self.page(at.0)[(at.0 % PAGE_SIZE / 8) as usize]
    }
}
