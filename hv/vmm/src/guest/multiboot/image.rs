//! The kernel's image: an ELF file, or a flat one whose header says where it goes.

use super::super::memory_map::HIGH;
use super::super::room::{Room, Side};
use super::{LoadError, refuse};
use crate::memory::GuestRam;
use alloc::format;
use alloc::vec::Vec;
use core::ops::Range;
use elf::ElfBytes;
use elf::abi::{EM_386, EM_X86_64, ET_DYN, ET_EXEC, PT_LOAD, SHT_NOBITS, SHT_NULL};
use elf::endian::LittleEndian;
use elf::file::Class;
use elf::section::SectionHeader;
use elf::segment::ProgramHeader;
use spec::addr::L1Gpa;

/// How a header wants its kernel loaded.
pub(super) struct Wanted {
    /// A flat image; without it the file is ELF.
    pub(super) flat: Option<Flat>,
    /// Where it begins; without it where the ELF header says.
    pub(super) entry: Option<u32>,
    pub(super) relocation: Option<Relocation>,
    /// In how much of the file ELF program headers are looked for.
    pub(super) window: usize,
    /// It wants a video mode.
    pub(super) video: bool,
}

impl Wanted {
    /// An ELF file that is loaded where it says.
    pub(super) fn elf(window: usize) -> Self {
        Self {
            flat: None,
            entry: None,
            relocation: None,
            window,
            video: false,
        }
    }
}

/// The kernel can be loaded anywhere here.
pub(super) struct Relocation {
    pub(super) within: Range<u64>,
    pub(super) align: u64,
    /// Rather high than low.
    pub(super) high: bool,
}

/// The addresses in a header of a flat image.
pub(super) struct Addresses {
    pub(super) header: u32,
    pub(super) load: u32,
    /// 0: all of the file.
    pub(super) load_end: u32,
    /// 0: no zeros behind it.
    pub(super) bss_end: u32,
}

/// A flat image.
pub(super) struct Flat {
    file: Range<usize>,
    load: u32,
    /// With the zeros behind it.
    size: u64,
}

impl Flat {
    /// The image of a file with its header at this offset.
    pub(super) fn new(file: &[u8], at: usize, addresses: &Addresses) -> Result<Self, LoadError> {
        let bad = || {
            LoadError::Program(
                "the load addresses in its Multiboot header contradict each other".into(),
            )
        };
        let before = addresses
            .header
            .checked_sub(addresses.load)
            .ok_or_else(bad)?;
        let start = at.checked_sub(before as usize).ok_or_else(bad)?;
        let length = match addresses.load_end {
            0 => file.len() - start,
            end => end.checked_sub(addresses.load).ok_or_else(bad)? as usize,
        };
        let size = match addresses.bss_end {
            0 => length as u64,
            end => u64::from(end.checked_sub(addresses.load).ok_or_else(bad)?),
        };
        let end = start.saturating_add(length);
        if end > file.len() {
            return refuse(format!(
                "it is cut short: it has {} bytes, and its header speaks of {end}",
                file.len()
            ));
        }
        if size < length as u64 {
            return Err(bad());
        }
        Ok(Self {
            file: start..end,
            load: addresses.load,
            size,
        })
    }
}

/// A kernel in the guest's RAM.
pub(super) struct Image {
    pub(super) entry: u32,
    /// The address of its first byte.
    pub(super) base: u32,
    pub(super) sections: Option<Sections>,
}

/// The section headers of an ELF kernel.
pub(super) struct Sections {
    pub(super) count: u32,
    pub(super) header_size: u32,
    /// Which of them has the names.
    pub(super) names: u32,
    pub(super) headers: Vec<u8>,
}

/// Loads the kernel. RAM is zero where nothing was loaded.
pub(super) fn load(
    ram: &GuestRam,
    room: &mut Room,
    file: &[u8],
    wanted: &Wanted,
) -> Result<Image, LoadError> {
    let image = match &wanted.flat {
        Some(flat) => load_flat(ram, room, file, flat, wanted)?,
        None => load_elf(ram, room, file, wanted)?,
    };
    match u64::from(image.entry) < ram.size() {
        true => Ok(image),
        false => refuse(format!(
            "its entry point {:#x} is outside the guest's {} MiB of memory",
            image.entry,
            ram.size() >> 20
        )),
    }
}

