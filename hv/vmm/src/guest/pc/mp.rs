//! The MP table of the virtual PC: the floating pointer structure, and the configuration table behind it.
//!
//! Cited: Intel MultiProcessor Specification 1.4 "MP Configuration Table".

use super::acpi::{IO_APIC, LEVEL_HIGH, LOCAL_APIC, SCI, complement, put};
use alloc::vec::Vec;

/// The floating pointer structure is so long, and the configuration table begins there.
const POINTER: u32 = 16;
const PCI: u8 = 0;
const ISA: u8 = 1;
const PROCESSOR: u8 = 0;
const BUS: u8 = 1;
const IO_APIC_ENTRY: u8 = 2;
const IO_INTERRUPT: u8 = 3;
const LOCAL_INTERRUPT: u8 = 4;
const INT: u8 = 0;
const NMI: u8 = 1;
const EXT_INT: u8 = 3;
/// Local APIC IDs as destinations: the processor that starts the others, and every one.
const BOOTSTRAP_ID: u8 = 0;
const ALL: u8 = 0xff;
const ENABLED: u8 = 1;
const SPECIFICATION_1_4: u8 = 4;

/// The tables of a PC with so many processors, to be put at this address.
#[must_use]
pub fn tables(cpus: u8, address: u32) -> Vec<u8> {
    let mut bytes = b"_MP_".to_vec();
    put(&mut bytes, &(address + POINTER).to_le_bytes());
    put(
        &mut bytes,
        &[POINTER as u8 / 16, SPECIFICATION_1_4, 0, 0, 0, 0, 0, 0],
    );
    bytes[10] = complement(&bytes);
    put(&mut bytes, &configuration(cpus));
    bytes
}

fn configuration(cpus: u8) -> Vec<u8> {
    const LENGTH: usize = 4;
    const CHECKSUM: usize = 7;
    const COUNT: usize = 34;
    let mut table = Vec::new();
    put(
        &mut table,
        b"PCMP\0\0\x04\0NESTLINGVIRTUAL PC  \0\0\0\0\0\0\0\0",
    );
    put(&mut table, &LOCAL_APIC.to_le_bytes());
    put(&mut table, &[0; 4]);
    let entries = add_entries(&mut table, cpus);
    let length = table.len() as u16;
    table[LENGTH..LENGTH + 2].copy_from_slice(&length.to_le_bytes());
    table[COUNT..COUNT + 2].copy_from_slice(&entries.to_le_bytes());
    table[CHECKSUM] = complement(&table);
    table
}

/// Appends the entries, in the order that the specification wants; returns how many.
fn add_entries(table: &mut Vec<u8>, cpus: u8) -> u16 {
    (0..cpus).for_each(|cpu| add_processor(table, cpu));
    let mut others = 0;
    let mut add = |entry: [u8; 8]| {
        put(table, &entry);
        others += 1;
    };
    add([BUS, PCI, b'P', b'C', b'I', b' ', b' ', b' ']);
    add([BUS, ISA, b'I', b'S', b'A', b' ', b' ', b' ']);
    let [a, b, c, d] = IO_APIC.to_le_bytes();
    add([IO_APIC_ENTRY, cpus, 0x11, ENABLED, a, b, c, d]);
    let level = LEVEL_HIGH as u8;
    for irq in (0..16).filter(|&irq| irq != 2) {
        let flags = if (SCI..=11).contains(&irq) { level } else { 0 };
        let pin = if irq == 0 { 2 } else { irq };
        add([IO_INTERRUPT, INT, flags, 0, ISA, irq, cpus, pin]);
    }
    for device in 1..32 {
        let pin = 10 + device % 2;
        add([IO_INTERRUPT, INT, level, 0, PCI, device << 2, cpus, pin]);
    }
    // Only the bootstrap processor is given what the 8259s say.
    add([LOCAL_INTERRUPT, EXT_INT, 0, 0, ISA, 0, BOOTSTRAP_ID, 0]);
    add([LOCAL_INTERRUPT, NMI, 0, 0, ISA, 0, ALL, 1]);
    u16::from(cpus) + others
}

/// CPUID says more, to each processor itself: here are only family 6, and an FPU, CMPXCHG8B and an APIC.
fn add_processor(table: &mut Vec<u8>, cpu: u8) {
    const BOOTSTRAP: u8 = 2;
    let flags = if cpu == 0 {
        ENABLED | BOOTSTRAP
    } else {
        ENABLED
    };
    put(
        table,
        &[PROCESSOR, cpu, 0x14, flags, 0, 6, 0, 0, 0x01, 0x03, 0, 0],
    );
    put(table, &[0; 8]);
}

#[cfg(test)]
mod tests;
