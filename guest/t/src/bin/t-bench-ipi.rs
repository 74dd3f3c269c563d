//! An interrupt from one virtual CPU to another, each on a physical one of its own: from just before the write of the
//! interrupt command register to the first instruction of the other's handler.
#![no_std]
#![no_main]

use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use rt::{
    check,
    interrupts::{self, Frame},
    lapic, machine, println, processors,
};

rt::main!(main);

const VECTOR: u8 = 0x60;
const REPETITIONS: u64 = 100;
static READY: AtomicBool = AtomicBool::new(false);
static TAKEN: AtomicU64 = AtomicU64::new(0);

fn main() {
    interrupts::on(VECTOR, Some(taken));
    lapic::enter_x2apic();
    lapic::enable();
    processors::start(1, spin);
    while !READY.load(SeqCst) {
        spin_loop();
    }
    let total: u64 = (0..REPETITIONS).map(|_| once()).sum();
    println!("bench irq.ipi {} instructions", total / REPETITIONS);
    check!("benchmarks", true);
}

fn taken(_: &mut Frame) {
    TAKEN.store(machine::rdtsc(), SeqCst);
    lapic::eoi();
}

fn spin() {
    lapic::enter_x2apic();
    lapic::enable();
    rt::execute!("sti");
    READY.store(true, SeqCst);
    loop {
        spin_loop();
    }
}

/// The TSC ticks of one.
fn once() -> u64 {
    TAKEN.store(0, SeqCst);
    let sent = machine::rdtsc();
    processors::send(1, VECTOR.into());
    while TAKEN.load(SeqCst) == 0 {
        spin_loop();
    }
    TAKEN.load(SeqCst).wrapping_sub(sent)
}
