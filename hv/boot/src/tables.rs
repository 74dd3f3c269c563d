//! What the ACPI tables say about this machine.

use crate::info::Info;
use crate::memory::EARLY_END;
use alloc::vec::Vec;
use vmm::acpi;
use x2apic::ioapic::IoApic;

/// The machine's CPUs and I/O APICs.
#[derive(Clone, Debug, Default)]
pub struct Platform {
    /// The APIC IDs of the CPUs; empty if the tables do not say.
    pub apic_ids: Vec<u32>,
    io_apics: Vec<u64>,
    /// The port of the PM timer.
    pub pm_timer: Option<u16>,
}

/// Reads the MADT and the FADT. Without a usable MADT there is one CPU.
pub fn read(info: &Info) -> Platform {
    let Some((root, is_xsdt)) = info.acpi_root() else {
        log::error!("ACPI: GRUB passed no valid RSDP; going on with one CPU");
        return Platform::default();
    };
    let madt = acpi::find_madt(&copy, root, is_xsdt).unwrap_or_else(|error| {
        log::error!("{error}; going on with one CPU");
        acpi::Madt::default()
    });
    Platform {
        apic_ids: madt.apic_ids,
        io_apics: madt.io_apics,
        pm_timer: acpi::find_pm_timer(&copy, root, is_xsdt),
    }
}

/// Copies firmware's bytes; the tables are below 4 GiB, all of which is mapped but page 0.
fn copy(at: u64, out: &mut [u8]) -> bool {
    let end = at.checked_add(out.len() as u64);
    let mapped = at >= 4096 && end.is_some_and(|end| end <= EARLY_END);
    if mapped {
        // SAFETY: mapped, and outside the memory that we use: firmware keeps its tables in areas
        // that the memory map does not call usable. If they lie, the bytes are still only data.
        unsafe { core::ptr::copy_nonoverlapping(at as *const u8, out.as_mut_ptr(), out.len()) }
    }
    mapped
}

/// Masks all that firmware may have routed.
pub fn mask_io_apics(platform: &Platform) {
    for &address in platform
        .io_apics
        .iter()
        .filter(|&&address| address < EARLY_END)
    {
        // SAFETY: the MADT says that an I/O APIC is there; the area is mapped, uncacheable by the
        // MTRRs, and nobody else uses it.
        unsafe {
            let mut io_apic = IoApic::new(address);
            (0..=io_apic.max_table_entry()).for_each(|irq| io_apic.disable_irq(irq));
        }
    }
}
