//! A device whose registers are not all next to each other: several rows of the bus lead to it.

use super::bus::{Device, Effect};
use alloc::sync::Arc;
use spin::Mutex;

/// Some registers of a shared device: those from this offset.
pub struct Part<D> {
    device: Arc<Mutex<D>>,
    offset: u16,
}

impl<D: Device> Part<D> {
    /// The registers of the device from this offset.
    #[must_use]
    pub fn new(device: &Arc<Mutex<D>>, offset: u16) -> Self {
        Self {
            device: device.clone(),
            offset,
        }
    }
}

impl<D: Device> Device for Part<D> {
    fn read(&mut self, offset: u16, size: u8) -> u32 {
        self.device.lock().read(self.offset + offset, size)
    }

    fn write(&mut self, offset: u16, size: u8, value: u32) -> Effect {
        self.device.lock().write(self.offset + offset, size, value)
    }

    /// Only the part with the first register has one: the others would be told the same.
    fn deadline(&self) -> Option<u64> {
        match self.offset {
            0 => self.device.lock().deadline(),
            _ => None,
        }
    }

    fn advance(&mut self) {
        self.device.lock().advance();
    }
}
