use super::*;
use crate::device::lapic::base;
use crate::exit::{Detail, Kind};
use crate::machine::fake::Fixture;
use crate::machine::{CpuidResult, SegmentRegister};
use core::sync::atomic::Ordering::Relaxed;
use spec::control_registers::Cr4;

fn exit(kind: Kind) -> Exit {
    Exit {
        kind,
        rip: Fixture::CODE,
        length: 2,
        detail: Detail::None,
        vectoring: None,
    }
}

fn rdmsr(f: &mut Fixture, msr: Msr) -> Option<u64> {
    let junk = 0xffff_ffff_0000_0000;
    for register in [Gpr::Rax, Gpr::Rdx] {
        f.v.set_gpr(register, u64::MAX);
    }
    f.v.set_gpr(Gpr::Rcx, junk | u64::from(msr.0));
    match f.decide(&exit(Kind::Rdmsr)) {
        Verdict::Next => Some(f.gpr(Gpr::Rdx) << 32 | f.gpr(Gpr::Rax)),
        refused => {
            assert_eq!((refused, f.gpr(Gpr::Rax)), (Verdict::GP, u64::MAX));
            None
        }
    }
}

fn wrmsr(f: &mut Fixture, msr: Msr, value: u64) -> bool {
    let junk = 0xffff_ffff_0000_0000;
    f.v.set_gpr(Gpr::Rcx, junk | u64::from(msr.0));
    f.v.set_gpr(Gpr::Rax, junk | value & 0xffff_ffff);
    f.v.set_gpr(Gpr::Rdx, junk | value >> 32);
    match f.decide(&exit(Kind::Wrmsr)) {
        Verdict::Next => true,
        refused => {
            assert_eq!(refused, Verdict::GP);
            false
        }
    }
}

/// For each register: values that it takes and keeps, and values that it refuses.
#[test]
fn each_register_keeps_what_it_takes() {
    const WB: u64 = 0x0606_0606_0606_0606;
    let rows: &[(Msr, &[u64], &[u64])] = &[
        (
            Msr::IA32_PAT,
            &[0x0007_0406_0007_0406, WB, 0],
            &[2, 3, 8, 0xff << 56],
        ),
        (
            Msr::IA32_MTRR_DEF_TYPE,
            &[0xc06, 0x806, 0],
            &[2, 7, 0x1000, 1 << 63],
        ),
        (
            Msr::IA32_MTRR_PHYSBASE0,
            &[0xff_ffff_f006, 0],
            &[2, 0x100, 1 << 40],
        ),
        (Msr(0x20f), &[0xff_ffff_f800, 0], &[1, 0x400, 1 << 40]),
        (Msr::IA32_MTRR_FIX64K_00000, &[WB, 0], &[2, 7 << 56]),
        (Msr::IA32_MTRR_FIX4K_F8000, &[WB, 0], &[3]),
        (
            Msr::IA32_MISC_ENABLE,
            &[0x1801, 0x1800, 0x4_00c5_1809],
            &[2, 1 << 35],
        ),
        (Msr::IA32_MC0_CTL, &[0, !0], &[]),
        (Msr(0x40d), &[0], &[1]),
        (Msr(0x40e), &[0], &[1]),
        (Msr::KVM_WALL_CLOCK, &[0x3000, 0], &[1, 2]),
        (Msr::KVM_SYSTEM_TIME, &[0x3001, 0x3000, 0], &[2, 3]),
        (Msr::IA32_BIOS_SIGN_ID, &[0], &[1]),
        (Msr::IA32_MCG_STATUS, &[0], &[1]),
        (Msr::IA32_DEBUGCTL, &[0], &[1, 2]),
        (
            Msr::IA32_APIC_BASE,
            &[
                base::ADDRESS | base::ENABLE | base::BSP,
                0x4200_0000 | base::ENABLE | base::BSP,
            ],
            &[
                base::ENABLE,
                base::ADDRESS | 1,
                1 << 40,
                base::ADDRESS | 1 << 9,
            ],
        ),
    ];
    let mut f = Fixture::new();
    for &(msr, taken, refused) in rows {
        for &value in taken {
            assert!(wrmsr(&mut f, msr, value), "{msr} {value:#x}");
            assert_eq!(rdmsr(&mut f, msr), Some(value), "{msr}");
            for &value in refused {
                assert!(!wrmsr(&mut f, msr, value), "{msr} {value:#x}");
            }
            assert_eq!(rdmsr(&mut f, msr), Some(value), "{msr}");
        }
    }
}

