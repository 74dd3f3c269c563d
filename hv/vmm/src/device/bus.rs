//! The table of devices, by I/O port and by guest-physical address.

use super::clock::Clock;
use super::debug::{DebugConsole, DebugExit};
use super::interrupts::{Interrupts, IoApicWindow, Line, PicPorts};
use super::keyboard::{self, Keyboard};
use super::part::Part;
use super::pci::{Function, Pci};
use super::pit::{self, Pit};
use super::pm::Pm;
use super::reset::{ControlPortA, ResetControl};
use super::rtc::Rtc;
use super::uart::Uart;
use super::virtio::{Model, VirtioPci};
use crate::guest::console::Console;
use crate::memory::GuestRam;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use spin::Mutex;

/// What a write to a device leads to, besides its own state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// The guest ends with this status.
    Exit(u64),
    /// The guest switches its machine off.
    PowerOff,
    /// The guest resets its machine.
    Reset,
}

/// A device with registers.
pub trait Device: Send {
    /// The widest access that it takes, in bytes; the bus splits wider ones into consecutive ports.
    fn width(&self) -> u8 {
        1
    }
    /// How many ports behind its last an access may take along that begins in its own.
    fn overhang(&self) -> u16 {
        0
    }
    /// Reads the register at this offset.
    fn read(&mut self, offset: u16, size: u8) -> u32;
    /// Writes it; `value` has no more than `size` bytes.
    fn write(&mut self, offset: u16, size: u8, value: u32) -> Effect;
    /// The TSC at which it next does something by itself.
    fn deadline(&self) -> Option<u64> {
        None
    }
    /// Does what was due until now.
    fn advance(&mut self) {}
}

/// How many I/O ports there are.
const PORTS: usize = 1 << 16;

/// A device and where it is: I/O ports or guest-physical addresses.
struct Row {
    first: u64,
    last: u64,
    device: Box<dyn Device>,
    /// What its [`Device::deadline`] was when it was last asked.
    deadline: Option<u64>,
}

impl Row {
    /// The device takes an access of this size here whole.
    #[inline]
    fn takes(&self, at: u64, size: u8) -> bool {
        let room = self.last - at + u64::from(self.device.overhang());
        size <= self.device.width() && u64::from(size) - 1 <= room
    }

    #[inline]
    fn read(&mut self, at: u64, size: u8) -> u32 {
        self.device.read((at - self.first) as u16, size)
    }

    #[inline]
    fn write(&mut self, at: u64, size: u8, value: u32) -> Effect {
        self.device.write((at - self.first) as u16, size, value)
    }
}

/// Which ports are claimed, to be asked without a lock: bit n for port n.
pub struct Claims(Box<[u64; PORTS / 64]>);

impl Claims {
    /// Whether some device claims this port.
    #[inline]
    #[must_use]
    pub fn has(&self, port: u16) -> bool {
        self.0[usize::from(port) / 64] >> (port % 64) & 1 != 0
    }
}

/// What the devices of a guest are connected to.
pub struct Wiring {
    /// The console.
    pub console: Arc<Console>,
    /// The UART reads it, not another device.
    pub uart_reads: bool,
    /// The interrupt controllers.
    pub interrupts: Arc<Interrupts>,
    /// The clock.
    pub clock: Clock,
    /// The guest's RAM.
    pub ram: GuestRam,
}

#[cfg(test)]
impl Wiring {
    /// For devices of a guest with one virtual CPU and 1 MiB of RAM.
    pub(crate) fn on(machine: &'static crate::machine::fake::FakeMachine) -> Self {
        use super::processors::Processors;
        use crate::memory::testing::VecMemory;
        const SIZE: u64 = 1 << 20;
        Self {
            console: Arc::new(Console::new(machine, None, true)),
            uart_reads: true,
            interrupts: Arc::new(Interrupts::new(Processors::new(machine, 1))),
            clock: Clock::new(machine),
            ram: GuestRam::new(VecMemory::leak(SIZE as usize), spec::addr::Hpa(0), SIZE),
        }
    }
}

