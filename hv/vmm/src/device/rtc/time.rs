//! The time, calendar and alarm registers ("Time, Calendar, and Alarm Locations").

use super::register::B;
use crate::calendar;

/// Addresses of the registers; the alarm is each time behind its field.
mod field {
    pub(super) const SECONDS: usize = 0;
    pub(super) const MINUTES: usize = 2;
    pub(super) const HOURS: usize = 4;
    pub(super) const DAY_OF_WEEK: usize = 6;
    pub(super) const DAY: usize = 7;
    pub(super) const MONTH: usize = 8;
    pub(super) const YEAR: usize = 9;
    /// Not the chip's, but a PC's.
    pub(super) const CENTURY: usize = 0x32;
}

/// Register B: binary, not BCD.
const BINARY: u8 = 1 << 2;
/// Register B: hours from 0 to 23.
pub(super) const HOURS_24: u8 = 1 << 1;
/// The hour is after noon, in the format of 12 hours.
const PM: u8 = 1 << 7;
/// An alarm from here on is "don't care".
const ANY: u8 = 0xc0;

const DAY: u64 = 86_400;
/// The years after which the calendar repeats, and a multiple of them that the `calendar` knows.
const ERA: u32 = 400;
const ERA_BASE: u32 = 2000;

type Cells = [u8; 128];

/// The time in the registers, in the format that register B says.
pub(super) struct Time;

impl Time {
    /// Sets the registers to so many seconds after 1970.
    pub(super) fn set(cells: &mut Cells, seconds: u64) {
        write_time_of_day(cells, seconds % DAY);
        write_date(cells, seconds, ERA_BASE);
        // 1970 began with a Thursday; the week begins with Sunday, which is 1.
        cells[field::DAY_OF_WEEK] = ((seconds / DAY + 4) % 7) as u8 + 1;
    }

    /// Counts on. Fields that hold no time or date are left behind, or read as if they did.
    pub(super) fn add(cells: &mut Cells, seconds: u64) {
        let time = time_of_day(cells).saturating_add(seconds);
        write_time_of_day(cells, time % DAY);
        let days = time / DAY;
        if days == 0 {
            return;
        }
        let weekday = decode(cells, cells[field::DAY_OF_WEEK]).saturating_sub(1);
        cells[field::DAY_OF_WEEK] = ((weekday + days) % 7) as u8 + 1;
        let [day, month, year, century] = [field::DAY, field::MONTH, field::YEAR, field::CENTURY]
            .map(|at| decode(cells, cells[at]));
        let year = (century * 100 + year) as u32;
        let era = year - year % ERA;
        let date = [year - era + ERA_BASE, month as u32, day as u32, 0, 0, 0];
        if let Some(midnight) = calendar::seconds(date) {
            write_date(
                cells,
                midnight.saturating_add(days.saturating_mul(DAY)),
                era,
            );
        }
    }

    /// How many seconds it is until the time is the alarm's, if it ever is.
    pub(super) fn until_alarm(cells: &Cells) -> Option<u64> {
        let matches = |at: usize, value: u8| cells[at + 1] >= ANY || cells[at + 1] == value;
        let hour = (0..24).any(|hour| matches(field::HOURS, encode_hour(cells, hour)));
        let other = |at: usize| (0..60).any(|value| matches(at, encode(cells, value)));
        if !hour || !other(field::MINUTES) || !other(field::SECONDS) {
            return None;
        }
        let now = time_of_day(cells);
        let mut time = now + 1;
        while time <= now + DAY {
            let part = |unit: u64, modulus: u64| (time / unit % modulus) as u8;
            let unit = if !matches(field::HOURS, encode_hour(cells, part(3600, 24))) {
                3600
            } else if !matches(field::MINUTES, encode(cells, part(60, 60))) {
                60
            } else if !matches(field::SECONDS, encode(cells, part(1, 60))) {
                1
            } else {
                return Some(time - now);
            };
            time = (time / unit + 1) * unit;
        }
        None
    }
}

fn encode(cells: &Cells, value: u8) -> u8 {
    match cells[B] & BINARY {
        0 => (value / 10 % 10) << 4 | (value % 10),
        _ => value,
    }
}

fn decode(cells: &Cells, value: u8) -> u64 {
    match cells[B] & BINARY {
        0 => u64::from(value >> 4) * 10 + u64::from(value & 0xf),
        _ => value.into(),
    }
}

/// "Time, Calendar, and Alarm Data Modes": 12-hour mode has 12, 1 to 11, and the same after noon with bit 7 set.
fn encode_hour(cells: &Cells, hour: u8) -> u8 {
    if cells[B] & HOURS_24 != 0 {
        return encode(cells, hour);
    }
    let pm = if hour >= 12 { PM } else { 0 };
    encode(cells, (hour + 11) % 12 + 1) | pm
}

fn decode_hour(cells: &Cells, hour: u8) -> u64 {
    if cells[B] & HOURS_24 != 0 {
        return decode(cells, hour);
    }
    decode(cells, hour & !PM) % 12 + if hour & PM != 0 { 12 } else { 0 }
}

/// The seconds since midnight.
fn time_of_day(cells: &Cells) -> u64 {
    decode_hour(cells, cells[field::HOURS]) * 3600
        + decode(cells, cells[field::MINUTES]) * 60
        + decode(cells, cells[field::SECONDS])
}

fn write_time_of_day(cells: &mut Cells, time: u64) {
    cells[field::SECONDS] = encode(cells, (time % 60) as u8);
    cells[field::MINUTES] = encode(cells, (time / 60 % 60) as u8);
    cells[field::HOURS] = encode_hour(cells, (time / 3600 % 24) as u8);
}

/// The date of so many seconds after 1970, with the year of `era` where the calendar has [`ERA_BASE`].
fn write_date(cells: &mut Cells, seconds: u64, era: u32) {
    let [year, month, day, ..] = calendar::date(seconds);
    let year = (year + era).saturating_sub(ERA_BASE);
    let fields = [
        (field::DAY, day),
        (field::MONTH, month),
        (field::YEAR, year % 100),
        (field::CENTURY, year / 100 % 100),
    ];
    for (at, value) in fields {
        cells[at] = encode(cells, value as u8);
    }
}
