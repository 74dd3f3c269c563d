//! Guests: what one is, the kinds there are, and how one comes from a boot module.

use crate::device::bus::{Bus, Claims, Wiring};
use crate::device::clock::Clock;
use crate::device::fw_cfg::{self, FwCfg};
use crate::device::interrupts::Interrupts;
use crate::device::processors::Processors;
use crate::exit::table::ExitTable;
use crate::host::{Host, Promise};
use crate::memory::table::OutOfFrames;
use crate::memory::{GuestRam, Space};
use crate::trace::Counts;
use crate::vcpu::Vcpu;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};
use spin::{Mutex, Once};

pub mod app;
pub mod console;
pub mod cpio;
pub mod disk;
mod firmware;
pub mod linux;
mod memory_map;
pub mod multiboot;
pub mod pc;
pub mod request;
mod room;
pub mod run_time;
mod start;
pub mod test;
pub mod virtio;

use app::App;
use console::Console;
use request::{BadRequest, Request};
use run_time::RunTime;
use virtio::Virtio;

/// A kind of guest: a loader, and what it does about exits.
pub struct GuestKind {
    /// Its name in a request.
    pub name: &'static str,
    /// Makes the guest's first virtual CPU, ready to run.
    pub load: fn(&Request, &Seat<'_>) -> Result<Vcpu, LoadError>,
    /// What it does about each kind of exit.
    pub exits: &'static ExitTable,
}

/// The kinds of guests.
static KINDS: [&GuestKind; 5] = [
    &test::TEST,
    &app::exits::APP,
    &multiboot::MULTIBOOT,
    &linux::LINUX,
    &disk::DISK,
];

/// What the boot loader brought for us: a file in memory and its command line.
#[derive(Clone, Copy, Debug)]
pub struct Module {
    /// The command line.
    pub command_line: &'static str,
    /// The file.
    pub content: &'static [u8],
}

impl Module {
    /// The name of a module that is a file for other guests to use: `file:NAME`.
    fn file_name(&self) -> Option<&'static str> {
        self.command_line.strip_prefix("file:")
    }
}

/// What a guest finds when it is loaded.
pub struct Seat<'a> {
    /// The machine.
    pub host: &'static Host,
    /// The guest's number, from 1.
    pub number: usize,
    /// Other guests share the console.
    pub shares_console: bool,
    /// The guest's program.
    pub program: &'static [u8],
    /// All modules, to find files among.
    pub modules: &'a [Module],
}

impl Seat<'_> {
    /// The module called `file:NAME`.
    pub fn file(&self, name: &str) -> Result<&'static [u8], LoadError> {
        let found = self
            .modules
            .iter()
            .find(|module| module.file_name() == Some(name));
        found
            .map(|module| module.content)
            .ok_or_else(|| LoadError::NoFile(name.into()))
    }

    /// So much of our heap for the guest.
    fn promise(&self, bytes: u64) -> Result<Promise, LoadError> {
        let promise = self.host.promise(bytes);
        promise.map_err(|OutOfFrames| LoadError::NoMemory(bytes))
    }

    /// The first virtual CPU of a new guest, in the state of a processor after INIT, loaded on this CPU so
    /// that its registers can be set; [`load`] unloads it, and adds the others.
    pub(crate) fn new_vcpu(
        &self,
        kind: &'static GuestKind,
        path: &str,
        space: Space,
        heap: Promise,
        cpus: usize,
        virtio: Option<&Virtio>,
    ) -> Vcpu {
        let wiring = self.wiring(space.ram(), cpus, virtio);
        let bus = self.new_bus(&wiring, cpus, virtio);
        let guest = Guest {
            number: self.number,
            path: path.into(),
            kind,
            ram: space.ram(),
            claims: bus.claims(),
            bus: Mutex::new(bus),
            space: Mutex::new(space),
            interrupts: wiring.interrupts,
            console: wiring.console,
            run_time: RunTime::default(),
            end: Once::new(),
            left: AtomicUsize::new(0),
            counts: Mutex::default(),
            app: Once::new(),
            _heap: heap,
        };
        Arc::new(guest).new_vcpu(self.host, 0)
    }

    fn wiring(&self, ram: GuestRam, cpus: usize, virtio: Option<&Virtio>) -> Wiring {
        let machine = self.host.machine;
        let prefix = self.shares_console.then_some(self.number);
        let reads = reader(self.modules) == self.number;
        Wiring {
            console: Arc::new(Console::new(machine, prefix, reads)),
            uart_reads: !virtio.is_some_and(Virtio::has_console),
            interrupts: Arc::new(Interrupts::new(Processors::new(machine, cpus))),
            clock: Clock::new(machine),
            ram,
        }
    }

    fn new_bus(&self, wiring: &Wiring, cpus: usize, virtio: Option<&Virtio>) -> Bus {
        let models = virtio.map_or_else(Vec::new, |virtio| virtio.models(self, wiring));
        let mut bus = Bus::new(wiring, models);
        let ram = wiring.ram;
        let items = move || pc::configuration::items(ram.size(), cpus as u8);
        bus.add_ports(fw_cfg::FIRST, fw_cfg::LAST, FwCfg::new(ram, items));
        bus
    }
}

