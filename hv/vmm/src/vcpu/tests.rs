use super::*;
use crate::device::processors::{Destination, Message};
use crate::machine::fake::{FakeMachine, Fixture};
use crate::machine::{CpuidResult, Interruptibility};
use alloc::vec::Vec;
use spec::apic::DeliveryMode;
use spec::control_registers::Cr0;

/// Virtual CPUs 0 and 1 of a guest.
fn pair() -> (Fixture, Fixture) {
    let first = Fixture::first_of(2, FakeMachine::leak(), Vec::new());
    let second = first.other(1, Vec::new());
    (first, second)
}

fn send(from: &Fixture, mode: DeliveryMode, vector: u8) {
    from.v.guest.interrupts.processors.send(Message {
        destination: Destination::Physical(1),
        mode,
        vector,
        level: false,
    });
}

fn settle(f: &mut Fixture) {
    f.v.receive();
    f.v.take_signals();
}

#[test]
fn all_but_the_first_wait_to_be_started() {
    let (first, mut second) = pair();
    assert_eq!(first.v.activity, Activity::Active);
    assert_eq!(second.v.activity, Activity::WaitForSipi);
    send(&first, DeliveryMode::STARTUP, 0x9a);
    settle(&mut second);
    let code = second.v.engine.segment(SegmentRegister::Cs);
    assert_eq!((code.selector, code.base), (0x9a00, 0x9_a000));
    assert_eq!(second.v.engine.reg(Reg::Rip), 0);
    assert_eq!(second.v.activity, Activity::Active);
}

/// SDM 3A "MP Initialization Protocol Algorithm for MP Systems": who runs takes no startup IPI.
#[test]
fn a_startup_ipi_is_lost_on_who_runs() {
    let (first, mut second) = pair();
    send(&first, DeliveryMode::STARTUP, 0x10);
    settle(&mut second);
    second.v.engine.set_reg(Reg::Rip, 0x1234);
    send(&first, DeliveryMode::STARTUP, 0x20);
    settle(&mut second);
    assert_eq!(second.v.engine.reg(Reg::Rip), 0x1234);
    assert!(!second.v.lapic.has_signal(), "it is not kept");
}

/// SDM 3A "Processor State After Reset": CR0.CD and NW outlive INIT.
#[test]
fn init_resets_registers_and_waits_for_startup() {
    let (first, mut second) = pair();
    second.v.set_activity(Activity::Active);
    let before = Cr0::PE | Cr0::PG | Cr0::CD | Cr0::NE;
    for (register, value) in [
        (Reg::Cr0, before.bits()),
        (Reg::Cr3, 0x5000),
        (Reg::Cr4, 0x20),
        (Reg::Efer, 0x500),
        (Reg::Rflags, 0x246),
        (Reg::Dr3, 0x1234),
    ] {
        second.v.engine.set_reg(register, value);
    }
    second.v.gprs[Gpr::Rax] = 7;
    second.v.lapic.write_page(0x0f, 0x1ff, 0);
    send(&first, DeliveryMode::INIT, 0);
    settle(&mut second);
    assert_eq!(second.v.activity, Activity::WaitForSipi);
    for (register, value) in [
        (Reg::Cr0, (Cr0::ET | Cr0::CD).bits()),
        (Reg::Cr3, 0),
        (Reg::Cr4, 0),
        (Reg::Efer, 0),
        (Reg::Rflags, 2),
        (Reg::Rip, 0xfff0),
        (Reg::Dr3, 0),
    ] {
        assert_eq!(second.v.engine.reg(register), value, "{register:?}");
    }
    assert_eq!(second.v.gprs[Gpr::Rax], 0);
    assert_eq!(second.v.lapic.read_page(0x0f, 0), 0xff, "SVR");
}

/// The order in the box: INIT, startup.
#[test]
fn init_and_startup_may_come_together() {
    let (first, mut second) = pair();
    second.v.set_activity(Activity::Active);
    send(&first, DeliveryMode::STARTUP, 0x30);
    send(&first, DeliveryMode::INIT, 0);
    send(&first, DeliveryMode::STARTUP, 0x40);
    send(&first, DeliveryMode::STARTUP, 0x50);
    settle(&mut second);
    let code = second.v.engine.segment(SegmentRegister::Cs);
    assert_eq!((code.base, second.v.activity), (0x4_0000, Activity::Active));
}

