//! Where the structures are, told in the capabilities list ("Virtio Structure PCI Capabilities"), and the way to them
//! through configuration space alone ("PCI configuration access capability").

use super::registers::{COMMON_CFG_LENGTH, DEVICE, ISR, NOTIFY, PORTS};
use super::{Configuration, Function, VirtioPci};

/// The capability's ID: vendor specific.
const VENDOR_SPECIFIC: u8 = 9;
/// Where the list begins, and the length of a capability with and without a doubleword more at its end.
const FIRST: u8 = 0x40;
const SHORT: u8 = 16;
const LONG: u8 = 20;

/// Structure types.
const COMMON_CFG: u8 = 1;
const NOTIFY_CFG: u8 = 2;
const ISR_CFG: u8 = 3;
const DEVICE_CFG: u8 = 4;
const PCI_CFG: u8 = 5;

/// The access capability, and in it the fields that choose a register, and the data.
const ACCESS: u8 = FIRST;
const BAR: u8 = ACCESS + 4;
const OFFSET: u8 = ACCESS + 8;
const LENGTH: u8 = ACCESS + 12;
const DATA: u8 = ACCESS + SHORT;

/// Adds base address register and capabilities, for a device with so many bytes of configuration.
pub(super) fn add(configuration: &mut Configuration, device_length: usize) {
    configuration.add_ports(PORTS);
    configuration.set_capabilities(FIRST);
    let structures = [
        (PCI_CFG, LONG, 0, 0),
        (COMMON_CFG, SHORT, 0, COMMON_CFG_LENGTH),
        // A notify_off_multiplier of 0: the virtqueues share the register.
        (NOTIFY_CFG, LONG, NOTIFY, 4),
        (ISR_CFG, SHORT, ISR, 1),
        (DEVICE_CFG, SHORT, DEVICE, device_length as u16),
    ];
    let count = structures.len() - usize::from(device_length == 0);
    let mut at = FIRST;
    for (n, (kind, size, offset, length)) in structures.into_iter().take(count).enumerate() {
        let next = if n + 1 < count { at + size } else { 0 };
        configuration.set(at, &[VENDOR_SPECIFIC, next, size, kind]);
        configuration.set(at + 8, &u32::from(offset).to_le_bytes());
        configuration.set(at + 12, &u32::from(length).to_le_bytes());
        at += size;
    }
    configuration.allow(BAR, &[0xff]);
    configuration.allow(OFFSET, &[0xff; (LONG - 8) as usize]);
}

impl VirtioPci {
    /// The register that the access capability's fields choose.
    fn chosen(&self) -> Option<(u16, u8)> {
        let [bar, offset, length] = [(BAR, 1), (OFFSET, 4), (LENGTH, 4)]
            .map(|(at, size)| self.configuration.read(at, size));
        let inside = offset.checked_add(length)? <= PORTS.into();
        let sound = bar == 0 && matches!(length, 1 | 2 | 4) && offset.is_multiple_of(length);
        (inside && sound).then_some((offset as u16, length as u8))
    }

    /// A read of the data reads the register.
    pub(super) fn before_read(&mut self, offset: u8) {
        if let (DATA, Some((port, size))) = (offset & !3, self.chosen()) {
            let value = self.read_port(port, size);
            self.configuration.set(DATA, &value.to_le_bytes());
        }
    }

    /// A write of the data writes the register.
    pub(super) fn after_write(&mut self, offset: u8) {
        if let (DATA, Some((port, size))) = (offset & !3, self.chosen()) {
            let value = self.configuration.read(DATA, size);
            self.write_port(port, size, value);
        }
    }
}
