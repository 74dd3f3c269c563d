//! Against VIRTIO 1.2, with a driver that finds and runs the devices as one in a guest does.

use super::block::Disk;
use super::console::VirtioConsole;
use super::entropy::Entropy;
use super::*;
use crate::device::bus::Device;
use crate::device::clock::Clock;
use crate::device::interrupts::Interrupts;
use crate::device::pci::{Function, Pci, Ports};
use crate::device::processors::Processors;
use crate::guest::console::Console;
use crate::machine::fake::FakeMachine;
use crate::memory::GuestRam;
use crate::memory::testing::VecMemory;
use spec::addr::{Hpa, L1Gpa};
use std::boxed::Box;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::vec::Vec;

mod devices;
mod fuzz;
mod transport;

const RAM: u64 = 0x10_0000;
/// What is before and behind the guest's RAM.
const GUARD: u64 = 0x1000;
const IMAGE_SIZE: usize = 40 * 1024;

/// Where the driver has its virtqueue.
const DESCRIPTORS: u64 = 0x1000;
const AVAILABLE: u64 = 0x2000;
const USED: u64 = 0x3004; // aligned to 4, not to 8
const BUFFERS: u64 = 0x1_0000;

const WRITE: u16 = 2;
const NEXT: u16 = 1;
const INDIRECT: u16 = 4;

fn image() -> &'static [u8] {
    let bytes = (0..IMAGE_SIZE).map(|n| (n / 7 + n / 512) as u8);
    Box::leak(bytes.collect())
}

/// A PC with one virtio device, which is device 2, and its driver.
struct Driver {
    machine: &'static FakeMachine,
    memory: &'static VecMemory,
    ram: GuestRam,
    interrupts: Arc<Interrupts>,
    rows: Vec<(u16, u16, Ports)>,
    /// Where the structures are, by type.
    structures: [u16; 6],
    size: u16,
    available: u16,
    used: u16,
}

impl Driver {
    fn new(model: impl FnOnce(Clock) -> Box<dyn Model>) -> Self {
        let machine = FakeMachine::leak();
        let memory = VecMemory::leak((RAM + 2 * GUARD) as usize);
        let ram = GuestRam::new(memory, Hpa(GUARD), RAM);
        let interrupts = Arc::new(Interrupts::new(Processors::new(machine, 1)));
        let clock = Clock::new(machine);
        let device: Box<dyn Function> = Box::new(VirtioPci::new(model(clock), ram, clock));
        let rows = Pci::new(&interrupts, std::vec![device]).into_rows();
        let mut driver = Self {
            machine,
            memory,
            ram,
            interrupts,
            rows,
            structures: [0; 6],
            size: 0,
            available: 0,
            used: 0,
        };
        driver.find_structures();
        driver
    }

    fn disk(image: &'static [u8], read_only: bool) -> Self {
        let mut driver =
            Self::new(|_| Box::new(Disk::new(image, image.len() as u64, read_only, 1)));
        driver.start(1 << 32 | 1 << 28);
        driver
    }

    fn input(&mut self, port: u16, size: u8) -> u32 {
        let mut rows = self.rows.iter_mut();
        let (first, _, row) = rows
            .find(|(first, last, _)| (*first..=*last).contains(&port))
            .unwrap();
        row.read(port - *first, size)
    }

    fn output(&mut self, port: u16, size: u8, value: u32) {
        let mut rows = self.rows.iter_mut();
        let (first, _, row) = rows
            .find(|(first, last, _)| (*first..=*last).contains(&port))
            .unwrap();
        row.write(port - *first, size, value);
    }

    fn select(&mut self, register: u8) -> u16 {
        self.output(0xcf8, 4, 0x8000_1000 | u32::from(register & !3));
        0xcfc + u16::from(register & 3)
    }

    fn read_pci(&mut self, register: u8, size: u8) -> u32 {
        let port = self.select(register);
        self.input(port, size)
    }

    fn write_pci(&mut self, register: u8, size: u8, value: u32) {
        let port = self.select(register);
        self.output(port, size, value);
    }

    fn find_structures(&mut self) {
        let base = (self.read_pci(0x10, 4) & !3) as u16;
        self.write_pci(4, 2, 5);
        let mut at = self.read_pci(0x34, 1) as u8;
        while at != 0 {
            let kind = self.read_pci(at + 3, 1) as usize;
            assert_eq!(
                (self.read_pci(at, 1), self.read_pci(at + 4, 1)),
                (9, 0),
                "vendor specific, BAR 0"
            );
            if kind != 5 {
                self.structures[kind] = base + self.read_pci(at + 8, 4) as u16;
            }
            at = self.read_pci(at + 1, 1) as u8;
        }
    }

    fn common_configuration(&mut self, offset: u16, size: u8) -> u32 {
        self.input(self.structures[1] + offset, size)
    }

    fn set_common_configuration(&mut self, offset: u16, size: u8, value: u32) {
        self.output(self.structures[1] + offset, size, value);
    }

    fn status(&mut self) -> u32 {
        self.common_configuration(0x14, 1)
    }

