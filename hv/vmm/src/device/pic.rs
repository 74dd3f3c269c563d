//! The two interrupt controllers of a PC (Intel 8259A data sheet), and the registers of its chipset that say which
//! inputs are level triggered (Intel 82371SB data sheet "Edge/Level Control Registers").
//!
//! As in that chipset the cascade is wired and not programmed (ICW3 is accepted, and must be what the wires are
//! anyway), the mode is the 8086's, and ICW1's LTIM gives way to the edge/level control registers.

/// The master's input that the slave's output is wired to.
const CASCADE: u8 = 2;
/// What input a request looks like that is gone when it is acknowledged: "the 8259A will issue an interrupt level 7".
const SPURIOUS: u8 = 7;
/// The inputs of a pair that may be level triggered: not the PIT's, the keyboard's, the cascade, the RTC's and the
/// FPU's.
const ELCR_BITS: [u8; 2] = [0xf8, 0xde];
/// The lines that the PC has level triggered from the start: SCI and PCI interrupts.
const LEVEL_LINES: [u8; 2] = [0, 0x0e];

/// Bits of the command words.
mod word {
    /// ICW1: it is one.
    pub(super) const ICW1: u8 = 1 << 4;
    /// ICW1, IC4: ICW4 will come.
    pub(super) const NEEDS_ICW4: u8 = 1;
    /// ICW1, SNGL: no ICW3 will come.
    pub(super) const SINGLE: u8 = 1 << 1;
    /// ICW4, SFNM.
    pub(super) const SPECIAL_FULLY_NESTED: u8 = 1 << 4;
    /// ICW4, AEOI.
    pub(super) const AUTOMATIC_EOI: u8 = 1 << 1;
    /// OCW3, not OCW2.
    pub(super) const OCW3: u8 = 1 << 3;
    /// OCW3, ESMM: SMM counts.
    pub(super) const ENABLE_SPECIAL_MASK: u8 = 1 << 6;
    /// OCW3, SMM.
    pub(super) const SPECIAL_MASK: u8 = 1 << 5;
    /// OCW3, P.
    pub(super) const POLL: u8 = 1 << 2;
    /// OCW3, RR: RIS counts.
    pub(super) const READ_REGISTER: u8 = 1 << 1;
    /// OCW3, RIS: read ISR, not IRR.
    pub(super) const READ_IN_SERVICE: u8 = 1;
}

/// What the next write with A0 set is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Icw2,
    Icw3,
    Icw4,
    Ocw1,
}

/// One 8259A.
#[derive(Debug)]
struct Controller {
    /// The inputs that are high.
    lines: u8,
    /// The inputs that went high, are so still, and were not acknowledged since.
    edges: u8,
    /// The inputs that are level triggered.
    level: u8,
    /// IMR.
    mask: u8,
    /// ISR.
    in_service: u8,
    /// Bits 7:3 of the vectors.
    base: u8,
    /// The input of the lowest priority.
    lowest: u8,
    /// The input with a slave, as a bit.
    cascade: u8,
    step: Step,
    icw1: u8,
    icw4: u8,
    rotates_on_automatic_eoi: bool,
    special_mask: bool,
    reads_in_service: bool,
    polled: bool,
}

impl Controller {
    fn new(base: u8, cascade: u8, level: u8) -> Self {
        Self {
            lines: 0,
            edges: 0,
            level: level | cascade,
            mask: !cascade,
            in_service: 0,
            base,
            lowest: 7,
            cascade,
            step: Step::Ocw1,
            icw1: 0,
            icw4: 0,
            rotates_on_automatic_eoi: false,
            special_mask: false,
            reads_in_service: false,
            polled: false,
        }
    }

    fn set(&mut self, input: u8, high: bool) {
        let bit = 1 << input;
        if !high {
            self.lines &= !bit;
            self.edges &= !bit;
        } else if self.lines & bit == 0 {
            self.lines |= bit;
            self.edges |= bit;
        }
    }

    /// IRR: an edge is a request only as long as its input stays high.
    fn requests(&self) -> u8 {
        self.edges | self.lines & self.level
    }

    /// The priority of the highest of these inputs: 0 is the highest there is, 8 that of no input.
    fn priority(&self, inputs: u8) -> u8 {
        inputs
            .rotate_right(u32::from(self.lowest) + 1)
            .trailing_zeros() as u8
    }

    fn input(&self, priority: u8) -> u8 {
        (self.lowest + 1 + priority) & 7
    }

    /// What is in service as far as it counts for priorities and non-specific EOIs: in special mask mode without
    /// what is masked.
    fn serving(&self) -> u8 {
        match self.special_mask {
            true => self.in_service & !self.mask,
            false => self.in_service,
        }
    }

    /// The request that INT stands for. In special fully nested mode those of a slave that is in service come
    /// through.
    fn pending(&self) -> Option<u8> {
        let priority = self.priority(self.requests() & !self.mask);
        let serving = self.priority(self.serving());
        let input = self.input(priority);
        let nested = self.icw4 & word::SPECIAL_FULLY_NESTED != 0 && 1 << input & self.cascade != 0;
        let comes = priority < serving || priority == serving && nested;
        (comes && priority < 8 && self.step == Step::Ocw1).then_some(input)
    }

    /// INTA: the request is in service, unless its EOI is automatic.
    fn acknowledge(&mut self) -> Option<u8> {
        let input = self.pending()?;
        self.edges &= !(1 << input);
        if self.icw4 & word::AUTOMATIC_EOI == 0 {
            self.in_service |= 1 << input;
        } else if self.rotates_on_automatic_eoi {
            self.lowest = input;
        }
        Some(input)
    }

    fn read_command(&mut self) -> u8 {
        match self.reads_in_service {
            _ if self.polled => self.poll(),
            true => self.in_service,
            false => self.requests(),
        }
    }

