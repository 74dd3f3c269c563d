//! The local APIC.

/// A virtual local APIC.
pub struct Lapic;
