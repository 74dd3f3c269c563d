//! A virtual CPU: what the engine holds, and what is ours.

use crate::device::lapic::Lapic;
use crate::exit::cpuid::Leaves;
use crate::exit::exception;
use crate::exit::msr::PASSTHROUGH;
use crate::guest::Guest;
use crate::host::Host;
use crate::machine::{Engine, Gpr, Gprs, Reg};
use crate::msrs::Msrs;
use crate::trace::Counts;
use crate::watched::Watched;
use alloc::boxed::Box;
use alloc::sync::Arc;
use spec::addr::{Gva, L1Gpa};

/// Whether a virtual CPU executes instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It does.
    Active,
    /// It executed HLT and waits for an interrupt.
    Halted,
    /// It waits for something outside, and looks again when the TSC reaches this.
    Waiting(u64),
}

/// A guest-linear page and what the guest's paging makes of it.
#[derive(Clone, Copy, Debug)]
pub struct Translated {
    /// The page.
    pub from: Gva,
    /// The guest-physical page.
    pub to: L1Gpa,
    /// The guest's paging lets the instruction write it.
    pub write: bool,
}

/// A virtual CPU of a guest.
pub struct Vcpu {
    /// The state that the engine holds.
    pub engine: Box<dyn Engine>,
    /// The general-purpose registers but RSP.
    pub gprs: Gprs,
    /// The guest that it belongs to.
    pub guest: Arc<Guest>,
    /// The machine.
    pub host: &'static Host,
    /// Its number within the guest, which is its APIC ID.
    pub number: u32,
    /// Whether it runs.
    pub activity: Activity,
    /// How many seconds it may run from when the guests start, and the TSC at which they are over.
    pub timeout: Option<u64>,
    /// See `timeout`.
    pub expires: u64,
    /// When its guest wants an exit, besides the timer of its local APIC. Who changes it touches the APIC.
    pub alarm: Option<u64>,
    /// Its local APIC. A change means that the next VM entry looks for interrupts and deadlines.
    pub lapic: Watched<Lapic>,
    /// Model-specific registers that exist only in software.
    pub msrs: Msrs,
    /// A translation that the processor made for the instruction that is carried out.
    pub translated: Option<Translated>,
    /// The CPUID leaves that it was shown.
    pub leaves: Leaves,
    /// Its exits by kind.
    pub counts: Counts,
}

impl Vcpu {
    /// The only virtual CPU of a guest, with registers that go through to the engine's.
    #[must_use]
    pub fn new(mut engine: Box<dyn Engine>, guest: Arc<Guest>, host: &'static Host) -> Self {
        for &(msr, read, write) in PASSTHROUGH {
            engine.set_msr_passthrough(msr.0, read, write);
        }
        engine.set_exception_intercepts(exception::INTERCEPTED);
        Self {
            engine,
            gprs: Gprs::default(),
            guest,
            host,
            number: 0,
            activity: Activity::Active,
            timeout: None,
            expires: u64::MAX,
            alarm: None,
            lapic: Watched::new(Lapic::new(0)),
            msrs: Msrs::default(),
            translated: None,
            leaves: Leaves::default(),
            counts: Counts::default(),
        }
    }

    /// Reads a general-purpose register, RSP included.
    #[inline]
    #[must_use]
    pub fn gpr(&self, register: Gpr) -> u64 {
        if register == Gpr::Rsp {
            self.engine.reg(Reg::Rsp)
        } else {
            self.gprs[register]
        }
    }

    /// Writes a general-purpose register, RSP included.
    #[inline]
    pub fn set_gpr(&mut self, register: Gpr, value: u64) {
        if register == Gpr::Rsp {
            self.engine.set_reg(Reg::Rsp, value);
        } else {
            self.gprs[register] = value;
        }
    }
}
