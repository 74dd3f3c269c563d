//! CPUID: what the machine says, less what we do not carry, plus what we add. What a leaf may
//! show is a list of the bits that are let through, so that a feature nobody thought of stays hidden.

mod extended;
mod hypervisor;
mod topology;

use super::Exit;
use super::table::Verdict;
use crate::device::lapic::base;
use crate::machine::{CpuidResult, Gpr, Reg};
use crate::vcpu::Vcpu;
use spec::control_registers::{Cr4, Xcr0};
use spec::cpuid::{ExtendedEdx, Leaf1Ecx, Leaf1Edx, Leaf7Ebx, Leaf7Ecx, Leaf7Edx, LeafDEax, leaf};

/// The highest basic leaf that a guest sees.
const HIGHEST_BASIC: u32 = leaf::TOPOLOGY_V2;
const LEAF1_ECX: Leaf1Ecx = Leaf1Ecx::SSE3
    .union(Leaf1Ecx::PCLMULQDQ)
    .union(Leaf1Ecx::SSSE3)
    .union(Leaf1Ecx::FMA)
    .union(Leaf1Ecx::CMPXCHG16B)
    .union(Leaf1Ecx::SSE4_1)
    .union(Leaf1Ecx::SSE4_2)
    .union(Leaf1Ecx::MOVBE)
    .union(Leaf1Ecx::POPCNT)
    .union(Leaf1Ecx::AES)
    .union(Leaf1Ecx::XSAVE)
    .union(Leaf1Ecx::AVX)
    .union(Leaf1Ecx::F16C)
    .union(Leaf1Ecx::RDRAND);

/// What we add ourselves: the virtual APIC has both.
const LEAF1_ECX_OURS: Leaf1Ecx = Leaf1Ecx::X2APIC
    .union(Leaf1Ecx::TSC_DEADLINE)
    .union(Leaf1Ecx::HYPERVISOR);

const LEAF1_EDX: u32 = !(Leaf1Edx::PSN
    .union(Leaf1Edx::DS)
    .union(Leaf1Edx::ACPI)
    .union(Leaf1Edx::SS)
    .union(Leaf1Edx::HTT)
    .union(Leaf1Edx::TM)
    .union(Leaf1Edx::PBE))
.bits();

/// Leaf 6, EAX: the local APIC's timer runs whatever the processor sleeps in.
const ALWAYS_RUNNING_APIC_TIMER: u32 = 1 << 2;

const LEAF7_EBX: Leaf7Ebx = Leaf7Ebx::FSGSBASE
    .union(Leaf7Ebx::TSC_ADJUST)
    .union(Leaf7Ebx::BMI1)
    .union(Leaf7Ebx::AVX2)
    .union(Leaf7Ebx::SMEP)
    .union(Leaf7Ebx::BMI2)
    .union(Leaf7Ebx::ERMS)
    .union(Leaf7Ebx::AVX512F)
    .union(Leaf7Ebx::AVX512DQ)
    .union(Leaf7Ebx::RDSEED)
    .union(Leaf7Ebx::ADX)
    .union(Leaf7Ebx::SMAP)
    .union(Leaf7Ebx::AVX512_IFMA)
    .union(Leaf7Ebx::CLFLUSHOPT)
    .union(Leaf7Ebx::CLWB)
    .union(Leaf7Ebx::AVX512CD)
    .union(Leaf7Ebx::SHA)
    .union(Leaf7Ebx::AVX512BW)
    .union(Leaf7Ebx::AVX512VL);

const LEAF7_ECX: Leaf7Ecx = Leaf7Ecx::AVX512_VBMI
    .union(Leaf7Ecx::UMIP)
    .union(Leaf7Ecx::AVX512_VBMI2)
    .union(Leaf7Ecx::GFNI)
    .union(Leaf7Ecx::VAES)
    .union(Leaf7Ecx::VPCLMULQDQ)
    .union(Leaf7Ecx::AVX512_VNNI)
    .union(Leaf7Ecx::AVX512_BITALG)
    .union(Leaf7Ecx::AVX512_VPOPCNTDQ)
    .union(Leaf7Ecx::RDPID);

