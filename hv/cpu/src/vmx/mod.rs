//! The VMX engine. SDM 3C "Introduction to Virtual Machine Extensions" and the chapters after it.

mod bitmap;
mod capability;
mod engine;
mod event;
mod host;
mod on;
mod record;
mod registers;
mod run;
mod switch;
mod unswitched;
mod vmcs;
mod vpid;

use crate::machine::Backend;
use crate::page::Page;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use capability::Capability;
use core::arch::x86_64::__cpuid;
use core::fmt;
use spec::addr::Hpa;
use spec::cpuid::{Leaf1Ecx, leaf};
use spec::msr::Msr;
use spec::vmx::controls::EptVpidCap;
use vmm::machine::{Capabilities, Engine, NestedFormat};

/// EPT has four levels here.
const NESTED_ADDRESS_BITS: u8 = 48;

/// Why a machine cannot run guests on VMX. Its text says what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// CPUID does not show VMX.
    Missing,
    /// IA32_FEATURE_CONTROL is locked and does not allow VMX outside SMX operation.
    Disabled,
    /// A capability that we need is not there.
    Lacks {
        /// The MSR that says so.
        msr: Msr,
        /// The capability's name.
        what: String,
    },
    /// This CPU's VMX is not that of the CPU which booted.
    Differs,
    /// VMXON failed all the same.
    VmxonFailed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str(
                "this processor has no VMX (CPUID leaf 1, ECX bit 5): use one with Intel VT-x; in Bochs, cpu: model=corei7_skylake_x",
            ),
            Self::Disabled => f.write_str(
                "VMX is disabled and locked (IA32_FEATURE_CONTROL): enable VT-x, also called Intel Virtualization Technology, in the firmware's setup",
            ),
            Self::Lacks { msr, what } => write!(
                f,
                "this processor's VMX lacks {what} ({msr}): use an Intel processor of 2010 (Westmere) or later; in Bochs, cpu: model=corei7_skylake_x"
            ),
            Self::Differs => f.write_str(
                "its VMX is not that of the CPU which booted (IA32_VMX_BASIC and the MSRs after it): switch cores of other kinds off in the firmware's setup",
            ),
            Self::VmxonFailed => f.write_str(
                "VMXON failed though IA32_FEATURE_CONTROL allows it: something below us uses VMX already",
            ),
        }
    }
}

/// VMX as this machine has it, on each CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vmx {
    capability: Capability,
    capabilities: Capabilities,
}

impl Vmx {
    /// Asks this CPU what its VMX can do.
    ///
    /// # Errors
    /// What is missing.
    pub fn detect() -> Result<Self, Error> {
        let features = Leaf1Ecx::from_bits_retain(__cpuid(leaf::FEATURES).ecx);
        if !features.contains(Leaf1Ecx::VMX) {
            return Err(Error::Missing);
        }
        on::check_allowed()?;
        let capability = Capability::read()?;
        let bits = __cpuid(leaf::ADDRESS_SIZES).eax as u8;
        Ok(Self {
            capability,
            capabilities: Capabilities {
                nested_format: NestedFormat::Ept,
                nested_1g_pages: capability.ept_vpid.contains(EptVpidCap::PAGE_1G),
                physical_address_bits: bits.min(NESTED_ADDRESS_BITS),
            },
        })
    }
}

impl Vmx {
    /// Virtual CPUs are made for what detection found, and may be loaded on every CPU.
    fn enable_here(&self) -> Result<(), Error> {
        if Self::detect()? != *self {
            return Err(Error::Differs);
        }
        on::enable(&self.capability)
    }
}

impl Backend for Vmx {
    fn name(&self) -> &'static str {
        "VMX"
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn enable(&self) -> Result<(), String> {
        self.enable_here().map_err(|error| error.to_string())
    }

    fn new_engine(&self, root: Hpa) -> Box<dyn Engine> {
        run::VmxVcpu::new(&self.capability, root)
    }
}

/// A VMXON region or a VMCS region.
fn region(revision: u32) -> Box<Page> {
    let mut page = Page::filled(0);
    page.0[..4].copy_from_slice(&revision.to_le_bytes());
    page
}
