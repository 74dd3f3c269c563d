//! The 8259s: PIT interrupts through them and LINT0, priorities, polls, and what a masked or withdrawn request does.
#![no_std]
#![no_main]

use rt::{
    Single, Ticks, check, check_eq,
    interrupts::{self, Frame},
    lapic::{self, register},
    machine::{self, in8, out8},
};

rt::main!(main);

const MASTER: u16 = 0x20;
const SLAVE: u16 = 0xa0;
const ELCR: u16 = 0x4d0;
const PIT_COUNTER: u16 = 0x40;
const PIT_CONTROL: u16 = 0x43;

const VECTOR: u8 = 0x30;
const FIXED: u8 = 0x61;
/// LINT0's entry, and the delivery mode that lets the 8259s through.
const LINT0: u32 = 0x350;
const EXTINT: u32 = 0x700;

const EOI: u8 = 0x20;
const READ_IRR: u8 = 0x0a;
const READ_ISR: u8 = 0x0b;
const POLL: u8 = 0x0c;

static TICKS: Ticks = Ticks::new();
static IN_SERVICE: Single<u8> = Single::new(0);

fn main() {
    lapic::enable();
    lapic::write(LINT0, EXTINT);
    initialize(1);
    registers();
    interrupts::on(VECTOR, Some(tick));
    interrupts::on(FIXED, Some(fixed_tick));
    through();
    held_back();
    polled();
    automatic();
    as_fixed();
    without_apic();
}

/// Vectors from 30H and 38H; all is masked but the PIT.
fn initialize(icw4: u8) {
    for (port, base, wires) in [(MASTER, VECTOR, 4), (SLAVE, VECTOR + 8, 2)] {
        out8(port, 0x11);
        for word in [base, wires, icw4] {
            out8(port + 1, word);
        }
    }
    out8(MASTER + 1, 0xfe);
    out8(SLAVE + 1, 0xff);
}

fn read(ocw3: u8) -> u8 {
    out8(MASTER, ocw3);
    in8(MASTER)
}

fn tick(_: &mut Frame) {
    IN_SERVICE.store(read(READ_ISR));
    TICKS.add();
    out8(MASTER, EOI);
}

fn fixed_tick(_: &mut Frame) {
    TICKS.add();
    lapic::eoi();
}

/// Counter 0 in this mode: in mode 0 its output rises at the end and stays high, in mode 2 it rises again and again.
fn start(mode: u8, count: u16) {
    out8(PIT_CONTROL, 0x30 | mode << 1);
    out8(PIT_COUNTER, count as u8);
    out8(PIT_COUNTER, (count >> 8) as u8);
}

fn once() {
    start(0, 200);
}

fn wait_for_request() {
    while read(READ_IRR) & 1 == 0 {}
}

fn registers() {
    for value in [0x55, 0xaa] {
        out8(MASTER + 1, value);
        out8(SLAVE + 1, !value);
        check_eq!("IMR", (in8(MASTER + 1), in8(SLAVE + 1)), (value, !value));
    }
    initialize(1);
    let before = [in8(ELCR), in8(ELCR + 1)];
    out8(ELCR, 0xf8);
    out8(ELCR + 1, 0xde);
    check_eq!("ELCR", (in8(ELCR), in8(ELCR + 1)), (0xf8, 0xde));
    out8(ELCR, before[0]);
    out8(ELCR + 1, before[1]);
}

fn through() {
    once();
    check_eq!("a PIT interrupt ends HLT", TICKS.halt_for(1), 1);
    check_eq!("it was in service", IN_SERVICE.load(), 1);
    check_eq!("it no longer is", read(READ_ISR), 0);
    check_eq!("one edge, one interrupt", TICKS.in_1_ms(), 0);
    start(2, 1000);
    check!("periodic, 5 times", TICKS.halt_for(5) >= 5);
    start(0, 0);
    TICKS.in_1_ms();
}

fn held_back() {
    out8(MASTER + 1, 0xff);
    once();
    wait_for_request();
    check_eq!("none while it is masked", TICKS.in_1_ms(), 0);
    out8(MASTER + 1, 0xfe);
    check_eq!("it comes when it no longer is", TICKS.in_1_ms(), 1);

    out8(MASTER + 1, 0xff);
    once();
    wait_for_request();
    start(0, 0);
    check_eq!("a request ends with its line", read(READ_IRR), 0);
    out8(MASTER + 1, 0xfe);
    check_eq!("and is no interrupt", TICKS.in_1_ms(), 0);

    lapic::write(LINT0, lapic::MASKED | EXTINT);
    once();
    wait_for_request();
    check_eq!("none while LINT0 is masked", TICKS.in_1_ms(), 0);
    lapic::write(LINT0, EXTINT);
    check_eq!("it comes when it no longer is", TICKS.in_1_ms(), 1);

    lapic::write(register::TPR, 0xf0);
    once();
    wait_for_request();
    check_eq!(
        "the task priority does not hold it back",
        TICKS.in_1_ms(),
        1
    );
    lapic::write(register::TPR, 0);
}

fn polled() {
    once();
    wait_for_request();
    check_eq!("a poll finds it", read(POLL), 0x80);
    check_eq!("and acknowledges it", read(READ_ISR), 1);
    check_eq!("a poll finds nothing", read(POLL), 0);
    check_eq!("nor is there an interrupt", TICKS.in_1_ms(), 0);
    once();
    wait_for_request();
    check_eq!("another waits for the EOI", TICKS.in_1_ms(), 0);
    out8(MASTER, EOI);
    check_eq!("and comes after it", TICKS.in_1_ms(), 1);
}

fn automatic() {
    initialize(3);
    once();
    check_eq!("with automatic EOI", TICKS.halt_for(1), 1);
    check_eq!("nothing is in service", IN_SERVICE.load(), 0);
    initialize(1);
}

fn as_fixed() {
    lapic::write(LINT0, FIXED.into());
    once();
    check_eq!("LINT0 as a fixed interrupt", TICKS.halt_for(1), 1);
    check_eq!("not acknowledged at the 8259", read(READ_IRR), 1);
    check_eq!("one rise, one interrupt", TICKS.in_1_ms(), 0);
    once();
    check_eq!("and another", TICKS.halt_for(1), 1);
    start(0, 0);
    lapic::write(LINT0, EXTINT);
}

fn without_apic() {
    let base = machine::rdmsr(x86::msr::IA32_APIC_BASE);
    machine::wrmsr(x86::msr::IA32_APIC_BASE, base & !lapic::BASE_ENABLE);
    once();
    check_eq!("with the local APIC disabled", TICKS.halt_for(1), 1);
    machine::wrmsr(x86::msr::IA32_APIC_BASE, base);
    once();
    wait_for_request();
    check_eq!("enabled again, its LINT0 is masked", TICKS.in_1_ms(), 0);
    start(0, 0);
}
