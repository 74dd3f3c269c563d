//! Multiboot guests: a kernel as GRUB would start it, by the Multiboot Specification, version 0.6.96 or 2.0.
//!
//! There is no VGA in the virtual PC: a kernel that asks for a video mode is started without one, as GRUB
//! starts it where it finds no such mode, and the boot information has no framebuffer.

use super::firmware::set_up_devices;
use super::memory_map::{HIGH, memory, write_bios_data};
use super::pc::tables;
use super::request::{BadRequest, Request};
use super::room::{Room, Side};
use super::start::{BootGdt, Mode, Start, enter};
use super::virtio::Virtio;
use super::{GuestKind, LoadError, Seat, new_space};
use crate::exit::rows::EXITS;
use crate::machine::{Gpr, TableRegister};
use crate::memory::GuestRam;
use crate::memory::ram::OutsideRam;
use crate::vcpu::Vcpu;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;
use image::Image;
use spec::addr::{L1Gpa, PAGE_SIZE};
use spec::control_registers::Cr0;

mod image;
mod version1;
mod version2;

/// The kind of guest that Multiboot kernels are.
pub static MULTIBOOT: GuestKind = GuestKind {
    name: "multiboot",
    load,
    exits: &EXITS,
};

/// Its RAM without the option `mem`.
const DEFAULT_MIB: u64 = 128;

/// What a guest takes of our heap for each virtual CPU, in bytes; with the first for its devices, and for its boot
/// information while it is made.
const HEAP_SIZE: u64 = 1 << 20;

/// The name that the kernel is told. Xen takes the first word of a command line for the file's name unless the
/// loader's name has `GRUB` in it and a number other than 0: GRUB 2 gives only the arguments, and so do we.
const LOADER: &str = concat!("Nestling ", env!("CARGO_PKG_VERSION"), " (like GRUB 2)");

/// The stack pointer of GRUB, for kernels that use it against the specification.
const STACK_TOP: u64 = 0x7_ff00;

/// Option `protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Version 2 if the kernel has a header for it, else version 1.
    Either,
    /// Version 1.
    One,
    /// Version 2.
    Two,
}

/// A file that the kernel finds in memory.
pub struct BootModule<'a> {
    /// Its content.
    pub content: &'a [u8],
    /// Its string.
    pub line: &'a str,
}

/// What a kernel is started with.
pub struct Files<'a> {
    /// The kernel.
    pub kernel: &'a [u8],
    /// Its modules.
    pub modules: &'a [BootModule<'a>],
    /// The kernel's command line.
    pub command_line: &'a str,
}

/// A kernel that is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Where it begins.
    pub entry: u32,
    /// What it finds in EAX.
    pub magic: u32,
    /// Where its boot information is.
    pub information: u32,
    /// It wants a video mode, which it does not get.
    pub video: bool,
    /// Where its GDT is, until it has its own.
    gdt: TableRegister,
}

/// What the boot information tells.
struct Facts<'a> {
    files: &'a Files<'a>,
    modules: &'a [Range<u32>],
    image: &'a Image,
    memory_size: u64,
}

fn refuse<T>(why: String) -> Result<T, LoadError> {
    Err(LoadError::Program(why))
}

fn load(request: &Request, seat: &Seat<'_>) -> Result<Vcpu, LoadError> {
    request.allow_options(&["module", "protocol", "cpus", "disk", "console"])?;
    let protocol = protocol(request)?;
    let size = memory(request, DEFAULT_MIB)?;
    let modules = request.values("module").map(|module| {
        let (name, line) = module.split_once(' ').unwrap_or((module, ""));
        let content = seat.file(name)?;
        Ok(BootModule { content, line })
    });
    let modules = modules.collect::<Result<Vec<_>, LoadError>>()?;
    let files = Files {
        kernel: seat.program,
        modules: &modules,
        command_line: &request.command_line(),
    };
    let cpus = request.cpus()?;
    let virtio = Virtio::of(request, seat, None)?;
    let heap = seat.promise(HEAP_SIZE * cpus as u64 + virtio.heap_size())?;
    let space = new_space(seat.host, size)?;
    let loaded = lay_out(&space.ram(), &files, protocol, cpus)?;
    if loaded.video {
        let (number, path) = (seat.number, &request.path);
        log::warn!("guest {number} ({path}): its header asks for a video mode; there is no screen");
    }
    let mut vcpu = seat.new_vcpu(&MULTIBOOT, &request.path, space, heap, cpus, Some(&virtio));
    start(&mut vcpu, &loaded);
    Ok(vcpu)
}

fn protocol(request: &Request) -> Result<Protocol, BadRequest> {
    match request.option("protocol") {
        None => Ok(Protocol::Either),
        Some("1") => Ok(Protocol::One),
        Some("2") => Ok(Protocol::Two),
        Some(_) => Err(request.bad_value("protocol", "1 or 2")),
    }
}

/// Multiboot Specification, "Machine state", and "I386 machine state" in version 2.
fn start(vcpu: &mut Vcpu, loaded: &Loaded) {
    let start = Start {
        mode: Mode::Protected,
        entry: loaded.entry.into(),
        stack: STACK_TOP,
        code: BootGdt::CODE,
        data: BootGdt::DATA,
        gdt: loaded.gdt,
        cr0: Cr0::PE | Cr0::ET,
        cr3: 0,
    };
    enter(&mut *vcpu.engine, &start);
    set_up_devices(vcpu);
    vcpu.gprs[Gpr::Rax] = loaded.magic.into();
    vcpu.gprs[Gpr::Rbx] = loaded.information.into();
}

