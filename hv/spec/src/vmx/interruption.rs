//! Interruption information: one layout in three fields (VM exit, VM entry, IDT vectoring).
//! SDM 3C "Information for VM Exits Due to Vectored Events", "VM-Entry Controls for Event Injection".

use crate::exception::Vector;

crate::number::numbers! {
    /// Bits 10:8 of an interruption-information field.
    InterruptionType(u8);
    EXTERNAL_INTERRUPT = 0, "External interrupt.";
    NMI = 2, "Nonmaskable interrupt.";
    HARDWARE_EXCEPTION = 3, "Hardware exception: #PF, #GP ..., not #BP and #OF.";
    SOFTWARE_INTERRUPT = 4, "Software interrupt: INT n. Not in the VM-exit field.";
    PRIVILEGED_SOFTWARE_EXCEPTION = 5, "Privileged software exception: INT1.";
    SOFTWARE_EXCEPTION = 6, "Software exception: INT3, INTO.";
    OTHER_EVENT = 7, "Other event: a pending MTF VM exit. VM entry only.";
}

impl InterruptionType {
    /// Whether an instruction caused the event, so that an instruction length belongs to it.
    #[inline]
    #[must_use]
    pub const fn is_software(self) -> bool {
        self.0 >= 4 && self.0 <= 6
    }
}

crate::number::layout! {
    /// VM-exit interruption information, VM-entry interruption information and IDT-vectoring information (32 bits each).
    InterruptionInformation(u32);
    raw_vector: from 0 + 8 as u8, "Bits 7:0: the vector.";
    raw_type: from 8 + 3 as u8, "Bits 10:8: the type, see [`Self::interruption_type`].";
    error_code_valid: bit 11, "Bit 11: the error-code field is valid, or, for VM entry, the error code is delivered.";
    nmi_unblocking: bit 12, "Bit 12: NMI unblocking due to IRET. Only in the VM-exit field.";
    valid: bit 31, "Bit 31: the field holds an event.";
}

impl InterruptionInformation {
    /// Bits 30:13 (and, but for the VM-exit field, bit 12): reserved, 0 for VM entry.
    pub const ENTRY_RESERVED: u32 = 0x7fff_f000;

    /// A valid field for VM entry.
    #[inline]
    #[must_use]
    pub const fn new(vector: Vector, kind: InterruptionType, error_code: bool) -> Self {
        Self(vector.0 as u32 | ((kind.0 as u32 & 7) << 8) | ((error_code as u32) << 11) | (1 << 31))
    }

    /// The vector.
    #[inline]
    #[must_use]
    pub const fn vector(self) -> Vector {
        Vector(self.raw_vector())
    }

    /// The type of the event.
    #[inline]
    #[must_use]
    pub const fn interruption_type(self) -> InterruptionType {
        InterruptionType(self.raw_type())
    }
}
