//! The guest's non-register state: SDM 3C "Guest Non-Register State". Access rights are [`crate::segment::AccessRights`].

use bitflags::bitflags;

bitflags! {
    /// The guest interruptibility-state field.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct Interruptibility: u32 {
        /// Blocking by STI: for one instruction.
        const STI = 1 << 0;
        /// Blocking by MOV SS (or POP SS): for one instruction, debug exceptions too.
        const MOV_SS = 1 << 1;
        /// Blocking by SMI.
        const SMI = 1 << 2;
        /// Blocking by NMI; under "virtual NMIs", virtual-NMI blocking.
        const NMI = 1 << 3;
        /// Enclave interruption.
        const ENCLAVE = 1 << 4;
        const _ = !0;
    }
}

impl Interruptibility {
    /// Blocking by STI or by MOV SS: what ends when the guest's RIP passes one instruction.
    pub const STI_OR_MOV_SS: Self = Self::STI.union(Self::MOV_SS);
    /// Bits 31:5: must be 0.
    pub const RESERVED: u32 = !0x1f;
}

crate::number::numbers! {
    /// The guest activity-state field.
    ActivityState(u32);
    ACTIVE = 0, "Active.";
    HLT = 1, "Inactive because of HLT.";
    SHUTDOWN = 2, "Inactive because of a triple fault or another serious error.";
    WAIT_FOR_SIPI = 3, "Inactive, waiting for a startup IPI.";
}

bitflags! {
    /// The guest pending debug exceptions field.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct PendingDebug: u64 {
        /// Breakpoint 0 was met.
        const B0 = 1 << 0;
        /// Breakpoint 1 was met.
        const B1 = 1 << 1;
        /// Breakpoint 2 was met.
        const B2 = 1 << 2;
        /// Breakpoint 3 was met.
        const B3 = 1 << 3;
        /// A bus lock was asserted.
        const BLD = 1 << 11;
        /// A data or I/O breakpoint that is enabled in DR7 was met.
        const ENABLED_BREAKPOINT = 1 << 12;
        /// A single-step exception is due.
        const BS = 1 << 14;
        /// The debug exception happened in a transactional region.
        const RTM = 1 << 16;
        const _ = !0;
    }
}
