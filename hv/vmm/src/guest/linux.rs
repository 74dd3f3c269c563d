//! Linux guests: a bzImage, started as "The Linux/x86 Boot Protocol" says (Documentation/arch/x86/boot.rst).

use super::firmware::set_up_devices;
use super::memory_map::{HIGH, memory, memory_map, write_bios_data};
use super::pc::tables;
use super::request::{BadRequest, Request};
use super::room::{Room, Side};
use super::start::{BootGdt, Mode, Start, enter, write_identity_map};
use super::virtio::Virtio;
use super::{GuestKind, LoadError, Seat, cpio, new_space};
use crate::exit::rows::EXITS;
use crate::machine::Gpr;
use crate::memory::GuestRam;
use crate::memory::ram::OutsideRam;
use crate::vcpu::Vcpu;
use alloc::format;
use core::ops::Range;
use header::Header;
use spec::addr::{L1Gpa, PAGE_SIZE};
use spec::control_registers::Cr0;

mod header;

/// The kind of guest that Linux is.
pub static LINUX: GuestKind = GuestKind {
    name: "linux",
    load,
    exits: &EXITS,
};

/// Its RAM without the option `mem`.
const DEFAULT_MIB: u64 = 128;

/// What a guest takes of our heap for each virtual CPU, in bytes, and for its devices with the first.
const HEAP_SIZE: u64 = 256 << 10;

/// What is laid out below the kernel, by guest-physical address.
mod layout {
    pub(super) const GDT: u64 = 0x1000;
    pub(super) const PML4: u64 = 0x2000;
    /// The stack grows down from here to the paging structures.
    pub(super) const STACK_TOP: u64 = BOOT_PARAMS;
    pub(super) const BOOT_PARAMS: u64 = 0x1_0000;
    /// Above what the protocol calls the heap of the setup code.
    pub(super) const COMMAND_LINE: u64 = 0x2_0000;
    pub(super) const COMMAND_LINE_MAX: u64 = 0x1_0000;
}

/// Where the kernel's 64-bit entry point is, from where it is loaded.
const ENTRY_64: u64 = 0x200;

/// What a kernel is started with.
pub struct Files<'a> {
    /// The bzImage.
    pub kernel: &'a [u8],
    /// The initial RAM disk.
    pub initrd: Option<&'a [u8]>,
    /// The kernel's command line.
    pub command_line: &'a str,
}

/// Option `entry`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The 64-bit one of a 64-bit kernel, else the 32-bit one.
    Best,
    /// The 32-bit one.
    Bits32,
    /// The 64-bit one.
    Bits64,
}

/// A kernel that is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Where it begins.
    pub entry: u64,
    /// It begins in long mode.
    pub long: bool,
    /// Where its initial RAM disk is.
    pub initrd: Option<u64>,
}

fn load(request: &Request, seat: &Seat<'_>) -> Result<Vcpu, LoadError> {
    request.allow_options(&["initrd", "entry", "cpus", "disk", "console"])?;
    let entry = entry(request)?;
    let size = memory(request, DEFAULT_MIB)?;
    let initrd = request.option("initrd");
    let files = Files {
        kernel: seat.program,
        initrd: initrd.map(|name| seat.file(name)).transpose()?,
        command_line: &request.command_line(),
    };
    let cpus = request.cpus()?;
    let virtio = Virtio::of(request, seat, None)?;
    let heap = seat.promise(HEAP_SIZE * cpus as u64 + virtio.heap_size())?;
    let space = new_space(seat.host, size)?;
    let ram = space.ram();
    let loaded = lay_out(&ram, &files, entry, cpus)?;
    let mut vcpu = seat.new_vcpu(&LINUX, &request.path, space, heap, cpus, Some(&virtio));
    start(&mut vcpu, &ram, &loaded).map_err(|OutsideRam| too_small(size))?;
    Ok(vcpu)
}

fn entry(request: &Request) -> Result<Entry, BadRequest> {
    match request.option("entry") {
        None => Ok(Entry::Best),
        Some("32") => Ok(Entry::Bits32),
        Some("64") => Ok(Entry::Bits64),
        Some(_) => Err(request.bad_value("entry", "32 or 64")),
    }
}

