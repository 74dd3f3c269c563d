//! Exit qualifications and the VM-exit instruction information, one type a layout.
//! SDM 3C "Basic VM-Exit Information", "Information for VM Exits Due to Instruction Execution".

use crate::number::layout;

layout! {
    /// Exit qualification of an I/O instruction.
    IoQualification(u64);
    size_minus_1: from 0 + 3 as u8, "Bits 2:0: the access's bytes less one (0, 1 or 3).";
    is_in: bit 3, "Bit 3: IN or INS; otherwise OUT or OUTS.";
    string: bit 4, "Bit 4: INS or OUTS.";
    rep: bit 5, "Bit 5: with a REP prefix.";
    immediate: bit 6, "Bit 6: the port is an immediate operand; otherwise it is in DX.";
    port: from 16 + 16 as u16, "Bits 31:16: the port number.";
}

impl IoQualification {
    /// The access's size in bytes: 1, 2 or 4.
    #[inline]
    #[must_use]
    pub const fn size(self) -> u8 {
        self.size_minus_1() + 1
    }
}

crate::number::numbers! {
    /// Bits 5:4 of the exit qualification of a control-register access.
    CrAccessType(u8);
    MOV_TO_CR = 0, "MOV to CR.";
    MOV_FROM_CR = 1, "MOV from CR.";
    CLTS = 2, "CLTS.";
    LMSW = 3, "LMSW.";
}

layout! {
    /// Exit qualification of a control-register access.
    CrAccess(u64);
    number: from 0 + 4 as u8, "Bits 3:0: the control register; 0 for CLTS and LMSW.";
    raw_type: from 4 + 2 as u8, "Bits 5:4: the access type, see [`Self::access_type`].";
    lmsw_memory: bit 6, "Bit 6: LMSW has a memory operand; otherwise a register.";
    register: from 8 + 4 as u8, "Bits 11:8: the general-purpose register of MOV CR (0 RAX, 1 RCX, 2 RDX, 3 RBX, 4 RSP, 5 RBP, 6 RSI, 7 RDI, 8..15 R8..R15).";
    lmsw_source: from 16 + 16 as u16, "Bits 31:16: the source data of LMSW.";
}

impl CrAccess {
    /// The access type.
    #[inline]
    #[must_use]
    pub const fn access_type(self) -> CrAccessType {
        CrAccessType(self.raw_type())
    }
}

layout! {
    /// Exit qualification of MOV DR.
    DrAccess(u64);
    number: from 0 + 3 as u8, "Bits 2:0: the debug register.";
    from_dr: bit 4, "Bit 4: MOV from DR; otherwise MOV to DR.";
    register: from 8 + 4 as u8, "Bits 11:8: the general-purpose register, numbered as in [`CrAccess`].";
}

layout! {
    /// Exit qualification of an EPT violation.
    EptViolation(u64);
    read: bit 0, "Bit 0: the access was a data read.";
    write: bit 1, "Bit 1: the access was a data write.";
    fetch: bit 2, "Bit 2: the access was an instruction fetch.";
    readable: bit 3, "Bit 3: the guest-physical address was readable.";
    writable: bit 4, "Bit 4: the guest-physical address was writable.";
    executable: bit 5, "Bit 5: the guest-physical address was executable (from supervisor mode, under mode-based execute control).";
    user_executable: bit 6, "Bit 6: the guest-physical address was executable from user mode; undefined without mode-based execute control.";
    linear_valid: bit 7, "Bit 7: the guest-linear address field is valid.";
    translated: bit 8, "Bit 8, if bit 7: the access was to the translation of the linear address; otherwise to a paging-structure entry.";
    user_linear: bit 9, "Bit 9, if bits 7 and 8 and advanced information: a user-mode linear address.";
    read_write_linear: bit 10, "Bit 10, as bit 9: a linear address that may be written.";
    execute_disable_linear: bit 11, "Bit 11, as bit 9: an execute-disable linear address.";
    nmi_unblocking: bit 12, "Bit 12: NMI unblocking due to IRET.";
    shadow_stack: bit 13, "Bit 13: a shadow-stack access.";
    supervisor_shadow_stack: bit 14, "Bit 14: supervisor shadow-stack control was set in the EPT entry.";
    guest_paging_verification: bit 15, "Bit 15: guest-paging verification failed.";
    asynchronous: bit 16, "Bit 16: the access was asynchronous to instruction execution (trace output, user-interrupt delivery ...).";
}