/// Fills the guest's RAM: kernel, modules, boot information.
pub fn lay_out(
    ram: &GuestRam,
    files: &Files<'_>,
    protocol: Protocol,
    cpus: usize,
) -> Result<Loaded, LoadError> {
    let size = ram.size();
    let outside = |OutsideRam| LoadError::Program(format!("{} MiB are too few for it", size >> 20));
    let (version, at) = find(files.kernel, protocol)?;
    let wanted = match version {
        Protocol::Two => version2::read(files.kernel, at)?,
        _ => version1::read(files.kernel, at)?,
    };
    ram.zero(L1Gpa(0), size).map_err(outside)?;
    write_bios_data(ram).map_err(outside)?;
    let rsdp = tables::write(ram, cpus).map_err(outside)?;
    let mut room = Room::new(size);
    let image = image::load(ram, &mut room, files.kernel, &wanted)?;
    let modules = place_modules(ram, &mut room, files.modules)?;
    let facts = Facts {
        files,
        modules: &modules,
        image: &image,
        memory_size: size,
    };
    let (magic, information) = match version {
        Protocol::Two => (
            version2::MAGIC,
            version2::inform(ram, &mut room, &facts, rsdp)?,
        ),
        _ => (version1::MAGIC, version1::inform(ram, &mut room, &facts)?),
    };
    Ok(Loaded {
        entry: image.entry,
        magic,
        information,
        video: wanted.video,
        gdt: place_gdt(ram, &mut room).unwrap_or_default(),
    })
}

/// Puts the GDT where there is room. A kernel that leaves none has its own: "GDTR may be invalid".
fn place_gdt(ram: &GuestRam, room: &mut Room) -> Option<TableRegister> {
    let at = room.place(BootGdt::SIZE, 16, PAGE_SIZE..HIGH, Side::Bottom)?;
    BootGdt::write(ram, at, Mode::Protected).ok()
}

/// Puts modules above 1 MiB, each on a page of its own. An empty one is nowhere, as with GRUB.
fn place_modules(
    ram: &GuestRam,
    room: &mut Room,
    modules: &[BootModule<'_>],
) -> Result<Vec<Range<u32>>, LoadError> {
    let mut placed = Vec::new();
    for (index, module) in modules.iter().enumerate() {
        let length = module.content.len() as u64;
        if length == 0 {
            placed.push(0..0);
            continue;
        }
        let at = room.place(length, PAGE_SIZE, HIGH..u32::MAX.into(), Side::Bottom);
        let written = at.filter(|&at| ram.write(L1Gpa(at), module.content).is_ok());
        let Some(at) = written else {
            let (number, size_mib) = (index + 1, ram.size() >> 20);
            return refuse(format!(
                "its module {number} of {length} bytes does not fit into the guest's {size_mib} MiB of memory"
            ));
        };
        placed.push(at as u32..(at + length) as u32);
    }
    Ok(placed)
}

/// The little-endian word of a file at this offset.
fn word(file: &[u8], at: usize) -> Option<u32> {
    let bytes = file.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// Why a header was not found.
enum NoHeader {
    /// There is none.
    Absent,
    /// There is one that cannot be right.
    Bad(LoadError),
}

/// The header to use, and where it is.
fn find(file: &[u8], protocol: Protocol) -> Result<(Protocol, usize), LoadError> {
    let mut bad = None;
    for (version, find) in [
        (Protocol::Two, version2::find as fn(&[u8]) -> _),
        (Protocol::One, version1::find),
    ] {
        if protocol != version && protocol != Protocol::Either {
            continue;
        }
        match find(file) {
            Ok(at) => return Ok((version, at)),
            Err(NoHeader::Bad(why)) => bad = bad.or(Some(why)),
            Err(NoHeader::Absent) => {}
        }
    }
    let absent = match file.starts_with(&[0x1f, 0x8b]) {
        true => "it is compressed with gzip; unpack it first",
        false => {
            "it has no such Multiboot header in its first 8 KiB (version 1) or 32 KiB (version 2)"
        }
    };
    Err(bad.unwrap_or_else(|| LoadError::Program(absent.into())))
}

/// The offset of a header in the first `within` bytes: at a multiple of `align`, `words` words whose sum is 0.
fn find_header(
    file: &[u8],
    version: u32,
    magic: u32,
    (within, align, words): (usize, usize, usize),
) -> Result<usize, NoHeader> {
    let mut broken = None;
    let end = file.len().min(within);
    for at in (0..=end.saturating_sub(words * 4)).step_by(align) {
        if word(file, at) != Some(magic) {
            continue;
        }
        let words = (0..words).filter_map(|n| word(file, at + n * 4));
        match words.fold(0, u32::wrapping_add) {
            0 => return Ok(at),
            _ => broken = broken.or(Some(at)),
        }
    }
    let at = broken.ok_or(NoHeader::Absent)?;
    Err(NoHeader::Bad(LoadError::Program(format!(
        "the checksum of its Multiboot {version} header at {at:#x} is wrong"
    ))))
}

#[cfg(test)]
mod tests;
