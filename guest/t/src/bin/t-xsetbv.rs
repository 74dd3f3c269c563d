//! XSETBV: the values that it takes and those that raise #GP.
#![no_std]
#![no_main]

use rt::{
    attempt, check_eq, check_raises, execute,
    interrupts::{
        Exception,
        vector::{GP, UD},
    },
    machine, paging, println, user,
};
use x86::controlregs::Cr4;

rt::main!(main);

#[repr(C, align(4096))]
struct Page([u8; 4096]);
static PAGE: rt::Exclusive<Page> = rt::Exclusive::new(Page([0; 4096]));

fn main() {
    let leaf = machine::cpuid(1).ecx;
    check_raises!("XSETBV without CR4.OSXSAVE", xsetbv(0, 1), UD);
    if leaf >> 26 & 1 == 0 {
        println!("no XSAVE");
        return;
    }
    machine::set_cr4(machine::cr4() | Cr4::CR4_ENABLE_OS_XSAVE);
    check_eq!("XCR0 at first", xcr0(), 1);
    check_eq!("x87 and SSE", (xsetbv(0, 3), xcr0()), (None, 3));
    if leaf >> 28 & 1 == 1 {
        check_eq!("x87, SSE and AVX", (xsetbv(0, 7), xcr0()), (None, 7));
    }
    let before = xcr0();
    check_raises!("nothing at all", xsetbv(0, 0), GP, 0);
    check_raises!("no x87", xsetbv(0, 2), GP, 0);
    check_raises!("AVX without SSE", xsetbv(0, 5), GP, 0);
    check_raises!("a reserved bit", xsetbv(0, 1 << 63 | 7), GP, 0);
    check_raises!("everything", xsetbv(0, u64::MAX), GP, 0);
    check_raises!("XCR1", xsetbv(1, 1), GP, 0);
    check_eq!("XCR0 is as before", xcr0(), before);
    at_cpl_3();
    check_eq!("x87 alone", (xsetbv(0, 1), xcr0()), (None, 1));
}

fn at_cpl_3() {
    let page = PAGE.get() as u64;
    PAGE.with(|page| page.0[..3].copy_from_slice(b"\x0f\x01\xd1"));
    paging::open_to_user(page);
    let raised = user::run(page, page + 4096, 0);
    check_eq!("XSETBV at CPL 3", (raised.vector, raised.rip), (GP, page));
}

fn xsetbv(register: u32, value: u64) -> Option<Exception> {
    attempt!("xsetbv", in("ecx") register, in("eax") value as u32, in("edx") (value >> 32) as u32)
}

fn xcr0() -> u64 {
    let (low, high): (u32, u32);
    execute!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high);
    u64::from(high) << 32 | u64::from(low)
}
