use super::*;
use crate::exit::Record;
use crate::exit::from_vmx::VmxRecord;
use crate::machine::Gpr;
use crate::machine::fake::{Entry, FakeEngine, FakeMachine, Fixture};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;

const EXTERNAL_INTERRUPT: u32 = 1;
const HLT: u32 = 12;
const VMCALL: u32 = 18;
const TRIPLE_FAULT: u32 = 2;
const PREEMPTION_TIMER: u32 = 52;

/// A VM entry of `ticks` that writes `name` to the console and ends for `reason`.
fn leave(machine: &'static FakeMachine, name: u8, ticks: u64, reason: u32) -> Entry {
    Box::new(move |engine: &mut FakeEngine| {
        machine.written.lock().push(name);
        machine.clock.fetch_add(ticks, Relaxed);
        let rip = engine.reg(Reg::Rip);
        Record::Vmx(VmxRecord {
            reason,
            rip,
            instruction_length: 3,
            ..VmxRecord::default()
        })
    })
}

fn run_guests(machine: &'static FakeMachine, guests: Vec<Fixture>) -> usize {
    let scheduler = Scheduler::new();
    let host = guests[0].v.host;
    for guest in guests {
        scheduler.add(0, guest.v);
    }
    scheduler.run(host);
    let _ = machine;
    scheduler.failed()
}

fn guest(machine: &'static FakeMachine, entries: &[(u8, u64, u32)], call: u64) -> Fixture {
    let entries = entries
        .iter()
        .map(|&(name, ticks, reason)| leave(machine, name, ticks, reason))
        .collect();
    Fixture::on(machine, entries).with(&[(Gpr::Rax, call)])
}

#[test]
fn one_dies_and_the_other_finishes() {
    let machine = FakeMachine::leak();
    let dies = guest(machine, &[(b'a', 1, TRIPLE_FAULT)], 0);
    let finishes = guest(
        machine,
        &[(b'b', 1, VMCALL), (b'c', 1, VMCALL)],
        abi::Call::Exit as u64,
    );
    assert_eq!(run_guests(machine, Vec::from([dies, finishes])), 1);
    assert_eq!(*machine.written.lock(), b"ab");
}

/// The fake machine's clock moves in guests only.
#[test]
fn what_passes_in_guests_is_not_ours() {
    let machine = FakeMachine::leak();
    let entries = [(b'a', 5000, PREEMPTION_TIMER), (b'b', 70, VMCALL)];
    let spins = guest(machine, &entries, abi::Call::Exit as u64);
    let scheduler = Scheduler::new();
    let host = spins.v.host;
    scheduler.add(0, spins.v);
    scheduler.run(host);
    assert_eq!(scheduler.share(), 0);
    assert_eq!(scheduler.in_guests.load(Relaxed), 5070);
}

/// A slice is 10 ms of a 1 GHz clock.
#[test]
fn a_guest_that_spins_gives_way_at_the_end_of_its_slice() {
    let machine = FakeMachine::leak();
    let spins = guest(
        machine,
        &[
            (b's', 6_000_000, PREEMPTION_TIMER),
            (b's', 6_000_000, PREEMPTION_TIMER),
            (b'S', 1, TRIPLE_FAULT),
        ],
        0,
    );
    let other = guest(machine, &[(b'o', 1, VMCALL)], abi::Call::Exit as u64);
    assert_eq!(run_guests(machine, Vec::from([spins, other])), 1);
    assert_eq!(*machine.written.lock(), b"ssoS");
}

#[test]
fn a_halted_guest_sleeps_until_its_timer() {
    let machine = FakeMachine::leak();
    let mut sleeper = guest(machine, &[(b'h', 1, HLT), (b'w', 1, TRIPLE_FAULT)], 0);
    let wakes = machine.clock.load(Relaxed) + 7_000_000;
    sleeper.v.engine.set_reg(Reg::Rflags, 0x202);
    sleeper.v.lapic.write_page(0x0f, 0x1ff, 0);
    sleeper.v.lapic.write_page(0x32, 0x4_0040, 0);
    sleeper.v.lapic.set_tsc_deadline(wakes);
    run_guests(machine, Vec::from([sleeper]));
    assert_eq!(
        (
            machine.written.lock().as_slice(),
            machine.waits.lock().as_slice()
        ),
        (b"hw".as_slice(), [Some(wakes)].as_slice())
    );
}

