//! System calls through the table, as a process makes them.

use super::signals::exception_signal;
use super::table::dispatch;
use super::*;
use crate::errno::Errno;
use crate::file_system::{FileSystem, Kind, ROOT, Time};
use crate::memory::address_space::{Access, Backing, Fault, Place, Protection};
use crate::memory::contents::Contents;
use crate::memory::testing::VecMemory;
use crate::memory::{AddressSpace, Frames, GuestRam};
use linux_raw_sys::general::*;
use linux_raw_sys::ioctl::{TCGETS, TIOCGWINSZ};
use spec::addr::Hpa;
use std::collections::VecDeque;
use std::vec::Vec;

mod advice;
mod fuzz;
mod identity;
mod memory;
mod path;
mod poll;
mod process;
mod progress;
mod signal;
mod terminal;
mod time;
mod transfer;

const SIZE: u64 = 4 << 20;
/// Where the arguments of calls are kept.
const ARGS: u64 = 0x10_0000;
/// Where results go.
const OUT: u64 = 0x11_0000;

#[derive(Default)]
struct TestKernel {
    console: Vec<u8>,
    typed: VecDeque<u8>,
    has_input: bool,
    now: u64,
    run_time: u64,
    fs_base: u64,
}

impl Kernel for TestKernel {
    fn guest_number(&self) -> usize {
        1
    }
    fn write_console(&mut self, text: &[u8]) {
        self.console.extend(text);
    }
    fn read_console(&mut self) -> Option<u8> {
        self.typed.pop_front()
    }
    fn has_console_input(&self) -> bool {
        self.has_input
    }
    fn now(&self) -> u64 {
        self.now
    }
    fn run_time(&self) -> u64 {
        self.run_time
    }
    fn tsc_hz(&self) -> u64 {
        1000
    }
    fn epoch(&self) -> u64 {
        1_000_000
    }
    fn cpu(&self) -> u32 {
        0
    }
    fn stack_pointer(&self) -> u64 {
        0
    }
    fn fs_base(&self) -> u64 {
        self.fs_base
    }
    fn set_fs_base(&mut self, base: u64) {
        self.fs_base = base;
    }
    fn gs_base(&self) -> u64 {
        0
    }
    fn set_gs_base(&mut self, _: u64) {}
}

struct Fixture {
    system: System,
    process: Process,
    thread: Thread,
    kernel: TestKernel,
    next: u64,
}

impl Fixture {
    fn new() -> Self {
        let ram = GuestRam::new(VecMemory::leak(SIZE as usize), Hpa(0), SIZE);
        let mut frames = Frames::new();
        frames.add(0x1000..SIZE);
        let mut memory = AddressSpace::new(ram, frames).unwrap();
        let area = Place::Fixed(ARGS);
        (memory.map(area, 0x10_0000, Protection::READ_WRITE, Backing::Zero)).unwrap();
        let mut system = System::new(FileSystem::new(1 << 20, Time::default()), 1);
        let process = Process::first(memory, &mut system).unwrap();
        let mut fixture = Self {
            system,
            process,
            thread: Thread::first(b"test"),
            kernel: TestKernel::default(),
            next: ARGS,
        };
        for path in ["/dev", "/tmp"] {
            let path = fixture.text(path);
            assert_eq!(fixture.call(__NR_mkdir, &[path, 0o755]), 0);
        }
        fixture
    }

    fn outcome(&mut self, number: u32, args: &[u64]) -> Outcome {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        dispatch(&mut Call {
            number: number.into(),
            args: all,
            system: &mut self.system,
            process: &mut self.process,
            thread: &mut self.thread,
            kernel: &mut self.kernel,
        })
    }

    /// What the call returns, as C sees it.
    fn call(&mut self, number: u32, args: &[u64]) -> i64 {
        loop {
            match self.outcome(number, args) {
                Outcome::Again => {}
                Outcome::Return(value) => return value as i64,
                other => panic!("{other:?}"),
            }
        }
    }

    fn error(&mut self, number: u32, args: &[u64], error: Errno) {
        assert_eq!(self.call(number, args), -i64::from(error.0));
    }

    fn bytes(&mut self, bytes: &[u8]) -> u64 {
        let at = self.next;
        self.process.memory.write(at, bytes).unwrap();
        self.next += bytes.len().next_multiple_of(16) as u64;
        at
    }

    fn text(&mut self, text: &str) -> u64 {
        self.bytes(&[text.as_bytes(), b"\0"].concat())
    }

    fn words(&mut self, words: &[u64]) -> u64 {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.bytes(&bytes)
    }

    fn out<const N: usize>(&mut self) -> [u8; N] {
        self.process.memory.read_array(OUT).unwrap()
    }

    fn open(&mut self, path: &str, flags: u32) -> u64 {
        let path = self.text(path);
        let fd = self.call(__NR_open, &[path, flags.into(), 0o644]);
        u64::try_from(fd).unwrap()
    }

    fn write(&mut self, fd: u64, bytes: &[u8]) {
        let at = self.bytes(bytes);
        let count = bytes.len() as u64;
        assert_eq!(self.call(__NR_write, &[fd, at, count]), count as i64);
    }
}
