//! Ends by a triple fault, with an empty IDT.
#![no_std]
#![no_main]

use rt::{execute, println};

rt::main!(main);

fn main() {
    println!("no IDT, then UD2");
    let empty = [0_u16; 5];
    execute!("lidt [{}]", "ud2", in(reg) empty.as_ptr());
}
