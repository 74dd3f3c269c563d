use super::*;
use crate::memory::testing::VecMemory;
use spec::addr::Hpa;

fn ram(size: usize) -> GuestRam {
    GuestRam::new(VecMemory::leak(size), Hpa(0), size as u64)
}

fn bytes<const N: usize>(ram: &GuestRam, at: u64) -> [u8; N] {
    let mut bytes = [0; N];
    ram.read(L1Gpa(at), &mut bytes).unwrap();
    bytes
}

#[test]
fn both_kinds_of_tables_are_found_where_guests_look() {
    for cpus in [1, 8] {
        let ram = ram(2 << 20);
        let rsdp = write(&ram, cpus).unwrap();
        assert_eq!((rsdp.0 % 16, &bytes(&ram, rsdp.0)), (0, b"RSD PTR "));
        let xsdt = u64::from_le_bytes(bytes(&ram, rsdp.0 + 24));
        assert_eq!(&bytes(&ram, xsdt), b"XSDT");
        assert_eq!(&bytes(&ram, 0xf_0000), b"_MP_");
        let read = |at: u64, out: &mut [u8]| ram.read(L1Gpa(at), out).is_ok();
        let madt = crate::acpi::find_madt(&read, xsdt, true).unwrap();
        assert_eq!(madt.apic_ids.len(), cpus);
    }
}

#[test]
fn less_than_a_mebibyte_is_too_little() {
    assert_eq!(write(&ram(512 << 10), 1), Err(OutsideRam));
}
