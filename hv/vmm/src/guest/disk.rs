//! Disk guests: firmware starts at the reset vector, and boots from an image.

use super::memory_map::memory;
use super::request::Request;
use super::virtio::Virtio;
use super::{GuestKind, LoadError, Seat, new_space};
use crate::exit::rows::EXITS;
use crate::memory::Space;
use crate::memory::ram::OutsideRam;
use crate::memory::table::OutOfFrames;
use crate::vcpu::Vcpu;
use alloc::format;
use spec::addr::{L1Gpa, PAGE_SIZE};

/// The kind of guest that disk images are.
pub static DISK: GuestKind = GuestKind {
    name: "disk",
    load,
    exits: &EXITS,
};

/// The module that the firmware is in.
const FIRMWARE: &str = "seabios";
/// Its RAM without the option `mem`.
const DEFAULT_MIB: u64 = 128;
/// What a guest takes of our heap for each virtual CPU, in bytes, and for its devices with the first.
const HEAP_SIZE: u64 = 256 << 10;
const SECTOR: usize = 512;
/// So much of the firmware, its end, is below 1 MiB too, where real mode reaches it.
const LOW: usize = 128 << 10;
const LOW_END: u64 = 1 << 20;
/// What can be below 4 GiB without meeting the local APICs.
const LONGEST: usize = 16 << 20;

fn load(request: &Request, seat: &Seat<'_>) -> Result<Vcpu, LoadError> {
    request.allow_options(&["cpus", "disk", "console"])?;
    let size = memory(request, DEFAULT_MIB)?;
    let cpus = request.cpus()?;
    let firmware = seat.file(FIRMWARE)?;
    check(firmware.len(), seat.program.len())?;
    let virtio = Virtio::of(request, seat, Some(seat.program))?;
    let heap = seat.promise(HEAP_SIZE * cpus as u64 + virtio.heap_size())?;
    let mut space = new_space(seat.host, size)?;
    lay_out(&mut space, firmware)?;
    let mut vcpu = seat.new_vcpu(&DISK, &request.path, space, heap, cpus, Some(&virtio));
    vcpu.reset();
    Ok(vcpu)
}

/// Whether firmware and disk can be what they are said to be.
fn check(firmware: usize, disk: usize) -> Result<(), LoadError> {
    let whole = firmware.is_multiple_of(PAGE_SIZE as usize);
    let why = if !whole || !(LOW..=LONGEST).contains(&firmware) {
        format!(
            "the module `file:{FIRMWARE}` has {firmware} bytes; a PC's firmware has 128 KiB to 16 MiB, in whole pages"
        )
    } else if disk < SECTOR {
        format!("its image has {disk} bytes; a disk has a sector of {SECTOR} at least")
    } else if !disk.is_multiple_of(SECTOR) {
        format!("its image has {disk} bytes, which are no whole sectors of {SECTOR}")
    } else {
        return Ok(());
    };
    Err(LoadError::Program(why))
}

/// Puts the firmware where the processor begins, and where it goes on.
fn lay_out(space: &mut Space, firmware: &[u8]) -> Result<(), LoadError> {
    let added = space.add_rom(firmware);
    added.map_err(|OutOfFrames| LoadError::NoMemory(firmware.len() as u64))?;
    let ram = space.ram();
    let low = &firmware[firmware.len() - LOW..];
    ram.zero(L1Gpa(0), ram.size())
        .and_then(|()| ram.write(L1Gpa(LOW_END - LOW as u64), low))
        .map_err(|OutsideRam| LoadError::NoMemory(ram.size()))
}

#[cfg(test)]
mod tests;
