//! Segments as both vendors' control blocks hold them: one neutral form of the access rights, and its two layouts.

use bitflags::bitflags;

bitflags! {
    /// A segment's access rights in the layout of the VMCS: SDM 3C "Guest Register State", table "Format of Access Rights".
    /// Bits 3:0 are the type and bits 6:5 the DPL.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct AccessRights: u32 {
        /// Type bit 0: accessed (code, data); in a system type a part of the type.
        const ACCESSED = 1 << 0;
        /// Type bit 1: writable data, readable code; a TSS is busy.
        const READ_WRITE = 1 << 1;
        /// Type bit 2: expand-down data, conforming code.
        const EXPAND_CONFORM = 1 << 2;
        /// Type bit 3: code rather than data; in a system type a 32-bit (or, in IA-32e mode, 64-bit) one.
        const CODE = 1 << 3;
        /// S: code or data rather than a system segment.
        const S = 1 << 4;
        /// The two bits of the descriptor privilege level.
        const DPL = 3 << 5;
        /// P: present.
        const P = 1 << 7;
        /// AVL: available to system software.
        const AVL = 1 << 12;
        /// L: 64-bit code.
        const L = 1 << 13;
        /// D/B: 32-bit default operation size.
        const DB = 1 << 14;
        /// G: the limit's unit is 4 KiB.
        const G = 1 << 15;
        /// The segment is unusable (VMX only; SVM says it with P = 0).
        const UNUSABLE = 1 << 16;
        const _ = !0;
    }
}

/// Bits 11:8 and 31:17 of the VMCS layout: reserved, zero.
pub const RESERVED: u32 = 0xfffe_0f00;

/// The system type of a busy 32-bit or 64-bit TSS.
pub const TYPE_BUSY_TSS: u32 = 11;
/// The system type of a busy 16-bit TSS.
pub const TYPE_BUSY_TSS_16: u32 = 3;
/// The system type of an LDT.
pub const TYPE_LDT: u32 = 2;

impl AccessRights {
    /// 64-bit code, read and accessed, DPL 0, G: what a 64-bit kernel loads in CS.
    pub const CODE64: Self = Self::from_bits_retain(0xa09b);
    /// 32-bit flat code, read and accessed, DPL 0, G.
    pub const CODE32: Self = Self::from_bits_retain(0xc09b);
    /// Flat data, writable and accessed, DPL 0, D/B, G.
    pub const DATA: Self = Self::from_bits_retain(0xc093);
    /// A real-mode CS: 16-bit, read/execute, accessed, byte limit.
    pub const REAL_CODE: Self = Self::from_bits_retain(0x9b);
    /// Another segment in real mode: 16-bit data, writable, accessed, byte limit.
    pub const REAL_DATA: Self = Self::from_bits_retain(0x93);
    /// A busy 32-bit or 64-bit TSS.
    pub const BUSY_TSS: Self = Self::from_bits_retain(0x8b);
    /// An LDT.
    pub const LDT: Self = Self::from_bits_retain(0x82);

    /// Bits 3:0: the segment or system type.
    #[inline]
    #[must_use]
    pub const fn segment_type(self) -> u32 {
        self.bits() & 0xf
    }

    /// Bits 6:5: the descriptor privilege level.
    #[inline]
    #[must_use]
    pub const fn dpl(self) -> u8 {
        ((self.bits() >> 5) & 3) as u8
    }

    /// The same rights with another descriptor privilege level (0..=3).
    #[inline]
    #[must_use]
    pub const fn with_dpl(self, dpl: u8) -> Self {
        Self::from_bits_retain((self.bits() & !Self::DPL.bits()) | ((dpl as u32 & 3) << 5))
    }

    /// The 12-bit attribute of the VMCB: APM vol 2 "Segment State in the VMCB". An unusable segment becomes one that is not present.
    #[inline]
    #[must_use]
    pub const fn to_svm(self) -> u16 {
        let bits = self.bits();
        let low = if self.contains(Self::UNUSABLE) {
            bits & 0x7f
        } else {
            bits & 0xff
        };
        (low | ((bits >> 4) & 0xf00)) as u16
    }

    /// From the 12-bit attribute of the VMCB; a segment that is not present becomes unusable.
    #[inline]
    #[must_use]
    pub const fn from_svm(attrib: u16) -> Self {
        let attrib = attrib as u32;
        let bits = (attrib & 0xff) | ((attrib & 0xf00) << 4);
        let unusable = if bits & Self::P.bits() == 0 {
            Self::UNUSABLE.bits()
        } else {
            0
        };
        Self::from_bits_retain(bits | unusable)
    }

    /// From the high half of an 8-byte segment descriptor: SDM 3A "Segment Descriptors"; APM vol 2 "Legacy Segment Descriptors".
    #[inline]
    #[must_use]
    pub const fn from_descriptor_high(high: u32) -> Self {
        let bits = (high >> 8) & 0xf0ff;
        let unusable = if bits & Self::P.bits() == 0 {
            Self::UNUSABLE.bits()
        } else {
            0
        };
        Self::from_bits_retain(bits | unusable)
    }
}

/// A segment descriptor: SDM 3A "Segment Descriptors"; APM vol 2 "Legacy Segment Descriptors".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor(pub u64);

impl Descriptor {
    /// The base address.
    #[inline]
    #[must_use]
    pub const fn base(self) -> u32 {
        (self.0 >> 16) as u32 & 0xff_ffff | (self.0 >> 32) as u32 & 0xff00_0000
    }

    /// The limit in bytes, with granularity applied.
    #[inline]
    #[must_use]
    pub const fn limit(self) -> u32 {
        let limit = self.0 as u32 & 0xffff | (self.0 >> 32) as u32 & 0xf_0000;
        if self.rights().contains(AccessRights::G) {
            limit << 12 | 0xfff
        } else {
            limit
        }
    }

    /// The access rights.
    #[inline]
    #[must_use]
    pub const fn rights(self) -> AccessRights {
        AccessRights::from_descriptor_high((self.0 >> 32) as u32)
    }
}
