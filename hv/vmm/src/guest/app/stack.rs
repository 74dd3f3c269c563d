//! The stack that a program finds: argc, argv, envp and the auxiliary vector, laid out as Linux
//! does it (fs/binfmt_elf.c, `create_elf_tables`).

use crate::errno::Errno;
use alloc::vec::Vec;
use linux_raw_sys::auxvec::{
    AT_BASE, AT_CLKTCK, AT_EGID, AT_ENTRY, AT_EUID, AT_EXECFN, AT_FLAGS, AT_GID, AT_HWCAP,
    AT_HWCAP2, AT_MINSIGSTKSZ, AT_NULL, AT_PAGESZ, AT_PHDR, AT_PHENT, AT_PHNUM, AT_PLATFORM,
    AT_RANDOM, AT_SECURE, AT_UID,
};
use spec::addr::PAGE_SIZE;

use super::elf::{PROGRAM_HEADER_SIZE, Program};

/// How many bytes of arguments and environment there may be: a quarter of the stack, as Linux
/// allows.
const STRINGS_MAX: usize = 2 << 20;
/// The string of AT_PLATFORM.
const PLATFORM: &[u8] = b"x86_64";

/// What a program is told about itself and its machine.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The path that it was started by (AT_EXECFN).
    pub path: &'a [u8],
    /// Its arguments, the zeroth first.
    pub arguments: &'a [Vec<u8>],
    /// Its environment.
    pub environment: &'a [&'a [u8]],
    /// 16 random bytes (AT_RANDOM).
    pub random: [u8; 16],
    /// CPUID.1:EDX (AT_HWCAP).
    pub hwcap: u32,
    /// AT_HWCAP2: bit 1 says that FSGSBASE instructions may be used.
    pub hwcap2: u32,
    /// What a signal frame takes at most (AT_MINSIGSTKSZ).
    pub signal_stack: u64,
}

/// The bytes at the top of a stack.
#[derive(Clone, Debug)]
pub struct Stack {
    /// What RSP holds: the address of argc, 16-byte aligned.
    pub pointer: u64,
    /// The bytes from there to the top.
    pub bytes: Vec<u8>,
}

/// Strings, from the top of the stack downwards.
struct Strings {
    top: u64,
    /// The bytes in memory order reversed: the last one lies lowest.
    reversed: Vec<u8>,
}

impl Strings {
    fn here(&self) -> u64 {
        self.top - self.reversed.len() as u64
    }

    /// Adds bytes below what is there, and returns their address.
    fn push(&mut self, bytes: &[u8]) -> Result<u64, Errno> {
        if self.reversed.len() + bytes.len() > STRINGS_MAX {
            return Err(Errno::ENOMEM);
        }
        self.reversed.extend(bytes.iter().rev());
        Ok(self.here())
    }

    /// Adds a string with its NUL.
    fn push_string(&mut self, text: &[u8]) -> Result<u64, Errno> {
        self.push(&[0])?;
        self.push(text)
    }

    fn align(&mut self, to: u64) -> Result<(), Errno> {
        let gap = self.here() % to;
        self.push(&[0; 16][..gap as usize])?;
        Ok(())
    }
}

/// Lays out the stack of a program below `top`, a page boundary.
pub fn build(top: u64, program: &Program, start: &Start<'_>) -> Result<Stack, Errno> {
    let mut strings = Strings {
        top,
        reversed: Vec::new(),
    };
    strings.push(&[0; 8])?;
    let path = strings.push_string(start.path)?;
    // The first string lies lowest.
    let mut environment = Vec::new();
    for text in start.environment.iter().rev() {
        environment.push(strings.push_string(text)?);
    }
    let mut arguments = Vec::new();
    for text in start.arguments.iter().rev() {
        arguments.push(strings.push_string(text)?);
    }
    strings.align(16)?;
    let platform = strings.push_string(PLATFORM)?;
    let random = strings.push(&start.random)?;
    strings.align(16)?;

    let mut words = Vec::new();
    words.push(arguments.len() as u64);
    words.extend(arguments.iter().rev());
    words.push(0);
    words.extend(environment.iter().rev());
    words.push(0);
    for (kind, value) in auxiliary_vector(program, start, path, random, platform) {
        words.extend([u64::from(kind), value]);
    }
    if words.len() % 2 == 1 {
        strings.push(&[0; 8])?;
    }
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let pointer = strings.here() - bytes.len() as u64;
    bytes.extend(strings.reversed.iter().rev());
    Ok(Stack { pointer, bytes })
}

/// The auxiliary vector, in Linux' order.
fn auxiliary_vector(
    program: &Program,
    start: &Start<'_>,
    path: u64,
    random: u64,
    platform: u64,
) -> [(u32, u64); 20] {
    [
        (AT_MINSIGSTKSZ, start.signal_stack),
        (AT_HWCAP, u64::from(start.hwcap)),
        (AT_PAGESZ, PAGE_SIZE),
        (AT_CLKTCK, 100),
        (AT_PHDR, program.headers),
        (AT_PHENT, PROGRAM_HEADER_SIZE),
        (AT_PHNUM, u64::from(program.header_count)),
        (AT_BASE, 0),
        (AT_FLAGS, 0),
        (AT_ENTRY, program.entry),
        (AT_UID, 0),
        (AT_EUID, 0),
        (AT_GID, 0),
        (AT_EGID, 0),
        (AT_SECURE, 0),
        (AT_RANDOM, random),
        (AT_HWCAP2, u64::from(start.hwcap2)),
        (AT_EXECFN, path),
        (AT_PLATFORM, platform),
        (AT_NULL, 0),
    ]
}

#[cfg(test)]
mod tests;
