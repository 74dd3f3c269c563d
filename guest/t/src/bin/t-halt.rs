//! Executes HLT and nothing comes to end it: with interrupts disabled, or enabled if the argument is 1.
#![no_std]
#![no_main]

use rt::{execute, println, start};

rt::main!(main);

fn main() {
    if start::argument_or(0) == 1 {
        println!("halting with interrupts enabled");
        execute!("sti", "hlt");
    } else {
        println!("halting with interrupts disabled");
        execute!("cli", "hlt");
    }
    println!("woken");
}
