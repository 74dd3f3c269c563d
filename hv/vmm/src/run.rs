//! The loop: VM entry, VM exit, the handler's verdict, and what it does to the guest.

use crate::emulate::{fetch, length};
use crate::exit::table::{Stop, Verdict};
use crate::exit::{Exit, Kind, Record, exception, interrupt};
use crate::machine::{Engine, Event, EventType, Reg, Visit};
use crate::trace::{self, Level, Outcome, Ring};
use crate::vcpu::{Activity, Vcpu};
use core::num::NonZeroU64;
use core::ops::ControlFlow;
use spec::control_registers::{Cr0, Dr6, Rflags};
use spec::exception::{Combination, Vector};

/// Why the loop gave the physical CPU back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pause {
    /// The time slice is over.
    SliceOver,
    /// The virtual CPU can do nothing before an interrupt, a deadline or input.
    Waiting,
    /// The guest ended.
    Stopped(Stop),
    /// Another virtual CPU ended the guest.
    Over,
}

/// Runs a loaded virtual CPU until the TSC reaches `slice_end`, or until it waits or ends.
pub fn run(v: &mut Vcpu, slice_end: u64, ring: &Ring) -> Pause {
    let (exits, guest) = (v.guest.kind.exits, v.guest.number as u16);
    let mut deadline = Deadline::new(slice_end);
    let mut record = Record::default();
    let now = v.host.machine.now();
    v.counts.resume(now);
    v.guest.run_time.resume(now);
    v.collect(now);
    v.lapic.touch();
    let mut next = None;
    loop {
        if v.lapic.is_touched()
            && let Some(pause) = prepare(v, &mut deadline, next.take())
        {
            return leave(v, pause);
        }
        let visit = v.engine.run(&mut v.gprs, &mut record, next.take());
        let exit = record.decode();
        v.counts.add(exit.kind, visit);
        let verdict = (exits.handler(exit.kind))(&exit, v);
        let behind = exit.rip.wrapping_add(exit.length.into());
        match verdict {
            Verdict::Next if is_plain(&exit, behind) && visit.left < deadline.next => {
                note(ring, guest, visit, &exit, Outcome::Next);
                next = NonZeroU64::new(behind);
            }
            other => {
                note(ring, guest, visit, &exit, Outcome::from(&other));
                match decide(v, &exit, other, visit, &mut deadline) {
                    ControlFlow::Continue(rip) => next = rip,
                    ControlFlow::Break(pause) => return pause,
                }
            }
        }
    }
}

/// Whether the instruction has a length, and EIP does not wrap around behind it: with neither, the low half of
/// RIP does not grow.
#[inline(always)]
fn is_plain(exit: &Exit, behind: u64) -> bool {
    (exit.rip as u32) < behind as u32
}

/// Goes on behind an instruction at the end of 4 GiB. Outside 64-bit mode EIP wraps around there (SDM 1
/// "Instruction Pointer"). Sequential execution never wraps IP around: beyond FFFFH the limit of CS is checked.
#[cold]
#[inline(never)]
fn carry(v: &mut Vcpu, rip: u64) {
    let rip = if fetch::code_size(v) == 64 {
        rip
    } else {
        u64::from(rip as u32)
    };
    v.engine.skip(rip);
}

/// When the loop must look at the clock again.
struct Deadline {
    slice_end: u64,
    /// The end of the slice, the virtual APIC's timer, or the alarm: what comes first.
    wanted: u64,
    /// When the engine exits for it: not at once.
    next: u64,
    /// The engine knows of it.
    armed: bool,
}

/// The least time between two exits for deadlines, in ticks of the TSC. A guest may ask for an interrupt each tick of its
/// timer, and would execute nothing in between.
const LEAST: u64 = 1000;

impl Deadline {
    fn new(slice_end: u64) -> Self {
        Self {
            slice_end,
            wanted: slice_end,
            next: slice_end,
            armed: false,
        }
    }

