//! A 16550A UART whose line is the guest's console (National Semiconductor PC16550D data sheet). It sends at once, and
//! what it receives comes no faster than it is read: the console is asked when the guest looks, and every 5 ms where
//! the guest waits for an interrupt.

use super::bus::{Device, Effect};
use super::clock::Clock;
use super::interrupts::Line;
use crate::guest::console::Console;
use alloc::sync::Arc;
use receiver::Receiver;

mod receiver;

/// Register offsets ("Registers").
mod register {
    pub(super) const DATA: u16 = 0;
    pub(super) const INTERRUPT_ENABLE: u16 = 1;
    pub(super) const INTERRUPT_ID_OR_FIFO_CONTROL: u16 = 2;
    pub(super) const LINE_CONTROL: u16 = 3;
    pub(super) const MODEM_CONTROL: u16 = 4;
    pub(super) const LINE_STATUS: u16 = 5;
    pub(super) const MODEM_STATUS: u16 = 6;
}

/// Bits of the interrupt enable register.
mod enable {
    pub(super) const RECEIVED: u8 = 1;
    pub(super) const TRANSMITTER_EMPTY: u8 = 1 << 1;
    pub(super) const LINE_STATUS: u8 = 1 << 2;
    pub(super) const MODEM_STATUS: u8 = 1 << 3;
}

/// What the interrupt identification register says, highest priority first.
mod identification {
    pub(super) const LINE_STATUS: u8 = 0b0110;
    pub(super) const RECEIVED: u8 = 0b0100;
    pub(super) const TIMEOUT: u8 = 0b1100;
    pub(super) const TRANSMITTER_EMPTY: u8 = 0b0010;
    pub(super) const MODEM_STATUS: u8 = 0b0000;
    pub(super) const NONE: u8 = 0b0001;
    pub(super) const FIFOS_ENABLED: u8 = 0b1100_0000;
}

/// Bits of the line control register.
const DIVISOR_LATCH_ACCESS: u8 = 1 << 7;
const SET_BREAK: u8 = 1 << 6;
/// Bits of the modem control register. In a PC, OUT2 lets the interrupt through.
const OUT2: u8 = 1 << 3;
const LOOPBACK: u8 = 1 << 4;
/// Bits of the line status register.
const DATA_READY: u8 = 1;
const TRANSMITTER_EMPTY: u8 = 1 << 5 | 1 << 6;
/// Modem status: the ring indicator, of which only the end is a change.
const RING: u8 = 1 << 6;
/// Carrier detect, data set ready, clear to send: the line is up.
const MODEM_UP: u8 = 0b1011_0000;

/// How often in a second the console is asked for input.
const POLLS: u64 = 200;

pub(super) struct Uart {
    console: Arc<Console>,
    clock: Clock,
    line: Line,
    receiver: Receiver,
    interrupt_enable: u8,
    line_control: u8,
    modem_control: u8,
    /// The lower half of the modem status.
    modem_changes: u8,
    scratch: u8,
    divisor: [u8; 2],
    /// The transmitter's interrupt was neither seen in the identification register nor answered.
    transmitter_interrupt: bool,
    /// The console can have input.
    reads: bool,
    /// The time between two polls.
    interval: u64,
    /// Until then the console is not asked again, as it just had nothing.
    quiet: u64,
    deadline: Option<u64>,
}

impl Uart {
    /// The UART after reset; `line` is IRQ 4, and what comes in on the console is its own if it `reads`.
    pub(super) fn new(console: Arc<Console>, reads: bool, clock: Clock, line: Line) -> Self {
        Self {
            reads: reads && console.has_input(),
            interval: clock.when(1, POLLS),
            console,
            clock,
            line,
            receiver: Receiver::default(),
            interrupt_enable: 0,
            line_control: 0,
            modem_control: 0,
            modem_changes: 0,
            scratch: 0,
            divisor: [1, 0],
            transmitter_interrupt: false,
            quiet: 0,
            deadline: None,
        }
    }

    fn divisor_latch(&mut self, offset: u16) -> Option<&mut u8> {
        let selected = self.line_control & DIVISOR_LATCH_ACCESS != 0;
        self.divisor
            .get_mut(usize::from(offset))
            .filter(|_| selected)
    }

    /// Asks the console, unless it had nothing a moment ago.
    #[inline]
    fn poll(&mut self) {
        if self.reads && self.modem_control & LOOPBACK == 0 {
            let now = self.clock.now();
            if now >= self.quiet {
                self.fill(now);
            }
        }
    }

    #[inline(never)]
    fn fill(&mut self, now: u64) {
        while self.receiver.has_room() {
            match self.console.read() {
                Some(byte) => self.receiver.push(byte),
                None => {
                    self.quiet = now.saturating_add(self.interval / 64);
                    break;
                }
            }
        }
        self.drive();
    }

    /// The cause of the interrupt ("Table IV. Interrupt Control Functions").
    fn cause(&self) -> Option<u8> {
        let enabled = |bit: u8| self.interrupt_enable & bit != 0;
        let received = enabled(enable::RECEIVED);
        if enabled(enable::LINE_STATUS) && self.receiver.errors != 0 {
            Some(identification::LINE_STATUS)
        } else if received && self.receiver.is_triggered() {
            Some(identification::RECEIVED)
        } else if received && !self.receiver.is_empty() {
            Some(identification::TIMEOUT)
        } else if enabled(enable::TRANSMITTER_EMPTY) && self.transmitter_interrupt {
            Some(identification::TRANSMITTER_EMPTY)
        } else if enabled(enable::MODEM_STATUS) && self.modem_changes != 0 {
            Some(identification::MODEM_STATUS)
        } else {
            None
        }
    }

