//! One virtual CPU: [`Engine`] on a VMCS.

use super::capability::Capability;
use super::event::take_machine_check;
use super::unswitched::Unswitched;
use super::vmcs::Vmcs;
use super::vpid::{Vpid, flush_ept};
use super::{host, record, switch};
use crate::extended_state::ExtendedState;
use crate::holder::{Claim, Holder};
use crate::page::Page;
use crate::{percpu, tsc};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::num::NonZeroU64;
use core::ptr::from_mut;
use spec::addr::Hpa;
use spec::control_registers::Rflags;
use spec::exception::Vector;
use spec::msr::{Efer, Msr};
use spec::segment::AccessRights;
use spec::vmx::controls::{EptVpidCap, Eptp, Primary, Secondary};
use spec::vmx::exit::{ExitReason, FullReason};
use spec::vmx::fields::*;
use spec::vmx::interruptibility::{ActivityState, Interruptibility as Field};
use vmm::exit::Record;
use vmm::exit::from_vmx::VmxRecord;
use vmm::machine::{
    Engine, Event, Gprs, Interruptibility, Reg, Segment, SegmentRegister, TableRegister, Visit,
};
use vmm::run::single_step;

/// The two I/O bitmaps: every port exits.
static IO_BITMAPS: [Page; 2] = [const { Page([0xff; 4096]) }; 2];

/// What is written back when a new MSR-bitmap page starts: every MSR exits.
const INTERCEPT_ALL: u8 = 0xff;
/// The exceptions that exit whatever vmm wants: machine checks are the machine's, not the guest's.
const ALWAYS: u32 = 1 << Vector::MC.0;

/// From the bit of a read to that of a write, in the MSR bitmaps.
const WRITE_BITMAPS: usize = 2048 * 8;

/// A virtual CPU on VMX.
pub(super) struct VmxVcpu {
    pub(super) vmcs: Vmcs,
    pub(super) capability: Capability,
    /// The primary controls as the VMCS has them.
    pub(super) primary: Primary,
    /// The guest's view of CR0 and CR4 where it is not the hardware's.
    pub(super) cr0_read_shadow: u64,
    pub(super) cr4_read_shadow: u64,
    pub(super) efer: Efer,
    /// An event waits in the VM-entry controls.
    pub(super) injecting: bool,
    holder: Holder,
    pub(super) extended: ExtendedState,
    unswitched: Unswitched,
    deadline: Option<u64>,
    msr_bitmaps: Box<Page>,
    /// HOST_RSP as the VMCS has it.
    host_rsp: u64,
    eptp: u64,
    pub(super) vpid: Option<Vpid>,
}

impl VmxVcpu {
    /// In the state after INIT.
    pub(super) fn new(capability: &Capability, root: Hpa) -> Box<Self> {
        let accessed_dirty = capability.ept_vpid.contains(EptVpidCap::ACCESSED_DIRTY);
        let mut vcpu = Box::new(Self {
            vmcs: Vmcs::new(capability.basic.revision()),
            capability: *capability,
            primary: capability.controls.primary,
            cr0_read_shadow: 0,
            cr4_read_shadow: 0,
            efer: Efer::empty(),
            injecting: false,
            holder: Holder::new(),
            extended: ExtendedState::new(),
            unswitched: Unswitched::new(),
            deadline: None,
            msr_bitmaps: Page::filled(INTERCEPT_ALL),
            host_rsp: 0,
            eptp: Eptp::new(root.0, accessed_dirty).0,
            vpid: capability.has_vpid().then(Vpid::new).flatten(),
        });
        vcpu.vmcs.load();
        vcpu.write_controls();
        vcpu.write_fixed_state();
        vcpu.reset_registers();
        vcpu.vmcs.clear();
        vcpu
    }

    fn write_controls(&mut self) {
        let controls = self.capability.controls;
        let mut secondary = controls.secondary;
        secondary.set(Secondary::ENABLE_VPID, self.vpid.is_some());
        let vmcs = self.vmcs.current_mut();
        vmcs.write(PINBASED_CONTROLS, controls.pinbased.bits());
        vmcs.write(PRIMARY_CONTROLS, controls.primary.bits());
        vmcs.write(SECONDARY_CONTROLS, secondary.bits());
        vmcs.write(EXIT_CONTROLS, controls.exit.bits());
        vmcs.write(ENTRY_CONTROLS, controls.entry.bits());
        vmcs.write(IO_BITMAP_A_ADDRESS, IO_BITMAPS[0].address());
        vmcs.write(IO_BITMAP_B_ADDRESS, IO_BITMAPS[1].address());
        vmcs.write(MSR_BITMAPS_ADDRESS, self.msr_bitmaps.address());
        vmcs.write(EPT_POINTER, self.eptp);
        if let Some(vpid) = &self.vpid {
            vmcs.write(VPID, vpid.number());
        }
        if secondary.contains(Secondary::ENABLE_ENCLS_EXITING) {
            vmcs.write(ENCLS_EXITING_BITMAP, u64::MAX);
        }
    }

