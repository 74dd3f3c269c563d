//! What the virtual PC tells its firmware by fw_cfg.
//!
//! Cited: QEMU documentation "QEMU Firmware Configuration (fw_cfg) Device"; SeaBIOS documentation "Runtime config".

use super::acpi::{ALIGNMENT, Piece, Tables};
use crate::device::fw_cfg::{Item, Name, padded};
use alloc::vec::Vec;

const RAM_SIZE: u16 = 3;
const NO_GRAPHIC: u16 = 4;
const PROCESSORS: u16 = 5;
const MOST_PROCESSORS: u16 = 0xf;
/// IRQ 0 goes to pin 2 of the I/O APIC.
const IRQ0_OVERRIDE: u16 = 0x8002;

/// By sleeping state: bit 7 says that it is there, the others are its SLP_TYP. There are S0 and S5, not S3 and S4.
const SYSTEM_STATES: [u8; 6] = [0x80, 0, 0, 1, 2, 0x80];
/// Where SeaBIOS has its console, as there is no screen.
const SERIAL_PORT: u16 = 0x3f8;
/// The disk before all else.
const BOOT_ORDER: &[u8] = b"/pci@i0cf8/scsi@2/disk@0,0\0";

/// The items for a PC with so much RAM and so many processors.
#[must_use]
pub fn items(ram: u64, cpus: u8) -> Vec<Item> {
    let tables = Tables::new(cpus);
    let script = loader_script(&tables);
    let e820 = e820(ram);
    let ram = ram.to_le_bytes();
    let serial_port = SERIAL_PORT.to_le_bytes();
    let count = [cpus, 0];
    let items: [(Name, &[u8]); 13] = [
        (Name::Key(RAM_SIZE), &ram),
        (Name::Key(NO_GRAPHIC), &[1, 0]),
        (Name::Key(PROCESSORS), &count),
        (Name::Key(MOST_PROCESSORS), &count),
        (Name::Key(IRQ0_OVERRIDE), &[1, 0, 0, 0]),
        (Name::File("bootorder"), BOOT_ORDER),
        (Name::File(file(Piece::Rsdp)), &tables.rsdp),
        (Name::File(file(Piece::Tables)), &tables.tables),
        (Name::File("etc/boot-cpus"), &count),
        (Name::File("etc/e820"), &e820),
        (Name::File("etc/sercon-port"), &serial_port),
        (Name::File("etc/system-states"), &SYSTEM_STATES),
        (Name::File("etc/table-loader"), &script),
    ];
    let items = items.iter().map(|(name, bytes)| (*name, bytes.to_vec()));
    items.collect()
}

const fn file(piece: Piece) -> &'static str {
    match piece {
        Piece::Rsdp => "etc/acpi/rsdp",
        Piece::Tables => "etc/acpi/tables",
    }
}

/// One entry, all RAM: what it needs for itself the firmware takes out.
fn e820(ram: u64) -> [u8; 20] {
    const IS_RAM: u8 = 1;
    let mut entry = [0; 20];
    entry[8..16].copy_from_slice(&ram.to_le_bytes());
    entry[16] = IS_RAM;
    entry
}

/// What firmware does to put the tables into memory.
fn loader_script(tables: &Tables) -> Vec<u8> {
    let mut script = Vec::new();
    for (piece, alignment, zone) in [
        (Piece::Tables, ALIGNMENT, ZONE_HIGH),
        (Piece::Rsdp, 16, ZONE_F_SEGMENT),
    ] {
        let align = alignment.to_le_bytes();
        command(
            &mut script,
            ALLOCATE,
            &[&padded(file(piece)), &align, &[zone]],
        );
    }
    for pointer in &tables.pointers {
        let to = padded(file(Piece::Tables));
        let at = pointer.at.to_le_bytes();
        command(
            &mut script,
            ADD_POINTER,
            &[&padded(file(pointer.piece)), &to, &at, &[pointer.size]],
        );
    }
    for sum in &tables.checksums {
        let length = sum.of.end - sum.of.start;
        let numbers = [sum.at, sum.of.start, length].map(u32::to_le_bytes);
        command(
            &mut script,
            ADD_CHECKSUM,
            &[&padded(file(sum.piece)), numbers.as_flattened()],
        );
    }
    script
}

const ALLOCATE: u8 = 1;
const ADD_POINTER: u8 = 2;
const ADD_CHECKSUM: u8 = 3;
const ZONE_HIGH: u8 = 1;
const ZONE_F_SEGMENT: u8 = 2;

/// Appends a command, which has 128 bytes.
#[inline(never)]
fn command(script: &mut Vec<u8>, number: u8, fields: &[&[u8]]) {
    let end = script.len() + 128;
    script.extend_from_slice(&[number, 0, 0, 0]);
    fields
        .iter()
        .for_each(|field| script.extend_from_slice(field));
    script.resize(end, 0);
}

#[cfg(test)]
mod tests;
