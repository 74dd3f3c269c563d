//! What firmware leaves in the memory of the clock, as that of QEMU and Bochs does (SeaBIOS `src/hw/rtc.h`, IBM
//! PC/AT Technical Reference "Real-Time Clock/CMOS RAM Information").

use super::VRT;
use super::register::D;

/// Equipment: a floating-point unit.
const EQUIPMENT: usize = 0x14;
/// Memory below 1 MiB, in KiB.
const BASE_MEMORY: usize = 0x15;
/// Memory above 1 MiB, in KiB, and the same as found by the firmware.
const EXTENDED_MEMORY: [usize; 2] = [0x17, 0x30];
/// Memory above 16 MiB, in units of 64 KiB.
const MEMORY_ABOVE_16M: usize = 0x34;
/// What is checked, and the sum, high byte first.
const CHECKED: core::ops::Range<usize> = 0x10..0x2e;
const CHECKSUM: usize = 0x2e;
/// Flags of the first boot device, and the first two: disk, then CD.
const BOOT_FLAGS: usize = 0x38;
const BOOT_DEVICES: usize = 0x3d;
/// The number of processors, less 1.
const PROCESSORS: usize = 0x5f;

/// The cells of a machine with so much RAM and so many processors, without the time.
pub(super) fn cells(ram: u64, processors: usize) -> [u8; 128] {
    let mut cells = [0; 128];
    let mut put = |at: usize, value: u64| {
        let value = u16::try_from(value).unwrap_or(u16::MAX);
        cells[at..at + 2].copy_from_slice(&value.to_le_bytes());
    };
    put(BASE_MEMORY, 640);
    for at in EXTENDED_MEMORY {
        put(at, ram.saturating_sub(1 << 20) >> 10);
    }
    put(MEMORY_ABOVE_16M, ram.saturating_sub(16 << 20) >> 16);
    cells[D] = VRT;
    cells[EQUIPMENT] = 2;
    cells[BOOT_FLAGS] = 1;
    cells[BOOT_DEVICES] = 0x32;
    cells[PROCESSORS] = processors.saturating_sub(1) as u8;
    let sum: u16 = cells[CHECKED].iter().map(|&cell| u16::from(cell)).sum();
    cells[CHECKSUM..CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
    cells
}
