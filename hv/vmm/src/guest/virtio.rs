//! The virtio devices of a guest: a disk for each image, entropy, and a console if it is asked for.

use super::request::Request;
use super::{LoadError, Seat};
use crate::device::bus::Wiring;
use crate::device::virtio::Model;
use crate::device::virtio::block::{CYLINDER, Disk};
use crate::device::virtio::console::VirtioConsole;
use crate::device::virtio::entropy::Entropy;
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

/// The most disks of a guest.
const DISKS_MAX: usize = 8;
/// What a device takes of our heap, in bytes, besides what the guest writes to it.
const HEAP_SIZE: u64 = 16 << 10;

/// The virtio devices that a guest is to have.
#[derive(Default)]
pub struct Virtio {
    disks: Vec<Image>,
    console: bool,
}

struct Image {
    bytes: &'static [u8],
    size: u64,
    read_only: bool,
}

impl Virtio {
    /// A disk of the guest's program if it is one, then one for each option `disk=FILE`, or `disk=FILE:ro`, which
    /// cannot be written; and with the option `console=virtio` a console, which then reads what comes in. SeaBIOS reads
    /// nothing of a disk that ends in its first cylinder, so that of the program does not: a boot sector alone can be
    /// booted.
    pub fn of(
        request: &Request,
        seat: &Seat<'_>,
        program: Option<&'static [u8]>,
    ) -> Result<Self, LoadError> {
        let program = program.map(|bytes| Image {
            bytes,
            size: CYLINDER.max(bytes.len() as u64),
            read_only: false,
        });
        let asked = request.values("disk").map(|value| {
            let (name, read_only) = match value.strip_suffix(":ro") {
                Some(name) => (name, true),
                None => (value, false),
            };
            let bytes = seat.file(name)?;
            if bytes.is_empty() {
                return Err(LoadError::Program(format!("its disk `{name}` is empty")));
            }
            Ok(Image {
                bytes,
                size: bytes.len() as u64,
                read_only,
            })
        });
        let disks = program.into_iter().map(Ok).chain(asked);
        let disks = disks.collect::<Result<Vec<_>, LoadError>>()?;
        let console = match request.option("console") {
            None | Some("uart") => false,
            Some("virtio") => true,
            Some(_) => return Err(request.bad_value("console", "uart or virtio").into()),
        };
        match disks.len() {
            0..=DISKS_MAX => Ok(Self { disks, console }),
            _ => Err(LoadError::Program(format!(
                "it has more than {DISKS_MAX} disks"
            ))),
        }
    }

    /// What the devices may take of our heap. A fifth more than what is written covers the gaps that it leaves there.
    #[must_use]
    pub fn heap_size(&self) -> u64 {
        let disks = self.disks.iter();
        let written = disks.map(|disk| Disk::heap_size(disk.size, disk.read_only));
        let written: u64 = written.sum();
        written + written / 5 + HEAP_SIZE * (self.disks.len() as u64 + 2)
    }

    /// Whether there is a console, which reads what the UART else would.
    #[must_use]
    pub fn has_console(&self) -> bool {
        self.console
    }

    /// The devices, in the order of their numbers on the bus: disks first.
    pub(super) fn models(&self, seat: &Seat<'_>, wiring: &Wiring) -> Vec<Box<dyn Model>> {
        let disks = self.disks.iter().map(|disk| -> Box<dyn Model> {
            let number = seat.number;
            Box::new(Disk::new(disk.bytes, disk.size, disk.read_only, number))
        });
        let entropy: Box<dyn Model> = Box::new(Entropy::new(wiring.clock));
        let console = self
            .console
            .then(|| -> Box<dyn Model> { Box::new(VirtioConsole::new(wiring.console.clone())) });
        disks.chain([entropy]).chain(console).collect()
    }
}

#[cfg(test)]
mod tests;
