//! Static ELF programs: the checks, and what to map where.

use core::fmt;
use core::ops::Range;

use ::elf::abi::{
    EM_X86_64, ET_DYN, ET_EXEC, PF_R, PF_W, PF_X, PT_INTERP, PT_LOAD, PT_PHDR, PT_TLS,
};
use ::elf::endian::LittleEndian;
use ::elf::file::{Class, FileHeader, parse_ident};
use ::elf::segment::{ProgramHeader, SegmentTable};
use alloc::vec::Vec;
use spec::addr::PAGE_SIZE;

use super::layout::STACK_TOP;
use crate::memory::address_space::{Protection, STACK_MAX, USER_END, USER_START};

/// Where a static-pie program is loaded (two thirds of the address space, as Linux does).
const PIE_BASE: u64 = 0x5555_5555_4000;
/// The size of the ELF64 file header, in bytes.
const HEADER_SIZE: usize = 64;
/// The size of an ELF64 program header, in bytes.
pub const PROGRAM_HEADER_SIZE: u64 = 56;
/// How far a program may reach, so that its end cannot meet the stack or the mappings.
const SPAN_MAX: u64 = 1 << 40;

/// Why a program cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElfError {
    /// The magic number is missing.
    NotElf,
    /// The file ends before something that its headers name.
    Truncated {
        /// What is missing.
        what: &'static str,
        /// How long the file would have to be, in bytes.
        wanted: u64,
        /// How long it is, in bytes.
        length: u64,
    },
    /// A 32-bit program.
    Bits32,
    /// A program for another machine.
    WrongMachine(u16),
    /// Big-endian, or of an unknown ELF version.
    UnsupportedFormat,
    /// An object, a core dump or something else that is no program.
    NotExecutable(u16),
    /// It wants a dynamic loader.
    Dynamic,
    /// A library: position-independent, but without an entry point.
    NoEntry,
    /// A header is absurd in itself.
    BadHeader(&'static str),
    /// A segment is absurd in itself.
    BadSegment {
        /// Its place among the program headers.
        index: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// Nothing is to be loaded.
    NoSegments,
    /// The entry point lies in no executable segment.
    EntryOutside(u64),
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotElf => write!(f, "not an ELF file"),
            Self::Truncated {
                what,
                wanted,
                length,
            } => {
                write!(
                    f,
                    "truncated ELF file: {what} would end at byte {wanted}, the file has {length}"
                )
            }
            Self::Bits32 => write!(f, "a 32-bit program; only x86-64 ELF programs run"),
            Self::WrongMachine(machine) => {
                write!(
                    f,
                    "a program for ELF machine {machine}, not for x86-64 (62)"
                )
            }
            Self::UnsupportedFormat => write!(f, "not a little-endian ELF file of version 1"),
            Self::NotExecutable(kind) => {
                write!(
                    f,
                    "no program: ELF type {kind} is neither EXEC (2) nor DYN (3)"
                )
            }
            Self::Dynamic => write!(
                f,
                "a dynamically linked program; link it statically (-static or -static-pie)"
            ),
            Self::NoEntry => write!(f, "a shared library, no program: it has no entry point"),
            Self::BadHeader(why) => write!(f, "bad ELF header: {why}"),
            Self::BadSegment { index, why } => write!(f, "bad ELF program header {index}: {why}"),
            Self::NoSegments => write!(f, "an ELF program without a segment to load"),
            Self::EntryOutside(entry) => {
                write!(
                    f,
                    "the entry point {entry:#x} lies in no executable segment"
                )
            }
        }
    }
}

/// One segment to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its bytes in the file.
    pub file: Range<usize>,
    /// The address of its first byte; congruent to `file.start` modulo the page size.
    pub address: u64,
    /// Its size in memory, in bytes; what the file does not fill is zero.
    pub size: u64,
    /// What the program may do there.
    pub protection: Protection,
}

impl Segment {
    fn end(&self) -> u64 {
        self.address + self.size
    }
}

/// A checked program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Where it begins.
    pub entry: u64,
    /// Its segments, by address.
    pub segments: Vec<Segment>,
    /// Where its program headers are in memory (AT_PHDR), 0 if they are not loaded.
    pub headers: u64,
    /// How many there are.
    pub header_count: u16,
}

impl Program {
    /// The page-aligned end, where the heap begins.
    #[must_use]
    pub fn end(&self) -> u64 {
        let end = self.segments.last().map_or(0, Segment::end);
        end.next_multiple_of(PAGE_SIZE)
    }
}

/// Checks a program.
pub fn parse(file: &[u8]) -> Result<Program, ElfError> {
    let header = file_header(file)?;
    let table = header_table(file, &header)?;
    let base = if header.e_type == ET_DYN { PIE_BASE } else { 0 };
    let mut segments: Vec<Segment> = Vec::new();
    for (index, row) in table.iter().enumerate() {
        match row.p_type {
            PT_INTERP => return Err(ElfError::Dynamic),
            PT_LOAD => push_segment(&mut segments, file, index, &row, base)?,
            PT_TLS => in_file(file, "thread-local data", row.p_offset, row.p_filesz).map(|_| ())?,
            _ => {}
        }
    }
    if header.e_type == ET_DYN && header.e_entry == 0 {
        return Err(ElfError::NoEntry);
    }
    let entry = entry_point(&header, &segments, base)?;
    let listed = table.iter().find(|row| row.p_type == PT_PHDR);
    let headers = match listed {
        Some(row) => base.wrapping_add(row.p_vaddr),
        None => loaded_at(&segments, header.e_phoff),
    };
    Ok(Program {
        entry,
        segments,
        headers,
        header_count: header.e_phnum,
    })
}

