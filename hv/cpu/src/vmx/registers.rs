//! The guest's registers, in the VMCS and outside it.

use super::run::VmxVcpu;
use super::unswitched::{read_dr6, write_dr6, write_msr};
use crate::cr::{read_cr2, write_cr2};
use crate::msr;
use spec::control_registers::{Cr0, Cr4, Dr7, Rflags};
use spec::msr::{Efer, Msr, PAT_RESET};
use spec::segment::AccessRights;
use spec::vmx::controls::{Entry, apply_fixed};
use spec::vmx::fields::*;
use vmm::machine::{Reg, Segment, SegmentRegister, TableRegister};
use vmm::reset;

/// The bits of CR0 whose writes exit: those that change the mode or the caches, and NE, which
/// VMX operation demands. The others are the guest's.
const CR0_HOST: u64 = Cr0::PE
    .union(Cr0::NE)
    .union(Cr0::NW)
    .union(Cr0::CD)
    .union(Cr0::PG)
    .bits();

/// The bits of CR4 that the guest writes without an exit. The rest is ours to show: VMXE and MCE,
/// which are set underneath, and features that a guest is not offered.
const CR4_GUEST: u64 = Cr4::VME
    .union(Cr4::PVI)
    .union(Cr4::TSD)
    .union(Cr4::DE)
    .union(Cr4::PSE)
    .union(Cr4::PAE)
    .union(Cr4::PGE)
    .union(Cr4::OSFXSR)
    .union(Cr4::OSXMMEXCPT)
    .union(Cr4::UMIP)
    .union(Cr4::FSGSBASE)
    .union(Cr4::OSXSAVE)
    .union(Cr4::SMEP)
    .union(Cr4::SMAP)
    .bits();

/// The fields of one segment register.
struct SegmentFields {
    selector: Field<u16>,
    base: Field<Natural>,
    limit: Field<u32>,
    access: Field<u32>,
}

macro_rules! segment_fields {
    ($(($selector:ident, $base:ident, $limit:ident, $access:ident),)*) => {
        /// In the order of [`SegmentRegister`].
        const SEGMENTS: [SegmentFields; 8] =
            [$(SegmentFields { selector: $selector, base: $base, limit: $limit, access: $access }),*];
    };
}

segment_fields! {
    (GUEST_ES_SELECTOR, GUEST_ES_BASE, GUEST_ES_LIMIT, GUEST_ES_ACCESS_RIGHTS),
    (GUEST_CS_SELECTOR, GUEST_CS_BASE, GUEST_CS_LIMIT, GUEST_CS_ACCESS_RIGHTS),
    (GUEST_SS_SELECTOR, GUEST_SS_BASE, GUEST_SS_LIMIT, GUEST_SS_ACCESS_RIGHTS),
    (GUEST_DS_SELECTOR, GUEST_DS_BASE, GUEST_DS_LIMIT, GUEST_DS_ACCESS_RIGHTS),
    (GUEST_FS_SELECTOR, GUEST_FS_BASE, GUEST_FS_LIMIT, GUEST_FS_ACCESS_RIGHTS),
    (GUEST_GS_SELECTOR, GUEST_GS_BASE, GUEST_GS_LIMIT, GUEST_GS_ACCESS_RIGHTS),
    (GUEST_LDTR_SELECTOR, GUEST_LDTR_BASE, GUEST_LDTR_LIMIT, GUEST_LDTR_ACCESS_RIGHTS),
    (GUEST_TR_SELECTOR, GUEST_TR_BASE, GUEST_TR_LIMIT, GUEST_TR_ACCESS_RIGHTS),
}

/// Where a register is that the VMCS holds as the guest sees it.
fn field(register: Reg) -> Option<Field<Natural>> {
    Some(match register {
        Reg::Rip => GUEST_RIP,
        Reg::Rsp => GUEST_RSP,
        Reg::Rflags => GUEST_RFLAGS,
        Reg::Cr3 => GUEST_CR3,
        Reg::Dr7 => GUEST_DR7,
        Reg::SysenterEsp => GUEST_IA32_SYSENTER_ESP,
        Reg::SysenterEip => GUEST_IA32_SYSENTER_EIP,
        _ => return None,
    })
}

