//! VM-instruction error numbers: SDM 3C "VM Instruction Error Numbers".

crate::number::numbers! {
    /// What the VM-instruction error field holds after VMfailValid; `text` is the manual's sentence.
    InstructionError(u32);
    VMCALL_IN_ROOT = 1, "VMCALL executed in VMX root operation";
    VMCLEAR_ADDRESS = 2, "VMCLEAR with invalid physical address";
    VMCLEAR_VMXON_POINTER = 3, "VMCLEAR with VMXON pointer";
    VMLAUNCH_NON_CLEAR = 4, "VMLAUNCH with non-clear VMCS";
    VMRESUME_NON_LAUNCHED = 5, "VMRESUME with non-launched VMCS";
    VMRESUME_AFTER_VMXOFF = 6, "VMRESUME after VMXOFF (VMXOFF and VMXON between VMLAUNCH and VMRESUME)";
    ENTRY_CONTROL_FIELD = 7, "VM entry with invalid control field(s)";
    ENTRY_HOST_STATE_FIELD = 8, "VM entry with invalid host-state field(s)";
    VMPTRLD_ADDRESS = 9, "VMPTRLD with invalid physical address";
    VMPTRLD_VMXON_POINTER = 10, "VMPTRLD with VMXON pointer";
    VMPTRLD_REVISION = 11, "VMPTRLD with incorrect VMCS revision identifier";
    UNSUPPORTED_COMPONENT = 12, "VMREAD/VMWRITE from/to unsupported VMCS component";
    VMWRITE_READ_ONLY = 13, "VMWRITE to read-only VMCS component";
    VMXON_IN_ROOT = 15, "VMXON executed in VMX root operation";
    ENTRY_EXECUTIVE_VMCS = 16, "VM entry with invalid executive-VMCS pointer";
    ENTRY_EXECUTIVE_NON_LAUNCHED = 17, "VM entry with non-launched executive VMCS";
    ENTRY_EXECUTIVE_NOT_VMXON = 18, "VM entry with executive-VMCS pointer not VMXON pointer (when attempting to deactivate the dual-monitor treatment of SMIs and SMM)";
    VMCALL_NON_CLEAR = 19, "VMCALL with non-clear VMCS (when attempting to activate the dual-monitor treatment of SMIs and SMM)";
    VMCALL_EXIT_CONTROL_FIELDS = 20, "VMCALL with invalid VM-exit control fields";
    VMCALL_MSEG_REVISION = 22, "VMCALL with incorrect MSEG revision identifier (when attempting to activate the dual-monitor treatment of SMIs and SMM)";
    VMXOFF_DUAL_MONITOR = 23, "VMXOFF under dual-monitor treatment of SMIs and SMM";
    VMCALL_SMM_MONITOR_FEATURES = 24, "VMCALL with invalid SMM-monitor features (when attempting to activate the dual-monitor treatment of SMIs and SMM)";
    ENTRY_EXECUTIVE_EXECUTION_CONTROLS = 25, "VM entry with invalid VM-execution control fields in executive VMCS (when attempting to return from SMM)";
    ENTRY_BLOCKED_BY_MOV_SS = 26, "VM entry with events blocked by MOV SS";
    INVALID_INVEPT_OPERAND = 28, "Invalid operand to INVEPT/INVVPID";
}
