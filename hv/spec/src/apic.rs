//! The local APIC: registers, interrupt command, LVT, timer. SDM 3A "Advanced Programmable Interrupt Controller (APIC)";
//! APM vol 2 "Advanced Programmable Interrupt Controller (APIC)".

use bitflags::bitflags;

use crate::msr::Msr;
use crate::number::{layout, numbers};

/// The default physical address of the registers in xAPIC mode.
pub const DEFAULT_BASE: u64 = 0xfee0_0000;
/// The first x2APIC MSR: a register at xAPIC offset N is MSR 800H + N / 16.
pub const X2APIC_FIRST: Msr = Msr(0x800);
/// The last MSR of the x2APIC range.
pub const X2APIC_LAST: Msr = Msr(0x8ff);
/// The destination that means every APIC, in xAPIC mode.
pub const BROADCAST_XAPIC: u8 = 0xff;
/// The destination that means every APIC, in x2APIC mode.
pub const BROADCAST_X2APIC: u32 = u32::MAX;

numbers! {
    /// A register by its xAPIC offset in bytes. Each register is 32 bits wide at a 16-byte boundary.
    Register(u16);
    ID = 0x020, "Local APIC ID: bits 31:24 in xAPIC mode, all 32 in x2APIC mode.";
    VERSION = 0x030, "Version: bits 7:0 version, 23:16 highest LVT entry.";
    TPR = 0x080, "Task priority.";
    APR = 0x090, "Arbitration priority (xAPIC only).";
    PPR = 0x0a0, "Processor priority.";
    EOI = 0x0b0, "End of interrupt: write-only.";
    RRD = 0x0c0, "Remote read (xAPIC only).";
    LDR = 0x0d0, "Logical destination.";
    DFR = 0x0e0, "Destination format (xAPIC only).";
    SVR = 0x0f0, "Spurious-interrupt vector.";
    ISR = 0x100, "In-service: the first of 8.";
    TMR = 0x180, "Trigger mode: the first of 8.";
    IRR = 0x200, "Interrupt request: the first of 8.";
    ESR = 0x280, "Error status.";
    LVT_CMCI = 0x2f0, "LVT corrected machine check interrupt.";
    ICR = 0x300, "Interrupt command, low half; the whole 64 bits in x2APIC mode.";
    ICR_HIGH = 0x310, "Interrupt command, high half (xAPIC only): the destination in bits 31:24.";
    LVT_TIMER = 0x320, "LVT timer.";
    LVT_THERMAL = 0x330, "LVT thermal sensor.";
    LVT_PERFORMANCE = 0x340, "LVT performance monitoring counters.";
    LVT_LINT0 = 0x350, "LVT LINT0.";
    LVT_LINT1 = 0x360, "LVT LINT1.";
    LVT_ERROR = 0x370, "LVT error.";
    INITIAL_COUNT = 0x380, "Timer initial count.";
    CURRENT_COUNT = 0x390, "Timer current count.";
    DIVIDE_CONFIGURATION = 0x3e0, "Timer divide configuration.";
    SELF_IPI = 0x3f0, "Self IPI (x2APIC only): write-only, bits 7:0 vector.";
}

impl Register {
    /// The MSR of the register in x2APIC mode. ICR_HIGH, APR, RRD and DFR have none: their numbers raise #GP.
    #[inline]
    #[must_use]
    pub const fn msr(self) -> Msr {
        Msr(X2APIC_FIRST.0 + (self.0 as u32 >> 4))
    }

    /// The register of an x2APIC MSR, if the MSR is in the range.
    #[inline]
    #[must_use]
    pub const fn from_msr(msr: Msr) -> Option<Self> {
        match msr.0 {
            0x800..=0x8ff => Some(Self(((msr.0 - X2APIC_FIRST.0) << 4) as u16)),
            _ => None,
        }
    }
}

numbers! {
    /// Bits 10:8 of an LVT entry and of the ICR.
    DeliveryMode(u8);
    FIXED = 0, "Fixed.";
    LOWEST_PRIORITY = 1, "Lowest priority (ICR only).";
    SMI = 2, "SMI.";
    NMI = 4, "NMI.";
    INIT = 5, "INIT.";
    STARTUP = 6, "Startup (ICR only).";
    EXTINT = 7, "ExtINT (LVT only).";
}

