use super::*;
use crate::memory::testing::VecMemory;
use spec::addr::Hpa;

const TABLES: u64 = 0x1000;

fn paging(cr0: Cr0, cr4: Cr4, efer: Efer) -> Paging {
    Paging {
        cr0: cr0 | Cr0::PE,
        cr3: TABLES,
        cr4,
        efer,
        rflags: Rflags::empty(),
        physical_address_bits: 40,
    }
}

fn long() -> Paging {
    paging(Cr0::PG | Cr0::WP, Cr4::PAE, Efer::LMA | Efer::NXE)
}

const READ: Access = Access {
    write: false,
    fetch: false,
    user: false,
};
const WRITE: Access = Access {
    write: true,
    ..READ
};
const FETCH: Access = Access {
    fetch: true,
    ..READ
};
const USER: Access = Access { user: true, ..READ };

/// Four levels that map 0x40_0000 with `flags` to 0x7000.
fn four_level(flags: Entry) -> GuestRam {
    let ram = GuestRam::new(VecMemory::leak(0x10000), Hpa(0), 0x10000);
    let all = Entry::P | Entry::RW | Entry::US;
    for (at, entry) in [(TABLES, 0x2000), (0x2000, 0x3000), (0x3000 + 16, 0x4000)] {
        ram.write_u64(L1Gpa(at), entry | all.bits()).unwrap();
    }
    ram.write_u64(L1Gpa(0x4000), 0x7000 | flags.bits()).unwrap();
    ram
}

#[test]
fn without_paging_addresses_are_32_bits() {
    let ram = four_level(Entry::P);
    let real = paging(Cr0::empty(), Cr4::empty(), Efer::empty());
    assert_eq!(
        real.translate(&ram, Gva(0x1_0000_1234), WRITE),
        Ok(L1Gpa(0x1234))
    );
}

#[test]
fn rights_are_the_manuals() {
    use PageFaultCode as F;
    let (p, rw, us, xd) = (Entry::P, Entry::RW, Entry::US, Entry::XD);
    for (flags, access, want) in [
        (p, READ, Ok(())),
        (p, WRITE, Err(F::P | F::WR)),
        (p | rw, WRITE, Ok(())),
        (p | rw, USER, Err(F::P | F::US)),
        (p | rw | us, USER, Ok(())),
        (p | xd, FETCH, Err(F::P | F::ID)),
        (p, FETCH, Ok(())),
        (Entry::empty(), FETCH, Err(F::ID)),
        (rw, WRITE, Err(F::WR)),
        (
            p | Entry::from_bits_retain(1 << 45),
            READ,
            Err(F::P | F::RSVD),
        ),
    ] {
        let got = long().translate(&four_level(flags), Gva(0x40_0123), access);
        assert_eq!(got, want.map(|()| L1Gpa(0x7123)), "{flags:?} {access:?}");
    }
}

#[test]
fn wp_smep_smap_and_ac_decide_for_the_supervisor() {
    let ram = |flags| four_level(flags);
    let user_page = Entry::P | Entry::US;
    let no_wp = Paging {
        cr0: Cr0::PG,
        ..long()
    };
    assert!(
        no_wp
            .translate(&ram(Entry::P), Gva(0x40_0000), WRITE)
            .is_ok()
    );
    let smep = Paging {
        cr4: Cr4::PAE | Cr4::SMEP,
        ..long()
    };
    assert!(
        smep.translate(&ram(user_page), Gva(0x40_0000), FETCH)
            .is_err()
    );
    assert!(
        smep.translate(&ram(user_page), Gva(0x40_0000), READ)
            .is_ok()
    );
    let smap = Paging {
        cr4: Cr4::PAE | Cr4::SMAP,
        ..long()
    };
    assert!(
        smap.translate(&ram(user_page), Gva(0x40_0000), READ)
            .is_err()
    );
    let ac = Paging {
        rflags: Rflags::AC,
        ..smap
    };
    assert!(ac.translate(&ram(user_page), Gva(0x40_0000), READ).is_ok());
}

