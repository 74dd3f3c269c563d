//! The physical machine behind vmm's traits, and the engine that it carries guests with.

use crate::phys::Phys;
use crate::svm::Svm;
use crate::vmx::Vmx;
use crate::{percpu, rtc, traps, tsc};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::arch::asm;
use core::arch::x86_64::__cpuid_count;
use spec::addr::Hpa;
use vmm::machine::{Capabilities, CpuidResult, Engine, Machine, Memory};

/// VMX or SVM, as found on this machine.
pub trait Backend: Send + Sync {
    /// `VMX` or `SVM`.
    fn name(&self) -> &'static str;
    /// What it can carry.
    fn capabilities(&self) -> Capabilities;
    /// Switches it on, on the CPU that calls; the error says what to change.
    fn enable(&self) -> Result<(), String>;
    /// A virtual CPU in the state after INIT, with the nested paging structure at `root`.
    fn new_engine(&self, root: Hpa) -> Box<dyn Engine>;
}

/// Where the console is.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    /// Writes bytes.
    pub write: fn(&[u8]),
    /// Reads what has come in, if anything can.
    pub read: Option<fn() -> Option<u8>>,
}

/// This machine.
pub struct Native {
    backend: Box<dyn Backend>,
    console: Console,
    epoch: u64,
}

impl Native {
    /// The machine with this engine and console.
    #[must_use]
    pub fn new(backend: Box<dyn Backend>, console: Console) -> Self {
        let epoch = rtc::seconds_since_epoch().saturating_sub(tsc::now() / tsc::hz());
        Self {
            backend,
            console,
            epoch,
        }
    }

    /// Its engine.
    #[must_use]
    pub fn backend(&self) -> &dyn Backend {
        &*self.backend
    }
}

impl Machine for Native {
    fn memory(&self) -> &'static dyn Memory {
        &Phys
    }

    #[inline]
    fn now(&self) -> u64 {
        tsc::now()
    }

    fn tsc_hz(&self) -> u64 {
        tsc::hz()
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    #[inline]
    fn cpu(&self) -> usize {
        percpu::this().index()
    }

    fn capabilities(&self) -> Capabilities {
        self.backend.capabilities()
    }

    fn new_engine(&self, root: Hpa) -> Box<dyn Engine> {
        self.backend.new_engine(root)
    }

    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuidResult {
        let found = __cpuid_count(leaf, subleaf);
        CpuidResult {
            eax: found.eax,
            ebx: found.ebx,
            ecx: found.ecx,
            edx: found.edx,
        }
    }

    #[inline]
    fn accept_interrupts(&self) -> bool {
        traps::accept_interrupts();
        percpu::this().take_tick()
    }

    fn wait(&self, deadline: Option<u64>) {
        match deadline {
            Some(deadline) if deadline <= tsc::now() => traps::accept_interrupts(),
            Some(deadline) => {
                percpu::with_apic(|apic| apic.arm(deadline));
                traps::wait();
                percpu::with_apic(|apic| apic.disarm());
            }
            None => traps::wait(),
        }
    }

    fn wake(&self, cpu: usize) {
        if let Some(cpu) = percpu::all().get(cpu) {
            percpu::with_apic(|apic| apic.wake(cpu.apic_id()));
        }
    }

    fn write_back_caches(&self) {
        // SAFETY: WBINVD at CPL 0 changes no data.
        unsafe { asm!("wbinvd", options(nostack, preserves_flags)) }
    }

    fn write_console(&self, text: &[u8]) {
        (self.console.write)(text);
    }

    fn has_console_input(&self) -> bool {
        self.console.read.is_some()
    }

    fn read_console(&self) -> Option<u8> {
        self.console.read.and_then(|read| read())
    }
}

/// The VMX engine, if this machine can carry it; else what is missing and what to change.
pub fn vmx() -> Result<Box<dyn Backend>, String> {
    match Vmx::detect() {
        Ok(vmx) => Ok(Box::new(vmx)),
        Err(error) => Err(error.to_string()),
    }
}

/// The SVM engine, likewise.
pub fn svm() -> Result<Box<dyn Backend>, String> {
    match Svm::detect() {
        Ok(svm) => Ok(Box::new(svm)),
        Err(error) => Err(error.to_string()),
    }
}