#[test]
fn read_only_and_unknown_registers_refuse() {
    let mut f = Fixture::new();
    for msr in [Msr::IA32_MTRRCAP, Msr::IA32_PLATFORM_ID, Msr::IA32_MCG_CAP] {
        assert!(
            rdmsr(&mut f, msr).is_some() && !wrmsr(&mut f, msr, 0),
            "{msr}"
        );
    }
    for number in [
        0x3a,
        0x480,
        0x1000,
        0x210,
        0x410,
        0x3b,
        0x48,
        0xce,
        0x140,
        0x4000_0000,
        0xc001_0114,
        0xc001_0117,
        u32::MAX,
    ] {
        assert!(
            rdmsr(&mut f, Msr(number)).is_none() && !wrmsr(&mut f, Msr(number), 0),
            "{number:#x}"
        );
    }
}

#[test]
fn efer_follows_the_manual() {
    let mut f = Fixture::new();
    let long = (Efer::LME | Efer::LMA | Efer::NXE).bits();
    assert_eq!(rdmsr(&mut f, Msr::IA32_EFER), Some(long));
    assert!(
        wrmsr(&mut f, Msr::IA32_EFER, Efer::LME.bits() | 1),
        "LMA is read-only"
    );
    assert_eq!(
        rdmsr(&mut f, Msr::IA32_EFER),
        Some((Efer::LME | Efer::LMA | Efer::SCE).bits())
    );
    for refused in [1 << 1, 1 << 12, 1 << 63] {
        assert!(
            !wrmsr(&mut f, Msr::IA32_EFER, long | refused),
            "{refused:#x}"
        );
    }
    f.v.engine.set_reg(Reg::Cr0, (Cr0::PE | Cr0::PG).bits());
    assert!(!wrmsr(&mut f, Msr::IA32_EFER, 0), "LME while paging");
    assert!(wrmsr(&mut f, Msr::IA32_EFER, long));
}

#[test]
fn x2apic_registers_are_there_in_x2apic_mode_alone() {
    let mut f = Fixture::new();
    let (tpr, icr_high) = (Msr(0x808), Msr(0x831));
    assert!(rdmsr(&mut f, tpr).is_none() && !wrmsr(&mut f, tpr, 0));
    assert!(wrmsr(
        &mut f,
        Msr::IA32_APIC_BASE,
        base::ADDRESS | base::ENABLE | base::X2APIC
    ));
    assert!(wrmsr(&mut f, tpr, 0x20));
    assert_eq!((rdmsr(&mut f, tpr), f.v.lapic.cr8()), (Some(0x20), 2));
    assert!(!wrmsr(&mut f, tpr, 0x100) && !wrmsr(&mut f, tpr, 1 << 32));
    assert!(rdmsr(&mut f, icr_high).is_none() && rdmsr(&mut f, Msr(0x8ff)).is_none());
}

