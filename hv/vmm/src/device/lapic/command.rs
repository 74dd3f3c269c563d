//! The interrupt command register, and SELF IPI (SDM 3A "Issuing Interprocessor Interrupts").

use super::{LOWEST_VECTOR, Lapic, error};
use crate::device::processors::{Destination, Message};
use spec::apic::{BROADCAST_X2APIC, BROADCAST_XAPIC, DeliveryMode, Icr};

/// Destination shorthands.
const SELF: u8 = 1;
const ALL: u8 = 2;
const ALL_BUT_SELF: u8 = 3;

impl Lapic {
    /// Sends what ICR says. The sender looks at the vector, whoever the IPI is for.
    pub(super) fn send(&mut self) {
        let command = Icr(self.registers.command);
        let (mode, vector) = (command.delivery_mode(), command.vector());
        if mode.has_vector() && vector < LOWEST_VECTOR {
            self.detect(error::SEND_ILLEGAL_VECTOR);
            return;
        }
        // INIT level de-assert does nothing on processors of today.
        if mode == DeliveryMode::INIT && command.level() && !command.assert() {
            return;
        }
        let processors = &self.interrupts.processors;
        let message = Message {
            destination: self.destination(command),
            mode,
            vector,
            level: false,
        };
        match command.shorthand() {
            // Straight to where the letter box would be emptied.
            SELF if mode.has_vector() => self.request(vector),
            SELF => processors.post(self.id as usize, message),
            _ => {
                processors.send(message);
            }
        }
    }

    /// SDM 3A "Determining IPI Destination".
    fn destination(&self, command: Icr) -> Destination {
        let to = command.destination();
        match (self.is_x2apic(), command.logical()) {
            _ if command.shorthand() == ALL => Destination::All,
            _ if command.shorthand() == ALL_BUT_SELF => Destination::Others(self.id),
            (true, _) if to == BROADCAST_X2APIC => Destination::All,
            (true, true) => Destination::Cluster(to),
            (true, false) => Destination::Physical(to),
            (false, true) => Destination::Logical((to >> 24) as u8),
            (false, false) if (to >> 24) as u8 == BROADCAST_XAPIC => Destination::All,
            (false, false) => Destination::Physical(to >> 24),
        }
    }

    /// Sends what is written to SELF IPI, which is sent and received here.
    pub(super) fn send_to_self(&mut self, vector: u8) {
        if vector < LOWEST_VECTOR {
            self.detect(error::SEND_ILLEGAL_VECTOR);
        }
        self.request(vector);
    }
}
