//! Hypercalls, by the instruction of the CPU's vendor.

use core::arch::asm;

use crate::machine;

/// Which instruction makes the VM exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// Intel's.
    Vmcall,
    /// AMD's.
    Vmmcall,
}

impl Instruction {
    /// The one that this CPU's vendor made.
    #[must_use]
    pub fn native() -> Self {
        match &machine::vendor() {
            b"AuthenticAMD" | b"HygonGenuine" => Self::Vmmcall,
            _ => Self::Vmcall,
        }
    }
}

/// Makes hypercall `number` with `instruction`; returns RAX.
pub fn call_by(instruction: Instruction, number: u64, arguments: [u64; 4]) -> u64 {
    let [a, b, c, d] = arguments;
    let mut rax = number;
    // SAFETY: a hypercall writes RAX alone, and reads only the memory that its arguments name.
    unsafe {
        match instruction {
            Instruction::Vmcall => {
                asm!("vmcall", inout("rax") rax, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d);
            }
            Instruction::Vmmcall => {
                asm!("vmmcall", inout("rax") rax, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d);
            }
        }
    }
    rax
}

/// Makes hypercall `number` with the CPU's own instruction.
pub fn call(number: u64, arguments: [u64; 4]) -> u64 {
    call_by(Instruction::native(), number, arguments)
}
