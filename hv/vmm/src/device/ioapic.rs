//! The I/O APIC (Intel 82093AA data sheet).
//!
//! It is of that data sheet's version 11H, not 20H: the register that 20H adds, for an EOI by hand, is of use where
//! local APICs can hold back the broadcast of EOIs, and ours cannot. What software does instead with 11H, to make an
//! entry edge triggered for a moment, clears Remote IRR here too.

use super::interrupts::LINES;
use super::processors::{Destination, Message, Processors};
use spec::apic::{BROADCAST_XAPIC, DeliveryMode};

/// Register numbers, for the index register to hold ("Table 2. IOAPIC Registers").
mod register {
    pub(super) const ID: u8 = 0;
    pub(super) const VERSION: u8 = 1;
    pub(super) const ARBITRATION: u8 = 2;
    pub(super) const REDIRECTION: u8 = 0x10;
}

/// Version 11H, and the number of the last entry.
const VERSION: u32 = (LINES as u32 - 1) << 16 | 0x11;
/// Bits 27:24 of the ID and arbitration registers.
const ID_BITS: u32 = 0xf << 24;
/// What of an entry's low half can be written: all but delivery status and Remote IRR, which are read only.
const LOW_BITS: u32 = 0x1_afff;
const HIGH_BITS: u32 = 0xff00_0000;

/// A redirection table entry ("I/O Redirection Table Registers"). Delivery status is always idle: the way to the
/// local APICs is never busy.
///
/// The polarity is kept and has no effect. Lines here are asserted or not, whatever the voltage: Linux programs active
/// high for the lines of the ISA bus and active low for those of PCI, and either is what the wire would have.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    low: u32,
    high: u32,
}

impl Entry {
    const LOGICAL: u32 = 1 << 11;
    const REMOTE_IRR: u32 = 1 << 14;
    const LEVEL: u32 = 1 << 15;
    const MASKED: u32 = 1 << 16;

    fn mode(self) -> DeliveryMode {
        DeliveryMode((self.low >> 8 & 7) as u8)
    }

    /// It is level triggered: NMI, INIT and the like never are, whatever the entry says.
    fn is_level(self) -> bool {
        self.low & Self::LEVEL != 0 && self.mode().has_vector()
    }

    fn is_masked(self) -> bool {
        self.low & Self::MASKED != 0
    }

    /// What it has to send: nothing for SMI, which processors of this PC have no use for, for ExtINT, as the 8259s are
    /// wired to no pin, and for reserved modes.
    fn message(self) -> Option<Message> {
        let mode = self.mode();
        let sent = mode.has_vector() || matches!(mode, DeliveryMode::NMI | DeliveryMode::INIT);
        let to = (self.high >> 24) as u8;
        let destination = match self.low & Self::LOGICAL {
            0 if to == BROADCAST_XAPIC => Destination::All,
            0 => Destination::Physical(to.into()),
            _ => Destination::Logical(to),
        };
        sent.then_some(Message {
            destination,
            mode,
            vector: self.low as u8,
            level: self.is_level(),
        })
    }
}

/// An I/O APIC of 24 pins.
#[derive(Debug)]
pub(super) struct IoApic {
    index: u8,
    /// The ID and arbitration registers.
    id: u32,
    arbitration: u32,
    /// Which pins are asserted: bit n for pin n.
    pins: u32,
    entries: [Entry; LINES],
}

impl IoApic {
    /// With this ID, as the firmware of a PC has given it one; all pins masked.
    pub(super) fn new(id: u8) -> Self {
        let masked = Entry {
            low: Entry::MASKED,
            high: 0,
        };
        let id = u32::from(id) << 24 & ID_BITS;
        Self {
            index: 0,
            id,
            arbitration: id,
            pins: 0,
            entries: [masked; LINES],
        }
    }

    /// Asserts a pin, or no longer. On a masked pin an edge is lost ("not delivered or held pending").
    pub(super) fn set(&mut self, pin: u8, asserted: bool, processors: &Processors) {
        let before = self.pins;
        match asserted {
            true => self.pins |= 1 << pin,
            false => self.pins &= !(1 << pin),
        }
        if self.pins & !before != 0 {
            self.signal(pin.into(), processors);
        }
    }

    /// A local APIC broadcasts the EOI of this vector: entries whose pin is still asserted send again.
    pub(super) fn end_of_interrupt(&mut self, vector: u8, processors: &Processors) {
        for pin in 0..LINES {
            let entry = &mut self.entries[pin];
            if entry.low & Entry::REMOTE_IRR != 0 && entry.low as u8 == vector {
                entry.low &= !Entry::REMOTE_IRR;
                self.settle(pin, processors);
            }
        }
    }

    /// The index register.
    pub(super) fn index(&self) -> u8 {
        self.index
    }

    /// Writes it.
    pub(super) fn set_index(&mut self, index: u8) {
        self.index = index;
    }

    /// Reads the register that the index register names; reserved ones are 0.
    pub(super) fn read(&self) -> u32 {
        match self.index {
            register::ID => self.id,
            register::VERSION => VERSION,
            register::ARBITRATION => self.arbitration,
            _ => self.selected().map_or(0, |(pin, high)| {
                let entry = self.entries[pin];
                if high { entry.high } else { entry.low }
            }),
        }
    }

    /// Writes it. An ID is loaded into the arbitration register too.
    pub(super) fn write(&mut self, value: u32, processors: &Processors) {
        if self.index == register::ID {
            self.id = value & ID_BITS;
            self.arbitration = self.id;
        }
        let Some((pin, high)) = self.selected() else {
            return;
        };
        let entry = &mut self.entries[pin];
        match high {
            true => entry.high = value & HIGH_BITS,
            false => entry.low = entry.low & Entry::REMOTE_IRR | value & LOW_BITS,
        }
        if !entry.is_level() {
            entry.low &= !Entry::REMOTE_IRR;
        }
        self.settle(pin, processors);
    }

    /// Whether a pin that is not masked makes an NMI or INIT.
    pub(super) fn may_signal(&self) -> bool {
        let signals = |entry: &Entry| {
            !entry.is_masked() && matches!(entry.mode(), DeliveryMode::NMI | DeliveryMode::INIT)
        };
        self.entries.iter().any(signals)
    }

    /// The entry, and whether its high half, that the index register names.
    fn selected(&self) -> Option<(usize, bool)> {
        let at = usize::from(self.index.checked_sub(register::REDIRECTION)?);
        (at / 2 < LINES).then_some((at / 2, at % 2 != 0))
    }

    /// A level that waits may be sent now.
    fn settle(&mut self, pin: usize, processors: &Processors) {
        if self.entries[pin].is_level() && self.pins >> pin & 1 != 0 {
            self.signal(pin, processors);
        }
    }

    /// Sends what the pin's entry says: an edge, or a level that no local APIC has accepted yet.
    fn signal(&mut self, pin: usize, processors: &Processors) {
        let entry = &mut self.entries[pin];
        if entry.is_masked() || entry.low & Entry::REMOTE_IRR != 0 {
            return;
        }
        let accepted = entry
            .message()
            .is_some_and(|message| processors.send(message));
        if accepted && entry.is_level() {
            entry.low |= Entry::REMOTE_IRR;
        }
    }
}

#[cfg(test)]
mod tests;
