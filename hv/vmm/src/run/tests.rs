use super::*;
use crate::exit::Record;
use crate::exit::from_vmx::VmxRecord;
use crate::machine::Engine;
use crate::machine::Gpr::{Rax, Rcx, Rsi};
use crate::machine::fake::{Entry, FakeEngine, FakeMachine, Fixture};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;
use spec::control_registers::{Dr6, Rflags};
use spin::Mutex;

/// When slices end: far away.
const FAR: u64 = 1 << 40;
const CPUID: u32 = 10;
const HLT: u32 = 12;
const VMCALL: u32 = 18;
const IO: u32 = 30;
const RDMSR: u32 = 31;
const TRIPLE_FAULT: u32 = 2;
const INTERRUPT_WINDOW: u32 = 7;
const PREEMPTION_TIMER: u32 = 52;
const EXTERNAL_INTERRUPT: u32 = 1;
/// An OUT of AL to port 0xf4, which ends the guest.
const END: VmxRecord = VmxRecord {
    reason: IO,
    qualification: 0xf4 << 16,
    instruction_length: 1,
    ..RECORD
};
const RECORD: VmxRecord = VmxRecord {
    reason: 0,
    instruction_length: 0,
    qualification: 0,
    rip: Fixture::CODE,
    guest_linear: 0,
    guest_physical: 0,
    interruption_info: 0,
    interruption_error_code: 0,
    idt_vectoring_info: 0,
    idt_vectoring_error_code: 0,
    instruction_info: 0,
};

/// A VM entry that ends for this reason.
fn leave(record: VmxRecord) -> Entry {
    Box::new(move |engine: &mut FakeEngine| {
        Record::Vmx(VmxRecord {
            rip: engine.reg(Reg::Rip),
            ..record
        })
    })
}

fn plain(reason: u32, length: u32) -> Entry {
    leave(VmxRecord {
        reason,
        instruction_length: length,
        ..RECORD
    })
}

/// The same, but the engine is looked at as it is entered.
fn look(check: impl Fn(&mut FakeEngine) + Send + 'static, record: VmxRecord) -> Entry {
    Box::new(move |engine: &mut FakeEngine| {
        check(engine);
        Record::Vmx(VmxRecord {
            rip: engine.reg(Reg::Rip),
            ..record
        })
    })
}

fn injected(want: Option<Event>) -> impl Fn(&mut FakeEngine) + Send {
    move |engine| assert_eq!(engine.told.lock().injected, want)
}

fn go(f: &mut Fixture) -> Pause {
    run(&mut f.v, FAR, &Ring::new())
}

fn run_all(entries: Vec<Entry>) -> (Pause, Fixture) {
    let mut f = Fixture::with_entries(entries);
    (go(&mut f), f)
}

#[test]
fn rip_goes_behind_the_instruction_and_exits_are_counted() {
    let (pause, f) = run_all(Vec::from([
        plain(CPUID, 2),
        plain(VMCALL, 3),
        plain(CPUID, 4),
        leave(END),
    ]));
    assert_eq!(pause, Pause::Stopped(Stop::Exit(0)));
    assert_eq!(f.v.engine.reg(Reg::Rip), Fixture::CODE + 9);
    assert_eq!(f.v.counts.exits(crate::exit::Kind::Cpuid), 2);
}

#[test]
fn a_length_that_the_hardware_does_not_say_is_decoded() {
    let mut f = Fixture::with_entries(Vec::from([plain(CPUID, 0), leave(END)]));
    f.write(Fixture::CODE, &[0x66, 0x0f, 0xa2]);
    go(&mut f);
    assert_eq!(f.v.engine.reg(Reg::Rip), Fixture::CODE + 3);
}

#[test]
fn single_step_follows_an_instruction_that_we_carried_out() {
    let db = injected(Some(Event::exception(1, None)));
    let mut f = Fixture::with_entries(Vec::from([plain(CPUID, 2), look(db, END)]));
    f.v.engine
        .set_reg(Reg::Rflags, (Rflags::TF | Rflags::RF | Rflags::ONE).bits());
    go(&mut f);
    assert_eq!(
        f.v.engine.reg(Reg::Rflags),
        (Rflags::TF | Rflags::ONE).bits(),
        "RF ends"
    );
    assert_ne!(f.v.engine.reg(Reg::Dr6) & Dr6::BS.bits(), 0);
}

/// SDM 2A "HLT": a debug exception ends the halt.
#[test]
fn single_step_ends_a_hlt_at_once() {
    for flags in [Rflags::TF | Rflags::IF, Rflags::TF] {
        let db = injected(Some(Event::exception(1, None)));
        let mut f = Fixture::with_entries(Vec::from([plain(HLT, 1), look(db, END)]));
        f.v.engine
            .set_reg(Reg::Rflags, (flags | Rflags::ONE).bits());
        assert_eq!(go(&mut f), Pause::Stopped(Stop::Exit(0)));
        assert_eq!(f.v.engine.reg(Reg::Rip), Fixture::CODE + 1);
    }
}

