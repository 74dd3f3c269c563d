//! The ACPI tables that say which CPUs and I/O APICs the machine has, and where its PM timer is.
//!
//! Cited: ACPI Specification "Root System Description Table", "Multiple APIC Description Table",
//! "Fixed ACPI Description Table".

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// Copies bytes from a physical address; false if nothing is mapped there.
pub type Read<'a> = &'a dyn Fn(u64, &mut [u8]) -> bool;

/// Why a table cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The table at this address is outside memory, or its length cannot be right.
    Length(u64),
    /// The bytes of the table at this address do not sum to 0.
    Checksum(u64),
    /// The root table has the wrong signature.
    Root(u64),
    /// No table is a MADT.
    NoMadt,
    /// An entry of the MADT, at this offset, is cut off.
    Entry(usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(at) => write!(f, "ACPI table at {at:#x}: bad length"),
            Self::Checksum(at) => write!(f, "ACPI table at {at:#x}: bad checksum"),
            Self::Root(at) => write!(f, "ACPI table at {at:#x}: neither RSDT nor XSDT"),
            Self::NoMadt => f.write_str("ACPI: no MADT"),
            Self::Entry(offset) => write!(f, "ACPI MADT: entry at offset {offset:#x} is cut off"),
        }
    }
}

/// What the MADT says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Madt {
    /// The APIC IDs of the enabled CPUs.
    pub apic_ids: Vec<u32>,
    /// The addresses of the I/O APICs' registers.
    pub io_apics: Vec<u64>,
}

const HEADER: usize = 36;
/// No table that we read is longer.
const LONGEST: usize = 1 << 20;

/// Finds the MADT from the root table at `root`, whose entries are 64-bit in an XSDT.
pub fn find_madt(read: Read<'_>, root: u64, is_xsdt: bool) -> Result<Madt, Error> {
    let table = find(read, root, is_xsdt, b"APIC")?.ok_or(Error::NoMadt)?;
    parse_madt(&table)
}

/// The port of the ACPI PM timer, from the FADT, if there is one.
pub fn find_pm_timer(read: Read<'_>, root: u64, is_xsdt: bool) -> Option<u16> {
    let table = find(read, root, is_xsdt, b"FACP").ok()??;
    pm_timer(&table)
}

/// PM_TMR_BLK, or X_PM_TMR_BLK where it is in I/O space; PM_TMR_LEN is 4 where the timer is there.
fn pm_timer(fadt: &[u8]) -> Option<u16> {
    const SYSTEM_IO: u8 = 1;
    if *fadt.get(91)? != 4 {
        return None;
    }
    let extended = fadt
        .get(208..220)
        .filter(|address| address[0] == SYSTEM_IO)
        .map(|address| le(&address[4..8]));
    let port = extended
        .filter(|&port| port != 0)
        .or_else(|| fadt.get(76..80).map(le))?;
    u16::try_from(port).ok().filter(|&port| port != 0)
}

/// Copies the table with this signature, if the root table has it.
fn find(
    read: Read<'_>,
    root: u64,
    is_xsdt: bool,
    wanted: &[u8; 4],
) -> Result<Option<Vec<u8>>, Error> {
    let (signature, width) = if is_xsdt { (b"XSDT", 8) } else { (b"RSDT", 4) };
    let table = load(read, root)?;
    if !table.starts_with(signature) {
        return Err(Error::Root(root));
    }
    for entry in table[HEADER..].chunks_exact(width) {
        let at = entry
            .iter()
            .rev()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        let mut name = [0; 4];
        if read(at, &mut name) && &name == wanted {
            return load(read, at).map(Some);
        }
    }
    Ok(None)
}

/// Copies a table, whole, once its length and checksum are right.
fn load(read: Read<'_>, at: u64) -> Result<Vec<u8>, Error> {
    let mut header = [0; HEADER];
    if !read(at, &mut header) {
        return Err(Error::Length(at));
    }
    let length = le(&header[4..8]) as usize;
    if !(HEADER..=LONGEST).contains(&length) {
        return Err(Error::Length(at));
    }
    let mut table = vec![0; length];
    if !read(at, &mut table) {
        return Err(Error::Length(at));
    }
    match table.iter().fold(0_u8, |sum, &byte| sum.wrapping_add(byte)) {
        0 => Ok(table),
        _ => Err(Error::Checksum(at)),
    }
}