#[test]
fn a_yield_lets_the_other_run() {
    let machine = FakeMachine::leak();
    let yields = guest(
        machine,
        &[(b'y', 1, VMCALL), (b'Y', 1, TRIPLE_FAULT)],
        abi::Call::Yield as u64,
    );
    let other = guest(machine, &[(b'o', 1, VMCALL)], abi::Call::Exit as u64);
    run_guests(machine, Vec::from([yields, other]));
    assert_eq!(*machine.written.lock(), b"yoY");
}

/// A guest that may run for 1 s, which is 1,000,000,000 ticks of the clock.
fn with_timeout(mut fixture: Fixture) -> Fixture {
    fixture.v.timeout = Some(1);
    fixture.v.engine.set_reg(Reg::Rflags, 0x202);
    fixture
}

#[test]
fn a_guest_that_runs_too_long_is_stopped_and_the_other_goes_on() {
    let machine = FakeMachine::leak();
    let spins = guest(machine, &[(b's', 1_000_000_000, PREEMPTION_TIMER)], 0);
    let other = guest(machine, &[(b'o', 1, VMCALL)], abi::Call::Exit as u64);
    assert_eq!(
        run_guests(machine, Vec::from([with_timeout(spins), other])),
        1
    );
    assert_eq!(*machine.written.lock(), b"so");
}

#[test]
fn a_guest_that_sleeps_too_long_is_stopped() {
    let machine = FakeMachine::leak();
    let ends = machine.clock.load(Relaxed) + 1_000_000_000;
    let sleeps = guest(machine, &[(b'h', 1, HLT)], 0);
    assert_eq!(run_guests(machine, Vec::from([with_timeout(sleeps)])), 1);
    assert_eq!(*machine.waits.lock(), [Some(ends)]);
}

#[test]
fn a_guest_in_time_is_not_stopped() {
    let machine = FakeMachine::leak();
    let ends = guest(
        machine,
        &[(b'a', 999_999_998, PREEMPTION_TIMER), (b'b', 1, VMCALL)],
        abi::Call::Exit as u64,
    );
    assert_eq!(run_guests(machine, Vec::from([with_timeout(ends)])), 0);
}

#[test]
fn a_halt_that_nothing_can_end_stops_the_guest() {
    let machine = FakeMachine::leak();
    let mut halts = guest(machine, &[(b'h', 1, HLT)], 0);
    halts.v.engine.set_reg(Reg::Rflags, 2);
    assert_eq!(run_guests(machine, Vec::from([halts])), 1);
    assert!(machine.waits.lock().is_empty());
}

/// Who waits for a time gets it, not the end of another's slice; but a short slice everybody has.
#[test]
fn a_slice_ends_when_another_virtual_cpu_is_to_wake() {
    for (wakes, slice) in [
        (3_000_000, 3_000_000),
        (10, 1_000_000),
        (u64::MAX, 10_000_000),
    ] {
        let machine = FakeMachine::leak();
        let now = machine.clock.load(Relaxed);
        let spins = guest(machine, &[(b's', 1, TRIPLE_FAULT)], 0);
        let told = spins.told.clone();
        let mut sleeps = guest(machine, &[(b'h', 1, TRIPLE_FAULT)], 0);
        sleeps.v.set_activity(Activity::Halted {
            interrupts: true,
            nmis: true,
        });
        sleeps.v.lapic.write_page(0x0f, 0x1ff, 0);
        sleeps.v.lapic.write_page(0x32, 0x4_0040, 0);
        sleeps.v.lapic.set_tsc_deadline(wakes.saturating_add(now));
        sleeps.v.timeout = Some(1);
        run_guests(machine, Vec::from([spins, sleeps]));
        assert_eq!(told.lock().deadline, Some(now + slice), "{wakes}");
    }
}

