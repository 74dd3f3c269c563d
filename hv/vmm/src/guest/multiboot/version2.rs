//! Multiboot2 Specification version 2.0: the header and its tags, and the boot information.

use super::super::memory_map::{HIGH, lower_and_upper, memory_map};
use super::super::room::{Room, Side};
use super::image::{Addresses, Flat, Relocation, Wanted};
use super::{Facts, LOADER, LoadError, NoHeader, find_header, refuse, word};
use crate::memory::GuestRam;
use alloc::format;
use alloc::vec::Vec;
use spec::addr::L1Gpa;

/// What the kernel finds in EAX.
pub(super) const MAGIC: u32 = 0x36d7_6289;
/// Where the header has to be.
const WINDOW: usize = 32768;
const HEADER_SIZE: usize = 16;

/// Finds the header.
pub(super) fn find(file: &[u8]) -> Result<usize, NoHeader> {
    const HEADER_MAGIC: u32 = 0xe852_50d6;
    const I386: u32 = 0;
    let at = find_header(file, 2, HEADER_MAGIC, (WINDOW, 8, 4))?;
    match word(file, at + 4) {
        Some(I386) => Ok(at),
        other => Err(NoHeader::Bad(LoadError::Program(format!(
            "its Multiboot 2 header is for architecture {}, not i386",
            other.unwrap_or(0)
        )))),
    }
}

/// The types of the header's tags.
mod tag {
    pub(super) const END: u32 = 0;
    pub(super) const INFORMATION_REQUEST: u32 = 1;
    pub(super) const ADDRESS: u32 = 2;
    pub(super) const ENTRY_ADDRESS: u32 = 3;
    pub(super) const CONSOLE_FLAGS: u32 = 4;
    pub(super) const FRAMEBUFFER: u32 = 5;
    pub(super) const RELOCATABLE: u32 = 10;
}

/// Reads the tags of the header at `at`.
pub(super) fn read(file: &[u8], at: usize) -> Result<Wanted, LoadError> {
    let head = &file[..file.len().min(WINDOW)];
    let mut wanted = Wanted::elf(WINDOW);
    let mut tag_at = at + HEADER_SIZE;
    loop {
        let broken =
            || LoadError::Program(format!("its Multiboot 2 header is broken at {tag_at:#x}"));
        let first = word(head, tag_at).ok_or_else(broken)?;
        let size = word(head, tag_at + 4).ok_or_else(broken)? as usize;
        if first & 0xffff == tag::END {
            break;
        }
        let end = tag_at.checked_add(size).filter(|_| size >= 8);
        let end = end.ok_or_else(broken)?;
        let body = head.get(tag_at + 8..end).ok_or_else(broken)?;
        let optional = first >> 16 & 1 != 0;
        read_tag(&mut wanted, file, at, first & 0xffff, body, optional)?.ok_or_else(broken)?;
        tag_at = end.next_multiple_of(8);
    }
    if wanted.flat.is_some() && wanted.entry.is_none() {
        return refuse("its Multiboot 2 header has a load address and no entry address".into());
    }
    Ok(wanted)
}

/// Takes one tag; `None` for one that is too short.
fn read_tag(
    wanted: &mut Wanted,
    file: &[u8],
    header_at: usize,
    kind: u32,
    body: &[u8],
    optional: bool,
) -> Result<Option<()>, LoadError> {
    /// Modules are always on pages, and where there is no EFI its tags say nothing.
    const WITHOUT_EFFECT: core::ops::RangeInclusive<u32> = 6..=9;
    match kind {
        tag::INFORMATION_REQUEST if !optional => check_request(body)?,
        tag::ADDRESS => {
            let Some(addresses) = addresses(header_at, body) else {
                return Ok(None);
            };
            wanted.flat = Some(Flat::new(file, header_at, &addresses)?);
        }
        tag::ENTRY_ADDRESS => wanted.entry = word(body, 0),
        tag::CONSOLE_FLAGS if !optional && word(body, 0).is_some_and(|flags| flags & 1 != 0) => {
            return refuse(
                "it requires a console, and there is neither EGA text nor a framebuffer".into(),
            );
        }
        tag::RELOCATABLE => {
            wanted.relocation = relocation(body);
            return Ok(wanted.relocation.as_ref().map(|_| ()));
        }
        tag::FRAMEBUFFER => wanted.video |= !optional,
        tag::INFORMATION_REQUEST | tag::CONSOLE_FLAGS => {}
        kind if optional || WITHOUT_EFFECT.contains(&kind) => {}
        kind => {
            return refuse(format!(
                "its Multiboot 2 header requires a tag that is not known: {kind}"
            ));
        }
    }
    Ok(Some(()))
}

