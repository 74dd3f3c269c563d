//! Hypercalls: the version, console writes, bad numbers and bad pointers, both instructions.
#![no_std]
#![no_main]

use abi::{CONSOLE_WRITE_MAX, Call, Error, VERSION};
use rt::{
    check_eq, execute,
    hypercall::{Instruction, call, call_by},
    start,
};

rt::main!(main);

const VERSION_CALL: u64 = Call::Version as u64;
const WRITE: u64 = Call::ConsoleWrite as u64;
const BAD_ADDRESS: u64 = Error::BadAddress.to_rax();
const NO_SUCH_CALL: u64 = Error::NoSuchCall.to_rax();

fn main() {
    check_eq!(
        "version by VMCALL",
        call_by(Instruction::Vmcall, VERSION_CALL, [0; 4]),
        VERSION
    );
    check_eq!(
        "version by VMMCALL",
        call_by(Instruction::Vmmcall, VERSION_CALL, [0; 4]),
        VERSION
    );
    registers();
    let text = b"written by a hypercall\n";
    check_eq!(
        "console write",
        write(text.as_ptr() as u64, text.len() as u64),
        text.len() as u64
    );
    check_eq!(
        "console write of nothing",
        write(text.as_ptr() as u64, 0),
        0
    );
    bad_pointers();
    for number in [4, 5, 0x100, 0x8000_0000, 1 << 32, 1 << 63, u64::MAX] {
        check_eq!("no such call", call(number, [0; 4]), NO_SUCH_CALL);
    }
    check_eq!("yield", call(Call::Yield as u64, [0; 4]), 0);
}

fn write(address: u64, length: u64) -> u64 {
    call(WRITE, [address, length, 0, 0])
}

fn registers() {
    let (rbx, rcx, rdx, rsi, r8): (u64, u64, u64, u64, u64);
    execute!(
        "push rbx", "mov rbx, 1", "vmcall", "mov {b}, rbx", "pop rbx",
        b = out(reg) rbx, inout("rax") VERSION_CALL => _, inout("rcx") 2_u64 => rcx,
        inout("rdx") 3_u64 => rdx, inout("rsi") 4_u64 => rsi, inout("r8") 5_u64 => r8,
    );
    check_eq!(
        "no register but RAX changes",
        [rbx, rcx, rdx, rsi, r8],
        [1, 2, 3, 4, 5]
    );
}

fn bad_pointers() {
    let end = start::memory();
    check_eq!("pointer at the end of memory", write(end, 1), BAD_ADDRESS);
    check_eq!("text that ends past memory", write(end - 4, 8), BAD_ADDRESS);
    check_eq!("pointer above everything", write(u64::MAX, 1), BAD_ADDRESS);
    check_eq!(
        "address and length that wrap",
        write(u64::MAX - 3, 8),
        BAD_ADDRESS
    );
    check_eq!("pointer past 4 GiB", write(1 << 32, 1), BAD_ADDRESS);
    check_eq!(
        "text that is too long",
        write(0x10000, CONSOLE_WRITE_MAX + 1),
        BAD_ADDRESS
    );
    check_eq!(
        "length of everything",
        write(0x10000, u64::MAX),
        BAD_ADDRESS
    );
}
