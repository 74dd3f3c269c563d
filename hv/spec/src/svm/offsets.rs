//! The VMCB's offsets, asserted at compile time: APM vol 2 "Layout of VMCB".

use core::mem::{offset_of, size_of};

use super::vmcb::{ControlArea, SaveArea, Vmcb};

macro_rules! assert_offsets {
    ($type:ty { $($field:ident = $offset:literal,)* }) => {
        $(const _: () = assert!(offset_of!($type, $field) == $offset);)*
    };
}

const _: () = assert!(size_of::<Vmcb>() == 4096 && offset_of!(Vmcb, save) == 0x400);
const _: () = assert!(size_of::<ControlArea>() == 0x400 && size_of::<SaveArea>() == 0xc00);

assert_offsets!(ControlArea {
    intercept_cr_reads = 0x000,
    intercept_cr_writes = 0x002,
    intercept_dr_reads = 0x004,
    intercept_dr_writes = 0x006,
    intercept_exceptions = 0x008,
    intercept1 = 0x00c,
    intercept2 = 0x010,
    intercept3 = 0x014,
    pause_filter_threshold = 0x03c,
    pause_filter_count = 0x03e,
    iopm_base_pa = 0x040,
    msrpm_base_pa = 0x048,
    tsc_offset = 0x050,
    guest_asid = 0x058,
    tlb_control = 0x05c,
    virtual_interrupt = 0x060,
    interrupt_shadow = 0x068,
    exit_code = 0x070,
    exit_info1 = 0x078,
    exit_info2 = 0x080,
    exit_int_info = 0x088,
    nested_control = 0x090,
    avic_apic_bar = 0x098,
    ghcb_pa = 0x0a0,
    event_inj = 0x0a8,
    n_cr3 = 0x0b0,
    virtual_extensions = 0x0b8,
    clean = 0x0c0,
    next_rip = 0x0c8,
    instruction_count = 0x0d0,
    instruction_bytes = 0x0d1,
    avic_backing_page = 0x0e0,
    avic_logical_table = 0x0f0,
    avic_physical_table = 0x0f8,
    vmsa_pa = 0x108,
    bus_lock_threshold = 0x120,
    host_software = 0x3e0,
});

assert_offsets!(SaveArea {
    es = 0x000,
    cs = 0x010,
    ss = 0x020,
    ds = 0x030,
    fs = 0x040,
    gs = 0x050,
    gdtr = 0x060,
    ldtr = 0x070,
    idtr = 0x080,
    tr = 0x090,
    cpl = 0x0cb,
    efer = 0x0d0,
    cr4 = 0x148,
    cr3 = 0x150,
    cr0 = 0x158,
    dr7 = 0x160,
    dr6 = 0x168,
    rflags = 0x170,
    rip = 0x178,
    rsp = 0x1d8,
    s_cet = 0x1e0,
    ssp = 0x1e8,
    isst_addr = 0x1f0,
    rax = 0x1f8,
    star = 0x200,
    lstar = 0x208,
    cstar = 0x210,
    sfmask = 0x218,
    kernel_gs_base = 0x220,
    sysenter_cs = 0x228,
    sysenter_esp = 0x230,
    sysenter_eip = 0x238,
    cr2 = 0x240,
    g_pat = 0x268,
    dbgctl = 0x270,
    br_from = 0x278,
    br_to = 0x280,
    last_excp_from = 0x288,
    last_excp_to = 0x290,
    spec_ctrl = 0x2e0,
});