    fn isr(&mut self) -> u32 {
        self.input(self.structures[3], 1)
    }

    fn notify(&mut self, queue: u16) {
        self.output(self.structures[2], 2, queue.into());
    }

    fn features(&mut self) -> u64 {
        let [low, high] = [0, 1].map(|half| {
            self.set_common_configuration(0, 4, half);
            u64::from(self.common_configuration(4, 4))
        });
        high << 32 | low
    }

    fn set_features(&mut self, features: u64) {
        for half in [0, 1] {
            self.set_common_configuration(8, 4, half);
            self.set_common_configuration(0xc, 4, (features >> (32 * half)) as u32);
        }
    }

    fn set_up_queue(&mut self, number: u16) {
        self.set_common_configuration(0x16, 2, number.into());
        self.size = self.common_configuration(0x18, 2) as u16;
        let areas = [DESCRIPTORS, AVAILABLE, USED];
        for (at, area) in [0x20, 0x28, 0x30].into_iter().zip(areas) {
            self.set_common_configuration(at, 4, area as u32);
            self.set_common_configuration(at + 4, 4, 0);
        }
        self.set_common_configuration(0x1c, 2, 1);
        (self.available, self.used) = (0, 0);
        self.ram.zero(L1Gpa(DESCRIPTORS), 0x4000).unwrap();
    }

    /// "Device Initialization".
    fn start(&mut self, features: u64) {
        for status in [0, 1, 3] {
            self.set_common_configuration(0x14, 1, status);
        }
        self.set_features(features);
        self.set_common_configuration(0x14, 1, 0xb);
        assert_eq!(self.status(), 0xb, "the features are taken");
        self.set_up_queue(0);
        self.set_common_configuration(0x14, 1, 0xf);
    }

    fn write_ram(&self, at: u64, bytes: &[u8]) {
        self.ram.write(L1Gpa(at), bytes).unwrap();
    }

    fn read_ram(&self, at: u64, count: usize) -> Vec<u8> {
        let mut bytes = std::vec![0; count];
        self.ram.read(L1Gpa(at), &mut bytes).unwrap();
        bytes
    }

    fn u16_at(&self, at: u64) -> u16 {
        u16::from_le_bytes(self.read_ram(at, 2).try_into().unwrap())
    }

    fn descriptor(&self, table: u64, n: u16, at: u64, length: u32, flags: u16, next: u16) {
        let bits = u128::from(at)
            | u128::from(length) << 64
            | u128::from(flags) << 96
            | u128::from(next) << 112;
        self.write_ram(table + u64::from(n) * 16, &bits.to_le_bytes());
    }

    /// Writes a chain of (address, length, writable) into a table.
    fn chain(&self, table: u64, parts: &[(u64, u32, bool)]) {
        for (n, &(at, length, writable)) in parts.iter().enumerate() {
            let last = n + 1 == parts.len();
            let flags = if writable { WRITE } else { 0 } | if last { 0 } else { NEXT };
            self.descriptor(table, n as u16, at, length, flags, n as u16 + 1);
        }
    }

    /// Makes the chain at this head available.
    fn offer(&mut self, head: u16) {
        let slot = u64::from(self.available % self.size) * 2;
        self.write_ram(AVAILABLE + 4 + slot, &head.to_le_bytes());
        self.available = self.available.wrapping_add(1);
        self.write_ram(AVAILABLE + 2, &self.available.to_le_bytes());
    }

    /// The next used element, if there is one: head and length.
    fn take_used(&mut self) -> Option<(u32, u32)> {
        if self.u16_at(USED + 2) == self.used {
            return None;
        }
        let at = USED + 4 + u64::from(self.used % self.size) * 8;
        let bytes = u64::from_le_bytes(self.read_ram(at, 8).try_into().unwrap());
        self.used = self.used.wrapping_add(1);
        Some((bytes as u32, (bytes >> 32) as u32))
    }

    /// Sends one chain and returns the length that was written.
    fn send(&mut self, parts: &[(u64, u32, bool)]) -> u32 {
        self.chain(DESCRIPTORS, parts);
        self.offer(0);
        self.notify(0);
        let (head, written) = self.take_used().expect("a used buffer");
        assert_eq!((head, self.take_used()), (0, None));
        written
    }

    /// A block request with data in one buffer behind [`BUFFERS`]; returns status and written length.
    fn block(&mut self, kind: u32, sector: u64, length: u32) -> (u8, u32) {
        let header = u128::from(sector) << 64 | u128::from(kind);
        self.write_ram(BUFFERS, &header.to_le_bytes());
        self.write_ram(BUFFERS + 16, &[0xee]);
        let parts = [
            (BUFFERS, 16, false),
            (BUFFERS + 512, length, kind != 1),
            (BUFFERS + 16, 1, true),
        ];
        let written = self.send(&parts);
        (self.read_ram(BUFFERS + 16, 1)[0], written)
    }

    fn is_interrupting(&self) -> bool {
        self.interrupts.is_asserted(10)
    }
}