/// The MSR that a register is, if neither VM entry nor VM exit switches it.
fn unswitched_msr(register: Reg) -> Option<Msr> {
    Some(match register {
        Reg::Star => Msr::IA32_STAR,
        Reg::Lstar => Msr::IA32_LSTAR,
        Reg::Cstar => Msr::IA32_CSTAR,
        Reg::Sfmask => Msr::IA32_FMASK,
        Reg::KernelGsBase => Msr::IA32_KERNEL_GS_BASE,
        _ => return None,
    })
}

impl VmxVcpu {
    #[inline]
    pub(super) fn read_register(&self, register: Reg) -> u64 {
        match field(register) {
            Some(field) => self.vmcs.current().read(field),
            None => self.read_other(register),
        }
    }

    fn read_other(&self, register: Reg) -> u64 {
        if let Some(msr) = unswitched_msr(register) {
            return msr::read(msr.0);
        }
        let vmcs = self.vmcs.current();
        match register {
            Reg::Cr0 => vmcs.read(GUEST_CR0) & !CR0_HOST | self.cr0_read_shadow & CR0_HOST,
            Reg::Cr4 => vmcs.read(GUEST_CR4) & CR4_GUEST | self.cr4_read_shadow & !CR4_GUEST,
            Reg::Efer => self.efer.bits(),
            Reg::Cr2 => read_cr2(),
            Reg::Xcr0 => self.extended.xcr0(),
            Reg::Dr0 => self.extended.breakpoint(0),
            Reg::Dr1 => self.extended.breakpoint(1),
            Reg::Dr2 => self.extended.breakpoint(2),
            Reg::Dr3 => self.extended.breakpoint(3),
            Reg::Dr6 => read_dr6(),
            Reg::TscAux => self.extended.tsc_aux(),
            Reg::Pat => vmcs.read(GUEST_IA32_PAT),
            Reg::SysenterCs => vmcs.read(GUEST_IA32_SYSENTER_CS).into(),
            Reg::Debugctl => vmcs.read(GUEST_IA32_DEBUGCTL),
            _ => unreachable!("{register:?} is in the VMCS or an MSR"),
        }
    }

    #[inline]
    pub(super) fn write_register(&mut self, register: Reg, value: u64) {
        let value = match register {
            Reg::Rflags => value | Rflags::ONE.bits(),
            Reg::Cr0 | Reg::Cr3 | Reg::Cr4 => self.forget_translations(value),
            _ => value,
        };
        match field(register) {
            Some(field) => self.vmcs.current_mut().write(field, value),
            None => self.write_other(register, value),
        }
    }

    fn write_other(&mut self, register: Reg, value: u64) {
        if let Some(msr) = unswitched_msr(register) {
            return write_msr(msr, value);
        }
        let vmcs = self.vmcs.current_mut();
        match register {
            Reg::Cr0 => self.write_cr0(value),
            Reg::Cr4 => self.write_cr4(value),
            Reg::Efer => self.write_efer(Efer::from_bits_retain(value)),
            Reg::Cr2 => write_cr2(value),
            Reg::Xcr0 => self.extended.set_xcr0(value),
            Reg::Dr0 => self.extended.set_breakpoint(0, value),
            Reg::Dr1 => self.extended.set_breakpoint(1, value),
            Reg::Dr2 => self.extended.set_breakpoint(2, value),
            Reg::Dr3 => self.extended.set_breakpoint(3, value),
            Reg::Dr6 => write_dr6(value),
            Reg::TscAux => self.extended.set_tsc_aux(value),
            Reg::Pat => vmcs.write(GUEST_IA32_PAT, value),
            Reg::SysenterCs => vmcs.write(GUEST_IA32_SYSENTER_CS, value as u32),
            Reg::Debugctl => vmcs.write(GUEST_IA32_DEBUGCTL, value),
            _ => unreachable!("{register:?} is in the VMCS or an MSR"),
        }
    }

    /// What the guest's own MOV would forget; without a VPID, VM entry forgets all. Returns `value`.
    fn forget_translations(&self, value: u64) -> u64 {
        if let Some(vpid) = &self.vpid {
            vpid.flush(self.capability.ept_vpid);
        }
        value
    }

