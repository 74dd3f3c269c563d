//! The one walker of four-level paging structures, generic over the entry format and over where
//! the structures are kept.

use super::GuestRam;
use crate::machine::Memory;
use core::ops::Range;
use spec::addr::{Hpa, L1Gpa, PAGE_SIZE};
use spec::paging::{ADDRESS_MASK, Entry, EptEntry};

/// What a mapping allows, besides reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Writing.
    pub write: bool,
    /// Instruction fetches.
    pub execute: bool,
    /// Access at CPL 3 (long mode and NPT; EPT knows no privilege).
    pub user: bool,
}

impl Rights {
    /// Everything.
    pub const ALL: Self = Self {
        write: true,
        execute: true,
        user: true,
    };

    const fn and(self, other: Self) -> Self {
        Self {
            write: self.write & other.write,
            execute: self.execute & other.execute,
            user: self.user & other.user,
        }
    }
}

/// How entries are laid out. Level 1 maps 4 KiB, 2 maps 2 MiB, 3 maps 1 GiB.
pub trait Format {
    /// The entry maps something.
    fn present(entry: u64) -> bool;
    /// An entry that points to the next structure and restricts nothing.
    fn table(next: u64) -> u64;
    /// An entry that maps a page.
    fn leaf(page: u64, level: u8, rights: Rights) -> u64;
    /// What the entry allows.
    fn rights(entry: u64) -> Rights;
    /// An entry of level 2 or 3 maps a page: bit 7 in every format.
    #[inline]
    fn is_leaf(entry: u64, level: u8) -> bool {
        level == 1 || (level < 4 && entry & Entry::PS.bits() != 0)
    }
}

/// Long-mode paging structures (SDM 3A "4-Level Paging"); NPT uses the same.
#[derive(Clone, Copy, Debug)]
pub struct LongMode;

impl Format for LongMode {
    #[inline]
    fn present(entry: u64) -> bool {
        Entry::from_bits_retain(entry).contains(Entry::P)
    }
    fn table(next: u64) -> u64 {
        Entry::new(next, Entry::P | Entry::RW | Entry::US).bits()
    }
    fn leaf(page: u64, level: u8, rights: Rights) -> u64 {
        let mut flags = Entry::P | Entry::A | Entry::D;
        flags.set(Entry::RW, rights.write);
        flags.set(Entry::US, rights.user);
        flags.set(Entry::XD, !rights.execute);
        flags.set(Entry::PS, level > 1);
        Entry::new(page, flags).bits()
    }
    #[inline]
    fn rights(entry: u64) -> Rights {
        let entry = Entry::from_bits_retain(entry);
        Rights {
            write: entry.contains(Entry::RW),
            execute: !entry.contains(Entry::XD),
            user: entry.contains(Entry::US),
        }
    }
}

/// Extended page tables (SDM 3C "The Extended Page Table Mechanism (EPT)"), write-back.
#[derive(Clone, Copy, Debug)]
pub struct Ept;

impl Format for Ept {
    #[inline]
    fn present(entry: u64) -> bool {
        EptEntry::from_bits_retain(entry).intersects(EptEntry::RWX)
    }
    fn table(next: u64) -> u64 {
        EptEntry::new(next, EptEntry::RWX).bits()
    }
    fn leaf(page: u64, level: u8, rights: Rights) -> u64 {
        let mut flags = EptEntry::READ | EptEntry::MEMORY_TYPE_WB;
        flags.set(EptEntry::WRITE, rights.write);
        flags.set(EptEntry::EXECUTE, rights.execute);
        flags.set(EptEntry::LARGE, level > 1);
        EptEntry::new(page, flags).bits()
    }
    #[inline]
    fn rights(entry: u64) -> Rights {
        let entry = EptEntry::from_bits_retain(entry);
        Rights {
            write: entry.contains(EptEntry::WRITE),
            execute: entry.contains(EptEntry::EXECUTE),
            user: true,
        }
    }
}

/// Where paging structures are kept: host-physical memory, or a guest's RAM.
pub trait Tables {
    /// Reads the entry at this address, or `None` if there is no memory.
    fn read_entry(&self, at: u64) -> Option<u64>;
    /// Writes it.
    fn write_entry(&self, at: u64, entry: u64) -> Option<()>;
}

impl Tables for GuestRam {
    #[inline]
    fn read_entry(&self, at: u64) -> Option<u64> {
        self.read_u64(L1Gpa(at)).ok()
    }
    fn write_entry(&self, at: u64, entry: u64) -> Option<()> {
        self.write_u64(L1Gpa(at), entry).ok()
    }
}

impl Tables for &dyn Memory {
    fn read_entry(&self, at: u64) -> Option<u64> {
        Some(self.read_u64(Hpa(at)))
    }
    fn write_entry(&self, at: u64, entry: u64) -> Option<()> {
        self.write_u64(Hpa(at), entry);
        Some(())
    }
}

