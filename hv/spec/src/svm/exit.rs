//! Exit codes and their EXITINFO layouts: APM vol 2 "SVM Intercept Exit Codes" and the sections on single intercepts.

use bitflags::bitflags;

use crate::exception::Vector;
use crate::number::{layout, numbers};

numbers! {
    /// EXITCODE. The codes of exceptions (40H + vector) and of CR and DR accesses are ranges, see the methods.
    ExitCode(u64);
    CR0_READ = 0x000, "Read of CR0: the first of 16.";
    CR0_WRITE = 0x010, "Write of CR0: the first of 16.";
    DR0_READ = 0x020, "Read of DR0: the first of 16.";
    DR0_WRITE = 0x030, "Write of DR0: the first of 16.";
    EXCEPTION = 0x040, "Exception vector 0: the first of 32.";
    INTR = 0x060, "Physical maskable interrupt.";
    NMI = 0x061, "Physical NMI.";
    SMI = 0x062, "Physical SMI.";
    INIT = 0x063, "Physical INIT.";
    VINTR = 0x064, "Virtual maskable interrupt.";
    CR0_SEL_WRITE = 0x065, "Selective write of CR0.";
    IDTR_READ = 0x066, "Read of IDTR.";
    GDTR_READ = 0x067, "Read of GDTR.";
    LDTR_READ = 0x068, "Read of LDTR.";
    TR_READ = 0x069, "Read of TR.";
    IDTR_WRITE = 0x06a, "Write of IDTR.";
    GDTR_WRITE = 0x06b, "Write of GDTR.";
    LDTR_WRITE = 0x06c, "Write of LDTR.";
    TR_WRITE = 0x06d, "Write of TR.";
    RDTSC = 0x06e, "RDTSC.";
    RDPMC = 0x06f, "RDPMC.";
    PUSHF = 0x070, "PUSHF.";
    POPF = 0x071, "POPF.";
    CPUID = 0x072, "CPUID.";
    RSM = 0x073, "RSM.";
    IRET = 0x074, "IRET.";
    SWINT = 0x075, "INT n: EXITINFO1 bits 7:0 are the vector, with decode assists.";
    INVD = 0x076, "INVD.";
    PAUSE = 0x077, "PAUSE.";
    HLT = 0x078, "HLT.";
    INVLPG = 0x079, "INVLPG: EXITINFO1 is the linear address, with decode assists.";
    INVLPGA = 0x07a, "INVLPGA.";
    IOIO = 0x07b, "Port access: EXITINFO1 is an `IoInfo`, EXITINFO2 the RIP of the next instruction.";
    MSR = 0x07c, "MSR access: EXITINFO1 is 0 for RDMSR and 1 for WRMSR.";
    TASK_SWITCH = 0x07d, "Task switch.";
    FERR_FREEZE = 0x07e, "FERR_FREEZE.";
    SHUTDOWN = 0x07f, "Shutdown (triple fault).";
    VMRUN = 0x080, "VMRUN.";
    VMMCALL = 0x081, "VMMCALL.";
    VMLOAD = 0x082, "VMLOAD.";
    VMSAVE = 0x083, "VMSAVE.";
    STGI = 0x084, "STGI.";
    CLGI = 0x085, "CLGI.";
    SKINIT = 0x086, "SKINIT.";
    RDTSCP = 0x087, "RDTSCP.";
    ICEBP = 0x088, "ICEBP (INT1).";
    WBINVD = 0x089, "WBINVD or WBNOINVD.";
    MONITOR = 0x08a, "MONITOR or MONITORX.";
    MWAIT = 0x08b, "MWAIT or MWAITX.";
    MWAIT_ARMED = 0x08c, "MWAIT or MWAITX while monitor hardware is armed.";
    XSETBV = 0x08d, "XSETBV.";
    RDPRU = 0x08e, "RDPRU.";
    EFER_WRITE = 0x08f, "Write of EFER, finished.";
    CR0_WRITE_AFTER = 0x090, "Write of CR0, finished: the first of 16.";
    INVLPGB = 0x0a0, "INVLPGB.";
    INVLPGB_ILLEGAL = 0x0a1, "Illegal INVLPGB.";
    INVPCID = 0x0a2, "INVPCID.";
    MCOMMIT = 0x0a3, "MCOMMIT.";
    TLBSYNC = 0x0a4, "TLBSYNC.";
    BUS_LOCK = 0x0a5, "Bus lock.";
    IDLE_HLT = 0x0a6, "HLT without a pending virtual interrupt.";
    NPF = 0x400, "Nested page fault: EXITINFO1 is an `NpfInfo`, EXITINFO2 the guest-physical address.";
    AVIC_INCOMPLETE_IPI = 0x401, "AVIC: an IPI was not delivered.";
    AVIC_NOACCEL = 0x402, "AVIC: an access that is not accelerated.";
    VMGEXIT = 0x403, "VMGEXIT.";
    INVALID = 0xffff_ffff_ffff_ffff, "Invalid guest state in the VMCB.";
    BUSY = 0xffff_ffff_ffff_fffe, "The VMSA is busy.";
    IDLE_REQUIRED = 0xffff_ffff_ffff_fffd, "The sibling thread is not idle.";
}

