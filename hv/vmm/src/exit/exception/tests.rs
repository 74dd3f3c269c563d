use super::*;
use crate::exit::table::Stop;
use crate::machine::Gpr::{Rax, Rdi};
use crate::machine::SegmentRegister;
use crate::machine::fake::{Fixture, flat};

fn exit(event: Event, qualification: u64) -> Exit {
    let detail = Detail::Exception {
        event,
        qualification,
    };
    Exit {
        kind: Kind::Exception,
        rip: Fixture::CODE,
        length: 0,
        detail,
        vectoring: None,
    }
}

const UD: Event = Event::exception(6, None);

#[test]
fn either_vendors_hypercall_is_one() {
    for code in [[0x0f, 0x01, 0xc1], [0x0f, 0x01, 0xd9]] {
        let mut f = Fixture::with_code(&code).with(&[(Rax, u64::MAX)]);
        assert_eq!(f.decide(&exit(UD, 0)), Verdict::NextBy(3));
        assert_eq!(f.gpr(Rax), abi::Error::NoSuchCall.to_rax());
        let mut f = f.with(&[(Rax, abi::Call::Exit as u64), (Rdi, 5)]);
        assert_eq!(f.decide(&exit(UD, 0)), Verdict::Stop(Stop::Exit(5)));
    }
}

#[test]
fn applications_may_not_call_and_other_instructions_stay_undefined() {
    let mut f = Fixture::with_code(&[0x0f, 0x01, 0xc1]);
    f.v.engine.set_segment(SegmentRegister::Ss, flat(0xc0f3));
    assert_eq!(f.decide(&exit(UD, 0)), Verdict::UD);
    let mut f = Fixture::with_code(&[0x0f, 0x0b]);
    assert_eq!(f.decide(&exit(UD, 0)), Verdict::UD);
}

#[test]
fn a_page_fault_brings_its_address() {
    let mut f = Fixture::new();
    let event = Event::exception(14, Some(7));
    assert_eq!(f.decide(&exit(event, 0xdead_b000)), Verdict::Inject(event));
    assert_eq!(f.v.engine.reg(Reg::Cr2), 0xdead_b000);
}

#[test]
fn a_debug_exception_brings_its_conditions() {
    let mut f = Fixture::new();
    f.v.engine.set_reg(Reg::Dr6, 0xffff_8ff2); // B1 and BT from before
    f.v.engine.set_reg(Reg::Dr7, 0x2401);
    let event = Event::exception(1, None);
    assert_eq!(f.decide(&exit(event, 0x4001)), Verdict::Inject(event));
    assert_eq!(
        (f.v.engine.reg(Reg::Dr6), f.v.engine.reg(Reg::Dr7)),
        (0xffff_cff1, 0x0401)
    );
    // SVM has put it into DR6 already, but left DR7.GD.
    f.v.engine.set_reg(Reg::Dr7, 0x2401);
    assert_eq!(f.decide(&exit(event, 0)), Verdict::Inject(event));
    assert_eq!(
        (f.v.engine.reg(Reg::Dr6), f.v.engine.reg(Reg::Dr7)),
        (0xffff_cff1, 0x0401)
    );
}

#[test]
fn int1_stays_what_it_is_and_changes_no_dr6() {
    let mut f = Fixture::new();
    f.v.engine.set_reg(Reg::Dr6, 0xffff_0ff2);
    let event = Event {
        kind: EventType::PrivilegedSoftwareException,
        instruction_length: 1,
        ..Event::exception(1, None)
    };
    for conditions in [0, 0x4000] {
        assert_eq!(f.decide(&exit(event, conditions)), Verdict::Inject(event));
        assert_eq!(f.v.engine.reg(Reg::Dr6), 0xffff_0ff2);
    }
}

/// Delivering #DB can raise #DB, and #AC #AC, without an end that an interrupt could make.
#[test]
fn endless_deliveries_exit() {
    assert_eq!(INTERCEPTED & 0x2_0002, 0x2_0002);
}

#[test]
fn others_are_reflected_as_they_came() {
    for event in [
        Event::exception(13, Some(0x52)),
        Event {
            kind: EventType::SoftwareException,
            instruction_length: 1,
            ..Event::exception(3, None)
        },
    ] {
        assert_eq!(
            Fixture::new().decide(&exit(event, 0)),
            Verdict::Inject(event)
        );
    }
}
