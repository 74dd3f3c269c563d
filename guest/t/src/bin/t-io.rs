//! Port I/O: every width, string and REP forms, both directions and both DF, ports of nobody.
#![no_std]
#![no_main]

use core::hint::black_box;

use rt::{
    check, check_eq, check_raises, execute, interrupts::vector::GP, interrupts::vector::PF,
    machine::*, paging, println, user,
};

rt::main!(main);

const DEBUG_CONSOLE: u16 = 0xe9;
const NOBODY: u16 = 0x1234;
const COM1: u16 = 0x3f8;

fn main() {
    single();
    register_parts();
    top_of_the_ports();
    strings_out();
    strings_in();
    odd_strings();
    faults();
    check!("the UART's transmitter is empty", in8(COM1 + 5) & 0x20 != 0);
}

fn single() {
    check_eq!("8 bits of the debug console", in8(DEBUG_CONSOLE), 0xe9);
    check_eq!("8 bits of nobody", in8(NOBODY), 0xff);
    check_eq!("16 bits of nobody", in16(NOBODY), 0xffff);
    check_eq!("32 bits of nobody", in32(NOBODY), 0xffff_ffff);
    out8(NOBODY, 1);
    out16(NOBODY, 2);
    out32(NOBODY, 3);
    check_eq!("8 bits of nobody after writes", in8(NOBODY), 0xff);
    let byte: u8;
    execute!("in al, 0xe9", out("al") byte);
    check_eq!("IN with an immediate port", byte, 0xe9);
    execute!("out 0x80, al", in("al") 5_u8);
    check!("OUT with an immediate port", true);
}

fn register_parts() {
    let (mut byte, mut word, mut double) = (
        0x1122_3344_5566_7788_u64,
        0x1122_3344_5566_7788_u64,
        u64::MAX,
    );
    execute!("in al, dx", inout("rax") byte, in("dx") DEBUG_CONSOLE);
    check_eq!("IN AL keeps the rest of RAX", byte, 0x1122_3344_5566_77e9);
    execute!("in ax, dx", inout("rax") word, in("dx") NOBODY);
    check_eq!("IN AX keeps the rest of RAX", word, 0x1122_3344_5566_ffff);
    execute!("in eax, dx", inout("rax") double, in("dx") NOBODY);
    check_eq!("IN EAX clears the high half of RAX", double, 0xffff_ffff);
}

fn top_of_the_ports() {
    check_eq!("8 bits at 0xffff", in8(0xffff), 0xff);
    for port in [0xfffd, 0xfffe, 0xffff] {
        // What lies past the last port is the machine's secret; to come back is enough.
        out16(port, 0);
        out32(port, 0);
        black_box((in16(port), in32(port)));
    }
    check!("widths that straddle 0xffff", true);
}

fn rep_outsb(text: &[u8], backwards: bool) -> (u64, u64) {
    let start = text.as_ptr() as u64 + if backwards { text.len() as u64 - 1 } else { 0 };
    let (mut rsi, mut rcx) = (start, text.len() as u64);
    if backwards {
        execute!("std", "rep outsb", "cld", inout("rsi") rsi, inout("rcx") rcx, in("dx") COM1);
    } else {
        execute!("rep outsb", inout("rsi") rsi, inout("rcx") rcx, in("dx") COM1);
    }
    (rsi.wrapping_sub(start), rcx)
}

fn strings_out() {
    check_eq!(
        "REP OUTSB",
        rep_outsb(b"written by REP OUTSB\n", false),
        (21, 0)
    );
    check_eq!(
        "REP OUTSB, DF=1",
        rep_outsb(b"\n1=FD ,BSTUO PER yb nettirw", true),
        (-27_i64 as u64, 0)
    );
    let text = b"!\n";
    let mut rsi = text.as_ptr() as u64;
    execute!("outsb", "outsb", inout("rsi") rsi, in("dx") COM1);
    check_eq!("OUTSB without REP", rsi, text.as_ptr() as u64 + 2);
    let words = [0_u32; 4];
    let (mut rsi, mut rcx) = (words.as_ptr() as u64, 8_u64);
    execute!("rep outsw", inout("rsi") rsi, inout("rcx") rcx, in("dx") NOBODY);
    check_eq!("REP OUTSW", (rsi - words.as_ptr() as u64, rcx), (16, 0));
    let (mut rsi, mut rcx) = (words.as_ptr() as u64, 4_u64);
    execute!("rep outsd", inout("rsi") rsi, inout("rcx") rcx, in("dx") NOBODY);
    check_eq!("REP OUTSD", (rsi - words.as_ptr() as u64, rcx), (16, 0));
}

