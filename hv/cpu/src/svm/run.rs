//! One virtual CPU on SVM, and its way into the guest and back.

use super::asid::Asid;
use super::bitmap::{self, MsrMap};
use super::event::Injected;
use super::nmi::Nmi;
use super::vmcb::{
    Event, Intercept1, Intercept2, Intercept3, NestedControl, TlbControl, VirtualInterrupt, Vmcb,
};
use super::{on, record, switch};
use crate::extended_state::ExtendedState;
use crate::holder::Holder;
use crate::{cr, percpu, tsc};
use alloc::boxed::Box;
use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use spec::addr::Hpa;
use spec::control_registers::Cr0;
use spec::cpuid::{Extended8Ebx, Leaf7Ebx, SvmEdx, leaf};
use spec::exception::Vector;
use spec::svm::exit::ExitCode;
use vmm::emulate::length::Lengths;
use vmm::exit::from_svm::SvmRecord;
use vmm::machine::{Gpr, Gprs, Visit};

/// The exit code of a physical machine check.
const MACHINE_CHECK: u64 = ExitCode::EXCEPTION.0 + Vector::MC.0 as u64;

/// A virtual CPU's VMCB and what VMRUN does not switch.
pub(super) struct SvmVcpu {
    pub(super) vmcb: Box<Vmcb>,
    pub(super) msr_map: Box<MsrMap>,
    holder: Holder,
    pub(super) extended: ExtendedState,
    pub(super) features: SvmEdx,
    /// The page with the state of the physical CPU's own hypervisor.
    host: u64,
    asid: Asid,
    /// CR0.CD and NW, and CR4, as the guest sees them.
    pub(super) cr0_caches: u64,
    pub(super) cr4: u64,
    /// The guest sees EFER.SVME set; underneath it always is.
    pub(super) svme: bool,
    /// The exceptions that vmm wants to exit.
    pub(super) exceptions: u32,
    pub(super) nmi: Nmi,
    /// The next VM entry wants more than the registers: an NMI, an event or a flush is under way.
    pub(super) watched: bool,
    /// A software event is on its way whose delivery must be watched.
    pub(super) injected: Option<Injected>,
    /// Where there is no nRIP.
    pub(super) lengths: Lengths,
}

impl SvmVcpu {
    /// The state after INIT, with nested page tables at `root`.
    pub(super) fn new(features: SvmEdx, root: Hpa) -> Self {
        let mut vmcb = Vmcb::new();
        let msr_map = MsrMap::new();
        set_intercepts(&mut vmcb);
        vmcb.set_iopm(bitmap::iopm());
        vmcb.set_msrpm(msr_map.address());
        vmcb.set_virtual_interrupt(VirtualInterrupt::V_INTR_MASKING);
        vmcb.set_nested_control(NestedControl::NP_ENABLE);
        vmcb.set_n_cr3(root.0);
        let mut new = Self {
            vmcb,
            msr_map,
            holder: Holder::new(),
            extended: ExtendedState::new(),
            features,
            host: 0,
            asid: Asid::default(),
            cr0_caches: 0,
            cr4: 0,
            svme: false,
            exceptions: 0,
            nmi: Nmi::default(),
            watched: false,
            injected: None,
            lengths: Lengths::default(),
        };
        new.set_cr0(Cr0::RESET.bits());
        new.set_cr4(0);
        new.update_exception_intercepts();
        new
    }

    /// Takes hold of this physical CPU.
    pub(super) fn load_here(&mut self) {
        let cpu = percpu::this().index();
        self.host = on::host_state(cpu);
        if !self.asid.is_valid(cpu) {
            let (asid, flush_all) = Asid::allocate(cpu);
            self.asid = asid;
            self.vmcb.set_asid(asid.number);
            // What this CPU cached of the VMCB, if anything, is of an earlier visit.
            self.vmcb.set_dirty();
            if flush_all {
                self.vmcb.set_tlb_control(TlbControl::FLUSH_ALL);
                self.watched = true;
            }
        }
        self.extended.load(self.holder.claim());
        cr::write_cr2(self.vmcb.save.cr2);
    }

    /// Forgets this guest's translations at the next VMRUN.
    pub(super) fn flush(&mut self) {
        let how = if self.features.contains(SvmEdx::FLUSH_BY_ASID) {
            TlbControl::FLUSH_ASID
        } else {
            TlbControl::FLUSH_ALL
        };
        if self.vmcb.control.tlb_control != TlbControl::FLUSH_ALL {
            self.vmcb.set_tlb_control(how);
        }
        self.watched = true;
    }

    /// One VMRUN, and what its exit left in the VMCB.
    #[inline(always)]
    fn enter(&mut self, gprs: &mut Gprs, record: &mut SvmRecord) -> Visit {
        let vmcb = &mut *self.vmcb;
        vmcb.set_rax(gprs[Gpr::Rax]);
        let entered = tsc::now();
        // SAFETY: `load_here` found SVM enabled on this CPU and took its saved state; the VMCB is
        // ours, and its nested page tables are vmm's.
        unsafe { switch::run_guest(gprs, vmcb.address(), self.host) }
        let left = tsc::now();
        gprs[Gpr::Rax] = vmcb.save.rax;
        vmcb.set_clean();
        record::read(vmcb, self.features, &self.lengths, record);
        Visit { entered, left }
    }

