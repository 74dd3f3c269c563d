//! Multiboot Specification version 0.6.96: the header, and the boot information.

use super::super::memory_map::{lower_and_upper, memory_map};
use super::super::room::{Room, Side};
use super::image::{Addresses, Flat, Wanted};
use super::{Facts, LOADER, LoadError, NoHeader, find_header, refuse, word};
use crate::memory::GuestRam;
use alloc::format;
use alloc::vec::Vec;
use spec::addr::L1Gpa;

/// What the kernel finds in EAX.
pub(super) const MAGIC: u32 = 0x2bad_b002;
/// Where the header has to be.
const WINDOW: usize = 8192;

/// Finds the header.
pub(super) fn find(file: &[u8]) -> Result<usize, NoHeader> {
    const HEADER_MAGIC: u32 = 0x1bad_b002;
    find_header(file, 1, HEADER_MAGIC, (WINDOW, 4, 3))
}

/// Reads the header at `at`.
pub(super) fn read(file: &[u8], at: usize) -> Result<Wanted, LoadError> {
    const ADDRESSES: u32 = 1 << 16;
    const VIDEO: u32 = 1 << 2;
    /// Page-aligned modules and memory information, which are always given, and a video mode.
    const KNOWN: u32 = 0b11 | VIDEO;
    let flags = word(file, at + 4).unwrap_or(0);
    let unknown = flags & 0xffff & !KNOWN;
    if unknown != 0 {
        return refuse(format!(
            "its Multiboot 1 header requires flags that are not known: {unknown:#x}"
        ));
    }
    let wanted = Wanted {
        video: flags & VIDEO != 0,
        ..Wanted::elf(WINDOW)
    };
    if flags & ADDRESSES == 0 {
        return Ok(wanted);
    }
    let field = |n: usize| word(file, at + 12 + n * 4);
    let (Some(header), Some(load), Some(load_end), Some(bss_end), Some(entry)) =
        (field(0), field(1), field(2), field(3), field(4))
    else {
        return refuse("it is cut short in its Multiboot 1 header".into());
    };
    let addresses = Addresses {
        header,
        load,
        load_end,
        bss_end,
    };
    Ok(Wanted {
        flat: Some(Flat::new(file, at, &addresses)?),
        entry: Some(entry),
        ..wanted
    })
}

/// Writes the boot information below 640 KiB; returns its address.
pub(super) fn inform(ram: &GuestRam, room: &mut Room, facts: &Facts<'_>) -> Result<u32, LoadError> {
    let length = information(0, facts).len() as u64;
    let at = room.place(length, 4, 0x1_0000..0xa_0000, Side::Bottom);
    let written = at.filter(|&at| {
        let bytes = information(at as u32, facts);
        ram.write(L1Gpa(at), &bytes).is_ok()
    });
    match written {
        Some(at) => Ok(at as u32),
        None => refuse(format!(
            "it leaves no room below 640 KiB for {length} bytes of boot information"
        )),
    }
}

/// The boot information: Multiboot Specification, "Boot information format".
fn information(base: u32, facts: &Facts<'_>) -> Vec<u8> {
    const SIZE: usize = 120;
    const MEMORY: u32 = 1 << 0;
    const COMMAND_LINE: u32 = 1 << 2;
    const MODULES: u32 = 1 << 3;
    const SECTIONS: u32 = 1 << 5;
    const MEMORY_MAP: u32 = 1 << 6;
    const LOADER_NAME: u32 = 1 << 9;
    let mut table = Table {
        base,
        bytes: alloc::vec![0; SIZE],
    };
    let [lower, upper] = lower_and_upper(facts.memory_size);
    let mut flags = MEMORY | COMMAND_LINE | MEMORY_MAP | LOADER_NAME;
    table.set(4, &[lower, upper]);
    let line = table.push_text(facts.files.command_line);
    table.set(16, &[line]);
    let name = table.push_text(LOADER);
    table.set(64, &[name]);
    if !facts.modules.is_empty() {
        flags |= MODULES;
        let list = table.push_modules(facts);
        table.set(20, &[facts.modules.len() as u32, list]);
    }
    let map = table.end();
    let length = table.push_memory_map(facts.memory_size);
    table.set(44, &[length, map]);
    if let Some(sections) = &facts.image.sections {
        flags |= SECTIONS;
        let at = table.end();
        table.bytes.extend(&sections.headers);
        table.set(
            28,
            &[sections.count, sections.header_size, at, sections.names],
        );
    }
    table.set(0, &[flags]);
    table.bytes
}

/// The boot information while it is made, to be put at `base`.
struct Table {
    base: u32,
    bytes: Vec<u8>,
}

impl Table {
    /// Where the next thing will be.
    fn end(&self) -> u32 {
        self.base.wrapping_add(self.bytes.len() as u32)
    }

    fn set(&mut self, mut at: usize, words: &[u32]) {
        for word in words {
            if let Some(place) = self.bytes.get_mut(at..at + 4) {
                place.copy_from_slice(&word.to_le_bytes());
            }
            at += 4;
        }
    }

    fn push_text(&mut self, text: &str) -> u32 {
        let at = self.end();
        self.bytes.extend(text.as_bytes());
        let length = (self.bytes.len() + 1).next_multiple_of(4);
        self.bytes.resize(length, 0);
        at
    }

    fn push_modules(&mut self, facts: &Facts<'_>) -> u32 {
        const ENTRY: usize = 16;
        let (list, start) = (self.end(), self.bytes.len());
        let length = facts.modules.len() * ENTRY;
        self.bytes.resize(start + length, 0);
        for (index, (at, module)) in facts.modules.iter().zip(facts.files.modules).enumerate() {
            let line = self.push_text(module.line);
            self.set(start + index * ENTRY, &[at.start, at.end, line]);
        }
        list
    }

    fn push_memory_map(&mut self, memory_size: u64) -> u32 {
        const ENTRY: u32 = 20;
        let start = self.bytes.len();
        for region in memory_map(memory_size) {
            self.bytes.extend(ENTRY.to_le_bytes());
            self.bytes.extend(region.start.to_le_bytes());
            self.bytes.extend(region.length.to_le_bytes());
            self.bytes.extend(region.kind.to_le_bytes());
        }
        (self.bytes.len() - start) as u32
    }
}
