//! Events: injected ones, what holds them back, and what an exit leaves to be done about NMIs.

use super::run::VmxVcpu;
use core::arch::asm;
use spec::control_registers::Rflags;
use spec::exception::Vector;
use spec::vmx::controls::{Pinbased, Primary};
use spec::vmx::exit::{
    EptViolation, ExitReason, FullReason, InterruptionInformation, InterruptionType,
};
use spec::vmx::fields::*;
use spec::vmx::interruptibility::Interruptibility as Field;
use vmm::exit::from_vmx::VmxRecord;
use vmm::machine::{Event, EventType, Interruptibility};

impl VmxVcpu {
    /// SDM 3C "VM-Entry Controls for Event Injection".
    pub(super) fn write_event(&mut self, event: Event) {
        let kind = InterruptionType(event.kind as u8);
        let information =
            InterruptionInformation::new(Vector(event.vector), kind, event.error_code.is_some());
        let vmcs = self.vmcs.current_mut();
        vmcs.write(ENTRY_INTERRUPTION_INFORMATION, information.0);
        if let Some(code) = event.error_code {
            vmcs.write(ENTRY_EXCEPTION_ERROR_CODE, code & 0xffff);
        }
        if kind.is_software() {
            vmcs.write(ENTRY_INSTRUCTION_LENGTH, event.instruction_length.into());
        }
        self.end_blocking();
        // An NMI whose delivery an exit interrupted blocks NMIs already; delivering it again does.
        if event.kind == EventType::Nmi {
            let state = Interruptibility {
                nmi: false,
                ..self.held_back()
            };
            self.hold_back(state);
        }
        self.injecting = true;
    }

    /// Ends blocking by STI or MOV SS, as an instruction does that was emulated, and the delivery of an event. A #DB
    /// that exited leaves it in the VMCS, and with RFLAGS.TF VM entry would refuse it (SDM 3C "Checks on Guest
    /// Non-Register State").
    #[inline(always)]
    pub(super) fn end_blocking(&mut self) {
        let vmcs = self.vmcs.current_mut();
        let state = Field::from_bits_retain(vmcs.read(GUEST_INTERRUPTIBILITY_STATE));
        if state.intersects(Field::STI_OR_MOV_SS) {
            vmcs.write(
                GUEST_INTERRUPTIBILITY_STATE,
                (state - Field::STI_OR_MOV_SS).bits(),
            );
        }
    }

    pub(super) fn held_back(&self) -> Interruptibility {
        let state = Field::from_bits_retain(self.vmcs.current().read(GUEST_INTERRUPTIBILITY_STATE));
        Interruptibility {
            blocking_by_sti_or_mov_ss: state.intersects(Field::STI_OR_MOV_SS),
            nmi: state.contains(Field::NMI),
        }
    }

    pub(super) fn hold_back(&mut self, state: Interruptibility) {
        let vmcs = self.vmcs.current_mut();
        let before = Field::from_bits_retain(vmcs.read(GUEST_INTERRUPTIBILITY_STATE));
        let mut after = before;
        after.set(Field::NMI, state.nmi);
        if !state.blocking_by_sti_or_mov_ss {
            after -= Field::STI_OR_MOV_SS;
        } else if !after.intersects(Field::STI_OR_MOV_SS) {
            // Blocking by STI is refused with RFLAGS.IF clear.
            let enabled = vmcs.read(GUEST_RFLAGS) & Rflags::IF.bits() != 0;
            after |= if enabled { Field::STI } else { Field::MOV_SS };
        }
        if after != before {
            vmcs.write(GUEST_INTERRUPTIBILITY_STATE, after.bits());
        }
    }

    /// Drops the event that was to be injected.
    pub(super) fn cancel_event(&mut self) {
        let vmcs = self.vmcs.current_mut();
        vmcs.write(ENTRY_INTERRUPTION_INFORMATION, 0);
        vmcs.write(GUEST_INTERRUPTIBILITY_STATE, 0);
        vmcs.write(GUEST_PENDING_DEBUG_EXCEPTIONS, 0);
        self.injecting = false;
    }

    /// What the window controls ask for.
    pub(super) fn set_window(&mut self, control: Primary, on: bool) {
        // Without virtual NMIs there is no NMI window: VM entry would refuse the control.
        let virtual_nmis = self
            .capability
            .controls
            .pinbased
            .contains(Pinbased::VIRTUAL_NMIS);
        self.set_control(
            control,
            on && (control != Primary::NMI_WINDOW_EXITING || virtual_nmis),
        );
    }

    /// The VMCS is written only when something changes.
    pub(super) fn set_control(&mut self, control: Primary, on: bool) {
        if self.primary.contains(control) != on {
            self.primary.set(control, on);
            self.vmcs
                .current_mut()
                .write(PRIMARY_CONTROLS, self.primary.bits());
        }
    }

    /// An NMI or a machine check of the machine ended the guest's run and was not delivered: it goes to our
    /// handler. The NMI handler's IRET lets the next one come. And an IRET of the guest that faulted has
    /// unblocked NMIs already: they are blocked again, for it will run again
    /// (SDM 3C "Resuming Guest Software After Handling an Exception").
    pub(super) fn settle_event(&mut self, record: &VmxRecord) {
        let information = InterruptionInformation(record.interruption_info);
        let unblocked = match FullReason(record.reason).basic() {
            ExitReason::EXCEPTION_OR_NMI => match information.vector() {
                Vector::NMI => return take_nmi(),
                Vector::MC => return take_machine_check(),
                vector => information.nmi_unblocking() && vector != Vector::DF,
            },
            ExitReason::EPT_VIOLATION => EptViolation(record.qualification).nmi_unblocking(),
            _ => false,
        };
        if unblocked && !InterruptionInformation(record.idt_vectoring_info).valid() {
            let state = Interruptibility {
                nmi: true,
                ..self.held_back()
            };
            self.hold_back(state);
        }
    }
}

fn take_nmi() {
    // SAFETY: our NMI handler keeps all registers and has a stack of its own.
    unsafe { asm!("int 2") }
}

/// Of a machine check that ended the guest's run, or the VM entry to it (SDM 3C "Machine-Check Events During
/// VM Entry"), nothing was delivered yet.
#[cold]
pub(super) fn take_machine_check() {
    // SAFETY: our IDT has a gate for the vector, with a stack of its own.
    unsafe { asm!("int 18") }
}
