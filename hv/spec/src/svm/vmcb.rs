//! The virtual machine control block: APM vol 2 "Layout of VMCB". Its offsets are asserted in `offsets`.

pub use super::intercept::{
    Clean, Event, EventType, Intercept1, Intercept2, Intercept3, InterruptShadow, NestedControl,
    TlbControl, V_INTR_PRIORITY, V_INTR_VECTOR, V_TPR, VirtualExtensions, VirtualInterrupt,
};

/// The size of the I/O permission map in bytes: 64 Ki ports and 3 more bits, in three pages.
pub const IOPM_SIZE: usize = 3 * 4096;
/// The size of the MSR permission map in bytes: two bits an MSR (read, write), four ranges of 8192 MSRs, the last one reserved.
pub const MSRPM_SIZE: usize = 2 * 4096;

/// The bit of `msr`'s read intercept in the MSR permission map (the write intercept is the next bit),
/// unless no bit covers the MSR, which then always exits if MSR_PROT is set.
/// APM vol 2 "MSR Intercepts".
#[must_use]
pub const fn msrpm_bit(msr: u32) -> Option<usize> {
    let range = match msr >> 13 {
        0 => 0,
        0x60000 => 1,
        0x60008 => 2,
        _ => return None,
    };
    Some((range * 8192 + (msr as usize & 0x1fff)) * 2)
}

/// The control area: offsets 000H to 3FFH.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct ControlArea {
    /// Bit N: reads of CRn exit.
    pub intercept_cr_reads: u16,
    /// Bit N: writes of CRn exit.
    pub intercept_cr_writes: u16,
    /// Bit N: reads of DRn exit.
    pub intercept_dr_reads: u16,
    /// Bit N: writes of DRn exit.
    pub intercept_dr_writes: u16,
    /// Bit N: exception vector N exits.
    pub intercept_exceptions: u32,
    /// Intercepts at 00CH.
    pub intercept1: Intercept1,
    /// Intercepts at 010H.
    pub intercept2: Intercept2,
    /// Intercepts at 014H.
    pub intercept3: Intercept3,
    reserved_018: [u8; 0x24],
    /// PAUSE filter threshold, in cycles.
    pub pause_filter_threshold: u16,
    /// PAUSE filter count.
    pub pause_filter_count: u16,
    /// Physical address of the I/O permission map, 4 KiB aligned.
    pub iopm_base_pa: u64,
    /// Physical address of the MSR permission map, 4 KiB aligned.
    pub msrpm_base_pa: u64,
    /// Added to the TSC as the guest reads it.
    pub tsc_offset: u64,
    /// The guest's address space identifier, not 0.
    pub guest_asid: u32,
    /// What VMRUN flushes.
    pub tlb_control: TlbControl,
    reserved_05d: [u8; 3],
    /// Virtual interrupts.
    pub virtual_interrupt: VirtualInterrupt,
    /// Interrupt shadow.
    pub interrupt_shadow: InterruptShadow,
    /// EXITCODE.
    pub exit_code: u64,
    /// EXITINFO1.
    pub exit_info1: u64,
    /// EXITINFO2.
    pub exit_info2: u64,
    /// EXITINTINFO: the event that was being delivered.
    pub exit_int_info: Event,
    /// Nested paging and encryption.
    pub nested_control: NestedControl,
    /// AVIC APIC_BAR.
    pub avic_apic_bar: u64,
    /// Guest-physical address of the GHCB.
    pub ghcb_pa: u64,
    /// EVENTINJ: the event that VMRUN delivers.
    pub event_inj: Event,
    /// N_CR3: physical address of the nested page tables.
    pub n_cr3: u64,
    /// LBR and VMLOAD/VMSAVE virtualization.
    pub virtual_extensions: VirtualExtensions,
    /// Clean bits.
    pub clean: Clean,
    reserved_0c4: [u8; 4],
    /// nRIP: the address of the next instruction (with NRIPS).
    pub next_rip: u64,
    /// The number of bytes in `instruction_bytes` (with decode assists).
    pub instruction_count: u8,
    /// The guest's instruction bytes, for intercepted #PF and NPF (with decode assists).
    pub instruction_bytes: [u8; 15],
    /// AVIC backing page.
    pub avic_backing_page: u64,
    reserved_0e8: [u8; 8],
    /// AVIC logical table.
    pub avic_logical_table: u64,
    /// AVIC physical table, and the highest index in bits 7:0.
    pub avic_physical_table: u64,
    reserved_100: [u8; 8],
    /// VMSA pointer (SEV-ES).
    pub vmsa_pa: u64,
    reserved_110: [u8; 0x10],
    /// Bus lock threshold counter.
    pub bus_lock_threshold: u16,
    reserved_122: [u8; 0x2be],
    /// For the host's software: the processor ignores it.
    pub host_software: [u8; 0x20],
}

