//! The memory of a machine guest, and what its firmware says about it.

use super::firmware::VECTORS;
use super::request::{BadRequest, Request};
use crate::memory::GuestRam;
use crate::memory::ram::OutsideRam;
use spec::addr::L1Gpa;

/// Where conventional memory ends and the extended BIOS data area begins.
pub(super) const LOW_END: u64 = 0x9_fc00;
const LOW_MEMORY_KIB: u16 = (LOW_END >> 10) as u16;
/// Where the firmware's tables begin.
const FIRMWARE: u64 = 0xe_0000;
/// Where extended memory begins.
pub(super) const HIGH: u64 = 0x10_0000;

/// One range of the memory map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) start: u64,
    pub(super) length: u64,
    pub(super) kind: u32,
}

/// The memory map that INT 15H, E820H would give: ACPI specification, "System Address Map Interfaces".
pub(super) fn memory_map(size: u64) -> impl Iterator<Item = Region> + Clone {
    const MEMORY: u32 = 1;
    const RESERVED: u32 = 2;
    let regions = [
        (0, LOW_END, MEMORY),
        (LOW_END, 0xa_0000, RESERVED),
        (FIRMWARE, HIGH, RESERVED),
        (HIGH, size, MEMORY),
    ];
    let regions = regions.into_iter().filter(|(start, end, _)| start < end);
    regions.map(|(start, end, kind)| Region {
        start,
        length: end - start,
        kind,
    })
}

/// The KiB of memory below 640 KiB and above 1 MiB, as Multiboot's `mem_lower` and `mem_upper`.
pub(super) fn lower_and_upper(size: u64) -> [u32; 2] {
    let upper = size.saturating_sub(HIGH) >> 10;
    [LOW_MEMORY_KIB.into(), upper as u32]
}

/// The guest's RAM in bytes: option `mem`.
pub(super) fn memory(request: &Request, default_mib: u64) -> Result<u64, BadRequest> {
    match request.memory(default_mib)? {
        size if size > 3 << 30 => Err(request.bad_value(
            "mem",
            "at most 3072 MiB for this kind of guest, whose devices are above that",
        )),
        size => Ok(size),
    }
}

/// What a BIOS leaves below 1 MiB for who looks there: the serial port, where conventional memory ends, and
/// interrupt vectors, for kernels that go back to real mode, and call it or let interrupts come.
pub(super) fn write_bios_data(ram: &GuestRam) -> Result<(), OutsideRam> {
    const SERIAL_PORT: L1Gpa = L1Gpa(0x400);
    const EXTENDED_AREA_SEGMENT: L1Gpa = L1Gpa(0x40e);
    const MEMORY_SIZE: L1Gpa = L1Gpa(0x413);
    let extended_area = (LOW_END >> 4) as u16;
    ram.write(SERIAL_PORT, &0x3f8_u16.to_le_bytes())?;
    ram.write(EXTENDED_AREA_SEGMENT, &extended_area.to_le_bytes())?;
    ram.write(MEMORY_SIZE, &LOW_MEMORY_KIB.to_le_bytes())?;
    // The area's first byte is its size in KiB.
    ram.write(L1Gpa(LOW_END), &[1])?;
    for vector in 0..=u8::MAX {
        let is_device = VECTORS.contains(&(vector & !7));
        let handler = if is_device { INTERRUPT } else { NO_SERVICE };
        ram.write(L1Gpa(u64::from(vector) * 4), &handler.to_le_bytes())?;
    }
    ram.write(L1Gpa(NO_SERVICE_AT), NO_SERVICE_CODE)?;
    ram.write(L1Gpa(INTERRUPT_AT), INTERRUPT_CODE)
}

/// F000:FF53, where the PC's BIOS has the handler of interrupts that it does not serve.
const NO_SERVICE: u32 = 0xf000_ff53;
const NO_SERVICE_AT: u64 = 0xf_ff53;
/// Every BIOS call fails: PUSH BP; MOV BP, SP; OR BYTE PTR [BP+6], 1 (the caller's carry flag); POP BP; IRET.
const NO_SERVICE_CODE: &[u8] = b"\x55\x89\xe5\x80\x4e\x06\x01\x5d\xcf";

/// F000:FEA5, where it has the timer's handler.
const INTERRUPT: u32 = 0xf000_fea5;
const INTERRUPT_AT: u64 = 0xf_fea5;
/// A device's interrupt ends: PUSH AX; MOV AL, 0x20; OUT 0xa0, AL; OUT 0x20, AL; POP AX; IRET.
const INTERRUPT_CODE: &[u8] = b"\x50\xb0\x20\xe6\xa0\xe6\x20\x58\xcf";

#[cfg(test)]
mod tests;