const LEAF_D1_EAX: LeafDEax = LeafDEax::XSAVEOPT
    .union(LeafDEax::XSAVEC)
    .union(LeafDEax::XGETBV_ECX_1);

/// The extended states that a guest may enable: those that come with the instructions above.
pub(super) const STATES: Xcr0 = Xcr0::X87
    .union(Xcr0::SSE)
    .union(Xcr0::AVX)
    .union(Xcr0::AVX512);

/// How many leaves a virtual CPU remembers: of those whose numbers end alike, the last one.
const REMEMBERED: usize = 8;

/// The leaves that a virtual CPU was shown last, without those that change with its registers.
/// CPUID is slow, and slower still where we are a guest ourselves.
#[derive(Debug)]
pub struct Leaves([((u32, u32), CpuidResult); REMEMBERED]);

impl Default for Leaves {
    /// Leaf FFFF_FFFFH, which is empty, in every place.
    fn default() -> Self {
        Self([((u32::MAX, 0), CpuidResult::default()); REMEMBERED])
    }
}

/// Who made the processor, where guests are shown different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vendor {
    Intel,
    /// Hygon's processors are AMD's.
    Amd,
    Other,
}

impl Vendor {
    pub(super) fn of(v: &Vcpu) -> Self {
        match &v.host.machine.cpuid(leaf::VENDOR, 0).ebx.to_le_bytes() {
            b"Genu" => Self::Intel,
            b"Auth" | b"Hygo" => Self::Amd,
            _ => Self::Other,
        }
    }
}

/// CPUID.
pub(super) fn cpuid(_: &Exit, v: &mut Vcpu) -> Verdict {
    let asked = (v.gprs[Gpr::Rax] as u32, v.gprs[Gpr::Rcx] as u32);
    let (known, shown) = v.leaves.0[asked.0 as usize % REMEMBERED];
    if known != asked {
        return look_up(v, asked);
    }
    answer(v, shown)
}

#[inline(always)]
fn answer(v: &mut Vcpu, shown: CpuidResult) -> Verdict {
    v.gprs[Gpr::Rax] = shown.eax.into();
    v.gprs[Gpr::Rbx] = shown.ebx.into();
    v.gprs[Gpr::Rcx] = shown.ecx.into();
    v.gprs[Gpr::Rdx] = shown.edx.into();
    Verdict::Next
}

#[inline(never)]
fn look_up(v: &mut Vcpu, asked: (u32, u32)) -> Verdict {
    let shown = show(v, within(v, asked.0), asked.1);
    // These mirror CR4, XCR0, IA32_APIC_BASE and the mode.
    const MIRRORS: [u32; 3] = [leaf::FEATURES, leaf::XSAVE, leaf::EXTENDED_FEATURES_AMD];
    if !MIRRORS.contains(&asked.0) {
        v.leaves.0[asked.0 as usize % REMEMBERED] = (asked, shown);
    }
    answer(v, shown)
}

/// Intel answers a leaf above the highest one with the highest basic one (SDM 2A "CPUID"). AMD's are empty.
fn within(v: &Vcpu, number: u32) -> u32 {
    let range = match number {
        ..=leaf::FREQUENCY | leaf::HYPERVISOR..leaf::EXTENDED => return number,
        ..leaf::HYPERVISOR => leaf::VENDOR,
        leaf::EXTENDED.. => leaf::EXTENDED,
    };
    let is_above = number > show(v, range, 0).eax;
    if is_above && Vendor::of(v) == Vendor::Intel {
        return show(v, leaf::VENDOR, 0).eax;
    }
    number
}

/// The processor's family, model and stepping, which EDX holds after reset and INIT.
pub(crate) fn signature(v: &Vcpu) -> u64 {
    v.host.machine.cpuid(leaf::FEATURES, 0).eax.into()
}