impl DeliveryMode {
    /// It is an interrupt, which has the vector that the message or entry says.
    #[inline]
    #[must_use]
    pub const fn has_vector(self) -> bool {
        matches!(self, Self::FIXED | Self::LOWEST_PRIORITY)
    }
}

bitflags! {
    /// The bits of an LVT entry (32 bits), but for the vector (7:0) and the delivery mode (10:8).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct Lvt: u32 {
        /// Delivery status: send pending (read-only).
        const SEND_PENDING = 1 << 12;
        /// Pin polarity: active low (LINT0 and LINT1).
        const ACTIVE_LOW = 1 << 13;
        /// Remote IRR (read-only, LINT0 and LINT1).
        const REMOTE_IRR = 1 << 14;
        /// Level triggered (LINT0 and LINT1).
        const LEVEL = 1 << 15;
        /// Masked.
        const MASKED = 1 << 16;
        /// Timer mode: periodic. With neither this nor `TSC_DEADLINE`, one-shot.
        const PERIODIC = 1 << 17;
        /// Timer mode: TSC-deadline.
        const TSC_DEADLINE = 1 << 18;
        const _ = !0;
    }
}

bitflags! {
    /// The bits of the spurious-interrupt vector register (32 bits), but for the vector (7:0).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct Svr: u32 {
        /// The APIC is enabled by software.
        const ENABLE = 1 << 8;
        /// Focus processor checking is disabled.
        const FOCUS_DISABLE = 1 << 9;
        /// EOI-broadcast suppression.
        const SUPPRESS_EOI_BROADCAST = 1 << 12;
        const _ = !0;
    }
}

layout! {
    /// The interrupt command register (64 bits, as in x2APIC mode).
    Icr(u64);
    vector: from 0 + 8 as u8, "Bits 7:0: the vector; for a startup IPI the page number of the first instruction.";
    raw_delivery_mode: from 8 + 3 as u8, "Bits 10:8: the delivery mode, see [`Self::delivery_mode`].";
    logical: bit 11, "Bit 11: logical destination mode; otherwise physical.";
    pending: bit 12, "Bit 12: send pending (xAPIC only, read-only).";
    assert: bit 14, "Bit 14: level assert; 0 only for INIT de-assert.";
    level: bit 15, "Bit 15: level triggered.";
    shorthand: from 18 + 2 as u8, "Bits 19:18: destination shorthand (0 none, 1 self, 2 all including self, 3 all excluding self).";
    destination: from 32 + 32 as u32, "Bits 63:32: the destination in x2APIC mode; in xAPIC mode bits 63:56.";
}

impl Icr {
    /// An edge-triggered IPI to the physical `destination`, in the x2APIC form.
    #[must_use]
    pub const fn physical(destination: u32, mode: DeliveryMode, vector: u8) -> Self {
        Self(((destination as u64) << 32) | (1 << 14) | ((mode.0 as u64 & 7) << 8) | vector as u64)
    }

    /// The delivery mode.
    #[must_use]
    pub const fn delivery_mode(self) -> DeliveryMode {
        DeliveryMode(self.raw_delivery_mode())
    }
}

/// The ratio (1, 2, 4 .. 128) that a divide configuration register (bits 3, 1, 0) stands for.
#[inline]
#[must_use]
pub const fn divide_ratio(configuration: u32) -> u32 {
    1 << (divide_bits(configuration).wrapping_add(1) & 7)
}

const fn divide_bits(configuration: u32) -> u32 {
    (configuration & 3) | ((configuration >> 1) & 4)
}

/// The divide configuration for a ratio of 1, 2, 4 .. 128; none for another ratio.
#[must_use]
pub const fn divide_configuration(ratio: u32) -> Option<u32> {
    if !ratio.is_power_of_two() || ratio > 128 {
        return None;
    }
    let bits = ratio.trailing_zeros().wrapping_sub(1) & 7;
    Some((bits & 3) | ((bits & 4) << 1))
}