fn too_small(size: u64) -> LoadError {
    let size_mib = size >> 20;
    LoadError::Program(format!("{size_mib} MiB of memory are too small for it"))
}

/// Boot protocol, "32-bit Boot Protocol" and "64-bit Boot Protocol".
fn start(vcpu: &mut Vcpu, ram: &GuestRam, loaded: &Loaded) -> Result<(), OutsideRam> {
    let (mode, paging) = match loaded.long {
        true => (Mode::Long, Cr0::PG),
        false => (Mode::Protected, Cr0::empty()),
    };
    write_identity_map(ram, layout::PML4)?;
    let start = Start {
        mode,
        entry: loaded.entry,
        stack: layout::STACK_TOP,
        code: BootGdt::CODE,
        data: BootGdt::DATA,
        gdt: BootGdt::write(ram, layout::GDT, mode)?,
        cr0: Cr0::PE | Cr0::ET | paging,
        cr3: layout::PML4,
    };
    enter(&mut *vcpu.engine, &start);
    set_up_devices(vcpu);
    vcpu.gprs[Gpr::Rsi] = layout::BOOT_PARAMS;
    Ok(())
}

/// Fills the guest's RAM: kernel, initial RAM disk, command line, `boot_params`.
pub fn lay_out(
    ram: &GuestRam,
    files: &Files<'_>,
    entry: Entry,
    cpus: usize,
) -> Result<Loaded, LoadError> {
    let header = Header::parse(files.kernel)?;
    let long = is_long(entry, &header)?;
    check_command_line(files.command_line, &header)?;
    let mut room = Room::new(ram.size());
    let kernel = place_kernel(&mut room, &header)?;
    let initrd = place_initrd(&mut room, files.initrd, &header)?;
    let put = || -> Result<(), OutsideRam> {
        ram.zero(L1Gpa(0), ram.size())?;
        write_bios_data(ram)?;
        let parameters = Parameters {
            header: &header,
            kernel,
            initrd: initrd.clone(),
            rsdp: tables::write(ram, cpus)?,
        };
        ram.write(L1Gpa(kernel), header.code())?;
        if let (Some(at), Some(bytes)) = (&initrd, files.initrd) {
            ram.write(L1Gpa(at.start), bytes)?;
        }
        ram.write(L1Gpa(layout::COMMAND_LINE), files.command_line.as_bytes())?;
        parameters.write(ram)
    };
    put().map_err(|OutsideRam| too_small(ram.size()))?;
    Ok(Loaded {
        entry: kernel + if long { ENTRY_64 } else { 0 },
        long,
        initrd: initrd.map(|at| at.start),
    })
}

/// Whether the kernel is entered in long mode.
fn is_long(entry: Entry, header: &Header<'_>) -> Result<bool, LoadError> {
    match (entry, header.is_64_bit()) {
        (Entry::Bits64, false) => {
            let why = "it has no 64-bit entry point; leave out the option `entry=64`";
            Err(LoadError::Program(why.into()))
        }
        (Entry::Bits32, _) | (_, false) => Ok(false),
        _ => Ok(true),
    }
}

fn check_command_line(line: &str, header: &Header<'_>) -> Result<(), LoadError> {
    let most = u64::from(header.command_line_max()).min(layout::COMMAND_LINE_MAX - 1);
    match line.len() as u64 {
        length if length > most => Err(LoadError::Program(format!(
            "its command line has {length} characters; it takes {most}"
        ))),
        _ => Ok(()),
    }
}

