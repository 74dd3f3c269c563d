//! Hypercalls with wild numbers and wild pointers, seeded by the arguments.
#![no_std]
#![no_main]

use abi::{CONSOLE_WRITE_MAX, Call, VERSION};
use rt::{
    check, check_eq,
    hypercall::{Instruction, call_by},
    random::Random,
    start,
};

rt::main!(main);

const CALLS: u32 = 20_000;

fn main() {
    let mut random = Random::new(start::argument_or(1));
    let mut refused = 0;
    for i in 0..CALLS {
        let by = if i % 2 == 0 {
            Instruction::Vmcall
        } else {
            Instruction::Vmmcall
        };
        let number = wild_number(&mut random);
        let arguments = wild_arguments(&mut random, number);
        if (call_by(by, number, arguments) as i64) < 0 {
            refused += 1;
        }
    }
    check!("some of the wild calls were refused", refused > CALLS / 4);
    check_eq!(
        "a good call afterwards",
        call_by(Instruction::native(), 0, [0; 4]),
        VERSION
    );
}

/// Small and large numbers, but not the one that ends the guest.
fn wild_number(random: &mut Random) -> u64 {
    let number = random.number() >> random.below(64);
    if number == Call::Exit as u64 {
        Call::ConsoleWrite as u64
    } else {
        number
    }
}

/// Wild values; but no text that the hypervisor would rightly print.
fn wild_arguments(random: &mut Random, number: u64) -> [u64; 4] {
    let mut wild = || random.number() >> random.below(64);
    let (mut address, length) = (wild(), wild());
    if number == Call::ConsoleWrite as u64 && length <= CONSOLE_WRITE_MAX && length != 0 {
        address |= start::memory();
    }
    [address, length, wild(), wild()]
}
