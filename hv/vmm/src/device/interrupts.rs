//! The interrupt lines of the PC, and the controllers that they lead to.
//!
//! Devices set lines while the bus is locked, so the lock here is inside the bus's; no other is taken under it.

mod registers;

use super::ioapic::IoApic;
use super::pic::Pics;
use super::processors::Processors;
use alloc::sync::Arc;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{AcqRel, Acquire};
pub use registers::{IoApicWindow, PicPorts};
use spin::Mutex;

/// How many interrupt lines there are: the pins of the I/O APIC.
pub const LINES: usize = 24;
/// The lines that lead to the 8259s too.
const ISA_LINES: u8 = 16;
/// The PIT's line, and the pin that it has at the I/O APIC. Line 2 is nobody's: it is the 8259s' cascade.
const PIT_LINE: u8 = 0;
const PIT_PIN: u8 = 2;

/// The interrupt controllers of a guest, shared by its devices and its virtual CPUs.
pub struct Interrupts {
    /// The virtual CPUs.
    pub processors: Processors,
    /// How often the 8259s' INTR has changed: it is up if that is odd. [`Controllers`] says so, and this can be read
    /// without its lock.
    intr: AtomicU32,
    controllers: Mutex<Controllers>,
}

/// What the lock of [`Interrupts`] guards.
struct Controllers {
    /// How many devices assert each line.
    asserted: [u8; LINES],
    pics: Pics,
    ioapic: IoApic,
}

impl Interrupts {
    /// The controllers as the firmware of a PC leaves them, for these virtual CPUs: the I/O APIC's ID comes after
    /// those of their local APICs.
    #[must_use]
    pub fn new(processors: Processors) -> Self {
        let controllers = Controllers {
            asserted: [0; LINES],
            pics: Pics::new(),
            ioapic: IoApic::new(processors.count() as u8),
        };
        Self {
            processors,
            intr: AtomicU32::new(0),
            controllers: Mutex::new(controllers),
        }
    }

    /// Whether a device asserts this line.
    #[must_use]
    pub fn is_asserted(&self, number: u8) -> bool {
        self.controllers.lock().asserted[usize::from(number)] != 0
    }

    /// Whether the 8259s ask for an interrupt: the state of INTR, which is wired to virtual CPU 0's LINT0. That
    /// virtual CPU is woken when it rises.
    #[inline]
    #[must_use]
    pub fn intr(&self) -> bool {
        self.intr.load(Acquire) & 1 != 0
    }

    /// Counts how often INTR has risen.
    #[must_use]
    pub fn intr_rises(&self) -> u32 {
        self.intr.load(Acquire).wrapping_add(1) >> 1
    }

    /// The virtual CPU takes the interrupt that INTR asks for: INTA, which gives the vector. If the request went away
    /// meanwhile, it is a spurious one.
    #[must_use]
    pub fn acknowledge(&self) -> u8 {
        self.with_pics(Pics::acknowledge)
    }

    /// A local APIC has ended a level-triggered interrupt.
    pub fn end_of_interrupt(&self, vector: u8) {
        let ioapic = &mut self.controllers.lock().ioapic;
        ioapic.end_of_interrupt(vector, &self.processors);
    }

    /// Whether no virtual CPU ever executes anything again: all are parked, and no pin makes an NMI or INIT.
    #[must_use]
    pub fn nothing_can_wake(&self) -> bool {
        self.processors.are_all_parked() && !self.controllers.lock().ioapic.may_signal()
    }

    fn with_pics<T>(&self, change: impl FnOnce(&mut Pics) -> T) -> T {
        let mut controllers = self.controllers.lock();
        let result = change(&mut controllers.pics);
        self.drive_intr(&controllers.pics);
        result
    }

    fn with_ioapic<T>(&self, access: impl FnOnce(&mut IoApic, &Processors) -> T) -> T {
        access(&mut self.controllers.lock().ioapic, &self.processors)
    }

    /// Shows the state of INTR. The lock is held, so that the last to change it is the last to show it.
    fn drive_intr(&self, pics: &Pics) {
        let intr = pics.intr();
        if self.intr() != intr {
            self.intr.fetch_add(1, AcqRel);
            if intr {
                self.processors.wake(0);
            }
        }
    }

    fn count(&self, number: u8, up: bool) {
        let mut controllers = self.controllers.lock();
        let count = &mut controllers.asserted[usize::from(number)];
        let before = *count;
        *count = match up {
            true => before + 1,
            false => before - 1,
        };
        if (before != 0) != (*count != 0) {
            self.drive_line(&mut controllers, number, up);
        }
    }

    fn drive_line(&self, controllers: &mut Controllers, number: u8, high: bool) {
        let pin = if number == PIT_LINE { PIT_PIN } else { number };
        controllers.ioapic.set(pin, high, &self.processors);
        if number < ISA_LINES {
            controllers.pics.set(number, high);
            self.drive_intr(&controllers.pics);
        }
    }
}

/// A device's end of an interrupt line. Several devices may share one: it is asserted while any asserts it.
pub struct Line {
    interrupts: Arc<Interrupts>,
    number: u8,
    asserted: bool,
}

impl Line {
    /// Line `number`, below [`LINES`]: 0 to 15 are the ISA bus's IRQs, without 2.
    #[must_use]
    pub fn new(interrupts: &Arc<Interrupts>, number: u8) -> Self {
        assert!(
            usize::from(number) < LINES && number != PIT_PIN,
            "there is no line {number}"
        );
        Self {
            interrupts: interrupts.clone(),
            number,
            asserted: false,
        }
    }

    /// Asserts the line, or no longer.
    pub fn set(&mut self, asserted: bool) {
        if self.asserted != asserted {
            self.asserted = asserted;
            self.interrupts.count(self.number, asserted);
        }
    }
}

#[cfg(test)]
mod tests;
