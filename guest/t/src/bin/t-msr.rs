//! MSRs that a guest may use, MSRs that raise #GP, and the edges of the MSR bitmaps.
#![no_std]
#![no_main]

use rt::{
    check, check_eq, check_raises,
    interrupts::vector::GP,
    lapic,
    machine::{self, rdmsr, try_rdmsr, try_wrmsr, wrmsr},
};
use x86::msr::*;

rt::main!(main);

const ADDRESS: u64 = 0xffff_8000_1234_5000;

fn main() {
    passed_through();
    time_stamp();
    efer();
    emulated();
    mtrrs();
    denied();
    x2apic();
}

fn keeps(name: &str, number: u32, value: u64) {
    let before = rdmsr(number);
    let raised = try_wrmsr(number, value);
    let after = try_rdmsr(number).ok();
    let _ = try_wrmsr(number, before);
    check_eq!(name, (raised, after), (None, Some(value)));
}

fn passed_through() {
    keeps("FS_BASE", IA32_FS_BASE, ADDRESS);
    keeps("GS_BASE", IA32_GS_BASE, ADDRESS);
    keeps("KERNEL_GS_BASE", IA32_KERNEL_GSBASE, ADDRESS);
    keeps("STAR", IA32_STAR, 0x0023_0010_0000_0000);
    keeps("LSTAR", IA32_LSTAR, ADDRESS);
    keeps("CSTAR", IA32_CSTAR, ADDRESS);
    keeps("SFMASK", IA32_FMASK, 0x200);
    keeps("SYSENTER_CS", IA32_SYSENTER_CS, 0x10);
    keeps("SYSENTER_ESP", IA32_SYSENTER_ESP, ADDRESS);
    keeps("SYSENTER_EIP", IA32_SYSENTER_EIP, ADDRESS);
    keeps("PAT", IA32_PAT, 0x0007_0406_0007_0106);
}

fn time_stamp() {
    let first = rdmsr(IA32_TIME_STAMP_COUNTER);
    let second = rdmsr(IA32_TIME_STAMP_COUNTER);
    check!("TSC advances", second > first);
    let far = second + (1 << 40);
    wrmsr(IA32_TIME_STAMP_COUNTER, far);
    let by_msr = rdmsr(IA32_TIME_STAMP_COUNTER);
    let by_instruction = machine::rdtsc();
    check!(
        "TSC written, read by RDMSR",
        (far..far + (1 << 36)).contains(&by_msr)
    );
    check!(
        "TSC written, read by RDTSC",
        (by_msr..by_msr + (1 << 36)).contains(&by_instruction)
    );
}

fn efer() {
    const SCE: u64 = 1;
    const LME: u64 = 1 << 8;
    const LMA: u64 = 1 << 10;
    const SVME: u64 = 1 << 12;
    let efer = rdmsr(IA32_EFER);
    check_eq!("EFER shows long mode", efer & (LME | LMA), LME | LMA);
    check_eq!("EFER shows no SVME", efer & SVME, 0);
    keeps("EFER.SCE", IA32_EFER, efer ^ SCE);
    check_raises!(
        "EFER.LME cleared while paging",
        try_wrmsr(IA32_EFER, efer & !LME),
        GP,
        0
    );
    check_raises!("EFER.SVME", try_wrmsr(IA32_EFER, efer | SVME), GP, 0);
    check_raises!(
        "EFER reserved bit",
        try_wrmsr(IA32_EFER, efer | 1 << 20),
        GP,
        0
    );
    check_eq!("EFER as before", rdmsr(IA32_EFER), efer);
}

