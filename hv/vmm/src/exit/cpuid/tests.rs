use super::*;
use crate::exit::{Detail, Kind};
use crate::machine::fake::{FakeMachine, Fixture};
use spec::cpuid::{ExtendedEcx, ExtendedEdx};

const ONES: CpuidResult = CpuidResult {
    eax: u32::MAX,
    ebx: u32::MAX,
    ecx: u32::MAX,
    edx: u32::MAX,
};

/// A guest on a machine whose leaves are all ones.
fn rich() -> Fixture {
    let f = Fixture::new();
    for leaf in (0..0x30).chain(0x8000_0000..0x8000_0030) {
        for subleaf in 0..3 {
            f.machine.leaves.lock().insert((leaf, subleaf), ONES);
        }
    }
    f
}

fn ask(f: &mut Fixture, leaf: u32, subleaf: u32) -> CpuidResult {
    let all = u64::MAX << 32;
    f.v.set_gpr(Gpr::Rax, all | u64::from(leaf));
    f.v.set_gpr(Gpr::Rcx, all | u64::from(subleaf));
    let exit = Exit {
        kind: Kind::Cpuid,
        rip: 0,
        length: 2,
        detail: Detail::None,
        vectoring: None,
    };
    assert_eq!(f.decide(&exit), Verdict::Next);
    let [eax, ebx, ecx, edx] = [Gpr::Rax, Gpr::Rbx, Gpr::Rcx, Gpr::Rdx]
        .map(|register| u32::try_from(f.gpr(register)).expect("the upper halves are cleared"));
    CpuidResult { eax, ebx, ecx, edx }
}

#[test]
fn what_we_do_not_carry_is_hidden() {
    let mut f = rich();
    let one = ask(&mut f, 1, 0);
    let hidden =
        Leaf1Ecx::VMX | Leaf1Ecx::SMX | Leaf1Ecx::MONITOR | Leaf1Ecx::PCID | Leaf1Ecx::PDCM;
    assert_eq!(one.ecx & hidden.bits(), 0);
    assert_eq!(
        one.edx & (Leaf1Edx::DS | Leaf1Edx::ACPI | Leaf1Edx::HTT).bits(),
        0
    );
    let seven = ask(&mut f, 7, 0);
    assert_eq!(seven.eax, 0);
    assert_eq!(
        seven.ebx & (Leaf7Ebx::INVPCID | Leaf7Ebx::SGX | Leaf7Ebx::RTM).bits(),
        0
    );
    assert_eq!(
        seven.ecx & (Leaf7Ecx::LA57 | Leaf7Ecx::PKU | Leaf7Ecx::WAITPKG).bits(),
        0
    );
    let extended = ask(&mut f, 0x8000_0001, 0);
    assert_eq!(extended.ecx & ExtendedEcx::SVM.bits(), 0);
    assert_eq!(extended.edx & ExtendedEdx::FFXSR.bits(), 0);
    for leaf in [
        5,
        0xa,
        0xf,
        0x10,
        0x12,
        0x14,
        0x15,
        0x16,
        0x20,
        0x3fff_ffff,
        0x8000_0009,
        0x8000_000a,
        0x8000_001f,
        u32::MAX,
    ] {
        assert_eq!(ask(&mut f, leaf, 0), CpuidResult::default(), "{leaf:#x}");
    }
    assert_eq!(ask(&mut f, 7, 1), CpuidResult::default());
}

#[test]
fn what_we_add_is_shown_on_the_poorest_machine() {
    let mut f = Fixture::new();
    let one = ask(&mut f, 1, 0);
    assert_eq!(one.ecx, LEAF1_ECX_OURS.bits());
    assert_eq!(one.edx, Leaf1Edx::APIC.bits());
    assert_eq!(one.ebx, 1 << 16, "one processor, APIC ID 0");
}

