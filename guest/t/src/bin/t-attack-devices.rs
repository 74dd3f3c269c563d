//! Every register of every device of the virtual PC, read and written at random, by ports, by memory and by MSRs: as
//! often as the first argument says, from the seed that the second one is. A machine that was treated so still takes
//! an interrupt. Nothing is written that ends or resets the guest, or has a device write its memory.
#![no_std]
#![no_main]

use core::hint::black_box;

use rt::{
    Single, check, check_eq, execute,
    interrupts::{self, Frame},
    lapic,
    machine::*,
    random::Random,
    start,
};

rt::main!(main);

const VECTOR: u8 = 0x40;
const LAPIC: u64 = 0xfee0_0000;
const IOAPIC: u64 = 0xfec0_0000;
static TAKEN: Single<u32> = Single::new(0);

/// First and last port of each device but those that end the guest.
const PORTS: [(u16, u16); 12] = [
    (0x20, 0x21),
    (0x40, 0x43),
    (0x60, 0x61),
    (0x70, 0x71),
    (0xa0, 0xa1),
    (0xe0, 0xe8),
    (0x3f9, 0x3ff),
    (0x4d0, 0x4d1),
    (0x510, 0x511),
    (0x600, 0x603),
    (0xcf8, 0xcff),
    (0xc000, 0xc0ff),
];

fn main() {
    let times = start::argument_or(100_000);
    let seed = start::arguments().split(' ').nth(1);
    let mut random = Random::new(seed.and_then(|word| word.parse().ok()).unwrap_or(1));
    for vector in 32..=255 {
        interrupts::on(vector, Some(|_: &mut Frame| ()));
    }
    interrupts::on(interrupts::vector::NMI, Some(|_: &mut Frame| ()));
    for _ in 0..times {
        match random.below(8) {
            0..4 => port(&mut random),
            4 | 5 => memory(LAPIC, &mut random),
            6 => memory(IOAPIC, &mut random),
            _ => msr(&mut random),
        }
    }
    // The console's UART: 8 bits, no loopback, no interrupts.
    for (port, value) in [(0x3fb, 3), (0x3fc, 3), (0x3f9, 0)] {
        out8(port, value);
    }
    check!("alive", true);
    an_interrupt();
}

fn port(random: &mut Random) {
    let (first, last) = PORTS[random.below(PORTS.len() as u64) as usize];
    let port = first + random.below(u64::from(last - first) + 1) as u16;
    let value = random.number() as u32;
    // The reset control register, and what a wide access would reach besides.
    let spared = (0xcf6..=0xcf9).contains(&port) || (port, value as u8) == (0x64, 0xfe);
    match random.below(6) {
        0 if !spared => out8(port, value as u8),
        1 if last - port >= 1 && !spared => out16(port, value as u16),
        2 if last - port >= 3 && !spared => out32(port, value),
        3 => _ = black_box(in8(port)),
        4 => _ = black_box(in16(port)),
        _ => _ = black_box(in32(port)),
    }
}

/// Without these bits of interrupt commands, local vectors and redirection entries there is no INIT, SIPI or SMI, which
/// would end what this guest does, and no NMI, which may come where the runtime expects nothing.
const DELIVERY_MODE: u64 = 0x700_0000_0700;

fn memory(page: u64, random: &mut Random) {
    let offset = match random.below(4) {
        0 => random.below(4096 - 8),
        _ => random.below(256) * 16,
    };
    let value = random.number() & !DELIVERY_MODE;
    let at = page + offset;
    match random.below(6) {
        0 => execute!("mov [{0}], {1:l}", in(reg) at, in(reg) value),
        1 => execute!("mov [{0}], {1:r}", in(reg) at, in(reg) value),
        2 => execute!("mov [{0}], {1:x}", in(reg) at, in(reg) value),
        3 => execute!("or dword ptr [{0}], {1:e}", in(reg) at, in(reg) value),
        _ => execute!("mov [{0}], {1:e}", in(reg) at, in(reg) value),
    }
    let read: u64;
    execute!("mov {0}, [{1}]", out(reg) read, in(reg) at);
    black_box(read);
}

fn msr(random: &mut Random) {
    let number = match random.below(8) {
        0 => x86::msr::IA32_TSC_DEADLINE,
        _ => 0x800 + random.below(0x40) as u32,
    };
    if random.below(2) == 0 {
        let value = random.number() >> random.below(64);
        let _ = try_wrmsr(number, value & !DELIVERY_MODE);
    }
    let _ = try_rdmsr(number);
}

/// The local APIC disabled and enabled again is as after reset.
fn an_interrupt() {
    lapic::leave_x2apic();
    lapic::enable();
    interrupts::on(
        VECTOR,
        Some(|_: &mut Frame| {
            TAKEN.store(TAKEN.load() + 1);
            lapic::eoi();
        }),
    );
    lapic::write(lapic::register::ICR, 4 << 16 | u32::from(VECTOR));
    execute!("sti", "nop", "nop", "cli");
    check_eq!("an interrupt to itself", TAKEN.load(), 1);
}
