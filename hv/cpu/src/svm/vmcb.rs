//! The VMCB of a virtual CPU. It is read freely and written only here, where each write clears
//! the clean bit of its field. APM vol 2 "VMCB State Caching".

use alloc::boxed::Box;
use core::ops::Deref;
use spec::control_registers::{Dr6, Dr7, Rflags};
use spec::msr::{Efer, PAT_RESET};
use spec::segment::AccessRights;
pub(super) use spec::svm::vmcb::{
    Clean, Event, EventType, Intercept1, Intercept2, Intercept3, InterruptShadow, NestedControl,
    TlbControl, VirtualInterrupt, VmcbSegment,
};
use vmm::machine::{CodeState, SegmentRegister};

/// All the clean bits that this file knows; the others are reserved.
const CLEAN: Clean = Clean::INTERCEPTS
    .union(Clean::IOPM)
    .union(Clean::ASID)
    .union(Clean::TPR)
    .union(Clean::NP)
    .union(Clean::CRX)
    .union(Clean::DRX)
    .union(Clean::DT)
    .union(Clean::SEG)
    .union(Clean::CR2)
    .union(Clean::LBR);

/// A VMCB, with the processor's cached copy accounted for. Its address is told to the processor at each VMRUN.
pub(super) struct Vmcb(spec::svm::vmcb::Vmcb);

impl Deref for Vmcb {
    type Target = spec::svm::vmcb::Vmcb;
    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// One row a field: the setter, the area, the field, the type, and its clean bit. Fields without
/// one are loaded by every VMRUN, or by VMLOAD.
macro_rules! setters {
    ($($setter:ident = $area:ident.$field:ident: $type:ty $(, $clean:ident)?;)*) => {
        impl Vmcb {
            $(
                #[inline]
                pub(super) fn $setter(&mut self, value: $type) {
                    self.0.$area.$field = value;
                    $(self.0.control.clean.remove(Clean::$clean);)?
                }
            )*
        }
    };
}

setters! {
    set_intercept_cr_reads = control.intercept_cr_reads: u16, INTERCEPTS;
    set_intercept_cr_writes = control.intercept_cr_writes: u16, INTERCEPTS;
    set_intercept_dr_writes = control.intercept_dr_writes: u16, INTERCEPTS;
    set_intercept_exceptions = control.intercept_exceptions: u32, INTERCEPTS;
    set_intercept1 = control.intercept1: Intercept1, INTERCEPTS;
    set_intercept2 = control.intercept2: Intercept2, INTERCEPTS;
    set_intercept3 = control.intercept3: Intercept3, INTERCEPTS;
    set_tsc_offset = control.tsc_offset: u64, INTERCEPTS;
    set_iopm = control.iopm_base_pa: u64, IOPM;
    set_msrpm = control.msrpm_base_pa: u64, IOPM;
    set_asid = control.guest_asid: u32, ASID;
    set_tlb_control = control.tlb_control: TlbControl;
    set_virtual_interrupt = control.virtual_interrupt: VirtualInterrupt, TPR;
    set_interrupt_shadow = control.interrupt_shadow: InterruptShadow;
    set_event = control.event_inj: Event;
    set_next_rip = control.next_rip: u64;
    set_nested_control = control.nested_control: NestedControl, NP;
    set_n_cr3 = control.n_cr3: u64, NP;
    set_g_pat = save.g_pat: u64, NP;
    set_es = save.es: VmcbSegment, SEG;
    set_cs = save.cs: VmcbSegment, SEG;
    set_ss = save.ss: VmcbSegment, SEG;
    set_ds = save.ds: VmcbSegment, SEG;
    set_cpl = save.cpl: u8, SEG;
    set_fs = save.fs: VmcbSegment;
    set_gs = save.gs: VmcbSegment;
    set_ldtr = save.ldtr: VmcbSegment;
    set_tr = save.tr: VmcbSegment;
    set_gdtr = save.gdtr: VmcbSegment, DT;
    set_idtr = save.idtr: VmcbSegment, DT;
    set_efer = save.efer: u64, CRX;
    set_cr0 = save.cr0: u64, CRX;
    set_cr3 = save.cr3: u64, CRX;
    set_cr4 = save.cr4: u64, CRX;
    set_cr2 = save.cr2: u64, CR2;
    set_dr6 = save.dr6: u64, DRX;
    set_dr7 = save.dr7: u64, DRX;
    set_rflags = save.rflags: u64;
    set_rip = save.rip: u64;
    set_rsp = save.rsp: u64;
    set_rax = save.rax: u64;
    set_star = save.star: u64;
    set_lstar = save.lstar: u64;
    set_cstar = save.cstar: u64;
    set_sfmask = save.sfmask: u64;
    set_kernel_gs_base = save.kernel_gs_base: u64;
    set_sysenter_cs = save.sysenter_cs: u64;
    set_sysenter_esp = save.sysenter_esp: u64;
    set_sysenter_eip = save.sysenter_eip: u64;
    set_dbgctl = save.dbgctl: u64, LBR;
}

impl Vmcb {
    /// The state after INIT, but for the control registers: APM vol 2 "Processor Initialization State". Nothing is
    /// intercepted yet.
    pub(super) fn new() -> Box<Self> {
        let mut new = Box::new(Self(spec::svm::vmcb::Vmcb::new()));
        let data = segment(0, 0, AccessRights::REAL_DATA);
        new.set_cs(segment(0xf000, 0xffff_0000, AccessRights::REAL_CODE));
        new.set_es(data);
        new.set_ss(data);
        new.set_ds(data);
        new.set_fs(data);
        new.set_gs(data);
        new.set_ldtr(segment(0, 0, AccessRights::LDT));
        new.set_tr(segment(0, 0, AccessRights::BUSY_TSS));
        new.set_gdtr(segment(0, 0, AccessRights::empty()));
        new.set_idtr(segment(0, 0, AccessRights::empty()));
        new.set_efer(Efer::SVME.bits());
        new.set_rflags(Rflags::RESET.bits());
        new.set_rip(0xfff0);
        new.set_dr6(Dr6::RESET.bits());
        new.set_dr7(Dr7::RESET.bits());
        new.set_g_pat(PAT_RESET);
        new
    }

