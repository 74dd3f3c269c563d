//! A guest's console: raw when it is alone, else whole lines with the guest's number before them.

use crate::machine::Machine;
use alloc::vec::Vec;
use core::fmt::Write;
use spin::Mutex;

/// The longest line that is kept back to be written whole, in bytes.
const LINE_MAX: usize = 1024;

/// Where a guest's text goes.
pub struct Console {
    machine: &'static dyn Machine,
    prefix: Option<usize>,
    reads: bool,
    line: Mutex<Vec<u8>>,
}

impl Console {
    /// A console that writes through at once, or one that prefixes each line with a guest's number.
    /// There is one source of input, and one guest `reads` it.
    #[must_use]
    pub fn new(machine: &'static dyn Machine, prefix: Option<usize>, reads: bool) -> Self {
        Self {
            machine,
            prefix,
            reads,
            line: Mutex::new(Vec::new()),
        }
    }

    /// Writes bytes.
    pub fn write(&self, text: &[u8]) {
        if self.prefix.is_none() {
            return self.machine.write_console(text);
        }
        let mut line = self.line.lock();
        for &byte in text {
            line.push(byte);
            if byte == b'\n' || line.len() >= LINE_MAX {
                self.emit(&mut line);
            }
        }
    }

    /// Writes what was kept back.
    pub fn flush(&self) {
        let mut line = self.line.lock();
        if !line.is_empty() {
            self.emit(&mut line);
        }
    }

    /// Whether anything can ever come in.
    #[must_use]
    pub fn has_input(&self) -> bool {
        self.reads && self.machine.has_console_input()
    }

    /// Reads what has come in, if anything has.
    pub fn read(&self) -> Option<u8> {
        match self.reads {
            true => self.machine.read_console(),
            false => None,
        }
    }

    fn emit(&self, line: &mut Vec<u8>) {
        let mut text = alloc::string::String::new();
        if let Some(number) = self.prefix {
            let _ = write!(text, "{number}| ");
        }
        let mut whole = text.into_bytes();
        whole.append(line);
        if whole.last() != Some(&b'\n') {
            whole.push(b'\n');
        }
        self.machine.write_console(&whole);
    }
}

#[cfg(test)]
mod tests;