    /// Has the engine exit at the first deadline.
    fn arm(&mut self, v: &mut Vcpu) {
        let mut wanted = self.wanted_of(v);
        if self.armed && wanted == self.wanted {
            return;
        }
        let machine = v.host.machine;
        let now = machine.now();
        if wanted <= now {
            v.collect(now);
            wanted = self.wanted_of(v);
        }
        self.next = wanted.max(machine.now().saturating_add(LEAST));
        v.engine.set_deadline(Some(self.next));
        (self.wanted, self.armed) = (wanted, true);
    }

    fn wanted_of(&self, v: &Vcpu) -> u64 {
        v.next_deadline().unwrap_or(u64::MAX).min(self.slice_end)
    }
}

/// Before a VM entry at `rip`: takes in what came from other CPUs, has the engine exit when the first deadline comes,
/// and delivers what is pending.
#[inline(never)]
fn prepare(v: &mut Vcpu, deadline: &mut Deadline, rip: Option<NonZeroU64>) -> Option<Pause> {
    if let Some(rip) = rip {
        v.engine.skip(rip.get());
        end_instruction(v);
    }
    v.receive();
    if v.lapic.has_signal() {
        v.take_signals();
    }
    if v.guest.interrupts.processors.is_stopped() {
        return Some(Pause::Over);
    }
    if v.activity == Activity::WaitForSipi {
        return Some(Pause::Waiting);
    }
    deadline.arm(v);
    interrupt::deliver(v);
    v.lapic.settle();
    None
}

/// Stops counting the guest's time.
fn leave(v: &mut Vcpu, pause: Pause) -> Pause {
    let now = v.host.machine.now();
    v.counts.leave(now);
    v.guest.run_time.pause(now);
    pause
}

#[inline]
fn note(ring: &Ring, guest: u16, visit: Visit, exit: &Exit, outcome: Outcome) {
    let event = trace::Event::Exit {
        guest,
        level: Level::L1,
        kind: exit.kind,
        outcome,
        rip: exit.rip,
    };
    ring.push(visit.left, event);
}

/// Everything but an instruction that is simply done. Goes on where the guest is, or there.
#[inline(never)]
fn decide(
    v: &mut Vcpu,
    exit: &Exit,
    verdict: Verdict,
    visit: Visit,
    deadline: &mut Deadline,
) -> ControlFlow<Pause, Option<NonZeroU64>> {
    if let Verdict::NextBy(length) = verdict {
        let behind = exit.rip.wrapping_add(length.into());
        if is_plain(exit, behind) && visit.left < deadline.next {
            return ControlFlow::Continue(NonZeroU64::new(behind));
        }
    }
    v.lapic.touch();
    if core::mem::take(&mut v.ticked) {
        deadline.armed = false;
    }
    let pause = apply(v, exit, verdict);
    let now = v.host.machine.now();
    if pause.is_some() || now >= deadline.next {
        v.collect(now);
    }
    let pause = pause.filter(|pause| *pause != Pause::Waiting || !wakes(v));
    let over = now >= deadline.slice_end || v.shares_cpu && exit.kind == Kind::ExternalInterrupt;
    let pause = pause.or(over.then_some(Pause::SliceOver));
    pause.map_or(ControlFlow::Continue(None), |pause| {
        ControlFlow::Break(leave(v, pause))
    })
}

/// Ends a HLT at once for which something has come already.
fn wakes(v: &mut Vcpu) -> bool {
    let wakes = matches!(v.activity, Activity::Halted { .. }) && v.is_awake();
    if wakes {
        v.set_activity(Activity::Active);
    }
    wakes
}

/// Carries out a verdict: the one place that advances RIP, injects and stops.
fn apply(v: &mut Vcpu, exit: &Exit, verdict: Verdict) -> Option<Pause> {
    match verdict {
        Verdict::Next => advance(v, exit),
        Verdict::NextBy(0) => repeat(v, exit),
        Verdict::NextBy(length) => skip(v, exit, length),
        Verdict::Resume => {
            if let Some(event) = exit.vectoring {
                deliver(v, event);
            }
            None
        }
        Verdict::Redirect => None,
        Verdict::Inject(event) => inject(v, exit, event),
        Verdict::Halt => advance(v, exit).or(Some(Pause::Waiting)),
        Verdict::Yield => advance(v, exit).or(Some(Pause::SliceOver)),
        Verdict::Wait(until) => {
            v.set_activity(Activity::Waiting(until.unwrap_or(u64::MAX)));
            Some(Pause::Waiting)
        }
        Verdict::Stop(stop) => Some(Pause::Stopped(stop)),
    }
}