fn emulated() {
    check_eq!("APIC_BASE", rdmsr(IA32_APIC_BASE), 0xfee0_0900);
    check!(
        "MISC_ENABLE is readable",
        try_rdmsr(IA32_MISC_ENABLE).is_ok()
    );
    check_eq!(
        "BIOS_SIGN_ID is writable",
        try_wrmsr(IA32_BIOS_SIGN_ID, 0),
        None
    );
    check!(
        "BIOS_SIGN_ID is readable",
        try_rdmsr(IA32_BIOS_SIGN_ID).is_ok()
    );
    check_eq!(
        "TSC_DEADLINE is writable",
        try_wrmsr(IA32_TSC_DEADLINE, 0),
        None
    );
    check_eq!("TSC_DEADLINE", try_rdmsr(IA32_TSC_DEADLINE), Ok(0));
}

fn mtrrs() {
    let cap = try_rdmsr(IA32_MTRRCAP);
    check!("MTRRCAP is readable", cap.is_ok());
    check_raises!("MTRRCAP is not writable", try_wrmsr(IA32_MTRRCAP, 0), GP, 0);
    let cap = cap.unwrap_or(0);
    if cap & 0xff != 0 {
        keeps("MTRR_PHYSBASE0", IA32_MTRR_PHYSBASE0, 0x8000_0006);
        keeps("MTRR_PHYSMASK0", IA32_MTRR_PHYSMASK0, 0xf_8000_0800);
    } else {
        check_raises!(
            "MTRR_PHYSBASE0",
            try_rdmsr(IA32_MTRR_PHYSBASE0).err(),
            GP,
            0
        );
        check_raises!(
            "MTRR_PHYSMASK0",
            try_rdmsr(IA32_MTRR_PHYSMASK0).err(),
            GP,
            0
        );
    }
    keeps(
        "MTRR_FIX64K_00000",
        IA32_MTRR_FIX64K_00000,
        0x0606_0606_0606_0606,
    );
    keeps("MTRR_DEF_TYPE", IA32_MTRR_DEF_TYPE, 0xc06);
}

fn denied() {
    for (name, number) in [
        ("0x0", 0),
        ("FEATURE_CONTROL", 0x3a),
        ("VMX_BASIC", 0x480),
        ("0x1fff", 0x1fff),
        ("0x2000", 0x2000),
        ("0x40000000", 0x4000_0000),
        ("0x80000000", 0x8000_0000),
        ("0xbfffffff", 0xbfff_ffff),
        ("0xc0000000", 0xc000_0000),
        ("0xc0001fff", 0xc000_1fff),
        ("0xc0002000", 0xc000_2000),
        ("VM_CR", 0xc001_0114),
        ("VM_HSAVE_PA", 0xc001_0117),
        ("0xc0012000", 0xc001_2000),
        ("0xffffffff", 0xffff_ffff),
    ] {
        let read = try_rdmsr(number).err().map(|e| (e.vector, e.error_code));
        let write = try_wrmsr(number, 0).map(|e| (e.vector, e.error_code));
        check_eq!(
            name,
            (read, write),
            (Some((GP, Some(0))), Some((GP, Some(0))))
        );
    }
}

fn x2apic() {
    check_raises!("x2APIC ID in xAPIC mode", try_rdmsr(0x802).err(), GP, 0);
    lapic::enter_x2apic();
    check_eq!(
        "APIC_BASE in x2APIC mode",
        rdmsr(IA32_APIC_BASE),
        0xfee0_0d00
    );
    check_eq!("x2APIC ID", try_rdmsr(0x802), Ok(0));
    check_raises!("x2APIC ID is not writable", try_wrmsr(0x802, 0), GP, 0);
    check_raises!("0x800", try_rdmsr(0x800).err(), GP, 0);
    check_raises!("0x80e", try_rdmsr(0x80e).err(), GP, 0);
    check_raises!("EOI is not readable", try_rdmsr(0x80b).err(), GP, 0);
    check_raises!("EOI of a value", try_wrmsr(0x80b, 1), GP, 0);
    check_raises!("TPR reserved bits", try_wrmsr(0x808, 0x100), GP, 0);
    let direct = lapic::BASE | lapic::BASE_ENABLE | 1 << 8;
    check_raises!(
        "x2APIC to xAPIC at once",
        try_wrmsr(IA32_APIC_BASE, direct),
        GP,
        0
    );
}
