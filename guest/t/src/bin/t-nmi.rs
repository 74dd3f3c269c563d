//! NMIs that the virtual CPU sends itself: in their handler the next ones wait for IRET, and one of them is kept.
#![no_std]
#![no_main]

use rt::{
    Single, check_eq, execute,
    interrupts::{self, Frame, vector},
    lapic,
    processors::{self, delivery},
};

rt::main!(main);

static COUNT: Single<u32> = Single::new(0);
static DEPTH: Single<u32> = Single::new(0);
static DEEPEST: Single<u32> = Single::new(0);
static FIRST_DOES: Single<fn()> = Single::new(nothing);

fn main() {
    interrupts::on(vector::NMI, Some(nmi));
    // One inside another would take its stack.
    interrupts::set_ist(vector::NMI, 0);
    interrupts::on(vector::BP, Some(|_| ()));
    lapic::enable();
    in_this_mode("xAPIC");
    lapic::enter_x2apic();
    lapic::enable();
    in_this_mode("x2APIC");
}

fn in_this_mode(mode: &str) {
    rt::println!("{mode} mode");
    check_eq!("an NMI to itself", nmis(nothing), (1, 1));
    check_eq!("the next one waits for IRET", nmis(send), (2, 1));
    check_eq!("of three that wait one comes", nmis(send_three), (2, 1));
    check_eq!("any IRET ends that", nmis(send_and_break), (2, 2));
    check_eq!("and nothing is left", nmis(nothing), (1, 1));
}

/// How many NMIs come, and how many at a time at most, when the first one's handler does this.
fn nmis(first_does: fn()) -> (u32, u32) {
    COUNT.store(0);
    DEEPEST.store(0);
    FIRST_DOES.store(first_does);
    send();
    execute!("nop");
    (COUNT.load(), DEEPEST.load())
}

fn nmi(_: &mut Frame) {
    COUNT.store(COUNT.load() + 1);
    DEPTH.store(DEPTH.load() + 1);
    DEEPEST.store(DEEPEST.load().max(DEPTH.load()));
    let first_does = FIRST_DOES.load();
    FIRST_DOES.store(nothing);
    first_does();
    DEPTH.store(DEPTH.load() - 1);
}

fn nothing() {}

fn send() {
    processors::send(0, delivery::NMI);
}

fn send_three() {
    (0..3).for_each(|_| send());
}

/// The breakpoint's handler ends with IRET.
fn send_and_break() {
    send();
    execute!("int3");
}
