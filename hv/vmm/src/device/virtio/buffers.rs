//! The buffers of one part of a descriptor chain, taken from the front.

use super::Broken;
use crate::memory::GuestRam;
use spec::addr::L1Gpa;

/// A buffer in the guest's RAM.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buffer {
    pub(super) at: L1Gpa,
    pub(super) length: u32,
}

/// Buffers of a guest, one after the other as if they were one.
pub struct Buffers<'a> {
    ram: &'a GuestRam,
    rest: core::slice::Iter<'a, Buffer>,
    current: Buffer,
}

impl<'a> Buffers<'a> {
    pub(super) fn new(ram: &'a GuestRam, buffers: &'a [Buffer]) -> Self {
        Self {
            ram,
            rest: buffers.iter(),
            current: Buffer {
                at: L1Gpa(0),
                length: 0,
            },
        }
    }

    /// How many bytes are left.
    #[must_use]
    pub fn left(&self) -> u64 {
        let rest = self.rest.clone().map(|buffer| u64::from(buffer.length));
        u64::from(self.current.length) + rest.sum::<u64>()
    }

    /// Takes up to so many bytes that lie together, not none.
    fn take(&mut self, limit: u64) -> Result<Buffer, Broken> {
        while self.current.length == 0 {
            self.current = *self.rest.next().ok_or(Broken)?;
        }
        let length = u64::from(self.current.length).min(limit) as u32;
        let taken = Buffer {
            length,
            ..self.current
        };
        self.current.at.0 += u64::from(length);
        self.current.length -= length;
        Ok(taken)
    }

    /// Takes bytes without a look at them.
    pub fn skip(&mut self, mut count: u64) -> Result<(), Broken> {
        while count > 0 {
            count -= u64::from(self.take(count)?.length);
        }
        Ok(())
    }

    /// Copies bytes out of the guest; there must be as many.
    pub fn read(&mut self, mut out: &mut [u8]) -> Result<(), Broken> {
        while !out.is_empty() {
            let from = self.take(out.len() as u64)?;
            let (now, later) = out.split_at_mut(from.length as usize);
            self.ram.read(from.at, now).map_err(|_| Broken)?;
            out = later;
        }
        Ok(())
    }

    /// Copies bytes into the guest; there must be room for them.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), Broken> {
        while !bytes.is_empty() {
            let to = self.take(bytes.len() as u64)?;
            let (now, later) = bytes.split_at(to.length as usize);
            self.ram.write(to.at, now).map_err(|_| Broken)?;
            bytes = later;
        }
        Ok(())
    }
}