    /// Unrestricted guest frees PE and PG; the other bits that VMX operation demands are set
    /// underneath, and the guest reads what it wrote from the shadow.
    fn write_cr0(&mut self, value: u64) {
        let (zero, one) = self.capability.cr0_fixed;
        let demanded = zero & !(Cr0::PE | Cr0::PG).bits();
        self.cr0_read_shadow = value | Cr0::ET.bits();
        let vmcs = self.vmcs.current_mut();
        vmcs.write(GUEST_CR0, apply_fixed(self.cr0_read_shadow, demanded, one));
        vmcs.write(CR0_READ_SHADOW, self.cr0_read_shadow);
    }

    /// MCE is set underneath: without it a machine check would not exit but shut the processor down.
    fn write_cr4(&mut self, value: u64) {
        const SET: u64 = Cr4::VMXE.union(Cr4::MCE).bits();
        let (zero, one) = self.capability.cr4_fixed;
        self.cr4_read_shadow = value;
        let vmcs = self.vmcs.current_mut();
        vmcs.write(GUEST_CR4, apply_fixed(value | SET, zero, one));
        vmcs.write(CR4_READ_SHADOW, value);
    }

    /// A guest cannot change EFER without an exit, so ours is the truth and exits need not save it.
    fn write_efer(&mut self, value: Efer) {
        self.efer = value;
        let mut entry = self.capability.controls.entry;
        entry.set(Entry::IA32E_MODE_GUEST, value.contains(Efer::LMA));
        let vmcs = self.vmcs.current_mut();
        vmcs.write(GUEST_IA32_EFER, value.bits());
        vmcs.write(ENTRY_CONTROLS, entry.bits());
    }

    pub(super) fn read_segment(&self, register: SegmentRegister) -> Segment {
        let fields = &SEGMENTS[register as usize];
        let vmcs = self.vmcs.current();
        Segment {
            selector: vmcs.read(fields.selector),
            base: vmcs.read(fields.base),
            limit: vmcs.read(fields.limit),
            access: vmcs.read(fields.access),
        }
    }

    /// A segment that is not present cannot be in a register but as an unusable one.
    pub(super) fn write_segment(&mut self, register: SegmentRegister, segment: Segment) {
        let fields = &SEGMENTS[register as usize];
        let mut access = AccessRights::from_bits_retain(segment.access);
        access.set(
            AccessRights::UNUSABLE,
            access.contains(AccessRights::UNUSABLE) || !access.contains(AccessRights::P),
        );
        let vmcs = self.vmcs.current_mut();
        vmcs.write(fields.selector, segment.selector);
        vmcs.write(fields.base, segment.base);
        vmcs.write(fields.limit, segment.limit);
        vmcs.write(fields.access, access.bits());
    }

    /// SDM 3A "Processor State After Reset", table "IA-32 and Intel 64 Processor States Following
    /// Power-up, Reset, or INIT".
    pub(super) fn reset_registers(&mut self) {
        let vmcs = self.vmcs.current_mut();
        vmcs.write(CR0_GUEST_HOST_MASK, CR0_HOST);
        vmcs.write(CR4_GUEST_HOST_MASK, !CR4_GUEST);
        vmcs.write(GUEST_IA32_SYSENTER_CS, 0);
        vmcs.write(GUEST_IA32_PAT, PAT_RESET);
        vmcs.write(GUEST_IA32_DEBUGCTL, 0);
        for register in [
            Reg::Rsp,
            Reg::Cr3,
            Reg::Cr4,
            Reg::Efer,
            Reg::SysenterEsp,
            Reg::SysenterEip,
        ] {
            self.write_register(register, 0);
        }
        self.write_register(Reg::Rip, 0xfff0);
        self.write_register(Reg::Rflags, Rflags::RESET.bits());
        self.write_register(Reg::Cr0, Cr0::RESET.bits());
        self.write_register(Reg::Dr7, Dr7::RESET.bits());
        reset::segments(self);
    }

    pub(super) fn read_table(&self, base: Field<Natural>, limit: Field<u32>) -> TableRegister {
        let vmcs = self.vmcs.current();
        TableRegister {
            base: vmcs.read(base),
            limit: vmcs.read(limit) as u16,
        }
    }

    pub(super) fn write_table(
        &mut self,
        base: Field<Natural>,
        limit: Field<u32>,
        table: TableRegister,
    ) {
        let vmcs = self.vmcs.current_mut();
        vmcs.write(base, table.base);
        vmcs.write(limit, table.limit.into());
    }
}
