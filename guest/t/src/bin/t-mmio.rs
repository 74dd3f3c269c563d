//! Memory of devices and memory of nobody, by many forms of instruction; and RAM, page by page.
#![no_std]
#![no_main]

use rt::{
    check, check_eq, execute,
    lapic::{self, register},
    start,
};

rt::main!(main);

/// The local APIC timer's initial count: 32 bits that keep what is written, while the timer is masked.
const COUNT: u64 = lapic::BASE + register::INITIAL_COUNT as u64;

fn main() {
    lapic::enable();
    lapic::stop_timer();
    moves();
    arithmetic();
    exchanges();
    vectors();
    strings();
    nowhere();
    memory();
}

fn count() -> u32 {
    lapic::read(register::INITIAL_COUNT)
}

fn set_count(value: u32) {
    lapic::write(register::INITIAL_COUNT, value);
}

fn moves() {
    check_eq!("local APIC ID", lapic::read(register::ID) >> 24, 0);
    check!(
        "local APIC version",
        lapic::read(register::VERSION) & 0xff >= 0x10
    );
    set_count(0x1234_5678);
    check_eq!("MOV r32", count(), 0x1234_5678);
    execute!("mov dword ptr [{}], 0x7654321", in(reg) COUNT);
    check_eq!("MOV m, imm32", count(), 0x765_4321);
    execute!("mov dword ptr [{} + {}*4 + 0x80], 0x11", in(reg) COUNT - 0x180, in(reg) 0x40_u64);
    check_eq!("MOV with base, index and displacement", count(), 0x11);
    execute!("mov r9d, 0x99", "mov [r13], r9d", out("r9") _, in("r13") COUNT);
    check_eq!("MOV of R9 at R13", count(), 0x99);
    execute!("mov eax, 0x55", "movabs dword ptr [0xfee00380], eax", out("eax") _);
    check_eq!("MOV moffs, EAX", count(), 0x55);
    let value: u64;
    execute!("mov rax, -1", "movabs eax, dword ptr [0xfee00380]", out("rax") value);
    check_eq!("MOV EAX, moffs", value, 0x55);
    set_count(0x8000_0001);
    let value: u64;
    execute!("movsxd {}, dword ptr [{}]", out(reg) value, in(reg) COUNT);
    check_eq!("MOVSXD", value, 0xffff_ffff_8000_0001);
}

fn arithmetic() {
    set_count(0xf0);
    execute!("or dword ptr [{}], 0x0f", in(reg) COUNT);
    check_eq!("OR m, imm8", count(), 0xff);
    execute!("and dword ptr [{}], 0x3c", in(reg) COUNT);
    check_eq!("AND m, imm8", count(), 0x3c);
    execute!("xor dword ptr [{}], {:e}", in(reg) COUNT, in(reg) 0xff_u32);
    check_eq!("XOR m, r", count(), 0xc3);
    execute!("add dword ptr [{}], 0x12345", in(reg) COUNT);
    check_eq!("ADD m, imm32", count(), 0x12408);
    execute!("sub dword ptr [{}], {:e}", in(reg) COUNT, in(reg) 8_u32);
    check_eq!("SUB m, r", count(), 0x12400);
    let mut sum = 1_u32;
    execute!("add {:e}, [{}]", inout(reg) sum, in(reg) COUNT);
    check_eq!("ADD r, m", sum, 0x12401);
    let (equal, below, bit): (u8, u8, u8);
    execute!("cmp dword ptr [{1}], 0x12400", "sete {0}", out(reg_byte) equal, in(reg) COUNT);
    execute!("cmp {2:e}, [{1}]", "setb {0}", out(reg_byte) below, in(reg) COUNT, in(reg) 0x123ff_u32);
    execute!("test dword ptr [{1}], 0x400", "setnz {0}", out(reg_byte) bit, in(reg) COUNT);
    check_eq!(
        "CMP m, imm; CMP r, m; TEST m, imm",
        (equal, below, bit),
        (1, 1, 1)
    );
    let carry: u8;
    set_count(0xffff_ffff);
    execute!("add dword ptr [{1}], 2", "setc {0}", out(reg_byte) carry, in(reg) COUNT);
    check_eq!("ADD's carry", (count(), carry), (1, 1));
}