    /// Drives IRQ 4, and says when the console is to be asked again.
    fn drive(&mut self) {
        let asks = self.interrupt_enable != 0 && self.cause().is_some();
        self.line.set(asks && self.modem_control & OUT2 != 0);
        let polls = self.reads
            && self.interrupt_enable & enable::RECEIVED != 0
            && self.modem_control & LOOPBACK == 0
            && self.receiver.has_room();
        if polls != self.deadline.is_some() {
            self.deadline = polls.then(|| self.clock.now().saturating_add(self.interval));
        }
    }

    /// A guest may read strings without a look at the status.
    fn read_data(&mut self) -> u8 {
        if self.receiver.is_empty() {
            self.poll();
        }
        let byte = self.receiver.pop();
        self.drive();
        byte
    }

    fn identify(&mut self) -> u8 {
        let cause = self.cause();
        if cause == Some(identification::TRANSMITTER_EMPTY) {
            self.transmitter_interrupt = false;
            self.drive();
        }
        let fifos = match self.receiver.is_fifo() {
            true => identification::FIFOS_ENABLED,
            false => 0,
        };
        cause.unwrap_or(identification::NONE) | fifos
    }

    fn line_status(&mut self) -> u8 {
        if self.receiver.is_empty() {
            self.poll();
        }
        let mut status = TRANSMITTER_EMPTY;
        if !self.receiver.is_empty() {
            status |= DATA_READY;
        }
        if self.receiver.errors != 0 {
            status |= self.receiver.take_errors();
            self.drive();
        }
        status
    }

    /// The modem's inputs. In loopback they are the outputs.
    fn modem_inputs(&self) -> u8 {
        let out = self.modem_control;
        match out & LOOPBACK {
            0 => MODEM_UP,
            _ => (out & 0b0001) << 5 | (out & 0b0010) << 3 | (out & 0b1100) << 4,
        }
    }

    fn modem_status(&mut self) -> u8 {
        let changes = core::mem::take(&mut self.modem_changes);
        self.drive();
        self.modem_inputs() | changes
    }

    fn set_modem_control(&mut self, value: u8) {
        let before = self.modem_inputs();
        self.modem_control = value & 0x1f;
        let after = self.modem_inputs();
        let changed = (before ^ after) & !(RING & after);
        self.modem_changes |= changed >> 4;
        self.drive();
    }

    fn set_line_control(&mut self, value: u8) {
        let breaks = value & !self.line_control & SET_BREAK != 0;
        self.line_control = value;
        if breaks && self.modem_control & LOOPBACK != 0 {
            self.receiver.push_break();
            self.drive();
        }
    }

    /// The transmitter's interrupt comes when it is enabled, as the transmitter is empty.
    fn set_interrupt_enable(&mut self, value: u8) {
        let value = value & 0x0f;
        if value & !self.interrupt_enable & enable::TRANSMITTER_EMPTY != 0 {
            self.transmitter_interrupt = true;
        }
        self.interrupt_enable = value;
        self.drive();
    }

    fn transmit(&mut self, byte: u8) {
        match self.modem_control & LOOPBACK {
            0 => self.console.write(&[byte]),
            _ => {
                self.receiver.push(byte);
                self.drive();
            }
        }
        if self.interrupt_enable & enable::TRANSMITTER_EMPTY != 0 {
            // The transmitter is full for a moment: the interrupt goes and comes again.
            self.transmitter_interrupt = false;
            self.drive();
            self.transmitter_interrupt = true;
            self.drive();
        }
    }
}

impl Device for Uart {
    fn read(&mut self, offset: u16, _size: u8) -> u32 {
        if let Some(latch) = self.divisor_latch(offset) {
            return (*latch).into();
        }
        let value = match offset {
            register::DATA => self.read_data(),
            register::INTERRUPT_ENABLE => self.interrupt_enable,
            register::INTERRUPT_ID_OR_FIFO_CONTROL => self.identify(),
            register::LINE_CONTROL => self.line_control,
            register::MODEM_CONTROL => self.modem_control,
            register::LINE_STATUS => self.line_status(),
            register::MODEM_STATUS => self.modem_status(),
            _ => self.scratch,
        };
        value.into()
    }

    fn write(&mut self, offset: u16, _size: u8, value: u32) -> Effect {
        let value = value as u8;
        if let Some(latch) = self.divisor_latch(offset) {
            *latch = value;
            return Effect::None;
        }
        match offset {
            register::DATA => self.transmit(value),
            register::INTERRUPT_ENABLE => self.set_interrupt_enable(value),
            register::INTERRUPT_ID_OR_FIFO_CONTROL => {
                self.receiver.control(value);
                self.drive();
            }
            register::LINE_CONTROL => self.set_line_control(value),
            register::MODEM_CONTROL => self.set_modem_control(value),
            register::LINE_STATUS | register::MODEM_STATUS => {}
            _ => self.scratch = value,
        }
        Effect::None
    }

    fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    fn advance(&mut self) {
        let now = self.clock.now();
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            self.fill(now);
        }
    }
}

#[cfg(test)]
mod tests;
