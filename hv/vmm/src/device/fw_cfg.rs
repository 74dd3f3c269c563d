//! QEMU's firmware configuration device: items that firmware and test kernels select by a key and read, byte by byte
//! or by DMA. All numbers of the DMA interface and of the file directory are big-endian.
//!
//! Cited: QEMU documentation "QEMU Firmware Configuration (fw_cfg) Device".

use super::bus::{Device, Effect};
use crate::memory::GuestRam;
use crate::memory::ram::OutsideRam;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::LazyCell;
use spec::addr::L1Gpa;

/// The first port of the device.
pub const FIRST: u16 = 0x510;
/// Its last.
pub const LAST: u16 = 0x51b;

/// Register offsets; those between belong to nobody.
mod register {
    pub(super) const SELECTOR: u16 = 0;
    pub(super) const DATA: u16 = 1;
    pub(super) const DMA_HIGH: u16 = 4;
    pub(super) const DMA_LOW: u16 = 8;
}

/// Keys of items that are the same in every machine, and of the first file.
mod key {
    pub(super) const SIGNATURE: u16 = 0;
    pub(super) const ID: u16 = 1;
    pub(super) const DIRECTORY: u16 = 0x19;
    pub(super) const FIRST_FILE: u16 = 0x20;
    /// Asks for write access, which nothing gives.
    pub(super) const WRITE: u16 = 0x4000;
}

/// Bits of the control field of a DMA access; the key is in the upper half.
mod control {
    pub(super) const ERROR: u32 = 1;
    pub(super) const READ: u32 = 1 << 1;
    pub(super) const SKIP: u32 = 1 << 2;
    pub(super) const SELECT: u32 = 1 << 3;
    pub(super) const WRITE: u32 = 1 << 4;
}

/// What reads of the DMA address register give.
const DMA_SIGNATURE: &[u8; 8] = b"QEMU CFG";
/// The traditional interface (bit 0) and the DMA interface (bit 1) are there.
const REVISION: u32 = 0b11;
/// More than any item has. Longer transfers are refused, as they would only fill the guest's memory with zeros, and one
/// REP OUTS makes hundreds of them.
const LONGEST_TRANSFER: u32 = 64 << 10;

/// What an item is selected by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// A fixed key.
    Key(u16),
    /// The key that the file directory gives for this name.
    File(&'static str),
}

/// An item: its name and its bytes.
pub type Item = (Name, Vec<u8>);
type Items = Vec<(u16, Vec<u8>)>;

/// The device.
pub struct FwCfg {
    ram: GuestRam,
    /// Made when the first is asked for, which most guests never do.
    items: LazyCell<Items, Box<dyn FnOnce() -> Items + Send>>,
    key: u16,
    position: u32,
    dma_high: u32,
}

impl FwCfg {
    /// The device of a guest with this RAM, and what gives the items when they are asked for.
    #[must_use]
    pub fn new(ram: GuestRam, items: impl FnOnce() -> Vec<Item> + Send + 'static) -> Self {
        Self {
            ram,
            items: LazyCell::new(Box::new(|| with_keys(items()))),
            key: key::SIGNATURE,
            position: 0,
            dma_high: 0,
        }
    }

    fn select(&mut self, key: u16) {
        self.key = key & !key::WRITE;
        self.position = 0;
    }

    /// What is left of the selected item; nothing of one that is not there.
    fn rest(&self) -> &[u8] {
        let mut items = self.items.iter();
        let item = items.find(|(key, _)| *key == self.key);
        let rest = item.and_then(|(_, bytes)| bytes.get(self.position as usize..));
        rest.unwrap_or(&[])
    }

    /// The next byte; behind the end they are 0.
    fn next(&mut self) -> u8 {
        let byte = self.rest().first().copied();
        self.skip(1);
        byte.unwrap_or(0)
    }

    fn skip(&mut self, bytes: u32) {
        self.position = self.position.saturating_add(bytes);
    }