/// Whether RFLAGS.RF is set as this event is delivered.
fn resume_flag_with(exception: VmxRecord) -> bool {
    let found = Arc::new(Mutex::new(None));
    let seen = found.clone();
    let note = move |engine: &mut FakeEngine| {
        assert!(engine.is_injecting());
        *seen.lock() = Some(engine.reg(Reg::Rflags) & Rflags::RF.bits() != 0);
    };
    run_all(Vec::from([leave(exception), look(note, END)]));
    found.lock().expect("a second entry")
}

/// SDM 3B "Instruction-Breakpoint Exception Condition": the image on the stack has RF set for faults,
/// not for traps and aborts, and not for #DB.
#[test]
fn faults_are_delivered_with_the_resume_flag() {
    let bad_rdmsr = VmxRecord {
        reason: RDMSR,
        instruction_length: 2,
        ..RECORD
    };
    assert!(resume_flag_with(bad_rdmsr), "#GP of ours");
    for (kind, vector, want) in [
        (3, 0, true),
        (3, 1, false),
        (6, 3, false),
        (6, 4, false),
        (3, 6, true),
        (3, 8, false),
        (3, 13, true),
        (3, 17, true),
        (3, 18, false),
    ] {
        let error = if matches!(vector, 8 | 13 | 17) {
            1 << 11
        } else {
            0
        };
        let information = 1 << 31 | kind << 8 | error | vector;
        let exception = VmxRecord {
            interruption_info: information,
            instruction_length: 1,
            ..RECORD
        };
        assert_eq!(resume_flag_with(exception), want, "vector {vector}");
        let again = VmxRecord {
            reason: 48,
            qualification: 1,
            guest_physical: 0x3000,
            idt_vectoring_info: information,
            instruction_length: 1,
            ..RECORD
        };
        assert_eq!(resume_flag_with(again), want, "vector {vector}, again");
    }
    let double = VmxRecord {
        interruption_info: 1 << 31 | 3 << 8 | 1 << 11 | 13,
        idt_vectoring_info: 1 << 31 | 3 << 8 | 1 << 11 | 13,
        ..RECORD
    };
    assert!(!resume_flag_with(double), "#DF is an abort");
}

/// EIP has 32 bits, and 16-bit code goes on beyond FFFFH, where the limit of CS tells it off.
#[test]
fn eip_wraps_around_and_rip_does_not() {
    const TOP: u64 = 0xffff_fffe;
    for (mode, from, length, to) in [
        (64, TOP, 2, TOP + 2),
        (64, TOP + 1, 2, TOP + 3),
        (64, u64::MAX, 1, 0),
        (64, u64::MAX - 1, 1, u64::MAX),
        (64, u64::MAX, 2, 1),
        (32, TOP, 2, 0),
        (32, TOP + 1, 3, 2),
        (32, TOP, 1, TOP + 1),
        (16, TOP, 2, 0),
        (16, 0xffff, 2, 0x1_0001),
    ] {
        for exit in [plain(CPUID, length), plain(VMCALL, length)] {
            let mut f = Fixture::with_entries(Vec::from([exit, plain(TRIPLE_FAULT, 0)]))
                .with(&[(Rax, u64::MAX)]);
            f = match mode {
                16 => f.in_real_mode(),
                32 => f.in_protected_mode(),
                _ => f,
            };
            f.v.engine.set_reg(Reg::Rip, from);
            go(&mut f);
            assert_eq!(f.v.engine.reg(Reg::Rip), to, "{mode}: {from:#x} + {length}");
        }
        let yields = [plain(VMCALL, length), plain(TRIPLE_FAULT, 0)];
        let mut f =
            Fixture::with_entries(Vec::from(yields)).with(&[(Rax, abi::Call::Yield as u64)]);
        f = match mode {
            16 => f.in_real_mode(),
            32 => f.in_protected_mode(),
            _ => f,
        };
        f.v.engine.set_reg(Reg::Rip, from);
        assert_eq!(go(&mut f), Pause::SliceOver);
        assert_eq!(f.v.engine.reg(Reg::Rip), to, "{mode}: {from:#x} + {length}");
    }
}

#[test]
fn real_mode_pushes_no_error_codes() {
    let bare = injected(Some(Event::exception(13, None)));
    let mut f = Fixture::with_entries(Vec::from([plain(RDMSR, 2), look(bare, END)])).in_real_mode();
    f.v.gprs[crate::machine::Gpr::Rcx] = 0x1234_5678;
    go(&mut f);
    assert_eq!(f.v.engine.reg(Reg::Rip), Fixture::CODE, "a fault");
}

