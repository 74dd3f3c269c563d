//! The real-time clock and its battery-backed memory (Motorola MC146818 data sheet), as a PC has them: a crystal of
//! 32.768 kHz, 128 bytes, IRQ 8. Daylight saving is not done, as no PC's clock does it any more.
//!
//! The chip's registers are what it counts in: whatever a guest puts there is counted on from. What has happened
//! until now is made up for when someone looks, or when an interrupt is due.

use super::bus::{Device, Effect};
use super::clock::Clock;
use super::interrupts::Line;
use register::{A, B, C, D};
use time::Time;

mod cmos;
mod time;

/// The frequency of the crystal, in hertz.
const HZ: u64 = 32_768;
/// An update is under way so long before it is done: UIP rises 244 us before the update, which takes 1984 us.
const UPDATE: u64 = 73;

/// Addresses in the chip.
mod register {
    pub(super) const A: usize = 0xa;
    pub(super) const B: usize = 0xb;
    pub(super) const C: usize = 0xc;
    pub(super) const D: usize = 0xd;
}

/// Register A: update in progress.
const UIP: u8 = 1 << 7;
/// Register B: updates are inhibited.
const SET: u8 = 1 << 7;
/// Register C: an interrupt is requested.
const IRQF: u8 = 1 << 7;
/// Register D: the battery is good.
const VRT: u8 = 1 << 7;
/// Enables in register B and flags in register C.
mod interrupt {
    pub(super) const PERIODIC: u8 = 1 << 6;
    pub(super) const ALARM: u8 = 1 << 5;
    pub(super) const UPDATE: u8 = 1 << 4;
    pub(super) const ALL: u8 = PERIODIC | ALARM | UPDATE;
}

/// The clock.
pub struct Rtc {
    clock: Clock,
    line: Line,
    index: usize,
    cells: [u8; 128],
    /// The end of the next update, in ticks of the crystal; the divider chain is in phase with it.
    update: u64,
    /// Until when the periodic interrupt was looked at.
    seen: u64,
    /// The TSC at which an interrupt is due.
    deadline: Option<u64>,
}

impl Rtc {
    /// The clock at the present time, in a PC with so much RAM and so many processors; `line` is IRQ 8.
    #[must_use]
    pub fn new(clock: Clock, line: Line, ram: u64, processors: usize) -> Self {
        let mut cells = cmos::cells(ram, processors);
        cells[A] = 0x26;
        cells[B] = time::HOURS_24;
        let now = clock.ticks(HZ);
        Time::set(&mut cells, clock.epoch().saturating_add(now / HZ));
        Self {
            clock,
            line,
            index: 0,
            cells,
            update: (now / HZ + 1) * HZ,
            seen: now,
            deadline: None,
        }
    }

    /// The divider chain is not held in reset, and not in one of its tests.
    fn runs(&self) -> bool {
        self.cells[A] >> 4 & 7 <= 2
    }

    /// Updates are made.
    fn updates(&self) -> bool {
        self.runs() && self.cells[B] & SET == 0
    }

    /// The logarithm of the periodic interrupt's period in ticks ("Periodic Interrupt Rate and Square Wave Output
    /// Frequency").
    fn period(&self) -> Option<u32> {
        match self.cells[A] & 0xf {
            0 => None,
            rate @ 1..=2 => Some(u32::from(rate) + 6),
            rate => Some(u32::from(rate) - 1),
        }
        .filter(|_| self.runs())
    }

    /// Does what was due until `now`.
    fn settle(&mut self, now: u64) {
        if let Some(period) = self.period() {
            let count = |tick: u64| tick.wrapping_sub(self.update) as i64 >> period;
            if count(now) != count(self.seen) {
                self.cells[C] |= interrupt::PERIODIC;
            }
        }
        self.seen = now;
        if !self.runs() || now < self.update {
            return;
        }
        let seconds = (now - self.update) / HZ + 1;
        self.update += seconds * HZ;
        if self.updates() {
            self.cells[C] |= interrupt::UPDATE;
            if self.seconds_to_alarm().is_some_and(|wait| wait <= seconds) {
                self.cells[C] |= interrupt::ALARM;
            }
            Time::add(&mut self.cells, seconds);
        }
    }

    /// How many updates there are until one brings the time of the alarm.
    fn seconds_to_alarm(&self) -> Option<u64> {
        Time::until_alarm(&self.cells)
    }

    /// Drives IRQ 8, and finds out when it is next due.
    fn drive(&mut self) {
        let asks = self.cells[B] & self.cells[C] & interrupt::ALL != 0;
        self.cells[C] = self.cells[C] & !IRQF | if asks { IRQF } else { 0 };
        self.line.set(asks);
        let next = if asks { None } else { self.next_interrupt() };
        self.deadline = next.map(|tick| self.clock.when(tick, HZ));
    }

    /// The tick at which an interrupt that is enabled comes.
    fn next_interrupt(&self) -> Option<u64> {
        let enabled = |bit: u8| self.cells[B] & bit != 0;
        let periodic = self.period().filter(|_| enabled(interrupt::PERIODIC));
        let periodic = periodic.map(|period| {
            let phase = self.seen.wrapping_sub(self.update) & ((1 << period) - 1);
            self.seen + (1 << period) - phase
        });
        let updates = match self.updates() {
            true if enabled(interrupt::UPDATE) => Some(1),
            true if enabled(interrupt::ALARM) => self.seconds_to_alarm(),
            _ => None,
        };
        let update = updates.map(|count| self.update + (count - 1) * HZ);
        periodic.into_iter().chain(update).min()
    }

    fn read_cell(&mut self) -> u8 {
        let now = self.clock.ticks(HZ);
        self.settle(now);
        match self.index {
            A if self.updates() && self.update - now <= UPDATE => self.cells[A] | UIP,
            C => {
                self.drive();
                let flags = core::mem::take(&mut self.cells[C]);
                self.drive();
                flags
            }
            index => self.cells[index],
        }
    }

    fn write_cell(&mut self, value: u8) {
        let now = self.clock.ticks(HZ);
        self.settle(now);
        match self.index {
            A => {
                let ran = self.runs();
                self.cells[A] = value & !UIP;
                if !ran && self.runs() {
                    // "The first update cycle begins one-half second" after the reset of the divider ends.
                    self.update = now + HZ / 2;
                }
            }
            // "A high on SET clears UIE."
            B if value & SET != 0 => self.cells[B] = value & !interrupt::UPDATE,
            C | D => {}
            index => self.cells[index] = value,
        }
        self.drive();
    }
}

impl Device for Rtc {
    /// The address register cannot be read: nobody drives the bus.
    fn read(&mut self, offset: u16, _size: u8) -> u32 {
        match offset {
            0 => 0xff,
            _ => self.read_cell().into(),
        }
    }

    /// Bit 7 of the address masks NMI, of which the chipset has none.
    fn write(&mut self, offset: u16, _size: u8, value: u32) -> Effect {
        match offset {
            0 => self.index = value as usize & 0x7f,
            _ => self.write_cell(value as u8),
        }
        Effect::None
    }

    fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    fn advance(&mut self) {
        let now = self.clock.ticks(HZ);
        self.settle(now);
        self.drive();
    }
}

#[cfg(test)]
mod tests;
