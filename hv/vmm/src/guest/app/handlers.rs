//! Signal handlers of a program: its registers are put into a frame on its stack, and taken back from there.

use super::exits::{Outside, app, enter_user, kill};
use super::layout::KERNEL_ADDRESS;
use super::{App, layout};
use crate::exit::Exit;
use crate::exit::rows::MACHINE;
use crate::exit::table::{Stop, Verdict};
use crate::machine::{Gpr, Reg};
use crate::syscall::frame::{self, Registers};
use crate::syscall::signal::Taken;
use crate::syscall::signals::Cause;
use crate::syscall::{Outcome, Signal};
use crate::vcpu::Vcpu;

/// RIP behind the entry stub's HLT.
const BEHIND_HLT: u64 = KERNEL_ADDRESS + 1;
/// The length of SYSCALL, in bytes.
const SYSCALL_LENGTH: u64 = 2;

/// The physical timer, or another interrupt of ours: the program's own timers may have expired, and somebody
/// may have typed ^C.
pub(super) fn tick(x: &Exit, v: &mut Vcpu) -> Verdict {
    let verdict = MACHINE.handler(x.kind)(x, v);
    if x.rip == KERNEL_ADDRESS {
        // The system call that is about to be made, or made again, looks itself if it would wait; else it is
        // our turn a little later.
        let machine = v.host.machine;
        v.alarm = Some(machine.now() + machine.tsc_hz() / 1000);
        v.lapic.touch();
        return verdict;
    }
    let (mut outside, guest) = Outside::of(v);
    let outcome = app(guest).look_outside(&mut outside);
    match outcome {
        None => {
            set_alarm(v);
            verdict
        }
        Some(Outcome::Kill(signal)) => kill(signal),
        Some(_) => {
            let registers = interrupted(v);
            call_handlers(v, registers)
        }
    }
}

/// After a system call that has more to it than its value.
#[cold]
pub(super) fn conclude(v: &mut Vcpu, outcome: Outcome) -> Verdict {
    let mut registers = system_call(v);
    match outcome {
        Outcome::Signals(value) => registers.gprs[Gpr::Rax] = value,
        Outcome::Restart => registers.rip -= SYSCALL_LENGTH,
        Outcome::SignalReturn => return go_back(v, &registers),
        Outcome::Kill(signal) => {
            leave(v, &registers);
            return kill(signal);
        }
        Outcome::Exit(status) => return Verdict::Stop(Stop::Exit(status.into())),
        Outcome::Block(until) => return Verdict::Wait(until),
        Outcome::Again => return Verdict::Resume,
        Outcome::Return(value) => {
            v.gprs[Gpr::Rax] = value;
            return Verdict::Next;
        }
    }
    call_handlers(v, registers)
}

/// A signal that an instruction raised: its handler, or the end.
#[cold]
pub(super) fn raise(v: &mut Vcpu, cause: Cause, length: u64) -> Verdict {
    let mut registers = interrupted(v);
    registers.rip = registers.rip.wrapping_add(length);
    let handled = app(&v.guest).is_handled(cause.signal);
    match handled {
        true => call_handler(v, &registers, &cause).unwrap_or_else(|_| kill(Signal::SEGV)),
        false => kill(cause.signal),
    }
}

/// The program's registers before the instruction that is next, which may be the SYSRETQ of the entry stub.
fn interrupted(v: &Vcpu) -> Registers {
    let (rip, after) = (v.engine.reg(Reg::Rip), system_call(v));
    match rip {
        BEHIND_HLT => after,
        _ => Registers {
            rip,
            rflags: v.engine.reg(Reg::Rflags),
            ..after
        },
    }
}

/// The program's registers behind its SYSCALL, which keeps RIP in RCX and RFLAGS in R11.
fn system_call(v: &Vcpu) -> Registers {
    let mut gprs = v.gprs;
    gprs[Gpr::Rsp] = v.engine.reg(Reg::Rsp);
    Registers {
        rip: gprs[Gpr::Rcx],
        rflags: gprs[Gpr::R11],
        gprs,
    }
}

/// Calls the handlers of all signals that came.
fn call_handlers(v: &mut Vcpu, mut registers: Registers) -> Verdict {
    loop {
        let taken = app(&v.guest).take_signal();
        match taken {
            None => {
                set_alarm(v);
                leave(v, &registers);
                return Verdict::Redirect;
            }
            Some(Taken::Kill(signal)) => {
                leave(v, &registers);
                return kill(signal);
            }
            Some(Taken::Handle(cause)) => match push(v, &registers, &cause) {
                Some(next) => registers = next,
                None => return kill(Signal::SEGV),
            },
        }
    }
}

fn call_handler(v: &mut Vcpu, registers: &Registers, cause: &Cause) -> Result<Verdict, ()> {
    let next = push(v, registers, cause).ok_or(())?;
    Ok(call_handlers(v, next))
}

fn push(v: &mut Vcpu, registers: &Registers, cause: &Cause) -> Option<Registers> {
    let image = v.engine.extended_state();
    let mut app = app(&v.guest);
    let App {
        process, thread, ..
    } = &mut *app;
    frame::push(process, thread, registers, &image, cause).ok()
}

/// The system call rt_sigreturn.
fn go_back(v: &mut Vcpu, now: &Registers) -> Verdict {
    let frame = {
        let mut app = app(&v.guest);
        let App {
            process, thread, ..
        } = &mut *app;
        frame::pop(process, thread, now)
    };
    let Ok((registers, image)) = frame else {
        leave(v, now);
        return kill(Signal::SEGV);
    };
    if let Some(image) = image {
        v.engine.set_extended_state(&image);
    }
    call_handlers(v, registers)
}

/// Puts the virtual CPU back to CPL 3 with these registers. An address that SYSRET and IRET would refuse becomes
/// one at which nothing is.
fn leave(v: &mut Vcpu, registers: &Registers) {
    v.gprs = registers.gprs;
    let rip = match registers.rip < layout::USER_END {
        true => registers.rip,
        false => layout::USER_END,
    };
    enter_user(&mut *v.engine);
    v.engine.set_reg(Reg::Rip, rip);
    v.engine.set_reg(Reg::Rsp, registers.gprs[Gpr::Rsp]);
    v.engine.set_reg(Reg::Rflags, registers.rflags);
    if app(&v.guest).take_flush() {
        v.engine.flush_nested();
    }
}

/// Tells the loop when the program's next timer expires.
fn set_alarm(v: &mut Vcpu) {
    let (outside, guest) = Outside::of(v);
    let next = app(guest).next_timer(&outside);
    v.alarm = next;
    v.lapic.touch();
}

#[cfg(test)]
mod tests;
