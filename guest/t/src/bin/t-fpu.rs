//! x87, SSE and AVX state survives other guests on the same CPU. The argument is the seed.
#![no_std]
#![no_main]

use rt::{check, execute, machine, random::Random, start};
use x86::controlregs::Cr4;

rt::main!(main);

const ROUNDS: u32 = 40;
/// 16 registers of 32 bytes.
type Vectors = [u64; 64];

fn main() {
    machine::enable_sse();
    let avx = enable_avx();
    let mut random = Random::new(start::argument_or(1));
    let (mut x87, mut sse, mut control) = (true, true, true);
    for _ in 0..ROUNDS {
        let vectors = [0; 64].map(|_: u64| random.number());
        let numbers = [0; 8].map(|_: i64| random.number() as i64);
        let mxcsr = 0x1f80 | (random.below(4) as u32) << 13;
        load(&vectors, &numbers, mxcsr, avx);
        pause();
        let (after_vectors, after_numbers, after_mxcsr) = store(avx);
        x87 &= after_numbers == numbers;
        control &= after_mxcsr & 0xffc0 == mxcsr;
        sse &= same(&vectors, &after_vectors, avx);
    }
    check!("x87 registers", x87);
    check!("MXCSR", control);
    check!("SSE registers, and AVX where the CPU has it", sse);
}

/// Sets XCR0 to x87, SSE and AVX, if the CPU has them.
fn enable_avx() -> bool {
    let leaf = machine::cpuid(1).ecx;
    if leaf >> 26 & 1 == 0 || leaf >> 28 & 1 == 0 {
        return false;
    }
    machine::set_cr4(machine::cr4() | Cr4::CR4_ENABLE_OS_XSAVE);
    execute!("xsetbv", in("ecx") 0, in("eax") 7, in("edx") 0);
    true
}

/// Spins for 4 ms of TSC: enough for another guest to come and go.
fn pause() {
    let until = machine::rdtsc() + 4 * machine::tsc_khz();
    while machine::rdtsc() < until {}
}

fn same(before: &Vectors, after: &Vectors, avx: bool) -> bool {
    let width = if avx { 4 } else { 2 };
    before
        .chunks(4)
        .zip(after.chunks(4))
        .all(|(b, a)| b[..width] == a[..width])
}

/// An instruction with the register's number in two places, for all 16.
macro_rules! all_registers {
    ($a:literal, $b:literal, $c:literal, $memory:expr) => {
        all_registers!($a, $b, $c, $memory, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    ($a:literal, $b:literal, $c:literal, $memory:expr, $($n:literal)*) => {
        execute!($(concat!($a, $n, $b, $n, $c)),*, in(reg) $memory)
    };
}

fn load(vectors: &Vectors, numbers: &[i64; 8], mxcsr: u32, avx: bool) {
    execute!("fninit", "ldmxcsr [{}]", in(reg) &mxcsr);
    for number in numbers.iter().rev() {
        execute!("fild qword ptr [{}]", in(reg) number);
    }
    move_vectors(vectors.as_ptr() as u64, avx, true);
}

fn store(avx: bool) -> (Vectors, [i64; 8], u32) {
    let (mut vectors, mut numbers, mut mxcsr) = ([0; 64], [0; 8], 0);
    move_vectors(vectors.as_mut_ptr() as u64, avx, false);
    for number in &mut numbers {
        execute!("fistp qword ptr [{}]", in(reg) number);
    }
    execute!("stmxcsr [{}]", in(reg) &mut mxcsr);
    (vectors, numbers, mxcsr)
}

/// Moves all vector registers from or to memory.
fn move_vectors(memory: u64, avx: bool, load: bool) {
    match (avx, load) {
        (true, true) => all_registers!("vmovdqu ymm", ", [{0} + 32*", "]", memory),
        (true, false) => all_registers!("vmovdqu [{0} + 32*", "], ymm", "", memory),
        (false, true) => all_registers!("movdqu xmm", ", [{0} + 32*", "]", memory),
        (false, false) => all_registers!("movdqu [{0} + 32*", "], xmm", "", memory),
    }
}
