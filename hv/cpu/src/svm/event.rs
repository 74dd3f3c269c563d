//! Event injection, and the window for virtual interrupts. APM vol 2 "Event Injection" and
//! "Virtual Interrupts".

use super::run::SvmVcpu;
use super::vmcb::{self, Intercept1, InterruptShadow, VirtualInterrupt};
use spec::exception::Vector;
use vmm::exit::from_svm::SvmRecord;
use vmm::machine::{Event, EventType, Interruptibility};

/// A software event that the next VMRUN delivers. Its handler must return behind the instruction.
///
/// For INT n, INT3 and INTO a processor that has nRIP pushes it; without it, for INT1, and in emulators
/// (Bochs has nRIP and does not push it) RIP is pushed. So both are moved behind the instruction.
pub(super) struct Injected {
    event: vmcb::Event,
    length: u8,
    kind: EventType,
    /// RIP at the instruction.
    rip: u64,
}

/// EVENTINJ and EXITINTINFO: the vector and the type.
const IDENTITY: u64 = 0x7ff;

impl SvmVcpu {
    /// Drops the event that was to be injected.
    pub(super) fn cancel_event(&mut self) {
        self.injected = None;
        self.vmcb.set_event(vmcb::Event(0));
        self.set_held_back(Interruptibility::default());
    }

    /// Delivers the event at the next VMRUN.
    ///
    /// A software event whose instruction's length nobody knows is not delivered: the guest is still at
    /// the instruction, which raises it again.
    pub(super) fn inject_event(&mut self, event: Event) {
        let raw = lower(event);
        self.injected = None;
        self.watched = true;
        match event.kind {
            EventType::ExternalInterrupt | EventType::HardwareException => {}
            EventType::Nmi => self.set_nmi_blocked(true),
            _ if event.instruction_length == 0 => {
                self.vmcb.set_event(vmcb::Event(0));
                return;
            }
            kind => {
                let length = event.instruction_length;
                self.injected = Some(Injected {
                    event: raw,
                    length,
                    kind,
                    rip: 0,
                });
            }
        }
        self.vmcb.set_event(raw);
    }

    /// Before VMRUN: what is pushed as the return address of a software event.
    pub(super) fn prepare_software_event(&mut self) {
        let rip = self.vmcb.save.rip;
        let Some(injected) = &mut self.injected else {
            return;
        };
        injected.rip = rip;
        let next = rip.wrapping_add(injected.length.into());
        self.vmcb.set_next_rip(next);
        self.vmcb.set_rip(next);
    }

    /// After VMRUN: if the delivery was interrupted, the guest is at the instruction again, and the
    /// record says how long it is. INT1 is a hardware exception to EXITINTINFO: RIP stays behind it.
    pub(super) fn after_software_event(&mut self, record: &mut SvmRecord) {
        let Some(injected) = self.injected.take() else {
            return;
        };
        let interrupted = vmcb::Event(record.exit_int_info);
        let same = (interrupted.0 ^ injected.event.0) & IDENTITY == 0;
        if !interrupted.valid() || !same || injected.kind == EventType::PrivilegedSoftwareException
        {
            return;
        }
        let next = injected.rip.wrapping_add(injected.length.into());
        if record.rip == next {
            self.vmcb.set_rip(injected.rip);
            record.rip = injected.rip;
            record.next_rip = next;
        }
    }

    /// What holds back interrupts.
    pub(super) fn held_back(&self) -> Interruptibility {
        Interruptibility {
            blocking_by_sti_or_mov_ss: self
                .vmcb
                .control
                .interrupt_shadow
                .contains(InterruptShadow::INTERRUPT_SHADOW),
            nmi: self.nmi.is_blocked(),
        }
    }

    /// Changes it.
    pub(super) fn set_held_back(&mut self, state: Interruptibility) {
        let interrupt_shadow = if state.blocking_by_sti_or_mov_ss {
            InterruptShadow::INTERRUPT_SHADOW
        } else {
            InterruptShadow::empty()
        };
        self.vmcb.set_interrupt_shadow(interrupt_shadow);
        if state.nmi != self.nmi.is_blocked() {
            self.set_nmi_blocked(state.nmi);
        }
    }

    /// A virtual interrupt that is intercepted when the guest would take it. Its vector is never
    /// delivered. Returns how it was.
    pub(super) fn set_virtual_interrupt_window(&mut self, on: bool) -> bool {
        let mut intercepts = self.vmcb.control.intercept1;
        let was = intercepts.contains(Intercept1::VINTR);
        if was == on {
            return was;
        }
        intercepts.set(Intercept1::VINTR, on);
        self.vmcb.set_intercept1(intercepts);
        let masking = VirtualInterrupt::V_INTR_MASKING;
        self.vmcb.set_virtual_interrupt(if on {
            (masking | VirtualInterrupt::V_IGN_TPR).with_pending(0)
        } else {
            masking
        });
        was
    }
}

/// The layout of EVENTINJ. INT3, INTO and INT1 are exceptions to SVM.
fn lower(event: Event) -> vmcb::Event {
    let kind = match event.kind {
        EventType::ExternalInterrupt => vmcb::EventType::INTR,
        EventType::Nmi => vmcb::EventType::NMI,
        EventType::SoftwareInterrupt => vmcb::EventType::SOFTWARE_INTERRUPT,
        EventType::HardwareException
        | EventType::SoftwareException
        | EventType::PrivilegedSoftwareException => vmcb::EventType::EXCEPTION,
    };
    vmcb::Event::new(Vector(event.vector), kind, event.error_code)
}
