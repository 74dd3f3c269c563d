//! PCI bus 0 and the host bridge's two ways to it: configuration mechanism #1 (PCI Local Bus
//! Specification 3.0 "Configuration Mechanism #1") and a window of I/O ports in which base address
//! registers may lie.

use super::bus::{Device, Effect};
use super::interrupts::{Interrupts, Line};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use configuration::Configuration;
use spin::Mutex;

pub mod configuration;
mod host_bridge;

/// The I/O ports that the host bridge passes on: a base address register elsewhere decodes nothing.
pub const WINDOW: (u16, u16) = (0xc000, 0xffff);

/// The interrupt of devices with an even number, and of those with an odd one.
const IRQS: [u8; 2] = [10, 11];

/// The enable bit of the address register.
const ENABLE: u32 = 1 << 31;
/// The bits that the address register has.
const ADDRESS_BITS: u32 = ENABLE | 0x00ff_fffc;

/// A function of a device on the bus.
pub trait Function: Send {
    /// Its configuration space.
    fn configuration(&mut self) -> &mut Configuration;
    /// Reads from its configuration space; the access does not cross a doubleword.
    fn read_configuration(&mut self, offset: u8, size: u8) -> u32 {
        self.configuration().read(offset, size)
    }
    /// Writes to it.
    fn write_configuration(&mut self, offset: u8, size: u8, value: u32) {
        self.configuration().write(offset, size, value);
    }
    /// Reads a register behind its base address register.
    fn read_port(&mut self, _offset: u16, size: u8) -> u32 {
        all_ones(size)
    }
    /// Writes one.
    fn write_port(&mut self, _offset: u16, _size: u8, _value: u32) {}
    /// The TSC at which it next does something by itself.
    fn deadline(&self) -> Option<u64> {
        None
    }
    /// Does what was due until now.
    fn advance(&mut self) {}
}

/// What is read where nothing answers.
pub(super) const fn all_ones(size: u8) -> u32 {
    u32::MAX >> (32 - 8 * size as u32)
}

/// Bus 0: its host bridge and devices of one function each.
pub struct Pci {
    address: u32,
    functions: Vec<(u8, Box<dyn Function>)>,
}

impl Pci {
    /// The bus with its host bridge and these devices, with base addresses and interrupts as
    /// firmware assigns them.
    #[must_use]
    pub fn new(interrupts: &Arc<Interrupts>, devices: Vec<Box<dyn Function>>) -> Self {
        let mut functions: Vec<(u8, Box<dyn Function>)> = Vec::new();
        functions.push((0, Box::new(host_bridge::host_bridge())));
        let mut port = WINDOW.0;
        for (number, mut function) in device_numbers().zip(devices) {
            let configuration = function.configuration();
            let irq = IRQS[usize::from(number % 2)];
            configuration.connect(Line::new(interrupts, irq), irq);
            port = configuration.assign(port);
            functions.push((number, function));
        }
        Self {
            address: 0,
            functions,
        }
    }

    /// The rows of the port table: first and last port, and the device there.
    #[must_use]
    pub fn into_rows(self) -> Vec<(u16, u16, Ports)> {
        let has_window = self.functions.len() > 1;
        let pci = Arc::new(Mutex::new(self));
        let row = |first, last, part| {
            let pci = pci.clone();
            (first, last, Ports { pci, part })
        };
        let mut rows = Vec::with_capacity(3);
        rows.push(row(0xcf8, 0xcf8, Part::Address));
        rows.push(row(0xcfc, 0xcff, Part::Data));
        if has_window {
            rows.push(row(WINDOW.0, WINDOW.1, Part::Window));
        }
        rows
    }

    /// The function that the address register selects.
    fn selected(&mut self) -> Option<&mut dyn Function> {
        let (bus, number, function) = (
            self.address >> 16 & 0xff,
            (self.address >> 11 & 0x1f) as u8,
            self.address >> 8 & 7,
        );
        if self.address & ENABLE == 0 || bus != 0 || function != 0 {
            return None;
        }
        let mut functions = self.functions.iter_mut();
        let (_, found) = functions.find(|(own, _)| *own == number)?;
        Some(&mut **found)
    }

    fn register(&self, offset: u16) -> u8 {
        (self.address & 0xfc) as u8 | (offset & 3) as u8
    }

    /// The function whose ports an access is in, and where in them.
    fn decode(&mut self, offset: u16, size: u8) -> Option<(&mut dyn Function, u16)> {
        let port = WINDOW.0.checked_add(offset)?;
        self.functions.iter_mut().find_map(|(_, function)| {
            let offset = function.configuration().decode(port, size)?;
            Some((&mut **function as &mut dyn Function, offset))
        })
    }

    fn read(&mut self, part: Part, offset: u16, size: u8) -> u32 {
        let register = self.register(offset);
        let value = match part {
            Part::Address => (size == 4).then_some(self.address),
            Part::Data => self
                .selected()
                .map(|function| function.read_configuration(register, size)),
            Part::Window => self
                .decode(offset, size)
                .map(|(function, offset)| function.read_port(offset, size)),
        };
        value.unwrap_or(all_ones(size))
    }

    fn write(&mut self, part: Part, offset: u16, size: u8, value: u32) {
        let register = self.register(offset);
        match part {
            Part::Address if size == 4 => self.address = value & ADDRESS_BITS,
            Part::Address => {}
            Part::Data => {
                if let Some(function) = self.selected() {
                    function.write_configuration(register, size, value);
                }
            }
            Part::Window => {
                if let Some((function, offset)) = self.decode(offset, size) {
                    function.write_port(offset, size, value);
                }
            }
        }
    }
}

/// 2, 3, 6, 7, 10 ...: the numbers for which the parity rule of [`IRQS`] and the routing that
/// SeaBIOS writes into the interrupt line registers (that of the 440FX boards) agree.
fn device_numbers() -> impl Iterator<Item = u8> {
    (2..32).filter(|number| number & 2 != 0)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// CONFIG_ADDRESS: whole doublewords only, as 0xcf9 is another device's.
    Address,
    /// CONFIG_DATA.
    Data,
    /// The functions' own ports.
    Window,
}

/// A range of ports that the host bridge claims.
pub struct Ports {
    pci: Arc<Mutex<Pci>>,
    part: Part,
}

impl Device for Ports {
    fn width(&self) -> u8 {
        4
    }

    fn overhang(&self) -> u16 {
        match self.part {
            Part::Address => 3,
            Part::Data | Part::Window => 0,
        }
    }

    fn read(&mut self, offset: u16, size: u8) -> u32 {
        self.pci.lock().read(self.part, offset, size)
    }

    fn write(&mut self, offset: u16, size: u8, value: u32) -> Effect {
        self.pci.lock().write(self.part, offset, size, value);
        Effect::None
    }

    /// Functions may be reached through their configuration space too, so both rows tell the same.
    fn deadline(&self) -> Option<u64> {
        if self.part == Part::Address {
            return None;
        }
        let pci = self.pci.lock();
        let deadlines = pci.functions.iter();
        deadlines.filter_map(|(_, one)| one.deadline()).min()
    }

    fn advance(&mut self) {
        let mut pci = self.pci.lock();
        pci.functions.iter_mut().for_each(|(_, one)| one.advance());
    }
}

#[cfg(test)]
mod tests;
