//! A guest's RAM for the loaders.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use spec::addr::Hpa;
use vmm::machine::Memory;
use vmm::memory::GuestRam;

/// Its size in bytes.
pub const SIZE: u64 = 2 << 20;

static WORDS: [AtomicU64; SIZE as usize / 8] = [const { AtomicU64::new(0) }; SIZE as usize / 8];

/// The RAM, the same one every time.
pub fn ram() -> GuestRam {
    static RAM: LazyLock<GuestRam> = LazyLock::new(|| GuestRam::new(&Words, Hpa(0), SIZE));
    *RAM
}

struct Words;

impl Words {
    fn set(at: u64, byte: u8) {
        let (word, shift) = (&WORDS[(at / 8) as usize], at % 8 * 8);
        word.store(word.load(Relaxed) & !(0xff << shift) | u64::from(byte) << shift, Relaxed);
    }
}

impl Memory for Words {
    fn read(&self, at: Hpa, out: &mut [u8]) {
        for (byte, at) in out.iter_mut().zip(at.0..) {
            *byte = (WORDS[(at / 8) as usize].load(Relaxed) >> (at % 8 * 8)) as u8;
        }
    }

    fn write(&self, at: Hpa, bytes: &[u8]) {
        for (byte, at) in bytes.iter().zip(at.0..) {
            Self::set(at, *byte);
        }
    }

    fn zero(&self, at: Hpa, length: u64) {
        assert_eq!((at, length), (Hpa(0), SIZE), "the loaders clear all of it");
        for word in WORDS.iter().filter(|word| word.load(Relaxed) != 0) {
            word.store(0, Relaxed);
        }
    }

    fn read_u64(&self, at: Hpa) -> u64 {
        WORDS[(at.0 / 8) as usize].load(Relaxed)
    }

    fn write_u64(&self, at: Hpa, value: u64) {
        WORDS[(at.0 / 8) as usize].store(value, Relaxed);
    }

    fn words(&self, at: Hpa, length: u64) -> &'static [AtomicU64] {
        &WORDS[(at.0 / 8) as usize..][..(length / 8) as usize]
    }
}