    /// What VMCLEAR leaves undefined and nothing below changes, or changes later.
    fn write_fixed_state(&mut self) {
        let has_timer = self.capability.has_preemption_timer();
        let vmcs = self.vmcs.current_mut();
        for field in [
            PAGE_FAULT_ERROR_CODE_MASK,
            PAGE_FAULT_ERROR_CODE_MATCH,
            CR3_TARGET_COUNT,
            EXIT_MSR_STORE_COUNT,
            EXIT_MSR_LOAD_COUNT,
            ENTRY_MSR_LOAD_COUNT,
            ENTRY_INTERRUPTION_INFORMATION,
            GUEST_INTERRUPTIBILITY_STATE,
        ] {
            vmcs.write(field, 0);
        }
        vmcs.write(EXCEPTION_BITMAP, ALWAYS);
        vmcs.write(GUEST_ACTIVITY_STATE, ActivityState::ACTIVE.0);
        vmcs.write(GUEST_PENDING_DEBUG_EXCEPTIONS, 0);
        vmcs.write(VMCS_LINK_POINTER, u64::MAX);
        vmcs.write(TSC_OFFSET, 0);
        if has_timer {
            vmcs.write(PREEMPTION_TIMER_VALUE, u32::MAX);
        }
    }

    /// An exit with more to it than a record: what it asks of us before anybody looks at it.
    #[inline(never)]
    fn settle(&mut self) -> VmxRecord {
        let vmcs = self.vmcs.current_mut();
        let record = record::read(vmcs);
        let reason = FullReason(record.reason);
        if !reason.entry_failure() {
            vmcs.set_launched();
        }
        match reason.basic() {
            ExitReason::PREEMPTION_TIMER => self.start_timer(),
            ExitReason::ENTRY_MACHINE_CHECK => take_machine_check(),
            _ => self.settle_event(&record),
        }
        record
    }

    /// Counts down to the deadline. The value goes on where an exit stopped it, so the time that
    /// handlers take is not counted and an entry writes nothing: the loop looks at the clock after
    /// each exit anyway. Started again when it runs out, since 32 bits may not reach the deadline.
    fn start_timer(&mut self) {
        let left = self
            .deadline
            .map_or(u64::MAX, |deadline| deadline.saturating_sub(tsc::now()));
        let ticks = left >> self.capability.miscellaneous.timer_shift();
        let value = u32::try_from(ticks).unwrap_or(u32::MAX);
        self.vmcs.current_mut().write(PREEMPTION_TIMER_VALUE, value);
    }

    #[cold]
    fn end_instruction(&mut self, flags: Rflags) {
        let vmcs = self.vmcs.current_mut();
        vmcs.write(GUEST_RFLAGS, (flags - Rflags::RF).bits());
        if flags.contains(Rflags::TF) {
            single_step(self);
        }
    }

    fn flush(&mut self) {
        flush_ept(self.eptp, self.capability.ept_vpid);
        if let Some(vpid) = &self.vpid {
            vpid.flush(self.capability.ept_vpid);
        }
    }
}

impl Engine for VmxVcpu {
    fn load(&mut self) {
        let claim = self.holder.claim();
        self.extended.load(claim);
        self.unswitched.load(claim);
        let vmcs = self.vmcs.load();
        if claim == Claim::Moved {
            host::write(vmcs);
            self.flush();
        }
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
        self.injecting = false;
        let vmcs = self.vmcs.current_mut();
        let registers = from_mut(gprs);
        if self.host_rsp != registers as u64 {
            self.host_rsp = registers as u64;
            vmcs.write(HOST_RSP, self.host_rsp);
        }
        let entered = tsc::now();
        // SAFETY: the VMCS is complete; HOST_RSP is the address of these registers, and `load` wrote
        // HOST_RIP. The guest reaches only what its EPT maps.
        if !unsafe { switch::run_guest(registers, vmcs.is_launched()) } {
            vmcs.entry_failed();
        }
        let left = tsc::now();
        match record::read_plain(vmcs) {
            Some(plain) => {
                vmcs.set_launched();
                *record = Record::Vmx(plain);
            }
            None => *record = Record::Vmx(self.settle()),
        }
        Visit { entered, left }
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

    #[inline(always)]
    fn skip(&mut self, rip: u64) {
        let vmcs = self.vmcs.current_mut();
        let state = Field::from_bits_retain(vmcs.read(GUEST_INTERRUPTIBILITY_STATE));
        if state.intersects(Field::STI_OR_MOV_SS) {
            vmcs.write(
                GUEST_INTERRUPTIBILITY_STATE,
                (state - Field::STI_OR_MOV_SS).bits(),
            );
        }
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

    fn set_exception_intercepts(&mut self, vectors: u32) {
        self.vmcs
            .current_mut()
            .write(EXCEPTION_BITMAP, vectors | ALWAYS);
    }

    fn set_msr_passthrough(&mut self, msr: u32, read: bool, write: bool) {
        // The others always exit.
        let Some(bit) = Msr(msr).vmx_bitmap_bit() else {
            return;
        };
        for (bit, through) in [(bit, read), (bit + WRITE_BITMAPS, write)] {
            let byte = &mut self.msr_bitmaps.0[bit / 8];
            let mask = 1 << (bit % 8);
            *byte = if through { *byte & !mask } else { *byte | mask };
        }
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
