//! The guest's registers, in the VMCB and outside it.

use super::run::SvmVcpu;
use super::vmcb::{Vmcb, VmcbSegment};
use crate::cr;
use spec::control_registers::{Cr0, Cr4, Rflags};
use spec::msr::Efer;
use spec::segment::AccessRights;
use vmm::machine::{Reg, Segment, SegmentRegister, TableRegister};

/// A limit beyond this one needs the granularity bit.
const LARGEST_BYTE_LIMIT: u32 = 0xf_ffff;

impl SvmVcpu {
    pub(super) fn read_register(&self, register: Reg) -> u64 {
        let save = &self.vmcb.save;
        match register {
            Reg::Rip => save.rip,
            Reg::Rsp => save.rsp,
            Reg::Rflags => save.rflags,
            Reg::Cr0 => self.cr0(),
            Reg::Cr2 => save.cr2,
            Reg::Cr3 => save.cr3,
            Reg::Cr4 => self.cr4,
            Reg::Xcr0 => self.extended.xcr0(),
            Reg::Dr0 => self.extended.breakpoint(0),
            Reg::Dr1 => self.extended.breakpoint(1),
            Reg::Dr2 => self.extended.breakpoint(2),
            Reg::Dr3 => self.extended.breakpoint(3),
            Reg::Dr6 => save.dr6,
            Reg::Dr7 => save.dr7,
            Reg::Efer => self.efer(),
            Reg::Pat => save.g_pat,
            Reg::Star => save.star,
            Reg::Lstar => save.lstar,
            Reg::Cstar => save.cstar,
            Reg::Sfmask => save.sfmask,
            Reg::KernelGsBase => save.kernel_gs_base,
            Reg::TscAux => self.extended.tsc_aux(),
            Reg::SysenterCs => save.sysenter_cs,
            Reg::SysenterEsp => save.sysenter_esp,
            Reg::SysenterEip => save.sysenter_eip,
            Reg::Debugctl => save.dbgctl,
        }
    }

    pub(super) fn write_register(&mut self, register: Reg, value: u64) {
        if let Reg::Cr0 | Reg::Cr4 | Reg::Efer = register {
            self.lengths.forget();
        }
        let vmcb = &mut self.vmcb;
        match register {
            Reg::Rip => vmcb.set_rip(value),
            Reg::Rsp => vmcb.set_rsp(value),
            Reg::Rflags => vmcb.set_rflags(value | Rflags::ONE.bits()),
            Reg::Cr0 => self.set_cr0(value),
            Reg::Cr2 => self.set_cr2(value),
            Reg::Cr3 => self.set_cr3(value),
            Reg::Cr4 => self.set_cr4(value),
            Reg::Xcr0 => self.extended.set_xcr0(value),
            Reg::Dr0 => self.extended.set_breakpoint(0, value),
            Reg::Dr1 => self.extended.set_breakpoint(1, value),
            Reg::Dr2 => self.extended.set_breakpoint(2, value),
            Reg::Dr3 => self.extended.set_breakpoint(3, value),
            Reg::Dr6 => vmcb.set_dr6(value),
            Reg::Dr7 => vmcb.set_dr7(value),
            Reg::Efer => self.set_efer(value),
            Reg::Pat => vmcb.set_g_pat(value),
            Reg::Star => vmcb.set_star(value),
            Reg::Lstar => vmcb.set_lstar(value),
            Reg::Cstar => vmcb.set_cstar(value),
            Reg::Sfmask => vmcb.set_sfmask(value),
            Reg::KernelGsBase => vmcb.set_kernel_gs_base(value),
            Reg::TscAux => self.extended.set_tsc_aux(value),
            Reg::SysenterCs => vmcb.set_sysenter_cs(value),
            Reg::SysenterEsp => vmcb.set_sysenter_esp(value),
            Reg::SysenterEip => vmcb.set_sysenter_eip(value),
            Reg::Debugctl => vmcb.set_dbgctl(value),
        }
    }

    pub(super) fn read_segment(&self, register: SegmentRegister) -> Segment {
        raise(&self.vmcb, register)
    }

    /// The processor takes the privilege level from its own field, not from SS.
    pub(super) fn write_segment(&mut self, register: SegmentRegister, segment: Segment) {
        let access = AccessRights::from_bits_retain(segment.access);
        self.vmcb.set_segment(
            register,
            VmcbSegment {
                selector: segment.selector,
                attrib: access.to_svm(),
                limit: segment.limit,
                base: segment.base,
            },
        );
        if register == SegmentRegister::Ss {
            self.vmcb.set_cpl(access.dpl());
        }
    }

    /// LMA is computed: at the exit of a MOV to CR0, Bochs has changed it already.
    fn efer(&self) -> u64 {
        let mut efer = long_mode(&self.vmcb);
        efer.set(Efer::SVME, self.svme);
        efer.bits()
    }

