//! Single instructions that hypervisors see: allowed ones work, hidden ones raise #UD.
#![no_std]
#![no_main]

use rt::{
    attempt, check, check_eq, check_raises, execute,
    interrupts::{
        Exception,
        vector::{GP, UD},
    },
    lapic, machine, paging, segments, user,
};
use x86::controlregs::{Cr0, Cr4};

rt::main!(main);

fn main() {
    caches();
    hidden();
    optional();
    time();
    tables();
    control_registers();
    at_cpl_3();
}

fn caches() {
    const CD_AND_NW: usize = 0b11 << 29;
    check_eq!(
        "a guest begins with caches on",
        machine::cr0().bits() & CD_AND_NW,
        0
    );
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
}

/// An instruction works if CPUID shows it, and raises #UD if not.
fn as_cpuid_says(name: &str, shown: bool, raised: Option<Exception>) {
    check_eq!(name, raised.map(|e| e.vector), (!shown).then_some(UD));
}

/// Bit `bit` of this word of CPUID.
fn bit(word: u32, bit: u32) -> bool {
    word >> bit & 1 == 1
}

fn optional() {
    let basic = machine::cpuid(1);
    let structured = if machine::cpuid(0).eax >= 7 {
        machine::cpuid(7)
    } else {
        machine::cpuid(0x0fff_ffff)
    };
    let extended = machine::cpuid(0x8000_0001);
    let sizes = machine::cpuid(0x8000_0008);
    let descriptor = [0_u64; 2];
    let raised = attempt!("invpcid {}, [{}]", in(reg) 2_u64, in(reg) descriptor.as_ptr());
    as_cpuid_says("INVPCID as CPUID says", bit(structured.ebx, 10), raised);
    let raised = attempt!("rdtscp", out("eax") _, out("edx") _, out("ecx") _);
    as_cpuid_says("RDTSCP as CPUID says", bit(extended.edx, 27), raised);
    let raised = attempt!("rdpid {}", out(reg) _);
    as_cpuid_says("RDPID as CPUID says", bit(structured.ecx, 22), raised);
    let raised = attempt!("rdrand {}", out(reg) _);
    as_cpuid_says("RDRAND as CPUID says", bit(basic.ecx, 30), raised);
    let raised = attempt!("rdseed {}", out(reg) _);
    // SVM cannot intercept it, and QEMU has it where its CPUID has not.
    let shown = bit(structured.ebx, 18);
    check!("RDSEED, if CPUID shows it", !shown || raised.is_none());
    let raised = attempt!(".byte 0x0f, 0x01, 0xfd", in("ecx") 0, out("eax") _, out("edx") _);
    as_cpuid_says("RDPRU as CPUID says", bit(sizes.ebx, 4), raised);
    let raised = attempt!("clac");
    as_cpuid_says("CLAC as CPUID says", bit(structured.ebx, 20), raised);
    counters(bit(basic.ecx, 15));
    task_number(bit(extended.edx, 27), bit(structured.ecx, 22));
}

/// Without performance counters every number in ECX is one too many.
fn counters(perfmon: bool) {
    let has = perfmon && machine::cpuid(0).eax >= 0xa && machine::cpuid(0xa).eax & 0xff != 0;
    check!("no performance counters", !has);
    for (name, counter) in [
        ("RDPMC of counter 0", 0_u32),
        ("RDPMC of fixed counter 0", 1 << 30),
        ("RDPMC of counter 7", 7),
    ] {
        let raised = attempt!("rdpmc", in("ecx") counter, out("eax") _, out("edx") _);
        check_raises!(name, raised, GP, 0);
    }
}

/// RDTSCP and RDPID give IA32_TSC_AUX, also after exits.
fn task_number(rdtscp: bool, rdpid: bool) {
    const IA32_TSC_AUX: u32 = 0xc000_0103;
    let raised = machine::try_wrmsr(IA32_TSC_AUX, 0x1234_5678);
    check_eq!(
        "IA32_TSC_AUX is there with RDTSCP or RDPID",
        raised.is_none(),
        rdtscp || rdpid
    );
    let _ = machine::cpuid(0);
    let (mut by_rdtscp, mut by_rdpid) = (0x1234_5678_u32, 0x1234_5678_u64);
    if rdtscp {
        execute!("rdtscp", out("eax") _, out("edx") _, out("ecx") by_rdtscp);
    }
    if rdpid {
        execute!("rdpid {}", out(reg) by_rdpid);
    }
    check_eq!(
        "RDTSCP and RDPID give it",
        (by_rdtscp, by_rdpid),
        (0x1234_5678, 0x1234_5678)
    );
    if rdtscp {
        check_eq!(
            "RDMSR gives it",
            machine::try_rdmsr(IA32_TSC_AUX),
            Ok(0x1234_5678)
        );
        check_raises!(
            "IA32_TSC_AUX above 32 bits",
            machine::try_wrmsr(IA32_TSC_AUX, 1 << 32),
            GP,
            0
        );
    }
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
    extensions();
    cache_disable();
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
static STACK: rt::Exclusive<Page> = rt::Exclusive::new(Page([0; 4096]));

/// CR4.
fn extensions() {
    let before = machine::cr4();
    machine::set_cr4(before | Cr4::CR4_ENABLE_GLOBAL_PAGES);
    check_eq!(
        "CR4.PGE",
        machine::cr4(),
        before | Cr4::CR4_ENABLE_GLOBAL_PAGES
    );
    machine::set_cr4(before);
    let shown = [Cr4::CR4_ENABLE_MACHINE_CHECK, Cr4::empty()].map(|machine_check| {
        machine::set_cr4((before - Cr4::CR4_ENABLE_MACHINE_CHECK) | machine_check);
        machine::cr4() & Cr4::CR4_ENABLE_MACHINE_CHECK == machine_check
    });
    check_eq!("CR4.MCE", shown, [true; 2]);
    machine::set_cr4(before);
}

/// What CR0 holds while CD is set, which a hypervisor need not give the processor.
fn cache_disable() {
    let before = machine::cr0();
    let disabled = before | Cr0::CR0_CACHE_DISABLE;
    machine::set_cr0(disabled);
    check_eq!("CR0.CD", machine::cr0(), disabled);
    let (long, word): (u64, u16);
    execute!("mov {0}, -1", "smsw {0}", "smsw {1:x}", out(reg) long, out(reg) word);
    let cr0 = disabled.bits();
    check_eq!("SMSW with CR0.CD", (long as usize, word), (cr0, cr0 as u16));
    let stored = rt::Single::new(u64::MAX);
    execute!("smsw [{}]", in(reg) stored.get());
    check_eq!(
        "SMSW in memory",
        stored.load(),
        !0 << 16 | cr0 as u64 & 0xffff
    );
    execute!("lmsw {0:x}", "clts", in(reg) 0xb_u16);
    check_eq!("LMSW and CLTS with CR0.CD", machine::cr0(), disabled);
    machine::set_cr0(before);
    check_eq!("CR0.CD cleared", machine::cr0(), before);
}

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
