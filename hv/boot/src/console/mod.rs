//! The console: a UART, or the screen where none answers.

mod framebuffer;
mod vga;

use crate::cmdline::ConsoleChoice;
use crate::info::Info;
use crate::memory::EARLY_END;
use crate::paging;
use core::fmt::{self, Write};
use cpu::tsc;
use framebuffer::Framebuffer;
use multiboot2::FramebufferType;
use spin::{Mutex, MutexGuard};
use uart_16550::backend::PioBackend;
use uart_16550::spec::registers::LSR;
use uart_16550::{BaudRate, Config, Uart16550};
use vga::Text;

/// How often a report tries to take the lock before it takes it by force.
const TRIES: u32 = 1_000_000;
/// A UART that takes no byte for so long, in microseconds, is given up. At 110 baud one takes 0.1 s; an
/// emulator's may have to wait for its host.
const PATIENCE: u64 = 10_000_000;

enum Screen {
    Text(Text),
    Framebuffer(Framebuffer),
}

struct Console {
    uart: Option<Uart16550<PioBackend>>,
    screen: Option<Screen>,
    /// Whether the last byte ended a line.
    at_start: bool,
}

static CONSOLE: Mutex<Console> = Mutex::new(Console {
    uart: None,
    screen: None,
    at_start: true,
});

/// Sets up what the command line asks for, with the screen in its place if that does not answer.
pub fn init(choice: ConsoleChoice, info: Option<&Info>) {
    let mut console = CONSOLE.lock();
    if let ConsoleChoice::Serial(port, baud) = choice {
        console.uart = uart(port, baud);
    }
    if console.uart.is_none() {
        console.screen = screen(info);
    }
}

fn uart(port: u16, baud: u32) -> Option<Uart16550<PioBackend>> {
    // SAFETY: the command line names the port as a UART's; nobody else uses it.
    let mut uart = unsafe { Uart16550::new_port(port) }.ok()?;
    let config = Config {
        baud_rate: BaudRate::from_integer(baud),
        ..Config::DEFAULT
    };
    // What firmware wrote goes out first; if it never does, `init` would wait for ever.
    settle(&mut uart).then_some(())?;
    uart.init(config).ok()?;
    Some(uart)
}

/// Waits until everything is sent, or it is clear that it will not be.
fn settle(uart: &mut Uart16550<PioBackend>) -> bool {
    tsc::wait_until(PATIENCE, || uart.lsr().contains(LSR::TRANSMITTER_EMPTY))
}

/// Sends all bytes; false if the UART takes no more.
fn send(uart: &mut Uart16550<PioBackend>, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let mut sent = uart.send_bytes(bytes);
        if sent == 0 {
            tsc::wait_until(PATIENCE, || {
                sent = uart.send_bytes(bytes);
                sent > 0
            });
        }
        if sent == 0 {
            return false;
        }
        bytes = &bytes[sent..];
    }
    true
}

fn screen(info: Option<&Info>) -> Option<Screen> {
    let tag = info.and_then(Info::framebuffer)?;
    match tag.buffer_type().ok()? {
        // SAFETY: GRUB says that the text screen is there.
        FramebufferType::Text => Some(Screen::Text(unsafe {
            Text::new(tag.address(), tag.width(), tag.height())
        })),
        FramebufferType::RGB { .. } if tag.bpp() >= 8 && tag.bpp().is_multiple_of(8) => {
            let bytes = u64::from(tag.pitch()) * u64::from(tag.height());
            let range = tag.address()..tag.address().checked_add(bytes)?;
            if range.end > EARLY_END && !paging::map_early(range) {
                return None;
            }
            // SAFETY: GRUB says that the framebuffer is there; it is mapped.
            Some(Screen::Framebuffer(unsafe { Framebuffer::new(tag) }))
        }
        _ => None,
    }
}

/// Writes bytes.
pub fn write(bytes: &[u8]) {
    CONSOLE.lock().write(bytes);
}

/// Writes a formatted line, whole and on a line of its own: guests need not end theirs.
pub fn write_line(line: fmt::Arguments<'_>) {
    CONSOLE.lock().write_line(line);
}

/// Writes such a line even if another CPU, or this one, was stopped with the lock in hand.
pub fn force_line(line: fmt::Arguments<'_>) {
    force().write_line(line);
}

fn force() -> MutexGuard<'static, Console> {
    for _ in 0..TRIES {
        if let Some(console) = CONSOLE.try_lock() {
            return console;
        }
        core::hint::spin_loop();
    }
    // SAFETY: the holder has been stopped, or is what was interrupted by this report: it never
    // goes on.
    unsafe { CONSOLE.force_unlock() };
    CONSOLE.lock()
}

/// Reads a byte from the UART, if one has come in.
pub fn read() -> Option<u8> {
    CONSOLE.lock().uart.as_mut()?.try_receive_byte().ok()
}

/// Waits until the UART has sent everything.
pub fn drain() {
    if let Some(uart) = force().uart.as_mut() {
        settle(uart);
    }
}

impl Console {
    fn write_line(&mut self, line: fmt::Arguments<'_>) {
        if !self.at_start {
            self.write(b"\n");
        }
        // `write_str` does not fail.
        let _ = writeln!(self, "{line}");
    }

    fn write(&mut self, bytes: &[u8]) {
        self.at_start = bytes.last().map_or(self.at_start, |&byte| byte == b'\n');
        if let Some(uart) = &mut self.uart {
            let mut lines = bytes.split_inclusive(|&byte| byte == b'\n');
            let taken = lines.all(|line| match line.strip_suffix(b"\n") {
                Some(text) => send(uart, text) && send(uart, b"\r\n"),
                None => send(uart, line),
            });
            if !taken {
                self.uart = None;
            }
        }
        match &mut self.screen {
            Some(Screen::Text(text)) => bytes.iter().for_each(|&byte| text.put(byte)),
            Some(Screen::Framebuffer(framebuffer)) => {
                bytes.iter().for_each(|&byte| framebuffer.put(byte))
            }
            None => {}
        }
    }
}

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}