    /// VMRUN demands EFER.SVME.
    fn set_efer(&mut self, value: u64) {
        let old = self.vmcb.save.efer;
        self.svme = value & Efer::SVME.bits() != 0;
        self.vmcb.set_efer(value | Efer::SVME.bits());
        self.update_long_mode();
        if (old ^ value) & Efer::NXE.bits() != 0 {
            self.flush();
        }
    }

    /// The guest changes TS and MP without an exit.
    fn cr0(&self) -> u64 {
        self.vmcb.save.cr0 | self.cr0_caches
    }

    /// CD and NW are clear underneath: they would slow this processor's core down, whoever runs on it.
    ///
    /// Writing the VMCB's control registers, unlike the guest's own MOV, flushes no translations.
    pub(super) fn set_cr0(&mut self, value: u64) {
        const PAGING: Cr0 = Cr0::PE.union(Cr0::PG).union(Cr0::WP);
        const CACHES: u64 = Cr0::CD.union(Cr0::NW).bits();
        let old = self.vmcb.save.cr0;
        self.cr0_caches = value & CACHES;
        self.vmcb.set_cr0(value & !CACHES);
        self.update_cr_intercepts();
        self.update_long_mode();
        if (old ^ value) & PAGING.bits() != 0 {
            self.flush();
        }
    }

    /// VMRUN loads CR2 from the VMCB, except in Bochs, where the processor's own stays.
    fn set_cr2(&mut self, value: u64) {
        self.vmcb.set_cr2(value);
        cr::write_cr2(value);
    }

    fn set_cr3(&mut self, value: u64) {
        self.vmcb.set_cr3(value);
        self.flush();
    }

    /// MCE is set underneath: without it a machine check would not exit but shut the processor down.
    pub(super) fn set_cr4(&mut self, value: u64) {
        let changed = self.cr4 != value;
        self.cr4 = value;
        self.vmcb.set_cr4(value | Cr4::MCE.bits());
        self.update_cr_intercepts();
        if changed {
            self.flush();
        }
    }

    /// CR8 is the TPR of the local APIC, which vmm emulates, and which bits of CR4 a guest may set vmm decides. What
    /// the guest reads itself must be what it wrote; and a write of CR0 that exits by CR0_SEL_WRITE alone has
    /// changed a bit that the VMCB holds.
    fn update_cr_intercepts(&mut self) {
        const CR0: u16 = 1 << 0;
        const CR4: u16 = 1 << 4;
        const CR8: u16 = 1 << 8;
        let vmcb = &mut self.vmcb;
        let cr0 = if self.cr0_caches == 0 { 0 } else { CR0 };
        let cr4 = if vmcb.save.cr4 == self.cr4 { 0 } else { CR4 };
        vmcb.set_intercept_cr_reads(cr0 | cr4 | CR8);
        vmcb.set_intercept_cr_writes(cr0 | CR4 | CR8);
    }

    fn update_long_mode(&mut self) {
        let efer = long_mode(&self.vmcb);
        self.vmcb.set_efer(efer.bits());
    }
}

/// EFER, with LMA as LME and paging make it.
fn long_mode(vmcb: &Vmcb) -> Efer {
    let mut efer = Efer::from_bits_retain(vmcb.save.efer);
    let paging = vmcb.save.cr0 & Cr0::PG.bits() != 0;
    efer.set(Efer::LMA, paging && efer.contains(Efer::LME));
    efer
}

/// A segment register in neutral words. SVM keeps neither the granularity bit nor, for data
/// segments, the accessed bit reliably; and the privilege level is not in SS.
fn raise(vmcb: &Vmcb, register: SegmentRegister) -> Segment {
    let raw = vmcb.segment(register);
    let mut access = AccessRights::from_svm(raw.attrib);
    access.set(AccessRights::G, raw.limit > LARGEST_BYTE_LIMIT);
    if access.contains(AccessRights::S) && !access.contains(AccessRights::UNUSABLE) {
        access.insert(AccessRights::ACCESSED);
    }
    match register {
        SegmentRegister::Ss => access = access.with_dpl(vmcb.save.cpl),
        SegmentRegister::Tr => access.insert(AccessRights::READ_WRITE),
        _ => {}
    }
    Segment {
        selector: raw.selector,
        base: raw.base,
        limit: raw.limit,
        access: access.bits(),
    }
}

pub(super) fn raise_table(raw: VmcbSegment) -> TableRegister {
    TableRegister {
        base: raw.base,
        limit: raw.limit as u16,
    }
}

pub(super) fn lower_table(table: TableRegister) -> VmcbSegment {
    VmcbSegment {
        base: table.base,
        limit: table.limit.into(),
        ..VmcbSegment::default()
    }
}
