//! The topology that a guest sees: one package, a core for each virtual CPU, a thread in each core. The APIC ID is the
//! number of the virtual CPU (SDM 3A "Hierarchical Mapping of Shared Resources", APM vol 3 "Core Local Identification").

use super::Vendor;
use crate::machine::CpuidResult;
use crate::vcpu::Vcpu;
use spec::cpuid::{ExtendedEcx, Leaf1Edx};

fn cores(v: &Vcpu) -> u32 {
    v.guest.interrupts.processors.count() as u32
}

/// How many bits of an APIC ID tell the cores apart.
fn core_bits(v: &Vcpu) -> u32 {
    cores(v).next_power_of_two().trailing_zeros()
}

/// The highest APIC ID that the package has room for.
fn highest_id(v: &Vcpu) -> u32 {
    (1 << core_bits(v)) - 1
}

/// Leaf 1, EBX: the APIC ID and how many IDs the package has room for.
pub(super) fn ids(v: &Vcpu) -> u32 {
    v.number << 24 | (highest_id(v) + 1) << 16
}

/// Leaf 1, EDX: the number of IDs means something.
pub(super) fn many(v: &Vcpu) -> u32 {
    match cores(v) {
        1 => 0,
        _ => Leaf1Edx::HTT.bits(),
    }
}

/// Leaf 4: which cores share a cache of the machine. The outermost one belongs to all, others to one core.
pub(super) fn cache(v: &Vcpu, real: CpuidResult) -> CpuidResult {
    const IDS: u32 = 0xffff_c000;
    const LAST_LEVEL: u32 = 3;
    if real.eax & 0x1f == 0 {
        return CpuidResult::default();
    }
    let sharing = match real.eax >> 5 & 7 {
        LAST_LEVEL => highest_id(v) << 14,
        _ => 0,
    };
    CpuidResult {
        eax: real.eax & !IDS | sharing | highest_id(v) << 26,
        ..real
    }
}

/// Leaves 0BH and 1FH.
pub(super) fn levels(v: &Vcpu, subleaf: u32) -> CpuidResult {
    const SMT: u32 = 1;
    const CORE: u32 = 2;
    let (kind, eax, ebx) = match subleaf {
        0 => (SMT, 0, 1),
        1 => (CORE, core_bits(v), cores(v)),
        _ => (0, 0, 0),
    };
    CpuidResult {
        eax,
        ebx,
        ecx: kind << 8 | subleaf & 0xff,
        edx: v.number,
    }
}

/// AMD's leaf 80000001H, ECX: the logical processors of leaf 1 are cores.
pub(super) fn are_cores(v: &Vcpu) -> u32 {
    match (Vendor::of(v), cores(v)) {
        (Vendor::Amd, 2..) => ExtendedEcx::CMP_LEGACY.bits(),
        _ => 0,
    }
}

/// AMD's leaf 80000008H, ECX.
pub(super) fn size(v: &Vcpu) -> u32 {
    match Vendor::of(v) {
        Vendor::Amd => core_bits(v) << 12 | (cores(v) - 1),
        _ => 0,
    }
}
