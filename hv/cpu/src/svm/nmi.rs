//! NMI blocking and the NMI window, in software: SVM neither tracks the blocking of injected NMIs nor
//! exits when it ends.
//!
//! While NMIs are blocked, IRET is intercepted. That exit comes before the IRET, and an NMI then would
//! be nested in the handler that is just returning; so the IRET is stepped with RFLAGS.TF and the
//! window opens at the #DB after it. All exceptions are intercepted meanwhile: one that the IRET
//! itself raises goes to the guest without our TF in the RFLAGS that it pushes.
//!
//! The same step lets an interrupt shadow pass. There, a PUSHF in the shadow of STI or MOV SS
//! would push our TF.
//!
//! QEMU forgets the shadow at VMRUN (APM vol 2 "Interrupt Shadows": VMRUN loads it): an interrupt would come
//! between STI and HLT, and nothing would end the HLT. An exit at the instruction that a shadow
//! protected is an exit in that shadow; if it is the interrupt window, which opened too early, the
//! instruction is stepped.

use super::run::SvmVcpu;
use super::vmcb::{Intercept1, InterruptShadow};
use crate::percpu;
use spec::control_registers::{Cr0, Dr6, Rflags};
use spec::exception::Vector;
use spec::svm::exit::ExitCode;
use vmm::exit::from_svm::SvmRecord;
use vmm::machine::Event;

/// The state of NMIs in a virtual CPU.
#[derive(Default)]
pub(super) struct Nmi {
    blocked: bool,
    /// vmm waits for the window.
    window: bool,
    step: Option<Step>,
}

/// One instruction, stepped.
struct Step {
    iret: bool,
    rip: u64,
    /// What the guest had in RFLAGS.TF and DR6.
    tf: bool,
    dr6: u64,
    /// The interrupt window was awaited. It would open at the instruction, whatever the shadow.
    interrupt_window: bool,
}

impl Nmi {
    /// Nothing has to be watched.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        !self.blocked && !self.window
    }

    /// NMIs are blocked until IRET.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// The state changes.
    pub(super) fn set_window(&mut self, on: bool) {
        self.window = on;
    }
}

impl SvmVcpu {
    /// Blocks NMIs until IRET, or no longer.
    pub(super) fn set_nmi_blocked(&mut self, blocked: bool) {
        self.nmi.blocked = blocked;
        self.watched = true;
        self.set_iret_intercept(blocked);
    }

    /// The exceptions that vmm wants, machine checks, and all while an instruction is stepped.
    pub(super) fn update_exception_intercepts(&mut self) {
        let always = 1 << Vector::MC.0;
        let wanted = if self.nmi.step.is_some() {
            u32::MAX
        } else {
            self.exceptions | always
        };
        self.vmcb.set_intercept_exceptions(wanted);
    }

    /// Before VMRUN, when something is watched. While an event is delivered the window is
    /// awaited by an interrupt to ourselves, which exits right after the delivery.
    pub(super) fn before_watched_entry(&mut self) {
        self.prepare_software_event();
        if !self.nmi.window || self.nmi.blocked || self.nmi.step.is_some() {
            return;
        }
        if self.vmcb.control.event_inj.valid() {
            percpu::with_apic(|apic| apic.wake(apic.id()));
        } else {
            self.start_step(false);
        }
    }

    /// Before VMRUN, when something is watched: the instruction that an interrupt shadow protects.
    pub(super) fn in_interrupt_shadow(&self) -> Option<u64> {
        let control = &self.vmcb.control;
        let protects = self.held_back().blocking_by_sti_or_mov_ss && !control.event_inj.valid();
        protects.then_some(self.vmcb.save.rip)
    }

