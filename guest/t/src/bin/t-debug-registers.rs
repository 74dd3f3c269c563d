//! Debug registers keep what is written, over VM exits too, and report what happened.
#![no_std]
#![no_main]

use rt::{
    Single, attempt, check, check_eq, check_raises, execute,
    interrupts::{
        self, Frame,
        vector::{DB, GP, UD},
    },
    lapic::{self, register},
    machine,
};
use x86::controlregs::Cr4;

rt::main!(main);

/// DR6 as it is at reset.
const DR6: u64 = 0xffff_0ff0;
/// DR7 with nothing enabled.
const DR7: u64 = 0x400;

macro_rules! read {
    ($register:literal) => {{
        let value: u64;
        execute!(concat!("mov {}, ", $register), out(reg) value);
        value
    }};
}

macro_rules! write {
    ($register:literal, $value:expr) => {
        execute!(concat!("mov ", $register, ", {}"), in(reg) $value)
    };
}

static STATUS: Single<u64> = Single::new(0);
static COUNT: Single<u64> = Single::new(0);

fn main() {
    addresses();
    control();
    aliases();
    status();
    interrupts::on(DB, Some(note_status));
    ports();
    strings();
    devices();
    interrupts::on(DB, None);
}

fn addresses() {
    write!("dr0", 0x1111_2222_3333_u64);
    write!("dr1", 0x2222_3333_4444_u64);
    write!("dr2", 0x3333_4444_5555_u64);
    write!("dr3", 0x4444_5555_6666_u64);
    // Exits between the writes and the reads.
    let _ = machine::cpuid(0);
    machine::out8(0x80, 0);
    let got = [read!("dr0"), read!("dr1"), read!("dr2"), read!("dr3")];
    check_eq!(
        "DR0 to DR3",
        got,
        [
            0x1111_2222_3333,
            0x2222_3333_4444,
            0x3333_4444_5555,
            0x4444_5555_6666
        ]
    );
}

fn control() {
    write!("dr7", DR7);
    check_eq!("DR7 with nothing enabled", read!("dr7"), DR7);
    write!("dr7", DR7 | 0x00f0_0000 | 0x300);
    let _ = machine::cpuid(0);
    check_eq!("DR7 over an exit", read!("dr7"), DR7 | 0x00f0_0000 | 0x300);
    write!("dr7", DR7);
    check_raises!(
        "DR7 above 32 bits",
        attempt!("mov dr7, {}", in(reg) 1_u64 << 32),
        GP,
        0
    );
    check_raises!(
        "DR6 above 32 bits",
        attempt!("mov dr6, {}", in(reg) 1_u64 << 32),
        GP,
        0
    );
    write!("dr6", DR6);
    check_eq!("DR6", read!("dr6"), DR6);
}

fn aliases() {
    // CR4.DE makes DR4 and DR5 undefined.
    machine::set_cr4(machine::cr4() | Cr4::CR4_DEBUGGING_EXTENSIONS);
    check_raises!("DR4 with CR4.DE", attempt!("mov {}, dr4", out(reg) _), UD);
    machine::set_cr4(machine::cr4() - Cr4::CR4_DEBUGGING_EXTENSIONS);
    check_eq!("DR4 is DR6 without CR4.DE", read!("dr4"), read!("dr6"));
    check_eq!("DR5 is DR7 without CR4.DE", read!("dr5"), read!("dr7"));
}

fn note_status(frame: &mut Frame) {
    STATUS.store(read!("dr6"));
    COUNT.store(COUNT.load() + 1);
    write!("dr6", DR6);
    frame.rflags = frame.rflags & !0x100 | 1 << 16;
}

fn status() {
    interrupts::on(DB, Some(note_status));
    execute!("pushfq", "or qword ptr [rsp], 0x100", "popfq", "nop");
    check_eq!("DR6 after a single step", STATUS.load() & !DR6, 1 << 14);
    let word = Single::new(0_u64);
    write!("dr2", word.get() as u64);
    write!("dr7", DR7 | 1 << 4 | 0xf << 24);
    execute!("mov {0}, [{0}]", "nop", inout(reg) word.get() as u64 => _);
    check_eq!("DR6 after a read", STATUS.load() & !DR6 & 0xf, 1 << 2);
    STATUS.store(0);
    let _ = machine::cpuid(0);
    execute!("mov qword ptr [{}], 1", "nop", in(reg) word.get() as u64);
    check_eq!(
        "DR6 after a write, an exit later",
        STATUS.load() & !DR6 & 0xf,
        1 << 2
    );
    write!("dr7", DR7);
    execute!(
        "pushfq",
        "or qword ptr [rsp], 0x100",
        "popfq",
        "out 0x80, al",
        "nop"
    );
    check_eq!(
        "DR6 after a single step over OUT",
        STATUS.load() & !DR6,
        1 << 14
    );
    where_interrupts_are_held_back();
    general_detect();
    interrupts::on(DB, None);
}

