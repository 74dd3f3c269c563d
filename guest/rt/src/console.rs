//! The serial console: COM1, byte by byte.

use core::fmt::{self, Write};

use x86::io::{inb, outb};

/// The first port of COM1.
pub const COM1: u16 = 0x3f8;
const LINE_STATUS: u16 = COM1 + 5;
const HOLDING_REGISTER_EMPTY: u8 = 1 << 5;

/// Writes one byte, once there is room for it (a real UART has room for a few only).
pub fn write_byte(byte: u8) {
    // SAFETY: these ports are the UART's, and it touches no memory.
    unsafe {
        for _ in 0..100_000 {
            if inb(LINE_STATUS) & HOLDING_REGISTER_EMPTY != 0 {
                break;
            }
        }
        outb(COM1, byte);
    }
}

/// COM1 as a place for formatted text.
pub struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(write_byte);
        Ok(())
    }
}

/// Writes formatted text: what `print!` calls.
pub fn print(text: fmt::Arguments) {
    // `Console` never fails.
    let _ = Console.write_fmt(text);
}

/// Writes formatted text to the console.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => { $crate::console::print(format_args!($($text)*)) };
}

/// Writes formatted text and the end of a line to the console.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($text:tt)*) => { $crate::print!("{}\n", format_args!($($text)*)) };
}
