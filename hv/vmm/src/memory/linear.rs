//! Guest-linear to guest-physical, in every paging mode (SDM 3A "Paging"). The walk does what the
//! processor does: it checks rights, sets accessed and dirty bits, and says which #PF it met.

use super::GuestRam;
use crate::machine::{Engine, Reg};
use core::sync::atomic::Ordering::{AcqRel, Acquire};
use spec::addr::{Gva, L1Gpa};
use spec::control_registers::{Cr0, Cr4, Rflags};
use spec::msr::Efer;
use spec::paging::{Entry, PDPTE_RESERVED, PageFaultCode};

/// What an access wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// It writes.
    pub write: bool,
    /// It fetches an instruction.
    pub fetch: bool,
    /// It is made at CPL 3.
    pub user: bool,
}

/// The registers that paging depends on.
#[derive(Clone, Copy, Debug)]
pub struct Paging {
    /// CR0.
    pub cr0: Cr0,
    /// CR3.
    pub cr3: u64,
    /// CR4.
    pub cr4: Cr4,
    /// IA32_EFER.
    pub efer: Efer,
    /// RFLAGS, for AC.
    pub rflags: Rflags,
    /// The first bit of a physical address that does not exist.
    pub physical_address_bits: u8,
}

impl Paging {
    /// The registers of a virtual CPU.
    #[must_use]
    pub fn of(engine: &dyn Engine, physical_address_bits: u8) -> Self {
        Self {
            cr0: Cr0::from_bits_retain(engine.reg(Reg::Cr0)),
            cr3: engine.reg(Reg::Cr3),
            cr4: Cr4::from_bits_retain(engine.reg(Reg::Cr4)),
            efer: Efer::from_bits_retain(engine.reg(Reg::Efer)),
            rflags: Rflags::from_bits_retain(engine.reg(Reg::Rflags)),
            physical_address_bits,
        }
    }

    fn no_execute(&self) -> bool {
        self.efer.contains(Efer::NXE) && self.cr4.contains(Cr4::PAE)
    }

    /// Translates an address; the error is the #PF's error code.
    pub fn translate(
        &self,
        ram: &GuestRam,
        at: Gva,
        access: Access,
    ) -> Result<L1Gpa, PageFaultCode> {
        self.translate_by(ram, at, access, &mut |_| ())
    }

    /// Translates an address, and tells where each entry is that the translation comes from.
    pub fn translate_by(
        &self,
        ram: &GuestRam,
        at: Gva,
        access: Access,
        entry: &mut impl FnMut(L1Gpa),
    ) -> Result<L1Gpa, PageFaultCode> {
        if !self.cr0.contains(Cr0::PG) {
            return Ok(L1Gpa(at.0 & 0xffff_ffff));
        }
        match (self.efer.contains(Efer::LMA), self.cr4.contains(Cr4::PAE)) {
            (true, _) => self.walk(ram, at.0, access, Shape::FOUR_LEVEL, entry),
            (false, true) => self.walk(ram, at.0 & 0xffff_ffff, access, Shape::PAE, entry),
            (false, false) => self.walk(ram, at.0 & 0xffff_ffff, access, Shape::TWO_LEVEL, entry),
        }
    }

    /// Compiled for each shape on its own.
    #[inline(always)]
    fn walk(
        &self,
        ram: &GuestRam,
        at: u64,
        access: Access,
        shape: Shape,
        tell: &mut impl FnMut(L1Gpa),
    ) -> Result<L1Gpa, PageFaultCode> {
        let mut structure = self.cr3 & shape.root_mask;
        let mut granted = Granted {
            rights: Entry::RW | Entry::US,
            execute: true,
        };
        for level in (1..=shape.levels).rev() {
            let entry_at = structure + shape.index(at, level) * shape.entry_bytes;
            tell(L1Gpa(entry_at));
            let (entry, leaf) = self.visit(ram, entry_at, level, access, shape, &mut granted)?;
            if leaf {
                return Ok(shape.place(entry, level, at));
            }
            structure = entry.address();
        }
        Err(self.code(access))
    }

    /// An entry, and whether it is a leaf: checked and marked, and so once more if another CPU changed it meanwhile.
    #[inline(always)]
    fn visit(
        &self,
        ram: &GuestRam,
        at: u64,
        level: u8,
        access: Access,
        shape: Shape,
        granted: &mut Granted,
    ) -> Result<(Entry, bool), PageFaultCode> {
        let reserved = self.reserved(shape);
        loop {
            let entry = shape.read(ram, at);
            if !entry.contains(Entry::P) {
                return Err(self.code(access));
            }
            let leaf = level == 1 || entry.contains(Entry::PS) && self.large_at(level, shape);
            if entry.bits() & (reserved | shape.reserved_at(level, leaf)) != 0 {
                return Err(self.code(access) | PageFaultCode::P | PageFaultCode::RSVD);
            }
            if shape.is_pdpte(level) {
                return Ok((entry, false));
            }
            let all = Granted {
                rights: granted.rights & entry,
                execute: granted.execute && !(entry.contains(Entry::XD) && self.no_execute()),
            };
            if leaf {
                self.check(all, access)?;
            }
            if shape.mark(ram, at, entry, leaf && access.write) {
                *granted = all;
                return Ok((entry, leaf));
            }
        }
    }

    fn large_at(&self, level: u8, shape: Shape) -> bool {
        match (level, shape.entry_bytes) {
            (2, 4) => self.cr4.contains(Cr4::PSE),
            (2, _) => true,
            (3, _) => shape.levels == 4,
            _ => false,
        }
    }