fn strings_in() {
    let mut bytes = [0_u8; 8];
    let (mut rdi, mut rcx) = (bytes.as_mut_ptr() as u64 + 1, 6_u64);
    execute!("rep insb", inout("rdi") rdi, inout("rcx") rcx, in("dx") DEBUG_CONSOLE);
    check_eq!(
        "REP INSB",
        bytes,
        [0, 0xe9, 0xe9, 0xe9, 0xe9, 0xe9, 0xe9, 0]
    );
    check_eq!(
        "REP INSB's registers",
        (rdi - bytes.as_ptr() as u64, rcx),
        (7, 0)
    );
    let mut bytes = [0_u8; 8];
    let (mut rdi, mut rcx) = (bytes.as_mut_ptr() as u64 + 6, 6_u64);
    execute!("std", "rep insb", "cld", inout("rdi") rdi, inout("rcx") rcx, in("dx") DEBUG_CONSOLE);
    check_eq!(
        "REP INSB, DF=1",
        bytes,
        [0, 0xe9, 0xe9, 0xe9, 0xe9, 0xe9, 0xe9, 0]
    );
    check_eq!(
        "REP INSB's registers, DF=1",
        (rdi, rcx),
        (bytes.as_ptr() as u64, 0)
    );
    wide_strings_in();
}

fn wide_strings_in() {
    let mut words = [0_u16; 4];
    let (mut rdi, mut rcx) = (words.as_mut_ptr() as u64, 3_u64);
    execute!("rep insw", inout("rdi") rdi, inout("rcx") rcx, in("dx") NOBODY);
    check_eq!(
        "REP INSW",
        (words, rdi - words.as_ptr() as u64, rcx),
        ([0xffff, 0xffff, 0xffff, 0], 6, 0)
    );
    let mut doubles = [0_u32; 4];
    let mut rdi = doubles.as_mut_ptr() as u64;
    execute!("insd", inout("rdi") rdi, in("dx") NOBODY);
    check_eq!(
        "INSD without REP",
        (doubles, rdi - doubles.as_ptr() as u64),
        ([u32::MAX, 0, 0, 0], 4)
    );
}

fn odd_strings() {
    let mut byte = 7_u8;
    let (mut rdi, mut rcx) = (&raw mut byte as u64, 0_u64);
    execute!("rep insb", inout("rdi") rdi, inout("rcx") rcx, in("dx") DEBUG_CONSOLE);
    check_eq!(
        "REP INSB of nothing",
        (black_box(byte), rdi, rcx),
        (7, &raw const byte as u64, 0)
    );

    let text = b"written through FS\n";
    wrmsr(x86::msr::IA32_FS_BASE, text.as_ptr() as u64);
    let (mut rsi, mut rcx) = (0_u64, text.len() as u64);
    execute!("rep outs dx, byte ptr fs:[rsi]", inout("rsi") rsi, inout("rcx") rcx, in("dx") COM1);
    check_eq!("REP OUTSB with a segment", (rsi, rcx), (19, 0));

    let text = b"written by 32-bit addresses\n";
    let (mut rsi, mut rcx) = (text.as_ptr() as u64 | 0xabcd << 32, 28_u64 | 1 << 32);
    execute!(".byte 0x67", "rep outsb", inout("rsi") rsi, inout("rcx") rcx, in("dx") COM1);
    check_eq!(
        "REP OUTSB with 32-bit addresses",
        (rsi, rcx as u32),
        (text.as_ptr() as u64 + 28, 0)
    );

    static LARGE: rt::Exclusive<[u8; 12288]> = rt::Exclusive::new([0; 12288]);
    let (mut rdi, mut rcx) = (LARGE.get() as u64, 12288_u64);
    execute!("rep insb", inout("rdi") rdi, inout("rcx") rcx, in("dx") DEBUG_CONSOLE);
    check!(
        "REP INSB over pages",
        LARGE.with(|bytes| bytes.iter().all(|b| *b == 0xe9)) && rcx == 0
    );
}

fn faults() {
    #[repr(C, align(4096))]
    struct Pages([u8; 8192]);
    static PAGES: rt::Exclusive<Pages> = rt::Exclusive::new(Pages([0; 8192]));
    let second = PAGES.get() as u64 + 4096;
    let mut rdi = second - 3;
    let raised = paging::with_entry(
        second,
        0,
        || rt::attempt!("mov ecx, 8", "rep insb", inout("rdi") rdi, out("rcx") _, in("dx") DEBUG_CONSOLE),
    );
    check_raises!("REP INSB into a page that is not present", raised, PF, 2);
    check_eq!("the faulting address", raised.map(|e| e.cr2), Some(second));
    let filled = PAGES.with(|pages| pages.0[4092..].first_chunk().copied());
    check_eq!(
        "what came before it",
        filled,
        Some([0, 0xe9, 0xe9, 0xe9, 0])
    );
    black_box(&mut rdi);

    paging::open_to_user(user_in as *const () as u64);
    let stack = PAGES.get() as u64 + 4096;
    let raised = user::run(user_in as *const () as u64, stack, 0);
    check_eq!(
        "IN at CPL 3",
        (raised.vector, raised.error_code, raised.rip),
        (GP, Some(0), user_in as *const () as u64)
    );
    println!("the end");
}

unsafe extern "C" {
    fn user_in();
}
core::arch::global_asm!(".global user_in", "user_in: in al, 0x80", "ud2");