/// A single step that ends where interrupts are held back.
fn where_interrupts_are_held_back() {
    STATUS.store(0);
    execute!("pushfq", "or qword ptr [rsp], 0x100", "popfq", "sti", "cli");
    check_eq!(
        "DR6 after a single step over STI",
        STATUS.load() & !DR6,
        1 << 14
    );
    STATUS.store(0);
    execute!(
        "mov {0:x}, ss", "pushfq", "or qword ptr [rsp], 0x100", "popfq", "mov ss, {0:x}", "nop",
        out(reg) _
    );
    check_eq!(
        "DR6 after a single step over MOV SS and the next",
        STATUS.load() & !DR6,
        1 << 14
    );
    STATUS.store(0);
    // QEMU does not know it.
    let raised = attempt!(".byte 0xf1");
    check!(
        "INT1 raises #DB and leaves DR6",
        STATUS.load() & !DR6 == 0 && raised.is_none_or(|e| e.vector == UD)
    );
}

/// DR7.GD: any access raises #DB, whose handler finds it cleared.
fn general_detect() {
    STATUS.store(0);
    write!("dr7", DR7 | 1 << 13);
    execute!("mov {}, dr0", out(reg) _);
    let got = (STATUS.load() & !DR6, read!("dr7"));
    // QEMU lets the bit be.
    let ignored = (0, DR7 | 1 << 13);
    check!(
        "DR6 and DR7 after an access with DR7.GD",
        got == (1 << 13, DR7) || got == ignored
    );
    write!("dr7", DR7);
}

/// R/W of breakpoints, with LEN for 1, 4 and 8 bytes.
const WRITE: u64 = 0b0001;
const WRITE_4: u64 = 0b1101;
const WRITE_8: u64 = 0b1001;
const IO: u64 = 0b0010;
const READ_WRITE: u64 = 0b0011;
const READ_WRITE_4: u64 = 0b1111;
/// DR6.BS.
const BS: u64 = 1 << 14;

/// How many #DBs come, and what the last one says, while breakpoint 0 is there.
fn watch(kind: u64, address: u64, run: impl FnOnce()) -> (u64, u64) {
    STATUS.store(0);
    COUNT.store(0);
    write!("dr0", address);
    write!("dr7", DR7 | 1 | kind << 16);
    run();
    write!("dr7", DR7);
    (COUNT.load(), STATUS.load() & !DR6)
}

/// The debug console's port, which reads 0xe9, and one that nobody claims.
const CONSOLE: u64 = 0xe9;
const NOBODY: u64 = 0x80;

fn ports() {
    let out = || execute!("out 0x80, al", "nop");
    check_eq!(
        "I/O breakpoint without CR4.DE",
        watch(IO, NOBODY, out),
        (0, 0)
    );
    machine::set_cr4(machine::cr4() | Cr4::CR4_DEBUGGING_EXTENSIONS);
    check_eq!("I/O breakpoint at OUT", watch(IO, NOBODY, out), (1, 1));
    check_eq!(
        "I/O breakpoint beside OUT",
        watch(IO, NOBODY + 1, out),
        (0, 0)
    );
    let input = || execute!("in al, 0xe9", "nop", out("al") _);
    check_eq!("I/O breakpoint at IN", watch(IO, CONSOLE, input), (1, 1));
    let wide = || execute!("in ax, 0x7f", "nop", out("ax") _);
    check_eq!(
        "I/O breakpoint at a part of IN",
        watch(IO, NOBODY, wide),
        (1, 1)
    );
    let stepped = || {
        execute!(
            "pushfq",
            "or qword ptr [rsp], 0x100",
            "popfq",
            "out 0x80, al",
            "nop"
        );
    };
    check_eq!(
        "I/O breakpoint at a single-stepped OUT",
        watch(IO, NOBODY, stepped),
        (1, BS | 1)
    );
    ports_of_strings();
    machine::set_cr4(machine::cr4() - Cr4::CR4_DEBUGGING_EXTENSIONS);
}