/// Counter 0 of the PIT ends its count 1 ms after this.
fn start_pit(f: &Fixture) {
    let mut bus = f.v.guest.bus.lock();
    for (port, value) in [(0x43, 0x30), (0x40, 0xa9), (0x40, 0x04)] {
        bus.write(port, 1, value);
    }
}

/// The I/O APIC's pin 2 and LINT0 behind the 8259 are where the PIT leads.
#[test]
fn a_pin_set_up_for_nmi_ends_a_halt_that_no_interrupt_can() {
    let through_ioapic = |f: &mut Fixture| {
        let mut bus = f.v.guest.bus.lock();
        bus.write_memory(0xfec0_0000, 4, 0x14);
        bus.write_memory(0xfec0_0010, 4, 0x400);
    };
    let through_lint0 = |f: &mut Fixture| {
        f.v.lapic.write_page(0x0f, 0x1ff, 0);
        f.v.lapic.write_page(0x35, 0x400, 0);
        f.v.guest.bus.lock().write(0x21, 1, 0xfe);
    };
    for set_up in [through_ioapic as fn(&mut Fixture), through_lint0] {
        let machine = FakeMachine::leak();
        let mut halts = guest(machine, &[(b'h', 1, HLT), (b'w', 1, TRIPLE_FAULT)], 0);
        halts.v.engine.set_reg(Reg::Rflags, 2);
        set_up(&mut halts);
        start_pit(&halts);
        run_guests(machine, Vec::from([halts]));
        assert_eq!(*machine.written.lock(), b"hw");
        assert_eq!(machine.waits.lock().len(), 1);
    }
}

/// The first halts while the second is not parked, as it is emptying its box; then the second sleeps on.
#[test]
fn a_guest_ends_when_its_last_virtual_cpu_sleeps_on() {
    let machine = FakeMachine::leak();
    let mut first = Fixture::first_of(2, machine, Vec::from([leave(machine, b'h', 1, HLT)]));
    first.v.engine.set_reg(Reg::Rflags, 2);
    let second = first.other(1, Vec::new());
    let processors = &first.v.guest.interrupts.processors;
    processors.set_parked(1, false);
    processors.wake(1);
    assert_eq!(run_guests(machine, Vec::from([first, second])), 1);
    assert!(machine.waits.lock().is_empty());
}

/// The last virtual CPU that leaves ends the guest.
#[test]
fn the_end_of_one_virtual_cpu_is_that_of_all() {
    let machine = FakeMachine::leak();
    let first = Fixture::first_of(
        2,
        machine,
        Vec::from([
            leave(machine, b'a', 20_000_000, PREEMPTION_TIMER),
            leave(machine, b'A', 1, TRIPLE_FAULT),
        ]),
    );
    let mut second = first.other(
        1,
        Vec::from([leave(machine, b'b', 20_000_000, PREEMPTION_TIMER)]),
    );
    second.v.set_activity(Activity::Active);
    let other = guest(machine, &[(b'o', 1, VMCALL)], abi::Call::Exit as u64);
    let guest = first.v.guest.clone();
    assert_eq!(run_guests(machine, Vec::from([first, second, other])), 1);
    assert_eq!(*machine.written.lock(), b"aboA");
    assert!(guest.interrupts.processors.is_stopped());
}

/// A virtual CPU that waits for the same physical one runs as soon as it is woken.
#[test]
fn a_physical_interrupt_ends_a_slice_that_others_wait_for() {
    let machine = FakeMachine::leak();
    let interrupted = guest(
        machine,
        &[(b'i', 1, EXTERNAL_INTERRUPT), (b'I', 1, TRIPLE_FAULT)],
        0,
    );
    let other = guest(machine, &[(b'o', 1, VMCALL)], abi::Call::Exit as u64);
    let told = interrupted.told.clone();
    run_guests(machine, Vec::from([interrupted, other]));
    assert_eq!(*machine.written.lock(), b"ioI");
    assert!(!told.lock().pause_exiting, "alone at the end");
}