/// A segment as the VMCB holds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct VmcbSegment {
    /// The selector.
    pub selector: u16,
    /// The 12-bit attribute, see [`crate::segment::AccessRights::from_svm`].
    pub attrib: u16,
    /// The limit in bytes; for GDTR and IDTR 16 bits.
    pub limit: u32,
    /// The base.
    pub base: u64,
}

/// The state save area: offsets 400H to 0FFFH, of a guest without encrypted state.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct SaveArea {
    /// ES.
    pub es: VmcbSegment,
    /// CS.
    pub cs: VmcbSegment,
    /// SS.
    pub ss: VmcbSegment,
    /// DS.
    pub ds: VmcbSegment,
    /// FS (its hidden part: VMLOAD and VMSAVE).
    pub fs: VmcbSegment,
    /// GS (VMLOAD and VMSAVE).
    pub gs: VmcbSegment,
    /// GDTR: limit and base.
    pub gdtr: VmcbSegment,
    /// LDTR (VMLOAD and VMSAVE).
    pub ldtr: VmcbSegment,
    /// IDTR: limit and base.
    pub idtr: VmcbSegment,
    /// TR (VMLOAD and VMSAVE).
    pub tr: VmcbSegment,
    reserved_0a0: [u8; 0x2b],
    /// The current privilege level.
    pub cpl: u8,
    reserved_0cc: [u8; 4],
    /// EFER.
    pub efer: u64,
    reserved_0d8: [u8; 0x70],
    /// CR4.
    pub cr4: u64,
    /// CR3.
    pub cr3: u64,
    /// CR0.
    pub cr0: u64,
    /// DR7.
    pub dr7: u64,
    /// DR6.
    pub dr6: u64,
    /// RFLAGS.
    pub rflags: u64,
    /// RIP.
    pub rip: u64,
    reserved_180: [u8; 0x58],
    /// RSP.
    pub rsp: u64,
    /// S_CET.
    pub s_cet: u64,
    /// SSP.
    pub ssp: u64,
    /// ISST_ADDR.
    pub isst_addr: u64,
    /// RAX: the one general register besides RSP that VMRUN switches.
    pub rax: u64,
    /// STAR (VMLOAD and VMSAVE).
    pub star: u64,
    /// LSTAR (VMLOAD and VMSAVE).
    pub lstar: u64,
    /// CSTAR (VMLOAD and VMSAVE).
    pub cstar: u64,
    /// SFMASK (VMLOAD and VMSAVE).
    pub sfmask: u64,
    /// KernelGsBase (VMLOAD and VMSAVE).
    pub kernel_gs_base: u64,
    /// SYSENTER_CS (VMLOAD and VMSAVE).
    pub sysenter_cs: u64,
    /// SYSENTER_ESP (VMLOAD and VMSAVE).
    pub sysenter_esp: u64,
    /// SYSENTER_EIP (VMLOAD and VMSAVE).
    pub sysenter_eip: u64,
    /// CR2.
    pub cr2: u64,
    reserved_248: [u8; 0x20],
    /// G_PAT: the guest's PAT, with nested paging.
    pub g_pat: u64,
    /// DBGCTL, with LBR virtualization.
    pub dbgctl: u64,
    /// BR_FROM.
    pub br_from: u64,
    /// BR_TO.
    pub br_to: u64,
    /// LASTEXCPFROM.
    pub last_excp_from: u64,
    /// LASTEXCPTO.
    pub last_excp_to: u64,
    reserved_298: [u8; 0x48],
    /// SPEC_CTRL, with its virtualization.
    pub spec_ctrl: u64,
    reserved_2e8: [u8; 0x918],
}

