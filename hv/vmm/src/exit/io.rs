//! IN, OUT, INS and OUTS.

use super::table::{Stop, Verdict};
use super::{Detail, Exit, Io, simple};
use crate::device::bus::Effect;
use crate::emulate::execute::Progress;
use crate::emulate::string::Walk;
use crate::emulate::{fetch, memory};
use crate::machine::{Event, Gpr, SegmentRegister};
use crate::vcpu::Vcpu;
use spec::breakpoint;

/// Port I/O.
pub(super) fn io(x: &Exit, v: &mut Vcpu) -> Verdict {
    match x.detail {
        Detail::Io(io) if is_ignored(io, v) => Verdict::Next,
        _ => access(x, v),
    }
}

/// An OUT of a byte to a port that nobody claims, such as those that are written to pass time.
#[inline(always)]
fn is_ignored(io: Io, v: &Vcpu) -> bool {
    let is_out_of_byte = !io.input && !io.string && io.size == 1;
    is_out_of_byte && !v.guest.claims.has(io.port) && !v.breakpoints.is_on()
}

#[inline(never)]
fn access(x: &Exit, v: &mut Vcpu) -> Verdict {
    let verdict = carry_out(x, v);
    v.heed_mail();
    verdict
}

#[inline]
fn carry_out(x: &Exit, v: &mut Vcpu) -> Verdict {
    match x.detail {
        Detail::Io(io) if io.string => string_io(io, v),
        Detail::Io(io) if io.input => register_in(io, v),
        Detail::Io(io) => register_out(io, v),
        _ => simple::unsupported(x, v),
    }
}

/// OUT.
#[inline]
fn register_out(io: Io, v: &mut Vcpu) -> Verdict {
    accessed(io, v);
    let value = v.gprs[Gpr::Rax] as u32;
    let effect = v.guest.bus.lock().write(io.port, io.size, value);
    stop(effect).map_or(Verdict::Next, Verdict::Stop)
}

/// Breakpoints may be on ports.
#[inline]
fn accessed(io: Io, v: &mut Vcpu) {
    v.accessed(breakpoint::Access::Port, io.port.into(), io.size);
}

/// The end that an access leads to.
fn stop(effect: Effect) -> Option<Stop> {
    match effect {
        Effect::None => None,
        Effect::Exit(status) => Some(Stop::Exit(status)),
        Effect::PowerOff => Some(Stop::PowerOff),
        Effect::Reset => Some(Stop::Reset),
    }
}

/// IN. A 32-bit result clears the upper half of RAX, as every such result does.
#[inline(never)]
fn register_in(io: Io, v: &mut Vcpu) -> Verdict {
    accessed(io, v);
    let rax = v.gprs[Gpr::Rax];
    let value = u64::from(v.guest.bus.lock().read(io.port, io.size));
    v.gprs[Gpr::Rax] = match io.size {
        1 => rax & !0xff | value & 0xff,
        2 => rax & !0xffff | value & 0xffff,
        _ => value,
    };
    Verdict::Next
}

/// INS and OUTS. The exit comes after the checks of I/O privilege and before those of memory.
#[cold]
fn string_io(io: Io, v: &mut Vcpu) -> Verdict {
    let mut effect = Effect::None;
    let once = |v: &mut Vcpu, walk| {
        accessed(io, v);
        if io.input {
            input(v, io, walk)?;
        } else {
            effect = output(v, io, walk)?;
        }
        Ok(effect == Effect::None)
    };
    let progress = walk(io, v).and_then(|walk| repeat(v, io, walk, once));
    match (stop(effect), progress) {
        (Some(stop), _) => Verdict::Stop(stop),
        (_, Ok(Progress::Partly)) => Verdict::NextBy(0),
        (_, Ok(_)) => Verdict::Next,
        (_, Err(event)) => Verdict::Inject(event),
    }
}

fn repeat(
    v: &mut Vcpu,
    io: Io,
    walk: Walk,
    mut once: impl FnMut(&mut Vcpu, Walk) -> Result<bool, Event>,
) -> Result<Progress, Event> {
    if io.rep {
        return walk.repeat(v, |v| once(v, walk));
    }
    once(v, walk).map(|_| Progress::Done)
}

/// From what the hardware says, or from the instruction where it does not.
fn walk(io: Io, v: &mut Vcpu) -> Result<Walk, Event> {
    let source = match (io.input, io.segment) {
        (true, _) => Some(SegmentRegister::Es),
        (false, segment) => segment.and_then(SegmentRegister::from_number),
    };
    if let (Some(address_size @ (2 | 4 | 8)), Some(source)) = (io.address_size, source) {
        return Ok(Walk {
            size: io.size,
            address_size,
            source,
        });
    }
    let instruction = fetch::instruction(v)?;
    Walk::of(&instruction).ok_or(Event::exception(6, None))
}

/// The memory must take the byte before it is taken from the port.
fn input(v: &mut Vcpu, io: Io, walk: Walk) -> Result<(), Event> {
    let to = walk.destination(v, true)?;
    memory::check(v, to, io.size, true)?;
    let value = v.guest.bus.lock().read(io.port, io.size);
    memory::write(v, to, io.size, value.into())?;
    walk.step(v, Gpr::Rdi);
    Ok(())
}

fn output(v: &mut Vcpu, io: Io, walk: Walk) -> Result<Effect, Event> {
    let from = walk.source(v)?;
    let value = memory::read(v, from, io.size)?;
    let effect = v.guest.bus.lock().write(io.port, io.size, value as u32);
    walk.step(v, Gpr::Rsi);
    Ok(effect)
}

#[cfg(test)]
mod tests;
