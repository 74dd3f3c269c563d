//! The terminal: the console behind a line discipline (termios(3)), as far as programs on a
//! console need it. The window is 24 by 80.

use super::kernel::Kernel;
use super::record::{Record, u32_at};
use super::signals::Signal;
use alloc::collections::VecDeque;
use linux_raw_sys::general::{
    B38400, CREAD, CS8, ECHO, ECHOCTL, ECHOE, ECHOK, HUPCL, ICANON, ICRNL, IEXTEN, ISIG, IXON,
    ONLCR, OPOST, VEOF, VEOL, VERASE, VINTR, VKILL, VMIN, VQUIT,
};

/// The size of the kernel's `struct termios`, in bytes.
pub const TERMIOS_SIZE: usize = 36;
/// The longest line that can be typed, in bytes (N_TTY_BUF_SIZE).
const LINE_MAX: usize = 4095;
/// Linux' INIT_C_CC: ^C ^\ DEL ^U ^D, and so on.
const CONTROL: [u8; 19] = [
    3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0,
];

/// The terminal.
#[derive(Debug)]
pub struct Terminal {
    input: u32,
    output: u32,
    control: u32,
    local: u32,
    characters: [u8; 19],
    /// What is being typed, in canonical mode.
    line: VecDeque<u8>,
    /// What can be read.
    ready: VecDeque<u8>,
    /// The places in `ready` behind which a read stops, counted in bytes from its beginning.
    ends: VecDeque<usize>,
    /// The process group in the foreground.
    pub group: u32,
    /// Rows and columns, and the same in pixels.
    pub window: [u8; 8],
}

impl Default for Terminal {
    fn default() -> Self {
        Self {
            input: ICRNL | IXON,
            output: OPOST | ONLCR,
            control: B38400 | CS8 | CREAD | HUPCL,
            local: ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | IEXTEN,
            characters: CONTROL,
            line: VecDeque::new(),
            ready: VecDeque::new(),
            ends: VecDeque::new(),
            group: super::state::FIRST_PID,
            window: [24, 0, 80, 0, 0, 0, 0, 0],
        }
    }
}

impl Terminal {
    /// `struct termios`.
    #[must_use]
    pub fn termios(&self) -> [u8; TERMIOS_SIZE] {
        Record::new()
            .u32(self.input)
            .u32(self.output)
            .u32(self.control)
            .u32(self.local)
            .skip(1)
            .bytes(&self.characters)
            .done()
    }

    /// Sets `struct termios`.
    pub fn set_termios(&mut self, termios: &[u8; TERMIOS_SIZE]) {
        let was_canonical = self.on(ICANON);
        self.input = u32_at(termios, 0);
        self.output = u32_at(termios, 4);
        self.control = u32_at(termios, 8);
        self.local = u32_at(termios, 12);
        self.characters.copy_from_slice(&termios[17..36]);
        if self.on(ICANON) != was_canonical {
            self.change_mode();
        }
    }

    /// What was typed can be read: in canonical mode by one read, since nobody looked for lines in it.
    fn change_mode(&mut self) {
        self.ready.append(&mut self.line);
        self.ends.clear();
        if self.on(ICANON) && !self.ready.is_empty() {
            self.ends.push_back(self.ready.len());
        }
    }

    /// Forgets what was typed (TCFLSH).
    pub fn flush_input(&mut self) {
        self.line.clear();
        self.ready.clear();
        self.ends.clear();
    }

    fn on(&self, local: u32) -> bool {
        self.local & local != 0
    }

    fn is(&self, byte: u8, character: u32) -> bool {
        let special = self.characters[character as usize];
        special != 0 && byte == special
    }

    /// Takes in what was typed. A signal, if a key asked for one.
    pub fn pump(&mut self, kernel: &mut dyn Kernel) -> Option<Signal> {
        while self.ready.len() + self.line.len() < LINE_MAX {
            let byte = kernel.read_console()?;
            if let Some(signal) = self.type_in(byte, kernel) {
                return Some(signal);
            }
        }
        None
    }

    fn type_in(&mut self, byte: u8, kernel: &mut dyn Kernel) -> Option<Signal> {
        let byte = match byte {
            b'\r' if self.input & ICRNL != 0 => b'\n',
            byte => byte,
        };
        if self.on(ISIG) && (self.is(byte, VINTR) || self.is(byte, VQUIT)) {
            self.echo(byte, kernel);
            self.flush_input();
            return Some(if self.is(byte, VINTR) {
                Signal::INT
            } else {
                Signal::QUIT
            });
        }
        if !self.on(ICANON) {
            self.echo(byte, kernel);
            self.ready.push_back(byte);
            return None;
        }
        if self.is(byte, VERASE) || self.is(byte, VKILL) {
            let all = self.is(byte, VKILL);
            while self.line.pop_back().is_some() {
                self.echo_bytes(b"\x08 \x08", kernel);
                if !all {
                    break;
                }
            }
        } else if self.is(byte, VEOF) {
            self.end_line();
        } else {
            self.echo(byte, kernel);
            self.line.push_back(byte);
            if byte == b'\n' || self.is(byte, VEOL) {
                self.end_line();
            }
        }
        None
    }

    fn end_line(&mut self) {
        self.ready.append(&mut self.line);
        self.ends.push_back(self.ready.len());
    }

    fn echo(&self, byte: u8, kernel: &mut dyn Kernel) {
        match byte {
            b'\n' | b'\t' | 32.. => self.echo_bytes(&[byte], kernel),
            _ => self.echo_bytes(&[b'^', byte + 64], kernel),
        }
    }

    fn echo_bytes(&self, bytes: &[u8], kernel: &mut dyn Kernel) {
        if self.on(ECHO) {
            kernel.write_console(bytes);
        }
    }

    /// How many bytes a read would get now; `None` if it would wait.
    #[must_use]
    pub fn available(&self) -> Option<usize> {
        if !self.on(ICANON) {
            let least = usize::from(self.characters[VMIN as usize]);
            return (self.ready.len() >= least).then_some(self.ready.len());
        }
        self.ends.front().copied()
    }

    /// Takes bytes that [`Terminal::available`] promised.
    pub fn take(&mut self, count: usize) -> impl Iterator<Item = u8> {
        let count = count.min(self.ready.len());
        for end in &mut self.ends {
            *end = end.saturating_sub(count);
        }
        // A line that was read to its end is over; so is an end of file once it was seen.
        if self.ends.front() == Some(&0) {
            self.ends.pop_front();
        }
        self.ready.drain(..count)
    }
}
