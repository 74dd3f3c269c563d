//! Physical memory for host tests.

use crate::machine::Memory;
use spec::addr::Hpa;
use std::boxed::Box;
use std::sync::Mutex;
use std::vec::Vec;

/// Memory from address 0 in a vector.
pub(crate) struct VecMemory(Mutex<Vec<u8>>);

impl VecMemory {
    /// Memory of `size` bytes that lives as long as the test process.
    pub(crate) fn leak(size: usize) -> &'static Self {
        Box::leak(Box::new(Self(Mutex::new(std::vec![0; size]))))
    }
}

impl Memory for VecMemory {
    fn read(&self, at: Hpa, out: &mut [u8]) {
        let at = at.0 as usize;
        out.copy_from_slice(&self.0.lock().unwrap()[at..at + out.len()]);
    }

    fn write(&self, at: Hpa, bytes: &[u8]) {
        let at = at.0 as usize;
        self.0.lock().unwrap()[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn zero(&self, at: Hpa, length: u64) {
        self.0.lock().unwrap()[at.0 as usize..(at.0 + length) as usize].fill(0);
    }

    fn read_u64(&self, at: Hpa) -> u64 {
        let mut bytes = [0; 8];
        self.read(at, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn write_u64(&self, at: Hpa, value: u64) {
        self.write(at, &value.to_le_bytes());
    }
}
