//! The programmable interval timer (Intel 8254 data sheet), and port 0x61, the part of the chipset that is wired to
//! it (Intel 82371SB data sheet "NMI Status and Control Register").
//!
//! Counter 0 drives IRQ 0. As its interrupts are edge triggered, nobody sees how long OUT is low in modes 2 to 5: the
//! line is high but for a moment whenever OUT rises. Periods that go by unseen make one edge; the phase is kept.

use super::bus::{Device, Effect};
use super::clock::Clock;
use super::interrupts::Line;
use counter::Counter;

mod counter;

/// The frequency of the counters' CLK, in hertz.
pub const HZ: u64 = 1_193_182;

/// The offset of port 0x61 from the counters' ports.
pub const PORT_61: u16 = 0x61 - 0x40;

/// The offset of the control word.
const CONTROL: u16 = 3;
/// The counter of a control word that is a read-back command.
const READ_BACK: u8 = 3;

/// Bits of port 0x61.
mod port_61 {
    /// GATE of counter 2.
    pub(super) const GATE: u8 = 1;
    /// What can be written: GATE, the speaker, and the masks of two NMIs that never come.
    pub(super) const WRITABLE: u8 = 0xf;
    /// Toggles with each refresh request.
    pub(super) const REFRESH: u8 = 1 << 4;
    /// OUT of counter 2.
    pub(super) const OUT: u8 = 1 << 5;
}

/// How many pulses of CLK there are between two refresh requests.
const REFRESH_PULSES: u64 = 18;

/// The timer.
pub struct Pit {
    clock: Clock,
    line: Line,
    counters: [Counter; 3],
    port_61: u8,
    /// When OUT of counter 0 next rises, in pulses of CLK.
    due: Option<u64>,
    /// The TSC of that.
    deadline: Option<u64>,
}

impl Pit {
    /// The timer before it is programmed; `line` is IRQ 0.
    #[must_use]
    pub fn new(clock: Clock, line: Line) -> Self {
        Self {
            clock,
            line,
            counters: [true, true, false].map(Counter::new),
            port_61: 0,
            due: None,
            deadline: None,
        }
    }

    fn now(&self) -> u64 {
        self.clock.ticks(HZ)
    }

    /// "Control Word Format", "Counter Latch Command", "Read-Back Command".
    fn control(&mut self, word: u8, now: u64) {
        let (select, access) = (word >> 6, word >> 4 & 3);
        if select == READ_BACK {
            let selected = |&n: &usize| word >> (1 + n) & 1 != 0;
            return (0..3).filter(selected).for_each(|n| {
                if access & 2 == 0 {
                    self.counters[n].latch(now);
                }
                if access & 1 == 0 {
                    self.counters[n].latch_status(now);
                }
            });
        }
        if let Some(counter) = self.counters.get_mut(usize::from(select)) {
            match access {
                0 => counter.latch(now),
                _ => counter.program(word, now),
            }
        }
    }

    fn read_port_61(&mut self, now: u64) -> u8 {
        let refresh = (now / REFRESH_PULSES) as u8 & 1;
        let out = self.counters[2].out(now);
        self.port_61 | (refresh * port_61::REFRESH) | (u8::from(out) * port_61::OUT)
    }

    fn write_port_61(&mut self, value: u8, now: u64) {
        self.port_61 = value & port_61::WRITABLE;
        self.counters[2].set_gate(value & port_61::GATE != 0, now);
    }

    /// Drives IRQ 0 for what happened until `now`. True if OUT rose.
    fn drive(&mut self, now: u64) -> bool {
        let rose = self.due.is_some_and(|due| due <= now);
        if rose {
            self.line.set(false);
        }
        let counter = &mut self.counters[0];
        let high = counter.out(now) || counter.mode() > 1;
        self.line.set(high);
        let due = counter.next_rise(now);
        if due != self.due {
            self.due = due;
            self.deadline = due.map(|due| self.clock.when(due, HZ));
        }
        rose
    }
}

impl Device for Pit {
    /// The control word cannot be read: nobody drives the bus.
    fn read(&mut self, offset: u16, _size: u8) -> u32 {
        let now = self.now();
        let value = match offset {
            PORT_61 => self.read_port_61(now),
            _ => match self.counters.get_mut(usize::from(offset)) {
                Some(counter) => counter.read(now),
                None => 0xff,
            },
        };
        value.into()
    }

    fn write(&mut self, offset: u16, _size: u8, value: u32) -> Effect {
        let (now, value) = (self.now(), value as u8);
        if offset == PORT_61 {
            self.write_port_61(value, now);
            return Effect::None;
        }
        self.drive(now);
        match offset {
            CONTROL => self.control(value, now),
            _ => {
                if let Some(counter) = self.counters.get_mut(usize::from(offset)) {
                    counter.write(value, now);
                }
            }
        }
        self.drive(now);
        Effect::None
    }

    fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    fn advance(&mut self) {
        let now = self.now();
        self.drive(now);
    }
}

#[cfg(test)]
mod tests;
