//! Against the PCI Local Bus Specification 3.0.

use super::configuration::{Identity, SUBSYSTEM};
use super::*;
use crate::device::processors::Processors;
use crate::machine::fake::FakeMachine;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A device of 64 ports that keeps the last doubleword that it was written, and interrupts while its lowest bit is set.
struct Probe {
    configuration: Configuration,
    written: Arc<AtomicU32>,
}

impl Function for Probe {
    fn configuration(&mut self) -> &mut Configuration {
        &mut self.configuration
    }

    fn read_port(&mut self, offset: u16, _size: u8) -> u32 {
        self.written.load(Relaxed) + u32::from(offset)
    }

    fn write_port(&mut self, offset: u16, _size: u8, value: u32) {
        self.written.store(value + u32::from(offset), Relaxed);
        self.configuration.set_interrupt(value & 1 != 0);
    }

    /// What it was written is when it has something to do.
    fn deadline(&self) -> Option<u64> {
        Some(self.written.load(Relaxed).into()).filter(|&at| at != 0)
    }

    fn write_configuration(&mut self, offset: u8, size: u8, value: u32) {
        self.configuration.write(offset, size, value);
        if offset == SIDE_DOOR {
            self.write_port(0, size, value);
        }
    }
}

/// Where a [`Probe`] has its register in its configuration space too.
const SIDE_DOOR: u8 = 0xf0;

fn probe() -> (Box<dyn Function>, Arc<AtomicU32>) {
    let mut configuration = Configuration::new(&Identity {
        vendor: 0x1234,
        device: 0x5678,
        revision: 9,
        class: 0x01_8000,
        subsystem: SUBSYSTEM,
    });
    configuration.add_ports(64);
    let written = Arc::new(AtomicU32::new(0));
    let probe = Probe {
        configuration,
        written: written.clone(),
    };
    (Box::new(probe), written)
}

/// The rows of a bus with this many probes.
struct Board {
    rows: Vec<(u16, u16, Ports)>,
    written: Vec<Arc<AtomicU32>>,
    interrupts: Arc<Interrupts>,
}

impl Board {
    fn new(probes: usize) -> Self {
        let processors = Processors::new(FakeMachine::leak(), 1);
        let interrupts = Arc::new(Interrupts::new(processors));
        let (devices, written) = (0..probes).map(|_| probe()).unzip();
        let rows = Pci::new(&interrupts, devices).into_rows();
        Self {
            rows,
            written,
            interrupts,
        }
    }

    fn row(&mut self, port: u16) -> Option<(u16, &mut Ports)> {
        let mut rows = self.rows.iter_mut();
        let (first, _, row) = rows.find(|(first, last, _)| (*first..=*last).contains(&port))?;
        Some((port - *first, row))
    }

    fn input(&mut self, port: u16, size: u8) -> u32 {
        let (offset, row) = self.row(port).unwrap();
        row.read(offset, size)
    }

    fn output(&mut self, port: u16, size: u8, value: u32) {
        let (offset, row) = self.row(port).unwrap();
        assert_eq!(row.write(offset, size, value), Effect::None);
    }

    fn select(&mut self, device: u32, register: u32) {
        self.output(0xcf8, 4, 1 << 31 | device << 11 | register);
    }

    fn read(&mut self, device: u32, register: u32) -> u32 {
        self.select(device, register);
        self.input(0xcfc, 4)
    }

    fn write(&mut self, device: u32, register: u32, value: u32) {
        self.select(device, register);
        self.output(0xcfc, 4, value);
    }
}

#[test]
fn the_address_register_is_accessed_as_a_doubleword_only() {
    let mut board = Board::new(0);
    board.output(0xcf8, 4, 0xffff_ffff);
    assert_eq!(
        board.input(0xcf8, 4),
        0x80ff_fffc,
        "reserved bits are read-only zeros"
    );
    for size in [1, 2] {
        board.output(0xcf8, size, 0);
        assert_eq!(board.input(0xcf8, size), all_ones(size));
    }
    assert_eq!(board.input(0xcf8, 4), 0x80ff_fffc);
    for port in [0xcf9, 0xcfa, 0xcfb, 0xc000] {
        assert!(board.row(port).is_none(), "{port:#x}");
    }
    assert_eq!(
        board.rows[0].2.overhang(),
        3,
        "a doubleword goes over 0xcf9"
    );
}

#[test]
fn the_data_register_takes_every_width() {
    let mut board = Board::new(0);
    assert_eq!(board.read(0, 0), 0x1237_8086);
    assert_eq!(
        (board.input(0xcfc, 1), board.input(0xcfd, 1)),
        (0x86, 0x80),
        "bytes"
    );
    assert_eq!(
        (board.input(0xcfe, 2), board.input(0xcfd, 2)),
        (0x1237, 0x3780),
        "words"
    );
}

#[test]
fn what_is_not_there_reads_all_ones_and_ignores_writes() {
    let mut board = Board::new(1);
    for address in [
        0x8000_0800, // device 1
        0x8000_1800, // device 3
        0x8001_0000, // bus 1
        0x8000_0100, // function 1 of device 0
        0x8000_1700, // function 7 of device 2
        0x0000_0000, // not enabled
    ] {
        board.output(0xcf8, 4, address);
        board.output(0xcfc, 4, 0);
        assert_eq!(board.input(0xcfc, 4), u32::MAX, "{address:#x}");
        assert_eq!(board.input(0xcff, 1), 0xff);
    }
}

