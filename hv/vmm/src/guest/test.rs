//! Test guests: a static ELF64 image, started bare in 64-bit, 32-bit or real mode.

use super::request::{BadRequest, Request};
use super::{GuestKind, LoadError, Seat, new_space};
use crate::device::lapic::base::ADDRESS as APIC_PAGE;
use crate::exit::rows::EXITS;
use crate::machine::{Engine, Gpr, Reg, Segment, SegmentRegister, TableRegister};
use crate::memory::GuestRam;
use crate::memory::ram::OutsideRam;
use crate::vcpu::Vcpu;
use alloc::format;
use elf::ElfBytes;
use elf::abi::{EM_X86_64, PT_LOAD};
use elf::endian::LittleEndian;
use spec::addr::L1Gpa;
use spec::control_registers::{Cr0, Cr4};
use spec::msr::Efer;

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
    pub(super) const PDPT: u64 = 0x3000;
    pub(super) const DIRECTORIES: u64 = 0x4000;
    pub(super) const ARGUMENTS: u64 = 0x8000;
    pub(super) const ARGUMENTS_MAX: usize = 0x1000;
    /// Where the program may begin.
    pub(super) const END: u64 = ARGUMENTS + ARGUMENTS_MAX as u64;
    pub(super) const STACK_TOP: u64 = 0x9_f000;
    pub(super) const REAL_MODE_STACK_TOP: u64 = 0x8000;
}

const GDT: [u64; 6] = [
    0,
    0x00af_9b00_0000_ffff, // 0x08: 64-bit code
    0x00cf_9300_0000_ffff, // 0x10: data
    0x00cf_9b00_0000_ffff, // 0x18: 32-bit code
    0x0000_9b00_0000_ffff, // 0x20: 16-bit code
    0x0000_9300_0000_ffff, // 0x28: 16-bit data
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Real,
    Protected,
    Long,
}

/// What a guest takes of our heap for each virtual CPU, in bytes, and for its devices with the first.
const HEAP_SIZE: u64 = 256 << 10;

fn load(request: &Request, seat: &Seat<'_>) -> Result<Vcpu, LoadError> {
    request.allow_options(&["mode", "cpus"])?;
    let mode = mode(request)?;
    let size = memory(request)?;
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
    let mut vcpu = seat.new_vcpu(&TEST, &request.path, space, heap, cpus);
    enter(&mut *vcpu.engine, mode, entry);
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

/// RAM begins at 0, in one piece, and the local APIC's page is the guest's whatever RAM it has.
fn memory(request: &Request) -> Result<u64, BadRequest> {
    const DEFAULT_MIB: u64 = 16;
    const _: () = assert!(APIC_PAGE >> 20 == 4078);
    match request.memory(DEFAULT_MIB)? {
        size if size > APIC_PAGE => Err(request.bad_value(
            "mem",
            "at most 4078 MiB for this kind of guest, whose local APIC is above that",
        )),
        size => Ok(size),
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
    write_identity_map(ram).map_err(outside)?;
    let arguments = &arguments.as_bytes()[..arguments.len().min(layout::ARGUMENTS_MAX - 1)];
    ram.write(L1Gpa(layout::ARGUMENTS), arguments)
        .map_err(outside)?;
    Ok(entry)
}

/// Paging structures that map the first 4 GiB to themselves with 2 MiB pages.
fn write_identity_map(ram: &GuestRam) -> Result<(), OutsideRam> {
    const TABLE: u64 = 0b11;
    const LARGE: u64 = 1 << 7;
    ram.write_u64(L1Gpa(layout::PML4), layout::PDPT | TABLE)?;
    for gib in 0..4 {
        let directory = layout::DIRECTORIES + gib * 0x1000;
        ram.write_u64(L1Gpa(layout::PDPT + gib * 8), directory | TABLE)?;
        for n in 0..512 {
            ram.write_u64(
                L1Gpa(directory + n * 8),
                (gib * 512 + n) << 21 | TABLE | LARGE,
            )?;
        }
    }
    Ok(())
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

/// Access rights of flat segments, in the layout of [`Segment::access`].
mod access {
    pub(super) const CODE_64: u32 = 0xa09b;
    pub(super) const CODE_32: u32 = 0xc09b;
    pub(super) const DATA_32: u32 = 0xc093;
    pub(super) const CODE_16: u32 = 0x009b;
    pub(super) const DATA_16: u32 = 0x0093;
}

fn enter(engine: &mut dyn Engine, mode: Mode, entry: u64) {
    let (code, data) = match mode {
        Mode::Long => (flat(0x08, access::CODE_64), flat(0x10, access::DATA_32)),
        Mode::Protected => (flat(0x18, access::CODE_32), flat(0x10, access::DATA_32)),
        Mode::Real => (
            real((entry >> 4) as u16, access::CODE_16),
            real(0, access::DATA_16),
        ),
    };
    engine.set_segment(SegmentRegister::Cs, code);
    for register in [
        SegmentRegister::Ds,
        SegmentRegister::Es,
        SegmentRegister::Ss,
    ] {
        engine.set_segment(register, data);
    }
    if mode != Mode::Real {
        engine.set_gdtr(TableRegister {
            base: layout::GDT,
            limit: size_of_val(&GDT) as u16 - 1,
        });
        engine.set_idtr(TableRegister { base: 0, limit: 0 });
    }
    if mode == Mode::Long {
        engine.set_reg(Reg::Cr4, Cr4::PAE.bits());
        engine.set_reg(Reg::Cr3, layout::PML4);
        engine.set_reg(Reg::Efer, (Efer::LME | Efer::LMA | Efer::NXE).bits());
    }
    engine.set_reg(Reg::Cr0, cr0(mode).bits());
    let (rip, rsp) = match mode {
        Mode::Real => (entry & 0xf, layout::REAL_MODE_STACK_TOP),
        Mode::Protected => (entry, layout::STACK_TOP),
        Mode::Long => (entry, layout::STACK_TOP - 8),
    };
    engine.set_reg(Reg::Rip, rip);
    engine.set_reg(Reg::Rsp, rsp);
}

fn cr0(mode: Mode) -> Cr0 {
    let protected = Cr0::PE | Cr0::ET | Cr0::NE;
    match mode {
        Mode::Real => Cr0::ET,
        Mode::Protected => protected,
        Mode::Long => protected | Cr0::PG | Cr0::WP,
    }
}

fn flat(selector: u16, access: u32) -> Segment {
    Segment {
        selector,
        base: 0,
        limit: u32::MAX,
        access,
    }
}

fn real(selector: u16, access: u32) -> Segment {
    Segment {
        selector,
        base: u64::from(selector) << 4,
        limit: 0xffff,
        access,
    }
}

#[cfg(test)]
mod tests;
