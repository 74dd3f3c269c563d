//! Every MSR of the two ranges of the MSR bitmaps, and some beside them: read, written with
//! what was read, written with garbage. Each succeeds or raises #GP(0).
#![no_std]
#![no_main]

use rt::{
    check, check_eq,
    interrupts::{Exception, vector::GP},
    machine::{self, try_rdmsr, try_wrmsr},
    println,
    random::Random,
};

rt::main!(main);

fn main() {
    let mut random = Random::new(3);
    let mut odd = 0;
    let ranges = [
        0..=0x2010,
        0xbfff_fff0..=0xc000_2010,
        0xc001_0000..=0xc001_0200,
        0xffff_fff0..=u32::MAX,
    ];
    for number in ranges.into_iter().flatten() {
        odd += attack(number, random.number());
    }
    check_eq!("MSRs that raised anything but #GP(0)", odd, 0);
    let first = machine::rdtsc();
    check!("alive after every MSR", machine::rdtsc() > first);
    machine::wrmsr(x86::msr::IA32_LSTAR, 0x1234);
    check_eq!(
        "LSTAR still works",
        machine::rdmsr(x86::msr::IA32_LSTAR),
        0x1234
    );
}

/// Reads and writes one MSR; returns the number of exceptions that are not #GP(0).
fn attack(number: u32, garbage: u64) -> u32 {
    let read = try_rdmsr(number);
    let mut odd = is_odd(number, read.err());
    for value in [garbage, u64::MAX, garbage >> 40] {
        odd += is_odd(number, try_wrmsr(number, value));
        if let Ok(before) = read {
            odd += is_odd(number, try_wrmsr(number, before));
        }
    }
    odd
}

fn is_odd(number: u32, raised: Option<Exception>) -> u32 {
    match raised {
        Some(e) if (e.vector, e.error_code) != (GP, Some(0)) => {
            println!("MSR {number:#x}: {e:x?}");
            1
        }
        _ => 0,
    }
}