/// What the guest sees of a leaf.
fn show(v: &Vcpu, number: u32, subleaf: u32) -> CpuidResult {
    let real = |leaf| v.host.machine.cpuid(leaf, subleaf);
    match number {
        leaf::VENDOR => {
            let vendor = real(number);
            let least = match Vendor::of(v) {
                Vendor::Intel => leaf::FREQUENCY,
                _ => 0,
            };
            CpuidResult {
                eax: vendor.eax.max(least).min(HIGHEST_BASIC),
                ..vendor
            }
        }
        leaf::FEATURES => features(v, real(number)),
        leaf::CACHE_DESCRIPTORS => real(number),
        leaf::CACHE_PARAMETERS => topology::cache(v, real(number)),
        leaf::POWER => CpuidResult {
            eax: ALWAYS_RUNNING_APIC_TIMER,
            ..CpuidResult::default()
        },
        leaf::EXTENDED_FEATURES if subleaf == 0 => {
            let r = real(number);
            let edx = r.edx & Leaf7Edx::FSRM.bits();
            CpuidResult {
                eax: 0,
                ebx: r.ebx & LEAF7_EBX.bits(),
                ecx: r.ecx & LEAF7_ECX.bits(),
                edx,
            }
        }
        leaf::TOPOLOGY | leaf::TOPOLOGY_V2 => topology::levels(v, subleaf),
        leaf::TSC | leaf::FREQUENCY => frequency(v, number),
        leaf::XSAVE => xsave(v, subleaf),
        leaf::HYPERVISOR..=leaf::HYPERVISOR_LAST => hypervisor::show(v, number),
        leaf::EXTENDED.. => extended::show(v, number, subleaf),
        _ => CpuidResult::default(),
    }
}

/// EDX of leaf 1: it is gone while IA32_APIC_BASE disables it (SDM 3A "Enabling or Disabling the Local APIC").
fn apic(v: &Vcpu) -> u32 {
    match v.lapic.base() & base::ENABLE {
        0 => 0,
        _ => Leaf1Edx::APIC.bits(),
    }
}

/// Intel's leaves 15H and 16H. The crystal clock, which the local APIC's timer counts, is the TSC's own.
fn frequency(v: &Vcpu, number: u32) -> CpuidResult {
    /// The bus, in MHz.
    const BUS: u32 = 100;
    let hz = v.host.machine.tsc_hz();
    let mhz = (hz / 1_000_000) as u32;
    let (eax, ebx, ecx) = match (number, u32::try_from(hz)) {
        _ if Vendor::of(v) != Vendor::Intel => (0, 0, 0),
        (leaf::TSC, Ok(hz)) => (1, 1, hz),
        // It does not fit.
        (leaf::TSC, Err(_)) => (0, 0, 0),
        _ => (mhz, mhz, BUS),
    };
    CpuidResult {
        eax,
        ebx,
        ecx,
        edx: 0,
    }
}

fn features(v: &Vcpu, real: CpuidResult) -> CpuidResult {
    /// EBX: the size that CLFLUSH works on; the APIC ID and the number of processors are ours.
    const CLFLUSH_SIZE: u32 = 0xff00;
    let os_xsave = v.engine.reg(Reg::Cr4) & Cr4::OSXSAVE.bits() != 0;
    let mirrored = if os_xsave {
        Leaf1Ecx::OSXSAVE.bits()
    } else {
        0
    };
    CpuidResult {
        eax: real.eax,
        ebx: real.ebx & CLFLUSH_SIZE | topology::ids(v),
        ecx: real.ecx & LEAF1_ECX.bits() | LEAF1_ECX_OURS.bits() | mirrored,
        edx: real.edx & LEAF1_EDX & !Leaf1Edx::APIC.bits() | apic(v) | topology::many(v),
    }
}

fn xsave(v: &Vcpu, subleaf: u32) -> CpuidResult {
    let real = v.host.machine.cpuid(leaf::XSAVE, subleaf);
    match subleaf {
        0 => CpuidResult {
            eax: real.eax & STATES.bits() as u32,
            ecx: xsave_size(v),
            edx: 0,
            ebx: enabled_size(v),
        },
        1 => CpuidResult {
            eax: real.eax & LEAF_D1_EAX.bits(),
            ebx: if real.eax & LeafDEax::XSAVEC.bits() != 0 {
                compacted_size(v)
            } else {
                enabled_size(v)
            },
            ..CpuidResult::default()
        },
        2..=63 if STATES.bits() >> subleaf & 1 != 0 => real,
        _ => CpuidResult::default(),
    }
}