    fn read_data(&mut self) -> u8 {
        match self.polled {
            true => self.poll(),
            false => self.mask,
        }
    }

    /// The read after a poll command acknowledges as INTA does.
    fn poll(&mut self) -> u8 {
        self.polled = false;
        self.acknowledge().map_or(0, |input| 0x80 | input)
    }

    fn write_command(&mut self, value: u8) {
        match value {
            _ if value & word::ICW1 != 0 => self.initialize(value),
            _ if value & word::OCW3 != 0 => self.operate(value),
            _ => self.end(value),
        }
    }

    fn write_data(&mut self, value: u8) {
        let after_icw3 = match self.icw1 & word::NEEDS_ICW4 {
            0 => Step::Ocw1,
            _ => Step::Icw4,
        };
        match self.step {
            Step::Ocw1 => self.mask = value,
            Step::Icw2 => self.base = value & 0xf8,
            Step::Icw3 => {}
            Step::Icw4 => self.icw4 = value,
        }
        self.step = match self.step {
            Step::Icw2 if self.icw1 & word::SINGLE == 0 => Step::Icw3,
            Step::Icw2 | Step::Icw3 => after_icw3,
            Step::Icw4 | Step::Ocw1 => Step::Ocw1,
        };
    }

    /// ICW1. An input that is high now must go low and high again, if it is edge triggered.
    fn initialize(&mut self, value: u8) {
        *self = Self {
            lines: self.lines,
            level: self.level,
            cascade: self.cascade,
            base: self.base,
            mask: 0,
            step: Step::Icw2,
            icw1: value,
            icw4: if value & word::NEEDS_ICW4 == 0 {
                0
            } else {
                self.icw4
            },
            ..Self::new(0, 0, 0)
        };
    }

    /// OCW2: end of interrupt, and rotation.
    fn end(&mut self, value: u8) {
        let specific = value & 7;
        let highest = self.priority(self.serving());
        let nonspecific = (highest < 8).then(|| self.input(highest));
        let (ended, lowest) = match value >> 5 {
            0b000 | 0b100 => {
                self.rotates_on_automatic_eoi = value >> 7 != 0;
                return;
            }
            0b001 => (nonspecific, None),
            0b011 => (Some(specific), None),
            0b101 => (nonspecific, nonspecific),
            0b110 => (None, Some(specific)),
            0b111 => (Some(specific), Some(specific)),
            _ => return,
        };
        self.in_service &= !ended.map_or(0, |input| 1 << input);
        self.lowest = lowest.unwrap_or(self.lowest);
    }

    /// OCW3: special mask mode, poll, and which register is read.
    fn operate(&mut self, value: u8) {
        if value & word::ENABLE_SPECIAL_MASK != 0 {
            self.special_mask = value & word::SPECIAL_MASK != 0;
        }
        if value & word::READ_REGISTER != 0 {
            self.reads_in_service = value & word::READ_IN_SERVICE != 0;
        }
        self.polled = value & word::POLL != 0;
    }
}

/// The pair: [`Pics::MASTER`] has inputs 0 to 7, [`Pics::SLAVE`] 8 to 15.
#[derive(Debug)]
pub(super) struct Pics([Controller; 2]);

impl Pics {
    pub(super) const MASTER: usize = 0;
    pub(super) const SLAVE: usize = 1;

    /// As the firmware of a PC leaves them: vectors from 8 and from 70H, all masked but the cascade.
    pub(super) fn new() -> Self {
        Self([
            Controller::new(0x08, 1 << CASCADE, LEVEL_LINES[0]),
            Controller::new(0x70, 0, LEVEL_LINES[1]),
        ])
    }

    /// Sets an input, below 16. The cascade's is the slave's.
    pub(super) fn set(&mut self, line: u8, high: bool) {
        if line != CASCADE {
            self.0[usize::from(line >= 8)].set(line % 8, high);
            self.settle();
        }
    }

    /// INTR.
    pub(super) fn intr(&self) -> bool {
        self.0[Self::MASTER].pending().is_some()
    }

    /// The two INTA cycles: the vector that they give. The slave gives it for its own.
    pub(super) fn acknowledge(&mut self) -> u8 {
        let [master, slave] = &mut self.0;
        let vector = match master.acknowledge() {
            Some(CASCADE) => slave.base | slave.acknowledge().unwrap_or(SPURIOUS),
            input => master.base | input.unwrap_or(SPURIOUS),
        };
        self.settle();
        vector
    }

    /// Reads the controller's port with this A0.
    pub(super) fn read(&mut self, controller: usize, a0: bool) -> u8 {
        let controller = &mut self.0[controller];
        let value = match a0 {
            true => controller.read_data(),
            false => controller.read_command(),
        };
        self.settle();
        value
    }

    /// Writes the controller's port with this A0.
    pub(super) fn write(&mut self, controller: usize, a0: bool, value: u8) {
        let controller = &mut self.0[controller];
        match a0 {
            true => controller.write_data(value),
            false => controller.write_command(value),
        }
        self.settle();
    }

    /// The edge/level control register of this controller.
    pub(super) fn elcr(&self, controller: usize) -> u8 {
        self.0[controller].level & ELCR_BITS[controller]
    }

    /// Writes it.
    pub(super) fn set_elcr(&mut self, controller: usize, value: u8) {
        let bits = ELCR_BITS[controller];
        let level = &mut self.0[controller].level;
        *level = *level & !bits | value & bits;
        self.settle();
    }

    /// The slave's INT is the master's input, taken as a level, so that none of its requests is lost.
    fn settle(&mut self) {
        let [master, slave] = &mut self.0;
        master.set(CASCADE, slave.pending().is_some());
    }
}

#[cfg(test)]
mod tests;
