//! What GRUB hands over. The information stays where GRUB put it, and its memory is reserved.

use core::ops::Range;
use elf::abi::SHT_SYMTAB;
use elf::section::SectionHeader;
use multiboot2::{BootInformation, BootInformationHeader, FramebufferTag, MemoryAreaType};
use vmm::guest::Module;

/// The value of EAX at entry.
pub const MAGIC: u32 = multiboot2::MAGIC;

/// The multiboot2 information.
pub struct Info(&'static BootInformation<'static>);

impl Info {
    /// Loads the information from where GRUB says it is.
    ///
    /// # Errors
    /// The line to print.
    ///
    /// # Safety
    /// `address` is what GRUB passed in EBX, and the memory will be left alone for good.
    pub unsafe fn load(address: u32) -> Result<Self, &'static str> {
        static INFORMATION: spin::Once<Held> = spin::Once::new();
        // SAFETY: by the caller.
        let loaded = unsafe { BootInformation::load(address as *const BootInformationHeader) };
        let loaded = loaded.map_err(|_| "the multiboot2 information is malformed")?;
        Ok(Self(&INFORMATION.call_once(|| Held(loaded)).0))
    }

    /// The hypervisor's command line.
    pub fn command_line(&self) -> &'static str {
        self.0
            .command_line_tag()
            .and_then(|tag| tag.cmdline().ok())
            .unwrap_or("")
    }

    /// The usable memory.
    pub fn usable(&self) -> impl Iterator<Item = Range<u64>> {
        self.areas()
            .filter(|(_, usable)| *usable)
            .map(|(range, _)| range)
    }

    /// The whole memory map, with whether each area is usable.
    pub fn areas(&self) -> impl Iterator<Item = (Range<u64>, bool)> {
        let areas = self
            .0
            .memory_map_tag()
            .map_or(&[][..], |tag| tag.memory_areas());
        areas.iter().map(|a| {
            (
                a.start_address()..a.end_address(),
                a.typ() == MemoryAreaType::Available,
            )
        })
    }

    /// What is memory, usable or firmware's: the rest of the addresses are devices', or nobody's.
    pub fn memory(&self) -> impl Iterator<Item = Range<u64>> {
        let areas = self
            .0
            .memory_map_tag()
            .map_or(&[][..], |tag| tag.memory_areas());
        let kinds = [
            MemoryAreaType::Available,
            MemoryAreaType::AcpiAvailable,
            MemoryAreaType::ReservedHibernate,
        ];
        (areas.iter())
            .filter(move |a| kinds.iter().any(|&kind| a.typ() == kind))
            .map(|a| a.start_address()..a.end_address())
    }

    /// The modules, in GRUB's order.
    pub fn modules(&self) -> impl Iterator<Item = Module> {
        self.0.module_tags().map(|tag| {
            let range = u64::from(tag.start_address())..u64::from(tag.end_address());
            Module {
                // SAFETY: GRUB put the module there; the memory is reserved, and nothing writes it.
                content: unsafe { bytes(range) },
                command_line: tag.cmdline().unwrap_or(""),
            }
        })
    }

    /// The contents of the image's symbol table and of its string table.
    pub fn symbols(&self) -> Option<(&'static [u8], &'static [u8])> {
        let table = self.sections().find(|s| s.sh_type == SHT_SYMTAB)?;
        let names = self.sections().nth(table.sh_link as usize)?;
        // SAFETY: GRUB loaded both sections; the memory is reserved, and nothing writes it.
        Some(unsafe { (bytes(place(&table)), bytes(place(&names))) })
    }

    fn sections(&self) -> impl Iterator<Item = SectionHeader> {
        self.0
            .elf_sections_tag()
            .into_iter()
            .flat_map(|tag| tag.sections())
    }

    /// The memory that holds the information, the modules and the image's unmapped sections.
    pub fn reserved(&self) -> impl Iterator<Item = Range<u64>> {
        let own = self.0.start_address() as u64..self.0.end_address() as u64;
        let modules = self.modules().map(|m| {
            let start = m.content.as_ptr() as u64;
            start..start + m.content.len() as u64
        });
        core::iter::once(own)
            .chain(modules)
            .chain(self.sections().map(|s| place(&s)))
            .filter(|r| !r.is_empty())
    }

    /// The RSDP's root table: `(address, entries are 64-bit)`.
    pub fn acpi_root(&self) -> Option<(u64, bool)> {
        if let Some(tag) = self.0.rsdp_v2_tag()
            && tag.checksum_is_valid()
            && tag.xsdt_address() != 0
        {
            return Some((tag.xsdt_address() as u64, true));
        }
        let tag = self.0.rsdp_v1_tag().filter(|tag| tag.checksum_is_valid())?;
        Some((tag.rsdt_address() as u64, false))
    }

    /// The RSDP names the maker of QEMU's and Bochs' tables.
    pub fn is_emulator(&self) -> bool {
        const OEM: &str = "BOCHS ";
        let newer = self
            .0
            .rsdp_v2_tag()
            .is_some_and(|tag| tag.oem_id() == Ok(OEM));
        newer
            || self
                .0
                .rsdp_v1_tag()
                .is_some_and(|tag| tag.oem_id() == Ok(OEM))
    }

    /// The framebuffer, or the text screen.
    pub fn framebuffer(&self) -> Option<&'static FramebufferTag> {
        self.0.framebuffer_tag()?.ok()
    }
}

struct Held(BootInformation<'static>);

// SAFETY: the information is only read.
unsafe impl Sync for Held {}
// SAFETY: as above.
unsafe impl Send for Held {}

fn place(section: &SectionHeader) -> Range<u64> {
    section.sh_addr..section.sh_addr.saturating_add(section.sh_size)
}

/// # Safety
/// The range is memory that nothing writes from now on.
unsafe fn bytes(range: Range<u64>) -> &'static [u8] {
    if range.start == 0 || range.is_empty() {
        return &[];
    }
    // SAFETY: by the caller; the mapping is the identity.
    unsafe {
        core::slice::from_raw_parts(range.start as *const u8, (range.end - range.start) as usize)
    }
}
