//! Every port, read and written, but the console's, the debug console's, the debug exit's and port 0x92, which would
//! reset the guest.
#![no_std]
#![no_main]

use core::hint::black_box;

use rt::{check, check_eq, machine::*};

rt::main!(main);

fn main() {
    every_port();
    known_ends();
    check!("alive after every port", true);
    check_eq!("a port of nobody", in8(0x1234), 0xff);
}

/// Whether an access of up to 4 bytes at `port` meets port 0x92, the console, the debug console or the exit.
fn spared(port: u16) -> bool {
    (0x8f..=0x92).contains(&port)
        || (0xe6..=0xf7).contains(&port)
        || (0x3f5..=0x3ff).contains(&port)
}

fn every_port() {
    for port in (0..=u16::MAX).filter(|port| !spared(*port)) {
        out8(port, port as u8);
        black_box(in8(port));
        if port % 16 > 12 {
            out16(port, 0x5a5a);
            out32(port, 0xffff_ffff);
            black_box((in16(port), in32(port)));
        }
    }
}

/// What ends an emulator that lets its guests near: none of it is the guest's.
fn known_ends() {
    out16(0xb004, 0x2000);
    for byte in *b"Shutdown" {
        out8(0x8900, byte);
    }
    out32(0xcf8, 0x8000_0004);
    out32(0xcfc, 0);
}
