//! The block device (VIRTIO 1.2 "Block Device"), over the bytes of an image that stay what they are: what the guest
//! writes is kept page by page in our heap.

use super::{Broken, Model, Request};
use crate::memory::contents::{Budget, Contents};
use alloc::vec::Vec;

const SECTOR: u64 = 512;

/// Feature bits.
mod feature {
    pub(super) const SIZE_MAX: u64 = 1 << 1;
    pub(super) const SEG_MAX: u64 = 1 << 2;
    pub(super) const GEOMETRY: u64 = 1 << 4;
    pub(super) const READ_ONLY: u64 = 1 << 5;
    pub(super) const BLOCK_SIZE: u64 = 1 << 6;
    pub(super) const FLUSH: u64 = 1 << 9;
}

/// Request types.
const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH: u32 = 4;
const GET_ID: u32 = 8;

/// Status values.
const OK: u8 = 0;
const IO_ERROR: u8 = 1;
const UNSUPPORTED: u8 = 2;

/// The header of a request: type, reserved, sector.
const HEADER: usize = 16;
/// The longest identity.
const ID_LENGTH: usize = 20;

/// The longest segment and the most segments of a request, and so the most data.
const SEGMENT_MAX: u32 = 32 << 10;
const SEGMENTS_MAX: u32 = 62;
const DATA_MAX: u64 = SEGMENT_MAX as u64 * SEGMENTS_MAX as u64;

/// The most that a guest may write, in bytes.
const WRITTEN_MAX: u64 = 32 << 20;

const HEADS: u8 = 16;
const SECTORS_PER_TRACK: u8 = 63;
/// The bytes of a cylinder.
pub const CYLINDER: u64 = HEADS as u64 * SECTORS_PER_TRACK as u64 * SECTOR;

/// A disk.
pub struct Disk {
    contents: Contents,
    budget: Budget,
    read_only: bool,
    configuration: Vec<u8>,
    guest: usize,
    is_full_known: bool,
}

impl Disk {
    /// A disk of guest number `guest` that holds these bytes, and zeros to the end of the sector where `size` ends.
    #[must_use]
    pub fn new(image: &'static [u8], size: u64, read_only: bool, guest: usize) -> Self {
        let mut contents = Contents::borrowed(image);
        let mut budget = Budget::new(Self::heap_size(size, read_only));
        let sectors = size.max(contents.size()).div_ceil(SECTOR);
        let _ = contents.resize(sectors * SECTOR, &mut budget);
        Self {
            contents,
            budget,
            read_only,
            configuration: configuration(sectors),
            guest,
            is_full_known: false,
        }
    }

    #[cfg(test)]
    pub(super) fn set_budget(&mut self, budget: Budget) {
        self.budget = budget;
    }

    /// How much of our heap the guest may fill by writing to a disk of this size.
    #[must_use]
    pub fn heap_size(size: u64, read_only: bool) -> u64 {
        match read_only {
            true => 0,
            false => size
                .min(WRITTEN_MAX)
                .next_multiple_of(spec::addr::PAGE_SIZE),
        }
    }

    /// Whether the disk has these bytes.
    fn has(&self, offset: Option<u64>, length: u64) -> bool {
        let end = offset.and_then(|offset| offset.checked_add(length));
        length.is_multiple_of(SECTOR)
            && length <= DATA_MAX
            && end.is_some_and(|end| end <= self.contents.size())
    }

    /// Reads so many bytes; returns the status.
    fn read(&self, at: Option<u64>, count: u64, request: &mut Request<'_>) -> Result<u8, Broken> {
        let Some(mut at) = at.filter(|_| self.has(at, count)) else {
            return Ok(IO_ERROR);
        };
        let end = at + count;
        while at < end {
            let chunk = self.contents.chunk(at, (end - at) as usize);
            request.writable.write(chunk)?;
            at += chunk.len() as u64;
        }
        Ok(OK)
    }

    fn write(&mut self, at: Option<u64>, request: &mut Request<'_>) -> Result<u8, Broken> {
        let count = request.readable.left();
        let Some(mut at) = at.filter(|_| self.has(at, count) && !self.read_only) else {
            return Ok(IO_ERROR);
        };
        let end = at + count;
        while at < end {
            let Ok(room) = self.contents.page_mut(at, &mut self.budget) else {
                self.tell_full();
                return Ok(IO_ERROR);
            };
            let now = (end - at).min(room.len() as u64);
            request.readable.read(&mut room[..now as usize])?;
            at += now;
        }
        Ok(OK)
    }

    fn tell_full(&mut self) {
        if !core::mem::replace(&mut self.is_full_known, true) {
            let (guest, mib) = (self.guest, self.budget.total >> 20);
            log::warn!("guest {guest}: its disk fails writes, as what it wrote fills {mib} MiB");
        }
    }
}

impl Model for Disk {
    fn id(&self) -> u16 {
        2
    }

    fn class(&self) -> u32 {
        0x01_0000
    }

    fn queues(&self) -> usize {
        1
    }

    fn features(&self) -> u64 {
        use feature::{BLOCK_SIZE, FLUSH, GEOMETRY, READ_ONLY, SEG_MAX, SIZE_MAX};
        let read_only = if self.read_only { READ_ONLY } else { 0 };
        SIZE_MAX | SEG_MAX | GEOMETRY | BLOCK_SIZE | FLUSH | read_only
    }

    fn configuration(&self) -> &[u8] {
        &self.configuration
    }

    fn serve(&mut self, _queue: usize, mut request: Request<'_>) -> Result<u32, Broken> {
        let mut header = [0; HEADER];
        request.readable.read(&mut header)?;
        let header = u128::from_le_bytes(header);
        let at = ((header >> 64) as u64).checked_mul(SECTOR);
        let room = request.writable.left();
        // The last byte is the status.
        let data = room.checked_sub(1).ok_or(Broken)?;
        let status = match header as u32 {
            IN => self.read(at, data, &mut request)?,
            OUT => self.write(at, &mut request)?,
            FLUSH => OK,
            GET_ID => {
                let id = *b"nestling disk\0\0\0\0\0\0\0";
                let count = data.min(ID_LENGTH as u64) as usize;
                request.writable.write(&id[..count])?;
                OK
            }
            _ => UNSUPPORTED,
        };
        let rest = request.writable.left().saturating_sub(1);
        request.writable.skip(rest)?;
        request.writable.write(&[status])?;
        // What was written from the beginning on: "The Virtqueue Used Ring".
        let written = if rest == 0 { room } else { data - rest };
        Ok(written.min(u32::MAX.into()) as u32)
    }
}

/// "Device configuration layout" as far as its features go: capacity, segments, geometry, block size.
fn configuration(sectors: u64) -> Vec<u8> {
    let cylinders = sectors * SECTOR / CYLINDER;
    let [low, high] = (cylinders.min(16383) as u16).to_le_bytes();
    let mut bytes = Vec::with_capacity(24);
    bytes.extend(sectors.to_le_bytes());
    bytes.extend(SEGMENT_MAX.to_le_bytes());
    bytes.extend(SEGMENTS_MAX.to_le_bytes());
    bytes.extend([low, high, HEADS, SECTORS_PER_TRACK]);
    bytes.extend((SECTOR as u32).to_le_bytes());
    bytes
}
