//! The controllers' registers, as the bus sees them.

use super::Interrupts;
use crate::device::bus::{Device, Effect};
use crate::device::pic::Pics;
use alloc::sync::Arc;

/// Ports of the 8259s: two consecutive ones.
pub struct PicPorts {
    interrupts: Arc<Interrupts>,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Controller(usize),
    Elcr,
}

impl PicPorts {
    /// Ports 0x20 and 0x21.
    #[must_use]
    pub fn master(interrupts: &Arc<Interrupts>) -> Self {
        Self::new(interrupts, Kind::Controller(Pics::MASTER))
    }

    /// Ports 0xa0 and 0xa1.
    #[must_use]
    pub fn slave(interrupts: &Arc<Interrupts>) -> Self {
        Self::new(interrupts, Kind::Controller(Pics::SLAVE))
    }

    /// The edge/level control registers, ports 0x4d0 and 0x4d1.
    #[must_use]
    pub fn elcr(interrupts: &Arc<Interrupts>) -> Self {
        Self::new(interrupts, Kind::Elcr)
    }

    fn new(interrupts: &Arc<Interrupts>, kind: Kind) -> Self {
        Self {
            interrupts: interrupts.clone(),
            kind,
        }
    }
}

impl Device for PicPorts {
    fn read(&mut self, offset: u16, _size: u8) -> u32 {
        let second = offset & 1 != 0;
        let value = self.interrupts.with_pics(|pics| match self.kind {
            Kind::Controller(which) => pics.read(which, second),
            Kind::Elcr => pics.elcr(usize::from(second)),
        });
        value.into()
    }

    fn write(&mut self, offset: u16, _size: u8, value: u32) -> Effect {
        let (second, value) = (offset & 1 != 0, value as u8);
        self.interrupts.with_pics(|pics| match self.kind {
            Kind::Controller(which) => pics.write(which, second, value),
            Kind::Elcr => pics.set_elcr(usize::from(second), value),
        });
        Effect::None
    }
}

/// The I/O APIC's registers in memory.
pub struct IoApicWindow(Arc<Interrupts>);

impl IoApicWindow {
    /// The first guest-physical address.
    pub const FIRST: u64 = 0xfec0_0000;
    /// The last that it claims; all but the two registers reads 0 and ignores writes.
    pub const LAST: u64 = Self::FIRST + 0xfff;

    /// IOREGSEL.
    const INDEX: u16 = 0;
    /// IOWIN. Like the registers behind it, it is accessed in 32 bits or not at all.
    const DATA: u16 = 0x10;

    /// The window of this guest's I/O APIC.
    #[must_use]
    pub fn new(interrupts: &Arc<Interrupts>) -> Self {
        Self(interrupts.clone())
    }
}

impl Device for IoApicWindow {
    fn width(&self) -> u8 {
        4
    }

    fn read(&mut self, offset: u16, size: u8) -> u32 {
        self.0.with_ioapic(|ioapic, _| match (offset, size) {
            (Self::INDEX, _) => ioapic.index().into(),
            (Self::DATA, 4) => ioapic.read(),
            _ => 0,
        })
    }

    fn write(&mut self, offset: u16, size: u8, value: u32) -> Effect {
        self.0
            .with_ioapic(|ioapic, processors| match (offset, size) {
                (Self::INDEX, _) => ioapic.set_index(value as u8),
                (Self::DATA, 4) => ioapic.write(value, processors),
                _ => {}
            });
        Effect::None
    }
}
