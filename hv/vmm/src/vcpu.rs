//! A virtual CPU: what the engine holds, and what is ours.

use crate::breakpoints::Watch;
use crate::device::lapic::Lapic;
use crate::emulate::access::Accesses;
use crate::exit::cpuid::{self, Leaves};
use crate::exit::exception;
use crate::exit::msr::PASSTHROUGH;
use crate::guest::Guest;
use crate::host::Host;
use crate::machine::{Engine, Gpr, Gprs, Reg, Segment, SegmentRegister};
use crate::msrs::Msrs;
use crate::reset;
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
    /// It executed HLT and waits.
    Halted {
        /// An interrupt ends that: they are enabled.
        interrupts: bool,
        /// An NMI ends that: they are not blocked.
        nmis: bool,
    },
    /// It waits for a startup IPI.
    WaitForSipi,
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
    /// The physical CPU holds its state.
    pub is_loaded: bool,
    /// The interrupt of a deadline has come, perhaps a little early.
    pub ticked: bool,
    /// Others wait for the same physical CPU.
    pub shares_cpu: bool,
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
    /// The loads and stores of devices that it made.
    pub accesses: Accesses,
    /// Its breakpoints, as far as L0 has to do with them.
    pub breakpoints: Watch,
    /// The CPUID leaves that it was shown.
    pub leaves: Leaves,
    /// Its exits by kind.
    pub counts: Counts,
}

/// How many interrupts a second a periodic timer makes at most. KVM does not go further either.
const SHORT_PERIODS: u64 = 5000;

impl Vcpu {
    /// Virtual CPU `number` of a guest, after reset, with registers that go through to the engine's. All but the
    /// first wait to be started.
    ///
    /// The engine is loaded on this physical CPU.
    #[must_use]
    pub fn new(
        mut engine: Box<dyn Engine>,
        guest: Arc<Guest>,
        host: &'static Host,
        number: u32,
    ) -> Self {
        set_exits(&mut *engine);
        let lapic = Lapic::new(number, &guest.interrupts);
        let mut msrs = Msrs::default();
        msrs.set_memory_types(host.machine.capabilities().physical_address_bits);
        let activity = match number {
            0 => Activity::Active,
            _ => Activity::WaitForSipi,
        };
        let processors = &guest.interrupts.processors;
        processors.set_parked(number as usize, number != 0);
        Self {
            engine,
            gprs: Gprs::default(),
            guest,
            host,
            number,
            activity,
            is_loaded: false,
            ticked: false,
            shares_cpu: false,
            timeout: None,
            expires: u64::MAX,
            alarm: None,
            lapic: Watched::new(lapic),
            msrs,
            translated: None,
            accesses: Accesses::default(),
            breakpoints: Watch::default(),
            leaves: Leaves::default(),
            counts: Counts::default(),
        }
    }

    /// Takes in what came from outside: messages, and the timers that ran out until now.
    pub fn collect(&mut self, now: u64) {
        let guest = &self.guest;
        let processors = &guest.interrupts.processors;
        if self.number == 0 && processors.alarm().is_some_and(|alarm| alarm <= now) {
            guest.bus.lock().advance(now);
        }
        if self
            .lapic
            .next_deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            self.lapic
                .advance(now, self.host.machine.tsc_hz() / SHORT_PERIODS);
        }
        self.receive();
    }

    /// Whether messages wait for it.
    #[inline]
    #[must_use]
    pub fn has_mail(&self) -> bool {
        let processors = &self.guest.interrupts.processors;
        processors.has_mail(self.number as usize)
    }

    /// After what devices or other virtual CPUs were told: messages that came back may be an interrupt for this one, or
    /// another deadline, so the next VM entry looks.
    #[inline]
    pub fn heed_mail(&mut self) {
        if self.has_mail() {
            self.lapic.touch();
        }
    }

    /// Takes in the messages that came.
    #[inline]
    pub fn receive(&mut self) {
        if self.has_mail() {
            match self.activity {
                Activity::Active => self.lapic.receive(),
                _ => self.receive_asleep(),
            }
        }
    }

    /// While the box is emptied, nobody else may think that it is empty and that this virtual CPU sleeps on.
    #[cold]
    fn receive_asleep(&mut self) {
        let processors = &self.guest.interrupts.processors;
        processors.set_parked(self.number as usize, false);
        self.lapic.receive();
        self.set_activity(self.activity);
    }

    /// When it must look at the clock next: for its APIC's timer, its guest's devices, its alarm.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        let devices = match self.number {
            0 => self.guest.interrupts.processors.alarm(),
            _ => None,
        };
        let timers = [self.lapic.next_deadline(), devices, self.alarm];
        timers.into_iter().flatten().min()
    }

    /// Carries out the INIT or the startup IPI that came (SDM 3A "MP Initialization Protocol Algorithm for MP Systems",
    /// "Processor State After Reset").
    #[cold]
    pub fn take_signals(&mut self) {
        if self.lapic.take_init() {
            self.reset();
            self.lapic.reset();
            self.set_activity(match self.number {
                0 => Activity::Active,
                _ => Activity::WaitForSipi,
            });
        }
        // Only who waits for it hears it.
        let page = self.lapic.take_startup();
        if let (Some(page), Activity::WaitForSipi) = (page, self.activity) {
            let segment = self.engine.segment(SegmentRegister::Cs);
            self.engine.set_segment(
                SegmentRegister::Cs,
                Segment {
                    selector: u16::from(page) << 8,
                    base: u64::from(page) << 12,
                    ..segment
                },
            );
            self.engine.set_reg(Reg::Rip, 0);
            self.set_activity(Activity::Active);
        }
    }

    /// The registers after INIT, and after reset (SDM 3A "Processor State After Reset").
    pub fn reset(&mut self) {
        reset::init(&mut *self.engine);
        self.gprs = Gprs::default();
        self.gprs[Gpr::Rdx] = cpuid::signature(self);
    }

    /// Whether it executes instructions, or what it waits for inside the guest has come. A startup IPI ends no HLT.
    #[must_use]
    pub fn is_awake(&self) -> bool {
        match self.activity {
            Activity::Active | Activity::Waiting(_) => true,
            Activity::Halted { interrupts, nmis } => {
                self.lapic.has_init()
                    || interrupts && self.lapic.pending_interrupt().is_some()
                    || nmis && self.lapic.has_nmi()
            }
            Activity::WaitForSipi => self.lapic.has_signal(),
        }
    }

    /// Whether it waits for nothing but an NMI, INIT or SIPI.
    #[must_use]
    pub fn takes_no_interrupts(&self) -> bool {
        matches!(
            self.activity,
            Activity::WaitForSipi
                | Activity::Halted {
                    interrupts: false,
                    ..
                }
        )
    }

    /// Changes what it does, and tells the others.
    pub fn set_activity(&mut self, activity: Activity) {
        self.activity = activity;
        let parked = self.takes_no_interrupts() && !self.is_awake() && !self.lapic.lint0_signals();
        let processors = &self.guest.interrupts.processors;
        processors.set_parked(self.number as usize, parked);
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

/// What goes through to the engine's registers at first, and what exits.
fn set_exits(engine: &mut dyn Engine) {
    for &(msr, read, write) in PASSTHROUGH {
        engine.set_msr_passthrough(msr.0, read, write);
    }
    engine.set_exception_intercepts(exception::INTERCEPTED);
    engine.set_debug_register_exiting(true);
}

#[cfg(test)]
mod tests;
