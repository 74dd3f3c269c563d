//! The ACPI tables of the virtual PC.
//!
//! Cited: ACPI Specification "ACPI System Description Tables".

use alloc::vec::Vec;
use core::ops::Range;

/// The port of PM1a_EVT_BLK, the first of the ACPI hardware.
pub const PM_BASE: u16 = 0x600;
/// The IRQ of the SCI.
pub const SCI: u8 = 9;
/// The address of the local APICs.
pub(super) const LOCAL_APIC: u32 = 0xfee0_0000;
/// The address of the I/O APIC.
pub(super) const IO_APIC: u32 = 0xfec0_0000;
/// MPS INTI flags: active high, level-triggered.
pub(super) const LEVEL_HIGH: u16 = 0b1101;

/// How many bytes a table's header has.
const HEADER: usize = 36;
/// Where a table's checksum is.
const CHECKSUM: u32 = 9;
/// "NESTLG", "NESTLPC ", revision 1; "NEST", revision 1: OEM and creator, as in `dsdt.asl`.
const MAKER: &[u8; 26] = b"NESTLGNESTLPC \x01\0\0\0NEST\x01\0\0\0";
static DSDT: &[u8] = include_bytes!("dsdt.aml");
/// `Device (\_SB.C000) { Name (_HID, "ACPI0007") Name (_UID, 0x00) }`.
const PROCESSOR: &[u8; 35] = b"\x5b\x82\x21\\\x2e_SB_C000\x08_HID\x0dACPI0007\0\x08_UID\x0a\0";
const PROCESSOR_DIGIT: usize = 12;
// Its PkgLength counts itself and what follows.
const _: () = assert!(PROCESSOR[2] as usize == PROCESSOR.len() - 2);

/// One of the two pieces that the tables consist of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The Root System Description Pointer.
    Rsdp,
    /// All others, with the FACS first, which wants to be aligned to [`ALIGNMENT`].
    Tables,
}

/// What [`Piece::Tables`] is to be aligned to.
pub const ALIGNMENT: u32 = 64;

/// A place that holds the offset of a table in [`Piece::Tables`] where its address should be.
pub struct Pointer {
    /// Where it is.
    pub piece: Piece,
    /// At this offset.
    pub at: u32,
    /// It has so many bytes.
    pub size: u8,
}

/// A byte that makes the bytes around it sum to 0.
pub struct Checksum {
    /// Where it is.
    pub piece: Piece,
    /// At this offset.
    pub at: u32,
    /// The bytes that it is for.
    pub of: Range<u32>,
}

/// The tables before they have an address. Pointers come before checksums, and both in this order.
pub struct Tables {
    /// The Root System Description Pointer.
    pub rsdp: Vec<u8>,
    /// The others.
    pub tables: Vec<u8>,
    /// All pointers.
    pub pointers: Vec<Pointer>,
    /// All checksums.
    pub checksums: Vec<Checksum>,
}

impl Tables {
    /// The tables of a PC with so many processors.
    #[must_use]
    pub fn new(cpus: u8) -> Self {
        let mut new = Self {
            rsdp: Vec::new(),
            tables: facs(),
            pointers: Vec::new(),
            checksums: Vec::new(),
        };
        let dsdt = new.add(b"DSDT", 2, &dsdt(cpus));
        let fadt = new.add(b"FACP", 3, &fadt(dsdt));
        for (at, size) in [(36, 4), (40, 4), (140, 8)] {
            new.point(Piece::Tables, fadt + at, size);
        }
        let madt = new.add(b"APIC", 1, &madt(cpus));
        let rsdt = new.root(b"RSDT", 4, [fadt, madt]);
        let xsdt = new.root(b"XSDT", 8, [fadt, madt]);
        new.add_rsdp(rsdt, xsdt);
        new
    }

    /// Appends a table; returns where it is.
    #[inline(never)]
    fn add(&mut self, signature: &[u8; 4], revision: u8, body: &[u8]) -> u32 {
        let at = self.tables.len() as u32;
        let length = (HEADER + body.len()) as u32;
        put(&mut self.tables, signature);
        put(&mut self.tables, &length.to_le_bytes());
        put(&mut self.tables, &[revision, 0]);
        put(&mut self.tables, MAKER);
        put(&mut self.tables, body);
        self.sum(Piece::Tables, at + CHECKSUM, at..at + length);
        at
    }

    /// Appends a root table, whose pointers have `size` bytes.
    fn root(&mut self, signature: &[u8; 4], size: u8, entries: [u32; 2]) -> u32 {
        let mut body = Vec::new();
        for entry in entries {
            put(&mut body, &u64::from(entry).to_le_bytes()[..size.into()]);
        }
        let at = self.add(signature, 1, &body);
        for n in 0..entries.len() as u32 {
            let pointer = at + HEADER as u32 + n * u32::from(size);
            self.point(Piece::Tables, pointer, size);
        }
        at
    }

    fn add_rsdp(&mut self, rsdt: u32, xsdt: u32) {
        put(&mut self.rsdp, b"RSD PTR \0NESTLG\x02");
        put(&mut self.rsdp, &rsdt.to_le_bytes());
        put(&mut self.rsdp, &36_u32.to_le_bytes());
        put(&mut self.rsdp, &u64::from(xsdt).to_le_bytes());
        put(&mut self.rsdp, &[0; 4]);
        self.point(Piece::Rsdp, 16, 4);
        self.point(Piece::Rsdp, 24, 8);
        self.sum(Piece::Rsdp, 8, 0..20);
        self.sum(Piece::Rsdp, 32, 0..36);
    }