/// Takes the memory that the kernel needs until it reads the memory map; returns where to load it.
///
/// A kernel that can be relocated goes where it would rather be, since it moves up to there from any lower address.
fn place_kernel(room: &mut Room, header: &Header<'_>) -> Result<u64, LoadError> {
    let preferred = header.preferred_address();
    let load = match header.is_relocatable() {
        true => preferred.max(HIGH),
        false => HIGH,
    };
    let run = match header.is_relocatable() {
        true => load.checked_next_multiple_of(header.alignment()),
        false => Some(preferred),
    };
    let run = run.unwrap_or(u64::MAX);
    let length = header.code().len() as u64;
    let end = run.saturating_add(header.memory_wanted());
    let end = end.max(load.saturating_add(length));
    if end > room.size() {
        return Err(LoadError::Program(format!(
            "it wants {} MiB of memory and has {}; give it more with `mem=`",
            end.div_ceil(1 << 20),
            room.size() >> 20
        )));
    }
    room.take("its memory", load.min(run), end - load.min(run))?;
    Ok(load)
}

/// As high as the kernel can reach it.
fn place_initrd(
    room: &mut Room,
    initrd: Option<&[u8]>,
    header: &Header<'_>,
) -> Result<Option<Range<u64>>, LoadError> {
    let Some(initrd) = initrd else {
        return Ok(None);
    };
    if initrd.is_empty() {
        return Err(LoadError::Program("its initrd is empty".into()));
    }
    if let Some(why) = cpio::cut_short(initrd) {
        return Err(LoadError::Program(format!(
            "its initrd is cut short; copy or make it again: {why}"
        )));
    }
    let length = initrd.len() as u64;
    let reach = HIGH..header.initrd_end();
    let at = room.place(length, PAGE_SIZE, reach, Side::Top);
    let at = at.ok_or_else(|| {
        LoadError::Program(format!(
            "its initrd of {length} bytes does not fit beside it; give it more memory with `mem=`"
        ))
    })?;
    Ok(Some(at..at + length))
}

/// What the kernel reads in `boot_params`.
struct Parameters<'a> {
    header: &'a Header<'a>,
    kernel: u64,
    initrd: Option<Range<u64>>,
    rsdp: L1Gpa,
}

impl Parameters<'_> {
    /// Offsets are those of `struct boot_params`: Documentation/arch/x86/zero-page.rst.
    fn write(&self, ram: &GuestRam) -> Result<(), OutsideRam> {
        const ACPI_RSDP_ADDR: u64 = 0x70;
        let put = |at: u64, bytes: &[u8]| ram.write(L1Gpa(layout::BOOT_PARAMS + at), bytes);
        let put_u32 = |at: u64, value: u64| put(at, &(value as u32).to_le_bytes());
        put(header::START as u64, self.header.fields())?;
        put(header::VIDEO_MODE, &header::VIDEO_MODE_NORMAL.to_le_bytes())?;
        put(header::TYPE_OF_LOADER, &[header::LOADER_UNDEFINED])?;
        let flags = self.header.load_flags() | header::CAN_USE_HEAP;
        put(header::LOAD_FLAGS, &[flags])?;
        put(header::HEAP_END, &header::HEAP_END_VALUE.to_le_bytes())?;
        put_u32(header::CODE32_START, self.kernel)?;
        put_u32(header::COMMAND_LINE, layout::COMMAND_LINE)?;
        let initrd = self.initrd.clone().unwrap_or_default();
        put_u32(header::RAMDISK_IMAGE, initrd.start)?;
        put_u32(header::RAMDISK_SIZE, initrd.end - initrd.start)?;
        put(ACPI_RSDP_ADDR, &self.rsdp.0.to_le_bytes())?;
        write_e820(ram)
    }
}

fn write_e820(ram: &GuestRam) -> Result<(), OutsideRam> {
    const ENTRIES: u64 = 0x1e8;
    const TABLE: u64 = 0x2d0;
    const ENTRY_SIZE: u64 = 20;
    let put = |at: u64, bytes: &[u8]| ram.write(L1Gpa(layout::BOOT_PARAMS + at), bytes);
    let mut count = 0;
    for region in memory_map(ram.size()) {
        let at = TABLE + u64::from(count) * ENTRY_SIZE;
        put(at, &region.start.to_le_bytes())?;
        put(at + 8, &region.length.to_le_bytes())?;
        put(at + 16, &region.kind.to_le_bytes())?;
        count += 1;
    }
    put(ENTRIES, &[count])
}

#[cfg(test)]
mod tests;