/// A VMCB: one page, 4 KiB aligned.
#[derive(Clone, Debug)]
#[repr(C, align(4096))]
pub struct Vmcb {
    /// Intercepts, injection, exit information.
    pub control: ControlArea,
    /// The guest's registers.
    pub save: SaveArea,
}

impl ControlArea {
    /// All zero.
    pub const ZERO: Self = Self {
        intercept_cr_reads: 0,
        intercept_cr_writes: 0,
        intercept_dr_reads: 0,
        intercept_dr_writes: 0,
        intercept_exceptions: 0,
        intercept1: Intercept1::empty(),
        intercept2: Intercept2::empty(),
        intercept3: Intercept3::empty(),
        reserved_018: [0; _],
        pause_filter_threshold: 0,
        pause_filter_count: 0,
        iopm_base_pa: 0,
        msrpm_base_pa: 0,
        tsc_offset: 0,
        guest_asid: 0,
        tlb_control: TlbControl::DO_NOTHING,
        reserved_05d: [0; _],
        virtual_interrupt: VirtualInterrupt::empty(),
        interrupt_shadow: InterruptShadow::empty(),
        exit_code: 0,
        exit_info1: 0,
        exit_info2: 0,
        exit_int_info: Event(0),
        nested_control: NestedControl::empty(),
        avic_apic_bar: 0,
        ghcb_pa: 0,
        event_inj: Event(0),
        n_cr3: 0,
        virtual_extensions: VirtualExtensions::empty(),
        clean: Clean::empty(),
        reserved_0c4: [0; _],
        next_rip: 0,
        instruction_count: 0,
        instruction_bytes: [0; _],
        avic_backing_page: 0,
        reserved_0e8: [0; _],
        avic_logical_table: 0,
        avic_physical_table: 0,
        reserved_100: [0; _],
        vmsa_pa: 0,
        reserved_110: [0; _],
        bus_lock_threshold: 0,
        reserved_122: [0; _],
        host_software: [0; _],
    };
}

impl SaveArea {
    /// All zero: not a state that VMRUN takes.
    pub const ZERO: Self = {
        const SEGMENT: VmcbSegment = VmcbSegment {
            selector: 0,
            attrib: 0,
            limit: 0,
            base: 0,
        };
        Self {
            es: SEGMENT,
            cs: SEGMENT,
            ss: SEGMENT,
            ds: SEGMENT,
            fs: SEGMENT,
            gs: SEGMENT,
            gdtr: SEGMENT,
            ldtr: SEGMENT,
            idtr: SEGMENT,
            tr: SEGMENT,
            reserved_0a0: [0; _],
            cpl: 0,
            reserved_0cc: [0; _],
            efer: 0,
            reserved_0d8: [0; _],
            cr4: 0,
            cr3: 0,
            cr0: 0,
            dr7: 0,
            dr6: 0,
            rflags: 0,
            rip: 0,
            reserved_180: [0; _],
            rsp: 0,
            s_cet: 0,
            ssp: 0,
            isst_addr: 0,
            rax: 0,
            star: 0,
            lstar: 0,
            cstar: 0,
            sfmask: 0,
            kernel_gs_base: 0,
            sysenter_cs: 0,
            sysenter_esp: 0,
            sysenter_eip: 0,
            cr2: 0,
            reserved_248: [0; _],
            g_pat: 0,
            dbgctl: 0,
            br_from: 0,
            br_to: 0,
            last_excp_from: 0,
            last_excp_to: 0,
            reserved_298: [0; _],
            spec_ctrl: 0,
            reserved_2e8: [0; _],
        }
    };
}

impl Vmcb {
    /// All zero: the start of every VMCB.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            control: ControlArea::ZERO,
            save: SaveArea::ZERO,
        }
    }
}

impl Default for Vmcb {
    fn default() -> Self {
        Self::new()
    }
}
