//! One virtual CPU on VMX, and its way into the guest and back.

use super::bitmap::{self, MsrBitmaps};
use super::capability::Capability;
use super::event::take_machine_check;
use super::unswitched::Unswitched;
use super::vmcs::Vmcs;
use super::vpid::{Vpid, flush_ept};
use super::{host, record, switch};
use crate::extended_state::ExtendedState;
use crate::holder::{Claim, Holder};
use crate::tsc;
use alloc::boxed::Box;
use core::ptr::from_mut;
use spec::addr::Hpa;
use spec::exception::Vector;
use spec::msr::Efer;
use spec::vmx::controls::{EptVpidCap, Eptp, Primary, Secondary};
use spec::vmx::exit::{ExitReason, FullReason};
use spec::vmx::fields::*;
use spec::vmx::interruptibility::ActivityState;
use vmm::exit::Record;
use vmm::exit::from_vmx::VmxRecord;
use vmm::machine::{Gprs, Visit};

/// The exceptions that exit whatever vmm wants: machine checks are the machine's, not the guest's.
pub(super) const ALWAYS: u32 = 1 << Vector::MC.0;

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
    pub(super) unswitched: Unswitched,
    pub(super) deadline: Option<u64>,
    pub(super) msr_bitmaps: Box<MsrBitmaps>,
    /// HOST_RSP as the VMCS has it.
    host_rsp: u64,
    pub(super) eptp: u64,
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
            msr_bitmaps: MsrBitmaps::new(),
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
        vmcs.write(IO_BITMAP_A_ADDRESS, bitmap::IO[0].address());
        vmcs.write(IO_BITMAP_B_ADDRESS, bitmap::IO[1].address());
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

    /// Takes hold of this physical CPU.
    pub(super) fn load_here(&mut self) {
        let claim = self.holder.claim();
        self.extended.load(claim);
        self.unswitched.load(claim);
        let vmcs = self.vmcs.load();
        if claim == Claim::Moved {
            host::write(vmcs);
            self.flush();
        }
    }

    /// One VM entry, and what its exit left in the VMCS.
    #[inline(always)]
    pub(super) fn run_guest(&mut self, gprs: &mut Gprs, record: &mut Record) -> Visit {
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
    pub(super) fn start_timer(&mut self) {
        let left = self
            .deadline
            .map_or(u64::MAX, |deadline| deadline.saturating_sub(tsc::now()));
        let ticks = left >> self.capability.miscellaneous.timer_shift();
        let value = u32::try_from(ticks).unwrap_or(u32::MAX);
        self.vmcs.current_mut().write(PREEMPTION_TIMER_VALUE, value);
    }

    fn flush(&mut self) {
        flush_ept(self.eptp, self.capability.ept_vpid);
        if let Some(vpid) = &self.vpid {
            vpid.flush(self.capability.ept_vpid);
        }
    }
}
