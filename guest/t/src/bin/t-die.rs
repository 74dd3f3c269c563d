//! Prints, then dies by a triple fault, while another guest goes on (`t-count`).
#![no_std]
#![no_main]

use rt::{execute, println};

rt::main!(main);

fn main() {
    for i in 1..=3 {
        println!("dying, line {i}");
    }
    let empty = [0_u16; 5];
    execute!("lidt [{}]", "int3", in(reg) empty.as_ptr());
}
