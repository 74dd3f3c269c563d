//! Against SDM 3A "Local APIC Register Address Map" and "x2APIC Register Address Space".

use super::*;
use crate::device::lapic::tests::{enabled, errors};
use crate::device::lapic::{Pending, base};
use error::ILLEGAL_REGISTER;

/// SDM 3A "Local APIC Register Address Map" and "Error Handling".
#[test]
fn reserved_registers_are_errors_and_read_only_ones_are_none() {
    for register in 0..0x100 {
        let reserved = matches!(register, 0 | 1 | 4..=7 | 0x29..=0x2f | 0x3a..=0x3d | 0x3f..);
        let want = if reserved { ILLEGAL_REGISTER } else { 0 };
        let mut lapic = enabled();
        lapic.read_page(register, 0);
        assert_eq!(errors(&mut lapic), want, "read of {register:#x}");
        lapic.write_page(register, 0x30, 0);
        assert_eq!(errors(&mut lapic), want, "write of {register:#x}");
    }
}

/// SDM 3A "Local Vector Table": the bits of each entry. What is read only is no error to write.
#[test]
fn vector_entries_have_their_own_bits() {
    const X2APIC: u64 = base::ADDRESS | base::ENABLE | base::X2APIC;
    for (register, kept, read_only) in [
        (0x32, 0x7_00ff, 0x1000),
        (0x33, 0x1_07ff, 0x1000),
        (0x34, 0x1_07ff, 0x1000),
        (0x35, 0x1_a7ff, 0x5000),
        (0x36, 0x1_a7ff, 0x5000),
        (0x37, 0x1_00ff, 0x1000),
    ] {
        let mut lapic = enabled();
        lapic.write_page(register, u32::MAX, 0);
        assert_eq!(lapic.read_page(register, 0), kept, "{register:#x}");
        lapic.set_base(X2APIC).unwrap();
        for bit in 0..32 {
            let taken = lapic.write_msr(register, 1 << bit, 0).is_ok();
            let known = (kept | read_only) >> bit & 1 != 0;
            assert_eq!(taken, known, "{register:#x}, bit {bit}");
        }
    }
}

/// There is no entry for CMCI, as IA32_MCG_CAP has none.
#[test]
fn the_version_counts_the_vector_entries() {
    assert_eq!(enabled().read_page(3, 0), 5 << 16 | 0x14);
}

#[test]
fn x2apic_msrs_refuse_what_the_page_ignores() {
    let mut lapic = enabled();
    lapic
        .set_base(base::ADDRESS | base::ENABLE | base::X2APIC)
        .unwrap();
    assert_eq!(lapic.write_msr(END_OF_INTERRUPT, 1, 0), Err(AccessError));
    assert_eq!(lapic.write_msr(SPURIOUS, 1 << 12, 0), Err(AccessError));
    assert_eq!(lapic.write_msr(0x3f, 0x77, 0), Ok(()));
    assert_eq!(lapic.pending_interrupt(), Some(Pending::Vector(0x77)));
    assert_eq!(
        (lapic.read_msr(0x31, 0), lapic.read_msr(0x0e, 0)),
        (Err(AccessError), Err(AccessError))
    );
}