#[test]
fn who_sends_wakes_the_other_cpu_once() {
    let (first, mut second) = pair();
    let processors = &first.v.guest.interrupts.processors;
    processors.set_home(1, 3);
    second.v.lapic.write_page(0x0f, 0x1ff, 0);
    send(&first, DeliveryMode::FIXED, 0x40);
    send(&first, DeliveryMode::FIXED, 0x41);
    assert_eq!(*first.machine.woken.lock(), [3]);
    second.v.receive();
    send(&first, DeliveryMode::FIXED, 0x42);
    assert_eq!(*first.machine.woken.lock(), [3, 3]);
}

#[test]
fn nobody_is_left_when_all_are_parked_and_no_message_is_under_way() {
    let (first, mut second) = pair();
    let processors = &first.v.guest.interrupts.processors;
    assert!(!processors.are_all_parked(), "the first runs");
    processors.set_parked(0, true);
    assert!(processors.are_all_parked());
    send(&first, DeliveryMode::STARTUP, 0x40);
    assert!(!processors.are_all_parked(), "the second is to start");
    settle(&mut second);
    assert!(!processors.are_all_parked());
}

/// The box is empty before the woken virtual CPU runs: the sender's HLT must not end the guest meanwhile.
#[test]
fn who_was_woken_is_not_parked_even_before_it_runs() {
    for (activity, mode) in [
        (Activity::WaitForSipi, DeliveryMode::STARTUP),
        (HALTED, DeliveryMode::NMI),
        (HALTED, DeliveryMode::INIT),
    ] {
        let (first, mut second) = pair();
        second.v.set_activity(activity);
        let interrupts = first.v.guest.interrupts.clone();
        interrupts.processors.set_parked(0, true);
        assert!(interrupts.nothing_can_wake());
        send(&first, mode, 0x40);
        second.v.receive();
        assert!(second.v.is_awake() && !interrupts.nothing_can_wake());
    }
}

const HALTED: Activity = Activity::Halted {
    interrupts: false,
    nmis: true,
};

/// SDM 2A "HLT": enabled interrupts, NMI, SMI, INIT, #DB and RESET end it. A startup IPI is not for who does not
/// wait for one.
#[test]
fn a_startup_ipi_ends_no_halt() {
    let (first, mut second) = pair();
    second.v.set_activity(HALTED);
    first.v.guest.interrupts.processors.set_parked(0, true);
    send(&first, DeliveryMode::STARTUP, 0x40);
    second.v.receive();
    assert!(!second.v.is_awake());
    assert!(first.v.guest.interrupts.nothing_can_wake());
    send(&first, DeliveryMode::INIT, 0);
    settle(&mut second);
    assert_eq!(
        second.v.activity,
        Activity::WaitForSipi,
        "the first is lost"
    );
}

/// One is taken, the other waits until NMIs are not blocked any more; a third is lost.
#[test]
fn two_nmis_that_come_at_once_are_two() {
    let (first, mut second) = pair();
    second.v.set_activity(Activity::Active);
    (0..3).for_each(|_| send(&first, DeliveryMode::NMI, 0));
    second.v.receive();
    crate::exit::interrupt::deliver(&mut second.v);
    assert_eq!(
        second.told.lock().injected.map(|event| event.vector),
        Some(2)
    );
    assert!(second.told.lock().nmi_window, "for the second");
    assert!(second.v.lapic.take_nmi() && !second.v.lapic.has_nmi());
}

#[test]
fn of_nmis_that_come_while_they_are_blocked_one_is_kept() {
    let (first, mut second) = pair();
    second.v.set_activity(Activity::Active);
    second.v.engine.set_interruptibility(Interruptibility {
        nmi: true,
        ..Interruptibility::default()
    });
    (0..2).for_each(|_| send(&first, DeliveryMode::NMI, 0));
    second.v.receive();
    crate::exit::interrupt::deliver(&mut second.v);
    assert_eq!(second.told.lock().injected, None);
    assert!(second.v.lapic.take_nmi() && !second.v.lapic.has_nmi());
}

/// SDM 3A "Processor State After Reset": EDX has the family, model and stepping.
#[test]
fn init_leaves_the_signature_in_edx() {
    let (first, mut second) = pair();
    let signature = CpuidResult {
        eax: 0x5_06e3,
        ..CpuidResult::default()
    };
    first.machine.leaves.lock().insert((1, 0), signature);
    send(&first, DeliveryMode::INIT, 0);
    settle(&mut second);
    assert_eq!(second.gpr(Gpr::Rdx), 0x5_06e3);
}
