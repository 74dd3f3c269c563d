//! The keyboard controller (Intel 8042; IBM PS/2 Hardware Interface Technical Reference "Keyboard and Auxiliary Device
//! Controller") of a PC without a keyboard and without an auxiliary device. It takes every byte at once.
//!
//! That there is a controller at all is for programs that wait for its input buffer to be empty before they open
//! address line 20, or that reset the machine by it.

use super::bus::{Device, Effect};
use super::interrupts::Line;

/// The offset of the status and command port from the data port.
pub const COMMAND: u16 = 4;

/// Bits of the status.
mod status {
    pub(super) const OUTPUT_FULL: u8 = 1;
    /// The last byte written was a command.
    pub(super) const COMMAND: u8 = 1 << 3;
    /// The keyboard is not locked.
    pub(super) const UNLOCKED: u8 = 1 << 4;
    /// The device did not answer in time.
    pub(super) const TIMEOUT: u8 = 1 << 6;
}

/// Bits of the controller command byte.
mod command_byte {
    pub(super) const KEYBOARD_INTERRUPT: u8 = 1;
    /// The system was initialized; also a bit of the status.
    pub(super) const SYSTEM: u8 = 1 << 2;
    pub(super) const KEYBOARD_DISABLED: u8 = 1 << 4;
    pub(super) const AUXILIARY_DISABLED: u8 = 1 << 5;
    /// What firmware leaves: keys are translated.
    pub(super) const FIRMWARES: u8 = 0x40 | AUXILIARY_DISABLED | SYSTEM | KEYBOARD_INTERRUPT;
}

/// The output port but for its interrupts: the lines of both devices are high, A20 is on, no reset.
const OUTPUT_PORT: u8 = 0xcf;
/// The interrupt of the keyboard, in the output port.
const OUTPUT_PORT_INTERRUPT: u8 = 1 << 4;
/// The output port's and a pulse's line that resets the machine while it is low.
const NO_RESET: u8 = 1;
/// The input port: the keyboard is not locked.
const INPUT_PORT: u8 = 0x80;
/// What the controller answers for a device that does not: "Resend".
const RESEND: u8 = 0xfe;
const SELF_TEST_PASSED: u8 = 0x55;
/// The result of an interface test: the clock line is low for good.
const CLOCK_LOW: u8 = 1;

/// The controller.
pub struct Keyboard {
    line: Line,
    /// Byte 0 is the command byte.
    memory: [u8; 32],
    output: u8,
    status: u8,
    /// The command that waits for its data.
    waiting: Option<u8>,
}

impl Keyboard {
    /// The controller as firmware leaves it; `line` is IRQ 1.
    #[must_use]
    pub fn new(line: Line) -> Self {
        let mut memory = [0; 32];
        memory[0] = command_byte::FIRMWARES;
        Self {
            line,
            memory,
            output: 0,
            status: status::UNLOCKED,
            waiting: None,
        }
    }

    fn drive(&mut self) {
        let full = self.status & status::OUTPUT_FULL != 0;
        self.line
            .set(full && self.memory[0] & command_byte::KEYBOARD_INTERRUPT != 0);
    }

    fn answer(&mut self, byte: u8) {
        self.output = byte;
        self.status = self.status & !status::TIMEOUT | status::OUTPUT_FULL;
    }

    /// The answer to what is sent to a device.
    fn no_device(&mut self) {
        self.answer(RESEND);
        self.status |= status::TIMEOUT;
    }

    fn read_data(&mut self) -> u8 {
        self.status &= !(status::OUTPUT_FULL | status::TIMEOUT);
        self.drive();
        self.output
    }

    fn read_status(&self) -> u8 {
        self.status | self.memory[0] & command_byte::SYSTEM
    }

    fn command(&mut self, command: u8) -> Effect {
        self.status |= status::COMMAND;
        self.waiting = None;
        match command {
            0x20..=0x3f => self.answer(self.memory[usize::from(command & 0x1f)]),
            0x60..=0x7f | 0xd1..=0xd4 => self.waiting = Some(command),
            0xa7 => self.memory[0] |= command_byte::AUXILIARY_DISABLED,
            0xa8 => self.memory[0] &= !command_byte::AUXILIARY_DISABLED,
            0xa9 => self.answer(CLOCK_LOW),
            0xaa => {
                self.memory[0] |= command_byte::SYSTEM;
                self.answer(SELF_TEST_PASSED);
            }
            0xab => self.answer(0),
            0xad => self.memory[0] |= command_byte::KEYBOARD_DISABLED,
            0xae => self.memory[0] &= !command_byte::KEYBOARD_DISABLED,
            0xc0 => self.answer(INPUT_PORT),
            0xd0 => {
                let full = self.status & status::OUTPUT_FULL;
                self.answer(OUTPUT_PORT | (full * OUTPUT_PORT_INTERRUPT));
            }
            0xf0.. if command & NO_RESET == 0 => return Effect::Reset,
            // Address line 20 (0xdd, 0xdf) is never masked.
            _ => {}
        }
        Effect::None
    }

    fn data(&mut self, byte: u8) -> Effect {
        self.status &= !status::COMMAND;
        match self.waiting.take() {
            None => {
                // A byte for the keyboard switches it on.
                self.memory[0] &= !command_byte::KEYBOARD_DISABLED;
                self.no_device();
            }
            Some(0xd1) if byte & NO_RESET == 0 => return Effect::Reset,
            Some(0xd1) => {}
            // What is to look like the auxiliary device's comes from the keyboard: there is no such device.
            Some(0xd2 | 0xd3) => self.answer(byte),
            Some(0xd4) => self.no_device(),
            Some(command) => self.memory[usize::from(command & 0x1f)] = byte,
        }
        Effect::None
    }
}

impl Device for Keyboard {
    fn read(&mut self, offset: u16, _size: u8) -> u32 {
        let value = match offset {
            COMMAND => self.read_status(),
            _ => self.read_data(),
        };
        value.into()
    }

    fn write(&mut self, offset: u16, _size: u8, value: u32) -> Effect {
        let effect = match offset {
            COMMAND => self.command(value as u8),
            _ => self.data(value as u8),
        };
        self.drive();
        effect
    }
}

#[cfg(test)]
mod tests;
