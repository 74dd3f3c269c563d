//! The real-time clock, read once: what time it is.

use x86::io::{inb, outb};

const INDEX: u16 = 0x70;
const DATA: u16 = 0x71;
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
const UPDATE_IN_PROGRESS: u8 = 1 << 7;
const BINARY: u8 = 1 << 2;
const HOURS_24: u8 = 1 << 1;
const PM: u8 = 1 << 7;
/// Seconds, minutes, hours, day of the month, month, year of the century.
const TIME: [u8; 6] = [0x00, 0x02, 0x04, 0x07, 0x08, 0x09];
/// A machine without the clock reads all ones for ever: give up after this many looks.
const MOST_LOOKS: u32 = 100_000;

fn read(register: u8) -> u8 {
    // SAFETY: the CMOS index and data ports; reading the clock's registers changes nothing.
    unsafe {
        outb(INDEX, register);
        inb(DATA)
    }
}

/// The time in seconds since 1970-01-01 00:00 UTC, taking the clock to run in UTC; 0 if there is none.
#[must_use]
pub fn seconds_since_epoch() -> u64 {
    let mut last = [0; 6];
    for _ in 0..MOST_LOOKS {
        if read(STATUS_A) & UPDATE_IN_PROGRESS != 0 {
            continue;
        }
        let now = TIME.map(read);
        if now == last {
            return vmm::calendar::seconds(decode(now, read(STATUS_B))).unwrap_or(0);
        }
        last = now;
    }
    0
}

/// Year, month, day, hour, minute, second, from what the registers hold.
fn decode(raw: [u8; 6], status_b: u8) -> [u32; 6] {
    let number = |byte: u8| {
        let byte = u32::from(byte);
        if status_b & BINARY != 0 {
            byte
        } else {
            (byte >> 4) * 10 + (byte & 0xf)
        }
    };
    let [second, minute, hour, day, month, year] = raw;
    let hour = match status_b & HOURS_24 {
        0 => number(hour & !PM) % 12 + if hour & PM != 0 { 12 } else { 0 },
        _ => number(hour),
    };
    [
        2000 + number(year),
        number(month),
        number(day),
        hour,
        number(minute),
        number(second),
    ]
}
