//! Counts to the number in its arguments (10), with a pause of 5 ms of TSC before each line.
#![no_std]
#![no_main]

use rt::{machine, println, start};

rt::main!(main);

fn main() {
    for i in 1..=start::argument_or(10) {
        let until = machine::rdtsc() + 5 * machine::tsc_khz();
        while machine::rdtsc() < until {
            core::hint::spin_loop();
        }
        println!("count {i}");
    }
}