impl ExitCode {
    /// Whether VMRUN refused the guest state. QEMU sets just the low 32 bits to -1, so just they are compared.
    #[inline]
    #[must_use]
    pub const fn is_invalid(self) -> bool {
        self.0 as u32 == u32::MAX
    }

    /// The vector of an exception intercept.
    #[inline]
    #[must_use]
    pub const fn exception(self) -> Option<Vector> {
        match self.in_range(Self::EXCEPTION, 32) {
            Some(vector) => Some(Vector(vector)),
            None => None,
        }
    }

    /// The number of a control register that was read.
    #[must_use]
    pub const fn cr_read(self) -> Option<u8> {
        self.in_range(Self::CR0_READ, 16)
    }

    /// The number of a control register that was to be written.
    #[must_use]
    pub const fn cr_write(self) -> Option<u8> {
        self.in_range(Self::CR0_WRITE, 16)
    }

    /// The number of a debug register that was read.
    #[must_use]
    pub const fn dr_read(self) -> Option<u8> {
        self.in_range(Self::DR0_READ, 16)
    }

    /// The number of a debug register that was to be written.
    #[must_use]
    pub const fn dr_write(self) -> Option<u8> {
        self.in_range(Self::DR0_WRITE, 16)
    }

    const fn in_range(self, first: Self, count: u64) -> Option<u8> {
        let offset = self.0.wrapping_sub(first.0);
        if offset < count {
            Some(offset as u8)
        } else {
            None
        }
    }
}

layout! {
    /// EXITINFO1 of a port access: APM vol 2 "IOIO Intercept".
    IoInfo(u64);
    is_in: bit 0, "Bit 0, TYPE: IN or INS; otherwise OUT or OUTS.";
    string: bit 2, "Bit 2, STR: INS or OUTS.";
    rep: bit 3, "Bit 3, REP: with a REP prefix.";
    size: from 4 + 3 as u8, "Bits 6:4, SZ32 SZ16 SZ8: one-hot, and so the access's bytes (1, 2 or 4).";
    address_size: from 7 + 3 as u8, "Bits 9:7, A64 A32 A16: one-hot (1: 16-bit, 2: 32-bit, 4: 64-bit).";
    segment: from 10 + 3 as u8, "Bits 12:10, SEG: the effective segment of a string instruction (0 ES, 1 CS, 2 SS, 3 DS, 4 FS, 5 GS), with decode assists.";
    port: from 16 + 16 as u16, "Bits 31:16: the port number.";
}

impl IoInfo {
    /// The size of an address in bits: 16, 32 or 64.
    #[inline]
    #[must_use]
    pub const fn address_bits(self) -> u32 {
        self.address_size() as u32 * 16
    }
}

bitflags! {
    /// EXITINFO1 of a nested page fault: APM vol 2 "Nested versus Guest Page Faults, Fault Ordering".
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct NpfInfo: u64 {
        /// The nested page was present.
        const P = 1 << 0;
        /// A write. Set for every guest page-table walk.
        const RW = 1 << 1;
        /// A user access: every nested access is one.
        const US = 1 << 2;
        /// A reserved bit was set in a nested page-table entry.
        const RSV = 1 << 3;
        /// An instruction fetch.
        const ID = 1 << 4;
        /// A shadow-stack access.
        const SS = 1 << 6;
        /// An RMP violation.
        const RMP = 1 << 31;
        /// The fault happened in the translation of the final guest-physical address.
        const FINAL = 1 << 32;
        /// The fault happened in the translation of a guest page table's address.
        const GUEST_TABLE = 1 << 33;
        /// Guest supervisor shadow-stack page in a leaf of the nested table (SSS).
        const SUPERVISOR_SHADOW_STACK = 1 << 37;
        const _ = !0;
    }
}

layout! {
    /// EXITINFO1 of a CR or DR access, with decode assists: APM vol 2 "MOV CRx/DRx Intercepts".
    RegisterInfo(u64);
    register: from 0 + 4 as u8, "Bits 3:0: the general-purpose register (0 RAX, 1 RCX, 2 RDX, 3 RBX, 4 RSP, 5 RBP, 6 RSI, 7 RDI, 8..15 R8..R15).";
    mov: bit 63, "Bit 63: a MOV CRx (CR intercepts only); otherwise CLTS, LMSW or SMSW, or there are no decode assists.";
}

layout! {
    /// EXITINFO2 of a task switch: APM vol 2 "Task Switch Intercept". EXITINFO1 is the selector of the incoming TSS.
    TaskSwitchInfo(u64);
    error_code: from 0 + 32 as u32, "Bits 31:0: the error code to push in the new task.";
    iret: bit 36, "Bit 36: caused by IRET.";
    far_jump: bit 38, "Bit 38: caused by a far jump.";
    has_error_code: bit 44, "Bit 44: there is an error code to push.";
    resume_flag: bit 48, "Bit 48: the value of EFLAGS.RF for the outgoing TSS.";
}
