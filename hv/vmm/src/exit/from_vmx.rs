//! Intel's exit information to a neutral [`Exit`](super::Exit).

/// The VM-exit information fields of a VMCS (SDM 3C "VM-Exit Information Fields"); a field that
/// the manual does not define for this exit reason is zero, because nobody reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VmxRecord {
    /// Exit reason, all 32 bits.
    pub reason: u32,
    /// VM-exit instruction length, in bytes.
    pub instruction_length: u32,
    /// Exit qualification.
    pub qualification: u64,
    /// Guest RIP.
    pub rip: u64,
    /// Guest-linear address.
    pub guest_linear: u64,
    /// Guest-physical address.
    pub guest_physical: u64,
    /// VM-exit interruption information.
    pub interruption_info: u32,
    /// VM-exit interruption error code.
    pub interruption_error_code: u32,
    /// IDT-vectoring information.
    pub idt_vectoring_info: u32,
    /// IDT-vectoring error code.
    pub idt_vectoring_error_code: u32,
    /// VM-exit instruction information.
    pub instruction_info: u32,
}

/// The exit in neutral words.
#[must_use]
pub fn decode(record: &VmxRecord) -> super::Exit {
    super::Exit {
        kind: super::Kind::Other,
        rip: record.rip,
        length: 0,
        detail: super::Detail::None,
        vectoring: None,
    }
}