    /// Carries out the access that is described at this address, and says there how it went.
    fn transfer(&mut self, at: u64) {
        let (mut control, mut length, mut address) = ([0; 4], [0; 4], [0; 8]);
        let read = |offset, out: &mut [u8]| self.ram.read(L1Gpa(at.saturating_add(offset)), out);
        let all = read(0, &mut control)
            .and_then(|()| read(4, &mut length))
            .and_then(|()| read(8, &mut address));
        if all.is_err() {
            return;
        }
        let (length, address) = (u32::from_be_bytes(length), u64::from_be_bytes(address));
        let done = self.carry_out(u32::from_be_bytes(control), length, address);
        let result = if done.is_ok() { 0 } else { control::ERROR };
        let _ = self.ram.write(L1Gpa(at), &result.to_be_bytes());
    }

    fn carry_out(&mut self, control: u32, length: u32, address: u64) -> Result<(), OutsideRam> {
        if control & control::SELECT != 0 {
            self.select((control >> 16) as u16);
        }
        if control & control::READ != 0 {
            self.copy(L1Gpa(address), length)?;
        } else if control & control::WRITE != 0 {
            return Err(OutsideRam);
        }
        if control & (control::READ | control::SKIP) != 0 {
            self.skip(length);
        }
        Ok(())
    }

    /// Copies so much of the item, and zeros behind its end.
    fn copy(&self, to: L1Gpa, length: u32) -> Result<(), OutsideRam> {
        if length > LONGEST_TRANSFER {
            return Err(OutsideRam);
        }
        self.ram.hpa(to, length.into())?;
        let rest = self.rest();
        let bytes = &rest[..rest.len().min(length as usize)];
        self.ram.write(to, bytes)?;
        let copied = bytes.len() as u64;
        self.ram
            .zero(L1Gpa(to.0 + copied), u64::from(length) - copied)
    }
}

/// Gives each item its key, and adds those that every machine has.
fn with_keys(items: Vec<Item>) -> Items {
    let files = || items.iter().filter(|item| matches!(item.0, Name::File(_)));
    let mut directory = (files().count() as u32).to_be_bytes().to_vec();
    let mut keyed = Items::new();
    let mut file_key = key::FIRST_FILE;
    for (name, bytes) in items {
        let key = match name {
            Name::Key(key) => key,
            Name::File(name) => {
                directory.extend((bytes.len() as u32).to_be_bytes());
                directory.extend(file_key.to_be_bytes());
                directory.extend([0; 2]);
                directory.extend(padded(name));
                file_key += 1;
                file_key - 1
            }
        };
        keyed.push((key, bytes));
    }
    keyed.push((key::SIGNATURE, b"QEMU".to_vec()));
    keyed.push((key::ID, REVISION.to_le_bytes().to_vec()));
    keyed.push((key::DIRECTORY, directory));
    keyed
}

/// A file's name as the directory has it, with zeros behind.
#[must_use]
pub fn padded(name: &str) -> [u8; 56] {
    let mut padded = [0; 56];
    for (to, byte) in padded[..55].iter_mut().zip(name.bytes()) {
        *to = byte;
    }
    padded
}

impl Device for FwCfg {
    fn width(&self) -> u8 {
        4
    }

    fn read(&mut self, offset: u16, size: u8) -> u32 {
        if offset == register::DATA {
            return self.next().into();
        }
        let from = usize::from(offset).wrapping_sub(register::DMA_HIGH.into());
        let byte = |n: u8| DMA_SIGNATURE.get(from.wrapping_add(n.into())).copied();
        (0..size).fold(0, |value, n| {
            value | u32::from(byte(n).unwrap_or(0xff)) << (8 * n)
        })
    }

    fn write(&mut self, offset: u16, size: u8, value: u32) -> Effect {
        match (offset, size) {
            (register::SELECTOR, 2) => self.select(value as u16),
            (register::DMA_HIGH, 4) => self.dma_high = value.swap_bytes(),
            (register::DMA_LOW, 4) => {
                let high = core::mem::take(&mut self.dma_high);
                self.transfer(u64::from(high) << 32 | u64::from(value.swap_bytes()));
            }
            _ => (),
        }
        Effect::None
    }
}

#[cfg(test)]
mod tests;