    /// The bits that are reserved in the entries of every level (SDM 3A "Reserved Bits").
    #[inline]
    fn reserved(&self, shape: Shape) -> u64 {
        const HIGH_BITS: u64 = 0x7ff0_0000_0000_0000;
        if shape.entry_bytes == 4 {
            return 0;
        }
        let mut reserved = !0 << self.physical_address_bits & !Entry::XD.bits();
        if shape.levels == 4 {
            reserved &= !HIGH_BITS;
        } else {
            reserved |= HIGH_BITS;
        }
        if !self.no_execute() {
            reserved |= Entry::XD.bits();
        }
        reserved
    }

    /// SDM 3A "Access Rights".
    fn check(&self, granted: Granted, access: Access) -> Result<(), PageFaultCode> {
        let Granted { rights, execute } = granted;
        let user_page = rights.contains(Entry::US);
        let writable = rights.contains(Entry::RW) || !access.user && !self.cr0.contains(Cr0::WP);
        let smap = self.cr4.contains(Cr4::SMAP) && !self.rflags.contains(Rflags::AC);
        let allowed = match (access.user, user_page) {
            (true, false) => false,
            (false, true) if access.fetch => !self.cr4.contains(Cr4::SMEP),
            (false, true) => !smap,
            _ => true,
        };
        if allowed && (writable || !access.write) && (execute || !access.fetch) {
            return Ok(());
        }
        Err(self.code(access) | PageFaultCode::P)
    }

    fn code(&self, access: Access) -> PageFaultCode {
        let tells_fetch = self.no_execute() || self.cr4.contains(Cr4::SMEP);
        let mut code = PageFaultCode::empty();
        code.set(PageFaultCode::WR, access.write);
        code.set(PageFaultCode::US, access.user);
        code.set(PageFaultCode::ID, access.fetch && tells_fetch);
        code
    }
}

/// What all entries so far let an access do.
#[derive(Clone, Copy)]
struct Granted {
    rights: Entry,
    execute: bool,
}

/// The shape of a paging mode's structures.
#[derive(Clone, Copy)]
struct Shape {
    levels: u8,
    entry_bytes: u64,
    index_bits: u32,
    root_mask: u64,
}

impl Shape {
    const FOUR_LEVEL: Self = Self {
        levels: 4,
        entry_bytes: 8,
        index_bits: 9,
        root_mask: spec::paging::ADDRESS_MASK,
    };
    const PAE: Self = Self {
        levels: 3,
        entry_bytes: 8,
        index_bits: 9,
        root_mask: 0xffff_ffe0,
    };
    const TWO_LEVEL: Self = Self {
        levels: 2,
        entry_bytes: 4,
        index_bits: 10,
        root_mask: 0xffff_f000,
    };

    /// One of PAE's four page-directory-pointer entries, which hold no rights.
    fn is_pdpte(self, level: u8) -> bool {
        self.levels == 3 && level == 3
    }

    /// The bits that are reserved in the entries of one level besides [`Paging::reserved`].
    #[inline]
    fn reserved_at(self, level: u8, leaf: bool) -> u64 {
        const PSE36_RESERVED: u64 = 1 << 21;
        match level {
            4 => Entry::PS.bits(),
            _ if self.is_pdpte(level) => PDPTE_RESERVED,
            2 if leaf && self.entry_bytes == 4 => PSE36_RESERVED,
            2 | 3 if leaf => (self.page_size(level) - 1) & !0x1fff,
            _ => 0,
        }
    }

    fn shift(self, level: u8) -> u32 {
        12 + self.index_bits * (u32::from(level) - 1)
    }

    fn page_size(self, level: u8) -> u64 {
        1 << self.shift(level)
    }

    fn index(self, at: u64, level: u8) -> u64 {
        at >> self.shift(level) & ((1 << self.index_bits) - 1)
    }

    /// An entry, read at once. One outside RAM is all ones, as every read of nothing is.
    fn read(self, ram: &GuestRam, at: u64) -> Entry {
        let word = ram.word(L1Gpa(at & !7));
        let word = word.map_or(u64::MAX, |word| word.load(Acquire)) >> (at % 8 * 8);
        Entry::from_bits_retain(word & u64::MAX >> (64 - 8 * self.entry_bytes))
    }

    /// Where a leaf puts an address.
    fn place(self, entry: Entry, level: u8, at: u64) -> L1Gpa {
        let within = self.page_size(level) - 1;
        L1Gpa(self.page(entry, level) & !within | at & within)
    }

    /// The page of a leaf; a 4 MiB page has bits 39:32 in 20:13 (PSE-36).
    fn page(self, entry: Entry, level: u8) -> u64 {
        if self.entry_bytes == 4 && level == 2 {
            return entry.bits() & 0xffc0_0000 | (entry.bits() >> 13 & 0xff) << 32;
        }
        entry.address()
    }

    /// Sets the accessed bit, and for a write to a page the dirty bit. False if the entry is not this any more.
    fn mark(self, ram: &GuestRam, at: u64, entry: Entry, write: bool) -> bool {
        let mut marked = entry | Entry::A;
        marked.set(Entry::D, entry.contains(Entry::D) || write);
        let Ok(word) = ram.word(L1Gpa(at & !7)) else {
            return true;
        };
        if marked == entry {
            return true;
        }
        let shift = at % 8 * 8;
        let mask = u64::MAX >> (64 - 8 * self.entry_bytes) << shift;
        let set = |old: u64| {
            let same = old & mask == entry.bits() << shift;
            same.then_some(old & !mask | marked.bits() << shift)
        };
        word.fetch_update(AcqRel, Acquire, set).is_ok()
    }
}

#[cfg(test)]
mod tests;