fn load_flat(
    ram: &GuestRam,
    room: &mut Room,
    file: &[u8],
    flat: &Flat,
    wanted: &Wanted,
) -> Result<Image, LoadError> {
    let base = match &wanted.relocation {
        Some(relocation) => relocate(room, flat.size, relocation)?,
        None => {
            room.take("its image", flat.load.into(), flat.size)?;
            flat.load.into()
        }
    };
    write(ram, base, file.get(flat.file.clone()).unwrap_or(&[]))?;
    let shift = (base as u32).wrapping_sub(flat.load);
    Ok(Image {
        entry: wanted.entry.unwrap_or(flat.load).wrapping_add(shift),
        base: base as u32,
        sections: None,
    })
}

fn write(ram: &GuestRam, at: u64, bytes: &[u8]) -> Result<(), LoadError> {
    let written = ram.write(L1Gpa(at), bytes);
    written.map_err(|_| LoadError::Program("it does not fit into its memory".into()))
}

/// The place for a kernel that can be moved.
fn relocate(room: &mut Room, size: u64, relocation: &Relocation) -> Result<u64, LoadError> {
    let within = relocation.within.clone();
    let side = match relocation.high {
        true => Side::Top,
        false => Side::Bottom,
    };
    match room.place(size, relocation.align, within.clone(), side) {
        Some(base) => Ok(base),
        None => refuse(format!(
            "there is no room for its {size:#x} bytes between {:#x} and {:#x} in the guest's {} MiB of memory",
            within.start,
            within.end,
            room.size() >> 20
        )),
    }
}

type Elf<'a> = ElfBytes<'a, LittleEndian>;

fn load_elf(
    ram: &GuestRam,
    room: &mut Room,
    file: &[u8],
    wanted: &Wanted,
) -> Result<Image, LoadError> {
    let elf = parse(file, wanted.window)?;
    let segments = segments(&elf)?;
    let start = segments.iter().map(|segment| segment.p_paddr).min();
    let end = segments
        .iter()
        .map(|segment| segment.p_paddr + segment.p_memsz)
        .max();
    let (start, end) = (start.unwrap_or(0), end.unwrap_or(0));
    let base = match &wanted.relocation {
        Some(relocation) => relocate(room, end - start, relocation)?,
        None => start,
    };
    for segment in &segments {
        let at = base + (segment.p_paddr - start);
        if wanted.relocation.is_none() {
            room.take("its segment", at, segment.p_memsz)?;
        }
        write(ram, at, elf.segment_data(segment).map_err(broken)?)?;
    }
    let entry = match wanted.entry {
        Some(entry) => entry,
        None => entry(&elf, &segments)?,
    };
    Ok(Image {
        entry: entry.wrapping_add((base as u32).wrapping_sub(start as u32)),
        base: base as u32,
        sections: load_sections(ram, room, file, &elf)?,
    })
}

fn broken(error: elf::ParseError) -> LoadError {
    LoadError::Program(format!("it is not a sound ELF image: {error}"))
}

fn parse(file: &[u8], window: usize) -> Result<Elf<'_>, LoadError> {
    let elf = Elf::minimal_parse(file).map_err(broken)?;
    let (header, class) = (&elf.ehdr, elf.ehdr.class);
    if !matches!(
        (class, header.e_machine),
        (Class::ELF32, EM_386) | (Class::ELF64, EM_X86_64)
    ) {
        return refuse(format!(
            "it is ELF for machine {}, neither ELF32 for i386 nor ELF64 for x86-64",
            header.e_machine
        ));
    }
    if !matches!(header.e_type, ET_EXEC | ET_DYN) {
        return refuse(format!("it is ELF of type {}, no program", header.e_type));
    }
    let table = u64::from(header.e_phnum) * u64::from(header.e_phentsize);
    if header.e_phoff.saturating_add(table) > window as u64 {
        return refuse(format!(
            "its ELF program headers are not in its first {window} bytes"
        ));
    }
    Ok(elf)
}

