use super::*;
use crate::emulate::testing;
use crate::machine::Reg;
use spec::control_registers::Cr4;
use spec::paging::Entry;

/// The pages at 0x400000 and 0x401000, one behind the other.
const SEAM: Gva = Gva(0x40_0ffe);

#[test]
fn bytes_on_two_pages_are_read_and_written() {
    let mut f = testing::paged();
    write(&mut f.v, SEAM, &[1, 2, 3, 4]).unwrap();
    assert_eq!(f.read(testing::PAGE + 0xffe), [1, 2]);
    assert_eq!(f.read(testing::OTHER_PAGE), [3, 4]);
    let mut bytes = [0; 4];
    read(&mut f.v, SEAM, &mut bytes).unwrap();
    assert_eq!(bytes, [1, 2, 3, 4]);
}

#[test]
fn a_missing_page_is_a_page_fault_at_its_first_byte() {
    let mut f = testing::paged();
    let failure = check_write(&mut f.v, Gva(0x40_1ffe), 4);
    assert_eq!(failure, Err(Failure::Event(Event::exception(14, Some(2)))));
    assert_eq!(f.v.engine.reg(Reg::Cr2), 0x40_2000);
}

#[test]
fn what_is_not_ram_is_refused() {
    let mut f = testing::paged();
    let nowhere = L1Gpa(0xfee0_0000);
    f.write(
        testing::TABLES[3],
        &(nowhere.0 | testing::FLAGS).to_le_bytes(),
    );
    let at = Gva(0x40_0010);
    let outside = Err(Failure::OutsideRam);
    assert_eq!(read(&mut f.v, at, &mut [0]), outside);
    assert_eq!(write(&mut f.v, at, &[0]), outside);
    assert_eq!(check_write(&mut f.v, at, 1), outside);
}

#[test]
fn the_privilege_level_is_the_processors_own() {
    let mut f = testing::paged();
    f.v.engine.set_segment(
        crate::machine::SegmentRegister::Ss,
        crate::machine::fake::flat(0xc0f3),
    );
    assert_eq!(f.v.engine.cpl(), 3);
    assert_eq!(read(&mut f.v, SEAM, &mut [0]), Ok(()));
}

/// SDM 3A "Access Rights": EFLAGS.AC is for explicit accesses.
#[test]
fn smap_holds_whatever_ac_says() {
    let mut f = testing::paged();
    let user = (Entry::P | Entry::RW | Entry::US).bits();
    for (table, at) in [(0, 0), (1, 0), (2, 16), (3, 0)] {
        let next = testing::TABLES.get(table + 1).unwrap_or(&testing::PAGE);
        f.write(testing::TABLES[table] + at, &(next | user).to_le_bytes());
    }
    let at = Gva(0x40_0000);
    assert_eq!(read(&mut f.v, at, &mut [0]), Ok(()));
    f.v.engine.set_reg(Reg::Cr4, (Cr4::PAE | Cr4::SMAP).bits());
    f.v.engine.set_reg(Reg::Rflags, Rflags::AC.bits());
    let refused = Err(Failure::Event(Event::exception(14, Some(1))));
    assert_eq!(read(&mut f.v, at, &mut [0]), refused);
}
