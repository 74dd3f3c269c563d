//! The loop: VM entry, VM exit, the handler's verdict, and what it does to the guest.

use crate::emulate;
use crate::exit::table::{Stop, Verdict};
use crate::exit::{Exit, Kind, Record, exception, interrupt};
use crate::machine::{Event, EventType, Reg};
use crate::trace::{self, Level, Outcome, Ring};
use crate::vcpu::{Activity, Vcpu};
use spec::control_registers::{Cr0, Dr6};
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
}

/// Runs a loaded virtual CPU until the TSC reaches `slice_end`, or until it waits or ends.
pub fn run(v: &mut Vcpu, slice_end: u64, ring: &Ring) -> Pause {
    let (guest, exits) = (v.guest.number as u16, v.guest.kind.exits);
    let now = v.host.machine.now();
    v.lapic.advance(now);
    v.counts.resume(now);
    let (mut record, mut armed) = (Record::default(), None);
    loop {
        let deadline = arm(v, slice_end, &mut armed);
        interrupt::deliver(v);
        let visit = v.engine.run(&mut v.gprs, &mut record);
        v.counts.enter(visit.entered);
        let exit = record.decode();
        v.counts.leave(exit.kind, visit.left);
        let verdict = (exits.handler(exit.kind))(&exit, v);
        let event = trace::Event::Exit {
            guest,
            level: Level::L1,
            kind: exit.kind,
            outcome: Outcome::from(&verdict),
            rip: exit.rip,
        };
        ring.push(visit.left, event);
        let pause = match verdict {
            Verdict::Next => advance(v, &exit),
            other => apply(v, &exit, other),
        };
        if pause.is_some() || visit.left >= deadline {
            if let Some(pause) = look_at_the_clock(v, slice_end, pause) {
                return pause;
            }
        } else if exit.kind == Kind::ExternalInterrupt {
            // It may have been the timer, a little early.
            armed = None;
        }
    }
}

/// Has the engine exit when the first deadline comes, and returns it.
#[inline]
fn arm(v: &mut Vcpu, slice_end: u64, armed: &mut Option<u64>) -> u64 {
    let timer = v.lapic.next_deadline();
    let deadline = timer.map_or(slice_end, |timer| timer.min(slice_end));
    if *armed != Some(deadline) {
        v.engine.set_deadline(Some(deadline));
        *armed = Some(deadline);
    }
    deadline
}

/// A deadline has passed, or the virtual CPU pauses.
#[cold]
fn look_at_the_clock(v: &mut Vcpu, slice_end: u64, pause: Option<Pause>) -> Option<Pause> {
    let now = v.host.machine.now();
    v.lapic.advance(now);
    let pause = pause.or((now >= slice_end).then_some(Pause::SliceOver));
    if pause.is_some() {
        v.counts.enter(now);
    }
    pause
}

/// Carries out a verdict: the one place that advances RIP, injects and stops.
#[inline(never)]
fn apply(v: &mut Vcpu, exit: &Exit, verdict: Verdict) -> Option<Pause> {
    match verdict {
        Verdict::Next => advance(v, exit),
        Verdict::NextBy(length) => skip(v, exit, length),
        Verdict::Resume => {
            if let Some(event) = exit.vectoring {
                v.engine.inject(event);
            }
            None
        }
        Verdict::Inject(event) => inject(v, exit, event),
        Verdict::Halt => advance(v, exit).or_else(|| {
            v.activity = Activity::Halted;
            Some(Pause::Waiting)
        }),
        Verdict::Yield => advance(v, exit).or(Some(Pause::SliceOver)),
        Verdict::Wait(until) => {
            v.activity = Activity::Waiting(until.unwrap_or(u64::MAX));
            Some(Pause::Waiting)
        }
        Verdict::Stop(stop) => Some(Pause::Stopped(stop)),
    }
}

/// Goes on behind the instruction.
#[inline]
fn advance(v: &mut Vcpu, exit: &Exit) -> Option<Pause> {
    if exit.length != 0 {
        return skip(v, exit, exit.length);
    }
    match emulate::instruction_length(v) {
        Ok(length) => skip(v, exit, length),
        Err(event) => inject(v, exit, event),
    }
}

/// Goes on `length` bytes further, as if the processor had executed an instruction: blocking by
/// STI and MOV SS and RFLAGS.RF end, and with RFLAGS.TF set a single-step #DB follows.
#[inline]
fn skip(v: &mut Vcpu, exit: &Exit, length: u8) -> Option<Pause> {
    if v.engine.skip(exit.rip.wrapping_add(u64::from(length))) {
        single_step(v);
    }
    None
}

#[cold]
fn single_step(v: &mut Vcpu) {
    let event = exception::debug(v, Dr6::BS.bits());
    v.engine.inject(event);
}

/// Delivers an event. When the exit came while another exception was being delivered, the two
/// may make a double fault, or a triple one (SDM 3A "Interrupt 8—Double Fault Exception (#DF)").
/// In real mode there are no error codes.
fn inject(v: &mut Vcpu, exit: &Exit, event: Event) -> Option<Pause> {
    let first = exit
        .vectoring
        .filter(|first| first.kind == EventType::HardwareException);
    let combined = match first.map(|first| Vector(first.vector).then(Vector(event.vector))) {
        None | Some(Combination::Serial) => event,
        Some(Combination::DoubleFault) => Event::exception(Vector::DF.0, Some(0)),
        Some(Combination::Shutdown) => return Some(Pause::Stopped(Stop::TripleFault)),
    };
    let protected = v.engine.reg(Reg::Cr0) & Cr0::PE.bits() != 0;
    v.engine.inject(Event {
        error_code: combined.error_code.filter(|_| protected),
        ..combined
    });
    None
}

#[cfg(test)]
mod tests;