#[test]
fn accessed_and_dirty_are_set_as_the_processor_sets_them() {
    let ram = four_level(Entry::P | Entry::RW);
    let leaf = || Entry::from_bits_retain(ram.read_u64(L1Gpa(0x4000)).unwrap());
    long().translate(&ram, Gva(0x40_0000), READ).unwrap();
    assert!(leaf().contains(Entry::A) && !leaf().contains(Entry::D));
    long().translate(&ram, Gva(0x40_0000), WRITE).unwrap();
    assert!(leaf().contains(Entry::A | Entry::D));
    let top = Entry::from_bits_retain(ram.read_u64(L1Gpa(TABLES)).unwrap());
    assert!(top.contains(Entry::A) && !top.contains(Entry::D));
}

#[test]
fn two_level_with_4_mib_pages_and_pse36() {
    let ram = four_level(Entry::P);
    let entry = 0x0040_0000u32 | 0b11 << 13 | (Entry::P | Entry::PS).bits() as u32;
    ram.write(L1Gpa(TABLES + 4 * 3), &entry.to_le_bytes())
        .unwrap();
    let pse = paging(Cr0::PG, Cr4::PSE, Efer::empty());
    assert_eq!(
        pse.translate(&ram, Gva(3 << 22 | 0x1234), READ),
        Ok(L1Gpa(3 << 32 | 0x0040_1234))
    );
    // A page table outside RAM is all ones.
    let no_pse = paging(Cr0::PG, Cr4::empty(), Efer::empty());
    assert_eq!(
        no_pse.translate(&ram, Gva(3 << 22 | 0x1234), READ),
        Ok(L1Gpa(0xffff_f234))
    );
}

#[test]
fn pae_has_pdptes_without_rights_and_2_mib_pages() {
    let ram = GuestRam::new(VecMemory::leak(0x10000), Hpa(0), 0x10000);
    ram.write_u64(L1Gpa(TABLES + 8), 0x2001).unwrap();
    ram.write_u64(
        L1Gpa(0x2000 + 8),
        0x20_0000 | (Entry::P | Entry::RW | Entry::US | Entry::PS).bits(),
    )
    .unwrap();
    let pae = paging(Cr0::PG, Cr4::PAE, Efer::empty());
    let at = Gva(1 << 30 | 1 << 21 | 0x777);
    assert_eq!(
        pae.translate(
            &ram,
            at,
            Access {
                user: true,
                ..WRITE
            }
        ),
        Ok(L1Gpa(0x20_0777))
    );
    ram.write_u64(L1Gpa(TABLES + 8), 0x2003).unwrap();
    assert_eq!(
        pae.translate(&ram, at, READ),
        Err(PageFaultCode::P | PageFaultCode::RSVD)
    );
}

proptest::proptest! {
    /// Any bits as paging structures: an answer, and no access outside RAM.
    #[test]
    fn outlives_any_structures(words in proptest::collection::vec(proptest::prelude::any::<u64>(), 512), at: u64, bits in 0u32..64, cr3: u64) {
        let ram = GuestRam::new(VecMemory::leak(0x1000), Hpa(0), 0x1000);
        for (n, word) in words.iter().enumerate() {
            ram.write_u64(L1Gpa(n as u64 * 8), word & 0x80ff | word & 0x1f00 & 1 << bits).unwrap();
        }
        for mut p in [long(), paging(Cr0::PG, Cr4::PAE, Efer::empty()), paging(Cr0::PG, Cr4::PSE, Efer::empty())] {
            p.cr3 = cr3 & 0xfff;
            let _ = p.translate(&ram, Gva(at), WRITE);
        }
    }
}

/// An entry that another CPU has cleared stays cleared.
#[test]
fn an_entry_that_changed_meanwhile_is_not_marked() {
    let ram = four_level(Entry::P);
    let old = Entry::from_bits_retain(ram.read_u64(L1Gpa(0x4000)).unwrap());
    ram.write_u64(L1Gpa(0x4000), 0).unwrap();
    assert!(!Shape::FOUR_LEVEL.mark(&ram, 0x4000, old, true));
    assert_eq!(ram.read_u64(L1Gpa(0x4000)), Ok(0));
    // The other entry in the same quadword does not matter, and stays.
    ram.write_u64(L1Gpa(0x4000), 0x5001 << 32 | 7).unwrap();
    let entry = Entry::from_bits_retain(0x5001);
    assert!(Shape::TWO_LEVEL.mark(&ram, 0x4004, entry, false));
    assert_eq!(ram.read_u64(L1Gpa(0x4000)), Ok(0x5021 << 32 | 7));
}
