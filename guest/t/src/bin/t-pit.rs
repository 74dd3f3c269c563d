//! The 8254: counter 2 by port 0x61, latches, and IRQ 0 by the 8259.
#![no_std]
#![no_main]

use rt::{
    Ticks, check, check_eq, execute,
    interrupts::{self, Frame},
    machine::{in8, out8, rdtsc, tsc_khz},
    pic,
};

rt::main!(main);

const CONTROL: u16 = 0x43;
const COUNTER_0: u16 = 0x40;
const COUNTER_2: u16 = 0x42;
const PORT_61: u16 = 0x61;
const OUT_2: u8 = 0x20;
const HZ: u64 = 1_193_182;

static TICKS: Ticks = Ticks::new();

fn main() {
    one_shot();
    square_wave();
    read_back();
    refresh();
    pic::start();
    interrupts::on(pic::BASE, Some(tick));
    pic::enable(0, true);
    periodic();
    terminal_count();
    masked();
}

fn tick(_: &mut Frame) {
    TICKS.add();
    pic::eoi(0);
}

/// Programs a counter with two bytes.
fn start(counter: u8, mode: u8, count: u16) {
    out8(CONTROL, counter << 6 | 0x30 | mode << 1);
    for byte in count.to_le_bytes() {
        out8(COUNTER_0 + u16::from(counter), byte);
    }
}

fn count_2() -> u16 {
    out8(CONTROL, 0x80);
    let low = in8(COUNTER_2);
    u16::from_le_bytes([low, in8(COUNTER_2)])
}

fn microseconds(since: u64) -> u64 {
    (rdtsc() - since) * 1000 / tsc_khz()
}

fn wait_for_out(high: bool) {
    while (in8(PORT_61) & OUT_2 != 0) != high {}
}

fn one_shot() {
    out8(PORT_61, 1);
    let before = rdtsc();
    start(2, 0, (HZ / 100) as u16);
    check!("mode 0 begins low", in8(PORT_61) & OUT_2 == 0);
    wait_for_out(true);
    let passed = microseconds(before);
    check!("10 ms took 10 ms", (9_900..1_000_000).contains(&passed));
}

fn square_wave() {
    let before = rdtsc();
    start(2, 3, (HZ / 500) as u16);
    for _ in 0..5 {
        wait_for_out(false);
        wait_for_out(true);
    }
    let passed = microseconds(before);
    check!("5 periods of 2 ms", (9_900..1_000_000).contains(&passed));
}

fn read_back() {
    out8(PORT_61, 0);
    start(2, 2, 5000);
    out8(PORT_61, 1);
    let first = count_2();
    let second = count_2();
    check!("the count goes down", second < first && first <= 5000);
    out8(CONTROL, 0xe8);
    check_eq!("the status", in8(COUNTER_2), 0xb4);
    out8(PORT_61, 0);
    let stopped = count_2();
    check_eq!("without the gate it stands", count_2(), stopped);
    check_eq!("port 0x61", in8(PORT_61) & 0x2f, OUT_2);
}

fn refresh() {
    let before = rdtsc();
    for _ in 0..50 {
        let bit = in8(PORT_61) & 0x10;
        while in8(PORT_61) & 0x10 == bit {}
    }
    let passed = microseconds(before);
    check!(
        "the refresh bit toggles every 15 us",
        (700..1_000_000).contains(&passed)
    );
}

/// The first interrupt comes at once, as OUT goes high; no period after it comes early. One that waits too long for the
/// processor is lost.
fn periodic() {
    for mode in [2, 3] {
        stop();
        let before = rdtsc();
        start(0, mode, (HZ / 500) as u16);
        TICKS.halt_for(20);
        let passed = microseconds(before);
        rt::println!("mode {mode}");
        check!("19 periods of 2 ms", (37_900..1_000_000).contains(&passed));
    }
}

/// The control word alone stops counter 0; an interrupt of the periods before it may still be due.
fn stop() {
    out8(CONTROL, 0x30);
    execute!("sti", "nop", "nop", "cli");
}

fn terminal_count() {
    stop();
    let ticks = TICKS.count();
    let before = rdtsc();
    start(0, 0, (HZ / 200) as u16);
    check_eq!("one interrupt", TICKS.halt_for(1), 1);
    check!("after 5 ms", microseconds(before) >= 4_900);
    while microseconds(before) < 20_000 {
        execute!("sti", "nop", "nop", "cli");
    }
    check_eq!("and no other", TICKS.count() - ticks, 1);
}

fn masked() {
    pic::enable(0, false);
    start(0, 2, (HZ / 1000) as u16);
    let (before, ticks) = (rdtsc(), TICKS.count());
    while microseconds(before) < 5_000 {
        execute!("sti", "nop", "nop", "cli");
    }
    check_eq!("no interrupt while masked", TICKS.count() - ticks, 0);
    out8(0x20, 0x0a);
    check_eq!("but a request", in8(0x20) & 1, 1);
    pic::enable(0, true);
    check!("which comes then", TICKS.halt_for(1) >= 1);
}
