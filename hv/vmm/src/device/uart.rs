//! A 16550A UART whose line is the guest's console. It sends at once, and raises no interrupts:
//! IER is kept, and IIR says that none is pending.

use super::bus::{Device, Effect};
use crate::guest::console::Console;
use alloc::sync::Arc;

/// Register offsets (National Semiconductor PC16550D, "Registers").
mod register {
    pub(super) const DATA: u16 = 0;
    pub(super) const INTERRUPT_ENABLE: u16 = 1;
    pub(super) const INTERRUPT_ID_OR_FIFO_CONTROL: u16 = 2;
    pub(super) const LINE_CONTROL: u16 = 3;
    pub(super) const MODEM_CONTROL: u16 = 4;
    pub(super) const LINE_STATUS: u16 = 5;
    pub(super) const MODEM_STATUS: u16 = 6;
}

const DIVISOR_LATCH_ACCESS: u8 = 1 << 7;
const LOOPBACK: u8 = 1 << 4;
const DATA_READY: u8 = 1;
const TRANSMITTER_EMPTY: u8 = 1 << 5 | 1 << 6;
const FIFO_ENABLE: u8 = 1;
const NO_INTERRUPT_PENDING: u8 = 1;
const FIFOS_ENABLED: u8 = 0b1100_0000;
/// Carrier detect, data set ready, clear to send: the line is up.
const MODEM_UP: u8 = 0b1011_0000;

pub(super) struct Uart {
    console: Arc<Console>,
    received: Option<u8>,
    interrupt_enable: u8,
    fifo_control: u8,
    line_control: u8,
    modem_control: u8,
    scratch: u8,
    divisor: [u8; 2],
}

impl Uart {
    pub(super) fn new(console: Arc<Console>) -> Self {
        Self {
            console,
            received: None,
            interrupt_enable: 0,
            fifo_control: 0,
            line_control: 0,
            modem_control: 0,
            scratch: 0,
            divisor: [1, 0],
        }
    }

    fn divisor_latch(&mut self, offset: u16) -> Option<&mut u8> {
        let selected = self.line_control & DIVISOR_LATCH_ACCESS != 0;
        self.divisor
            .get_mut(usize::from(offset))
            .filter(|_| selected)
    }

    fn line_status(&mut self) -> u8 {
        if self.received.is_none() && self.modem_control & LOOPBACK == 0 {
            self.received = self.console.read();
        }
        TRANSMITTER_EMPTY
            | if self.received.is_some() {
                DATA_READY
            } else {
                0
            }
    }

    /// In loopback the modem outputs come back as the modem inputs.
    fn modem_status(&self) -> u8 {
        let out = self.modem_control;
        match out & LOOPBACK {
            0 => MODEM_UP,
            _ => (out & 0b0001) << 5 | (out & 0b0010) << 3 | (out & 0b1100) << 4,
        }
    }

    fn transmit(&mut self, byte: u8) {
        match self.modem_control & LOOPBACK {
            0 => self.console.write(&[byte]),
            _ => self.received = Some(byte),
        }
    }
}

impl Device for Uart {
    fn read(&mut self, offset: u16, _size: u8) -> u32 {
        if let Some(latch) = self.divisor_latch(offset) {
            return (*latch).into();
        }
        let value = match offset {
            register::DATA => {
                self.line_status();
                self.received.take().unwrap_or(0)
            }
            register::INTERRUPT_ENABLE => self.interrupt_enable,
            register::INTERRUPT_ID_OR_FIFO_CONTROL if self.fifo_control & FIFO_ENABLE != 0 => {
                NO_INTERRUPT_PENDING | FIFOS_ENABLED
            }
            register::INTERRUPT_ID_OR_FIFO_CONTROL => NO_INTERRUPT_PENDING,
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
            register::INTERRUPT_ENABLE => self.interrupt_enable = value & 0x0f,
            register::INTERRUPT_ID_OR_FIFO_CONTROL => self.fifo_control = value,
            register::LINE_CONTROL => self.line_control = value,
            register::MODEM_CONTROL => self.modem_control = value & 0x1f,
            register::LINE_STATUS | register::MODEM_STATUS => {}
            _ => self.scratch = value,
        }
        Effect::None
    }
}

#[cfg(test)]
mod tests;
