//! Executes seeded random bytes, salted with instructions that exit: first at CPL 3, where a
//! guest outlives them, then at CPL 0, where it may not. The argument is the seed.
#![no_std]
#![no_main]

use rt::{
    Exclusive,
    interrupts::{self, Frame},
    lapic, machine, paging, println,
    random::Random,
    start, user,
};

rt::main!(main);

const TICK: u8 = 0x40;
const USER_ROUNDS: u32 = 3000;
const PRIVILEGED_ROUNDS: u32 = 300;
const PAGE: usize = 4096;
/// The length of the instructions that load the registers.
const REGISTERS: usize = 150;

#[repr(C, align(4096))]
struct Pages([u8; 2 * PAGE]);
/// The code, and its stack.
static PAGES: Exclusive<Pages> = Exclusive::new(Pages([0xcc; 2 * PAGE]));

/// Instructions that make VM exits, or ought not to do anything at all.
static SALT: [&[u8]; 30] = [
    b"\x0f\xa2",
    b"\x0f\x30",
    b"\x0f\x32",
    b"\x0f\x01\xc1",
    b"\x0f\x01\xd9",
    b"\x0f\x01\xc2",
    b"\x0f\x01\xd8",
    b"\x0f\x01\xd1",
    b"\x0f\x01\xc8",
    b"\x0f\x01\xc9",
    b"\x0f\x08",
    b"\x0f\x09",
    b"\x0f\x22\xc0",
    b"\x0f\x20\xd8",
    b"\x0f\x22\xe0",
    b"\x0f\x23\xc0",
    b"\x0f\x33",
    b"\x0f\xaa",
    b"\xf3\x6e",
    b"\xf3\x6c",
    b"\xee",
    b"\xec",
    b"\x6f",
    b"\x0f\x01\x18",
    b"\x0f\x01\x38",
    b"\x66\x0f\x38\x82\x00",
    b"\xf4",
    b"\xcd\x20",
    b"\x0f\x06",
    b"\xf3\x90",
];

fn main() {
    let mut random = Random::new(start::argument_or(1));
    let code = PAGES.get() as u64;
    let stack = code + 2 * PAGE as u64 - 64;
    paging::split(code);
    paging::open_to_user(code);
    paging::open_to_user(code + PAGE as u64);
    forget_nowhere();
    lapic::enter_x2apic();
    lapic::enable();
    interrupts::on(TICK, Some(tick));
    lapic::start_timer(TICK, lapic::PERIODIC, machine::lapic_khz() as u32);
    let mut vectors = 0_u32;
    for _ in 0..USER_ROUNDS {
        fill(&mut random, 250);
        vectors |= 1 << (user::run(code, stack, user::INTERRUPTS).vector & 31);
    }
    println!(
        "{USER_ROUNDS} rounds at CPL 3, {} different exceptions or more",
        vectors.count_ones().min(4)
    );
    println!("now at CPL 0");
    for _ in 0..PRIVILEGED_ROUNDS {
        fill(&mut random, 40);
        spare_interrupts();
        user::run_privileged(code, stack, user::INTERRUPTS);
        lapic::start_timer(TICK, lapic::PERIODIC, machine::lapic_khz() as u32);
    }
    println!("{PRIVILEGED_ROUNDS} rounds at CPL 0");
}

/// Takes CLI and HLT out of the garbage: with interrupts off, HLT waits for ever.
fn spare_interrupts() {
    PAGES.with(|pages| {
        for byte in &mut pages.0[REGISTERS..PAGE] {
            if [0xfa, 0xf4].contains(byte) {
                *byte = 0x90;
            }
        }
    });
}

/// Unmaps what is no memory: garbage that reads there raises #PF, and runs on.
fn forget_nowhere() {
    for address in (start::memory()..1 << 32).step_by(2 << 20) {
        paging::entry(address).set(0);
        paging::flush(address);
    }
}

/// Ends code that loops.
fn tick(frame: &mut Frame) {
    lapic::eoi();
    frame.abandon();
}

/// Writes MOV r64, imm64 of wild values for all registers but RSP, then so much garbage, then INT3.
fn fill(random: &mut Random, length: usize) {
    PAGES.with(|pages| {
        let code = &mut pages.0[..PAGE];
        let mut at = 0;
        for register in (0..16).filter(|register| *register != 4) {
            code[at] = 0x48 | register >> 3;
            code[at + 1] = 0xb8 | register & 7;
            let value = random.number() >> random.below(64);
            code[at + 2..at + 10].copy_from_slice(&value.to_le_bytes());
            at += 10;
        }
        code[at..].fill(0xcc);
        let end = at + length;
        while at < end {
            let salt = SALT[random.below(SALT.len() as u64) as usize];
            if random.below(4) == 0 {
                code[at..at + salt.len()].copy_from_slice(salt);
                at += salt.len();
            } else {
                code[at] = random.number() as u8;
                at += 1;
            }
        }
    });
}
