//! The leaves by which a guest knows that it is one: our own from 40000000H, and those of KVM's paravirtual clock
//! where guests look for them, in steps of 100H (Linux "Documentation/virt/kvm/x86/cpuid.rst").

use crate::machine::CpuidResult;
use crate::vcpu::Vcpu;
use spec::cpuid::leaf;

/// The highest hypervisor leaf.
const HIGHEST: u32 = TIMING;
/// The hypervisor leaf with the version of the hypercall ABI in EAX.
const ABI: u32 = 0x4000_0001;
/// The hypervisor leaf with frequencies, as other hypervisors have it: TSC in EAX and local APIC
/// timer in EBX, both in kHz.
const TIMING: u32 = 0x4000_0010;
/// EBX, ECX and EDX of [`leaf::HYPERVISOR`].
const SIGNATURE: &[u8; 12] = b"NestlingNest";

/// KVM's first leaf, and what its registers say.
const KVM: u32 = 0x4000_0100;
const KVM_SIGNATURE: &[u8; 12] = b"KVMKVMKVM\0\0\0";
/// The leaf with KVM's features in EAX.
const KVM_FEATURES: u32 = 0x4000_0101;
/// The clock is behind the MSRs 4B564D00H and 4B564D01H.
const CLOCKSOURCE2: u32 = 1 << 3;
/// All virtual CPUs' clocks agree.
const CLOCKSOURCE_STABLE: u32 = 1 << 24;

pub(super) fn show(v: &Vcpu, number: u32) -> CpuidResult {
    let khz = (v.host.machine.tsc_hz() / 1000) as u32;
    let eax = |eax| CpuidResult {
        eax,
        ..CpuidResult::default()
    };
    match number {
        leaf::HYPERVISOR => signed(HIGHEST, SIGNATURE),
        ABI => eax(abi::VERSION as u32),
        TIMING => CpuidResult {
            ebx: khz,
            ..eax(khz)
        },
        KVM => signed(KVM_FEATURES, KVM_SIGNATURE),
        KVM_FEATURES => eax(CLOCKSOURCE2 | CLOCKSOURCE_STABLE),
        _ => CpuidResult::default(),
    }
}

/// The highest leaf, and a name.
fn signed(highest: u32, name: &[u8; 12]) -> CpuidResult {
    let word = |n: usize| u32::from_le_bytes([name[n], name[n + 1], name[n + 2], name[n + 3]]);
    CpuidResult {
        eax: highest,
        ebx: word(0),
        ecx: word(4),
        edx: word(8),
    }
}