    /// Its physical address.
    #[inline]
    pub(super) fn address(&mut self) -> u64 {
        core::ptr::from_mut(&mut self.0) as u64
    }

    /// What decides which instruction is next.
    #[inline(always)]
    pub(super) fn code_state(&self) -> CodeState {
        CodeState {
            rip: self.save.rip,
            cs_base: self.save.cs.base,
            cs_access: self.save.cs.attrib.into(),
            cr3: self.save.cr3,
        }
    }

    /// After a VMRUN: the processor has seen all that was written.
    #[inline]
    pub(super) fn set_clean(&mut self) {
        self.0.control.clean = CLEAN;
    }

    /// The processor may hold an older copy, or another VMCB's.
    pub(super) fn set_dirty(&mut self) {
        self.0.control.clean = Clean::empty();
    }

    /// A segment register.
    pub(super) fn segment(&self, register: SegmentRegister) -> VmcbSegment {
        match register {
            SegmentRegister::Es => self.save.es,
            SegmentRegister::Cs => self.save.cs,
            SegmentRegister::Ss => self.save.ss,
            SegmentRegister::Ds => self.save.ds,
            SegmentRegister::Fs => self.save.fs,
            SegmentRegister::Gs => self.save.gs,
            SegmentRegister::Ldtr => self.save.ldtr,
            SegmentRegister::Tr => self.save.tr,
        }
    }

    /// Writes a segment register.
    pub(super) fn set_segment(&mut self, register: SegmentRegister, value: VmcbSegment) {
        match register {
            SegmentRegister::Es => self.set_es(value),
            SegmentRegister::Cs => self.set_cs(value),
            SegmentRegister::Ss => self.set_ss(value),
            SegmentRegister::Ds => self.set_ds(value),
            SegmentRegister::Fs => self.set_fs(value),
            SegmentRegister::Gs => self.set_gs(value),
            SegmentRegister::Ldtr => self.set_ldtr(value),
            SegmentRegister::Tr => self.set_tr(value),
        }
    }
}

fn segment(selector: u16, base: u64, rights: AccessRights) -> VmcbSegment {
    VmcbSegment {
        selector,
        attrib: rights.to_svm(),
        limit: 0xffff,
        base,
    }
}