#[test]
fn highest_leaves_are_ours() {
    let mut f = rich();
    assert_eq!(ask(&mut f, 0, 0), CpuidResult { eax: 0x1f, ..ONES });
    assert_eq!(ask(&mut f, 0x8000_0000, 0).eax, 0x8000_0008);
    let hypervisor = ask(&mut f, 0x4000_0000, 0);
    let name = [hypervisor.ebx, hypervisor.ecx, hypervisor.edx]
        .map(u32::to_le_bytes)
        .concat();
    assert_eq!(
        (hypervisor.eax, name.as_slice()),
        (0x4000_0010, b"NestlingNest".as_slice())
    );
    assert_eq!(ask(&mut f, 0x4000_0001, 0).eax, abi::VERSION as u32);
    assert_eq!(ask(&mut f, 0x4000_0010, 0).eax, 1_000_000);
    assert_eq!(ask(&mut f, 0x4000_0002, 0), CpuidResult::default());
}

#[test]
fn a_disabled_apic_is_not_shown() {
    let mut f = rich();
    assert_ne!(ask(&mut f, 1, 0).edx & Leaf1Edx::APIC.bits(), 0);
    f.v.lapic.set_base(base::ADDRESS | base::BSP).unwrap();
    assert_eq!(ask(&mut f, 1, 0).edx & Leaf1Edx::APIC.bits(), 0);
}

/// AMD's leaf 80000001H repeats it.
#[test]
fn a_disabled_apic_is_not_repeated() {
    let mut f = made_by(b"Auth", 1);
    f.machine.leaves.lock().insert((0x8000_0001, 0), ONES);
    let shown = |f: &mut Fixture| ask(f, 0x8000_0001, 0).edx & Leaf1Edx::APIC.bits();
    assert_ne!(shown(&mut f), 0);
    f.v.lapic.set_base(base::ADDRESS | base::BSP).unwrap();
    assert_eq!(shown(&mut f), 0);
}

/// SDM 2A "CPUID": SYSCALL is available in 64-bit mode only, on Intel's processors.
#[test]
fn intel_shows_syscall_to_64_bit_code() {
    for (vendor, always) in [(b"Genu", false), (b"Auth", true)] {
        let shown = |f: &mut Fixture| ask(f, 0x8000_0001, 0).edx & ExtendedEdx::SYSCALL.bits() != 0;
        let mut f = made_by(vendor, 1);
        f.machine.leaves.lock().insert((0x8000_0001, 0), ONES);
        assert!(shown(&mut f));
        f = f.in_protected_mode();
        assert_eq!(shown(&mut f), always);
    }
}

/// SDM 2A "CPUID": a leaf above the highest one is answered with the highest basic leaf; AMD's are empty.
#[test]
fn leaves_above_the_highest() {
    for number in [0x17, 0x1f, 0x30, 0x8000_00ff] {
        let mut f = made_by(b"Genu", 1);
        f.machine.leaves.lock().entry((0, 0)).or_default().eax = 0x16;
        f.machine
            .leaves
            .lock()
            .entry((0x8000_0000, 0))
            .or_default()
            .eax = 0x8000_0008;
        let highest = ask(&mut f, 0x16, 0);
        assert_ne!(highest, CpuidResult::default());
        assert_eq!(ask(&mut f, number, 0), highest, "{number:#x}");
    }
    let mut f = made_by(b"Auth", 1);
    assert_eq!(ask(&mut f, 0x8000_00ff, 0), CpuidResult::default());
}

#[test]
fn osxsave_mirrors_cr4_and_the_xsave_area_xcr0() {
    let mut f = rich();
    assert_eq!(ask(&mut f, 1, 0).ecx & Leaf1Ecx::OSXSAVE.bits(), 0);
    f.v.engine.set_reg(Reg::Cr4, Cr4::OSXSAVE.bits());
    assert_ne!(ask(&mut f, 1, 0).ecx & Leaf1Ecx::OSXSAVE.bits(), 0);
    let state = |eax, ebx| CpuidResult {
        eax,
        ebx,
        ..CpuidResult::default()
    };
    f.machine.leaves.lock().insert((0xd, 0), state(7, 0));
    f.machine.leaves.lock().insert((0xd, 2), state(256, 576));
    assert_eq!(
        (ask(&mut f, 0xd, 0).ebx, ask(&mut f, 0xd, 0).ecx),
        (576, 832)
    );
    f.v.engine.set_reg(Reg::Xcr0, 7);
    assert_eq!(ask(&mut f, 0xd, 0).ebx, 832);
    assert_eq!(ask(&mut f, 0xd, 1).eax, LEAF_D1_EAX.bits(), "no XSAVES");
}

