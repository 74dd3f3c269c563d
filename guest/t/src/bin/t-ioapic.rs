//! The I/O APIC: PIT interrupts as edges and as levels, EOIs, masks, destinations.
#![no_std]
#![no_main]

use rt::{
    Single, Ticks, check, check_eq, execute,
    interrupts::{self, Frame, vector},
    lapic::{self, register},
    machine::{in8, out8},
};

rt::main!(main);

const BASE: u64 = 0xfec0_0000;
const WINDOW: u64 = 0x10;
/// The PIT's pin.
const PIN: u32 = 2;
const PIT_COUNTER: u16 = 0x40;
const PIT_CONTROL: u16 = 0x43;

const VECTOR: u8 = 0x50;
const LOGICAL: u32 = 1 << 11;
const REMOTE_IRR: u32 = 1 << 14;
const LEVEL: u32 = 1 << 15;
const MASKED: u32 = 1 << 16;
const LDR: u32 = 0xd0;
const TMR: u32 = 0x180;

static TICKS: Ticks = Ticks::new();
/// The entry and the vector's bit of the TMR, in the handler before its EOI.
static ENTRY: Single<u32> = Single::new(0);
static TRIGGER: Single<u32> = Single::new(0);
/// The handler ends the level when it has come so often.
static LEFT: Single<u32> = Single::new(0);

fn main() {
    // The 8259s have no say here.
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
    lapic::enable();
    registers();
    interrupts::on(VECTOR, Some(tick));
    interrupts::on(vector::NMI, Some(nmi));
    edges();
    levels("xAPIC");
    destinations();
    if lapic::has_x2apic() {
        lapic::enter_x2apic();
        lapic::enable();
    }
    levels("x2APIC");
}

fn read(index: u32) -> u32 {
    let value: u32;
    execute!("mov [{0}], {1:e}", in(reg) BASE, in(reg) index);
    execute!("mov {1:e}, [{0}]", in(reg) BASE + WINDOW, out(reg) value);
    value
}

fn write(index: u32, value: u32) {
    execute!("mov [{0}], {1:e}", in(reg) BASE, in(reg) index);
    execute!("mov [{0}], {1:e}", in(reg) BASE + WINDOW, in(reg) value);
}

fn entry() -> u32 {
    read(0x10 + 2 * PIN)
}

/// Writes the PIT's entry, for the first virtual CPU.
fn program(entry: u32) {
    write(0x11 + 2 * PIN, 0);
    write(0x10 + 2 * PIN, entry);
}

/// The PIT's output falls, and stays low.
fn lower() {
    out8(PIT_CONTROL, 0x30);
}

/// The PIT's output falls, rises soon, and stays high.
fn raise_soon() {
    lower();
    out8(PIT_COUNTER, 200);
    out8(PIT_COUNTER, 0);
}

/// The PIT's output falls and rises.
fn raise() {
    const READ_STATUS: u8 = 0xe2;
    const OUTPUT: u8 = 0x80;
    raise_soon();
    loop {
        out8(PIT_CONTROL, READ_STATUS);
        if in8(PIT_COUNTER) & OUTPUT != 0 {
            return;
        }
    }
}

fn tick(_: &mut Frame) {
    ENTRY.store(entry());
    let word = u32::from(VECTOR) / 32 * 16;
    TRIGGER.store(lapic::read(TMR + word) >> (VECTOR % 32) & 1);
    TICKS.add();
    match LEFT.load() {
        0 => {}
        1 => lower(),
        left => LEFT.store(left - 1),
    }
    lapic::eoi();
}

fn nmi(_: &mut Frame) {
    TICKS.add();
}

fn registers() {
    check!("version", matches!(read(1) & 0xff, 0x11 | 0x20));
    check_eq!("24 entries", read(1) >> 16 & 0xff, 23);
    let id = read(0);
    write(0, 0x0500_0000);
    check_eq!("its ID", read(0) >> 24 & 0xf, 5);
    write(0, id);
    check!(
        "all are masked",
        (0..24).all(|pin| read(0x10 + 2 * pin) & MASKED != 0)
    );
    program(MASKED | 0xaffe);
    check_eq!("what an entry keeps", entry(), MASKED | 0xaffe);
    write(0x11 + 2 * PIN, 0x5a00_0000);
    check_eq!("its destination", read(0x11 + 2 * PIN) >> 24, 0x5a);
    program(MASKED);
}

fn edges() {
    program(VECTOR.into());
    raise_soon();
    check_eq!("an edge ends HLT", TICKS.halt_for(1), 1);
    check_eq!("it is none for the TMR", TRIGGER.load(), 0);
    check_eq!("one edge, one interrupt", TICKS.in_1_ms(), 0);
    program(MASKED | u32::from(VECTOR));
    raise();
    check_eq!("none while it is masked", TICKS.in_1_ms(), 0);
    program(VECTOR.into());
    check_eq!("a masked edge is lost", TICKS.in_1_ms(), 0);
    lapic::write(register::TPR, 0x50);
    raise();
    check_eq!("the task priority holds it back", TICKS.in_1_ms(), 0);
    lapic::write(register::TPR, 0);
    check_eq!("for a while", TICKS.in_1_ms(), 1);
    lower();
}

fn levels(mode: &str) {
    rt::println!("levels, {mode} mode");
    program(LEVEL | u32::from(VECTOR));
    raise_soon();
    LEFT.store(3);
    check_eq!(
        "a level comes until its handler ends it",
        TICKS.halt_for(1),
        3
    );
    check_eq!("with Remote IRR", ENTRY.load() & REMOTE_IRR, REMOTE_IRR);
    check_eq!("and in the TMR", TRIGGER.load(), 1);
    check_eq!("it does not come again", TICKS.in_1_ms(), 0);
    check_eq!("Remote IRR has ended", entry() & REMOTE_IRR, 0);

    program(MASKED | LEVEL | u32::from(VECTOR));
    raise();
    check_eq!("none while it is masked", TICKS.in_1_ms(), 0);
    program(LEVEL | u32::from(VECTOR));
    check_eq!("it comes when it no longer is", TICKS.in_1_ms(), 1);
    program(MASKED);
    LEFT.store(0);
}

fn destinations() {
    lapic::write(LDR, 1 << 24);
    for (name, destination, entry, want) in [
        ("another's APIC ID", 3 << 24, 0, 0),
        ("to all", 0xff << 24, 0, 1),
        ("a logical destination", 3 << 24, LOGICAL, 1),
        ("another's logical destination", 2 << 24, LOGICAL, 0),
        ("lowest priority", 1 << 24, LOGICAL | 0x100, 1),
        ("NMI", 0, 0x400, 1),
    ] {
        lower();
        write(0x11 + 2 * PIN, destination);
        write(0x10 + 2 * PIN, entry | u32::from(VECTOR));
        // An NMI does not wait for IF.
        let before = TICKS.count();
        raise();
        TICKS.in_1_ms();
        check_eq!(name, TICKS.count() - before, want);
    }
    program(MASKED);
    lower();
}