/// The devices of a guest: rows that do not overlap, sorted by address.
pub struct Bus {
    ports: Vec<Row>,
    memory: Vec<Row>,
    interrupts: Arc<Interrupts>,
    /// The first of the rows' deadlines.
    deadline: Option<u64>,
}

impl Bus {
    /// The virtual PC.
    #[must_use]
    pub fn new(wiring: &Wiring, virtio: Vec<Box<dyn Model>>) -> Self {
        let console = &wiring.console;
        let mut bus = Self {
            ports: Vec::new(),
            memory: Vec::new(),
            interrupts: wiring.interrupts.clone(),
            deadline: None,
        };
        bus.add_interrupt_controllers(wiring);
        bus.add_timers(wiring);
        bus.add_resets(wiring);
        bus.add_ports(0xe9, 0xe9, DebugConsole::new(console.clone()));
        bus.add_ports(0xf4, 0xf7, DebugExit);
        let line = Line::new(&wiring.interrupts, 4);
        let uart = Uart::new(console.clone(), wiring.uart_reads, wiring.clock, line);
        bus.add_ports(0x3f8, 0x3ff, uart);
        bus.add_pci(wiring, virtio);
        bus
    }

    fn add_interrupt_controllers(&mut self, wiring: &Wiring) {
        let interrupts = &wiring.interrupts;
        self.add_ports(0x20, 0x21, PicPorts::master(interrupts));
        self.add_ports(0xa0, 0xa1, PicPorts::slave(interrupts));
        self.add_ports(0x4d0, 0x4d1, PicPorts::elcr(interrupts));
        let ioapic = IoApicWindow::new(interrupts);
        self.add_memory(IoApicWindow::FIRST, IoApicWindow::LAST, ioapic);
    }

    fn add_timers(&mut self, wiring: &Wiring) {
        let line = |number| Line::new(&wiring.interrupts, number);
        let pit = Arc::new(Mutex::new(Pit::new(wiring.clock, line(0))));
        self.add_ports(0x40, 0x43, Part::new(&pit, 0));
        self.add_ports(0x61, 0x61, Part::new(&pit, pit::PORT_61));
        let (ram, processors) = (wiring.ram.size(), wiring.interrupts.processors.count());
        self.add_ports(0x70, 0x71, Rtc::new(wiring.clock, line(8), ram, processors));
        self.add_ports(0x600, 0x60b, Pm::new(wiring.clock, line(9)));
    }

    fn add_resets(&mut self, wiring: &Wiring) {
        let line = Line::new(&wiring.interrupts, 1);
        let keyboard = Arc::new(Mutex::new(Keyboard::new(line)));
        self.add_ports(0x60, 0x60, Part::new(&keyboard, 0));
        self.add_ports(0x64, 0x64, Part::new(&keyboard, keyboard::COMMAND));
        self.add_ports(0x92, 0x92, ControlPortA);
        self.add_ports(0xcf9, 0xcf9, ResetControl::default());
    }

    fn add_pci(&mut self, wiring: &Wiring, virtio: Vec<Box<dyn Model>>) {
        let functions = virtio.into_iter().map(|model| -> Box<dyn Function> {
            Box::new(VirtioPci::new(model, wiring.ram, wiring.clock))
        });
        let pci = Pci::new(&wiring.interrupts, functions.collect());
        for (first, last, ports) in pci.into_rows() {
            self.add_ports(first, last, ports);
        }
    }

    /// Adds a device at these I/O ports.
    pub(crate) fn add_ports(&mut self, first: u16, last: u16, device: impl Device + 'static) {
        insert(&mut self.ports, first.into(), last.into(), device);
    }

    /// Adds a device at these guest-physical addresses, 64 KiB at most.
    fn add_memory(&mut self, first: u64, last: u64, device: impl Device + 'static) {
        insert(&mut self.memory, first, last, device);
    }

    /// The ports that devices claim now.
    #[must_use]
    pub fn claims(&self) -> Claims {
        let mut claims = Claims(Box::new([0; PORTS / 64]));
        for port in self.ports.iter().flat_map(|row| row.first..=row.last) {
            claims.0[port as usize / 64] |= 1 << (port % 64);
        }
        claims
    }

