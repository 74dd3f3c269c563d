//! A split virtqueue (VIRTIO 1.2 "Split Virtqueues"). All of it is in the guest's RAM, and checked whenever it is read.

use super::buffers::{Buffer, Buffers};
use super::{Broken, Request};
use crate::memory::GuestRam;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use core::sync::atomic::fence;
use spec::addr::L1Gpa;

/// The most descriptors that a virtqueue has.
pub(super) const MAX_SIZE: u16 = 128;

/// Flags of a descriptor.
const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
/// The size of a descriptor.
const DESCRIPTOR: u64 = 16;
/// The available ring's flag: no notification of used buffers.
const NO_INTERRUPT: u16 = 1;
/// Where in the rings the index is, and where the elements begin.
const INDEX: u64 = 2;
const ELEMENTS: u64 = 4;

/// One of the three areas of a virtqueue.
#[derive(Clone, Copy, Debug)]
pub(super) enum Area {
    Descriptor,
    Driver,
    Device,
}

pub(super) struct Queue {
    /// How many descriptors it has: a power of two.
    pub(super) size: u16,
    pub(super) enabled: bool,
    /// By [`Area`].
    addresses: [u64; 3],
    next_available: u16,
    used: u16,
}

/// The buffers of a descriptor chain, the readable ones first.
#[derive(Default)]
pub(super) struct Chain {
    head: u16,
    buffers: Vec<Buffer>,
    readable: usize,
    /// The sum of the buffers' lengths.
    pub(super) bytes: u64,
}

struct Descriptor {
    buffer: Buffer,
    flags: u16,
    next: u16,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            size: MAX_SIZE,
            enabled: false,
            addresses: [0; 3],
            next_available: 0,
            used: 0,
        }
    }

    /// Sets the size, if it is one.
    pub(super) fn set_size(&mut self, size: u16) {
        if !self.enabled && size.is_power_of_two() && size <= MAX_SIZE {
            self.size = size;
        }
    }

    /// Half of the address of an area.
    pub(super) fn address(&self, area: Area, high: bool) -> u32 {
        (self.addresses[area as usize] >> if high { 32 } else { 0 }) as u32
    }

    pub(super) fn set_address(&mut self, area: Area, high: bool, value: u32) {
        let address = &mut self.addresses[area as usize];
        let shift = if high { 32 } else { 0 };
        if !self.enabled {
            *address = *address & !(0xffff_ffff << shift) | u64::from(value) << shift;
        }
    }

    fn at(&self, area: Area, offset: u64) -> Result<L1Gpa, Broken> {
        let at = self.addresses[area as usize].checked_add(offset);
        at.map(L1Gpa).ok_or(Broken)
    }

    /// The chain that the driver made available next, if there is one.
    pub(super) fn peek(
        &self,
        ram: &GuestRam,
        indirect: bool,
        chain: &mut Chain,
    ) -> Result<bool, Broken> {
        let available = read_u16(ram, self.at(Area::Driver, INDEX)?)?;
        let waiting = available.wrapping_sub(self.next_available);
        if waiting == 0 {
            return Ok(false);
        }
        if waiting > self.size {
            return Err(Broken);
        }
        let element = u64::from(self.next_available % self.size) * 2;
        let head = read_u16(ram, self.at(Area::Driver, ELEMENTS + element)?)?;
        let table = self.at(Area::Descriptor, 0)?;
        chain.read(ram, table, self.size, head, indirect)?;
        Ok(true)
    }

    /// Gives the chain back, of which so many bytes were written.
    pub(super) fn finish(
        &mut self,
        ram: &GuestRam,
        chain: &Chain,
        written: u32,
    ) -> Result<(), Broken> {
        let element = u64::from(self.used % self.size) * 8;
        let both = u64::from(written) << 32 | u64::from(chain.head);
        let at = self.at(Area::Device, ELEMENTS + element)?;
        ram.write(at, &both.to_le_bytes()).map_err(|_| Broken)?;
        self.used = self.used.wrapping_add(1);
        self.next_available = self.next_available.wrapping_add(1);
        write_u16(ram, self.at(Area::Device, INDEX)?, self.used)
    }

    /// Whether the driver wants to be told of used buffers.
    pub(super) fn wants_interrupt(&self, ram: &GuestRam) -> Result<bool, Broken> {
        fence(SeqCst);
        let flags = read_u16(ram, self.at(Area::Driver, 0)?)?;
        Ok(flags & NO_INTERRUPT == 0)
    }
}

