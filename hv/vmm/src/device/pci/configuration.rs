//! A function's configuration space with a type 00h header (PCI Local Bus Specification 3.0
//! "Configuration Space").

use super::super::interrupts::Line;
use alloc::boxed::Box;

/// Red Hat's vendor identity, which the virtio devices of all hypervisors have.
pub const VIRTIO_VENDOR: u16 = 0x1af4;
/// Vendor and device of the board, which firmware knows for a virtual one.
pub const SUBSYSTEM: (u16, u16) = (VIRTIO_VENDOR, 0x1100);

/// Offsets in the header.
mod register {
    pub(super) const COMMAND: u8 = 0x04;
    pub(super) const STATUS: u8 = 0x06;
    pub(super) const REVISION: u8 = 0x08;
    pub(super) const BASE_ADDRESS: u8 = 0x10;
    pub(super) const SUBSYSTEM: u8 = 0x2c;
    pub(super) const CAPABILITIES: u8 = 0x34;
    pub(super) const INTERRUPT_LINE: u8 = 0x3c;
    pub(super) const INTERRUPT_PIN: u8 = 0x3d;
}

/// Bits of the command register.
mod command {
    pub(super) const IO_SPACE: u16 = 1 << 0;
    pub(super) const BUS_MASTER: u16 = 1 << 2;
    pub(super) const INTERRUPT_DISABLE: u16 = 1 << 10;
}

/// The interrupt status bit in the status register's low byte.
const STATUS_INTERRUPT: u8 = 1 << 3;
/// The capabilities list bit in it.
const STATUS_CAPABILITIES: u8 = 1 << 4;
/// A base address register for I/O space.
const BASE_IO: u32 = 1;
/// The address bits of one.
const BASE_BITS: u32 = !3;
/// INTA#.
const PIN_A: u8 = 1;

/// What a function says that it is.
pub struct Identity {
    /// Vendor ID.
    pub vendor: u16,
    /// Device ID.
    pub device: u16,
    /// Revision ID.
    pub revision: u8,
    /// Class code: base class, subclass, programming interface.
    pub class: u32,
    /// Subsystem vendor ID and subsystem ID.
    pub subsystem: (u16, u16),
}

/// The 256 bytes of a configuration space, and which of their bits are writable.
pub struct Configuration {
    bytes: Box<[u8; 256]>,
    writable: Box<[u8; 256]>,
    /// How many ports base address register 0 decodes, a power of two; 0 where there is none.
    ports: u32,
    line: Option<Line>,
}

impl Configuration {
    /// The header with these identities; nothing in it is writable.
    #[must_use]
    pub fn new(identity: &Identity) -> Self {
        let mut configuration = Self {
            bytes: Box::new([0; 256]),
            writable: Box::new([0; 256]),
            ports: 0,
            line: None,
        };
        configuration.set_u16s(0, (identity.vendor, identity.device));
        let class = identity.class << 8 | u32::from(identity.revision);
        configuration.set(register::REVISION, &class.to_le_bytes());
        configuration.set_u16s(register::SUBSYSTEM, identity.subsystem);
        configuration
    }

    /// Sets bytes, whether they are writable or not.
    pub fn set(&mut self, offset: u8, bytes: &[u8]) {
        let at = usize::from(offset);
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn set_u16s(&mut self, offset: u8, (low, high): (u16, u16)) {
        let both = u32::from(high) << 16 | u32::from(low);
        self.set(offset, &both.to_le_bytes());
    }

    /// Makes bits writable.
    pub fn allow(&mut self, offset: u8, bits: &[u8]) {
        let at = usize::from(offset);
        self.writable[at..at + bits.len()].copy_from_slice(bits);
    }

    /// Gives it base address register 0, for so many I/O ports: a power of two, 4 to 256.
    pub fn add_ports(&mut self, ports: u16) {
        self.ports = ports.into();
        self.set(register::BASE_ADDRESS, &BASE_IO.to_le_bytes());
        let bits = !(self.ports - 1);
        self.allow(register::BASE_ADDRESS, &bits.to_le_bytes());
        let command = command::IO_SPACE | command::BUS_MASTER;
        self.allow_command(command);
    }

    fn allow_command(&mut self, bits: u16) {
        let at = usize::from(register::COMMAND);
        let bits = bits.to_le_bytes();
        self.writable[at] |= bits[0];
        self.writable[at + 1] |= bits[1];
    }

    /// Makes the capability at this offset the first of the list.
    pub fn set_capabilities(&mut self, first: u8) {
        self.set(register::CAPABILITIES, &[first]);
        self.bytes[usize::from(register::STATUS)] |= STATUS_CAPABILITIES;
    }

    /// Connects INTA# with an interrupt line, whose number firmware notes.
    pub(super) fn connect(&mut self, line: Line, irq: u8) {
        self.line = Some(line);
        self.set(register::INTERRUPT_LINE, &[irq]);
        self.allow(register::INTERRUPT_LINE, &[0xff]);
        self.set(register::INTERRUPT_PIN, &[PIN_A]);
        self.allow_command(command::INTERRUPT_DISABLE);
    }

    /// Assigns ports, of which those from `free` on are, as firmware does; returns the next free one.
    pub(super) fn assign(&mut self, free: u16) -> u16 {
        if self.ports == 0 {
            return free;
        }
        let first = u32::from(free).next_multiple_of(self.ports);
        self.write(register::BASE_ADDRESS, 4, first);
        self.write(register::COMMAND, 2, command::IO_SPACE.into());
        (first + self.ports) as u16
    }

    fn command(&self) -> u16 {
        self.read(register::COMMAND, 2) as u16
    }

    /// Whether it may access memory by itself.
    #[must_use]
    pub fn is_bus_master(&self) -> bool {
        self.command() & command::BUS_MASTER != 0
    }

    /// Where in its ports an access lies, if it lies in them whole and they are turned on.
    pub(super) fn decode(&self, port: u16, size: u8) -> Option<u16> {
        let base = self.read(register::BASE_ADDRESS, 4) & BASE_BITS;
        let offset = u32::from(port).checked_sub(base)?;
        let within = offset + u32::from(size) <= self.ports;
        (within && self.command() & command::IO_SPACE != 0).then_some(offset as u16)
    }

    /// Asserts its interrupt, or no longer, as far as the command register lets it.
    pub fn set_interrupt(&mut self, asserted: bool) {
        let status = &mut self.bytes[usize::from(register::STATUS)];
        *status = *status & !STATUS_INTERRUPT | if asserted { STATUS_INTERRUPT } else { 0 };
        self.drive_line();
    }

    fn drive_line(&mut self) {
        let pending = self.bytes[usize::from(register::STATUS)] & STATUS_INTERRUPT != 0;
        let enabled = self.command() & command::INTERRUPT_DISABLE == 0;
        if let Some(line) = &mut self.line {
            line.set(pending && enabled);
        }
    }

    /// Reads up to four bytes.
    #[must_use]
    pub fn read(&self, offset: u8, size: u8) -> u32 {
        let bytes = self.bytes.iter().skip(offset.into()).take(size.into());
        bytes
            .rev()
            .fold(0, |value, &byte| value << 8 | u32::from(byte))
    }

    /// Writes the bits that are writable.
    pub fn write(&mut self, offset: u8, size: u8, value: u32) {
        let at = usize::from(offset);
        let bytes = self.bytes.iter_mut().zip(self.writable.iter()).skip(at);
        for ((byte, mask), new) in bytes.zip(value.to_le_bytes()).take(size.into()) {
            *byte = *byte & !mask | new & mask;
        }
        self.drive_line();
    }
}