/// Goes on behind the instruction.
fn advance(v: &mut Vcpu, exit: &Exit) -> Option<Pause> {
    if exit.length != 0 {
        return skip(v, exit, exit.length);
    }
    match length::decode(v) {
        Ok(length) => skip(v, exit, length),
        Err(event) => inject(v, exit, event),
    }
}

/// Goes on `length` bytes further, as if the processor had executed an instruction: blocking by
/// STI and MOV SS and RFLAGS.RF end, and with RFLAGS.TF set a single-step #DB follows.
#[inline]
fn skip(v: &mut Vcpu, exit: &Exit, length: u8) -> Option<Pause> {
    let rip = exit.rip.wrapping_add(length.into());
    if (rip as u32) < u32::from(length) {
        carry(v, rip);
    } else {
        v.engine.skip(rip);
    }
    end_instruction(v);
    None
}

/// Ends one iteration of a repeated instruction that goes on. RFLAGS.RF is set then, whatever comes before the next
/// iteration: the instruction has met its breakpoint (SDM 3B "Instruction-Breakpoint Exception Condition").
#[cold]
fn repeat(v: &mut Vcpu, exit: &Exit) -> Option<Pause> {
    v.engine.skip(exit.rip);
    let flags = v.engine.reg(Reg::Rflags);
    v.engine.set_reg(Reg::Rflags, flags | Rflags::RF.bits());
    end_instruction(v);
    None
}

/// Behind an instruction: it may have met breakpoints.
#[inline]
fn end_instruction(v: &mut Vcpu) {
    if v.breakpoints.is_met() {
        raise_breakpoints(v);
    }
}

/// One #DB says all that happened.
#[cold]
fn raise_breakpoints(v: &mut Vcpu) {
    let conditions = v.take_conditions();
    let event = exception::debug(&mut *v.engine, conditions);
    v.engine.inject(event);
}

/// The #DB that follows an instruction when RFLAGS.TF is set, with the breakpoints (DR6 layout) that were met before it
/// and that MOV SS held back. The engine calls it, since it looks at the flags anyway.
#[cold]
pub fn single_step(engine: &mut dyn Engine, held_back: u64) {
    let event = exception::debug(engine, Dr6::BS.bits() | held_back);
    engine.inject(event);
}

/// Delivers an event. When the exit came while another exception was being delivered, the two
/// may make a double fault, or a triple one (SDM 3A "Interrupt 8—Double Fault Exception (#DF)").
fn inject(v: &mut Vcpu, exit: &Exit, event: Event) -> Option<Pause> {
    v.breakpoints.forget();
    let first = exit
        .vectoring
        .filter(|first| first.kind == EventType::HardwareException);
    let combined = match first.map(|first| Vector(first.vector).then(Vector(event.vector))) {
        None | Some(Combination::Serial) => event,
        Some(Combination::DoubleFault) => Event::exception(Vector::DF.0, Some(0)),
        Some(Combination::Shutdown) => return Some(Pause::Stopped(Stop::TripleFault)),
    };
    deliver(v, combined);
    None
}

/// Delivers an event. A fault pushes an image of RFLAGS in which RF is set, so that its instruction meets no
/// breakpoint again (SDM 3B "Instruction-Breakpoint Exception Condition"). Injection pushes RFLAGS as it is
/// (SDM 3C "Details of Vectored-Event Injection"). In real mode there are no error codes, and VM entry refuses them.
fn deliver(v: &mut Vcpu, event: Event) {
    if event.kind == EventType::HardwareException && Vector(event.vector).is_fault() {
        let flags = v.engine.reg(Reg::Rflags);
        v.engine.set_reg(Reg::Rflags, flags | Rflags::RF.bits());
    }
    let protected = v.engine.reg(Reg::Cr0) & Cr0::PE.bits() != 0;
    v.engine.inject(Event {
        error_code: event.error_code.filter(|_| protected),
        ..event
    });
}

#[cfg(test)]
mod tests;