impl Chain {
    /// A chain that needs no more memory, however long it becomes.
    pub(super) fn new() -> Self {
        Self {
            buffers: Vec::with_capacity(MAX_SIZE.into()),
            ..Self::default()
        }
    }

    /// Reads the chain from this head on; it has no more descriptors than its queue, so a loop has an end.
    fn read(
        &mut self,
        ram: &GuestRam,
        mut table: L1Gpa,
        size: u16,
        head: u16,
        mut indirect: bool,
    ) -> Result<(), Broken> {
        (self.head, self.readable, self.bytes) = (head, 0, 0);
        self.buffers.clear();
        let (mut next, mut count) = (head, u32::from(size));
        while self.buffers.len() < size.into() {
            if u32::from(next) >= count {
                return Err(Broken);
            }
            let one = Descriptor::read(ram, table, next)?;
            if one.flags & INDIRECT != 0 {
                let whole = u64::from(one.buffer.length).is_multiple_of(DESCRIPTOR);
                if !indirect || !whole || one.flags & NEXT != 0 {
                    return Err(Broken);
                }
                (table, next, indirect) = (one.buffer.at, 0, false);
                count = one.buffer.length / DESCRIPTOR as u32;
                continue;
            }
            self.push(ram, &one)?;
            if one.flags & NEXT == 0 {
                return Ok(());
            }
            next = one.next;
        }
        Err(Broken)
    }

    fn push(&mut self, ram: &GuestRam, one: &Descriptor) -> Result<(), Broken> {
        let Buffer { at, length } = one.buffer;
        let readable = one.flags & WRITE == 0;
        let ordered = !readable || self.readable == self.buffers.len();
        if !ordered || ram.hpa(at, length.into()).is_err() {
            return Err(Broken);
        }
        self.readable += usize::from(readable);
        self.bytes += u64::from(length);
        self.buffers.push(one.buffer);
        Ok(())
    }

    pub(super) fn request<'a>(&'a self, ram: &'a GuestRam) -> Request<'a> {
        let (readable, writable) = self.buffers.split_at(self.readable);
        Request {
            readable: Buffers::new(ram, readable),
            writable: Buffers::new(ram, writable),
        }
    }
}

impl Descriptor {
    fn read(ram: &GuestRam, table: L1Gpa, index: u16) -> Result<Self, Broken> {
        let at = table.0.checked_add(u64::from(index) * DESCRIPTOR);
        let mut bytes = [0; DESCRIPTOR as usize];
        ram.read(L1Gpa(at.ok_or(Broken)?), &mut bytes)
            .map_err(|_| Broken)?;
        let bits = u128::from_le_bytes(bytes);
        Ok(Self {
            buffer: Buffer {
                at: L1Gpa(bits as u64),
                length: (bits >> 64) as u32,
            },
            flags: (bits >> 96) as u16,
            next: (bits >> 112) as u16,
        })
    }
}

/// The word of the guest's RAM that an aligned 16-bit value is in, and the value's first bit there. The driver changes
/// indices while we read them: byte by byte they would not be whole.
fn word_of(
    ram: &GuestRam,
    at: L1Gpa,
) -> Result<(&'static core::sync::atomic::AtomicU64, u64), Broken> {
    if !at.0.is_multiple_of(2) {
        return Err(Broken);
    }
    let word = ram.word(L1Gpa(at.0 & !7)).map_err(|_| Broken)?;
    Ok((word, at.0 % 8 * 8))
}

fn read_u16(ram: &GuestRam, at: L1Gpa) -> Result<u16, Broken> {
    let (word, shift) = word_of(ram, at)?;
    Ok((word.load(Acquire) >> shift) as u16)
}

/// What else is in the word may be the driver's, and change.
fn write_u16(ram: &GuestRam, at: L1Gpa, value: u16) -> Result<(), Broken> {
    let (word, shift) = word_of(ram, at)?;
    let set = |old: u64| Some(old & !(0xffff << shift) | u64::from(value) << shift);
    let _ = word.fetch_update(SeqCst, Relaxed, set);
    Ok(())
}
