//! [`Engine`] on a VMCS.

use super::run::{ALWAYS, VmxVcpu};
use super::vpid::flush_ept;
use crate::percpu;
use alloc::vec::Vec;
use core::num::NonZeroU64;
use spec::control_registers::Rflags;
use spec::segment::AccessRights;
use spec::vmx::controls::Primary;
use spec::vmx::fields::*;
use vmm::exit::Record;
use vmm::machine::{
    CodeState, Engine, Event, Gprs, Interruptibility, Reg, Segment, SegmentRegister, TableRegister,
    Visit,
};
use vmm::run::single_step;

impl Engine for VmxVcpu {
    fn load(&mut self) {
        self.load_here();
    }

    fn unload(&mut self) {
        self.extended.save();
        self.unswitched.save();
        self.vmcs.clear();
    }

    fn run(&mut self, gprs: &mut Gprs, record: &mut Record, next: Option<NonZeroU64>) -> Visit {
        if let Some(rip) = next {
            self.skip(rip.get());
        }
        self.run_guest(gprs, record)
    }

    fn cancel(&mut self) {
        self.cancel_event();
    }

    fn reg(&self, register: Reg) -> u64 {
        self.read_register(register)
    }

    fn set_reg(&mut self, register: Reg, value: u64) {
        self.write_register(register, value);
    }

    fn set_pdptes(&mut self, entries: [u64; 4]) {
        let vmcs = self.vmcs.current_mut();
        for (field, entry) in [GUEST_PDPTE0, GUEST_PDPTE1, GUEST_PDPTE2, GUEST_PDPTE3]
            .iter()
            .zip(entries)
        {
            vmcs.write(*field, entry);
        }
    }

    fn segment(&self, register: SegmentRegister) -> Segment {
        self.read_segment(register)
    }

    fn set_segment(&mut self, register: SegmentRegister, segment: Segment) {
        self.write_segment(register, segment);
    }

    fn gdtr(&self) -> TableRegister {
        self.read_table(GUEST_GDTR_BASE, GUEST_GDTR_LIMIT)
    }

    fn set_gdtr(&mut self, table: TableRegister) {
        self.write_table(GUEST_GDTR_BASE, GUEST_GDTR_LIMIT, table);
    }

    fn idtr(&self) -> TableRegister {
        self.read_table(GUEST_IDTR_BASE, GUEST_IDTR_LIMIT)
    }

    fn set_idtr(&mut self, table: TableRegister) {
        self.write_table(GUEST_IDTR_BASE, GUEST_IDTR_LIMIT, table);
    }

    /// SS.DPL, in every mode (SDM 3C "Guest Register State").
    fn cpl(&self) -> u8 {
        AccessRights::from_bits_retain(self.vmcs.current().read(GUEST_SS_ACCESS_RIGHTS)).dpl()
    }

    fn code_state(&self) -> CodeState {
        let vmcs = self.vmcs.current();
        CodeState {
            rip: vmcs.read(GUEST_RIP),
            cs_base: vmcs.read(GUEST_CS_BASE),
            cs_access: vmcs.read(GUEST_CS_ACCESS_RIGHTS),
            cr3: vmcs.read(GUEST_CR3),
        }
    }

    #[inline(always)]
    fn skip(&mut self, rip: u64) {
        self.end_blocking();
        let vmcs = self.vmcs.current_mut();
        vmcs.write(GUEST_RIP, rip);
        let flags = Rflags::from_bits_retain(vmcs.read(GUEST_RFLAGS));
        if flags.intersects(Rflags::TF | Rflags::RF) {
            self.end_instruction(flags);
        }
    }

    fn interruptibility(&self) -> Interruptibility {
        self.held_back()
    }

    fn set_interruptibility(&mut self, state: Interruptibility) {
        self.hold_back(state);
    }

    fn inject(&mut self, event: Event) {
        self.write_event(event);
    }

    fn is_injecting(&self) -> bool {
        self.injecting
    }

    fn set_interrupt_window(&mut self, on: bool) {
        self.set_window(Primary::INTERRUPT_WINDOW_EXITING, on);
    }

    fn set_nmi_window(&mut self, on: bool) {
        self.set_window(Primary::NMI_WINDOW_EXITING, on);
    }

    fn set_pause_exiting(&mut self, on: bool) {
        self.set_control(Primary::PAUSE_EXITING, on);
    }

    fn set_debug_register_exiting(&mut self, on: bool) {
        self.set_control(Primary::MOV_DR_EXITING, on);
    }

    fn take_held_back(&mut self) -> u64 {
        let vmcs = self.vmcs.current_mut();
        let pending = vmcs.read(GUEST_PENDING_DEBUG_EXCEPTIONS);
        vmcs.write(GUEST_PENDING_DEBUG_EXCEPTIONS, 0);
        pending & BREAKPOINTS
    }

    fn set_exception_intercepts(&mut self, vectors: u32) {
        self.vmcs
            .current_mut()
            .write(EXCEPTION_BITMAP, vectors | ALWAYS);
    }

    fn set_msr_passthrough(&mut self, msr: u32, read: bool, write: bool) {
        self.msr_bitmaps.set_passthrough(msr, read, write);
    }

    fn set_deadline(&mut self, deadline: Option<u64>) {
        self.deadline = deadline;
        if self.capability.has_preemption_timer() {
            return self.start_timer();
        }
        percpu::with_apic(|apic| match deadline {
            Some(deadline) => apic.arm(deadline),
            None => apic.disarm(),
        });
    }

    fn set_tsc_offset(&mut self, offset: u64) {
        self.vmcs.current_mut().write(TSC_OFFSET, offset);
    }

    fn extended_state(&mut self) -> Vec<u8> {
        self.extended.image()
    }

    fn set_extended_state(&mut self, image: &[u8]) {
        self.extended.set_image(image);
    }

    fn flush_nested(&mut self) {
        flush_ept(self.eptp, self.capability.ept_vpid);
    }
}

/// B0 to B3 of the pending debug exceptions (SDM 3C "Guest Non-Register State").
const BREAKPOINTS: u64 = 0b1111;

impl VmxVcpu {
    #[cold]
    fn end_instruction(&mut self, flags: Rflags) {
        let vmcs = self.vmcs.current_mut();
        vmcs.write(GUEST_RFLAGS, (flags - Rflags::RF).bits());
        if flags.contains(Rflags::TF) {
            let held_back = self.take_held_back();
            single_step(self, held_back);
        }
    }
}
