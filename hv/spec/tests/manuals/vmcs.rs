//! VMCS encodings against the `x86` crate's, every field that it has, and the structure of an encoding.

use spec::vmx::fields::{self, *};
use x86::vmx::vmcs::{control, guest, host, ro};

macro_rules! same {
    ($($field:ident = $theirs:path,)*) => {
        [$((stringify!($field), fields::$field.encoding(), $theirs)),*]
    };
}

#[test]
fn encodings_are_those_of_the_x86_crate() {
    let rows = same! {
        VPID = control::VPID,
        POSTED_INTERRUPT_NOTIFICATION_VECTOR = control::POSTED_INTERRUPT_NOTIFICATION_VECTOR,
        EPTP_INDEX = control::EPTP_INDEX,
        IO_BITMAP_A_ADDRESS = control::IO_BITMAP_A_ADDR_FULL,
        IO_BITMAP_B_ADDRESS = control::IO_BITMAP_B_ADDR_FULL,
        MSR_BITMAPS_ADDRESS = control::MSR_BITMAPS_ADDR_FULL,
        EXIT_MSR_STORE_ADDRESS = control::VMEXIT_MSR_STORE_ADDR_FULL,
        EXIT_MSR_LOAD_ADDRESS = control::VMEXIT_MSR_LOAD_ADDR_FULL,
        ENTRY_MSR_LOAD_ADDRESS = control::VMENTRY_MSR_LOAD_ADDR_FULL,
        EXECUTIVE_VMCS_POINTER = control::EXECUTIVE_VMCS_PTR_FULL,
        PML_ADDRESS = control::PML_ADDR_FULL,
        TSC_OFFSET = control::TSC_OFFSET_FULL,
        VIRTUAL_APIC_ADDRESS = control::VIRT_APIC_ADDR_FULL,
        APIC_ACCESS_ADDRESS = control::APIC_ACCESS_ADDR_FULL,
        POSTED_INTERRUPT_DESCRIPTOR_ADDRESS = control::POSTED_INTERRUPT_DESC_ADDR_FULL,
        VM_FUNCTION_CONTROLS = control::VM_FUNCTION_CONTROLS_FULL,
        EPT_POINTER = control::EPTP_FULL,
        EOI_EXIT_BITMAP_0 = control::EOI_EXIT0_FULL,
        EOI_EXIT_BITMAP_1 = control::EOI_EXIT1_FULL,
        EOI_EXIT_BITMAP_2 = control::EOI_EXIT2_FULL,
        EOI_EXIT_BITMAP_3 = control::EOI_EXIT3_FULL,
        EPTP_LIST_ADDRESS = control::EPTP_LIST_ADDR_FULL,
        VMREAD_BITMAP_ADDRESS = control::VMREAD_BITMAP_ADDR_FULL,
        VMWRITE_BITMAP_ADDRESS = control::VMWRITE_BITMAP_ADDR_FULL,
        VIRTUALIZATION_EXCEPTION_ADDRESS = control::VIRT_EXCEPTION_INFO_ADDR_FULL,
        XSS_EXITING_BITMAP = control::XSS_EXITING_BITMAP_FULL,
        ENCLS_EXITING_BITMAP = control::ENCLS_EXITING_BITMAP_FULL,
        SUB_PAGE_PERMISSION_TABLE_POINTER = control::SUBPAGE_PERM_TABLE_PTR_FULL,
        TSC_MULTIPLIER = control::TSC_MULTIPLIER_FULL,
        PINBASED_CONTROLS = control::PINBASED_EXEC_CONTROLS,
        PRIMARY_CONTROLS = control::PRIMARY_PROCBASED_EXEC_CONTROLS,
        EXCEPTION_BITMAP = control::EXCEPTION_BITMAP,
        PAGE_FAULT_ERROR_CODE_MASK = control::PAGE_FAULT_ERR_CODE_MASK,
        PAGE_FAULT_ERROR_CODE_MATCH = control::PAGE_FAULT_ERR_CODE_MATCH,
        CR3_TARGET_COUNT = control::CR3_TARGET_COUNT,
        EXIT_CONTROLS = control::VMEXIT_CONTROLS,
        EXIT_MSR_STORE_COUNT = control::VMEXIT_MSR_STORE_COUNT,
        EXIT_MSR_LOAD_COUNT = control::VMEXIT_MSR_LOAD_COUNT,
        ENTRY_CONTROLS = control::VMENTRY_CONTROLS,
        ENTRY_MSR_LOAD_COUNT = control::VMENTRY_MSR_LOAD_COUNT,
        ENTRY_INTERRUPTION_INFORMATION = control::VMENTRY_INTERRUPTION_INFO_FIELD,
        ENTRY_EXCEPTION_ERROR_CODE = control::VMENTRY_EXCEPTION_ERR_CODE,
        ENTRY_INSTRUCTION_LENGTH = control::VMENTRY_INSTRUCTION_LEN,
        TPR_THRESHOLD = control::TPR_THRESHOLD,
        SECONDARY_CONTROLS = control::SECONDARY_PROCBASED_EXEC_CONTROLS,
        PLE_GAP = control::PLE_GAP,
        PLE_WINDOW = control::PLE_WINDOW,
        CR0_GUEST_HOST_MASK = control::CR0_GUEST_HOST_MASK,
        CR4_GUEST_HOST_MASK = control::CR4_GUEST_HOST_MASK,
        CR0_READ_SHADOW = control::CR0_READ_SHADOW,
        CR4_READ_SHADOW = control::CR4_READ_SHADOW,
        CR3_TARGET_VALUE_0 = control::CR3_TARGET_VALUE0,
        CR3_TARGET_VALUE_1 = control::CR3_TARGET_VALUE1,
        CR3_TARGET_VALUE_2 = control::CR3_TARGET_VALUE2,
        CR3_TARGET_VALUE_3 = control::CR3_TARGET_VALUE3,
        GUEST_ES_SELECTOR = guest::ES_SELECTOR,
        GUEST_CS_SELECTOR = guest::CS_SELECTOR,
        GUEST_SS_SELECTOR = guest::SS_SELECTOR,
        GUEST_DS_SELECTOR = guest::DS_SELECTOR,
        GUEST_FS_SELECTOR = guest::FS_SELECTOR,
        GUEST_GS_SELECTOR = guest::GS_SELECTOR,
        GUEST_LDTR_SELECTOR = guest::LDTR_SELECTOR,
        GUEST_TR_SELECTOR = guest::TR_SELECTOR,
        GUEST_INTERRUPT_STATUS = guest::INTERRUPT_STATUS,
        PML_INDEX = guest::PML_INDEX,
        VMCS_LINK_POINTER = guest::LINK_PTR_FULL,
        GUEST_IA32_DEBUGCTL = guest::IA32_DEBUGCTL_FULL,
        GUEST_IA32_PAT = guest::IA32_PAT_FULL,
        GUEST_IA32_EFER = guest::IA32_EFER_FULL,
        GUEST_IA32_PERF_GLOBAL_CTRL = guest::IA32_PERF_GLOBAL_CTRL_FULL,
        GUEST_PDPTE0 = guest::PDPTE0_FULL,
        GUEST_PDPTE1 = guest::PDPTE1_FULL,
        GUEST_PDPTE2 = guest::PDPTE2_FULL,
        GUEST_PDPTE3 = guest::PDPTE3_FULL,
        GUEST_IA32_BNDCFGS = guest::IA32_BNDCFGS_FULL,
        GUEST_IA32_RTIT_CTL = guest::IA32_RTIT_CTL_FULL,
        GUEST_ES_LIMIT = guest::ES_LIMIT,
        GUEST_CS_LIMIT = guest::CS_LIMIT,
        GUEST_SS_LIMIT = guest::SS_LIMIT,
        GUEST_DS_LIMIT = guest::DS_LIMIT,
        GUEST_FS_LIMIT = guest::FS_LIMIT,
        GUEST_GS_LIMIT = guest::GS_LIMIT,
        GUEST_LDTR_LIMIT = guest::LDTR_LIMIT,
        GUEST_TR_LIMIT = guest::TR_LIMIT,
        GUEST_GDTR_LIMIT = guest::GDTR_LIMIT,
        GUEST_IDTR_LIMIT = guest::IDTR_LIMIT,
        GUEST_ES_ACCESS_RIGHTS = guest::ES_ACCESS_RIGHTS,
        GUEST_CS_ACCESS_RIGHTS = guest::CS_ACCESS_RIGHTS,
        GUEST_SS_ACCESS_RIGHTS = guest::SS_ACCESS_RIGHTS,
        GUEST_DS_ACCESS_RIGHTS = guest::DS_ACCESS_RIGHTS,
        GUEST_FS_ACCESS_RIGHTS = guest::FS_ACCESS_RIGHTS,
        GUEST_GS_ACCESS_RIGHTS = guest::GS_ACCESS_RIGHTS,
        GUEST_LDTR_ACCESS_RIGHTS = guest::LDTR_ACCESS_RIGHTS,
        GUEST_TR_ACCESS_RIGHTS = guest::TR_ACCESS_RIGHTS,
        GUEST_INTERRUPTIBILITY_STATE = guest::INTERRUPTIBILITY_STATE,
        GUEST_ACTIVITY_STATE = guest::ACTIVITY_STATE,
        GUEST_SMBASE = guest::SMBASE,
        GUEST_IA32_SYSENTER_CS = guest::IA32_SYSENTER_CS,
        PREEMPTION_TIMER_VALUE = guest::VMX_PREEMPTION_TIMER_VALUE,
        GUEST_CR0 = guest::CR0,
        GUEST_CR3 = guest::CR3,
        GUEST_CR4 = guest::CR4,
        GUEST_ES_BASE = guest::ES_BASE,
        GUEST_CS_BASE = guest::CS_BASE,
        GUEST_SS_BASE = guest::SS_BASE,
        GUEST_DS_BASE = guest::DS_BASE,
        GUEST_FS_BASE = guest::FS_BASE,
        GUEST_GS_BASE = guest::GS_BASE,
        GUEST_LDTR_BASE = guest::LDTR_BASE,
        GUEST_TR_BASE = guest::TR_BASE,
        GUEST_GDTR_BASE = guest::GDTR_BASE,
        GUEST_IDTR_BASE = guest::IDTR_BASE,
        GUEST_DR7 = guest::DR7,
        GUEST_RSP = guest::RSP,
        GUEST_RIP = guest::RIP,
        GUEST_RFLAGS = guest::RFLAGS,
        GUEST_PENDING_DEBUG_EXCEPTIONS = guest::PENDING_DBG_EXCEPTIONS,
        GUEST_IA32_SYSENTER_ESP = guest::IA32_SYSENTER_ESP,
        GUEST_IA32_SYSENTER_EIP = guest::IA32_SYSENTER_EIP,
        HOST_ES_SELECTOR = host::ES_SELECTOR,
        HOST_CS_SELECTOR = host::CS_SELECTOR,
        HOST_SS_SELECTOR = host::SS_SELECTOR,
        HOST_DS_SELECTOR = host::DS_SELECTOR,
        HOST_FS_SELECTOR = host::FS_SELECTOR,
        HOST_GS_SELECTOR = host::GS_SELECTOR,
        HOST_TR_SELECTOR = host::TR_SELECTOR,
        HOST_IA32_PAT = host::IA32_PAT_FULL,
        HOST_IA32_EFER = host::IA32_EFER_FULL,
        HOST_IA32_PERF_GLOBAL_CTRL = host::IA32_PERF_GLOBAL_CTRL_FULL,
        HOST_IA32_SYSENTER_CS = host::IA32_SYSENTER_CS,
        HOST_CR0 = host::CR0,
        HOST_CR3 = host::CR3,
        HOST_CR4 = host::CR4,
        HOST_FS_BASE = host::FS_BASE,
        HOST_GS_BASE = host::GS_BASE,
        HOST_TR_BASE = host::TR_BASE,
        HOST_GDTR_BASE = host::GDTR_BASE,
        HOST_IDTR_BASE = host::IDTR_BASE,
        HOST_IA32_SYSENTER_ESP = host::IA32_SYSENTER_ESP,
        HOST_IA32_SYSENTER_EIP = host::IA32_SYSENTER_EIP,
        HOST_RSP = host::RSP,
        HOST_RIP = host::RIP,
        GUEST_PHYSICAL_ADDRESS = ro::GUEST_PHYSICAL_ADDR_FULL,
        INSTRUCTION_ERROR = ro::VM_INSTRUCTION_ERROR,
        EXIT_REASON = ro::EXIT_REASON,
        EXIT_INTERRUPTION_INFORMATION = ro::VMEXIT_INTERRUPTION_INFO,
        EXIT_INTERRUPTION_ERROR_CODE = ro::VMEXIT_INTERRUPTION_ERR_CODE,
        IDT_VECTORING_INFORMATION = ro::IDT_VECTORING_INFO,
        IDT_VECTORING_ERROR_CODE = ro::IDT_VECTORING_ERR_CODE,
        EXIT_INSTRUCTION_LENGTH = ro::VMEXIT_INSTRUCTION_LEN,
        EXIT_INSTRUCTION_INFORMATION = ro::VMEXIT_INSTRUCTION_INFO,
        EXIT_QUALIFICATION = ro::EXIT_QUALIFICATION,
        IO_RCX = ro::IO_RCX,
        IO_RSI = ro::IO_RSI,
        IO_RDI = ro::IO_RDI,
        IO_RIP = ro::IO_RIP,
        GUEST_LINEAR_ADDRESS = ro::GUEST_LINEAR_ADDR,
    };
    for (name, ours, theirs) in rows {
        assert_eq!(ours, theirs, "{name}");
    }
    assert_eq!(rows.len(), 157);
}

