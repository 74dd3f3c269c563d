//! The cost of VM exits, as the guest sees it: TSC ticks a repetition, less those of the same
//! loop without the exit. A tick is an instruction where the emulator is set to it.
#![no_std]
#![no_main]

use rt::{
    Single, check, execute,
    hypercall::Instruction,
    interrupts::{self, Frame},
    lapic::{self, register},
    machine, println, start,
};

rt::main!(main);

const REPETITIONS: u64 = 1000;
const VECTOR: u8 = 0x40;

/// Prints the cost of `code`, which may change RAX, RCX, RDX and RBX, and RFLAGS; `empty` is what it
/// does besides.
macro_rules! bench {
    ($name:literal, $code:literal, $empty:literal) => {{
        let full = ticks(|| repeat!($code));
        let empty = ticks(|| repeat!($empty));
        report($name, full.saturating_sub(empty));
    }};
}

macro_rules! repeat {
    ($code:literal) => {
        execute!(
            "mov {saved}, rbx", "2:", $code, "dec {count}", "jnz 2b", "mov rbx, {saved}",
            count = inout(reg) REPETITIONS => _, saved = out(reg) _,
            out("rax") _, out("rcx") _, out("rdx") _,
        )
    };
}

fn main() {
    bench!("exit.cpuid", "xor eax, eax\ncpuid", "xor eax, eax");
    bench!("exit.rdmsr", "mov ecx, 0x1b\nrdmsr", "mov ecx, 0x1b");
    bench!("exit.out", "out 0x80, al", "");
    match Instruction::native() {
        Instruction::Vmcall => bench!("exit.vmcall", "xor eax, eax\nvmcall", "xor eax, eax"),
        Instruction::Vmmcall => bench!("exit.vmcall", "xor eax, eax\nvmmcall", "xor eax, eax"),
    }
    lapic::enable();
    interrupts::on(VECTOR, Some(|_: &mut Frame| lapic::eoi()));
    bench!(
        "mmio.xapic",
        "mov ecx, 0xfee00080\nmov eax, [rcx]",
        "mov ecx, 0xfee00080"
    );
    bench!(
        "irq.eoi_xapic",
        "mov ecx, 0xfee000b0\nmov dword ptr [rcx], 0",
        "mov ecx, 0xfee000b0"
    );
    lapic::enter_x2apic();
    lapic::enable();
    bench!(
        "irq.eoi_x2apic",
        "mov ecx, 0x80b\nxor eax, eax\nxor edx, edx\nwrmsr",
        "mov ecx, 0x80b\nxor eax, eax\nxor edx, edx"
    );
    self_interrupts();
    timer();
    halts();
    characters();
    fresh_memory();
    check!("benchmarks", true);
}

fn ticks(f: impl FnOnce()) -> u64 {
    let before = machine::rdtsc();
    f();
    machine::rdtsc() - before
}

fn report(name: &str, total: u64) {
    report_per(name, total, REPETITIONS);
}

fn report_per(name: &str, total: u64, repetitions: u64) {
    println!("bench {name} {} instructions", total / repetitions);
}

/// An interrupt to itself, by x2APIC, with its handler and end of interrupt.
fn self_interrupts() {
    execute!("sti");
    let total = ticks(|| {
        for _ in 0..REPETITIONS {
            lapic::write(register::ICR, 4 << 16 | u32::from(VECTOR));
        }
    });
    execute!("cli");
    report("irq.self_ipi", total);
}

static WOKEN: Single<u64> = Single::new(0);

/// A TSC deadline that has passed, the interrupt and its end.
fn timer() {
    interrupts::on(
        VECTOR,
        Some(|_: &mut Frame| {
            WOKEN.store(WOKEN.load() + 1);
            lapic::eoi();
        }),
    );
    execute!("sti");
    let total = ticks(|| {
        for _ in 0..REPETITIONS {
            let woken = WOKEN.load();
            lapic::start_deadline(VECTOR, 1);
            while WOKEN.load() == woken {}
        }
    });
    execute!("cli");
    lapic::stop_timer();
    report("irq.timer", total);
}

/// A character to the UART, so long after the one before that it need not wait.
fn characters() {
    bench!(
        "uart.character",
        "mov ecx, 4000\n3: dec ecx\njnz 3b\nmov edx, 0x3f8\nmov al, 13\nout dx, al",
        "mov ecx, 4000\n3: dec ecx\njnz 3b\nmov edx, 0x3f8\nmov al, 13"
    );
}

/// A TSC deadline that has passed, HLT, the interrupt and its end.
fn halts() {
    let total = ticks(|| {
        for _ in 0..REPETITIONS {
            let woken = WOKEN.load();
            lapic::start_deadline(VECTOR, 1);
            while WOKEN.load() == woken {
                execute!("sti", "hlt", "cli");
            }
        }
    });
    lapic::stop_timer();
    report("exit.hlt_timer", total);
}

/// The first touch of memory that the guest has not used.
fn fresh_memory() {
    const PAGE: usize = 2 << 20;
    let pages = || (8 << 20..start::memory()).step_by(PAGE);
    let touch = |address: u64| execute!("mov byte ptr [{}], 1", in(reg) address);
    let first = ticks(|| pages().for_each(touch));
    let again = ticks(|| pages().for_each(touch));
    report_per(
        "exit.npf",
        first.saturating_sub(again),
        pages().count() as u64,
    );
}