/// What is to be loaded: below 4 GiB, nothing over another.
fn segments(elf: &Elf<'_>) -> Result<Vec<ProgramHeader>, LoadError> {
    let rows = elf.segments().into_iter().flatten();
    let loaded = rows.filter(|row| row.p_type == PT_LOAD && row.p_memsz > 0);
    let segments: Vec<ProgramHeader> = loaded.collect();
    if segments.is_empty() {
        return refuse("it is ELF without a segment to load".into());
    }
    for (index, segment) in segments.iter().enumerate() {
        let (at, size) = (segment.p_paddr, segment.p_memsz);
        let end = at.checked_add(size).filter(|&end| end <= 1 << 32);
        if end.is_none() || segment.p_filesz > size {
            return refuse(format!(
                "its segment of {size:#x} bytes at {at:#x} makes no sense"
            ));
        }
        let overlaps = |other: &&ProgramHeader| {
            other.p_paddr < at + size && at < other.p_paddr + other.p_memsz
        };
        if let Some(other) = segments[..index].iter().find(overlaps) {
            return refuse(format!(
                "its segments at {:#x} and {at:#x} overlap",
                other.p_paddr
            ));
        }
    }
    Ok(segments)
}

/// The physical address of the entry point, which ELF gives as a virtual one.
fn entry(elf: &Elf<'_>, segments: &[ProgramHeader]) -> Result<u32, LoadError> {
    let entry = elf.ehdr.e_entry;
    let inside = segments.iter().find_map(|segment| {
        let offset = entry.checked_sub(segment.p_vaddr)?;
        (offset < segment.p_memsz).then(|| segment.p_paddr + offset)
    });
    match inside {
        Some(address) => Ok(address as u32),
        None => refuse(format!("its entry point {entry:#x} is in no segment")),
    }
}

/// The section headers, and in RAM what they describe: symbols and strings have no segment.
fn load_sections(
    ram: &GuestRam,
    room: &mut Room,
    file: &[u8],
    elf: &Elf<'_>,
) -> Result<Option<Sections>, LoadError> {
    /// Their headers take a quarter of what the guest is promised of our heap, while the boot information grows.
    const MOST: u16 = 2048;
    let header = &elf.ehdr;
    let (count, size) = (header.e_shnum, header.e_shentsize);
    let Some(table) = elf.section_headers().filter(|_| count > 0) else {
        return Ok(None);
    };
    if count > MOST {
        return refuse(format!("it has {count} ELF sections; the most is {MOST}"));
    }
    let short = || LoadError::Program("it is cut short in its ELF sections".into());
    let all = part(file, header.e_shoff, u64::from(count) * u64::from(size));
    let mut headers = all.ok_or_else(short)?.to_vec();
    let patch = match header.class {
        Class::ELF32 => 12..16,
        Class::ELF64 => 16..24,
    };
    for (row, section) in headers.chunks_exact_mut(size.into()).zip(table.iter()) {
        if needs_room(&section) {
            let bytes = part(file, section.sh_offset, section.sh_size).ok_or_else(short)?;
            let at = place_section(ram, room, bytes, section.sh_addralign)?;
            let field = row.get_mut(patch.clone()).ok_or_else(short)?;
            let length = field.len();
            field.copy_from_slice(&at.to_le_bytes()[..length]);
        }
    }
    Ok(Some(Sections {
        count: count.into(),
        header_size: size.into(),
        names: header.e_shstrndx.into(),
        headers,
    }))
}

fn needs_room(section: &SectionHeader) -> bool {
    let has_bytes = !matches!(section.sh_type, SHT_NULL | SHT_NOBITS);
    has_bytes && section.sh_addr == 0 && section.sh_size > 0
}

fn place_section(
    ram: &GuestRam,
    room: &mut Room,
    bytes: &[u8],
    align: u64,
) -> Result<u64, LoadError> {
    let within = HIGH..u32::MAX.into();
    let at = room.place(bytes.len() as u64, align, within, Side::Bottom);
    let at = at.ok_or_else(|| {
        LoadError::Program(
            "there is no room for its symbols; give it more memory with `mem=`".into(),
        )
    })?;
    write(ram, at, bytes)?;
    Ok(at)
}

fn part(file: &[u8], at: u64, length: u64) -> Option<&[u8]> {
    let at = usize::try_from(at).ok()?;
    file.get(at..at.checked_add(usize::try_from(length).ok()?)?)
}