fn exchanges() {
    set_count(5);
    let mut value = 6_u32;
    execute!("xchg [{1}], {0:e}", inout(reg) value, in(reg) COUNT);
    check_eq!("XCHG", (value, count()), (5, 6));
    execute!("inc dword ptr [{}]", in(reg) COUNT);
    check_eq!("INC", count(), 7);
    execute!("dec dword ptr [{}]", in(reg) COUNT);
    check_eq!("DEC", count(), 6);
    execute!("not dword ptr [{}]", in(reg) COUNT);
    check_eq!("NOT", count(), !6);
}

/// Without CR4.OSXSAVE XCR0 is as at reset, and SSE has nothing to do with it.
fn vectors() {
    execute!("mov rax, cr4", "or eax, 0x200", "mov cr4, rax", out("rax") _);
    set_count(0x5a5a_1234);
    let (loaded, other): (u64, u64);
    execute!(
        "mov rax, 0x1122334455667788",
        "movq xmm3, rax",
        "movd xmm1, dword ptr [rdx]",
        "movq rax, xmm1",
        "movq rcx, xmm3",
        out("rax") loaded, out("rcx") other, in("rdx") COUNT
    );
    check_eq!("MOVD", loaded, 0x5a5a_1234);
    check_eq!(
        "another XMM register is left as it was",
        other,
        0x1122_3344_5566_7788
    );
}

fn strings() {
    execute!("stosd", in("eax") 0x77, inout("rdi") COUNT => _);
    check_eq!("STOSD", count(), 0x77);
    let source = 0x88_u32;
    execute!("movsd", inout("rsi") &raw const source => _, inout("rdi") COUNT => _);
    check_eq!("MOVSD to the device", count(), 0x88);
    let mut target = 0_u32;
    execute!("movsd", inout("rsi") COUNT => _, inout("rdi") &raw mut target => _);
    check_eq!("MOVSD from the device", target, 0x88);
    let value: u32;
    execute!("lodsd", out("eax") value, inout("rsi") COUNT => _);
    check_eq!("LODSD", value, 0x88);
    let mut rcx = 1_u64;
    execute!("rep stosd", in("eax") 0x99, inout("rdi") COUNT => _, inout("rcx") rcx);
    check_eq!("REP STOSD", (count(), rcx), (0x99, 0));
}

fn nowhere() {
    for address in [0x8000_0000_u64, start::memory(), 0xfed0_0000, 0xffff_f000] {
        let (byte, word, double, quad): (u8, u16, u32, u64);
        execute!("mov {0}, [{1}]", out(reg_byte) byte, in(reg) address);
        execute!("mov {0:x}, [{1}]", out(reg) word, in(reg) address);
        execute!("mov {0:e}, [{1}]", out(reg) double, in(reg) address);
        execute!("mov {0}, [{1}]", out(reg) quad, in(reg) address);
        let ones = (0xff, 0xffff, 0xffff_ffff, u64::MAX);
        check_eq!("reads of nowhere", (byte, word, double, quad), ones);
        execute!("mov byte ptr [{}], 1", in(reg) address);
        execute!("mov word ptr [{}], 1", in(reg) address);
        execute!("mov dword ptr [{}], 1", in(reg) address);
        execute!("mov qword ptr [{}], 1", in(reg) address);
        let after: u32;
        execute!("movzx {0:e}, byte ptr [{1}]", out(reg) after, in(reg) address);
        check_eq!("MOVZX of nowhere after writes", after, 0xff);
    }
    let (zero, sign): (u64, u64);
    execute!("movzx {0:e}, word ptr [{1}]", out(reg) zero, in(reg) 0x8000_0002_u64);
    execute!("movsx {0}, byte ptr [{1}]", out(reg) sign, in(reg) 0x8000_0003_u64);
    check_eq!(
        "MOVZX 16 and MOVSX 8 of nowhere",
        (zero, sign),
        (0xffff, u64::MAX)
    );
}

fn memory() {
    const STEP: usize = 0x10_0000;
    let pages = || (STEP as u64..start::memory()).step_by(STEP);
    for address in pages() {
        // SAFETY: memory from 1 MiB up to its end is nobody's.
        unsafe { (address as *mut u64).write_volatile(address ^ 0x5555) };
    }
    // SAFETY: as above.
    let kept = pages().all(|a| unsafe { (a as *const u64).read_volatile() } == a ^ 0x5555);
    check!("every MiB of memory keeps its value", kept);
    let last = (start::memory() - 8) as *mut u64;
    // SAFETY: the last 8 bytes of memory are nobody's.
    let value = unsafe {
        last.write_volatile(0x1122_3344_5566_7788);
        last.read_volatile()
    };
    check_eq!("the last 8 bytes of memory", value, 0x1122_3344_5566_7788);
}
