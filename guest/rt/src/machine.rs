//! Registers of the machine: ports, MSRs, CPUID, control registers, time.

use core::arch::{asm, x86_64::CpuidResult};

use x86::{
    controlregs::{self, Cr0, Cr4},
    io, msr,
};

use crate::interrupts::{Exception, catch};

/// Reads 8 bits of `port`.
#[must_use]
pub fn in8(port: u16) -> u8 {
    // SAFETY: reading a port touches no memory of ours.
    unsafe { io::inb(port) }
}

/// Reads 16 bits of `port`.
#[must_use]
pub fn in16(port: u16) -> u16 {
    // SAFETY: as for `in8`.
    unsafe { io::inw(port) }
}

/// Reads 32 bits of `port`.
#[must_use]
pub fn in32(port: u16) -> u32 {
    // SAFETY: as for `in8`.
    unsafe { io::inl(port) }
}

/// Writes 8 bits to `port`.
pub fn out8(port: u16, value: u8) {
    // SAFETY: no device of a test guest touches its memory.
    unsafe { io::outb(port, value) }
}

/// Writes 16 bits to `port`.
pub fn out16(port: u16, value: u16) {
    // SAFETY: as for `out8`.
    unsafe { io::outw(port, value) }
}

/// Writes 32 bits to `port`.
pub fn out32(port: u16, value: u32) {
    // SAFETY: as for `out8`.
    unsafe { io::outl(port, value) }
}

/// Reads an MSR that exists.
#[must_use]
pub fn rdmsr(number: u32) -> u64 {
    // SAFETY: reading an MSR has no effect on memory.
    unsafe { msr::rdmsr(number) }
}

/// Writes an MSR that exists.
pub fn wrmsr(number: u32, value: u64) {
    // SAFETY: the guest asks for it, and what it breaks is its own.
    unsafe { msr::wrmsr(number, value) }
}

/// Reads an MSR, or tells the exception.
pub fn try_rdmsr(number: u32) -> Result<u64, Exception> {
    let mut value = 0;
    match catch(|| value = rdmsr(number)) {
        Some(exception) => Err(exception),
        None => Ok(value),
    }
}

/// Writes an MSR; tells the exception if there is one.
pub fn try_wrmsr(number: u32, value: u64) -> Option<Exception> {
    catch(|| wrmsr(number, value))
}

/// CPUID of a leaf, subleaf 0.
#[must_use]
pub fn cpuid(leaf: u32) -> CpuidResult {
    core::arch::x86_64::__cpuid_count(leaf, 0)
}

/// The vendor in leaf 0.
#[must_use]
pub fn vendor() -> [u8; 12] {
    let leaf = cpuid(0);
    text([leaf.ebx, leaf.edx, leaf.ecx])
}

/// The hypervisor's name in leaf 0x40000000.
#[must_use]
pub fn hypervisor() -> [u8; 12] {
    let leaf = cpuid(0x4000_0000);
    text([leaf.ebx, leaf.ecx, leaf.edx])
}

fn text(words: [u32; 3]) -> [u8; 12] {
    let mut bytes = [0; 12];
    for (to, word) in bytes.chunks_exact_mut(4).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// Whether leaf 1 says that a hypervisor is present.
#[must_use]
pub fn has_hypervisor() -> bool {
    cpuid(1).ecx >> 31 == 1
}

/// CR0.
#[must_use]
pub fn cr0() -> Cr0 {
    // SAFETY: the guest runs at CPL 0.
    unsafe { controlregs::cr0() }
}

/// Writes CR0.
pub fn set_cr0(value: Cr0) {
    // SAFETY: the guest asks for it, and what it breaks is its own.
    unsafe { controlregs::cr0_write(value) }
}

/// CR4.
#[must_use]
pub fn cr4() -> Cr4 {
    // SAFETY: the guest runs at CPL 0.
    unsafe { controlregs::cr4() }
}

/// Writes CR4.
pub fn set_cr4(value: Cr4) {
    // SAFETY: as for `set_cr0`.
    unsafe { controlregs::cr4_write(value) }
}

/// Lets FPU and SSE instructions execute (CR0.EM, TS clear; MP, NE, CR4.OSFXSR, OSXMMEXCPT set).
pub fn enable_sse() {
    let cr0 = cr0() - Cr0::CR0_EMULATE_COPROCESSOR - Cr0::CR0_TASK_SWITCHED;
    set_cr0(cr0 | Cr0::CR0_MONITOR_COPROCESSOR | Cr0::CR0_NUMERIC_ERROR);
    set_cr4(cr4() | Cr4::CR4_ENABLE_SSE | Cr4::CR4_UNMASKED_SSE);
}

/// The time-stamp counter, after everything before it and before everything after it.
#[must_use]
pub fn rdtsc() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: RDTSC between two LFENCEs reads a counter.
    unsafe { asm!("lfence", "rdtsc", "lfence", out("eax") low, out("edx") high) };
    u64::from(high) << 32 | u64::from(low)
}

/// The frequency of the time-stamp counter in kHz, as the hypervisor tells it; without one, 1 GHz.
#[must_use]
pub fn tsc_khz() -> u64 {
    timing_leaf().map_or(1_000_000, |leaf| u64::from(leaf.eax))
}

/// The frequency of the local APIC's timer in kHz, as the hypervisor tells it; without one, 100 MHz.
#[must_use]
pub fn lapic_khz() -> u64 {
    timing_leaf().map_or(100_000, |leaf| u64::from(leaf.ebx))
}

fn timing_leaf() -> Option<CpuidResult> {
    (&hypervisor() == b"NestlingNest")
        .then(|| cpuid(0x4000_0010))
        .filter(|leaf| leaf.eax != 0)
}

/// Runs one instruction (or a few): `execute!("template", operands)`, as `asm!`.
#[macro_export]
macro_rules! execute {
    ($($asm:tt)*) => {
        // SAFETY: the guest asks for this instruction, and what it breaks is its own.
        unsafe { core::arch::asm!($($asm)*) }
    };
}

/// Runs one instruction (or a few) and tells the exception that it raised, if any.
#[macro_export]
macro_rules! attempt {
    ($($asm:tt)*) => {
        $crate::interrupts::catch(|| $crate::execute!($($asm)*))
    };
}
