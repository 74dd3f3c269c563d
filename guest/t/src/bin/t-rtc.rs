//! The MC146818: the time goes on, and its three interrupts come as IRQ 8.
#![no_std]
#![no_main]

use rt::{
    Single, Ticks, check, check_eq,
    interrupts::{self, Frame},
    machine::{in8, out8, rdtsc, tsc_khz},
    pic, start,
};

rt::main!(main);

const A: u8 = 0xa;
const B: u8 = 0xb;
const C: u8 = 0xc;
const D: u8 = 0xd;
const HOURS_24: u8 = 2;
const SET: u8 = 0x80;
const PERIODIC: u8 = 0x40;
const ALARM: u8 = 0x20;
const UPDATE: u8 = 0x10;

static FLAGS: Single<u8> = Single::new(0);
static TICKS: Ticks = Ticks::new();

fn main() {
    memory();
    time_goes_on();
    set();
    pic::start();
    interrupts::on(pic::BASE + 8, Some(tick));
    pic::enable(8, true);
    periodic();
    once_a_second();
}

fn tick(_: &mut Frame) {
    FLAGS.store(read(C));
    TICKS.add();
    pic::eoi(8);
}

fn read(cell: u8) -> u8 {
    out8(0x70, cell);
    in8(0x71)
}

fn write(cell: u8, value: u8) {
    out8(0x70, cell);
    out8(0x71, value);
}

fn microseconds(since: u64) -> u64 {
    (rdtsc() - since) * 1000 / tsc_khz()
}

fn memory() {
    check_eq!("base memory", (read(0x15), read(0x16)), (0x80, 2));
    let above = u16::from_le_bytes([read(0x34), read(0x35)]);
    let expected = (start::memory() >> 16).saturating_sub(256);
    check_eq!("memory above 16 MiB", u64::from(above), expected);
    check_eq!("the battery is good", read(D), 0x80);
    check_eq!("24 hours and BCD", read(B), HOURS_24);
    let century = read(0x32);
    check!("it is the 21st century", century == 0x20);
}

/// Waits for the end of an update.
fn next_second() {
    let second = read(0);
    while read(0) == second {}
}

fn time_goes_on() {
    next_second();
    let before = rdtsc();
    let mut foretold = sees_uip();
    let passed = microseconds(before);
    // An emulator that is not given the processor at the right moment shows none.
    for _ in 0..30 {
        foretold = foretold || sees_uip();
    }
    check!("UIP foretells an update", foretold);
    check!(
        "a second takes a second",
        (900_000..1_500_000).contains(&passed)
    );
}

/// Waits for the end of an update; whether UIP was seen before it.
fn sees_uip() -> bool {
    let (second, mut seen) = (read(0), false);
    while read(0) == second {
        seen |= read(A) & 0x80 != 0;
    }
    seen
}

fn set() {
    write(B, SET | HOURS_24);
    for (cell, value) in [
        (0, 0x59),
        (2, 0x59),
        (4, 0x23),
        (6, 7),
        (7, 0x28),
        (8, 2),
        (9, 0x24),
        (0x32, 0x20),
    ] {
        write(cell, value);
    }
    write(B, HOURS_24);
    next_second();
    let date = [0x32, 9, 8, 7, 6, 4, 2, 0].map(read);
    check_eq!(
        "a leap day follows",
        date,
        [0x20, 0x24, 2, 0x29, 1, 0, 0, 0]
    );
}

fn periodic() {
    write(A, 0x20 | 6);
    let _ = read(C);
    let before = rdtsc();
    write(B, HOURS_24 | PERIODIC);
    TICKS.halt_for(64);
    let passed = microseconds(before);
    write(B, HOURS_24);
    check!(
        "64 periods at 1024 Hz",
        (61_000..1_000_000).contains(&passed)
    );
    check_eq!("the flags", FLAGS.load() & 0xc0, 0xc0);
}

fn once_a_second() {
    let _ = read(C);
    write(B, HOURS_24 | UPDATE);
    TICKS.halt_for(1);
    let before = rdtsc();
    check_eq!("the update's flags", FLAGS.load() & 0x90, 0x90);
    write(B, HOURS_24);
    for cell in [1, 3, 5] {
        write(cell, 0xff);
    }
    let _ = read(C);
    write(B, HOURS_24 | ALARM);
    TICKS.halt_for(1);
    check_eq!("the alarm's flags", FLAGS.load() & 0xa0, 0xa0);
    let passed = microseconds(before);
    check!(
        "an alarm each second",
        (900_000..1_500_000).contains(&passed)
    );
    write(B, HOURS_24);
    check_eq!("register C is clear once it is read", read(C) & 0xa0, 0);
}
