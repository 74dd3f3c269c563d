//! The interrupt lines of the PC, and the controllers that they lead to.

use super::processors::Processors;
use alloc::sync::Arc;
use spin::Mutex;

/// How many interrupt lines there are: the pins of the I/O APIC.
pub const LINES: usize = 24;

/// The interrupt controllers of a guest, shared by its devices and its virtual CPUs.
pub struct Interrupts {
    /// The virtual CPUs.
    pub processors: Processors,
    controllers: Mutex<Controllers>,
}

/// What the lock of [`Interrupts`] guards.
#[derive(Default)]
struct Controllers {
    /// How many devices assert each line.
    asserted: [u8; LINES],
}

impl Interrupts {
    /// The controllers after reset, for these virtual CPUs.
    #[must_use]
    pub fn new(processors: Processors) -> Self {
        Self {
            processors,
            controllers: Mutex::default(),
        }
    }

    /// Whether a device asserts this line.
    #[must_use]
    pub fn is_asserted(&self, number: u8) -> bool {
        self.controllers.lock().asserted[usize::from(number)] != 0
    }

    /// The 8259s have an interrupt for the processor.
    #[must_use]
    pub fn intr(&self) -> bool {
        false
    }

    /// The processor takes the 8259s' interrupt; its vector.
    pub fn acknowledge(&self) -> u8 {
        0
    }

    /// A local APIC ended the service of this level-triggered interrupt.
    pub fn end_of_interrupt(&self, _vector: u8) {}

    fn count(&self, number: u8, up: bool) {
        let mut controllers = self.controllers.lock();
        let count = &mut controllers.asserted[usize::from(number)];
        *count = match up {
            true => *count + 1,
            false => *count - 1,
        };
    }
}

/// A device's end of an interrupt line. Several devices may share one: it is asserted while any asserts it.
pub struct Line {
    interrupts: Arc<Interrupts>,
    number: u8,
    asserted: bool,
}

impl Line {
    /// Line `number`, below [`LINES`]: 0 to 15 are the ISA bus's IRQs.
    #[must_use]
    pub fn new(interrupts: &Arc<Interrupts>, number: u8) -> Self {
        assert!(usize::from(number) < LINES, "there is no line {number}");
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
