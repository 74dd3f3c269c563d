//! The 8259 pair, and the local APIC's pin that it is wired to.

use crate::lapic;
use crate::machine::{in8, out8};

/// The first vector: IRQ n has `BASE + n`.
pub const BASE: u8 = 0x70;

const COMMAND: [u16; 2] = [0x20, 0xa0];
const DATA: [u16; 2] = [0x21, 0xa1];
/// ICW1: edge triggered, cascaded, with ICW4.
const ICW1: u8 = 0x11;
/// ICW4: 8086 mode.
const ICW4: u8 = 1;
/// A non-specific end of interrupt.
const EOI: u8 = 0x20;
/// Where the slave is, for the master and for itself.
const CASCADE: [u8; 2] = [1 << 2, 2];
/// The local APIC's LINT0 entry, and the delivery mode ExtINT.
const LINT0: u32 = 0x350;
const EXTINT: u32 = 7 << 8;

/// Programs both, with all interrupts masked, and lets the local APIC pass them on.
pub fn start() {
    for n in 0..2 {
        out8(COMMAND[n], ICW1);
        out8(DATA[n], BASE + 8 * n as u8);
        out8(DATA[n], CASCADE[n]);
        out8(DATA[n], ICW4);
        out8(DATA[n], 0xff);
    }
    lapic::enable();
    lapic::write(LINT0, EXTINT);
}

/// Lets the interrupt come, or no longer.
pub fn enable(irq: u8, enabled: bool) {
    let (n, bit) = (usize::from(irq / 8), 1 << (irq % 8));
    let mask = in8(DATA[n]);
    out8(DATA[n], if enabled { mask & !bit } else { mask | bit });
    if n == 1 {
        enable(2, true);
    }
}

/// Ends the interrupt's service.
pub fn eoi(irq: u8) {
    if irq >= 8 {
        out8(COMMAND[1], EOI);
    }
    out8(COMMAND[0], EOI);
}
