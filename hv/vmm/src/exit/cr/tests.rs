use super::*;
use crate::exit::Kind;
use crate::machine::CpuidResult;
use crate::machine::Gpr::{Rax, Rbx};
use crate::machine::fake::{Fixture, flat};

fn exit(number: u8, access: CrAccessType) -> Exit {
    let detail = Detail::Cr(CrAccess { number, access });
    Exit {
        kind: Kind::CrAccess,
        rip: Fixture::CODE,
        length: 3,
        detail,
        vectoring: None,
    }
}

const FROM_RAX: CrAccessType = CrAccessType::MovTo(0);

fn write(f: &mut Fixture, number: u8, value: u64) -> Verdict {
    f.v.set_gpr(Rax, value);
    f.decide(&exit(number, FROM_RAX))
}

/// CR0, CR4 and EFER before; the code is 64-bit, 32-bit or real; CR0 or CR4 written; whether it is
/// taken; CR0 and EFER.LMA afterwards.
#[test]
fn transitions_are_the_manuals() {
    const PE: u64 = 0x11;
    const PG: u64 = 1 << 31;
    const LME: u64 = 0x100;
    const LMA: u64 = 0x400;
    const PAE: u64 = 0x20;
    let rows: &[(u64, u64, u64, u32, u64, bool, u64)] = &[
        (0x10, 0, 0, 16, PE, true, 0),                 // real to protected
        (PE, 0, 0, 32, PE | PG, true, 0),              // 32-bit paging
        (PE, PAE, LME, 32, PE | PG, true, LMA),        // long mode
        (PE, 0, LME, 32, PE | PG, false, 0),           // without PAE
        (PE, PAE, LME, 64, PE | PG, false, 0),         // with CS.L
        (PE | PG, PAE, LME | LMA, 32, PE, true, 0),    // out of compatibility mode
        (PE | PG, PAE, LME | LMA, 64, PE, false, LMA), // out of 64-bit mode
        (PE | PG, 0, 0, 32, PE, true, 0),              // paging off
        (PE, 0, 0, 32, 0x10, true, 0),                 // back to real mode
        (PE, 0, 0, 32, PG | 0x10, false, 0),           // PG without PE
        (PE, 0, 0, 32, PE | 1 << 29, false, 0),        // NW without CD
        (PE, 0, 0, 32, PE | 3 << 29, true, 0),         // NW and CD
        (PE | PG, PAE, LME | LMA, 64, PE | PG | 1 << 32, false, LMA), // the upper half
    ];
    for &(cr0, cr4, efer, code, value, taken, lma) in rows {
        let mut f = Fixture::new();
        if code != 64 {
            f = f.in_protected_mode();
        }
        for (register, value) in [(Reg::Cr0, cr0), (Reg::Cr4, cr4), (Reg::Efer, efer)] {
            f.v.engine.set_reg(register, value);
        }
        assert_eq!(
            write(&mut f, 0, value) == Verdict::Next,
            taken,
            "{cr0:#x} -> {value:#x}"
        );
        assert_eq!(f.v.engine.reg(Reg::Cr0), if taken { value } else { cr0 });
        assert_eq!(
            f.v.engine.reg(Reg::Efer) & LMA,
            lma,
            "{cr0:#x} -> {value:#x}"
        );
    }
}

#[test]
fn a_16_bit_tss_does_not_go_to_long_mode() {
    let mut f = Fixture::new().in_protected_mode();
    f.v.engine.set_reg(Reg::Efer, Efer::LME.bits());
    f.v.engine.set_segment(SegmentRegister::Tr, flat(0x83));
    assert_eq!(write(&mut f, 0, 0x8000_0011), Verdict::GP);
}

#[test]
fn reserved_bits_of_cr0_are_dropped_and_et_stays() {
    let mut f = Fixture::new();
    assert_eq!(write(&mut f, 0, 0x1001), Verdict::Next);
    assert_eq!(f.v.engine.reg(Reg::Cr0), 0x11);
}

