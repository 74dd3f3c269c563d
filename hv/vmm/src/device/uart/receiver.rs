//! The receiver's buffer: one byte, or a FIFO of 16 (National Semiconductor PC16550D data sheet "FIFO Control
//! Register").

/// Bits of the FIFO control register.
const FIFO_ENABLE: u8 = 1;
const RECEIVER_RESET: u8 = 1 << 1;
/// Bits of the line status.
const OVERRUN: u8 = 1 << 1;
const BREAK: u8 = 1 << 4;
const ERROR_IN_FIFO: u8 = 1 << 7;
/// The FIFO's trigger levels, by the upper bits of its control register.
const TRIGGERS: [usize; 4] = [1, 4, 8, 14];

/// What came and was not read yet.
#[derive(Default)]
pub(super) struct Receiver {
    bytes: [u8; 16],
    first: usize,
    length: usize,
    /// The FIFO control register without the resets; 0 without FIFO.
    control: u8,
    /// The errors that the line status has not shown yet. A break is shown before what stands ahead of it is read.
    pub(super) errors: u8,
}

impl Receiver {
    pub(super) fn is_fifo(&self) -> bool {
        self.control & FIFO_ENABLE != 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(super) fn has_room(&self) -> bool {
        self.length < if self.is_fifo() { self.bytes.len() } else { 1 }
    }

    /// The trigger level is reached; without FIFO it is 1.
    pub(super) fn is_triggered(&self) -> bool {
        self.length >= TRIGGERS[usize::from(self.control >> 6)]
    }

    /// Writes the FIFO control register. Its other bits count only with the FIFO enable; a change of that empties
    /// the FIFO.
    pub(super) fn control(&mut self, value: u8) {
        let control = match value & FIFO_ENABLE {
            0 => 0,
            _ => value & (0xc0 | FIFO_ENABLE),
        };
        let changes = (self.control ^ control) & FIFO_ENABLE != 0;
        self.control = control;
        if changes || control != 0 && value & RECEIVER_RESET != 0 {
            self.length = 0;
        }
    }

    /// A byte came. Without room, "the character in the shift register will be overwritten" with a FIFO, and the
    /// received one without.
    pub(super) fn push(&mut self, byte: u8) {
        if !self.has_room() {
            self.errors |= OVERRUN;
            if self.is_fifo() {
                return;
            }
            self.length = 0;
        }
        self.bytes[(self.first + self.length) % self.bytes.len()] = byte;
        self.length += 1;
    }

    /// A break came: a zero.
    pub(super) fn push_break(&mut self) {
        self.push(0);
        self.errors |= BREAK;
    }

    /// The oldest byte; 0 if there is none.
    pub(super) fn pop(&mut self) -> u8 {
        if self.length == 0 {
            return 0;
        }
        let byte = self.bytes[self.first];
        self.first = (self.first + 1) % self.bytes.len();
        self.length -= 1;
        byte
    }

    /// The errors as the line status shows them, once.
    pub(super) fn take_errors(&mut self) -> u8 {
        let errors = core::mem::take(&mut self.errors);
        match errors & BREAK {
            0 => errors,
            _ if self.is_fifo() => errors | ERROR_IN_FIFO,
            _ => errors,
        }
    }
}
