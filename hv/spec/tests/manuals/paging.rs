//! Paging bits against the `x86` crate's, addresses within entries, canonical addresses.

use spec::paging::{Entry, EptEntry, PageFaultCode, PageSize, index, is_canonical};
use x86::bits64::paging::{PDFlags, PTFlags};
use x86::irq::PageFaultError;

#[test]
fn bits_are_those_of_the_x86_crate() {
    let rows = [
        (Entry::P, PTFlags::P.bits()),
        (Entry::RW, PTFlags::RW.bits()),
        (Entry::US, PTFlags::US.bits()),
        (Entry::PWT, PTFlags::PWT.bits()),
        (Entry::PCD, PTFlags::PCD.bits()),
        (Entry::A, PTFlags::A.bits()),
        (Entry::D, PTFlags::D.bits()),
        (Entry::G, PTFlags::G.bits()),
        (Entry::XD, PTFlags::XD.bits()),
        (Entry::PS, PDFlags::PS.bits()),
        (Entry::PAT_LARGE, PDFlags::PAT.bits()),
    ];
    for (ours, theirs) in rows {
        assert_eq!(ours.bits(), theirs, "{ours:?}");
    }
    let codes = [
        (PageFaultCode::P, PageFaultError::P),
        (PageFaultCode::WR, PageFaultError::WR),
        (PageFaultCode::US, PageFaultError::US),
        (PageFaultCode::RSVD, PageFaultError::RSVD),
        (PageFaultCode::ID, PageFaultError::ID),
        (PageFaultCode::PK, PageFaultError::PK),
    ];
    for (ours, theirs) in codes {
        assert_eq!(ours.bits(), theirs.bits(), "{ours:?}");
    }
}

#[test]
fn entries_hold_their_address() {
    let entry = Entry::new(0x1234_5fff, Entry::P | Entry::RW | Entry::XD);
    assert_eq!(entry.bits(), 0x8000_0000_1234_5003);
    assert_eq!(entry.address(), 0x1234_5000);
    let large = Entry::new(0x4020_0000, Entry::P | Entry::PS | Entry::PAT_LARGE);
    assert_eq!(large.page_address(PageSize::Size2M), 0x4020_0000);
    assert_eq!(large.page_address(PageSize::Size1G), 0x4000_0000);
    let ept = EptEntry::new(
        0x20_0000,
        EptEntry::RWX | EptEntry::MEMORY_TYPE_WB | EptEntry::LARGE,
    );
    assert_eq!(ept.bits(), 0x20_00b7);
    assert_eq!((ept.memory_type(), ept.address()), (6, 0x20_0000));
    assert_eq!(
        EptEntry::new(0x20_0000, EptEntry::RWX | EptEntry::LARGE).memory_type(),
        0
    );
}

#[test]
fn page_sizes() {
    let rows = [
        (PageSize::Size4K, 4 << 10, 1),
        (PageSize::Size2M, 2 << 20, 2),
        (PageSize::Size1G, 1 << 30, 3),
    ];
    for (size, bytes, level) in rows {
        assert_eq!((size.bytes(), size.level()), (bytes, level));
        assert_eq!(PageSize::at_level(level), Some(size));
    }
    assert_eq!(PageSize::at_level(4), None);
}

#[test]
fn indices_of_an_address() {
    let address = (1 << 39) | (2 << 30) | (3 << 21) | (4 << 12) | 0xabc;
    assert_eq!(
        [4, 3, 2, 1].map(|level| index(address, level)),
        [1, 2, 3, 4]
    );
    assert_eq!(index(u64::MAX, 4), 511);
}

#[test]
fn canonical() {
    let rows = [
        (0, true),
        (0x7fff_ffff_ffff, true),
        (0x8000_0000_0000, false),
        (0xffff_7fff_ffff_ffff, false),
        (0xffff_8000_0000_0000, true),
        (u64::MAX, true),
        (1 << 63, false),
    ];
    for (address, expected) in rows {
        assert_eq!(is_canonical(address), expected, "{address:#x}");
    }
}
