//! Test guests: a static ELF64 image, started bare in 64-bit, 32-bit or real mode.

use super::memory_map::memory;
use super::request::{BadRequest, Request};
use super::start::{IDENTITY_MAP_SIZE, Mode, Start, descriptor, enter, write_identity_map};
use super::{GuestKind, LoadError, Seat, new_space};
use crate::exit::rows::EXITS;
use crate::machine::{Gpr, TableRegister};
use crate::memory::GuestRam;
use crate::memory::ram::OutsideRam;
use crate::vcpu::Vcpu;
use alloc::format;
use elf::ElfBytes;
use elf::abi::{EM_X86_64, PT_LOAD};
use elf::endian::LittleEndian;
use spec::addr::L1Gpa;
use spec::control_registers::Cr0;

/// The kind of guest that tests are.
pub static TEST: GuestKind = GuestKind {
    name: "test",
    load,
    exits: &EXITS,
};

/// What is laid out below the image, by guest-physical address.
mod layout {
    pub(super) const GDT: u64 = 0x1000;
    pub(super) const PML4: u64 = 0x2000;
    pub(super) const ARGUMENTS: u64 = PML4 + super::IDENTITY_MAP_SIZE;
    pub(super) const ARGUMENTS_MAX: usize = 0x1000;
    /// Where the program may begin.
    pub(super) const END: u64 = ARGUMENTS + ARGUMENTS_MAX as u64;
    pub(super) const STACK_TOP: u64 = 0x9_f000;
    pub(super) const REAL_MODE_STACK_TOP: u64 = 0x8000;
}

const GDT: [u64; 6] = [
    0,
    descriptor::CODE_64,   // 0x08
    descriptor::DATA_32,   // 0x10
    descriptor::CODE_32,   // 0x18
    0x0000_9b00_0000_ffff, // 0x20: 16-bit code
    0x0000_9300_0000_ffff, // 0x28: 16-bit data
];

/// Its RAM without the option `mem`.
const DEFAULT_MIB: u64 = 16;

/// What a guest takes of our heap for each virtual CPU, in bytes, and for its devices with the first.
const HEAP_SIZE: u64 = 256 << 10;

fn load(request: &Request, seat: &Seat<'_>) -> Result<Vcpu, LoadError> {
    request.allow_options(&["mode", "cpus"])?;
    let mode = mode(request)?;
    let size = memory(request, DEFAULT_MIB)?;
    let cpus = request.cpus()?;
    let heap = seat.promise(HEAP_SIZE * cpus as u64)?;
    let space = new_space(seat.host, size)?;
    let ram = space.ram();
    let entry = lay_out(&ram, seat.program, &request.arguments.join(" "))?;
    if mode == Mode::Real && entry >= 1 << 20 {
        return Err(LoadError::Program(format!(
            "its entry point {entry:#x} is beyond real mode's 1 MiB"
        )));
    }
    let mut vcpu = seat.new_vcpu(&TEST, &request.path, space, heap, cpus, None);
    enter(&mut *vcpu.engine, &start(mode, entry));
    vcpu.gprs[Gpr::Rdi] = ram.size();
    vcpu.gprs[Gpr::Rsi] = layout::ARGUMENTS;
    Ok(vcpu)
}

fn mode(request: &Request) -> Result<Mode, BadRequest> {
    match request.option("mode") {
        None | Some("64") => Ok(Mode::Long),
        Some("32") => Ok(Mode::Protected),
        Some("16") => Ok(Mode::Real),
        Some(_) => Err(request.bad_value("mode", "16, 32 or 64")),
    }
}

/// Fills the guest's RAM; returns the entry point.
fn lay_out(ram: &GuestRam, program: &[u8], arguments: &str) -> Result<u64, LoadError> {
    let outside = |OutsideRam| {
        LoadError::Program(format!(
            "it does not fit into {} MiB of memory",
            ram.size() >> 20
        ))
    };
    ram.zero(L1Gpa(0), ram.size()).map_err(outside)?;
    let entry = load_elf(ram, program)?;
    for (n, descriptor) in GDT.iter().enumerate() {
        ram.write_u64(L1Gpa(layout::GDT + n as u64 * 8), *descriptor)
            .map_err(outside)?;
    }
    write_identity_map(ram, layout::PML4).map_err(outside)?;
    let arguments = &arguments.as_bytes()[..arguments.len().min(layout::ARGUMENTS_MAX - 1)];
    ram.write(L1Gpa(layout::ARGUMENTS), arguments)
        .map_err(outside)?;
    Ok(entry)
}

/// Copies the segments to their physical addresses; returns the entry point.
fn load_elf(ram: &GuestRam, program: &[u8]) -> Result<u64, LoadError> {
    let broken = |error| LoadError::Program(format!("it is not a sound ELF64 image: {error}"));
    let image = ElfBytes::<LittleEndian>::minimal_parse(program).map_err(broken)?;
    if image.ehdr.e_machine != EM_X86_64 {
        return Err(LoadError::Program(format!(
            "it is for ELF machine {}, not x86-64",
            image.ehdr.e_machine
        )));
    }
    for segment in image
        .segments()
        .into_iter()
        .flatten()
        .filter(|segment| segment.p_type == PT_LOAD)
    {
        let bytes = image.segment_data(&segment).map_err(broken)?;
        let (at, size) = (segment.p_paddr, segment.p_memsz);
        if ram.hpa(L1Gpa(at), size).is_err() || bytes.len() as u64 > size {
            let size_mib = ram.size() >> 20;
            return Err(LoadError::Program(format!(
                "its segment of {size:#x} bytes at {at:#x} is outside the guest's {size_mib} MiB of memory"
            )));
        }
        if size > 0 && at < layout::END {
            return Err(LoadError::Program(format!(
                "its segment of {size:#x} bytes at {at:#x} is below {:#x}, where the guest's own tables are",
                layout::END
            )));
        }
        let _ = ram.write(L1Gpa(at), bytes);
    }
    Ok(image.ehdr.e_entry)
}

/// What a test guest starts with.
fn start(mode: Mode, entry: u64) -> Start {
    let protected = Cr0::PE | Cr0::ET | Cr0::NE;
    let (cr0, code, data) = match mode {
        Mode::Real => (Cr0::ET, (entry >> 4) as u16, 0),
        Mode::Protected => (protected, 0x18, 0x10),
        Mode::Long => (protected | Cr0::PG | Cr0::WP, 0x08, 0x10),
    };
    let (entry, stack) = match mode {
        Mode::Real => (entry & 0xf, layout::REAL_MODE_STACK_TOP),
        Mode::Protected => (entry, layout::STACK_TOP),
        Mode::Long => (entry, layout::STACK_TOP - 8),
    };
    Start {
        mode,
        entry,
        stack,
        code,
        data,
        gdt: TableRegister {
            base: layout::GDT,
            limit: size_of_val(&GDT) as u16 - 1,
        },
        cr0,
        cr3: layout::PML4,
    }
}

#[cfg(test)]
mod tests;
