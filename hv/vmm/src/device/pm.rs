//! The fixed hardware of ACPI (ACPI Specification 6.5 "ACPI Hardware Specification"): the power management timer, the
//! PM1a event and control registers, and SCI. The machine is always in ACPI mode, so there is no SMI command port.
//! There are no fixed buttons, and the clock's alarm is no fixed event: the FADT says so.

use super::bus::{Device, Effect};
use super::clock::Clock;
use super::interrupts::Line;

/// The frequency of the timer, in hertz.
pub const HZ: u64 = 3_579_545;

/// Offsets of the registers.
mod register {
    pub(super) const STATUS: u16 = 0;
    pub(super) const ENABLE: u16 = 2;
    pub(super) const CONTROL: u16 = 4;
    pub(super) const TIMER: u16 = 8;
}

/// Status and enable: the timer's bit 31 changed.
const TIMER: u16 = 1;
/// The enable bits that can be set: timer, global lock, power button, clock. Only the first has an event.
const ENABLES: u16 = 0x0521;
/// How often the timer ticks from one change of its bit 31 to the next.
const HALF: u64 = 1 << 31;

/// PM1 control.
mod control {
    /// The machine is in ACPI mode.
    pub(super) const SCI_EN: u16 = 1;
    /// What can be written and read: BM_RLD and SLP_TYP.
    pub(super) const KEPT: u16 = 0x1c02;
    /// SLP_TYP; that of S5 is 0.
    pub(super) const SLP_TYP: u16 = 0x1c00;
    /// Enters the sleeping state. Reads 0.
    pub(super) const SLP_EN: u16 = 0x2000;
}

/// The registers.
pub struct Pm {
    clock: Clock,
    line: Line,
    status: u16,
    enable: u16,
    control: u16,
    /// When bit 31 of the timer next changes, in its ticks.
    change: u64,
}

impl Pm {
    /// The registers after reset; `line` is the SCI.
    #[must_use]
    pub fn new(clock: Clock, line: Line) -> Self {
        Self {
            clock,
            line,
            status: 0,
            enable: 0,
            control: 0,
            change: (clock.ticks(HZ) / HALF + 1) * HALF,
        }
    }

    fn settle(&mut self) {
        let now = self.clock.ticks(HZ);
        if now >= self.change {
            self.status |= TIMER;
            self.change = (now / HALF + 1) * HALF;
        }
        self.line.set(self.status & self.enable != 0);
    }

    /// The 16-bit register at this even offset.
    fn word(&self, offset: u16) -> u16 {
        match offset {
            register::STATUS => self.status,
            register::ENABLE => self.enable,
            register::CONTROL => self.control | control::SCI_EN,
            _ => 0,
        }
    }

    fn read_byte(&self, offset: u16) -> u8 {
        let [low, high] = match offset {
            register::TIMER.. => {
                let timer = (self.clock.ticks(HZ) as u32).to_le_bytes();
                return timer
                    .get(usize::from(offset - register::TIMER))
                    .copied()
                    .unwrap_or(0);
            }
            _ => self.word(offset & !1).to_le_bytes(),
        };
        if offset & 1 == 0 { low } else { high }
    }

    /// Writes the bits of the mask.
    fn write_word(&mut self, offset: u16, value: u16, mask: u16) -> Effect {
        let merge = |old: u16, kept: u16| (old & !mask | value & mask) & kept;
        match offset {
            register::STATUS => self.status &= !(value & mask),
            register::ENABLE => self.enable = merge(self.enable, ENABLES),
            register::CONTROL => {
                self.control = merge(self.control, control::KEPT);
                let sleeps = value & mask & control::SLP_EN != 0;
                if sleeps && self.control & control::SLP_TYP == 0 {
                    return Effect::PowerOff;
                }
            }
            _ => {}
        }
        Effect::None
    }
}

impl Device for Pm {
    fn width(&self) -> u8 {
        4
    }

    fn read(&mut self, offset: u16, size: u8) -> u32 {
        if (offset, size) == (register::TIMER, 4) {
            return self.clock.ticks(HZ) as u32;
        }
        self.settle();
        let byte = |n: u8| u32::from(self.read_byte(offset + u16::from(n))) << (8 * n);
        (0..size).fold(0, |value, n| value | byte(n))
    }

    fn write(&mut self, offset: u16, size: u8, value: u32) -> Effect {
        self.settle();
        let mut effect = Effect::None;
        for n in 0..size {
            let at = offset + u16::from(n);
            let shift = 8 * (at & 1);
            let byte = (value >> (8 * n) & 0xff) as u16;
            if self.write_word(at & !1, byte << shift, 0xff << shift) != Effect::None {
                effect = Effect::PowerOff;
            }
        }
        self.settle();
        effect
    }

    fn deadline(&self) -> Option<u64> {
        let waits = self.enable & TIMER != 0 && self.status & TIMER == 0;
        waits.then(|| self.clock.when(self.change, HZ))
    }

    fn advance(&mut self) {
        self.settle();
    }
}

#[cfg(test)]
mod tests;
