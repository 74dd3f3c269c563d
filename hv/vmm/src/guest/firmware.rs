//! What a PC's firmware leaves in the devices, for guests that start without firmware.
//!
//! Cited: Intel 8259A data sheet; Intel 8254 data sheet; MultiProcessor Specification 1.4 "Virtual Wire Mode".

use crate::vcpu::Vcpu;

/// The vectors of the first interrupt of each 8259.
pub(super) const VECTORS: [u8; 2] = [0x08, 0x70];

/// Writes to ports: counter 0 of the 8254 in mode 2 with the longest period, as SeaBIOS and Bochs' BIOS have it; then,
/// as that makes an edge, both 8259s initialized, with the interrupts of timer, keyboard, cascade and RTC let through.
const WRITES: [(u16, u8); 13] = [
    (0x43, 0x34),
    (0x40, 0),
    (0x40, 0),
    (0x20, 0x11),
    (0x21, VECTORS[0]),
    (0x21, 1 << 2),
    (0x21, 1),
    (0xa0, 0x11),
    (0xa1, VECTORS[1]),
    (0xa1, 2),
    (0xa1, 1),
    (0x21, !0b111),
    (0xa1, !1),
];

/// Leaves the devices, and the local APIC of the first virtual CPU, as firmware does.
pub(super) fn set_up_devices(vcpu: &mut Vcpu) {
    let mut bus = vcpu.guest.bus.lock();
    for (port, value) in WRITES {
        bus.write(port, 1, value.into());
    }
    drop(bus);
    vcpu.lapic.set_virtual_wire_mode();
}

#[cfg(test)]
mod tests;