fn file_header(file: &[u8]) -> Result<FileHeader<LittleEndian>, ElfError> {
    let truncated = ElfError::Truncated {
        what: "the file header",
        wanted: HEADER_SIZE as u64,
        length: file.len() as u64,
    };
    if !file.starts_with(b"\x7fELF") {
        return Err(ElfError::NotElf);
    }
    let (ident, tail) = file.split_at_checked(16).ok_or(truncated)?;
    let ident = parse_ident::<LittleEndian>(ident).map_err(|_| ElfError::UnsupportedFormat)?;
    if ident.1 == Class::ELF32 {
        return Err(ElfError::Bits32);
    }
    let tail = tail.get(..HEADER_SIZE - 16).ok_or(truncated)?;
    let header = FileHeader::parse_tail(ident, tail).map_err(|_| truncated)?;
    if header.e_machine != EM_X86_64 {
        return Err(ElfError::WrongMachine(header.e_machine));
    }
    if header.version != 1 {
        return Err(ElfError::UnsupportedFormat);
    }
    match header.e_type {
        ET_EXEC | ET_DYN => Ok(header),
        other => Err(ElfError::NotExecutable(other)),
    }
}

fn header_table<'a>(
    file: &'a [u8],
    header: &FileHeader<LittleEndian>,
) -> Result<SegmentTable<'a, LittleEndian>, ElfError> {
    if u64::from(header.e_phentsize) != PROGRAM_HEADER_SIZE {
        return Err(ElfError::BadHeader("a program header is not 56 bytes long"));
    }
    if header.e_phnum == 0 {
        return Err(ElfError::NoSegments);
    }
    let size = u64::from(header.e_phnum) * PROGRAM_HEADER_SIZE;
    let range = in_file(file, "the program header table", header.e_phoff, size)?;
    Ok(SegmentTable::new(LittleEndian, Class::ELF64, &file[range]))
}

/// The range of the file, if it is there.
fn in_file(
    file: &[u8],
    what: &'static str,
    offset: u64,
    size: u64,
) -> Result<Range<usize>, ElfError> {
    let length = file.len() as u64;
    let wanted = offset.saturating_add(size);
    if wanted > length {
        return Err(ElfError::Truncated {
            what,
            wanted,
            length,
        });
    }
    Ok(offset as usize..wanted as usize)
}

fn push_segment(
    segments: &mut Vec<Segment>,
    file: &[u8],
    index: usize,
    row: &ProgramHeader,
    base: u64,
) -> Result<(), ElfError> {
    let bad = |why| ElfError::BadSegment { index, why };
    if row.p_memsz < row.p_filesz {
        return Err(bad("it is smaller in memory than in the file"));
    }
    if row.p_memsz == 0 {
        return Ok(());
    }
    if row.p_vaddr % PAGE_SIZE != row.p_offset % PAGE_SIZE {
        return Err(bad(
            "its address and its place in the file differ within the page",
        ));
    }
    let address = segment_address(row, base).map_err(bad)?;
    if segments.last().is_some_and(|before| address < before.end()) {
        return Err(bad("it overlaps or precedes the one before"));
    }
    let file = in_file(file, "a segment", row.p_offset, row.p_filesz)?;
    segments.push(Segment {
        file,
        address,
        size: row.p_memsz,
        protection: Protection {
            read: row.p_flags & PF_R != 0,
            write: row.p_flags & PF_W != 0,
            execute: row.p_flags & PF_X != 0,
        },
    });
    Ok(())
}

/// Where a segment of a file that is loaded at `base` begins, if all of it is a process's to use.
fn segment_address(row: &ProgramHeader, base: u64) -> Result<u64, &'static str> {
    let address = row
        .p_vaddr
        .checked_add(base)
        .ok_or("its address is absurd")?;
    let end = address
        .checked_add(row.p_memsz)
        .ok_or("its size is absurd")?;
    if address < USER_START || end > USER_END || row.p_memsz > SPAN_MAX {
        return Err("it lies outside of what a process can use");
    }
    if end > STACK_TOP - STACK_MAX {
        return Err("it lies where the stack is");
    }
    Ok(address)
}

fn entry_point(
    header: &FileHeader<LittleEndian>,
    segments: &[Segment],
    base: u64,
) -> Result<u64, ElfError> {
    let entry = base.wrapping_add(header.e_entry);
    let holds = |s: &Segment| s.protection.execute && (s.address..s.end()).contains(&entry);
    if segments.is_empty() {
        return Err(ElfError::NoSegments);
    }
    match segments.iter().any(holds) {
        true => Ok(entry),
        false => Err(ElfError::EntryOutside(entry)),
    }
}

/// Where this byte of the file is in memory, 0 if nowhere.
fn loaded_at(segments: &[Segment], offset: u64) -> u64 {
    let offset = offset as usize;
    let holder = segments.iter().find(|s| s.file.contains(&offset));
    holder.map_or(0, |s| s.address + (offset - s.file.start) as u64)
}

#[cfg(test)]
pub(crate) mod tests;