    /// The TSC at which a device next does something by itself.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    /// Has the devices do what was due until now.
    pub fn advance(&mut self, now: u64) {
        for row in self.ports.iter_mut().chain(&mut self.memory) {
            if row.deadline.is_some_and(|deadline| deadline <= now) {
                row.device.advance();
                row.deadline = row.device.deadline();
            }
        }
        self.set_alarm();
    }

    /// Tells virtual CPU 0, which looks after the devices, when the next deadline is.
    #[inline(never)]
    fn set_alarm(&mut self) {
        let rows = self.ports.iter().chain(&self.memory);
        let next = rows.filter_map(|row| row.deadline).min();
        if next != self.deadline {
            self.deadline = next;
            self.interrupts.processors.set_alarm(next);
        }
    }

    #[inline]
    fn access<T>(&mut self, port: u16, work: impl FnOnce(&mut Row) -> T) -> Option<T> {
        let row = find(&mut self.ports, port.into())?;
        let result = work(row);
        let deadline = row.device.deadline();
        if deadline != core::mem::replace(&mut row.deadline, deadline) {
            self.set_alarm();
        }
        Some(result)
    }

    /// Reads `size` bytes; ports that nobody claims read all ones.
    #[inline]
    pub fn read(&mut self, port: u16, size: u8) -> u32 {
        let whole = self.access(port, |row| {
            row.takes(port.into(), size)
                .then(|| row.read(port.into(), size))
        });
        match whole {
            Some(Some(value)) => value,
            None if size == 1 => 0xff,
            _ => self.read_split(port, size),
        }
    }

    #[inline(never)]
    fn read_split(&mut self, port: u16, size: u8) -> u32 {
        (0..size).fold(0, |value, n| {
            let at = port.wrapping_add(n.into());
            let byte = self.access(at, |row| row.read(at.into(), 1) & 0xff);
            value | byte.unwrap_or(0xff) << (8 * n)
        })
    }

    /// Writes the low `size` bytes of `value`; ports that nobody claims ignore it.
    #[inline(never)]
    pub fn write(&mut self, port: u16, size: u8, value: u32) -> Effect {
        let whole = self.access(port, |row| {
            let value = value & (u32::MAX >> (32 - 8 * u32::from(size)));
            row.takes(port.into(), size)
                .then(|| row.write(port.into(), size, value))
        });
        match whole {
            Some(Some(effect)) => effect,
            None if size == 1 => Effect::None,
            _ => self.write_split(port, size, value),
        }
    }

    #[inline(never)]
    fn write_split(&mut self, port: u16, size: u8, value: u32) -> Effect {
        let mut effect = Effect::None;
        for n in 0..size {
            let at = port.wrapping_add(n.into());
            let byte = value >> (8 * n) & 0xff;
            let one = self.access(at, |row| row.write(at.into(), 1, byte));
            if effect == Effect::None {
                effect = one.unwrap_or(Effect::None);
            }
        }
        effect
    }

    /// Reads up to 4 bytes of guest-physical memory that is no RAM. Where no device is, and in accesses that a device
    /// does not take, all bits are ones.
    pub fn read_memory(&mut self, at: u64, size: u8) -> u32 {
        match find(&mut self.memory, at).filter(|row| row.takes(at, size)) {
            Some(row) => row.read(at, size),
            None => u32::MAX,
        }
    }

    /// Writes up to 4 bytes of guest-physical memory that is no RAM.
    pub fn write_memory(&mut self, at: u64, size: u8, value: u32) {
        if let Some(row) = find(&mut self.memory, at).filter(|row| row.takes(at, size)) {
            row.write(at, size, value);
        }
    }
}

fn insert(rows: &mut Vec<Row>, first: u64, last: u64, device: impl Device + 'static) {
    let at = rows.partition_point(|row| row.first < first);
    let row = Row {
        first,
        last,
        deadline: device.deadline(),
        device: Box::new(device),
    };
    rows.insert(at, row);
}

#[inline]
fn find(rows: &mut [Row], at: u64) -> Option<&mut Row> {
    let index = rows.partition_point(|row| row.last < at);
    rows.get_mut(index).filter(|row| at >= row.first)
}

#[cfg(test)]
mod tests;