#[test]
fn every_row_is_named_and_in_order_within_its_width() {
    for pair in FIELDS.windows(2) {
        assert!(
            pair[0].encoding < pair[1].encoding,
            "{} before {}",
            pair[0].name,
            pair[1].name
        );
    }
    for row in FIELDS {
        assert_eq!(fields::name(row.encoding), Some(row.name));
        assert!(!is_high(row.encoding));
    }
    assert_eq!(fields::name(0x6c16), Some("HOST_RIP"));
    assert_eq!(fields::name(0x2001), None);
    assert_eq!(GUEST_RIP.name(), "GUEST_RIP");
}

/// The names begin as the area says: SDM 3D "Field Encoding in VMCS" groups the fields so.
#[test]
fn areas_agree_with_names() {
    for row in FIELDS {
        let expected = match row.name {
            name if name.starts_with("HOST_") => Area::HostState,
            "GUEST_PHYSICAL_ADDRESS" | "GUEST_LINEAR_ADDRESS" => Area::ExitInformation,
            name if name.starts_with("GUEST_") => Area::GuestState,
            "PML_INDEX" | "VMCS_LINK_POINTER" | "PREEMPTION_TIMER_VALUE" => Area::GuestState,
            _ => area(row.encoding),
        };
        assert_eq!(area(row.encoding), expected, "{}", row.name);
    }
}

#[test]
fn an_encoding_comes_apart() {
    assert_eq!(
        (width(0x681e), area(0x681e), index(0x681e)),
        (Width::Natural, Area::GuestState, 15)
    );
    assert_eq!(
        (width(0x4402), area(0x4402), index(0x4402)),
        (Width::Bits32, Area::ExitInformation, 1)
    );
    assert_eq!(
        (width(0x2c00), area(0x2c00), index(0x2c00)),
        (Width::Bits64, Area::HostState, 0)
    );
    assert!(is_high(0x2801));
}

#[test]
fn a_field_converts_its_values() {
    fn round<T: FieldType<Value: PartialEq + core::fmt::Debug>>(
        _: Field<T>,
        raw: u64,
        value: T::Value,
    ) {
        assert_eq!(T::from_raw(raw), value);
        assert_eq!(T::to_raw(value), raw);
    }
    round(VPID, 0xffff, 0xffff);
    round(EXIT_REASON, 0x8000_0021, 0x8000_0021);
    round(EPT_POINTER, u64::MAX, u64::MAX);
    round(GUEST_RIP, 0xffff_8000_0000_0000, 0xffff_8000_0000_0000);
    assert_eq!(<u16 as FieldType>::from_raw(0x1_0002), 2);
}
