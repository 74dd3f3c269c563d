//! The `app` guest: one unmodified static Linux program at CPL 3, whose system calls, page faults
//! and exceptions are exits.

pub mod elf;
pub mod exits;
mod handlers;
pub mod layout;
pub mod root;
pub mod stack;

use core::fmt;

use alloc::string::String;
use alloc::vec::Vec;

use crate::errno::Errno;
use crate::file_system::{FileSystem, Time};
use crate::guest::cpio::CpioError;
use crate::memory::address_space::{Access, Backing, Fault, Place};
use crate::memory::{AddressSpace, GuestRam};
use crate::syscall::frame;
use crate::syscall::signal::Taken;
use crate::syscall::{Call, Kernel, Outcome, Process, Signal, System, Thread, signal, table, time};
use elf::{ElfError, Program, Segment};
use layout::EntryState;
use spec::addr::PAGE_SIZE;

/// The environment of a program.
const ENVIRONMENT: [&[u8]; 3] = [
    b"HOME=/",
    b"TERM=linux",
    b"PATH=/bin:/sbin:/usr/bin:/usr/sbin",
];

/// Why a program cannot be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The program is at fault.
    Elf(ElfError),
    /// The archive is at fault.
    Cpio(CpioError),
    /// This file cannot be made: the archive contradicts itself.
    File(String, Errno),
    /// The guest's RAM is too small.
    OutOfMemory,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elf(error) => error.fmt(f),
            Self::Cpio(error) => error.fmt(f),
            Self::File(name, error) => {
                write!(f, "{name} cannot be made in its file system: {error}")
            }
            Self::OutOfMemory => write!(f, "the guest's memory is too small (give it mem=)"),
        }
    }
}

impl LoadError {
    /// A file could not be made.
    fn file(name: &[u8], error: Errno) -> Self {
        match error {
            Errno::ENOSPC => Self::OutOfMemory,
            error => Self::File(String::from_utf8_lossy(name).into_owned(), error),
        }
    }
}

impl From<ElfError> for LoadError {
    fn from(error: ElfError) -> Self {
        Self::Elf(error)
    }
}

impl From<CpioError> for LoadError {
    fn from(error: CpioError) -> Self {
        Self::Cpio(error)
    }
}

/// How much of our heap the files of a guest with so much RAM may take.
const fn files_size(ram: u64) -> u64 {
    ram / 4
}

/// How much of our heap an application may take in all, in bytes: its files with what allocating
/// wastes, the list of its free RAM (16 bytes for every second page), its areas and descriptors.
#[must_use]
pub const fn heap_size(ram: u64) -> u64 {
    const REST: u64 = 2 << 20;
    files_size(ram) / 4 * 5 + ram / 512 + REST
}

/// What an application guest is made from.
#[derive(Clone, Copy)]
pub struct Start<'a> {
    /// The program's ELF file.
    pub program: &'static [u8],
    /// The newc cpio archive of its file system; without one it finds only itself.
    pub archive: Option<&'static [u8]>,
    /// The program's path in the guest.
    pub path: &'a str,
    /// Its arguments, without the zeroth, which is the path.
    pub arguments: &'a [Vec<u8>],
    /// A number that is different every time.
    pub seed: u64,
    /// CPUID.1:EDX as the guest sees it.
    pub hwcap: u32,
    /// Whether CR4.FSGSBASE will be set.
    pub fsgsbase: bool,
    /// How long its extended state can be, in bytes.
    pub extended_state: u64,
    /// Seconds since the epoch.
    pub seconds: u64,
}

/// An application: what is behind its system calls and page faults.
pub struct App {
    /// What all its processes share.
    pub system: System,
    /// Its process.
    pub process: Process,
    /// Its thread.
    pub thread: Thread,
    /// How its virtual CPU starts.
    pub entry: EntryState,
}

/// Makes an application in this RAM, which must be its own from guest-physical 0 on.
pub fn load(start: &Start<'_>, ram: GuestRam) -> Result<App, LoadError> {
    let program = elf::parse(start.program)?;
    let now = Time {
        seconds: start.seconds as i64,
        nanoseconds: 0,
    };
    let mut files = FileSystem::new(files_size(ram.size()), now);
    match start.archive {
        Some(archive) => root::unpack(&mut files, archive, now)?,
        None => root::only(&mut files, start.path.as_bytes(), start.program, now)?,
    }
    let mut system = System::new(files, start.seed);
    let out_of_memory = |_| LoadError::OutOfMemory;
    let mut memory = AddressSpace::new(ram, layout::free_frames(&ram)).map_err(out_of_memory)?;
    layout::build(&mut memory).map_err(out_of_memory)?;
    map_program(&mut memory, start.program, &program).map_err(out_of_memory)?;
    let stack = map_stack(&mut memory, &mut system, start, &program).map_err(out_of_memory)?;
    let entry = layout::entry_state(memory.root(), program.entry, stack);
    let name = start.path.rsplit('/').next().unwrap_or_default();
    Ok(App {
        process: Process::first(memory, &mut system).map_err(out_of_memory)?,
        thread: Thread::first(name.as_bytes()),
        system,
        entry,
    })
}

