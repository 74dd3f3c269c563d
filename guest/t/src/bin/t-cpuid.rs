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
}

fn leaf_1() {
    let leaf = machine::cpuid(1);
    check!("a hypervisor is present", leaf.ecx >> 31 & 1 == 1);
    check!("no VMX", leaf.ecx >> 5 & 1 == 0);
    check!("no MONITOR", leaf.ecx >> 3 & 1 == 0);
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
}