#[test]
fn pae_paging_loads_its_pointers_and_checks_them() {
    let mut f = Fixture::new().in_protected_mode();
    f.v.engine.set_reg(Reg::Cr3, 0x4000);
    for (n, entry) in [0x5001u64, 0x1e6, 0x6001, 0].iter().enumerate() {
        f.write(0x4000 + 8 * n as u64, &entry.to_le_bytes());
    }
    assert_eq!(write(&mut f, 0, 0x8000_0011), Verdict::Next);
    assert_eq!(
        f.told.lock().pdptes,
        [0x5001, 0x1e6, 0x6001, 0],
        "an entry that is not present may be anything"
    );
    for reserved in [0x5003, 0x5081, 1 << 40 | 1, 1 << 63 | 1] {
        f.write(0x4018, &u64::to_le_bytes(reserved));
        assert_eq!(write(&mut f, 4, 0x20 | 0x80), Verdict::GP, "{reserved:#x}");
    }
    // The second is how QEMU's TCG leaves an entry that it has used.
    for (good, cr4) in [(0x7001u64, 0xa0), (0x7021, 0x20)] {
        f.write(0x4018, &good.to_le_bytes());
        assert_eq!(write(&mut f, 4, cr4), Verdict::Next);
        assert_eq!(f.told.lock().pdptes[3], good);
    }
}

/// SDM 3A "PDPTE Registers": MOV to CR0 loads them when it changes CD, NW or PG under PAE paging.
#[test]
fn a_change_of_the_caches_loads_the_pae_pointers() {
    const PAGING: u64 = 0x8000_0011;
    const CD: u64 = 1 << 30;
    const NW: u64 = 1 << 29;
    for (from, to, loads) in [
        (PAGING, PAGING | CD, true),
        (PAGING | CD, PAGING, true),
        (PAGING | CD, PAGING | CD | NW, true),
        (PAGING | CD, PAGING | CD | 1 << 16, false),
        (PAGING | CD, CD | 0x11, false),
    ] {
        let mut f = Fixture::new().in_protected_mode();
        f.v.engine.set_reg(Reg::Cr3, 0x4000);
        f.v.engine.set_reg(Reg::Cr0, from);
        f.write(0x4000, &0x5001u64.to_le_bytes());
        assert_eq!(write(&mut f, 0, to), Verdict::Next);
        let loaded = f.told.lock().pdptes[0] == 0x5001;
        assert_eq!(loaded, loads, "{from:#x} -> {to:#x}");
        if loads {
            f.v.engine.set_reg(Reg::Cr0, from);
            f.write(0x4008, &0x5003u64.to_le_bytes());
            assert_eq!(write(&mut f, 0, to), Verdict::GP, "a reserved bit");
            assert_eq!(f.v.engine.reg(Reg::Cr0), from);
        }
    }
    let mut f = Fixture::new();
    f.v.engine.set_reg(Reg::Cr0, PAGING);
    f.v.engine.set_reg(Reg::Cr3, 0x4000);
    f.v.engine
        .set_reg(Reg::Efer, (Efer::LME | Efer::LMA).bits());
    f.write(0x4000, &0x5003u64.to_le_bytes());
    assert_eq!(write(&mut f, 0, PAGING | CD), Verdict::Next, "long mode");
    assert_eq!(f.told.lock().pdptes, [0; 4]);
}

#[test]
fn cr4_takes_the_bits_whose_features_cpuid_shows() {
    let mut f = Fixture::new();
    assert_eq!(write(&mut f, 4, 0x7ef), Verdict::Next);
    assert_eq!(write(&mut f, 4, 0x7cf), Verdict::GP, "PAE off in long mode");
    for bit in [11, 12, 13, 14, 16, 17, 18, 20, 21, 22, 23, 24, 32, 63] {
        assert_eq!(
            write(&mut f, 4, 1 << 5 | 1 << bit),
            Verdict::GP,
            "bit {bit}"
        );
    }
    let ones = CpuidResult {
        eax: !0,
        ebx: !0,
        ecx: !0,
        edx: !0,
    };
    f.machine
        .leaves
        .lock()
        .extend([((1, 0), ones), ((7, 0), ones)]);
    for (bit, taken) in [
        (11, true),
        (12, false),
        (13, false),
        (16, true),
        (17, false),
        (18, true),
        (20, true),
        (21, true),
        (22, false),
    ] {
        assert_eq!(
            write(&mut f, 4, 1 << 5 | 1 << bit) == Verdict::Next,
            taken,
            "bit {bit}"
        );
    }
}