    /// Runs the guest until an exit that concerns vmm.
    #[inline(always)]
    pub(super) fn run_guest(&mut self, gprs: &mut Gprs, record: &mut SvmRecord) -> Visit {
        if self.watched {
            return self.run_watched(gprs, record);
        }
        let visit = self.enter(gprs, record);
        if record.exit_code == MACHINE_CHECK {
            take_machine_check();
        }
        visit
    }

    /// An event is delivered, and nothing else is under way.
    fn run_delivering(&mut self, gprs: &mut Gprs, record: &mut SvmRecord) -> Visit {
        let visit = self.enter(gprs, record);
        self.vmcb.set_event(Event(0));
        self.vmcb.set_tlb_control(TlbControl::DO_NOTHING);
        self.watched = false;
        if record.exit_code == MACHINE_CHECK {
            take_machine_check();
        }
        visit
    }

    /// The way of the rarer cases: NMIs held back, an event that is delivered, a TLB flush, a shadow.
    #[cold]
    fn run_watched(&mut self, gprs: &mut Gprs, record: &mut SvmRecord) -> Visit {
        if self.vmcb.control.event_inj.valid() && self.nmi.is_idle() && self.injected.is_none() {
            return self.run_delivering(gprs, record);
        }
        loop {
            self.before_watched_entry();
            let in_interrupt_shadow = self.in_interrupt_shadow();
            let visit = self.enter(gprs, record);
            self.vmcb.set_event(Event(0));
            self.vmcb.set_tlb_control(TlbControl::DO_NOTHING);
            if record.exit_code == MACHINE_CHECK {
                take_machine_check();
            }
            self.after_software_event(record);
            let concerns = self.after_watched_exit(in_interrupt_shadow, record);
            self.watched = !self.nmi.is_idle() || self.injected.is_some();
            if concerns {
                return visit;
            }
        }
    }
}

/// A machine check that hit while the guest ran is ours, not the guest's: through our own IDT.
#[cold]
fn take_machine_check() {
    // SAFETY: our IDT has a gate for the vector.
    unsafe { asm!("int 18") }
}

/// What exits always. IRET, VINTR, exceptions, MOV DR and some control registers come and go. INVLPG, RDTSC and MOV to CR3 are
/// the guest's own affair under nested paging, and MOV to CR0 as far as only TS and MP change.
///
/// EFER.SVME is set under the guest, so that SVM's instructions do not raise #UD by themselves.
/// VMCALL, Intel's, does: vmm sees it if it asks for exits of #UD.
fn set_intercepts(vmcb: &mut Vmcb) {
    vmcb.set_intercept1(
        Intercept1::INTR
            | Intercept1::NMI
            | Intercept1::INIT
            | Intercept1::CR0_SEL_WRITE
            | Intercept1::CPUID
            | Intercept1::INVD
            | Intercept1::HLT
            | Intercept1::RDPMC
            | Intercept1::INVLPGA
            | Intercept1::IOIO_PROT
            | Intercept1::MSR_PROT
            | Intercept1::TASK_SWITCH
            | Intercept1::FERR_FREEZE
            | Intercept1::SHUTDOWN,
    );
    vmcb.set_intercept2(
        Intercept2::VMRUN
            | Intercept2::VMMCALL
            | Intercept2::VMLOAD
            | Intercept2::VMSAVE
            | Intercept2::STGI
            | Intercept2::CLGI
            | Intercept2::SKINIT
            | Intercept2::WBINVD
            | Intercept2::MONITOR
            | Intercept2::MWAIT
            | Intercept2::XSETBV,
    );
    intercept_hidden(vmcb);
}

/// Instructions that vmm's CPUID hides, where this processor has them and their intercepts.
fn intercept_hidden(vmcb: &mut Vmcb) {
    let amd = Extended8Ebx::from_bits_retain(__cpuid(leaf::ADDRESS_SIZES).ebx);
    let structured = Leaf7Ebx::from_bits_retain(__cpuid_count(leaf::EXTENDED_FEATURES, 0).ebx);
    let mut second = vmcb.control.intercept2;
    second.set(Intercept2::RDPRU, amd.contains(Extended8Ebx::RDPRU));
    let mut third = Intercept3::empty();
    third.set(Intercept3::MCOMMIT, amd.contains(Extended8Ebx::MCOMMIT));
    third.set(Intercept3::INVPCID, structured.contains(Leaf7Ebx::INVPCID));
    third.set(
        Intercept3::INVLPGB | Intercept3::INVLPGB_ILLEGAL | Intercept3::TLBSYNC,
        amd.contains(Extended8Ebx::INVLPGB),
    );
    vmcb.set_intercept2(second);
    vmcb.set_intercept3(third);
}