    /// After VMRUN, when something is watched: whether this exit concerns vmm, which then finds it in the record.
    pub(super) fn after_watched_exit(
        &mut self,
        in_interrupt_shadow: Option<u64>,
        record: &mut SvmRecord,
    ) -> bool {
        let code = ExitCode(record.exit_code);
        if in_interrupt_shadow == Some(record.rip) && code.exception() != Some(Vector::DB) {
            self.vmcb
                .set_interrupt_shadow(InterruptShadow::INTERRUPT_SHADOW);
            if code == ExitCode::VINTR {
                self.start_step(false);
                return false;
            }
        }
        if let Some(step) = self.nmi.step.take() {
            let concerns = self.finish_step(&step, *record);
            return concerns.map(|changed| *record = changed).is_some();
        }
        if code == ExitCode::IRET {
            self.start_step(true);
            return false;
        }
        true
    }

    fn set_iret_intercept(&mut self, on: bool) {
        let mut intercepts = self.vmcb.control.intercept1;
        intercepts.set(Intercept1::IRET, on);
        self.vmcb.set_intercept1(intercepts);
    }

    fn start_step(&mut self, iret: bool) {
        let save = &self.vmcb.save;
        let (rip, flags, dr6) = (save.rip, save.rflags, save.dr6);
        let tf = flags & Rflags::TF.bits() != 0;
        self.nmi.step = Some(Step {
            iret,
            rip,
            tf,
            dr6,
            interrupt_window: self.set_virtual_interrupt_window(false),
        });
        self.set_iret_intercept(false);
        self.update_exception_intercepts();
        self.vmcb.set_rflags(flags | Rflags::TF.bits());
    }

    fn finish_step(&mut self, step: &Step, record: SvmRecord) -> Option<SvmRecord> {
        self.update_exception_intercepts();
        self.set_virtual_interrupt_window(step.interrupt_window);
        // Bochs does not set DR6.BS in an intercepted #DB.
        let moved = record.rip != step.rip || self.vmcb.save.dr6 & Dr6::BS.bits() != 0;
        let stepped = moved && ExitCode(record.exit_code).exception() == Some(Vector::DB);
        if stepped {
            return self.stepped(step, record);
        }
        self.restore_tf(step);
        self.set_iret_intercept(self.nmi.blocked);
        self.pass_on(record)
    }

    /// The instruction is done: the window is open, unless the #DB is the guest's own, too.
    fn stepped(&mut self, step: &Step, record: SvmRecord) -> Option<SvmRecord> {
        const BREAKPOINTS: u64 = 0xf;
        if step.iret {
            self.nmi.blocked = false;
        } else {
            self.restore_tf(step);
        }
        let dr6 = self.vmcb.save.dr6;
        if !step.tf {
            self.vmcb
                .set_dr6(dr6 & !Dr6::BS.bits() | step.dr6 & Dr6::BS.bits());
        }
        if step.tf || dr6 & BREAKPOINTS != 0 {
            return self.pass_on(record);
        }
        let code = ExitCode::IRET.0;
        self.nmi.window.then_some(SvmRecord {
            exit_code: code,
            next_rip: 0,
            ..record
        })
    }

    fn restore_tf(&mut self, step: &Step) {
        if !step.tf {
            let flags = self.vmcb.save.rflags & !Rflags::TF.bits();
            self.vmcb.set_rflags(flags);
        }
    }

    /// An exception that vmm did not ask for goes to the guest, everything else to vmm.
    fn pass_on(&mut self, record: SvmRecord) -> Option<SvmRecord> {
        let vector = match ExitCode(record.exit_code).exception() {
            Some(vector) if self.exceptions & 1 << vector.0 == 0 => vector,
            _ => return Some(record),
        };
        if vector == Vector::PF {
            self.vmcb.set_cr2(record.exit_info_2);
        }
        // In real mode no exception pushes an error code.
        let protected = self.vmcb.save.cr0 & Cr0::PE.bits() != 0;
        let error_code =
            (protected && vector.has_error_code()).then_some(record.exit_info_1 as u32);
        self.inject_event(Event::exception(vector.0, error_code));
        None
    }
}
