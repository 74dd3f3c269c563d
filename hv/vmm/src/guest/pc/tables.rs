//! The tables that a PC's firmware leaves below 1 MiB, for guests that start without firmware.

use super::{acpi, mp};
use crate::memory::GuestRam;
use crate::memory::ram::OutsideRam;
use spec::addr::L1Gpa;

const RSDP: u64 = 0xe_0000;
const TABLES: u32 = 0xe_0040;
/// The MP floating pointer is looked for from here on.
const MP: u32 = 0xf_0000;

/// Writes the ACPI tables and the MP table for so many processors; returns where the RSDP is.
pub fn write(ram: &GuestRam, cpus: usize) -> Result<L1Gpa, OutsideRam> {
    let cpus = cpus as u8;
    let mut tables = acpi::Tables::new(cpus);
    tables.place(TABLES);
    ram.write(L1Gpa(RSDP), &tables.rsdp)?;
    ram.write(L1Gpa(TABLES.into()), &tables.tables)?;
    ram.write(L1Gpa(MP.into()), &mp::tables(cpus, MP))?;
    Ok(L1Gpa(RSDP))
}

#[cfg(test)]
mod tests;
