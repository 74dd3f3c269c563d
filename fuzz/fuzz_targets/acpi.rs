//! Any bytes as the firmware's tables, the root table first: the reader ends, with a MADT or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vmm::acpi::find_madt;

fuzz_target!(|memory: &[u8]| {
    let read = |at: u64, into: &mut [u8]| {
        let found = usize::try_from(at).ok().and_then(|at| memory.get(at..)?.get(..into.len()));
        found.map(|bytes| into.copy_from_slice(bytes)).is_some()
    };
    for is_xsdt in [false, true] {
        if let Ok(madt) = find_madt(&read, 0, is_xsdt) {
            assert!(madt.apic_ids.len() + madt.io_apics.len() <= memory.len());
        }
    }
});
