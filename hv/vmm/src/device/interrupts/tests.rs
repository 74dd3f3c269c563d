use super::*;
use crate::device::bus::Device;
use crate::device::processors::Address;
use crate::machine::fake::FakeMachine;
use alloc::vec::Vec;
use proptest::prelude::*;

mod reference;

use reference::Reference;

/// A PC with one virtual CPU, with a device on each line; the one at the place of the cascade shares line 16.
struct Pc {
    interrupts: Arc<Interrupts>,
    ports: [PicPorts; 3],
    window: IoApicWindow,
    lines: Vec<Line>,
}

const MASTER: usize = 0;
const SLAVE: usize = 1;
const ELCR: usize = 2;

impl Pc {
    fn new() -> Self {
        let processors = Processors::new(FakeMachine::leak(), 1);
        let address = Address {
            enabled: true,
            accepts: true,
            ..Address::default()
        };
        processors.set_address(0, address);
        let interrupts = Arc::new(Interrupts::new(processors));
        Self {
            ports: [PicPorts::master, PicPorts::slave, PicPorts::elcr].map(|new| new(&interrupts)),
            window: IoApicWindow::new(&interrupts),
            lines: (0..LINES as u8)
                .map(|number| Line::new(&interrupts, if number == 2 { 16 } else { number }))
                .collect(),
            interrupts,
        }
    }

    fn out(&mut self, which: usize, offset: u16, value: u32) {
        self.ports[which].write(offset, 1, value);
    }

    fn ioapic(&mut self, index: u32, value: u32) {
        self.window.write(0, 4, index);
        self.window.write(0x10, 4, value);
    }

    fn ioapic_read(&mut self, index: u32) -> u32 {
        self.window.write(0, 4, index);
        self.window.read(0x10, 4)
    }

    fn has_request(&self, vector: u8) -> bool {
        let requests = self.interrupts.processors.take_all(0).requests;
        requests[usize::from(vector / 32)] >> (vector % 32) & 1 != 0
    }
}

#[test]
fn a_shared_line_is_asserted_while_any_asserts_it() {
    let mut pc = Pc::new();
    let mut other = Line::new(&pc.interrupts, 10);
    pc.lines[10].set(true);
    other.set(true);
    pc.lines[10].set(false);
    assert!(pc.interrupts.is_asserted(10));
    other.set(false);
    assert!(!pc.interrupts.is_asserted(10));
}

#[test]
fn a_line_reaches_both_controllers() {
    let mut pc = Pc::new();
    pc.out(MASTER, 1, 0xef);
    pc.ioapic(0x18, 0x54);
    pc.lines[4].set(true);
    assert!(pc.interrupts.intr());
    assert!(pc.has_request(0x54));
}

#[test]
fn the_pits_line_is_pin_2_of_the_ioapic() {
    let mut pc = Pc::new();
    pc.out(MASTER, 1, 0xfe);
    pc.ioapic(0x10, 0x50);
    pc.ioapic(0x14, 0x52);
    pc.lines[0].set(true);
    assert_eq!(pc.interrupts.acknowledge(), 0x08);
    let requests = pc.interrupts.processors.take_all(0).requests;
    assert_eq!(requests, [0, 0, 1 << 0x12, 0, 0, 0, 0, 0]);
}

#[test]
fn lines_from_16_are_the_ioapics_alone() {
    let mut pc = Pc::new();
    for which in [MASTER, SLAVE] {
        pc.out(which, 1, 0);
    }
    pc.ioapic(0x10 + 2 * 17, 0x57);
    pc.lines[17].set(true);
    assert!(!pc.interrupts.intr() && pc.has_request(0x57));
}

#[test]
fn virtual_cpu_0_is_woken_when_intr_rises() {
    let mut pc = Pc::new();
    pc.out(MASTER, 1, 0);
    let _ = pc.interrupts.processors.take_all(0);
    pc.lines[4].set(true);
    assert!(pc.interrupts.processors.has_mail(0));
    let _ = pc.interrupts.processors.take_all(0);
    pc.lines[3].set(true);
    assert!(!pc.interrupts.processors.has_mail(0), "it is up");
    assert_eq!(pc.interrupts.acknowledge(), 0x0b);
    assert!(!pc.interrupts.intr());
    pc.out(MASTER, 0, 0x20);
    assert!(pc.interrupts.intr() && pc.interrupts.processors.has_mail(0));
}

#[test]
fn an_eoi_has_an_asserted_level_sent_again() {
    let mut pc = Pc::new();
    pc.ioapic(0x24, 0x8051);
    pc.lines[10].set(true);
    assert!(pc.has_request(0x51));
    pc.interrupts.end_of_interrupt(0x51);
    assert!(pc.has_request(0x51));
}

