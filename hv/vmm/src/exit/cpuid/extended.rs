//! The extended leaves, from 80000000H on, which are AMD's first.

use super::{LEAF1_EDX, Vendor, apic, topology};
use crate::emulate::fetch;
use crate::machine::CpuidResult;
use crate::vcpu::Vcpu;
use spec::cpuid::{ExtendedEcx, ExtendedEdx, Leaf1Edx, PowerEdx, leaf};

/// The highest of them that a guest sees.
const HIGHEST: u32 = leaf::ADDRESS_SIZES;

const EXTENDED_ECX: ExtendedEcx = ExtendedEcx::LAHF_SAHF
    .union(ExtendedEcx::ALT_MOV_CR8)
    .union(ExtendedEcx::ABM)
    .union(ExtendedEcx::SSE4A)
    .union(ExtendedEcx::MISALIGN_SSE)
    .union(ExtendedEcx::PREFETCHW);

/// What AMD repeats from leaf 1 in leaf 80000001H, EDX.
const REPEATED_EDX: u32 = 0x0183_f3ff;

const EXTENDED_EDX: u32 = ExtendedEdx::SYSCALL
    .union(ExtendedEdx::NX)
    .union(ExtendedEdx::MMX_EXT)
    .union(ExtendedEdx::PAGE_1G)
    .union(ExtendedEdx::RDTSCP)
    .union(ExtendedEdx::LM)
    .bits()
    | REPEATED_EDX & LEAF1_EDX;

/// What the guest sees of one of them.
pub(super) fn show(v: &Vcpu, number: u32, subleaf: u32) -> CpuidResult {
    let real = |leaf| v.host.machine.cpuid(leaf, subleaf);
    match number {
        leaf::EXTENDED => {
            let r = real(number);
            CpuidResult {
                eax: r.eax.min(HIGHEST),
                ..r
            }
        }
        leaf::EXTENDED_FEATURES_AMD => {
            let r = real(number);
            CpuidResult {
                ecx: r.ecx & EXTENDED_ECX.bits() | topology::are_cores(v),
                edx: extended_features(v, r.edx),
                ..r
            }
        }
        leaf::BRAND..=leaf::L2_CACHE => real(number),
        leaf::INVARIANT_TSC => CpuidResult {
            edx: real(number).edx & PowerEdx::INVARIANT_TSC.bits(),
            ..CpuidResult::default()
        },
        leaf::ADDRESS_SIZES => CpuidResult {
            eax: address_sizes(v, real(number).eax),
            ecx: topology::size(v),
            ..CpuidResult::default()
        },
        _ => CpuidResult::default(),
    }
}

/// AMD repeats that there is a local APIC; Intel shows SYSCALL to 64-bit code only (SDM 2A "CPUID", leaf 80000001H).
fn extended_features(v: &Vcpu, real: u32) -> u32 {
    let hidden = match Vendor::of(v) {
        Vendor::Intel if fetch::code_size(v) != 64 => ExtendedEdx::SYSCALL.bits(),
        Vendor::Intel => 0,
        _ => Leaf1Edx::APIC.bits() & !apic(v),
    };
    real & EXTENDED_EDX & !hidden
}

/// Physical address bits are those that we translate to; without LA57 there are 48 linear ones.
fn address_sizes(v: &Vcpu, real: u32) -> u32 {
    let linear = (real >> 8 & 0xff).min(48);
    let physical = v.host.machine.capabilities().physical_address_bits;
    linear << 8 | u32::from(physical)
}