fn ports_of_strings() {
    let bytes = [0_u8; 3];
    let outsb = || {
        execute!("outsb", "nop", inout("rsi") bytes.as_ptr() => _, in("dx") NOBODY as u16);
    };
    check_eq!("I/O breakpoint at OUTSB", watch(IO, NOBODY, outsb), (1, 1));
    let rep_outsb = || {
        execute!(
            "rep outsb", "nop",
            inout("rsi") bytes.as_ptr() => _, inout("rcx") 3_u64 => _, in("dx") NOBODY as u16
        );
    };
    check_eq!(
        "I/O breakpoint at REP OUTSB",
        watch(IO, NOBODY, rep_outsb),
        (3, 1)
    );
}

/// Memory operands of INS and OUTS.
fn strings() {
    let mut buffer = [0_u32; 2];
    let at = buffer.as_mut_ptr();
    let rep_insb = || {
        execute!(
            "rep insb", "nop",
            inout("rdi") at => _, inout("rcx") 6_u64 => _, in("dx") CONSOLE as u16
        );
    };
    let (first, second) = (at as u64, at as u64 + 4);
    check_eq!(
        "breakpoint at REP INSB",
        watch(WRITE_4, first, rep_insb),
        (4, 1)
    );
    check_eq!(
        "breakpoint at its last byte",
        watch(WRITE, second + 1, rep_insb),
        (1, 1)
    );
    check_eq!(
        "breakpoint behind REP INSB",
        watch(WRITE, second + 2, rep_insb),
        (0, 0)
    );
    let outsb = || execute!("outsb", "nop", inout("rsi") at => _, in("dx") NOBODY as u16);
    check_eq!(
        "breakpoint at OUTSB",
        watch(READ_WRITE, first, outsb),
        (1, 1)
    );
    check_eq!(
        "breakpoint for writes at OUTSB",
        watch(WRITE, first, outsb),
        (0, 0)
    );
}

/// Instructions with operands in a device's memory, and what else they access.
fn devices() {
    lapic::enable();
    lapic::stop_timer();
    let count = lapic::BASE + u64::from(register::INITIAL_COUNT);
    let load = || execute!("mov {0:e}, [{0}]", "nop", inout(reg) count => _);
    let store = || execute!("mov [{}], {:e}", "nop", in(reg) count, in(reg) 1);
    // The second time, L0 knows the instruction.
    for _ in 0..2 {
        load();
        store();
    }
    check_eq!(
        "breakpoint at a device's load",
        watch(READ_WRITE_4, count, load),
        (1, 1)
    );
    check_eq!(
        "breakpoint for writes at a load",
        watch(WRITE_4, count, load),
        (0, 0)
    );
    check_eq!(
        "breakpoint at a device's store",
        watch(WRITE_4, count, store),
        (1, 1)
    );
    check_eq!(
        "breakpoint beside it",
        watch(WRITE_4, count + 4, store),
        (0, 0)
    );
    devices_and_memory(count);
}

/// Instructions that access both.
fn devices_and_memory(count: u64) {
    STATUS.store(0);
    execute!(
        "lea {0}, [rsp - 8]", "mov dr0, {0}", "mov dr7, {1}",
        "push qword ptr [{2}]", "nop", "pop {0}",
        out(reg) _, in(reg) DR7 | 1 | WRITE_8 << 16, in(reg) count
    );
    write!("dr7", DR7);
    check_eq!(
        "breakpoint at the stack of a PUSH from a device",
        STATUS.load() & !DR6,
        1
    );
    let mut word = 0_u32;
    let to = &raw mut word;
    write!("dr1", to as u64);
    write!("dr7", DR7);
    let both = || {
        write!("dr7", DR7 | 0b0101 | READ_WRITE_4 << 16 | WRITE_4 << 20);
        execute!("movsd", "nop", inout("rsi") count => _, inout("rdi") to => _);
    };
    check_eq!(
        "two breakpoints at MOVSD",
        watch(READ_WRITE_4, count, both),
        (1, 0b11)
    );
}