/// A #GP by RDMSR while the event is being delivered: IDT-vectoring information of the first event.
#[test]
fn two_exceptions_combine_as_the_manual_says() {
    const DF: Option<Event> = Some(Event::exception(8, Some(0)));
    const GP: Option<Event> = Some(Event::exception(13, Some(0)));
    let hardware = |vector: u32| 1 << 31 | 3 << 8 | vector;
    for (first, want) in [
        (0, GP),
        (hardware(3), GP),
        (hardware(14) | 1 << 11, DF),
        (hardware(13) | 1 << 11, DF),
        (hardware(0), DF),
        (1 << 31 | 0x20, GP),       // an interrupt
        (1 << 31 | 2 << 8 | 2, GP), // an NMI
    ] {
        let exception = VmxRecord {
            interruption_info: hardware(13) | 1 << 11,
            idt_vectoring_info: first,
            ..RECORD
        };
        run_all(Vec::from([leave(exception), look(injected(want), END)]));
    }
    let third = VmxRecord {
        interruption_info: hardware(14) | 1 << 11,
        idt_vectoring_info: hardware(8) | 1 << 11,
        ..RECORD
    };
    assert_eq!(
        run_all(Vec::from([leave(third)])).0,
        Pause::Stopped(Stop::TripleFault)
    );
    assert_eq!(
        run_all(Vec::from([plain(TRIPLE_FAULT, 0)])).0,
        Pause::Stopped(Stop::TripleFault)
    );
}

#[test]
fn an_event_whose_delivery_an_exit_interrupted_is_delivered_again() {
    let violation = VmxRecord {
        reason: 48,
        qualification: 1,
        guest_physical: 0x3000,
        idt_vectoring_info: 1 << 31 | 6 << 8 | 3,
        instruction_length: 1,
        ..RECORD
    };
    let again = injected(Some(Event {
        kind: EventType::SoftwareException,
        instruction_length: 1,
        ..Event::exception(3, None)
    }));
    run_all(Vec::from([leave(violation), look(again, END)]));
}

#[test]
fn an_event_is_not_delivered_again_where_the_guest_is_redirected() {
    for (verdict, again) in [(Verdict::Resume, true), (Verdict::Redirect, false)] {
        let mut f = Fixture::with_entries(Vec::new());
        let exception = VmxRecord {
            reason: 0,
            interruption_info: 1 << 31 | 1 << 11 | 3 << 8 | 13,
            idt_vectoring_info: 1 << 31 | 4 << 8 | 0x81,
            instruction_length: 2,
            ..RECORD
        };
        let exit = Record::Vmx(exception).decode();
        assert!(exit.vectoring.is_some());
        assert_eq!(apply(&mut f.v, &exit, verdict), None);
        assert_eq!(f.v.engine.is_injecting(), again);
    }
}

/// A virtual APIC with a one-shot timer that fires at `deadline` with vector 0x40.
fn timed(entries: Vec<Entry>, deadline: u64) -> Fixture {
    let mut f = Fixture::with_entries(entries);
    f.v.lapic.write_page(0x0f, 0x1ff, 0);
    f.v.lapic.write_page(0x32, 0x4_0040, 0);
    f.v.lapic.set_tsc_deadline(deadline);
    f
}

fn tick(machine: &'static FakeMachine, to: u64, reason: u32) -> Entry {
    Box::new(move |engine: &mut FakeEngine| {
        machine.clock.store(to, Relaxed);
        Record::Vmx(VmxRecord {
            reason,
            rip: engine.reg(Reg::Rip),
            ..RECORD
        })
    })
}

#[test]
fn a_timer_interrupt_waits_for_the_window() {
    const WHEN: u64 = 2_000_000;
    let mut f = timed(Vec::new(), WHEN);
    let machine = f.machine;
    let entries = Vec::from([
        tick(machine, WHEN, PREEMPTION_TIMER),
        Box::new(move |engine: &mut FakeEngine| {
            let told = engine.told.lock();
            assert_eq!(
                (told.deadline, told.injected, told.interrupt_window),
                (Some(FAR), None, true)
            );
            drop(told);
            engine.set_reg(Reg::Rflags, Rflags::IF.bits());
            Record::Vmx(VmxRecord {
                reason: INTERRUPT_WINDOW,
                rip: engine.reg(Reg::Rip),
                ..RECORD
            })
        }),
        look(injected(Some(Event::interrupt(0x40))), END),
    ]);
    let mut engine = Fixture::on(machine, entries);
    core::mem::swap(&mut f.v.engine, &mut engine.v.engine);
    assert_eq!(
        run(&mut f.v, FAR, &Ring::new()),
        Pause::Stopped(Stop::Exit(0))
    );
    assert!(!engine.told.lock().interrupt_window);
    assert_eq!(f.v.lapic.pending_interrupt(), None);
}

