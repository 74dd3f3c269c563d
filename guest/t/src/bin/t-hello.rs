//! Prints a line, its arguments and its memory.
#![no_std]
#![no_main]

use rt::{println, start};

rt::main!(main);

fn main() {
    println!(
        "hello from a 64-bit guest with {} MB",
        start::memory() >> 20
    );
    println!("arguments: {}", start::arguments());
}
