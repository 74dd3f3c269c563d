use super::*;
use crate::exit::Kind;
use crate::machine::Gpr::{Rax, Rbx, Rcx, Rdi};
use crate::machine::fake::{Fixture, GUEST_RAM, flat};
use crate::machine::{Event, Reg, Segment, SegmentRegister};
use spec::addr::L1Gpa;
use spec::control_registers::Cr0;

const NOWHERE: u64 = 0x8000_0000;

fn exit(gpa: u64) -> Exit {
    let fault = NestedFault {
        gpa: L1Gpa(gpa),
        gva: None,
        translated: true,
        read: true,
        write: false,
        fetch: false,
        present: false,
    };
    Exit {
        kind: Kind::NestedPageFault,
        rip: Fixture::CODE,
        length: 0,
        detail: Detail::Nested(fault),
        vectoring: None,
    }
}

fn why(verdict: Verdict) -> alloc::string::String {
    match verdict {
        Verdict::Stop(Stop::Unsupported(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn ram_is_mapped_and_the_instruction_runs_again() {
    let mut f = Fixture::new();
    assert_eq!(f.decide(&exit(GUEST_RAM - 1)), Verdict::Resume);
}

#[test]
fn what_is_not_there_reads_all_ones() {
    let mut f = Fixture::with_code(&[0x8b, 0x43, 0x08]).with(&[(Rbx, NOWHERE)]);
    assert_eq!(
        (f.decide(&exit(NOWHERE + 8)), f.gpr(Rax)),
        (Verdict::NextBy(3), 0xffff_ffff)
    );
    let mut f = Fixture::with_code(&[0xf3, 0xaa]).with(&[(Rcx, 1000), (Rdi, NOWHERE)]);
    assert_eq!(
        (f.decide(&exit(NOWHERE)), f.gpr(Rcx)),
        (Verdict::NextBy(0), 744)
    );
}

#[test]
fn code_that_is_not_there_stops_the_guest() {
    let mut f = Fixture::new();
    f.v.engine.set_reg(Reg::Rip, NOWHERE);
    let verdict = f.decide(&Exit {
        rip: NOWHERE,
        ..exit(NOWHERE)
    });
    assert!(why(verdict).starts_with(
        "instruction fetch from guest-physical memory that is not there, rip 0x80000000"
    ));
}

/// Behind the last instruction of RAM there is nothing, which is no matter while that raises an exception.
#[test]
fn an_exception_of_the_last_instruction_in_ram_is_the_guests() {
    const LAST: u64 = GUEST_RAM - 2;
    let mut f = Fixture::new().in_protected_mode();
    f.v.engine
        .set_segment(SegmentRegister::Ds, Segment::default());
    f.v.engine.set_segment(SegmentRegister::Ds, flat(0x1_0000));
    f.v.engine.set_reg(Reg::Rip, LAST);
    f.write(LAST, &[0x8b, 0x03]);
    let last = Exit {
        rip: LAST,
        ..exit(NOWHERE)
    };
    assert_eq!(f.decide(&last), Verdict::GP, "a load by a null segment");
    f.write(LAST, &[0x90, 0x8b]);
    f.v.engine.set_reg(Reg::Rip, LAST + 1);
    assert!(why(f.decide(&last)).starts_with("instruction fetch from"));
}

#[test]
fn an_instruction_that_is_not_emulated_is_named_by_its_bytes() {
    let mut f = Fixture::with_code(&[0x0f, 0x58, 0x03]).with(&[(Rbx, NOWHERE)]);
    let why = why(f.decide(&exit(NOWHERE)));
    assert!(
        why.starts_with(
            "access to 0x80000000 by an instruction that is not emulated, rip 0x1000 bytes 0f 58 03"
        ),
        "{why}"
    );
}

#[test]
fn an_event_whose_delivery_needs_what_is_not_there_stops_the_guest() {
    let mut f = Fixture::with_code(&[0x8b, 0x03]);
    let vectoring = Some(Event::exception(14, Some(2)));
    let why = why(f.decide(&Exit {
        vectoring,
        ..exit(NOWHERE)
    }));
    assert!(why.starts_with("delivery of vector 14 through"), "{why}");
}

/// All ones as a PML4E has a reserved bit set.
#[test]
fn paging_structures_that_are_not_there_fault_as_all_ones() {
    let mut f = Fixture::new();
    f.v.engine.set_reg(Reg::Cr0, (Cr0::PE | Cr0::PG).bits());
    f.v.engine.set_reg(Reg::Cr3, NOWHERE);
    let verdict = f.decide(&exit(NOWHERE));
    assert_eq!(
        verdict,
        Verdict::Inject(Event::exception(14, Some(0b1_1001)))
    );
    assert_eq!(f.v.engine.reg(Reg::Cr2), Fixture::CODE);
}
