//! The table of I/O ports.

use super::debug::{DebugConsole, DebugExit};
use super::uart::Uart;
use crate::guest::console::Console;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

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

struct Row {
    first: u16,
    last: u16,
    device: Box<dyn Device>,
}

impl Row {
    /// The device takes an access of this size at this port whole.
    #[inline]
    fn takes(&self, port: u16, size: u8) -> bool {
        size <= self.device.width() && u16::from(size) - 1 <= self.last - port
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

/// The I/O ports of a guest: rows that do not overlap, sorted by port.
pub struct Bus {
    rows: Vec<Row>,
}

impl Bus {
    /// The ports of the virtual PC.
    #[must_use]
    pub fn new(console: &Arc<Console>) -> Self {
        let mut bus = Self { rows: Vec::new() };
        bus.add(0xe9, 0xe9, DebugConsole::new(console.clone()));
        bus.add(0xf4, 0xf7, DebugExit);
        bus.add(0x3f8, 0x3ff, Uart::new(console.clone()));
        bus
    }

    fn add(&mut self, first: u16, last: u16, device: impl Device + 'static) {
        let at = self.rows.partition_point(|row| row.first < first);
        self.rows.insert(
            at,
            Row {
                first,
                last,
                device: Box::new(device),
            },
        );
    }

    /// The ports that devices claim now.
    #[must_use]
    pub fn claims(&self) -> Claims {
        let mut claims = Claims(Box::new([0; PORTS / 64]));
        for port in self.rows.iter().flat_map(|row| row.first..=row.last) {
            claims.0[usize::from(port) / 64] |= 1 << (port % 64);
        }
        claims
    }

    #[inline]
    fn find(&mut self, port: u16) -> Option<&mut Row> {
        self.rows
            .iter_mut()
            .find(|row| port <= row.last)
            .filter(|row| port >= row.first)
    }

    /// Reads `size` bytes; ports that nobody claims read all ones.
    #[inline]
    pub fn read(&mut self, port: u16, size: u8) -> u32 {
        match self.find(port) {
            Some(row) if row.takes(port, size) => row.device.read(port - row.first, size),
            None if size == 1 => 0xff,
            _ => self.read_split(port, size),
        }
    }

    #[inline(never)]
    fn read_split(&mut self, port: u16, size: u8) -> u32 {
        if size == 1 {
            return self
                .find(port)
                .map_or(0xff, |row| row.device.read(port - row.first, 1) & 0xff);
        }
        let byte =
            |bus: &mut Self, n: u8| bus.read_split(port.wrapping_add(u16::from(n)), 1) << (8 * n);
        (0..size).fold(0, |value, n| value | byte(self, n))
    }

    /// Writes the low `size` bytes of `value`; ports that nobody claims ignore it.
    #[inline]
    pub fn write(&mut self, port: u16, size: u8, value: u32) -> Effect {
        if size == 1 && self.find(port).is_none() {
            return Effect::None;
        }
        self.write_to_device(port, size, value)
    }

    #[inline(never)]
    fn write_to_device(&mut self, port: u16, size: u8, value: u32) -> Effect {
        match self.find(port) {
            Some(row) if row.takes(port, size) => {
                let value = value & (u32::MAX >> (32 - 8 * u32::from(size)));
                row.device.write(port - row.first, size, value)
            }
            _ => self.write_split(port, size, value),
        }
    }

    #[inline(never)]
    fn write_split(&mut self, port: u16, size: u8, value: u32) -> Effect {
        let mut effect = Effect::None;
        for n in 0..size {
            let at = port.wrapping_add(u16::from(n));
            let byte = value >> (8 * n) & 0xff;
            let one = self.find(at).map_or(Effect::None, |row| {
                row.device.write(at - row.first, 1, byte)
            });
            if effect == Effect::None {
                effect = one;
            }
        }
        effect
    }
}

#[cfg(test)]
mod tests;
