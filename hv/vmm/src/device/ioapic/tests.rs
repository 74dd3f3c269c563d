//! Against the Intel 82093AA data sheet.

use super::*;
use crate::device::processors::{Address, testing::Mail};
use crate::machine::fake::FakeMachine;
use alloc::vec;
use alloc::vec::Vec;

const LEVEL: u32 = Entry::LEVEL;
const MASKED: u32 = Entry::MASKED;
const REMOTE_IRR: u32 = Entry::REMOTE_IRR;
const LOGICAL: u32 = Entry::LOGICAL;

/// The I/O APIC of a PC with two virtual CPUs, whose logical IDs are 1 and 2.
struct Pc {
    ioapic: IoApic,
    processors: Processors,
}

impl Pc {
    fn new() -> Self {
        let processors = Processors::new(FakeMachine::leak(), 2);
        for index in 0..2 {
            let address = Address {
                logical: 1 << (24 + index),
                enabled: true,
                accepts: true,
                ..Address::default()
            };
            processors.set_address(index, address);
        }
        Self {
            ioapic: IoApic::new(2),
            processors,
        }
    }

    fn read(&mut self, index: u8) -> u32 {
        self.ioapic.set_index(index);
        self.ioapic.read()
    }

    fn write(&mut self, index: u8, value: u32) {
        self.ioapic.set_index(index);
        self.ioapic.write(value, &self.processors);
    }

    fn program(&mut self, pin: u8, high: u32, low: u32) {
        self.write(0x11 + 2 * pin, high);
        self.write(0x10 + 2 * pin, low);
    }

    fn set(&mut self, pin: u8, asserted: bool) {
        self.ioapic.set(pin, asserted, &self.processors);
    }

    fn pulse(&mut self, pin: u8) {
        self.set(pin, true);
        self.set(pin, false);
    }

    fn end(&mut self, vector: u8) {
        self.ioapic.end_of_interrupt(vector, &self.processors);
    }

    /// The vectors that have come for a virtual CPU.
    fn vectors(&self, index: usize) -> Vec<u8> {
        of(&self.processors.take_all(index).requests)
    }
}

fn of(words: &[u32; 8]) -> Vec<u8> {
    (0..=255)
        .filter(|&vector: &u8| words[usize::from(vector / 32)] >> (vector % 32) & 1 != 0)
        .collect()
}

#[test]
fn reset_is_the_data_sheets_but_for_the_id() {
    let mut pc = Pc::new();
    assert_eq!(
        [0, 1, 2].map(|index| pc.read(index)),
        [2 << 24, 0x0017_0011, 2 << 24]
    );
    for pin in 0..24 {
        assert_eq!(
            (pc.read(0x10 + 2 * pin), pc.read(0x11 + 2 * pin)),
            (MASKED, 0)
        );
    }
}

#[test]
fn registers_keep_the_bits_that_they_have() {
    let mut pc = Pc::new();
    for (index, kept) in [(0, 0x0f00_0000), (1, 0x0017_0011), (2, 0x0f00_0000), (3, 0)] {
        pc.write(index, u32::MAX);
        assert_eq!(pc.read(index), kept, "register {index}");
    }
    pc.program(23, u32::MAX, u32::MAX);
    assert_eq!((pc.read(0x3e), pc.read(0x3f)), (0x0001_afff, 0xff00_0000));
    for index in 0x40..=0xff {
        pc.write(index, u32::MAX);
        assert_eq!(pc.read(index), 0, "register {index:#x}");
    }
}

#[test]
fn an_edge_is_sent_once() {
    let mut pc = Pc::new();
    pc.program(4, 1 << 24, 0x44);
    pc.set(4, true);
    assert_eq!((pc.vectors(0), pc.vectors(1)), (vec![], vec![0x44]));
    pc.end(0x44);
    pc.set(4, true);
    pc.program(4, 1 << 24, 0x45);
    assert_eq!(pc.vectors(1), [], "the same edge");
    assert_eq!(pc.read(0x18) & REMOTE_IRR, 0);
    pc.set(4, false);
    pc.set(4, true);
    assert_eq!(pc.vectors(1), [0x45]);
}

/// "Edge-sensitive interrupts signaled on a masked interrupt pin are ignored".
#[test]
fn a_masked_edge_is_lost() {
    let mut pc = Pc::new();
    pc.program(4, 0, MASKED | 0x44);
    pc.set(4, true);
    pc.program(4, 0, 0x44);
    assert_eq!(pc.vectors(0), []);
}

#[test]
fn a_level_is_sent_again_after_its_eoi_while_it_is_asserted() {
    let mut pc = Pc::new();
    pc.program(10, 0, LEVEL | 0x51);
    pc.set(10, true);
    let Mail {
        requests, levels, ..
    } = pc.processors.take_all(0);
    assert_eq!((of(&requests), of(&levels)), (vec![0x51], vec![0x51]));
    assert_eq!(pc.read(0x24), LEVEL | REMOTE_IRR | 0x51);
    pc.set(10, false);
    pc.set(10, true);
    assert_eq!(pc.vectors(0), [], "not while Remote IRR is set");
    pc.end(0x52);
    assert_eq!(pc.vectors(0), [], "another's EOI");
    pc.end(0x51);
    assert_eq!(pc.vectors(0), [0x51]);
    pc.set(10, false);
    pc.end(0x51);
    assert_eq!((pc.vectors(0), pc.read(0x24)), (vec![], LEVEL | 0x51));
}