/// SDM 2A "CPUID", leaf 0DH, subleaf 1; SDM 1 "Extended Region of an XSAVE Area". The sizes and offsets are
/// those of a processor with AVX-512; its state 9 is a hidden one.
#[test]
fn the_compacted_area_has_no_holes() {
    let mut f = Fixture::new();
    let state = |eax, ebx, ecx| CpuidResult {
        eax,
        ebx,
        ecx,
        edx: 0,
    };
    f.machine.leaves.lock().extend([
        ((0xd, 0), state(0x2e7, 0, 0)),
        ((0xd, 1), state(LeafDEax::XSAVEC.bits(), 0, 0)),
        ((0xd, 2), state(256, 576, 0)),
        ((0xd, 5), state(64, 1088, 0)),
        ((0xd, 6), state(512, 1152, 0)),
        ((0xd, 7), state(1024, 1664, 0)),
        ((0xd, 9), state(8, 2688, 0)),
    ]);
    for (xcr0, standard, compacted) in [
        (1, 576, 576),
        (3, 576, 576),
        (7, 832, 832),
        (0xe7, 2688, 576 + 256 + 64 + 512 + 1024),
    ] {
        f.v.engine.set_reg(Reg::Xcr0, xcr0);
        let sizes = (ask(&mut f, 0xd, 0).ebx, ask(&mut f, 0xd, 1).ebx);
        assert_eq!(sizes, (standard, compacted), "{xcr0:#x}");
    }
    // Sizes that leave gaps, with and without alignment to 64 bytes.
    f.machine.leaves.lock().extend([
        ((0xd, 5), state(8, 1088, 0)),
        ((0xd, 6), state(512, 1152, 2)),
        ((0xd, 7), state(1024, 1664, 0)),
    ]);
    f.v.engine.set_reg(Reg::Xcr0, 0xe7);
    assert_eq!(ask(&mut f, 0xd, 1).ebx, 896 + 512 + 1024);
    // Without XSAVEC there is the standard format alone.
    f.machine.leaves.lock().insert((0xd, 1), state(1, 0, 0));
    assert_eq!(ask(&mut f, 0xd, 1).ebx, 2688);
}

#[test]
fn address_sizes_are_those_that_we_translate() {
    let mut f = rich();
    let sizes = |eax| CpuidResult {
        eax,
        ..CpuidResult::default()
    };
    f.machine
        .leaves
        .lock()
        .insert((0x8000_0008, 0), sizes(0x30_392e));
    let want = 48 << 8 | u32::from(f.machine.capabilities.physical_address_bits);
    assert_eq!(ask(&mut f, 0x8000_0008, 0), sizes(want));
}

#[test]
fn one_thread_in_one_core() {
    let mut f = rich();
    for leaf in [0xb, 0x1f] {
        assert_eq!(
            ask(&mut f, leaf, 0),
            CpuidResult {
                eax: 0,
                ebx: 1,
                ecx: 0x100,
                edx: 0
            }
        );
        assert_eq!(
            ask(&mut f, leaf, 1),
            CpuidResult {
                eax: 0,
                ebx: 1,
                ecx: 0x201,
                edx: 0
            }
        );
        assert_eq!(
            ask(&mut f, leaf, 2),
            CpuidResult {
                eax: 0,
                ebx: 0,
                ecx: 2,
                edx: 0
            }
        );
    }
    assert_eq!(ask(&mut f, 4, 0).eax >> 14, 0);
}

/// A guest of so many virtual CPUs on a machine of this maker.
fn made_by(vendor: &[u8; 4], cpus: usize) -> Fixture {
    let machine = FakeMachine::leak();
    let ebx = u32::from_le_bytes(*vendor);
    let mut leaves = machine.leaves.lock();
    leaves.insert(
        (0, 0),
        CpuidResult {
            eax: 7,
            ebx,
            ..CpuidResult::default()
        },
    );
    leaves.entry((0x8000_0000, 0)).or_default().eax = 0x8000_0008;
    // Data, code and last-level caches, as each says of itself which kind and level it is.
    for (subleaf, kind) in [(0, 0x21), (1, 0x22), (2, 0x63)] {
        let eax = 0xffff_c000 | kind;
        leaves.insert(
            (4, subleaf),
            CpuidResult {
                eax,
                ..CpuidResult::default()
            },
        );
    }
    drop(leaves);
    Fixture::first_of(cpus, machine, alloc::vec::Vec::new())
}

