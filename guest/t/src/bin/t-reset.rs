//! The ways to end the machine, by number: power off, the reset control register, port 0x92, the keyboard controller,
//! its output port.
#![no_std]
#![no_main]

use rt::{
    machine::{in8, out8, out16},
    println, start,
};

rt::main!(main);

fn main() {
    match start::argument_or(0) {
        0 => out16(0x604, 0x2000),
        1 => {
            out8(0xcf9, 2);
            out8(0xcf9, 6);
        }
        2 => out8(0x92, in8(0x92) | 1),
        3 => command(0xfe),
        _ => {
            command(0xd1);
            out8(0x60, 0xfe);
        }
    }
    println!("still here");
}

/// Waits as programs do until the controller takes a command.
fn command(command: u8) {
    while in8(0x64) & 2 != 0 {}
    out8(0x64, command);
}
