//! A slow model of the two 8259As, written from the data sheet's words and not from `pic.rs`: an array of inputs in
//! the order of their priority, walked from the highest.

use super::{Act, SLAVE};
use alloc::vec;
use alloc::vec::Vec;

#[derive(Clone, Copy, Default)]
struct Input {
    high: bool,
    /// It went high and was not acknowledged since.
    edge: bool,
    level: bool,
    masked: bool,
    in_service: bool,
}

#[derive(Default)]
struct Chip {
    inputs: [Input; 8],
    /// Inputs from the highest priority to the lowest.
    order: Vec<usize>,
    has_slave: bool,
    base: u8,
    /// The words that initialization still waits for.
    waits_for: Vec<u8>,
    nested_specially: bool,
    automatic: bool,
    rotates: bool,
    special_mask: bool,
    polled: bool,
}

impl Chip {
    fn rotate_to_lowest(&mut self, input: usize) {
        self.order = (1..=8).map(|n| (input + n) % 8).collect();
    }

    fn pending(&self) -> Option<usize> {
        if !self.waits_for.is_empty() {
            return None;
        }
        for &n in &self.order {
            let input = self.inputs[n];
            let asks = input.high && (input.edge || input.level) && !input.masked;
            let holds = input.in_service && !(self.special_mask && input.masked);
            let slave_again = self.nested_specially && self.has_slave && n == 2;
            if asks && (!holds || slave_again) {
                return Some(n);
            }
            if holds {
                return None;
            }
        }
        None
    }

    fn acknowledge(&mut self) -> Option<usize> {
        let n = self.pending()?;
        self.inputs[n].edge = false;
        if !self.automatic {
            self.inputs[n].in_service = true;
        } else if self.rotates {
            self.rotate_to_lowest(n);
        }
        Some(n)
    }

    fn read(&mut self) {
        if std::mem::take(&mut self.polled) {
            self.acknowledge();
        }
    }

    fn write_data(&mut self, value: u8) {
        if self.waits_for.is_empty() {
            for n in 0..8 {
                self.inputs[n].masked = value >> n & 1 != 0;
            }
            return;
        }
        match self.waits_for.remove(0) {
            2 => self.base = value / 8 * 8,
            4 => {
                self.automatic = value & 2 != 0;
                self.nested_specially = value & 16 != 0;
            }
            _ => {}
        }
    }

    fn write_command(&mut self, value: u8) {
        if value & 0x10 != 0 {
            self.initialize(value);
        } else if value & 8 != 0 {
            self.polled = value & 4 != 0;
            match value >> 5 & 3 {
                0b10 => self.special_mask = false,
                0b11 => self.special_mask = true,
                _ => {}
            }
        } else {
            self.end(value);
        }
    }

    fn initialize(&mut self, value: u8) {
        for input in &mut self.inputs {
            (input.edge, input.masked, input.in_service) = (false, false, false);
        }
        self.rotate_to_lowest(7);
        (self.rotates, self.special_mask, self.polled) = (false, false, false);
        self.waits_for = vec![2];
        if value & 2 == 0 {
            self.waits_for.push(3);
        }
        if value & 1 == 0 {
            (self.automatic, self.nested_specially) = (false, false);
        } else {
            self.waits_for.push(4);
        }
    }

    fn end(&mut self, value: u8) {
        let (rotate, specific, eoi) = (value & 0x80 != 0, value & 0x40 != 0, value & 0x20 != 0);
        if !specific && !eoi {
            self.rotates = rotate;
            return;
        }
        let counts = |n: &&usize| {
            let input = self.inputs[**n];
            input.in_service && !(self.special_mask && input.masked)
        };
        let which = match specific {
            true => Some(usize::from(value & 7)),
            false => self.order.iter().find(counts).copied(),
        };
        let Some(which) = which else { return };
        if eoi {
            self.inputs[which].in_service = false;
        }
        if rotate {
            self.rotate_to_lowest(which);
        }
    }

    fn set(&mut self, n: usize, high: bool) {
        let input = &mut self.inputs[n];
        input.edge = high && (input.edge || !input.high);
        input.high = high;
    }
}

/// The pair.
pub(super) struct Reference([Chip; 2]);

impl Reference {
    pub(super) fn new() -> Self {
        let mut pair = [(0x08, 0xfb), (0x70, 0xff)].map(|(base, mask)| {
            let mut chip = Chip {
                base,
                ..Chip::default()
            };
            chip.rotate_to_lowest(7);
            chip.write_data(mask);
            chip
        });
        pair[0].has_slave = true;
        pair[0].inputs[2].level = true;
        (1..4).for_each(|n| pair[1].inputs[n].level = true);
        Self(pair)
    }

    pub(super) fn perform(&mut self, act: Act) {
        match act {
            Act::In(which, _) if which <= SLAVE => self.0[which].read(),
            Act::Out(which, 0, value) if which <= SLAVE => self.0[which].write_command(value),
            Act::Out(which, _, value) if which <= SLAVE => self.0[which].write_data(value),
            Act::Out(_, offset, value) => self.set_levels(offset.into(), value),
            // Nothing is wired to the cascade but the slave.
            Act::Set(2, _) => {}
            Act::Set(line @ ..16, high) => self.0[line / 8].set(line % 8, high),
            _ => {}
        }
        let slave = self.0[SLAVE].pending().is_some();
        self.0[0].set(2, slave);
    }

    fn set_levels(&mut self, chip: usize, value: u8) {
        for n in 0..8 {
            if !matches!(chip * 8 + n, 0 | 1 | 2 | 8 | 13) {
                self.0[chip].inputs[n].level = value >> n & 1 != 0;
            }
        }
    }

    pub(super) fn intr(&self) -> bool {
        self.0[0].pending().is_some()
    }

    pub(super) fn acknowledge(&mut self) -> u8 {
        let [master, slave] = &mut self.0;
        let vector = match master.acknowledge() {
            Some(2) => slave.base + slave.acknowledge().unwrap_or(7) as u8,
            input => master.base + input.unwrap_or(7) as u8,
        };
        let slave = slave.pending().is_some();
        master.set(2, slave);
        vector
    }
}