fn le(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .rev()
        .fold(0, |sum, &byte| sum << 8 | u32::from(byte))
}

/// Parses a MADT whose header has been checked.
fn parse_madt(table: &[u8]) -> Result<Madt, Error> {
    const FIRST_ENTRY: usize = HEADER + 8;
    let mut madt = Madt::default();
    let mut offset = FIRST_ENTRY;
    while offset < table.len() {
        let entry = &table[offset..];
        let length = entry.get(1).map_or(0, |&length| usize::from(length));
        let entry = entry
            .get(..length)
            .filter(|e| e.len() >= 2)
            .ok_or(Error::Entry(offset))?;
        take_entry(&mut madt, entry).ok_or(Error::Entry(offset))?;
        offset += length;
    }
    Ok(madt)
}

/// Local APIC (0), I/O APIC (1), local x2APIC (9); the others do not concern us.
fn take_entry(madt: &mut Madt, entry: &[u8]) -> Option<()> {
    const ENABLED: u32 = 1;
    let field = |range: core::ops::Range<usize>| entry.get(range).map(le);
    let cpu = match entry[0] {
        0 => (field(3..4)?, field(4..8)?),
        9 => (field(4..8)?, field(8..12)?),
        1 => {
            madt.io_apics.push(field(4..8)?.into());
            return Some(());
        }
        _ => return Some(()),
    };
    if cpu.1 & ENABLED != 0 && !madt.apic_ids.contains(&cpu.0) {
        madt.apic_ids.push(cpu.0);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADT_AT: u64 = 0x200;

    fn table(signature: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut bytes = signature.to_vec();
        bytes.extend(((HEADER + body.len()) as u32).to_le_bytes());
        bytes.extend([1, 0]);
        bytes.extend(b"BOCHS BXPC    ");
        bytes.resize(HEADER, 0);
        bytes.extend(body);
        seal(&mut bytes);
        bytes
    }

    fn seal(bytes: &mut [u8]) {
        bytes[9] = 0;
        bytes[9] = bytes
            .iter()
            .fold(0_u8, |sum, &b| sum.wrapping_add(b))
            .wrapping_neg();
    }

    fn find(root: &[u8], madt: &[u8], is_xsdt: bool) -> Result<Madt, Error> {
        let mut memory = vec![0; 0x400];
        memory[0x100..0x100 + root.len()].copy_from_slice(root);
        memory[MADT_AT as usize..MADT_AT as usize + madt.len()].copy_from_slice(madt);
        let read = |at: u64, out: &mut [u8]| {
            let from = usize::try_from(at)
                .ok()
                .and_then(|at| memory.get(at..)?.get(..out.len()));
            from.map(|bytes| out.copy_from_slice(bytes)).is_some()
        };
        find_madt(&read, 0x100, is_xsdt)
    }

    fn body() -> Vec<u8> {
        let mut body = vec![0, 0, 0xe0, 0xfe, 1, 0, 0, 0];
        body.extend([0, 8, 0, 0, 1, 0, 0, 0]);
        body.extend([0, 8, 1, 5, 0, 0, 0, 0]); // disabled
        body.extend([1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]);
        body.extend([9, 16, 0, 0, 0x34, 0x12, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        body.extend([4, 6, 0xff, 0, 0, 1]);
        body
    }

    #[test]
    fn both_root_tables_lead_to_the_madt() {
        let madt = table(b"APIC", &body());
        let expected = Madt {
            apic_ids: vec![0, 0x1234],
            io_apics: vec![0xfec0_0000],
        };
        let xsdt = table(b"XSDT", &MADT_AT.to_le_bytes());
        assert_eq!(find(&xsdt, &madt, true), Ok(expected.clone()));
        let rsdt = table(b"RSDT", &(MADT_AT as u32).to_le_bytes());
        assert_eq!(find(&rsdt, &madt, false), Ok(expected));
        assert_eq!(find(&rsdt, &madt, true), Err(Error::Root(0x100)));
    }

    #[test]
    fn a_changed_byte_is_a_bad_checksum() {
        let xsdt = table(b"XSDT", &MADT_AT.to_le_bytes());
        let mut madt = table(b"APIC", &body());
        madt[40] ^= 1;
        assert_eq!(find(&xsdt, &madt, true), Err(Error::Checksum(MADT_AT)));
    }

    #[test]
    fn lengths_are_checked() {
        let xsdt = table(b"XSDT", &MADT_AT.to_le_bytes());
        for length in [0_u32, 35, 0x300, u32::MAX] {
            let mut madt = table(b"APIC", &body());
            madt[4..8].copy_from_slice(&length.to_le_bytes());
            assert_eq!(find(&xsdt, &madt, true), Err(Error::Length(MADT_AT)));
        }
        assert_eq!(find(&table(b"XSDT", &[]), &[], true), Err(Error::NoMadt));
    }

    #[test]
    fn a_cut_entry_is_an_error_wherever_it_is_cut() {
        let xsdt = table(b"XSDT", &MADT_AT.to_le_bytes());
        let ends = [8, 16, 24, 36, 52, 58];
        for length in 9..body().len() {
            let found = find(&xsdt, &table(b"APIC", &body()[..length]), true);
            assert_eq!(found.is_ok(), ends.contains(&length), "{length}: {found:?}");
        }
        // A length of 0 must not loop for ever.
        let found = find(&xsdt, &table(b"APIC", &[0; 12]), true);
        assert_eq!(found, Err(Error::Entry(44)));
    }

    #[test]
    fn the_pm_timer_is_where_the_fadt_says() {
        let mut fadt = vec![0; 244];
        assert_eq!(pm_timer(&fadt), None, "no length");
        fadt[91] = 4;
        assert_eq!(pm_timer(&fadt), None, "no address");
        fadt[76..78].copy_from_slice(&[0x08, 0x06]);
        assert_eq!(pm_timer(&fadt), Some(0x608));
        fadt[208] = 1;
        assert_eq!(pm_timer(&fadt), Some(0x608), "the extended address is 0");
        fadt[212..214].copy_from_slice(&[0x08, 0x18]);
        assert_eq!(pm_timer(&fadt), Some(0x1808));
        fadt[208] = 0;
        assert_eq!(
            pm_timer(&fadt),
            Some(0x608),
            "the extended one is in memory"
        );
        fadt[78] = 1;
        assert_eq!(pm_timer(&fadt), None, "no port");
        assert!((0..=244).all(|length| pm_timer(&vec![4; length]).is_none_or(|p| p == 0x404)));
    }

    #[test]
    fn the_pm_timer_is_found_from_the_root() {
        let mut body = vec![0; 80];
        body[91 - HEADER] = 4;
        body[77 - HEADER] = 6;
        let fadt = table(b"FACP", &body);
        let xsdt = table(b"XSDT", &MADT_AT.to_le_bytes());
        let read = |at: u64, out: &mut [u8]| {
            let (table, at) = if at < MADT_AT {
                (&xsdt, at - 0x100)
            } else {
                (&fadt, at - MADT_AT)
            };
            let bytes = table.get(at as usize..).and_then(|t| t.get(..out.len()));
            bytes.map(|bytes| out.copy_from_slice(bytes)).is_some()
        };
        assert_eq!(find_pm_timer(&read, 0x100, true), Some(0x600));
        assert_eq!(find_madt(&read, 0x100, true), Err(Error::NoMadt));
    }

    #[test]
    fn nothing_panics() {
        let xsdt = table(b"XSDT", &MADT_AT.to_le_bytes());
        for seed in 0..2000_u32 {
            let noise = (0..seed % 64)
                .map(|n| (seed.wrapping_mul(2_654_435_761).rotate_left(n) >> 7) as u8);
            let _ = find(&xsdt, &table(b"APIC", &noise.collect::<Vec<_>>()), true);
        }
    }
}
