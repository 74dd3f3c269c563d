//! What CPUID shows a guest.
#![no_std]
#![no_main]

use rt::{check, check_eq, machine};
use x86::controlregs::Cr4;

rt::main!(main);

fn main() {
    leaf_1();
    hypervisor_leaves();
    osxsave();
    topology();
    extended_leaves();
    hidden();
}

fn leaf_1() {
    let leaf = machine::cpuid(1);
    check!("a hypervisor is present", leaf.ecx >> 31 & 1 == 1);
    check!("no VMX", leaf.ecx >> 5 & 1 == 0);
    check!("no MONITOR", leaf.ecx >> 3 & 1 == 0);
    check!(
        "no PDCM, no debug store",
        leaf.ecx & (1 << 15 | 1 << 2) == 0 && leaf.edx >> 21 & 1 == 0
    );
    check!("no SMX, no PCID", leaf.ecx & (1 << 6 | 1 << 17) == 0);
    check!("x2APIC", leaf.ecx >> 21 & 1 == 1);
    check!("TSC deadline", leaf.ecx >> 24 & 1 == 1);
    check!("a local APIC", leaf.edx >> 9 & 1 == 1);
    check!("MSRs", leaf.edx >> 5 & 1 == 1);
}

fn hypervisor_leaves() {
    check_eq!(
        "the hypervisor's name",
        &machine::hypervisor(),
        b"NestlingNest"
    );
    let last = machine::cpuid(0x4000_0000).eax;
    check!(
        "hypervisor leaves to 0x40000001 and on",
        (0x4000_0001..0x4001_0000).contains(&last)
    );
    check_eq!(
        "the ABI's version",
        u64::from(machine::cpuid(0x4000_0001).eax),
        abi::VERSION
    );
    let timing = machine::cpuid(0x4000_0010);
    check!("a TSC frequency", timing.eax != 0);
    check!("a local APIC timer frequency", timing.ebx != 0);
}

fn osxsave() {
    let shown = || machine::cpuid(1).ecx >> 27 & 1 == 1;
    check!("OSXSAVE follows CR4: clear", !shown());
    if machine::cpuid(1).ecx >> 26 & 1 == 1 {
        machine::set_cr4(machine::cr4() | Cr4::CR4_ENABLE_OS_XSAVE);
        check!("OSXSAVE follows CR4: set", shown());
        machine::set_cr4(machine::cr4() - Cr4::CR4_ENABLE_OS_XSAVE);
    } else {
        check!("OSXSAVE follows CR4: set", true);
    }
    check!("OSXSAVE follows CR4: clear again", !shown());
}

fn topology() {
    check_eq!("the initial APIC ID", machine::cpuid(1).ebx >> 24, 0);
    let last = machine::cpuid(0).eax;
    let id = if last >= 0xb {
        machine::cpuid(0xb).edx
    } else {
        0
    };
    check_eq!("the x2APIC ID", id, 0);
}

fn extended_leaves() {
    check!(
        "extended leaves",
        machine::cpuid(0x8000_0000).eax >= 0x8000_0008
    );
    let leaf = machine::cpuid(0x8000_0001);
    check!("no SVM", leaf.ecx >> 2 & 1 == 0);
    check!("long mode", leaf.edx >> 29 & 1 == 1);
    let last = machine::cpuid(0).eax;
    let la57 = last >= 7 && machine::cpuid(7).ecx >> 16 & 1 == 1;
    check!("no LA57", !la57);
    check!("RDTSCP", leaf.edx >> 27 & 1 == 1);
    check!(
        "no MONITORX, no performance counters of AMD's",
        leaf.ecx & (1 << 29 | 1 << 23 | 1 << 24 | 1 << 28) == 0
    );
    check_eq!("no RDPRU and the like", machine::cpuid(0x8000_0008).ebx, 0);
}

/// What we do not carry, and cannot all forbid.
fn hidden() {
    let last = machine::cpuid(0).eax;
    if last >= 7 {
        let leaf = machine::cpuid(7);
        check!(
            "no INVPCID, no SGX, no TSX",
            leaf.ebx & (1 << 10 | 1 << 2 | 1 << 4 | 1 << 11) == 0
        );
        check!(
            "no WAITPKG, no CET, no PKU",
            leaf.ecx & (1 << 5 | 1 << 7 | 1 << 3) == 0
        );
    }
    if last >= 0xa {
        check_eq!("no performance counters", machine::cpuid(0xa).eax, 0);
    } else {
        check!("no performance counters", true);
    }
    let saves = last >= 0xd && core::arch::x86_64::__cpuid_count(0xd, 1).eax >> 3 & 1 == 1;
    check!("no XSAVES", !saves);
}