fn addresses(header_at: usize, body: &[u8]) -> Option<Addresses> {
    let header = word(body, 0)?;
    Some(Addresses {
        header,
        // All ones: as much before the header as the file has.
        load: match word(body, 4)? {
            u32::MAX => header.wrapping_sub(header_at as u32),
            load => load,
        },
        load_end: word(body, 8)?,
        bss_end: word(body, 12)?,
    })
}

fn relocation(body: &[u8]) -> Option<Relocation> {
    const HIGH: u32 = 2;
    Some(Relocation {
        within: word(body, 0)?.into()..u64::from(word(body, 4)?) + 1,
        align: word(body, 8)?.into(),
        high: word(body, 12)? == HIGH,
    })
}

/// A loader has to know what is requested, and gives it if there is any: "Information request header tag".
fn check_request(body: &[u8]) -> Result<(), LoadError> {
    const LAST: u32 = 21;
    let requests = (0..body.len() / 4).filter_map(|n| word(body, n * 4));
    match requests.into_iter().find(|&kind| kind > LAST) {
        None => Ok(()),
        Some(kind) => refuse(format!(
            "it requires boot information of a type that is not known: {kind}"
        )),
    }
}

/// Writes the boot information above 1 MiB; returns its address.
pub(super) fn inform(
    ram: &GuestRam,
    room: &mut Room,
    facts: &Facts<'_>,
    rsdp: L1Gpa,
) -> Result<u32, LoadError> {
    let bytes = information(ram, facts, rsdp);
    let length = bytes.len() as u64;
    let at = room.place(length, 8, HIGH..u32::MAX.into(), Side::Bottom);
    match at.filter(|&at| ram.write(L1Gpa(at), &bytes).is_ok()) {
        Some(at) => Ok(at as u32),
        None => refuse(format!(
            "there is no room for {length} bytes of boot information; give it more memory with `mem=`"
        )),
    }
}

/// The boot information, its tags in GRUB's order: Multiboot2 Specification, "Boot information format".
fn information(ram: &GuestRam, facts: &Facts<'_>, rsdp: L1Gpa) -> Vec<u8> {
    let mut bytes = alloc::vec![0; 8];
    push(&mut bytes, 21, &[facts.image.base], &[]);
    push_text(&mut bytes, 1, &[], facts.files.command_line);
    push_text(&mut bytes, 2, &[], LOADER);
    for (at, module) in facts.modules.iter().zip(facts.files.modules) {
        push_text(&mut bytes, 3, &[at.start, at.end], module.line);
    }
    push_memory_map(&mut bytes, facts.memory_size);
    match &facts.image.sections {
        Some(sections) => {
            let head = [sections.count, sections.header_size, sections.names];
            push(&mut bytes, 9, &head, &sections.headers);
        }
        None => push(&mut bytes, 9, &[0; 3], &[]),
    }
    push(&mut bytes, 4, &lower_and_upper(facts.memory_size), &[]);
    push_rsdp(&mut bytes, ram, rsdp);
    push(&mut bytes, 0, &[], &[]);
    let size = bytes.len() as u32;
    bytes[..4].copy_from_slice(&size.to_le_bytes());
    bytes
}

fn push(bytes: &mut Vec<u8>, kind: u32, words: &[u32], rest: &[u8]) {
    let size = 8 + words.len() * 4 + rest.len();
    for word in [kind, size as u32].iter().chain(words) {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(rest);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

fn push_text(bytes: &mut Vec<u8>, kind: u32, words: &[u32], text: &str) {
    let mut text = Vec::from(text);
    text.push(0);
    push(bytes, kind, words, &text);
}

fn push_memory_map(bytes: &mut Vec<u8>, memory_size: u64) {
    const ENTRY: u32 = 24;
    let mut entries = Vec::new();
    for region in memory_map(memory_size) {
        entries.extend(region.start.to_le_bytes());
        entries.extend(region.length.to_le_bytes());
        entries.extend(u64::from(region.kind).to_le_bytes());
    }
    push(bytes, 6, &[ENTRY, 0], &entries);
}

/// Copies of the root system description pointer: as ACPI 1.0 has it, and as ACPI 2.0 has it.
fn push_rsdp(bytes: &mut Vec<u8>, ram: &GuestRam, at: L1Gpa) {
    let mut rsdp = [0; 36];
    if ram.read(at, &mut rsdp).is_ok() {
        push(bytes, 14, &[], &rsdp[..20]);
        push(bytes, 15, &[], &rsdp);
    }
}
