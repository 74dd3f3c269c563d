//! [`Engine`] on a VMCB.

use super::registers::{lower_table, raise_table};
use super::run::SvmVcpu;
use super::vmcb::{Intercept1, InterruptShadow};
use crate::percpu;
use alloc::vec::Vec;
use core::num::NonZeroU64;
use spec::control_registers::Rflags;
use vmm::emulate::length::Line;
use vmm::exit::Record;
use vmm::machine::{
    CodeState, Engine, Event, Gprs, Interruptibility, Reg, Segment, SegmentRegister, TableRegister,
    Visit,
};
use vmm::run::single_step;

/// DR7, and DR5, which is the same without CR4.DE.
const DR7: u16 = 1 << 7 | 1 << 5;

impl Engine for SvmVcpu {
    fn load(&mut self) {
        self.load_here();
    }

    fn unload(&mut self) {
        self.extended.save();
    }

    fn run(&mut self, gprs: &mut Gprs, record: &mut Record, next: Option<NonZeroU64>) -> Visit {
        match next {
            Some(rip) => self.skip(rip.get()),
            None => self.watched |= self.held_back().blocking_by_sti_or_mov_ss,
        }
        self.run_guest(gprs, record.as_svm())
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

    /// Under nested paging the processor reads the guest's entries from memory when it needs them.
    fn set_pdptes(&mut self, _: [u64; 4]) {}

    fn segment(&self, register: SegmentRegister) -> Segment {
        self.read_segment(register)
    }

    fn set_segment(&mut self, register: SegmentRegister, segment: Segment) {
        self.write_segment(register, segment);
    }

    fn gdtr(&self) -> TableRegister {
        raise_table(self.vmcb.save.gdtr)
    }

    fn set_gdtr(&mut self, table: TableRegister) {
        self.vmcb.set_gdtr(lower_table(table));
    }

    fn idtr(&self) -> TableRegister {
        raise_table(self.vmcb.save.idtr)
    }

    fn set_idtr(&mut self, table: TableRegister) {
        self.vmcb.set_idtr(lower_table(table));
    }

    fn cpl(&self) -> u8 {
        self.vmcb.save.cpl
    }

    fn code_state(&self) -> CodeState {
        self.vmcb.code_state()
    }

    fn remember_length(&mut self, line: Line) {
        self.lengths.remember(line);
    }

    #[inline(always)]
    fn skip(&mut self, rip: u64) {
        self.vmcb.set_rip(rip);
        self.vmcb.set_interrupt_shadow(InterruptShadow::empty());
        let flags = Rflags::from_bits_retain(self.vmcb.save.rflags);
        if flags.intersects(Rflags::TF | Rflags::RF) {
            self.end_instruction(flags);
        }
    }

    fn interruptibility(&self) -> Interruptibility {
        self.held_back()
    }

    fn set_interruptibility(&mut self, state: Interruptibility) {
        self.set_held_back(state);
    }

    fn inject(&mut self, event: Event) {
        self.inject_event(event);
    }

    fn is_injecting(&self) -> bool {
        self.vmcb.control.event_inj.valid()
    }

    fn set_interrupt_window(&mut self, on: bool) {
        self.set_virtual_interrupt_window(on);
    }

    fn set_nmi_window(&mut self, on: bool) {
        self.nmi.set_window(on);
        self.watched = true;
    }

    fn set_pause_exiting(&mut self, on: bool) {
        let mut first = self.vmcb.control.intercept1;
        first.set(Intercept1::PAUSE, on);
        self.vmcb.set_intercept1(first);
    }

    fn set_debug_register_exiting(&mut self, on: bool) {
        self.vmcb.set_intercept_dr_writes(if on { DR7 } else { 0 });
    }

    fn take_held_back(&mut self) -> u64 {
        0
    }

    fn set_exception_intercepts(&mut self, vectors: u32) {
        self.exceptions = vectors;
        self.update_exception_intercepts();
    }

    fn set_msr_passthrough(&mut self, msr: u32, read: bool, write: bool) {
        self.msr_map.set_passthrough(msr, read, write);
        // The map itself may be cached with its address.
        self.vmcb.set_msrpm(self.msr_map.address());
    }

    /// By the local APIC's timer, whose interrupt exits.
    fn set_deadline(&mut self, deadline: Option<u64>) {
        percpu::with_apic(|apic| match deadline {
            Some(deadline) => apic.arm(deadline),
            None => apic.disarm(),
        });
    }

    fn set_tsc_offset(&mut self, offset: u64) {
        self.vmcb.set_tsc_offset(offset);
    }

    fn extended_state(&mut self) -> Vec<u8> {
        self.extended.image()
    }

    fn set_extended_state(&mut self, image: &[u8]) {
        self.extended.set_image(image);
    }

    fn flush_nested(&mut self) {
        self.flush();
    }
}

impl SvmVcpu {
    #[cold]
    fn end_instruction(&mut self, flags: Rflags) {
        self.vmcb.set_rflags((flags - Rflags::RF).bits());
        if flags.contains(Rflags::TF) {
            single_step(self, 0);
        }
    }
}
