//! Paging structures: ordinary 4-level and PAE entries, EPT entries, page sizes, canonical addresses, #PF error codes.

use bitflags::bitflags;

/// Entries in one 4 KiB paging structure of 8-byte entries (PML4, PDPT, PD, PT and their EPT siblings).
pub const ENTRIES: usize = 512;

bitflags! {
    /// A 64-bit paging-structure entry: SDM 3A "4-Level Paging and 5-Level Paging"; APM vol 2 "Long-Mode Page Translation".
    /// Nested page tables (NPT) have the same form.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct Entry: u64 {
        /// Present.
        const P = 1 << 0;
        /// Writes are allowed.
        const RW = 1 << 1;
        /// User-mode accesses are allowed.
        const US = 1 << 2;
        /// Page-level write-through.
        const PWT = 1 << 3;
        /// Page-level cache disable.
        const PCD = 1 << 4;
        /// Accessed.
        const A = 1 << 5;
        /// Dirty (only in an entry that maps a page).
        const D = 1 << 6;
        /// The entry maps a large page (PDE: 2 MiB, PDPTE: 1 GiB).
        const PS = 1 << 7;
        /// PAT of a 4 KiB page (the same bit as `PS`).
        const PAT_4K = 1 << 7;
        /// Global (only in an entry that maps a page).
        const G = 1 << 8;
        /// PAT of a 2 MiB or 1 GiB page.
        const PAT_LARGE = 1 << 12;
        /// Execute-disable (NX).
        const XD = 1 << 63;
        const _ = !0;
    }
}

/// Bits 51:12 of an entry: the physical address of a 4 KiB page or of the next paging structure.
/// Bits from MAXPHYADDR on are reserved.
pub const ADDRESS_MASK: u64 = 0x000f_ffff_ffff_f000;

/// The reserved bits of a page-directory-pointer-table entry of PAE paging (SDM 3A "PAE Paging", its formats), besides those from
/// MAXPHYADDR on. Bit 5 is missing here: QEMU's TCG sets an accessed bit where the manuals have none, and a guest that
/// loads the entry again must not fault.
pub const PDPTE_RESERVED: u64 = 0b1_1100_0110 | Entry::XD.bits();

impl Entry {
    /// The entry for `address` (its bits 51:12) with `flags`.
    #[inline]
    #[must_use]
    pub const fn new(address: u64, flags: Self) -> Self {
        Self::from_bits_retain((address & ADDRESS_MASK) | flags.bits())
    }

    /// Bits 51:12: the physical address of the next structure or of a 4 KiB page.
    #[inline]
    #[must_use]
    pub const fn address(self) -> u64 {
        self.bits() & ADDRESS_MASK
    }

    /// The physical address of the page that the entry maps, if it maps one of `size` (without the PAT bit of a large page).
    #[inline]
    #[must_use]
    pub const fn page_address(self, size: PageSize) -> u64 {
        self.bits() & ADDRESS_MASK & !(size.bytes() - 1)
    }
}

bitflags! {
    /// An EPT paging-structure entry: SDM 3C "The Extended Page Table Mechanism (EPT)".
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct EptEntry: u64 {
        /// Reads are allowed.
        const READ = 1 << 0;
        /// Writes are allowed.
        const WRITE = 1 << 1;
        /// Instruction fetches are allowed (from supervisor-mode linear addresses, under mode-based execute control).
        const EXECUTE = 1 << 2;
        /// Memory type write-back (6) in bits 5:3 of an entry that maps a page; 0 there is uncacheable.
        const MEMORY_TYPE_WB = 6 << 3;
        /// The PAT memory type of the guest is ignored.
        const IGNORE_PAT = 1 << 6;
        /// The entry maps a large page (PDE: 2 MiB, PDPTE: 1 GiB).
        const LARGE = 1 << 7;
        /// Accessed (with EPTP bit 6).
        const A = 1 << 8;
        /// Dirty (with EPTP bit 6, in an entry that maps a page).
        const D = 1 << 9;
        /// Fetches from user-mode linear addresses are allowed (mode-based execute control).
        const USER_EXECUTE = 1 << 10;
        /// Verify guest paging.
        const VERIFY_GUEST_PAGING = 1 << 57;
        /// Paging-write access.
        const PAGING_WRITE = 1 << 58;
        /// Supervisor shadow stack.
        const SUPERVISOR_SHADOW_STACK = 1 << 60;
        /// Sub-page write permissions.
        const SUB_PAGE_WRITE = 1 << 61;
        /// Suppress #VE.
        const SUPPRESS_VE = 1 << 63;
        const _ = !0;
    }
}

