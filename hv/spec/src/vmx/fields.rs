//! The fields of the VMCS, one row a field: SDM 3D "Field Encoding in VMCS". The high halves of 64-bit fields have no rows:
//! their encoding is the field's plus 1.

pub use super::field::{Area, Field, FieldType, Natural, Row, Width, area, index, is_high, width};

macro_rules! fields {
    ($($name:ident: $type:ty = $encoding:literal, $text:literal;)*) => {
        $(#[doc = $text] pub const $name: Field<$type> = Field::row($encoding);)*

        /// Every field, in the order of the manual.
        pub static FIELDS: &[Row] = &[$(Row { encoding: $encoding, name: stringify!($name) }),*];

        /// The name of the field with this encoding, if it is known.
        #[must_use]
        #[deny(unreachable_patterns)]
        pub const fn name(encoding: u32) -> Option<&'static str> {
            match encoding {
                $($encoding => Some(stringify!($name)),)*
                _ => None,
            }
        }
    };
}

fields! {
    // 16-bit control fields
    VPID: u16 = 0x0000, "Virtual-processor identifier.";
    POSTED_INTERRUPT_NOTIFICATION_VECTOR: u16 = 0x0002, "Posted-interrupt notification vector.";
    EPTP_INDEX: u16 = 0x0004, "EPTP index.";
    HLAT_PREFIX_SIZE: u16 = 0x0006, "HLAT prefix size.";
    LAST_PID_POINTER_INDEX: u16 = 0x0008, "Last PID-pointer index.";
    // 16-bit guest-state fields
    GUEST_ES_SELECTOR: u16 = 0x0800, "Guest ES selector.";
    GUEST_CS_SELECTOR: u16 = 0x0802, "Guest CS selector.";
    GUEST_SS_SELECTOR: u16 = 0x0804, "Guest SS selector.";
    GUEST_DS_SELECTOR: u16 = 0x0806, "Guest DS selector.";
    GUEST_FS_SELECTOR: u16 = 0x0808, "Guest FS selector.";
    GUEST_GS_SELECTOR: u16 = 0x080a, "Guest GS selector.";
    GUEST_LDTR_SELECTOR: u16 = 0x080c, "Guest LDTR selector.";
    GUEST_TR_SELECTOR: u16 = 0x080e, "Guest TR selector.";
    GUEST_INTERRUPT_STATUS: u16 = 0x0810, "Guest interrupt status: RVI in bits 7:0, SVI in bits 15:8.";
    PML_INDEX: u16 = 0x0812, "PML index.";
    GUEST_UINV: u16 = 0x0814, "Guest UINV.";
    // 16-bit host-state fields
    HOST_ES_SELECTOR: u16 = 0x0c00, "Host ES selector.";
    HOST_CS_SELECTOR: u16 = 0x0c02, "Host CS selector.";
    HOST_SS_SELECTOR: u16 = 0x0c04, "Host SS selector.";
    HOST_DS_SELECTOR: u16 = 0x0c06, "Host DS selector.";
    HOST_FS_SELECTOR: u16 = 0x0c08, "Host FS selector.";
    HOST_GS_SELECTOR: u16 = 0x0c0a, "Host GS selector.";
    HOST_TR_SELECTOR: u16 = 0x0c0c, "Host TR selector.";
    // 64-bit control fields
    IO_BITMAP_A_ADDRESS: u64 = 0x2000, "Address of I/O bitmap A: ports 0000H to 7FFFH.";
    IO_BITMAP_B_ADDRESS: u64 = 0x2002, "Address of I/O bitmap B: ports 8000H to FFFFH.";
    MSR_BITMAPS_ADDRESS: u64 = 0x2004, "Address of MSR bitmaps.";
    EXIT_MSR_STORE_ADDRESS: u64 = 0x2006, "VM-exit MSR-store address.";
    EXIT_MSR_LOAD_ADDRESS: u64 = 0x2008, "VM-exit MSR-load address.";
    ENTRY_MSR_LOAD_ADDRESS: u64 = 0x200a, "VM-entry MSR-load address.";
    EXECUTIVE_VMCS_POINTER: u64 = 0x200c, "Executive-VMCS pointer.";
    PML_ADDRESS: u64 = 0x200e, "PML address.";
    TSC_OFFSET: u64 = 0x2010, "TSC offset.";
    VIRTUAL_APIC_ADDRESS: u64 = 0x2012, "Virtual-APIC address.";
    APIC_ACCESS_ADDRESS: u64 = 0x2014, "APIC-access address.";
    POSTED_INTERRUPT_DESCRIPTOR_ADDRESS: u64 = 0x2016, "Posted-interrupt descriptor address.";
    VM_FUNCTION_CONTROLS: u64 = 0x2018, "VM-function controls.";
    EPT_POINTER: u64 = 0x201a, "EPT pointer (EPTP).";
    EOI_EXIT_BITMAP_0: u64 = 0x201c, "EOI-exit bitmap 0.";
    EOI_EXIT_BITMAP_1: u64 = 0x201e, "EOI-exit bitmap 1.";
    EOI_EXIT_BITMAP_2: u64 = 0x2020, "EOI-exit bitmap 2.";
    EOI_EXIT_BITMAP_3: u64 = 0x2022, "EOI-exit bitmap 3.";
    EPTP_LIST_ADDRESS: u64 = 0x2024, "EPTP-list address.";
    VMREAD_BITMAP_ADDRESS: u64 = 0x2026, "VMREAD-bitmap address.";
    VMWRITE_BITMAP_ADDRESS: u64 = 0x2028, "VMWRITE-bitmap address.";
    VIRTUALIZATION_EXCEPTION_ADDRESS: u64 = 0x202a, "Virtualization-exception information address.";
    XSS_EXITING_BITMAP: u64 = 0x202c, "XSS-exiting bitmap.";
    ENCLS_EXITING_BITMAP: u64 = 0x202e, "ENCLS-exiting bitmap.";
    SUB_PAGE_PERMISSION_TABLE_POINTER: u64 = 0x2030, "Sub-page-permission-table pointer.";
    TSC_MULTIPLIER: u64 = 0x2032, "TSC multiplier: fixed point, 48 fractional bits.";
    TERTIARY_CONTROLS: u64 = 0x2034, "Tertiary processor-based VM-execution controls.";
    ENCLV_EXITING_BITMAP: u64 = 0x2036, "ENCLV-exiting bitmap.";
    LOW_PASID_DIRECTORY_ADDRESS: u64 = 0x2038, "Low PASID directory address.";
    HIGH_PASID_DIRECTORY_ADDRESS: u64 = 0x203a, "High PASID directory address.";
    SHARED_EPT_POINTER: u64 = 0x203c, "Shared EPT pointer.";
    PCONFIG_EXITING_BITMAP: u64 = 0x203e, "PCONFIG-exiting bitmap.";
    HLAT_POINTER: u64 = 0x2040, "Hypervisor-managed linear-address translation pointer (HLATP).";
    PID_POINTER_TABLE_ADDRESS: u64 = 0x2042, "PID-pointer table address.";
    SECONDARY_EXIT_CONTROLS: u64 = 0x2044, "Secondary VM-exit controls.";
    SPEC_CTRL_MASK: u64 = 0x204a, "IA32_SPEC_CTRL mask.";
    SPEC_CTRL_SHADOW: u64 = 0x204c, "IA32_SPEC_CTRL shadow.";
    INJECTED_EVENT_DATA: u64 = 0x2052, "Injected-event data (FRED).";
    // 64-bit read-only data fields
    GUEST_PHYSICAL_ADDRESS: u64 = 0x2400, "Guest-physical address.";
    MSR_DATA: u64 = 0x2402, "MSR data of RDMSRLIST and WRMSRLIST exits.";
    ORIGINAL_EVENT_DATA: u64 = 0x2404, "Original-event data (FRED).";
    // 64-bit guest-state fields
    VMCS_LINK_POINTER: u64 = 0x2800, "VMCS link pointer: all ones without VMCS shadowing.";
    GUEST_IA32_DEBUGCTL: u64 = 0x2802, "Guest IA32_DEBUGCTL.";
    GUEST_IA32_PAT: u64 = 0x2804, "Guest IA32_PAT.";
    GUEST_IA32_EFER: u64 = 0x2806, "Guest IA32_EFER.";
    GUEST_IA32_PERF_GLOBAL_CTRL: u64 = 0x2808, "Guest IA32_PERF_GLOBAL_CTRL.";
    GUEST_PDPTE0: u64 = 0x280a, "Guest PDPTE0.";
    GUEST_PDPTE1: u64 = 0x280c, "Guest PDPTE1.";
    GUEST_PDPTE2: u64 = 0x280e, "Guest PDPTE2.";
    GUEST_PDPTE3: u64 = 0x2810, "Guest PDPTE3.";
    GUEST_IA32_BNDCFGS: u64 = 0x2812, "Guest IA32_BNDCFGS.";
    GUEST_IA32_RTIT_CTL: u64 = 0x2814, "Guest IA32_RTIT_CTL.";
    GUEST_IA32_LBR_CTL: u64 = 0x2816, "Guest IA32_LBR_CTL.";
    GUEST_IA32_PKRS: u64 = 0x2818, "Guest IA32_PKRS.";
    GUEST_IA32_FRED_CONFIG: u64 = 0x281a, "Guest IA32_FRED_CONFIG.";
    GUEST_IA32_FRED_RSP1: u64 = 0x281c, "Guest IA32_FRED_RSP1.";
    GUEST_IA32_FRED_RSP2: u64 = 0x281e, "Guest IA32_FRED_RSP2.";
    GUEST_IA32_FRED_RSP3: u64 = 0x2820, "Guest IA32_FRED_RSP3.";
    GUEST_IA32_FRED_STKLVLS: u64 = 0x2822, "Guest IA32_FRED_STKLVLS.";
    GUEST_IA32_FRED_SSP1: u64 = 0x2824, "Guest IA32_FRED_SSP1.";
    GUEST_IA32_FRED_SSP2: u64 = 0x2826, "Guest IA32_FRED_SSP2.";
    GUEST_IA32_FRED_SSP3: u64 = 0x2828, "Guest IA32_FRED_SSP3.";
    // 64-bit host-state fields
    HOST_IA32_PAT: u64 = 0x2c00, "Host IA32_PAT.";
    HOST_IA32_EFER: u64 = 0x2c02, "Host IA32_EFER.";
    HOST_IA32_PERF_GLOBAL_CTRL: u64 = 0x2c04, "Host IA32_PERF_GLOBAL_CTRL.";
    HOST_IA32_PKRS: u64 = 0x2c06, "Host IA32_PKRS.";
    HOST_IA32_FRED_CONFIG: u64 = 0x2c08, "Host IA32_FRED_CONFIG.";
    HOST_IA32_FRED_RSP1: u64 = 0x2c0a, "Host IA32_FRED_RSP1.";
    HOST_IA32_FRED_RSP2: u64 = 0x2c0c, "Host IA32_FRED_RSP2.";
    HOST_IA32_FRED_RSP3: u64 = 0x2c0e, "Host IA32_FRED_RSP3.";
    HOST_IA32_FRED_STKLVLS: u64 = 0x2c10, "Host IA32_FRED_STKLVLS.";
    HOST_IA32_FRED_SSP1: u64 = 0x2c12, "Host IA32_FRED_SSP1.";
    HOST_IA32_FRED_SSP2: u64 = 0x2c14, "Host IA32_FRED_SSP2.";
    HOST_IA32_FRED_SSP3: u64 = 0x2c16, "Host IA32_FRED_SSP3.";
    // 32-bit control fields
    PINBASED_CONTROLS: u32 = 0x4000, "Pin-based VM-execution controls.";
    PRIMARY_CONTROLS: u32 = 0x4002, "Primary processor-based VM-execution controls.";
    EXCEPTION_BITMAP: u32 = 0x4004, "Exception bitmap.";
    PAGE_FAULT_ERROR_CODE_MASK: u32 = 0x4006, "Page-fault error-code mask.";
    PAGE_FAULT_ERROR_CODE_MATCH: u32 = 0x4008, "Page-fault error-code match.";
    CR3_TARGET_COUNT: u32 = 0x400a, "CR3-target count.";
    EXIT_CONTROLS: u32 = 0x400c, "Primary VM-exit controls.";
    EXIT_MSR_STORE_COUNT: u32 = 0x400e, "VM-exit MSR-store count.";
    EXIT_MSR_LOAD_COUNT: u32 = 0x4010, "VM-exit MSR-load count.";
    ENTRY_CONTROLS: u32 = 0x4012, "VM-entry controls.";
    ENTRY_MSR_LOAD_COUNT: u32 = 0x4014, "VM-entry MSR-load count.";
    ENTRY_INTERRUPTION_INFORMATION: u32 = 0x4016, "VM-entry interruption-information field.";
    ENTRY_EXCEPTION_ERROR_CODE: u32 = 0x4018, "VM-entry exception error code.";
    ENTRY_INSTRUCTION_LENGTH: u32 = 0x401a, "VM-entry instruction length.";
    TPR_THRESHOLD: u32 = 0x401c, "TPR threshold.";
    SECONDARY_CONTROLS: u32 = 0x401e, "Secondary processor-based VM-execution controls.";
    PLE_GAP: u32 = 0x4020, "PLE_Gap.";
    PLE_WINDOW: u32 = 0x4022, "PLE_Window.";
    INSTRUCTION_TIMEOUT_CONTROL: u32 = 0x4024, "Instruction-timeout control.";
    // 32-bit read-only data fields
    INSTRUCTION_ERROR: u32 = 0x4400, "VM-instruction error.";
    EXIT_REASON: u32 = 0x4402, "Exit reason.";
    EXIT_INTERRUPTION_INFORMATION: u32 = 0x4404, "VM-exit interruption information.";
    EXIT_INTERRUPTION_ERROR_CODE: u32 = 0x4406, "VM-exit interruption error code.";
    IDT_VECTORING_INFORMATION: u32 = 0x4408, "IDT-vectoring information field.";
    IDT_VECTORING_ERROR_CODE: u32 = 0x440a, "IDT-vectoring error code.";
    EXIT_INSTRUCTION_LENGTH: u32 = 0x440c, "VM-exit instruction length.";
    EXIT_INSTRUCTION_INFORMATION: u32 = 0x440e, "VM-exit instruction information.";
    // 32-bit guest-state fields
    GUEST_ES_LIMIT: u32 = 0x4800, "Guest ES limit.";
    GUEST_CS_LIMIT: u32 = 0x4802, "Guest CS limit.";
    GUEST_SS_LIMIT: u32 = 0x4804, "Guest SS limit.";
    GUEST_DS_LIMIT: u32 = 0x4806, "Guest DS limit.";
    GUEST_FS_LIMIT: u32 = 0x4808, "Guest FS limit.";
    GUEST_GS_LIMIT: u32 = 0x480a, "Guest GS limit.";
    GUEST_LDTR_LIMIT: u32 = 0x480c, "Guest LDTR limit.";
    GUEST_TR_LIMIT: u32 = 0x480e, "Guest TR limit.";
    GUEST_GDTR_LIMIT: u32 = 0x4810, "Guest GDTR limit.";
    GUEST_IDTR_LIMIT: u32 = 0x4812, "Guest IDTR limit.";
    GUEST_ES_ACCESS_RIGHTS: u32 = 0x4814, "Guest ES access rights.";
    GUEST_CS_ACCESS_RIGHTS: u32 = 0x4816, "Guest CS access rights.";
    GUEST_SS_ACCESS_RIGHTS: u32 = 0x4818, "Guest SS access rights.";
    GUEST_DS_ACCESS_RIGHTS: u32 = 0x481a, "Guest DS access rights.";
    GUEST_FS_ACCESS_RIGHTS: u32 = 0x481c, "Guest FS access rights.";
    GUEST_GS_ACCESS_RIGHTS: u32 = 0x481e, "Guest GS access rights.";
    GUEST_LDTR_ACCESS_RIGHTS: u32 = 0x4820, "Guest LDTR access rights.";
    GUEST_TR_ACCESS_RIGHTS: u32 = 0x4822, "Guest TR access rights.";
    GUEST_INTERRUPTIBILITY_STATE: u32 = 0x4824, "Guest interruptibility state.";
    GUEST_ACTIVITY_STATE: u32 = 0x4826, "Guest activity state.";
    GUEST_SMBASE: u32 = 0x4828, "Guest SMBASE.";
    GUEST_IA32_SYSENTER_CS: u32 = 0x482a, "Guest IA32_SYSENTER_CS.";
    PREEMPTION_TIMER_VALUE: u32 = 0x482e, "VMX-preemption timer value.";
    // 32-bit host-state field
    HOST_IA32_SYSENTER_CS: u32 = 0x4c00, "Host IA32_SYSENTER_CS.";
    // Natural-width control fields
    CR0_GUEST_HOST_MASK: Natural = 0x6000, "CR0 guest/host mask.";
    CR4_GUEST_HOST_MASK: Natural = 0x6002, "CR4 guest/host mask.";
    CR0_READ_SHADOW: Natural = 0x6004, "CR0 read shadow.";
    CR4_READ_SHADOW: Natural = 0x6006, "CR4 read shadow.";
    CR3_TARGET_VALUE_0: Natural = 0x6008, "CR3-target value 0.";
    CR3_TARGET_VALUE_1: Natural = 0x600a, "CR3-target value 1.";
    CR3_TARGET_VALUE_2: Natural = 0x600c, "CR3-target value 2.";
    CR3_TARGET_VALUE_3: Natural = 0x600e, "CR3-target value 3.";
    // Natural-width read-only data fields
    EXIT_QUALIFICATION: Natural = 0x6400, "Exit qualification.";
    IO_RCX: Natural = 0x6402, "I/O RCX.";
    IO_RSI: Natural = 0x6404, "I/O RSI.";
    IO_RDI: Natural = 0x6406, "I/O RDI.";
    IO_RIP: Natural = 0x6408, "I/O RIP.";
    GUEST_LINEAR_ADDRESS: Natural = 0x640a, "Guest-linear address.";
    // Natural-width guest-state fields
    GUEST_CR0: Natural = 0x6800, "Guest CR0.";
    GUEST_CR3: Natural = 0x6802, "Guest CR3.";
    GUEST_CR4: Natural = 0x6804, "Guest CR4.";
    GUEST_ES_BASE: Natural = 0x6806, "Guest ES base.";
    GUEST_CS_BASE: Natural = 0x6808, "Guest CS base.";
    GUEST_SS_BASE: Natural = 0x680a, "Guest SS base.";
    GUEST_DS_BASE: Natural = 0x680c, "Guest DS base.";
    GUEST_FS_BASE: Natural = 0x680e, "Guest FS base.";
    GUEST_GS_BASE: Natural = 0x6810, "Guest GS base.";
    GUEST_LDTR_BASE: Natural = 0x6812, "Guest LDTR base.";
    GUEST_TR_BASE: Natural = 0x6814, "Guest TR base.";
    GUEST_GDTR_BASE: Natural = 0x6816, "Guest GDTR base.";
    GUEST_IDTR_BASE: Natural = 0x6818, "Guest IDTR base.";
    GUEST_DR7: Natural = 0x681a, "Guest DR7.";
    GUEST_RSP: Natural = 0x681c, "Guest RSP.";
    GUEST_RIP: Natural = 0x681e, "Guest RIP.";
    GUEST_RFLAGS: Natural = 0x6820, "Guest RFLAGS.";
    GUEST_PENDING_DEBUG_EXCEPTIONS: Natural = 0x6822, "Guest pending debug exceptions.";
    GUEST_IA32_SYSENTER_ESP: Natural = 0x6824, "Guest IA32_SYSENTER_ESP.";
    GUEST_IA32_SYSENTER_EIP: Natural = 0x6826, "Guest IA32_SYSENTER_EIP.";
    GUEST_IA32_S_CET: Natural = 0x6828, "Guest IA32_S_CET.";
    GUEST_SSP: Natural = 0x682a, "Guest SSP.";
    GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR: Natural = 0x682c, "Guest IA32_INTERRUPT_SSP_TABLE_ADDR.";
    // Natural-width host-state fields
    HOST_CR0: Natural = 0x6c00, "Host CR0.";
    HOST_CR3: Natural = 0x6c02, "Host CR3.";
    HOST_CR4: Natural = 0x6c04, "Host CR4.";
    HOST_FS_BASE: Natural = 0x6c06, "Host FS base.";
    HOST_GS_BASE: Natural = 0x6c08, "Host GS base.";
    HOST_TR_BASE: Natural = 0x6c0a, "Host TR base.";
    HOST_GDTR_BASE: Natural = 0x6c0c, "Host GDTR base.";
    HOST_IDTR_BASE: Natural = 0x6c0e, "Host IDTR base.";
    HOST_IA32_SYSENTER_ESP: Natural = 0x6c10, "Host IA32_SYSENTER_ESP.";
    HOST_IA32_SYSENTER_EIP: Natural = 0x6c12, "Host IA32_SYSENTER_EIP.";
    HOST_RSP: Natural = 0x6c14, "Host RSP.";
    HOST_RIP: Natural = 0x6c16, "Host RIP.";
    HOST_IA32_S_CET: Natural = 0x6c18, "Host IA32_S_CET.";
    HOST_SSP: Natural = 0x6c1a, "Host SSP.";
    HOST_IA32_INTERRUPT_SSP_TABLE_ADDR: Natural = 0x6c1c, "Host IA32_INTERRUPT_SSP_TABLE_ADDR.";
}