/// Virtual CPUs; how many bits of the APIC ID they take; the IDs that these are.
#[test]
fn each_virtual_cpu_is_a_core_of_one_package() {
    for (cpus, bits, ids) in [
        (1, 0, 1),
        (2, 1, 2),
        (3, 2, 4),
        (4, 2, 4),
        (5, 3, 8),
        (8, 3, 8),
    ] {
        let f = made_by(b"Genu", cpus);
        let last = cpus as u32 - 1;
        let mut f = match last {
            0 => f,
            _ => f.other(last, alloc::vec::Vec::new()),
        };
        let one = ask(&mut f, 1, 0);
        assert_eq!(one.ebx, last << 24 | ids << 16);
        assert_eq!(one.edx & Leaf1Edx::HTT.bits() != 0, cpus > 1);
        f.machine.leaves.lock().entry((0, 0)).or_default().eax = 0x1f;
        for leaf in [0xb, 0x1f] {
            let (thread, core) = (ask(&mut f, leaf, 0), ask(&mut f, leaf, 1));
            assert_eq!((thread.eax, thread.ebx, thread.edx), (0, 1, last));
            assert_eq!((core.eax, core.ebx, core.edx), (bits, cpus as u32, last));
        }
        let caches = [0, 1, 2, 3].map(|n| ask(&mut f, 4, n).eax);
        let packed = (ids - 1) << 26;
        assert_eq!(
            caches,
            [
                packed | 0x21,
                packed | 0x22,
                packed | (ids - 1) << 14 | 0x63,
                0
            ]
        );
        assert_eq!(ask(&mut f, 0x8000_0008, 0).ecx, 0, "AMD's alone");
        assert_eq!(ask(&mut f, 0x8000_0001, 0).ecx, 0);
        let mut f = made_by(b"Auth", cpus);
        assert_eq!(ask(&mut f, 0x8000_0008, 0).ecx, bits << 12 | last);
        let legacy = ask(&mut f, 0x8000_0001, 0).ecx & ExtendedEcx::CMP_LEGACY.bits();
        assert_eq!(legacy != 0, cpus > 1);
    }
}

/// SDM 2A "CPUID", leaves 15H and 16H.
#[test]
fn intels_leaves_say_the_frequency() {
    let mut f = made_by(b"Genu", 1);
    let leaf = |eax, ebx, ecx| CpuidResult {
        eax,
        ebx,
        ecx,
        edx: 0,
    };
    assert_eq!(ask(&mut f, 0, 0).eax, 0x16);
    assert_eq!(ask(&mut f, 0x15, 0), leaf(1, 1, 1_000_000_000));
    assert_eq!(ask(&mut f, 0x16, 0), leaf(1000, 1000, 100));
    assert_eq!(ask(&mut f, 6, 0), leaf(4, 0, 0));
    let mut f = made_by(b"Auth", 1);
    assert_eq!(ask(&mut f, 0, 0).eax, 7);
    assert_eq!(ask(&mut f, 0x15, 0), CpuidResult::default());
}

#[test]
fn kvms_clock_is_where_its_guests_look_for_it() {
    let mut f = Fixture::new();
    let kvm = ask(&mut f, 0x4000_0100, 0);
    let name = [kvm.ebx, kvm.ecx, kvm.edx].map(u32::to_le_bytes).concat();
    assert_eq!(
        (kvm.eax, name.as_slice()),
        (0x4000_0101, b"KVMKVMKVM\0\0\0".as_slice())
    );
    assert_eq!(ask(&mut f, 0x4000_0101, 0).eax, 1 << 3 | 1 << 24);
    assert_eq!(ask(&mut f, 0x4000_0102, 0), CpuidResult::default());
}
