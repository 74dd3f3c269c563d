//! The common configuration, by offset ("Common configuration structure layout"). A register is written at its own
//! offset and width ("PCI Device Layout") or not at all; it may be read in any.

use super::{Area, VirtioPci, status};

/// Where behind the base address register the structures are.
pub(super) const NOTIFY: u16 = 0x40;
pub(super) const ISR: u16 = 0x44;
pub(super) const DEVICE: u16 = 0x48;
/// How many ports there are, and how many of them the common configuration has.
pub(super) const PORTS: u16 = 0x80;
pub(super) const COMMON_CFG_LENGTH: u16 = 0x40;

const DEVICE_FEATURE_SELECT: u16 = 0x00;
const DEVICE_FEATURE: u16 = 0x04;
const DRIVER_FEATURE_SELECT: u16 = 0x08;
const DRIVER_FEATURE: u16 = 0x0c;
const QUEUE_COUNT: u16 = 0x10;
const STATUS: u16 = 0x14;
const QUEUE_SELECT: u16 = 0x16;
const QUEUE_SIZE: u16 = 0x18;
const QUEUE_ENABLE: u16 = 0x1c;
const QUEUE_ADDRESSES: u16 = 0x20;
const QUEUE_ADDRESSES_END: u16 = 0x34;
/// No MSI-X vector, in either half of a doubleword.
const NO_VECTOR: u32 = 0xffff;
const NO_VECTOR_HIGH: u32 = NO_VECTOR << 16;

/// Which address a register at or behind [`QUEUE_ADDRESSES`] has a half of.
fn area(offset: u16) -> (Area, bool) {
    let area = match (offset - QUEUE_ADDRESSES) / 8 {
        0 => Area::Descriptor,
        1 => Area::Driver,
        _ => Area::Device,
    };
    (area, offset & 4 != 0)
}

/// One half of the features; there are no more than two.
fn half(features: u64, select: u32) -> u32 {
    match select {
        0 => features as u32,
        1 => (features >> 32) as u32,
        _ => 0,
    }
}

impl VirtioPci {
    /// Reads a doubleword.
    pub(super) fn register(&self, offset: u16) -> u32 {
        match offset {
            DEVICE_FEATURE_SELECT => self.device_feature_select,
            DEVICE_FEATURE => half(self.features(), self.device_feature_select),
            DRIVER_FEATURE_SELECT => self.driver_feature_select,
            DRIVER_FEATURE => half(self.driver_features, self.driver_feature_select),
            QUEUE_COUNT => (self.queues.len() as u32) << 16 | NO_VECTOR,
            STATUS => u32::from(self.queue_select) << 16 | u32::from(self.status),
            QUEUE_SIZE..=QUEUE_ADDRESSES_END => self.queue_register(offset),
            DEVICE.. => self.device_register(offset - DEVICE),
            _ => 0,
        }
    }

    /// A register of the selected virtqueue. One that does not exist has size 0.
    fn queue_register(&self, offset: u16) -> u32 {
        let queue = self.queues.get(usize::from(self.queue_select));
        match (offset, queue) {
            (QUEUE_SIZE, queue) => queue.map_or(0, |queue| u32::from(queue.size)) | NO_VECTOR_HIGH,
            (QUEUE_ENABLE, Some(queue)) => queue.enabled.into(),
            (QUEUE_ADDRESSES.., Some(queue)) => {
                let (area, high) = area(offset);
                queue.address(area, high)
            }
            _ => 0,
        }
    }

    fn device_register(&self, offset: u16) -> u32 {
        let bytes = self.model.configuration().iter();
        let bytes = bytes.skip(offset.into()).take(4).enumerate();
        bytes.fold(0, |value, (n, &byte)| value | u32::from(byte) << (8 * n))
    }

    pub(super) fn set_register(&mut self, offset: u16, size: u8, value: u32) {
        match (offset, size) {
            (DEVICE_FEATURE_SELECT, 4) => self.device_feature_select = value,
            (DRIVER_FEATURE_SELECT, 4) => self.driver_feature_select = value,
            (DRIVER_FEATURE, 4) => self.set_driver_feature(value),
            (STATUS, 1) => self.set_status(value as u8),
            (QUEUE_SELECT, 2) => self.queue_select = value as u16,
            _ => self.set_queue_register(offset, size, value),
        }
    }

    /// Once they are agreed on, features stay.
    fn set_driver_feature(&mut self, value: u32) {
        let shift = match self.driver_feature_select {
            0 => 0,
            1 => 32,
            _ => return,
        };
        if self.status & status::FEATURES_OK == 0 {
            let kept = self.driver_features & !(0xffff_ffff << shift);
            self.driver_features = kept | u64::from(value) << shift;
        }
    }

    fn set_queue_register(&mut self, offset: u16, size: u8, value: u32) {
        let index = usize::from(self.queue_select);
        let Some(queue) = self.queues.get_mut(index) else {
            return;
        };
        match (offset, size) {
            (QUEUE_SIZE, 2) => queue.set_size(value as u16),
            (QUEUE_ENABLE, 2) if value == 1 => queue.enabled = true,
            (QUEUE_ADDRESSES..=QUEUE_ADDRESSES_END, 4) if offset.is_multiple_of(4) => {
                let (area, high) = area(offset);
                queue.set_address(area, high, value);
            }
            _ => {}
        }
    }
}