#[test]
fn an_asserted_level_is_sent_when_it_is_unmasked() {
    let mut pc = Pc::new();
    pc.program(10, 0, MASKED | LEVEL | 0x51);
    pc.set(10, true);
    assert_eq!((pc.vectors(0), pc.read(0x24) & REMOTE_IRR), (vec![], 0));
    pc.program(10, 0, LEVEL | 0x51);
    assert_eq!(pc.vectors(0), [0x51]);
}

#[test]
fn a_level_masked_while_in_service_waits_for_both() {
    let mut pc = Pc::new();
    pc.program(10, 0, LEVEL | 0x51);
    pc.set(10, true);
    assert_eq!(pc.vectors(0), [0x51]);
    pc.write(0x24, MASKED | LEVEL | 0x51);
    assert_eq!(pc.read(0x24) & REMOTE_IRR, REMOTE_IRR);
    pc.end(0x51);
    assert_eq!((pc.vectors(0), pc.read(0x24) & REMOTE_IRR), (vec![], 0));
    pc.write(0x24, LEVEL | 0x51);
    assert_eq!(pc.vectors(0), [0x51]);
}

/// What Linux does where it wants an EOI for version 11H.
#[test]
fn an_entry_made_edge_triggered_loses_remote_irr() {
    let mut pc = Pc::new();
    pc.program(10, 0, LEVEL | 0x51);
    pc.set(10, true);
    pc.write(0x24, MASKED | 0x51);
    assert_eq!(pc.read(0x24), MASKED | 0x51);
    let _ = pc.vectors(0);
    pc.write(0x24, LEVEL | 0x51);
    assert_eq!(pc.vectors(0), [0x51]);
}

#[test]
fn remote_irr_is_not_set_by_software_nor_by_a_level_that_nobody_accepts() {
    let mut pc = Pc::new();
    pc.write(0x24, MASKED | LEVEL | REMOTE_IRR | 0x51);
    assert_eq!(pc.read(0x24) & REMOTE_IRR, 0);
    pc.program(10, 5 << 24, LEVEL | 0x51);
    pc.set(10, true);
    assert_eq!(pc.read(0x24) & REMOTE_IRR, 0);
    pc.write(0x25, 1 << 24);
    assert_eq!(
        pc.vectors(1),
        [0x51],
        "a destination that is there accepts it"
    );
}

#[test]
fn both_destination_modes_reach_who_they_name() {
    for (high, low, who) in [
        (0, 0, [true, false]),
        (1 << 24, 0, [false, true]),
        (0xff << 24, 0, [true, true]),
        (3 << 24, 0, [false, false]),
        (3 << 24, LOGICAL, [true, true]),
        (2 << 24, LOGICAL, [false, true]),
        (0xff << 24, LOGICAL, [true, true]),
        (4 << 24, LOGICAL, [false, false]),
    ] {
        let mut pc = Pc::new();
        pc.program(3, high, low | 0x33);
        pc.pulse(3);
        let got = [0, 1].map(|index| pc.vectors(index) == [0x33]);
        assert_eq!(got, who, "{high:#x} {low:#x}");
    }
}

#[test]
fn lowest_priority_reaches_one() {
    let mut pc = Pc::new();
    let address = Address {
        logical: 1 << 24,
        enabled: true,
        accepts: true,
        priority: 9,
        ..Address::default()
    };
    pc.processors.set_address(0, address);
    pc.program(3, 3 << 24, LOGICAL | 0x133);
    pc.pulse(3);
    assert_eq!((pc.vectors(0), pc.vectors(1)), (vec![], vec![0x33]));
}

/// "NMI is treated as an edge triggered interrupt, even if it is programmed as a level triggered interrupt."
#[test]
fn nmi_and_init_are_edges_whatever_the_trigger_mode() {
    for trigger in [0, LEVEL] {
        let mut pc = Pc::new();
        pc.program(3, 0, 0x400 | trigger);
        pc.program(5, 1 << 24, 0x500 | trigger);
        pc.set(3, true);
        pc.set(5, true);
        assert!(pc.processors.take_all(0).nmis == 1 && pc.processors.take_all(1).init);
        assert_eq!((pc.read(0x16) | pc.read(0x1a)) & REMOTE_IRR, 0);
        pc.end(0);
        pc.program(3, 0, 0x400 | trigger);
        assert_eq!(
            pc.processors.take_all(0),
            Mail::default(),
            "one edge, one NMI"
        );
    }
}

#[test]
fn smi_extint_and_reserved_modes_reach_nobody() {
    for mode in [2, 3, 6, 7] {
        let mut pc = Pc::new();
        pc.program(3, 0, mode << 8 | LEVEL | 0x33);
        pc.set(3, true);
        assert_eq!(pc.processors.take_all(0), Mail::default(), "mode {mode}");
        assert_eq!(pc.read(0x16) & REMOTE_IRR, 0);
    }
}

#[test]
fn the_polarity_is_kept_and_changes_nothing() {
    let mut pc = Pc::new();
    pc.program(10, 0, LEVEL | 1 << 13 | 0x51);
    assert_eq!(
        (pc.vectors(0), pc.read(0x24)),
        (vec![], LEVEL | 1 << 13 | 0x51)
    );
    pc.set(10, true);
    assert_eq!(pc.vectors(0), [0x51]);
}