#[test]
fn the_tsc_and_its_deadline_count_in_the_guests_time() {
    let mut f = Fixture::new();
    let now = f.machine.clock.load(Relaxed);
    f.v.lapic.write_page(0x32, 0x4_0040, now);
    assert!(wrmsr(&mut f, Msr::IA32_TIME_STAMP_COUNTER, 5));
    assert_eq!(rdmsr(&mut f, Msr::IA32_TIME_STAMP_COUNTER), Some(5));
    assert_eq!(f.told.lock().tsc_offset, 5u64.wrapping_sub(now));
    assert!(wrmsr(&mut f, Msr::IA32_TSC_DEADLINE, 105));
    assert_eq!(
        (
            f.v.lapic.next_deadline(),
            rdmsr(&mut f, Msr::IA32_TSC_DEADLINE)
        ),
        (Some(now + 100), Some(105))
    );
    assert!(wrmsr(&mut f, Msr::IA32_TIME_STAMP_COUNTER, 55));
    assert_eq!(
        (
            f.v.lapic.next_deadline(),
            rdmsr(&mut f, Msr::IA32_TSC_DEADLINE)
        ),
        (Some(now + 50), Some(105))
    );
    assert!(wrmsr(&mut f, Msr::IA32_TSC_DEADLINE, 3));
    assert_eq!(f.v.lapic.next_deadline(), Some(now), "past already");
    assert!(wrmsr(&mut f, Msr::IA32_TSC_DEADLINE, 0));
    assert_eq!(
        (
            f.v.lapic.next_deadline(),
            rdmsr(&mut f, Msr::IA32_TSC_DEADLINE)
        ),
        (None, Some(0))
    );
}

#[test]
fn xsetbv_takes_what_cpuid_shows() {
    let f = Fixture::new();
    f.machine.leaves.lock().insert(
        (0xd, 0),
        CpuidResult {
            eax: 0x207,
            ..CpuidResult::default()
        },
    );
    for (register, value, taken) in [
        (0, 7, true),
        (0, 3, true),
        (0, 1, true),
        (0, 6, false),
        (0, 5, false),
        (0, 0x207, false),
        (1, 7, false),
    ] {
        let mut f = Fixture::on(f.machine, alloc::vec::Vec::new())
            .with(&[(Gpr::Rcx, register), (Gpr::Rax, value)]);
        assert_eq!(f.decide(&exit(Kind::Xsetbv)), Verdict::UD, "CR4.OSXSAVE");
        f.v.engine.set_reg(Reg::Cr4, Cr4::OSXSAVE.bits());
        assert_eq!(
            f.decide(&exit(Kind::Xsetbv)) == Verdict::Next,
            taken,
            "{register} {value}"
        );
        assert_eq!(f.v.engine.reg(Reg::Xcr0), if taken { value } else { 1 });
    }
    let mut f = f.with(&[(Gpr::Rax, 7)]);
    f.v.engine.set_reg(Reg::Cr4, Cr4::OSXSAVE.bits());
    f.v.engine
        .set_segment(SegmentRegister::Ss, crate::machine::fake::flat(0xc0f3));
    assert_eq!(f.decide(&exit(Kind::Xsetbv)), Verdict::GP, "CPL 3");
}

#[test]
fn tsc_aux_comes_with_rdtscp() {
    let mut f = Fixture::new();
    assert_eq!(rdmsr(&mut f, Msr::IA32_TSC_AUX), None);
    assert!(!wrmsr(&mut f, Msr::IA32_TSC_AUX, 1));
    let rdtscp = CpuidResult {
        edx: 1 << 27,
        ..CpuidResult::default()
    };
    f.machine.leaves.lock().insert((0x8000_0001, 0), rdtscp);
    assert!(wrmsr(&mut f, Msr::IA32_TSC_AUX, 0x1234_5678));
    assert!(!wrmsr(&mut f, Msr::IA32_TSC_AUX, 1 << 32));
    assert_eq!(rdmsr(&mut f, Msr::IA32_TSC_AUX), Some(0x1234_5678));
}

/// A guest on a machine of this maker, with leaf 7.
fn made_by(vendor: &[u8; 4], structured: u32) -> Fixture {
    let f = Fixture::new();
    for (leaf, ebx) in [(0, u32::from_le_bytes(*vendor)), (7, structured)] {
        let shown = CpuidResult {
            ebx,
            ..CpuidResult::default()
        };
        f.machine.leaves.lock().insert((leaf, 0), shown);
    }
    f
}