impl EptEntry {
    /// Read, write and execute: an entry with none of the three is not present.
    pub const RWX: Self = Self::READ.union(Self::WRITE).union(Self::EXECUTE);

    /// The entry for `address` (its bits 51:12) with `flags`.
    #[inline]
    #[must_use]
    pub const fn new(address: u64, flags: Self) -> Self {
        Self::from_bits_retain((address & ADDRESS_MASK) | flags.bits())
    }

    /// Bits 51:12: the physical address of the next structure or of the page.
    #[inline]
    #[must_use]
    pub const fn address(self) -> u64 {
        self.bits() & ADDRESS_MASK
    }

    /// Bits 5:3: the EPT memory type of a page (0 UC, 1 WC, 4 WT, 5 WP, 6 WB).
    #[inline]
    #[must_use]
    pub const fn memory_type(self) -> u8 {
        ((self.bits() >> 3) & 7) as u8
    }
}

/// The sizes of a page of 4-level paging, EPT and NPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PageSize {
    /// 4 KiB, mapped by a PTE.
    Size4K,
    /// 2 MiB, mapped by a PDE.
    Size2M,
    /// 1 GiB, mapped by a PDPTE.
    Size1G,
}

impl PageSize {
    /// The size in bytes.
    #[inline]
    #[must_use]
    pub const fn bytes(self) -> u64 {
        1 << shift(self.level())
    }

    /// The level of the entry that maps the page: 1 (PTE), 2 (PDE), 3 (PDPTE).
    #[inline]
    #[must_use]
    pub const fn level(self) -> u8 {
        self as u8 + 1
    }

    /// The page size that an entry of `level` maps, if one of that level can map a page.
    #[must_use]
    pub const fn at_level(level: u8) -> Option<Self> {
        match level {
            1 => Some(Self::Size4K),
            2 => Some(Self::Size2M),
            3 => Some(Self::Size1G),
            _ => None,
        }
    }
}

/// The lowest address bit that selects an entry of `level` (1 PTE: 12, 2 PDE: 21, 3 PDPTE: 30, 4 PML4E: 39).
#[inline]
#[must_use]
pub const fn shift(level: u8) -> u32 {
    12 + 9 * (level as u32 - 1)
}

/// The index of the entry of `level` (1..=4) for a linear or guest-physical address.
#[inline]
#[must_use]
pub const fn index(address: u64, level: u8) -> usize {
    (address >> shift(level)) as usize % ENTRIES
}

/// Whether bits 63:47 are all equal: SDM 1 "Canonical Addressing", with 48-bit linear addresses.
#[inline]
#[must_use]
pub const fn is_canonical(address: u64) -> bool {
    ((address << 16) as i64 >> 16) as u64 == address
}

bitflags! {
    /// The error code of a page fault: SDM 3A "Page-Fault Exceptions"; APM vol 2 "#PF-Page-Fault Exception (Vector 14)".
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct PageFaultCode: u32 {
        /// A page-level protection violation; otherwise a page that is not present.
        const P = 1 << 0;
        /// The access was a write.
        const WR = 1 << 1;
        /// The access was made in user mode.
        const US = 1 << 2;
        /// A reserved bit was set in a paging-structure entry.
        const RSVD = 1 << 3;
        /// The access was an instruction fetch.
        const ID = 1 << 4;
        /// A protection-key violation.
        const PK = 1 << 5;
        /// A shadow-stack access.
        const SS = 1 << 6;
        /// The fault happened in HLAT paging.
        const HLAT = 1 << 7;
        /// An SGX violation.
        const SGX = 1 << 15;
        /// An RMP violation (AMD SEV-SNP).
        const RMP = 1 << 31;
        const _ = !0;
    }
}
