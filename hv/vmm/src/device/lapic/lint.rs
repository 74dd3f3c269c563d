//! The pin LINT0, which the 8259s' INTR is wired to on the first processor (SDM 3A "Local Vector Table"). LINT1 is
//! wired to nothing: no device of this PC asserts NMI.

use super::{LINT0_ENTRY, Lapic, MASKED, NMIS_MOST, base, delivery_mode};
use spec::apic::{DeliveryMode, Lvt};

const LEVEL: u32 = Lvt::LEVEL.bits();
const REMOTE_IRR: u32 = Lvt::REMOTE_IRR.bits();

impl Lapic {
    fn lint0_entry(&mut self) -> &mut u32 {
        &mut self.registers.local_vectors[LINT0_ENTRY]
    }

    /// Whether the processor takes interrupts straight from the 8259: its APIC is disabled, or lets them through.
    pub(super) fn is_open(&self) -> bool {
        let entry = self.registers.local_vectors[LINT0_ENTRY];
        self.base & base::ENABLE == 0
            || entry & MASKED == 0 && delivery_mode(entry) == DeliveryMode::EXTINT
    }

    /// Whether INTR makes an NMI or INIT, which wake a processor that takes no interrupts.
    #[must_use]
    pub fn lint0_signals(&self) -> bool {
        let entry = self.registers.local_vectors[LINT0_ENTRY];
        let signals = matches!(delivery_mode(entry), DeliveryMode::NMI | DeliveryMode::INIT);
        self.id == 0 && entry & MASKED == 0 && signals
    }

    /// What INTR makes where it does not go through: an interrupt or a signal of the entry's own, when it rises, or
    /// while it is up if the entry is level triggered.
    pub(super) fn look_at_lint0(&mut self) {
        if self.id != 0 {
            return;
        }
        let rises = self.interrupts.intr_rises();
        let has_risen = core::mem::replace(&mut self.lint0_rises, rises) != rises;
        let entry = *self.lint0_entry();
        if entry & MASKED != 0 {
            return;
        }
        match delivery_mode(entry) {
            DeliveryMode::FIXED if entry & LEVEL != 0 => self.look_at_level(entry),
            DeliveryMode::FIXED if has_risen => self.request(entry as u8),
            DeliveryMode::NMI if has_risen => self.nmis = NMIS_MOST.min(self.nmis + 1),
            DeliveryMode::NMI => {}
            DeliveryMode::INIT => self.init |= has_risen,
            _ => {}
        }
    }

    fn look_at_level(&mut self, entry: u32) {
        if entry & REMOTE_IRR == 0 && self.interrupts.intr() {
            *self.lint0_entry() |= REMOTE_IRR;
            self.request_as(entry as u8, true);
        }
    }

    /// The interrupt with this vector has ended: if it was the pin's, it may come again.
    pub(super) fn end_lint0(&mut self, vector: u8) {
        let entry = self.lint0_entry();
        if *entry & REMOTE_IRR != 0 && *entry as u8 == vector {
            *entry &= !REMOTE_IRR;
            self.look_at_lint0();
        }
    }

    /// Writes the entry. Remote IRR is read only, and belongs to level-triggered interrupts alone.
    pub(super) fn set_lint0(&mut self, value: u32) {
        let is_level = value & LEVEL != 0 && delivery_mode(value) == DeliveryMode::FIXED;
        let kept = if is_level { REMOTE_IRR } else { 0 };
        let entry = self.lint0_entry();
        *entry = value | *entry & kept;
        self.look_at_lint0();
    }
}

#[cfg(test)]
mod tests;