/// Each: what it reads, what it takes without keeping it, what it refuses.
#[test]
fn amds_configuration_is_that_of_a_machine_at_rest() {
    const ROWS: &[(Msr, u64, &[u64], &[u64])] = &[
        (Msr::AMD_SYSCFG, 0, &[0, 1 << 21], &[]),
        (
            Msr::AMD_HWCR,
            1 << 24,
            &[0, 1 << 24 | 1 << 3],
            &[1, 1 << 40],
        ),
        (Msr::AMD_DE_CFG, 2, &[0, 2], &[1]),
        (Msr::AMD_LS_CFG, 0, &[0, 1 << 10], &[]),
        (Msr::AMD_TOP_MEM, crate::machine::fake::GUEST_RAM, &[], &[0]),
        (Msr::AMD_TOP_MEM2, 0, &[0], &[]),
        (Msr::AMD_PATCH_LOADER, 0, &[0x1000], &[]),
    ];
    for &(msr, value, taken, refused) in ROWS {
        let mut f = made_by(b"Auth", 0);
        for &new in taken {
            assert!(wrmsr(&mut f, msr, new), "{msr} {new:#x}");
        }
        for &new in refused {
            assert!(!wrmsr(&mut f, msr, new), "{msr} {new:#x}");
        }
        assert_eq!(rdmsr(&mut f, msr), Some(value), "{msr}");
        let mut f = made_by(b"Genu", 0);
        assert!(
            rdmsr(&mut f, msr).is_none() && !wrmsr(&mut f, msr, 0),
            "{msr}"
        );
    }
    let mut f = made_by(b"Auth", 0);
    assert!(!wrmsr(&mut f, Msr::IA32_MC0_STATUS, 1));
    assert!(wrmsr(&mut f, Msr::AMD_HWCR, 1 << 18), "McStatusWrEn");
    assert!(wrmsr(&mut f, Msr::IA32_MC0_STATUS, 1));
    assert_eq!(rdmsr(&mut f, Msr::AMD_HWCR), Some(1 << 24 | 1 << 18));
}

#[test]
fn four_banks_have_no_machine_check() {
    let mut f = Fixture::new();
    assert_eq!(rdmsr(&mut f, Msr::IA32_MCG_CAP), Some(4));
    assert!(wrmsr(&mut f, Msr(0x40c), 5) && rdmsr(&mut f, Msr(0x40c)) == Some(5));
    let others: alloc::vec::Vec<_> = (0x400..0x40c).map(|n| rdmsr(&mut f, Msr(n))).collect();
    assert_eq!(others, [Some(0); 12]);
}

/// SDM 3B "IA32_TSC_ADJUST MSR".
#[test]
fn the_tsc_and_its_adjustment_move_together() {
    let mut f = made_by(b"Genu", 1 << 1);
    let now = f.machine.clock.load(Relaxed);
    assert_eq!(rdmsr(&mut f, Msr::IA32_TSC_ADJUST), Some(0));
    assert!(wrmsr(&mut f, Msr::IA32_TIME_STAMP_COUNTER, now + 7));
    assert_eq!(rdmsr(&mut f, Msr::IA32_TSC_ADJUST), Some(7));
    assert!(wrmsr(&mut f, Msr::IA32_TSC_ADJUST, -5i64 as u64));
    assert_eq!(
        rdmsr(&mut f, Msr::IA32_TIME_STAMP_COUNTER),
        Some(now.wrapping_sub(5))
    );
}

#[test]
fn the_pages_of_kvms_clock_follow_the_tsc() {
    let mut f = Fixture::new();
    assert!(wrmsr(&mut f, Msr::KVM_WALL_CLOCK, 0x3000));
    assert_eq!(f.read(0x3000), [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert!(wrmsr(&mut f, Msr::KVM_SYSTEM_TIME, 0x4001));
    assert_eq!(f.read(0x4008), [0; 8]);
    assert!(wrmsr(&mut f, Msr::IA32_TIME_STAMP_COUNTER, 0));
    let offset = f.v.msrs.tsc_offset;
    assert_ne!(offset, 0);
    assert_eq!(f.read(0x4008), offset.to_le_bytes());
    // Beyond RAM there is nothing to write.
    assert!(wrmsr(&mut f, Msr::KVM_WALL_CLOCK, !3));
}