#[test]
fn the_slice_and_hlt_and_physical_interrupts_give_the_cpu_back() {
    let machine = FakeMachine::leak();
    let mut f = Fixture::on(machine, Vec::from([tick(machine, FAR, EXTERNAL_INTERRUPT)]));
    assert_eq!(go(&mut f), Pause::SliceOver);
    assert_eq!(
        (
            machine.interrupts_accepted.load(Relaxed),
            f.told.lock().deadline
        ),
        (1, Some(FAR))
    );
    let mut f = Fixture::with_entries(Vec::from([plain(HLT, 1)]));
    f.v.engine.set_reg(Reg::Rflags, 0x202);
    let pause = go(&mut f);
    let halted = Activity::Halted {
        interrupts: true,
        nmis: true,
    };
    assert_eq!((pause, f.v.activity), (Pause::Waiting, halted));
    assert_eq!(f.v.engine.reg(Reg::Rip), Fixture::CODE + 1);
    let mut f = Fixture::with_entries(Vec::from([plain(VMCALL, 3)]))
        .with(&[(Rax, abi::Call::Yield as u64)]);
    assert_eq!((go(&mut f), f.gpr(Rax)), (Pause::SliceOver, 0));
}

#[test]
fn only_time_on_a_cpu_is_run_time() {
    let machine = FakeMachine::leak();
    let entries = [100, 30].map(|ticks| -> Entry {
        Box::new(move |engine: &mut FakeEngine| {
            machine.clock.fetch_add(ticks, Relaxed);
            Record::Vmx(VmxRecord {
                reason: HLT,
                rip: engine.reg(Reg::Rip),
                instruction_length: 1,
                ..RECORD
            })
        })
    });
    let mut f = Fixture::on(machine, Vec::from(entries));
    f.v.engine.set_reg(Reg::Rflags, Rflags::IF.bits());
    for total in [100, 130] {
        f.machine.clock.fetch_add(5_000, Relaxed);
        assert_eq!(run(&mut f.v, FAR, &Ring::new()), Pause::Waiting);
        let now = f.machine.clock.load(Relaxed);
        f.v.guest.run_time.resume(now);
        assert_eq!(f.v.guest.run_time.at(now), total);
    }
}

/// Else the guest would exit again before it executes anything.
#[test]
fn a_timer_that_fires_each_tick_leaves_time_to_the_guest() {
    const PERIODIC: u32 = 0x2_0040;
    let mut f = Fixture::with_entries(Vec::from([plain(HLT, 1)]));
    f.v.engine.set_reg(Reg::Rflags, 0x202);
    let now = f.machine.clock.load(Relaxed);
    for (register, value) in [(0x0f, 0x1ff), (0x32, PERIODIC), (0x3e, 0b1011), (0x38, 1)] {
        f.v.lapic.write_page(register, value, now);
    }
    f.machine.clock.fetch_add(10, Relaxed);
    let _ = go(&mut f);
    let armed = f.told.lock().deadline.unwrap();
    assert!(armed >= now + 10 + LEAST, "{armed} after {now}");
}

/// SDM 3B "Masking Exceptions and Interrupts When Switching Stacks": what MOV SS held back comes with the next #DB.
#[test]
fn a_single_step_tells_the_breakpoints_that_were_held_back() {
    let mut f = Fixture::new();
    single_step(&mut *f.v.engine, 0b0101);
    let dr6 = Dr6::from_bits_retain(f.v.engine.reg(Reg::Dr6));
    assert!(dr6.contains(Dr6::BS | Dr6::B0 | Dr6::B2) && !dr6.contains(Dr6::B1));
    assert_eq!(f.told.lock().injected.map(|event| event.vector), Some(1));
}

/// SDM 3B "Instruction-Breakpoint Exception Condition": the breakpoint of a repeated instruction is met once, not once an exit.
#[test]
fn the_resume_flag_is_set_until_a_repetition_ends() {
    const REP_OUTSB: VmxRecord = VmxRecord {
        reason: IO,
        qualification: 0x80 << 16 | 1 << 5 | 1 << 4,
        instruction_length: 2,
        instruction_info: 2 << 7 | 3 << 15,
        ..RECORD
    };
    let flag = |want: bool| {
        move |engine: &mut FakeEngine| {
            let flags = Rflags::from_bits_retain(engine.reg(Reg::Rflags));
            assert_eq!(flags.contains(Rflags::RF), want);
        }
    };
    let mut f = Fixture::with_entries(Vec::from([
        look(flag(false), REP_OUTSB),
        look(flag(true), REP_OUTSB),
        look(flag(false), END),
    ]))
    .with(&[(Rcx, 300), (Rsi, 0x1000)]);
    go(&mut f);
    assert_eq!(f.v.engine.reg(Reg::Rip), Fixture::CODE + 2);
}
