//! Single instructions that hypervisors see: allowed ones work, hidden ones raise #UD.
#![no_std]
#![no_main]

use rt::{
    attempt, check, check_eq, check_raises, execute,
    interrupts::vector::{GP, UD},
    lapic, machine, paging, segments, user,
};
use x86::controlregs::Cr4;

rt::main!(main);

fn main() {
    caches();
    hidden();
    time();
    tables();
    control_registers();
    at_cpl_3();
}

fn caches() {
    check_eq!("WBINVD", attempt!("wbinvd"), None);
    check_eq!("INVD", attempt!("invd"), None);
    check_eq!(
        "INVLPG",
        attempt!("invlpg [{}]", in(reg) 0x20_0000_u64),
        None
    );
    check_eq!(
        "INVLPG of an address that is not canonical",
        attempt!("invlpg [{}]", in(reg) 1_u64 << 63),
        None
    );
    check_eq!("PAUSE", attempt!("pause", "pause"), None);
    let has_invpcid = machine::cpuid(0).eax >= 7 && machine::cpuid(7).ebx >> 10 & 1 == 1;
    let descriptor = [0_u64; 2];
    let raised = attempt!("invpcid {}, [{}]", in(reg) 2_u64, in(reg) descriptor.as_ptr());
    check_eq!(
        "INVPCID as CPUID says",
        raised.map(|e| e.vector),
        (!has_invpcid).then_some(UD)
    );
}

fn hidden() {
    check_raises!(
        "MONITOR",
        attempt!("monitor", in("rax") &raw const STACK, in("ecx") 0, in("edx") 0),
        UD
    );
    check_raises!("MWAIT", attempt!("mwait", in("eax") 0, in("ecx") 0), UD);
    let word = 0_u64;
    check_raises!("VMXON", attempt!("vmxon [{}]", in(reg) &raw const word), UD);
    check_raises!(
        "VMREAD",
        attempt!("vmread {0}, {0}", inout(reg) word => _),
        UD
    );
    check_raises!("VMLAUNCH", attempt!("vmlaunch"), UD);
    check_raises!("VMRUN", attempt!("vmrun rax", in("rax") 0_u64), UD);
    check_raises!("VMLOAD", attempt!("vmload rax", in("rax") 0_u64), UD);
    check_raises!("STGI", attempt!("stgi"), UD);
    check_raises!("CLGI", attempt!("clgi"), UD);
    check_raises!("RSM", attempt!("rsm"), UD);
    check_raises!("UD1", attempt!("ud1 eax, eax"), UD);
}

fn time() {
    let mut last = machine::rdtsc();
    let mut monotonic = true;
    for _ in 0..1000 {
        let now = machine::rdtsc();
        monotonic &= now >= last;
        last = now;
        machine::out8(0x80, 0);
    }
    check!("RDTSC never goes back", monotonic);
    let has_rdtscp = machine::cpuid(0x8000_0001).edx >> 27 & 1 == 1;
    let raised = attempt!("rdtscp", out("eax") _, out("edx") _, out("ecx") _);
    // What CPUID hides need not raise #UD: SVM's RDTSCP works all the same.
    check!("RDTSCP, if CPUID shows it", !has_rdtscp || raised.is_none());
}

fn tables() {
    let (mut gdt, mut idt) = ([0_u16; 5], [0_u16; 5]);
    execute!("sgdt [{}]", "sidt [{}]", in(reg) gdt.as_mut_ptr(), in(reg) idt.as_mut_ptr());
    check_eq!(
        "SGDT's and SIDT's limits",
        (gdt[0], idt[0]),
        (segments::BEYOND - 1, 0xfff)
    );
    let (ldt, task): (u16, u16);
    execute!("sldt {0:x}", "str {1:x}", out(reg) ldt, out(reg) task);
    check_eq!("SLDT and STR", (ldt, task), (0, segments::TSS));
}

fn control_registers() {
    let word: u64;
    execute!("smsw {}", out(reg) word);
    check_eq!("SMSW", word as u16, machine::cr0().bits() as u16);
    execute!("mov {0}, cr0", "or {0}, 8", "mov cr0, {0}", "clts", "mov {0}, cr0", out(reg) _);
    check_eq!("CLTS", machine::cr0().bits() & 8, 0);
    execute!("lmsw {0:x}", in(reg) 0xb_u16);
    check_eq!("LMSW sets CR0.TS", machine::cr0().bits() & 8, 8);
    execute!("clts");
    execute!("mov {0}, cr3", "mov cr3, {0}", out(reg) _);
    check!("CR3 reloaded", true);
    execute!("mov cr2, {}", in(reg) 0x1234_5678_9abc_u64);
    let _ = machine::cpuid(0);
    let cr2: u64;
    execute!("mov {}, cr2", out(reg) cr2);
    check_eq!("CR2 over an exit", cr2, 0x1234_5678_9abc);
    let before = machine::cr4();
    machine::set_cr4(before | Cr4::CR4_ENABLE_GLOBAL_PAGES);
    check_eq!(
        "CR4.PGE",
        machine::cr4(),
        before | Cr4::CR4_ENABLE_GLOBAL_PAGES
    );
    machine::set_cr4(before);
    lapic::enable();
    execute!("mov cr8, {}", in(reg) 5_u64);
    let cr8: u64;
    execute!("mov {}, cr8", out(reg) cr8);
    check_eq!(
        "CR8 is the task priority",
        (cr8, lapic::read(lapic::register::TPR)),
        (5, 0x50)
    );
    lapic::write(lapic::register::TPR, 0);
    let cr8: u64;
    execute!("mov {}, cr8", out(reg) cr8);
    check_eq!("the task priority is CR8", cr8, 0);
}

#[repr(C, align(4096))]
struct Page([u8; 4096]);
static STACK: rt::Single<Page> = rt::Single::new(Page([0; 4096]));

fn at_cpl_3() {
    let page = STACK.get() as u64;
    paging::open_to_user(page);
    for (name, code) in [
        ("HLT at CPL 3", &b"\xf4"[..]),
        ("CLI at CPL 3", b"\xfa"),
        ("RDMSR at CPL 3", b"\x0f\x32"),
        ("MOV CR0 at CPL 3", b"\x0f\x20\xc0"),
        ("INVD at CPL 3", b"\x0f\x08"),
        ("LGDT at CPL 3", b"\x0f\x01\x10"),
        ("MOV DR7 at CPL 3", b"\x0f\x21\xf8"),
    ] {
        STACK.with(|page| page.0[..code.len()].copy_from_slice(code));
        let raised = user::run(page, page + 4096, 0);
        check_eq!(name, (raised.vector, raised.error_code), (GP, Some(0)));
    }
}