#[test]
fn the_elcr_ports_are_one_a_controller() {
    let mut pc = Pc::new();
    pc.out(ELCR, 0, 0x20);
    pc.out(ELCR, 1, 0x40);
    assert_eq!([0, 1].map(|at| pc.ports[ELCR].read(at, 1)), [0x20, 0x40]);
}

/// "All registers must be accessed using 32 bit loads/stores."
#[test]
fn the_window_is_accessed_in_32_bits() {
    let mut pc = Pc::new();
    assert_eq!(pc.ioapic_read(1), 0x0017_0011);
    pc.window.write(0, 1, 0x12);
    assert_eq!(
        (pc.window.read(0, 4), pc.window.read(0x10, 4)),
        (0x12, 0x1_0000)
    );
    for (offset, size) in [(0x10, 1), (0x10, 2), (0x12, 2), (0x14, 4), (0x40, 4)] {
        pc.window.write(offset, size, 0);
        assert_eq!(pc.window.read(offset, size), 0);
    }
    assert_eq!(pc.window.read(0x10, 4), 0x1_0000);
    assert_eq!(pc.ioapic_read(0), 1 << 24, "the ID after the processors'");
}

#[test]
#[should_panic(expected = "there is no line 2")]
fn the_cascade_is_nobodys_line() {
    let _ = Line::new(&Pc::new().interrupts, 2);
}

/// What a guest, its devices and its local APIC do.
#[derive(Clone, Copy, Debug)]
enum Act {
    In(usize, u16),
    Out(usize, u16, u8),
    Window(u16, u8, Option<u32>),
    Set(usize, bool),
    Inta,
    Eoi(u8),
}

impl Act {
    /// Mostly what changes something: registers that exist, and OCW3s that are not all polls.
    fn random(random: &mut fastrand::Rng) -> Self {
        let [which, offset] = [random.usize(..3), random.usize(..2)];
        let port = offset as u16;
        match random.u8(..26) {
            0..2 => Self::In(which, port),
            2..6 => Self::Out(which, port, random.u8(..)),
            6 => Self::Out(offset, 0, [0x0a, 0x0b, 0x68, 0x48, 0x0c][random.usize(..5)]),
            7..10 => Self::Out(offset, 0, random.u8(0x20..) & 0xe7),
            10..12 => Self::Window(0, 4, Some(random.u32(0x10..0x40))),
            12..14 => Self::Window(0x10, 4, Some(random.u32(..) & 0xf0ff_ffff)),
            14 => Self::Window(random.u16(..0x20), random.u8(1..5), None),
            15 => Self::Window(random.u16(..), random.u8(1..5), Some(random.u32(..))),
            16..21 => Self::Set(random.usize(..LINES), random.bool()),
            21..25 => Self::Inta,
            _ => Self::Eoi(random.u8(..)),
        }
    }
}

impl Pc {
    fn perform(&mut self, act: Act) {
        match act {
            Act::In(which, offset) => {
                self.ports[which].read(offset, 1);
            }
            Act::Out(which, offset, value) => self.out(which, offset, value.into()),
            Act::Window(offset, size, None) => {
                self.window.read(offset, size);
            }
            Act::Window(offset, size, Some(value)) => {
                self.window.write(offset, size, value);
            }
            Act::Set(line, high) => self.lines[line].set(high),
            Act::Inta => {}
            Act::Eoi(vector) => self.interrupts.end_of_interrupt(vector),
        }
    }

    /// Remote IRR is set in level-triggered entries of the modes that have it, and in no other.
    fn check_entries(&mut self) {
        let index = self.window.read(0, 4);
        for pin in 0..LINES as u32 {
            let low = self.ioapic_read(0x10 + 2 * pin);
            let may_wait = low & 0x8000 != 0 && low >> 8 & 7 <= 1;
            assert!(low & 0x4000 == 0 || may_wait, "pin {pin}: {low:#x}");
        }
        self.window.write(0, 4, index);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    /// A million accesses: the 8259s do what a slow model of them does, and an edge gives one INTA at most.
    #[test]
    fn a_million_accesses_agree_with_the_reference(seed: u64) {
        let (mut pc, mut reference) = (Pc::new(), Reference::new());
        let mut random = fastrand::Rng::with_seed(seed);
        for n in 0..4000 {
            let act = Act::random(&mut random);
            pc.perform(act);
            reference.perform(act);
            prop_assert_eq!(pc.interrupts.intr(), reference.intr(), "{}: {:?}", n, act);
            if let Act::Inta = act {
                prop_assert_eq!(pc.interrupts.acknowledge(), reference.acknowledge(), "{}", n);
            }
            if n % 64 == 0 {
                pc.check_entries();
            }
        }
    }
}