#[test]
fn lmsw_sets_pe_and_cannot_clear_it_and_clts_clears_ts() {
    let mut f = Fixture::new().in_real_mode();
    assert_eq!(
        f.decide(&exit(0, CrAccessType::Lmsw(0xfff9))),
        Verdict::Next
    );
    assert_eq!(f.v.engine.reg(Reg::Cr0), 0x19);
    assert_eq!(f.decide(&exit(0, CrAccessType::Clts)), Verdict::Next);
    assert_eq!(f.v.engine.reg(Reg::Cr0), 0x11);
    assert_eq!(f.decide(&exit(0, CrAccessType::Lmsw(0))), Verdict::Next);
    assert_eq!(f.v.engine.reg(Reg::Cr0), 0x11);
}

#[test]
fn cr8_is_the_task_priority() {
    let mut f = Fixture::new();
    assert_eq!((write(&mut f, 8, 5), f.v.lapic.cr8()), (Verdict::Next, 5));
    assert_eq!(f.decide(&exit(8, CrAccessType::MovFrom(3))), Verdict::Next);
    assert_eq!(f.gpr(Rbx), 5);
    assert_eq!(write(&mut f, 8, 16), Verdict::GP);
}

#[test]
fn instructions_are_decoded_where_the_hardware_does_not_say() {
    let unknown = exit(0, CrAccessType::UnknownWrite);
    for (code, cr0) in [
        (&[0x0f, 0x06][..], 0x11),                        // clts
        (&[0x0f, 0x22, 0xc3], 0x13),                      // mov cr0, rbx
        (&[0x0f, 0x01, 0xf3], 0x13),                      // lmsw bx
        (&[0x0f, 0x01, 0x34, 0x25, 0, 0x40, 0, 0], 0x15), // lmsw [0x4000]
    ] {
        let mut f = Fixture::with_code(code).with(&[(Rbx, 0x13)]);
        f.v.engine.set_reg(Reg::Cr0, 0x19);
        f.write(0x4000, &[5, 0]);
        assert_eq!(
            (f.decide(&unknown), f.v.engine.reg(Reg::Cr0)),
            (Verdict::Next, cr0),
            "{code:02x?}"
        );
    }
    let mut f = Fixture::with_code(&[0x90]);
    assert!(matches!(f.decide(&unknown), Verdict::Stop(_)));
}

#[test]
fn reads_give_what_the_guest_is_shown() {
    let mut f = Fixture::new();
    f.v.engine.set_reg(Reg::Cr0, 0x6000_0031);
    f.v.engine.set_reg(Reg::Cr4, 0x6a0);
    for (number, value) in [(0, 0x6000_0031), (4, 0x6a0)] {
        assert_eq!(
            f.decide(&exit(number, CrAccessType::MovFrom(3))),
            Verdict::Next
        );
        assert_eq!(f.gpr(Rbx), value);
    }
    assert!(matches!(
        f.decide(&exit(2, CrAccessType::MovFrom(3))),
        Verdict::Stop(_)
    ));
}

/// The instruction that reads CR0 or CR4, RBX after it, and the quadword at 0x4000.
#[test]
fn reads_are_decoded_where_the_hardware_does_not_say() {
    let rows: &[(&[u8], u64, u64)] = &[
        (&[0x0f, 0x20, 0xc3], 0x6000_0031, !0),       // mov rbx, cr0
        (&[0x0f, 0x20, 0xe3], 0x6a0, !0),             // mov rbx, cr4
        (&[0x48, 0x0f, 0x01, 0xe3], 0x6000_0031, !0), // smsw rbx
        (&[0x0f, 0x01, 0xe3], 0x6000_0031, !0),       // smsw ebx
        (&[0x66, 0x0f, 0x01, 0xe3], !0 << 16 | 0x31, !0), // smsw bx
        (
            &[0x0f, 0x01, 0x24, 0x25, 0, 0x40, 0, 0], // smsw [0x4000]
            !0,
            !0 << 16 | 0x31,
        ),
    ];
    for &(code, rbx, memory) in rows {
        let mut f = Fixture::with_code(code).with(&[(Rbx, !0)]);
        f.v.engine.set_reg(Reg::Cr0, 0x6000_0031);
        f.v.engine.set_reg(Reg::Cr4, 0x6a0);
        f.write(0x4000, &[0xff; 8]);
        let verdict = f.decide(&exit(0, CrAccessType::UnknownRead));
        assert_eq!((verdict, f.gpr(Rbx)), (Verdict::Next, rbx), "{code:02x?}");
        let mut stored = [0; 8];
        f.v.guest.ram.read(L1Gpa(0x4000), &mut stored).unwrap();
        assert_eq!(u64::from_le_bytes(stored), memory, "{code:02x?}");
    }
}
