//! Debug registers keep what is written, over VM exits too, and report what happened.
#![no_std]
#![no_main]

use rt::{
    Single, attempt, check, check_eq, check_raises, execute,
    interrupts::{
        self, Frame,
        vector::{DB, GP, UD},
    },
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

fn main() {
    addresses();
    control();
    aliases();
    status();
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
