//! ACPI's fixed hardware: the power management timer, its status bit, and SCI_EN.
#![no_std]
#![no_main]

use rt::{
    check, check_eq,
    machine::{in8, in16, in32, out16, rdtsc, tsc_khz},
};

rt::main!(main);

const STATUS: u16 = 0x600;
const ENABLE: u16 = 0x602;
const CONTROL: u16 = 0x604;
const TIMER: u16 = 0x608;
const KHZ: u64 = 3579;

fn main() {
    check_eq!("ACPI mode", in16(CONTROL), 1);
    out16(ENABLE, 0xffff);
    check_eq!("the enable bits", in16(ENABLE), 0x0521);
    out16(ENABLE, 0);
    check_eq!("no event", in16(STATUS), 0);
    out16(CONTROL, 0x3400);
    check_eq!("a sleeping state that there is not", in16(CONTROL), 0x1401);
    out16(CONTROL, 0);
    timer();
}

fn timer() {
    let (first, before) = (in32(TIMER), rdtsc());
    while rdtsc() - before < 20 * tsc_khz() {}
    let ticks = u64::from(in32(TIMER).wrapping_sub(first));
    let passed = (rdtsc() - before) * KHZ / tsc_khz();
    check!("it ticks at 3.58 MHz", ticks.abs_diff(passed) < passed / 20);
    let mut last = in32(TIMER);
    let forward = (0..1000).all(|_| {
        let now = in32(TIMER);
        let step = now.wrapping_sub(core::mem::replace(&mut last, now));
        step < 1 << 24
    });
    check!("never backwards", forward);
    let bytes = [0, 1, 2, 3].map(|n| in8(TIMER + n));
    let read = u32::from_le_bytes(bytes);
    check!("byte by byte", read.wrapping_sub(last) >> 16 < 0x100);
}