fn map_program(
    memory: &mut AddressSpace,
    file: &'static [u8],
    program: &Program,
) -> Result<(), Errno> {
    for segment in &program.segments {
        map_segment(memory, file, segment)?;
    }
    memory.set_brk_start(program.end());
    Ok(())
}

/// Maps a segment: whole pages of the file, as Linux does, then zeros.
fn map_segment(
    memory: &mut AddressSpace,
    file: &'static [u8],
    segment: &Segment,
) -> Result<(), Errno> {
    let lead = (segment.address % PAGE_SIZE) as usize;
    let start = segment.address - lead as u64;
    let end = (segment.address + segment.size).next_multiple_of(PAGE_SIZE);
    let data = &file[segment.file.start - lead..segment.file.end];
    let data = if segment.file.is_empty() { &[] } else { data };
    let data_end = start + (data.len() as u64).next_multiple_of(PAGE_SIZE);
    if !data.is_empty() {
        let backing = Backing::Bytes { data, at: 0 };
        memory.map(
            Place::Fixed(start),
            data_end - start,
            segment.protection,
            backing,
        )?;
    }
    if data_end < end {
        let place = Place::Fixed(data_end);
        memory.map(place, end - data_end, segment.protection, Backing::Zero)?;
    }
    Ok(())
}

/// Maps and fills the stack, and returns where it begins.
fn map_stack(
    memory: &mut AddressSpace,
    system: &mut System,
    start: &Start<'_>,
    program: &Program,
) -> Result<u64, Errno> {
    let mut random = [0; 16];
    system.random.fill(&mut random);
    let path = start.path.as_bytes();
    let mut arguments = Vec::from([path.to_vec()]);
    arguments.extend_from_slice(start.arguments);
    let described = stack::Start {
        path,
        arguments: &arguments,
        environment: &ENVIRONMENT,
        random,
        hwcap: start.hwcap,
        hwcap2: if start.fsgsbase { 2 } else { 0 },
        signal_stack: frame::size_with(start.extended_state),
    };
    let built = stack::build(layout::STACK_TOP, program, &described)?;
    let size = (built.bytes.len() as u64).next_multiple_of(PAGE_SIZE);
    memory.map_stack(layout::STACK_TOP, size + layout::STACK_SIZE)?;
    memory.store(built.pointer, &built.bytes)?;
    Ok(built.pointer)
}

impl App {
    /// Carries out a system call. `args` are RDI, RSI, RDX, R10, R8, R9.
    #[inline]
    pub fn syscall(&mut self, number: u64, args: [u64; 6], kernel: &mut dyn Kernel) -> Outcome {
        table::dispatch(&mut self.call(number, args, kernel))
    }

    #[inline]
    fn call<'a>(&'a mut self, number: u64, args: [u64; 6], kernel: &'a mut dyn Kernel) -> Call<'a> {
        Call {
            number,
            args,
            system: &mut self.system,
            process: &mut self.process,
            thread: &mut self.thread,
            kernel,
        }
    }

    /// Makes the page at `at` present, or says why it cannot be.
    pub fn fault(&mut self, at: u64, access: Access) -> Result<(), Fault> {
        self.process.memory.fault(at, access)
    }

    /// Looks whether time or what was typed has brought a signal, and what comes of it.
    pub fn look_outside(&mut self, kernel: &mut dyn Kernel) -> Option<Outcome> {
        table::look_outside(&mut self.call(u64::MAX, [0; 6], kernel))
    }

    /// The next signal that does something.
    pub fn take_signal(&mut self) -> Option<Taken> {
        signal::take(&self.process, &mut self.thread)
    }

    /// Whether a signal that an instruction raised has a handler that can be called.
    #[must_use]
    pub fn is_handled(&self, signal: Signal) -> bool {
        signal::is_handled(&self.process, &self.thread, signal)
    }

    /// The time-stamp counter at which its next timer expires if it executes until then.
    pub fn next_timer(&mut self, kernel: &dyn Kernel) -> Option<u64> {
        time::next(&mut self.process, &self.thread, kernel)
    }

    /// Whether the CPU must forget its translations (reload CR3) before the program goes on.
    #[inline]
    pub fn take_flush(&mut self) -> bool {
        self.process.memory.take_flush()
    }
}

/// What a page fault tried, by its error code (SDM 3A "Page-Fault Exceptions").
#[must_use]
pub const fn fault_access(error_code: u32) -> Access {
    match error_code & 0x12 {
        0 => Access::Read,
        2 => Access::Write,
        _ => Access::Fetch,
    }
}

#[cfg(test)]
mod tests;