    #[inline(never)]
    fn point(&mut self, piece: Piece, at: u32, size: u8) {
        self.pointers.push(Pointer { piece, at, size });
    }

    #[inline(never)]
    fn sum(&mut self, piece: Piece, at: u32, of: Range<u32>) {
        self.checksums.push(Checksum { piece, at, of });
    }

    /// Makes the pointers addresses, for [`Piece::Tables`] at this one, and the checksums right.
    pub fn place(&mut self, address: u32) {
        for pointer in core::mem::take(&mut self.pointers) {
            let at = pointer.at as usize;
            let bytes = &mut self.piece(pointer.piece)[at..at + usize::from(pointer.size)];
            let mut low = [0; 4];
            low.copy_from_slice(&bytes[..4]);
            let sum = u32::from_le_bytes(low).wrapping_add(address);
            bytes[..4].copy_from_slice(&sum.to_le_bytes());
        }
        for sum in core::mem::take(&mut self.checksums) {
            let bytes = self.piece(sum.piece);
            bytes[sum.at as usize] = 0;
            let of = sum.of.start as usize..sum.of.end as usize;
            bytes[sum.at as usize] = complement(&bytes[of]);
        }
    }

    fn piece(&mut self, piece: Piece) -> &mut [u8] {
        match piece {
            Piece::Rsdp => &mut self.rsdp,
            Piece::Tables => &mut self.tables,
        }
    }
}

/// Appends bytes: one copy of what would be in many places.
#[inline(never)]
pub(super) fn put(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(bytes);
}

/// The byte that makes these sum to 0.
pub(super) fn complement(bytes: &[u8]) -> u8 {
    let sum = bytes.iter().fold(0_u8, |sum, &byte| sum.wrapping_add(byte));
    sum.wrapping_neg()
}

/// The FACS has no checksum, and no header like that of others.
fn facs() -> Vec<u8> {
    const VERSION: usize = 32;
    let mut facs = b"FACS\x40".to_vec();
    facs.resize(64, 0);
    facs[VERSION] = 1;
    facs
}

/// What follows the header of the DSDT.
fn dsdt(cpus: u8) -> Vec<u8> {
    let mut aml = DSDT[HEADER..].to_vec();
    for cpu in 0..cpus {
        let mut processor = *PROCESSOR;
        processor[PROCESSOR_DIGIT] += cpu;
        processor[PROCESSOR.len() - 1] = cpu;
        put(&mut aml, &processor);
    }
    aml
}

/// What follows the header of the FADT. There is no SMI command: the hardware is in ACPI mode from the start.
fn fadt(dsdt: u32) -> [u8; 244 - HEADER] {
    const NO_C2: u16 = 0xfff;
    const CENTURY: u8 = 0x32;
    const LEGACY_DEVICES: u16 = 1;
    const NO_VGA: u16 = 1 << 2;
    /// WBINVD, PROC_C1, no power and sleep buttons of the fixed hardware, no RTC wake status there,
    /// TMR_VAL_EXT, RESET_REG_SUP.
    const FLAGS: u32 = 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 10;
    let [event, control, timer] = [PM_BASE, PM_BASE + 4, PM_BASE + 8];
    let mut fadt = [0; 244 - HEADER];
    let mut set = |at: usize, bytes: &[u8]| {
        fadt[at - HEADER..at - HEADER + bytes.len()].copy_from_slice(bytes);
    };
    set(40, &dsdt.to_le_bytes());
    set(140, &dsdt.to_le_bytes());
    set(46, &[SCI]);
    set(56, &event.to_le_bytes());
    set(64, &control.to_le_bytes());
    set(76, &timer.to_le_bytes());
    set(88, &[4, 2, 0, 4]);
    set(96, &NO_C2.to_le_bytes());
    set(98, &NO_C2.to_le_bytes());
    set(108, &[CENTURY]);
    set(109, &(LEGACY_DEVICES | NO_VGA).to_le_bytes());
    set(112, &FLAGS.to_le_bytes());
    set(116, &io(0xcf9, 8));
    set(128, &[6]);
    set(148, &io(event, 32));
    set(172, &io(control, 16));
    set(208, &io(timer, 32));
    fadt
}

/// A Generic Address Structure for so many bits at a port, which are accessed at once.
fn io(port: u16, bits: u8) -> [u8; 6] {
    const SYSTEM_IO: u8 = 1;
    let [low, high] = port.to_le_bytes();
    let access = (bits / 8).trailing_zeros() as u8 + 1;
    [SYSTEM_IO, bits, 0, access, low, high]
}

/// What follows the header of the MADT.
fn madt(cpus: u8) -> Vec<u8> {
    const PCAT_COMPAT: u8 = 1;
    let mut madt = LOCAL_APIC.to_le_bytes().to_vec();
    put(&mut madt, &[PCAT_COMPAT, 0, 0, 0]);
    for cpu in 0..cpus {
        put(&mut madt, &[0, 8, cpu, cpu, 1, 0, 0, 0]);
    }
    put(&mut madt, &[1, 12, cpus, 0]);
    put(&mut madt, &IO_APIC.to_le_bytes());
    put(&mut madt, &[0; 4]);
    for (irq, pin, flags) in [
        (0, 2, 0),
        (SCI, SCI, LEVEL_HIGH),
        (10, 10, LEVEL_HIGH),
        (11, 11, LEVEL_HIGH),
    ] {
        put(&mut madt, &[2, 10, 0, irq, pin, 0, 0, 0, flags as u8, 0]);
    }
    put(&mut madt, &[4, 6, 0xff, 0, 0, 1]); // an NMI at LINT1 of each
    madt
}

#[cfg(test)]
mod tests;
