//! Physical interrupts, and the virtual ones that a guest is waiting for.

use super::table::Verdict;
use super::{Exit, Kind, simple};
use crate::device::lapic::Pending;
use crate::machine::{Event, EventType, Reg};
use crate::vcpu::{Activity, Vcpu};
use spec::control_registers::Rflags;

/// A physical interrupt or NMI ended the guest's run: our own handlers take it.
pub(super) fn physical(_: &Exit, v: &mut Vcpu) -> Verdict {
    v.ticked |= v.host.machine.accept_interrupts();
    Verdict::Resume
}

/// The guest can take an interrupt or an NMI now: [`deliver`] finds it. An interrupt that has gone
/// below the task priority meanwhile must not keep the window open: the guest would exit for ever.
pub(super) fn window(x: &Exit, v: &mut Vcpu) -> Verdict {
    match x.kind {
        Kind::NmiWindow => v.engine.set_nmi_window(false),
        _ => v.engine.set_interrupt_window(false),
    }
    Verdict::Resume
}

/// HLT: the guest waits for an interrupt. With interrupts disabled only an NMI or INIT ends that. Where no other
/// virtual CPU and no pin is left to send one, it would wait for ever.
pub(super) fn hlt(x: &Exit, v: &mut Vcpu) -> Verdict {
    let nmis = !v.engine.interruptibility().nmi;
    if v.lapic.has_nmi() && nmis {
        v.lapic.touch();
        return Verdict::Next;
    }
    // With TF set the instruction ends in a #DB, which ends the halt too.
    let flags = v.engine.reg(Reg::Rflags);
    if flags & Rflags::TF.bits() != 0 {
        return Verdict::Next;
    }
    let interrupts = flags & Rflags::IF.bits() != 0;
    v.set_activity(Activity::Halted { interrupts, nmis });
    if !interrupts && v.guest.interrupts.nothing_can_wake() {
        return simple::stop(v, x, "HLT with interrupts disabled, which nothing can end");
    }
    Verdict::Halt
}

/// Before VM entry: injects what is pending if the guest can take it now, else asks to be told
/// when it can.
#[inline]
pub fn deliver(v: &mut Vcpu) {
    if v.lapic.has_nmi() {
        deliver_nmi(v);
    }
    if let Some(pending) = v.lapic.pending_interrupt() {
        deliver_interrupt(v, pending);
    }
}

#[cold]
fn deliver_nmi(v: &mut Vcpu) {
    let held = v.engine.interruptibility();
    let ready = !held.nmi && !held.blocking_by_sti_or_mov_ss && !v.engine.is_injecting();
    if held.nmi {
        v.lapic.keep_one_nmi();
    }
    if ready && v.lapic.take_nmi() {
        v.engine.inject(Event {
            kind: EventType::Nmi,
            ..Event::interrupt(2)
        });
    }
    v.engine.set_nmi_window(!ready || v.lapic.has_nmi());
}

#[cold]
fn deliver_interrupt(v: &mut Vcpu, pending: Pending) {
    let enabled = v.engine.reg(Reg::Rflags) & Rflags::IF.bits() != 0;
    let ready = enabled
        && !v.engine.interruptibility().blocking_by_sti_or_mov_ss
        && !v.engine.is_injecting();
    if ready {
        let vector = v.lapic.acknowledge(pending);
        v.engine.inject(Event::interrupt(vector));
    }
    v.engine
        .set_interrupt_window(!ready || v.lapic.pending_interrupt().is_some());
}