crate::number::numbers! {
    /// Bits 31:30 of the exit qualification of a task switch.
    TaskSwitchSource(u8);
    CALL = 0, "CALL.";
    IRET = 1, "IRET.";
    JMP = 2, "JMP.";
    TASK_GATE = 3, "A task gate in the IDT.";
}

layout! {
    /// Exit qualification of a task switch.
    TaskSwitch(u64);
    selector: from 0 + 16 as u16, "Bits 15:0: the selector of the TSS that the guest attempted to switch to.";
    raw_source: from 30 + 2 as u8, "Bits 31:30: what caused it, see [`Self::source`].";
}

impl TaskSwitch {
    /// What caused the task switch.
    #[inline]
    #[must_use]
    pub const fn source(self) -> TaskSwitchSource {
        TaskSwitchSource(self.raw_source())
    }
}

crate::number::numbers! {
    /// Bits 15:12 of the exit qualification of an APIC access.
    ApicAccessType(u8);
    LINEAR_READ = 0, "Linear access: a data read during instruction execution.";
    LINEAR_WRITE = 1, "Linear access: a data write during instruction execution.";
    LINEAR_FETCH = 2, "Linear access: an instruction fetch.";
    LINEAR_EVENT_DELIVERY = 3, "Linear access, read or write, during event delivery.";
    LINEAR_MONITOR = 4, "Linear access for monitoring (UMONITOR).";
    PHYSICAL_EVENT_DELIVERY = 10, "Guest-physical access during event delivery.";
    PHYSICAL_MONITOR_TRACE = 11, "Guest-physical access for monitoring or trace.";
    PHYSICAL = 15, "Guest-physical access: an instruction fetch, or during instruction execution.";
}

layout! {
    /// Exit qualification of an APIC access.
    ApicAccess(u64);
    offset: from 0 + 12 as u16, "Bits 11:0: the offset within the APIC-access page, for a linear access.";
    raw_type: from 12 + 4 as u8, "Bits 15:12: the access type, see [`Self::access_type`].";
    asynchronous: bit 16, "Bit 16: the access was asynchronous to instruction execution.";
}

impl ApicAccess {
    /// The access type.
    #[inline]
    #[must_use]
    pub const fn access_type(self) -> ApicAccessType {
        ApicAccessType(self.raw_type())
    }
}

layout! {
    /// VM-exit instruction information (32 bits). Each instruction defines some of the parts:
    /// INS and OUTS only the address size, and OUTS the segment register.
    InstructionInformation(u32);
    scaling: from 0 + 2 as u8, "Bits 1:0: the index register is shifted left by this.";
    register1: from 3 + 4 as u8, "Bits 6:3: the register operand (VMREAD, VMWRITE with a register for the other operand; RDRAND, TPAUSE ...).";
    raw_address_size: from 7 + 3 as u8, "Bits 9:7: 0 for 16-bit, 1 for 32-bit, 2 for 64-bit addresses.";
    is_register: bit 10, "Bit 10: the operand is a register (`register1`); otherwise memory.";
    raw_operand_size: from 11 + 2 as u8, "Bits 12:11: 0 for 16-bit, 1 for 32-bit, 2 for 64-bit operands (RDRAND, LGDT ...).";
    segment: from 15 + 3 as u8, "Bits 17:15: the segment register (0 ES, 1 CS, 2 SS, 3 DS, 4 FS, 5 GS). Not for INS.";
    index: from 18 + 4 as u8, "Bits 21:18: the index register.";
    index_invalid: bit 22, "Bit 22: there is no index register.";
    base: from 23 + 4 as u8, "Bits 26:23: the base register.";
    base_invalid: bit 27, "Bit 27: there is no base register.";
    register2: from 28 + 4 as u8, "Bits 31:28: the second register operand (INVEPT, INVVPID, INVPCID, VMREAD, VMWRITE).";
}

impl InstructionInformation {
    /// The size of an address in bits: 16, 32 or 64.
    #[inline]
    #[must_use]
    pub const fn address_bits(self) -> u32 {
        16 << self.raw_address_size()
    }
}
