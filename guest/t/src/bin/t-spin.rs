//! Spins without a VM exit of its own for as many ms of TSC as its arguments say (200).
#![no_std]
#![no_main]

use rt::{machine, println, start};

rt::main!(main);

fn main() {
    println!("spinning");
    let until = machine::rdtsc() + start::argument_or(200) * machine::tsc_khz();
    while machine::rdtsc() < until {}
    println!("spun");
}