/// What the virtual CPUs of one guest share.
pub struct Guest {
    /// Its number, from 1, in the order of the command line.
    pub number: usize,
    /// The path of its program.
    pub path: String,
    /// Its kind.
    pub kind: &'static GuestKind,
    /// Its RAM.
    pub ram: GuestRam,
    /// Its guest-physical space.
    pub space: Mutex<Space>,
    /// Which of its I/O ports are claimed.
    pub claims: Claims,
    /// Its devices, by I/O port and by guest-physical address.
    pub bus: Mutex<Bus>,
    /// Its interrupt controllers, and what its virtual CPUs have to say to each other.
    pub interrupts: Arc<Interrupts>,
    /// Its console.
    pub console: Arc<Console>,
    /// How long it has executed.
    pub run_time: RunTime,
    /// How it ended.
    end: Once<End>,
    /// How many of its virtual CPUs have left.
    left: AtomicUsize,
    /// The exits of those.
    counts: Mutex<Counts>,
    /// The Linux program in it, once it is loaded, if it is one.
    pub app: Once<Mutex<App>>,
    /// What it may take of our heap; given back when the rest is dropped.
    _heap: Promise,
}

/// How a guest ended.
pub struct End {
    /// In words.
    pub text: String,
    /// It is what a guest that did its work does.
    pub good: bool,
}

impl Guest {
    /// A virtual CPU, loaded on this physical one.
    fn new_vcpu(self: Arc<Self>, host: &'static Host, number: usize) -> Vcpu {
        let mut engine = host.machine.new_engine(self.space.lock().root());
        engine.load();
        Vcpu::new(engine, self, host, number as u32)
    }

    /// It has ended like this, unless it has already: all its virtual CPUs are to leave.
    pub fn finish(&self, end: impl FnOnce() -> End) {
        self.end.call_once(end);
        self.interrupts.processors.stop();
    }

    /// One of its virtual CPUs left, after these exits. The last one gets the end of the guest and all exits.
    pub fn leave(&self, exits: &Counts) -> Option<(&End, Counts)> {
        let mut counts = self.counts.lock();
        counts.merge(exits);
        let left = self.left.fetch_add(1, Ordering::Relaxed) + 1;
        let is_last = left == self.interrupts.processors.count();
        self.end.get().filter(|_| is_last).map(|end| (end, *counts))
    }
}

/// Why a guest could not be loaded.
#[derive(Debug)]
pub enum LoadError {
    /// The request makes no sense.
    Request(BadRequest),
    /// There is no such kind of guest.
    UnknownKind(String),
    /// No module has this name.
    NoFile(String),
    /// There is not enough memory of this many bytes.
    NoMemory(u64),
    /// The program is not one that this kind of guest can run.
    Program(String),
}

impl From<BadRequest> for LoadError {
    fn from(bad: BadRequest) -> Self {
        Self::Request(bad)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(bad) => write!(f, "{bad}"),
            Self::UnknownKind(kind) => {
                let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
                write!(
                    f,
                    "there is no kind of guest `{kind}`; the kinds are {}",
                    known.join(", ")
                )
            }
            Self::NoFile(name) => write!(
                f,
                "no boot module is called `file:{name}`; have the boot loader load the file under this name"
            ),
            Self::NoMemory(bytes) => {
                write!(
                    f,
                    "the machine has not {} MiB of memory left for it; give the machine more, or the guest less with `mem=`",
                    bytes.div_ceil(1 << 20)
                )
            }
            Self::Program(why) => write!(f, "{why}"),
        }
    }
}

/// The virtual CPUs of the guest that a module asks for; `None` for a file that is there for other guests.
pub fn load(module: &Module, seat: &Seat<'_>) -> Option<Result<Vec<Vcpu>, (String, LoadError)>> {
    if module.file_name().is_some() {
        return None;
    }
    let load = || {
        let request = Request::parse(module.command_line)
            .map_err(|bad| (module.command_line.into(), bad.into()))?;
        let kind = KINDS.iter().find(|kind| kind.name == request.kind);
        let kind = kind.ok_or_else(|| {
            (
                request.path.clone(),
                LoadError::UnknownKind(request.kind.clone()),
            )
        })?;
        let load = || -> Result<Vec<Vcpu>, LoadError> {
            let timeout = request.timeout()?;
            request.check_stdin()?;
            let mut first = (kind.load)(&request, seat)?;
            first.engine.unload();
            let guest = first.guest.clone();
            let others = 1..guest.interrupts.processors.count();
            let others = others.map(|number| {
                let mut vcpu = guest.clone().new_vcpu(seat.host, number);
                vcpu.engine.unload();
                vcpu
            });
            let mut vcpus: Vec<Vcpu> = core::iter::once(first).chain(others).collect();
            for vcpu in &mut vcpus {
                vcpu.timeout = timeout;
            }
            Ok(vcpus)
        };
        load().map_err(|error| (request.path.clone(), error))
    };
    Some(load())
}

/// The number of the guest that reads the console: the first with the option `stdin`, else the first.
fn reader(modules: &[Module]) -> usize {
    let asks = |module: &Module| {
        let request = Request::parse(module.command_line);
        request.is_ok_and(|request| request.option("stdin").is_some())
    };
    let mut guests = modules.iter().filter(|module| module.file_name().is_none());
    guests.position(asks).map_or(1, |index| index + 1)
}

/// How many guests the modules ask for.
#[must_use]
pub fn count(modules: &[Module]) -> usize {
    modules
        .iter()
        .filter(|module| module.file_name().is_none())
        .count()
}

/// A space for a guest, or the error that says how much was wanted.
fn new_space(host: &'static Host, size: u64) -> Result<Space, LoadError> {
    host.new_space(size)
        .map_err(|OutOfFrames| LoadError::NoMemory(size))
}