/// What a walk found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Where the entry is kept.
    pub entry_at: u64,
    /// The entry itself.
    pub entry: u64,
    /// Its level: the page is 4 KiB, 2 MiB or 1 GiB.
    pub level: u8,
    /// What the address translates to.
    pub address: u64,
    /// What all levels together allow.
    pub rights: Rights,
}

/// The size of the page that an entry of this level maps, in bytes.
#[inline]
#[must_use]
pub const fn page_size(level: u8) -> u64 {
    PAGE_SIZE << (9 * (level - 1))
}

#[inline]
fn entry_at(structure: u64, address: u64, level: u8) -> u64 {
    structure + (address / page_size(level) % 512) * 8
}

/// Translates `address`. Where nothing is mapped, the error is the level of the entry that is
/// not present.
#[inline]
pub fn walk<F: Format>(tables: &impl Tables, root: u64, address: u64) -> Result<Leaf, u8> {
    let (mut structure, mut rights) = (root & ADDRESS_MASK, Rights::ALL);
    for level in (1..=4).rev() {
        let at = entry_at(structure, address, level);
        let entry = tables.read_entry(at).ok_or(level)?;
        if !F::present(entry) {
            return Err(level);
        }
        rights = rights.and(F::rights(entry));
        if F::is_leaf(entry, level) {
            let offset = page_size(level) - 1;
            let address = (entry & ADDRESS_MASK & !offset) | (address & offset);
            return Ok(Leaf {
                entry_at: at,
                entry,
                level,
                address,
                rights,
            });
        }
        structure = entry & ADDRESS_MASK;
    }
    // An entry of level 1 that is present is a leaf.
    Err(1)
}

/// No page is left for a paging structure, or the structures lie outside memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfFrames;

/// The structure that holds the entry of `level` for `address`. A page that is mapped above that
/// level is replaced. `allocate` gives a zeroed page for a structure that is missing.
#[inline]
pub fn structure<F: Format>(
    tables: &impl Tables,
    root: u64,
    address: u64,
    level: u8,
    allocate: &mut impl FnMut() -> Option<u64>,
) -> Result<u64, OutOfFrames> {
    let mut structure = root & ADDRESS_MASK;
    for at_level in (level + 1..=4).rev() {
        let at = entry_at(structure, address, at_level);
        let entry = tables.read_entry(at).ok_or(OutOfFrames)?;
        structure = if F::present(entry) && !F::is_leaf(entry, at_level) {
            entry & ADDRESS_MASK
        } else {
            let next = allocate().ok_or(OutOfFrames)?;
            tables.write_entry(at, F::table(next)).ok_or(OutOfFrames)?;
            next
        };
    }
    Ok(structure)
}

/// Maps one page of `level` at `address` to `page`, replacing what is there at that level or
/// above it. `allocate` gives a zeroed page for a structure.
pub fn map<F: Format>(
    tables: &impl Tables,
    root: u64,
    address: u64,
    page: u64,
    level: u8,
    rights: Rights,
    allocate: &mut impl FnMut() -> Option<u64>,
) -> Result<(), OutOfFrames> {
    let structure = structure::<F>(tables, root, address, level, allocate)?;
    let at = entry_at(structure, address, level);
    (tables.write_entry(at, F::leaf(page, level, rights))).ok_or(OutOfFrames)
}

/// Takes out the structures below this one, which maps from `base` on with entries of `level`,
/// whose range is not `needed`. There, no page may be mapped.
pub fn prune<F: Format>(
    tables: &impl Tables,
    structure: u64,
    level: u8,
    base: u64,
    needed: &mut impl FnMut(Range<u64>) -> bool,
    free: &mut impl FnMut(u64),
) {
    for index in 0..512 {
        let (at, start) = (structure + index * 8, base + index * page_size(level));
        let entry = tables.read_entry(at).unwrap_or(0);
        if !F::present(entry) || F::is_leaf(entry, level) {
            continue;
        }
        let below = entry & ADDRESS_MASK;
        if level > 2 {
            prune::<F>(tables, below, level - 1, start, needed, free);
        }
        if !needed(start..start + page_size(level)) && tables.write_entry(at, 0).is_some() {
            free(below);
        }
    }
}

/// Removes the page that maps `address`, and returns what it was.
pub fn unmap<F: Format>(tables: &impl Tables, root: u64, address: u64) -> Option<Leaf> {
    let leaf = walk::<F>(tables, root, address).ok()?;
    tables.write_entry(leaf.entry_at, 0)?;
    Some(leaf)
}

/// Changes what the page that maps `address` allows, and returns what it was.
pub fn protect<F: Format>(
    tables: &impl Tables,
    root: u64,
    address: u64,
    rights: Rights,
) -> Option<Leaf> {
    let leaf = walk::<F>(tables, root, address).ok()?;
    let page = leaf.entry & ADDRESS_MASK & !(page_size(leaf.level) - 1);
    tables.write_entry(leaf.entry_at, F::leaf(page, leaf.level, rights))?;
    Some(leaf)
}

#[cfg(test)]
mod tests;
