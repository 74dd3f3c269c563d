use super::*;
use crate::emulate::testing::{OTHER_PAGE, PAGE, TABLES, paged, redirections};
use crate::machine::fake::Fixture;
use crate::machine::{Reg, SegmentRegister};

/// What the loop does: what is remembered, else what the code says.
fn length(f: &mut Fixture) -> Result<u8, Event> {
    match remembered(f) {
        0 => decode(&mut f.v),
        known => Ok(known),
    }
}

fn remembered(f: &Fixture) -> u8 {
    let state = f.v.engine.code_state();
    f.told.lock().lengths.find(&state)
}

fn remembers(f: &Fixture) -> bool {
    remembered(f) != 0
}

#[test]
fn a_length_is_remembered_and_prefixes_count() {
    for (code, want) in [
        (&[0x0f, 0xa2][..], 2),
        (&[0x66, 0x0f, 0xa2], 3),
        (&[0x2e, 0x48, 0x0f, 0xa2], 4),
        (&[0xf4], 1),
    ] {
        let mut f = paged();
        f.v.engine.set_reg(Reg::Rip, 0x40_0800);
        f.write(PAGE + 0x800, code);
        assert!(!remembers(&f));
        assert_eq!((length(&mut f), remembers(&f)), (Ok(want), true));
        assert_eq!((length(&mut f), remembers(&f)), (Ok(want), true));
    }
}

#[test]
fn changed_code_has_its_own_length() {
    let mut f = paged();
    f.write(PAGE + 0xff8, &[0x0f, 0xa2]);
    assert_eq!(length(&mut f), Ok(2));
    f.write(PAGE + 0xff8, &[0x66, 0x0f, 0xa2]);
    assert_eq!(length(&mut f), Ok(3));
}

/// At every level: the guest changes the entry and nothing else, and the walk ends elsewhere.
#[test]
fn changed_paging_entries_are_seen_without_a_flush() {
    for (level, mut f, redirect) in redirections() {
        f.write(PAGE + 0xff8, &[0x0f, 0xa2]);
        f.write(OTHER_PAGE + 0xff8, &[0x66, 0x0f, 0xa2]);
        assert_eq!(length(&mut f), Ok(2));
        assert!(remembers(&f));
        redirect(&f, level);
        assert_eq!(length(&mut f), Ok(3), "level {level}");
    }
}

#[test]
fn registers_that_make_another_instruction_are_seen() {
    let mut f = paged();
    f.write(PAGE + 0xff8, &[0x0f, 0xa2]);
    assert_eq!(length(&mut f), Ok(2));
    let other: [u8; 4096] = f.read(TABLES[0]);
    f.write(0xb000, &other);
    f.v.engine.set_reg(Reg::Cr3, 0xb000);
    assert!(!remembers(&f));
    f.v.engine.set_reg(Reg::Cr3, TABLES[0]);
    assert!(remembers(&f));
    // 48 0F A2 is one instruction of 64-bit code and two of 32-bit code.
    f.write(PAGE + 0xff8, &[0x48, 0x0f, 0xa2]);
    assert_eq!(length(&mut f), Ok(3));
    let mut cs = f.v.engine.segment(SegmentRegister::Cs);
    cs.access = 0xc09b;
    f.v.engine.set_segment(SegmentRegister::Cs, cs);
    assert_eq!(length(&mut f), Ok(1));
}

#[test]
fn across_a_page_nothing_is_remembered() {
    let mut f = paged();
    f.v.engine.set_reg(Reg::Rip, 0x40_0fff);
    f.write(PAGE + 0xfff, &[0x0f]);
    f.write(OTHER_PAGE, &[0xa2]);
    assert_eq!((length(&mut f), remembers(&f)), (Ok(2), false));
}

#[test]
fn without_paging_the_code_alone_decides() {
    let mut f = Fixture::with_code(&[0x0f, 0xa2]).in_real_mode();
    assert_eq!((length(&mut f), remembers(&f)), (Ok(2), true));
    f.write(Fixture::CODE, &[0xf4]);
    assert_eq!(length(&mut f), Ok(1));
}
