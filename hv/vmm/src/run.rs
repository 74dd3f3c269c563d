//! The loop: VM entry, VM exit, the handler's verdict, and what it does to the guest.

use crate::emulate;
use crate::exit::table::{Stop, Verdict};
use crate::exit::{Exit, exception, interrupt};
use crate::machine::{Event, EventType, Reg};
use crate::trace::{self, Level, Outcome, Ring};
use crate::vcpu::{Activity, Vcpu};
use core::ops::Range;
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
}

/// Runs a loaded virtual CPU until the TSC reaches `slice_end`, or until it waits or ends.
pub fn run(v: &mut Vcpu, slice_end: u64, ring: &Ring) -> Pause {
    let machine = v.host.machine;
    v.lapic.advance(machine.now());
    let mut armed = None;
    loop {
        let deadline = v
            .lapic
            .next_deadline()
            .map_or(slice_end, |timer| timer.min(slice_end));
        if armed != Some(deadline) {
            v.engine.set_deadline(Some(deadline));
            armed = Some(deadline);
        }
        interrupt::deliver(v);
        let record = v.engine.run();
        let left = machine.now();
        let exit = record.decode();
        let verdict = (v.guest.kind.exits.handler(exit.kind))(&exit, v);
        let outcome = Outcome::from(&verdict);
        let pause = apply(v, &exit, verdict);
        let now = machine.now();
        note(v, ring, &exit, outcome, left..now);
        if pause.is_some() || now >= deadline {
            v.lapic.advance(now);
        }
        match pause {
            Some(pause) => return pause,
            None if now >= slice_end => return Pause::SliceOver,
            None => {}
        }
    }
}

/// Counts an exit and puts it into the trace.
#[inline]
fn note(v: &mut Vcpu, ring: &Ring, exit: &Exit, outcome: Outcome, time: Range<u64>) {
    v.counts.add(exit.kind, time.end.wrapping_sub(time.start));
    ring.push(
        time.start,
        trace::Event::Exit {
            guest: v.guest.number as u16,
            level: Level::L1,
            kind: exit.kind,
            outcome,
            rip: exit.rip,
        },
    );
}

/// Carries out a verdict: the one place that advances RIP, injects and stops.
#[inline]
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
    v.engine.skip(exit.rip.wrapping_add(u64::from(length)));
    let rflags = Rflags::from_bits_retain(v.engine.reg(Reg::Rflags));
    if rflags.intersects(Rflags::TF.union(Rflags::RF)) {
        end_instruction(v, rflags);
    }
    None
}

#[cold]
fn end_instruction(v: &mut Vcpu, rflags: Rflags) {
    v.engine
        .set_reg(Reg::Rflags, rflags.difference(Rflags::RF).bits());
    if rflags.contains(Rflags::TF) {
        let single_step = exception::debug(v, Dr6::BS.bits());
        v.engine.inject(single_step);
    }
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
