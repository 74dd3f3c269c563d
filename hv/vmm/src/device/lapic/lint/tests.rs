use super::*;
use crate::device::bus::Device;
use crate::device::interrupts::{Interrupts, Line, PicPorts};
use crate::device::lapic::Pending;
use crate::device::processors::Processors;
use crate::machine::fake::FakeMachine;
use alloc::sync::Arc;
use alloc::vec::Vec;

const SVR: u16 = 0x0f;
const LINT0: u16 = 0x35;
const EOI: u16 = 0x0b;
const EXTINT: u32 = 0x700;

/// Local APICs, enabled, and the line of input 4, the only one that is not masked.
struct Pc {
    apics: Vec<Lapic>,
    line: Line,
}

impl Pc {
    fn new() -> Self {
        let processors = Processors::new(FakeMachine::leak(), 2);
        let interrupts = Arc::new(Interrupts::new(processors));
        PicPorts::master(&interrupts).write(1, 1, 0xef);
        let mut apics: Vec<_> = (0..2).map(|id| Lapic::new(id, &interrupts)).collect();
        for apic in &mut apics {
            apic.write_page(SVR, 0x1ff, 0);
        }
        let line = Line::new(&interrupts, 4);
        Self { apics, line }
    }

    fn with(entry: u32) -> Self {
        let mut pc = Self::new();
        for apic in &mut pc.apics {
            apic.write_page(LINT0, entry, 0);
        }
        pc
    }

    fn pending(&mut self) -> [Option<Pending>; 2] {
        [0, 1].map(|n| {
            self.apics[n].receive();
            self.apics[n].pending_interrupt()
        })
    }

    fn pulse(&mut self) {
        self.line.set(false);
        self.line.set(true);
    }
}

#[test]
fn extint_lets_the_8259_through_whatever_the_priority() {
    let mut pc = Pc::with(EXTINT);
    pc.apics[0].set_cr8(15);
    assert_eq!(pc.pending(), [None, None]);
    pc.line.set(true);
    assert_eq!(pc.pending(), [Some(Pending::External), None]);
    assert_eq!(pc.apics[0].acknowledge(Pending::External), 0x0c);
    assert_eq!(pc.pending(), [None, None]);
    assert_eq!(pc.apics[0].read_page(0x10, 0), 0, "not in service here");
}

#[test]
fn a_disabled_apic_lets_the_8259_through_and_a_masked_pin_does_not() {
    let mut pc = Pc::with(MASKED | EXTINT);
    pc.line.set(true);
    assert_eq!(pc.pending(), [None, None]);
    for apic in &mut pc.apics {
        apic.set_base(base::ADDRESS).unwrap();
    }
    assert_eq!(pc.pending(), [Some(Pending::External), None]);
}

#[test]
fn a_fixed_pin_makes_one_interrupt_each_time_intr_rises() {
    let mut pc = Pc::with(0x61);
    for _ in 0..2 {
        pc.pulse();
        assert_eq!(pc.pending(), [Some(Pending::Vector(0x61)), None]);
        pc.apics[0].acknowledge(Pending::Vector(0x61));
        pc.apics[0].write_page(EOI, 0, 0);
        assert_eq!(pc.pending(), [None, None], "it has not risen again");
    }
}

#[test]
fn what_rose_while_the_pin_was_masked_is_lost() {
    let mut pc = Pc::with(MASKED | 0x61);
    pc.line.set(true);
    pc.apics[0].receive();
    pc.apics[0].write_page(LINT0, 0x61, 0);
    assert_eq!(pc.pending(), [None, None]);
}

#[test]
fn a_level_triggered_pin_comes_again_after_its_eoi() {
    let mut pc = Pc::with(MASKED | LEVEL | 0x61);
    pc.line.set(true);
    assert_eq!(pc.pending(), [None, None]);
    pc.apics[0].write_page(LINT0, LEVEL | 0x61, 0);
    for _ in 0..2 {
        assert_eq!(pc.pending(), [Some(Pending::Vector(0x61)), None]);
        assert_eq!(pc.apics[0].read_page(LINT0, 0), REMOTE_IRR | LEVEL | 0x61);
        assert_eq!(pc.apics[0].read_page(0x1b, 0), 2, "TMR");
        pc.apics[0].acknowledge(Pending::Vector(0x61));
        assert_eq!(pc.pending(), [None, None]);
        pc.apics[0].write_page(EOI, 0, 0);
        let again = pc.apics[0].pending_interrupt();
        assert_eq!(again, Some(Pending::Vector(0x61)));
    }
    pc.line.set(false);
    pc.apics[0].acknowledge(Pending::Vector(0x61));
    pc.apics[0].write_page(EOI, 0, 0);
    assert_eq!(pc.pending(), [None, None]);
    assert_eq!(pc.apics[0].read_page(LINT0, 0), LEVEL | 0x61);
}

#[test]
fn remote_irr_is_read_only_and_a_levels_alone() {
    let mut pc = Pc::with(MASKED | REMOTE_IRR | LEVEL | 0x61);
    assert_eq!(pc.apics[0].read_page(LINT0, 0), MASKED | LEVEL | 0x61);
    pc.apics[0].write_page(LINT0, LEVEL | 0x61, 0);
    pc.line.set(true);
    let _ = pc.pending();
    pc.apics[0].write_page(LINT0, MASKED | LEVEL | 0x61, 0);
    let kept = pc.apics[0].read_page(LINT0, 0);
    pc.apics[0].write_page(LINT0, MASKED | 0x61, 0);
    let dropped = pc.apics[0].read_page(LINT0, 0);
    assert_eq!((kept & REMOTE_IRR, dropped), (REMOTE_IRR, MASKED | 0x61));
}

#[test]
fn a_pin_set_up_for_nmi_or_init_makes_one_of_them_when_intr_rises() {
    for (entry, want) in [(0x400, (true, false)), (0x500, (false, true))] {
        let mut pc = Pc::with(entry);
        pc.line.set(true);
        assert_eq!(pc.pending(), [None, None]);
        let apic = &mut pc.apics[0];
        assert_eq!((apic.take_nmi(), apic.take_init()), want);
        apic.receive();
        assert_eq!((apic.take_nmi(), apic.take_init()), (false, false));
    }
}