/// The parts of an XSAVE area that are there whatever the states.
const LEGACY_AND_HEADER: u32 = 576;

/// The size of an XSAVE area for the enabled states, in the compacted format: one behind the other, some at
/// a multiple of 64 bytes (SDM 1 "Extended Region of an XSAVE Area"). IA32_XSS is 0.
fn compacted_size(v: &Vcpu) -> u32 {
    const ALIGNED: u32 = 1 << 1;
    let states = v.engine.reg(Reg::Xcr0);
    (2..63)
        .filter(|n| states >> n & 1 != 0)
        .map(|n| v.host.machine.cpuid(leaf::XSAVE, n))
        .fold(LEGACY_AND_HEADER, |end, state| {
            let start = match state.ecx & ALIGNED {
                0 => end,
                _ => end.checked_next_multiple_of(64).unwrap_or(u32::MAX),
            };
            start.saturating_add(state.eax)
        })
}

/// The size of an XSAVE area for these states, in the standard format.
fn size_of(v: &Vcpu, states: u64) -> u32 {
    (2..63)
        .filter(|n| states >> n & 1 != 0)
        .map(|n| v.host.machine.cpuid(leaf::XSAVE, n))
        .map(|state| state.eax.saturating_add(state.ebx))
        .fold(LEGACY_AND_HEADER, u32::max)
}

fn enabled_size(v: &Vcpu) -> u32 {
    size_of(v, v.engine.reg(Reg::Xcr0))
}

/// The size of an XSAVE area for all states that this guest may enable.
pub(crate) fn xsave_size(v: &Vcpu) -> u32 {
    size_of(v, supported_states(v).bits())
}

/// The extended states that this guest may enable.
pub(crate) fn supported_states(v: &Vcpu) -> Xcr0 {
    let real = v.host.machine.cpuid(leaf::XSAVE, 0);
    Xcr0::from_bits_retain(u64::from(real.eax)) & STATES
}

/// What Linux gives a program as AT_HWCAP: leaf 1, EDX.
pub(crate) fn hwcap(v: &Vcpu) -> u32 {
    show(v, leaf::FEATURES, 0).edx
}

/// Whether there is IA32_TSC_ADJUST.
pub(super) fn has_tsc_adjust(v: &Vcpu) -> bool {
    let structured = show(v, leaf::EXTENDED_FEATURES, 0);
    structured.ebx & Leaf7Ebx::TSC_ADJUST.bits() != 0
}

/// Whether there is IA32_TSC_AUX, which RDTSCP and RDPID give.
pub(super) fn has_tsc_aux(v: &Vcpu) -> bool {
    let extended = show(v, leaf::EXTENDED_FEATURES_AMD, 0);
    let structured = show(v, leaf::EXTENDED_FEATURES, 0);
    extended.edx & ExtendedEdx::RDTSCP.bits() != 0 || structured.ecx & Leaf7Ecx::RDPID.bits() != 0
}

/// The CR4 bits that come with features which not every processor has.
pub(crate) fn optional_cr4(v: &Vcpu) -> Cr4 {
    let features = show(v, leaf::FEATURES, 0);
    let extended = show(v, leaf::EXTENDED_FEATURES, 0);
    let mut bits = Cr4::empty();
    bits.set(Cr4::OSXSAVE, features.ecx & Leaf1Ecx::XSAVE.bits() != 0);
    bits.set(Cr4::FSGSBASE, extended.ebx & Leaf7Ebx::FSGSBASE.bits() != 0);
    bits.set(Cr4::SMEP, extended.ebx & Leaf7Ebx::SMEP.bits() != 0);
    bits.set(Cr4::SMAP, extended.ebx & Leaf7Ebx::SMAP.bits() != 0);
    bits.set(Cr4::UMIP, extended.ecx & Leaf7Ecx::UMIP.bits() != 0);
    bits
}

#[cfg(test)]
mod tests;
