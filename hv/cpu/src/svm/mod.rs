//! The SVM engine. APM vol 2 "Secure Virtual Machine".

mod asid;
mod bitmap;
mod engine;
mod event;
mod nmi;
mod on;
mod record;
mod registers;
mod run;
mod switch;
mod vmcb;

use crate::machine::Backend;
use crate::msr;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::arch::x86_64::__cpuid;
use core::fmt;
use spec::addr::Hpa;
use spec::cpuid::{ExtendedEcx, ExtendedEdx, SvmEdx, leaf};
use spec::msr::{Msr, VmCr};
use vmm::machine::{Capabilities, Engine, NestedFormat};

/// Nested page tables have four levels, because ours have (CR4.LA57 is 0).
const NESTED_ADDRESS_BITS: u8 = 48;

/// Why a machine cannot run guests on SVM. Its text says what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// CPUID does not show SVM.
    Missing,
    /// VM_CR.SVMDIS is set and locked.
    Disabled {
        /// The lock has a key.
        key: bool,
    },
    /// VM_CR.SVMDIS is set, without the lock, and stays set.
    Stuck,
    /// No nested paging.
    NoNestedPaging,
    /// No ASID is left for guests.
    NoAsids,
    /// This CPU's SVM is not that of the CPU which booted.
    Differs,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => {
                "this processor has no SVM (CPUID 8000_0001H, ECX bit 2): use one with AMD-V; in QEMU, -accel tcg -cpu max,+svm"
            }
            Self::Disabled { key: false } => {
                "SVM is disabled and locked (VM_CR.SVMDIS): enable SVM or AMD-V in the firmware's setup"
            }
            Self::Disabled { key: true } => {
                "SVM is disabled and locked with a key (VM_CR.SVMDIS): enable SVM or AMD-V in the firmware's setup"
            }
            Self::Stuck => {
                "SVM is disabled (VM_CR.SVMDIS) and cannot be enabled from here: enable SVM or AMD-V in the firmware's setup"
            }
            Self::NoNestedPaging => {
                "this processor's SVM has no nested paging (CPUID 8000_000AH, EDX bit 0): use a newer one; in QEMU, -cpu max,+svm,+npt"
            }
            Self::NoAsids => {
                "this processor's SVM has no address space identifier for guests (CPUID 8000_000AH, EBX): use another one; in QEMU, -accel tcg -cpu max,+svm"
            }
            Self::Differs => {
                "its SVM is not that of the CPU which booted (CPUID 8000_000AH): switch cores of other kinds off in the firmware's setup"
            }
        })
    }
}

/// SVM as this machine has it, on each CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Svm {
    features: SvmEdx,
    asids: u32,
    capabilities: Capabilities,
}

impl Svm {
    /// Asks this CPU what its SVM can do.
    ///
    /// # Errors
    /// What is missing.
    pub fn detect() -> Result<Self, Error> {
        if __cpuid(leaf::EXTENDED).eax < leaf::SVM {
            return Err(Error::Missing);
        }
        let extended = __cpuid(leaf::EXTENDED_FEATURES_AMD);
        if !ExtendedEcx::from_bits_retain(extended.ecx).contains(ExtendedEcx::SVM) {
            return Err(Error::Missing);
        }
        let found = __cpuid(leaf::SVM);
        let features = SvmEdx::from_bits_retain(found.edx);
        let vm_cr = VmCr::from_bits_retain(msr::read(Msr::AMD_VM_CR.0));
        if vm_cr.locks_svm_out() {
            let key = features.contains(SvmEdx::SVM_LOCK);
            return Err(Error::Disabled { key });
        }
        if !features.contains(SvmEdx::NP) {
            return Err(Error::NoNestedPaging);
        }
        if found.ebx < 2 {
            return Err(Error::NoAsids);
        }
        let pages = ExtendedEdx::from_bits_retain(extended.edx);
        Ok(Self {
            features,
            asids: found.ebx,
            capabilities: Capabilities {
                nested_format: NestedFormat::Npt,
                nested_1g_pages: pages.contains(ExtendedEdx::PAGE_1G),
                physical_address_bits: physical_address_bits(),
            },
        })
    }
}

impl Svm {
    /// Virtual CPUs are made for what detection found, and may be loaded on every CPU.
    fn enable_here(&self) -> Result<(), Error> {
        if Self::detect()? != *self {
            return Err(Error::Differs);
        }
        on::enable(self.asids)
    }
}

impl Backend for Svm {
    fn name(&self) -> &'static str {
        "SVM"
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn enable(&self) -> Result<(), String> {
        self.enable_here().map_err(|error| error.to_string())
    }

    fn new_engine(&self, root: Hpa) -> Box<dyn Engine> {
        Box::new(run::SvmVcpu::new(self.features, root))
    }
}

fn physical_address_bits() -> u8 {
    let bits = __cpuid(leaf::ADDRESS_SIZES).eax as u8;
    bits.min(NESTED_ADDRESS_BITS)
}