/// Intel 82441FX PMC data sheet, "PCI Configuration Registers".
#[test]
fn the_host_bridge_is_a_440fx_whose_pam_registers_keep_what_is_written() {
    let mut board = Board::new(0);
    let header = [0, 4, 8, 0xc, 0x10, 0x2c, 0x34, 0x3c].map(|at| board.read(0, at));
    assert_eq!(
        header,
        [
            0x1237_8086,
            0x0280_0006,
            0x0600_0002,
            0,
            0,
            0x1100_1af4,
            0,
            0
        ]
    );
    board.write(0, 0x58, 0x3322_11ff);
    board.write(0, 0x5c, 0x7766_5544);
    assert_eq!(
        (board.read(0, 0x58), board.read(0, 0x5c)),
        (0x3322_1100, 0x7766_5544)
    );
    board.write(0, 0, 0);
    assert_eq!(board.read(0, 0), 0x1237_8086);
}

/// "Address Maps": all ones written, the size comes back; then the ports move.
#[test]
fn base_address_registers_tell_their_size_and_move_ports() {
    let mut board = Board::new(2);
    assert_eq!(
        (board.read(2, 0x10), board.read(3, 0x10)),
        (0xc001, 0xc041),
        "as firmware assigns"
    );
    board.write(2, 0x10, u32::MAX);
    assert_eq!(board.read(2, 0x10), 0xffff_ffc1);
    board.write(2, 0x14, u32::MAX);
    assert_eq!(board.read(2, 0x14), 0, "there is one only");
    board.write(2, 0x10, 0xffc0);
    board.output(0xfff0, 4, 0x100);
    assert_eq!(board.written[0].load(Relaxed), 0x130);
    assert_eq!(board.input(0xffff, 1), 0x16f);
    assert_eq!(board.input(0xfffe, 4), u32::MAX, "beyond its end");
    assert_eq!(board.input(0xc000, 4), u32::MAX, "where it was");
    board.output(0xc044, 2, 0x2000);
    assert_eq!(board.written[1].load(Relaxed), 0x2004);
}

/// "Device Control": a function with I/O space off answers to no port.
#[test]
fn ports_answer_only_with_io_space_on() {
    let mut board = Board::new(1);
    assert_eq!(board.read(2, 4) & 0xffff, 1);
    board.write(2, 4, 0xffff_fffe);
    assert_eq!(board.read(2, 4), 0x0000_0404, "bits that there are");
    board.output(0xc000, 4, 2);
    assert_eq!(board.input(0xc000, 4), u32::MAX);
    board.write(2, 4, 1);
    assert_eq!(board.input(0xc000, 4), 0);
    board.write(2, 0x10, 0x1_c000);
    assert_eq!(board.input(0xc000, 4), u32::MAX, "above the 64 KiB");
}

/// "Device Control" bit 10, "Device Status" bit 3, "Interrupt Line", "Interrupt Pin".
#[test]
fn interrupts_are_told_in_status_and_held_back_by_the_disable_bit() {
    let mut board = Board::new(4);
    let assigned = [2, 3, 6, 7].map(|device| board.read(device, 0x3c));
    assert_eq!(assigned, [0x10a, 0x10b, 0x10a, 0x10b]);
    board.write(2, 0x3c, 0xffff_ff55);
    assert_eq!(board.read(2, 0x3c), 0x155, "the pin is read-only");
    board.output(0xc000, 4, 1);
    board.output(0xc080, 4, 1);
    assert!(board.interrupts.is_asserted(10) && !board.interrupts.is_asserted(11));
    assert_eq!(board.read(2, 4) >> 16 & 8, 8);
    board.write(2, 4, 0x401);
    assert!(board.interrupts.is_asserted(10), "shared");
    board.output(0xc080, 4, 0);
    assert!(!board.interrupts.is_asserted(10));
    assert_eq!(board.read(2, 4) >> 16 & 8, 8, "still pending");
    board.write(2, 4, 1);
    assert!(board.interrupts.is_asserted(10));
}

proptest::proptest! {
    #[test]
    fn outlives_any_access(steps in proptest::collection::vec((0usize..6, 0u16.., 0usize..3, 0u32..), 1..400)) {
        let mut board = Board::new(2);
        for (kind, port, size, value) in steps {
            let size = [1, 2, 4][size];
            match kind {
                0 => board.output(0xcf8, 4, value | 1 << 31),
                1 => board.output(0xcf8, 4, 1 << 31 | value & 0x3ffc),
                2 => board.output(0xcfc + port % 4 / u16::from(size) * u16::from(size), size, value),
                3 => { board.input(0xcfc + port % 4, 1); }
                4 => board.output(port | 0xc000, size, value >> 1),
                _ => { board.input(port | 0xc000, size); }
            }
        }
    }
}

/// A function may be told what to do by either range of ports, and a row of the bus knows its own deadline only.
#[test]
fn each_way_to_a_function_tells_its_deadline() {
    let mut board = Board::new(1);
    board.write(2, SIDE_DOOR.into(), 5000);
    let deadlines = board.rows.iter().map(|(.., ports)| ports.deadline());
    assert_eq!(
        deadlines.collect::<Vec<_>>(),
        [None, Some(5000), Some(5000)]
    );
}
