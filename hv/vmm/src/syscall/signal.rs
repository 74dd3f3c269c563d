//! Signals: sending them, and what a process does about them. [`super::frame`] calls the handlers.

use super::call::{Answer, Break, Call, Outcome};
use super::progress::Progress;
use super::record::{Record, u64_at};
use super::signals::{COUNT, Cause, SI_KERNEL, Signal};
use super::state::{Action, Process, Thread};
use super::time::{self, write_remaining};
use crate::errno::Errno;
use linux_raw_sys::general::*;

/// SIG_IGN.
const IGNORE: u64 = 1;
/// The size of `sigset_t` in the kernel, in bytes.
const SET_SIZE: u64 = 8;

/// Calls that a handler ends, whatever SA_RESTART says.
const NEVER_RESTARTED: [u32; 9] = [
    __NR_poll,
    __NR_ppoll,
    __NR_select,
    __NR_pselect6,
    __NR_pause,
    __NR_rt_sigsuspend,
    __NR_rt_sigtimedwait,
    __NR_nanosleep,
    __NR_clock_nanosleep,
];

/// What becomes of a signal that is not blocked.
enum Disposition {
    Ignore,
    Kill,
    Handle,
}

impl Process {
    fn disposition(&self, signal: Signal) -> Disposition {
        let place = usize::from(signal.0).wrapping_sub(1);
        match self.actions.get(place).map_or(0, |a| a.handler) {
            IGNORE => Disposition::Ignore,
            0 if signal.is_harmless() => Disposition::Ignore,
            0 => Disposition::Kill,
            _ => Disposition::Handle,
        }
    }
}

/// What comes of a signal whose time has come.
#[derive(Clone, Copy, Debug)]
pub enum Taken {
    /// Its handler is to be called.
    Handle(Cause),
    /// It kills the process.
    Kill(Signal),
}

/// The next signal that does something.
pub fn take(process: &Process, thread: &mut Thread) -> Option<Taken> {
    loop {
        let ready = thread.pending & !thread.blocked;
        if ready == 0 {
            return None;
        }
        let place = ready.trailing_zeros() as usize;
        let signal = Signal(place as u8 + 1);
        let code = thread.drop_pending(signal);
        match process.disposition(signal) {
            Disposition::Ignore => {}
            Disposition::Kill => return Some(Taken::Kill(signal)),
            Disposition::Handle => return Some(Taken::Handle(Cause::sent(signal, code))),
        }
    }
}

/// Whether a signal that an instruction raised has a handler that can be called.
#[must_use]
pub fn is_handled(process: &Process, thread: &Thread, signal: Signal) -> bool {
    let blocked = thread.blocked & signal.bit() != 0;
    !blocked && matches!(process.disposition(signal), Disposition::Handle)
}

impl Call<'_> {
    /// Sends a signal of our own to this thread. `Ok` if nothing more comes of it now.
    pub(super) fn raise(&mut self, signal: Signal) -> Result<(), Break> {
        self.raise_with(signal, SI_KERNEL)
    }

    /// Sends a signal with this `si_code`.
    pub(super) fn raise_with(&mut self, signal: Signal, code: i32) -> Result<(), Break> {
        if self.thread.blocked & signal.bit() != 0 {
            self.thread.keep(signal, code);
            return Ok(());
        }
        match self.process.disposition(signal) {
            Disposition::Ignore => Ok(()),
            Disposition::Kill => Err(Break::Kill(signal)),
            Disposition::Handle => {
                self.thread.keep(signal, code);
                Err(Break::Interrupted)
            }
        }
    }

    /// Changes which signals are blocked; those that waited for it come.
    fn set_blocked(&mut self, blocked: u64) -> Result<(), Break> {
        self.thread.set_mask(blocked);
        let ready = self.thread.pending & !self.thread.blocked;
        let mut result = Ok(());
        for signal in (1..=COUNT as u8).map(Signal) {
            if ready & signal.bit() != 0 {
                let code = self.thread.drop_pending(signal);
                match self.raise_with(signal, code) {
                    Err(Break::Interrupted) => result = Err(Break::Interrupted),
                    other => other?,
                }
            }
        }
        result
    }

    /// Makes a call while other signals are blocked: those in the set at `mask`, if there is one.
    pub(super) fn with_mask(
        &mut self,
        mask: Option<u64>,
        size: u64,
        call: impl FnOnce(&mut Self) -> Answer,
    ) -> Answer {
        if let Some(at) = mask
            && self.thread.saved_mask.is_none()
        {
            check_set_size(size)?;
            let set = self.process.memory.read_u64(at)?;
            self.thread.saved_mask = Some(self.thread.blocked);
            self.set_blocked(set)?;
        }
        let answer = call(self);
        let value = match answer {
            Ok(value) | Err(Break::Done(value)) => value,
            Err(Break::Error(error)) => error.rax(),
            Err(_) => return answer,
        };
        let Some(before) = self.thread.saved_mask.take() else {
            return answer;
        };
        match self.set_blocked(before) {
            Ok(()) => answer,
            came => done(came, value),
        }
    }

    /// Whether time or what was typed has brought a signal, or one waits since a call that is not interrupted.
    pub(super) fn look_outside(&mut self) -> Result<(), Break> {
        time::expire(self)?;
        if self.kernel.has_console_input()
            && let Some(signal) = self.system.terminal.pump(self.kernel)
        {
            self.raise(signal)?;
        }
        match self.thread.pending & !self.thread.blocked {
            0 => Ok(()),
            _ => Err(Break::Interrupted),
        }
    }
}

/// What a call comes to that has neither a value nor an error.
#[cold]
pub(super) fn conclude(c: &mut Call<'_>, why: Break) -> Outcome {
    match why {
        Break::Error(error) => {
            c.thread.deadline = None;
            c.thread.progress = Progress::default();
            Outcome::Return(error.rax())
        }
        Break::Exit(status) => Outcome::Exit(status),
        Break::Kill(signal) => Outcome::Kill(signal),
        Break::Block(deadline) => match c.look_outside() {
            Ok(()) => Outcome::Block(earlier(deadline, time::next_waiting(c))),
            Err(why) => conclude(c, why),
        },
        Break::Again => again(c),
        Break::Interrupted => interrupted(c),
        Break::Done(value) => {
            c.thread.deadline = None;
            Outcome::Signals(value)
        }
        Break::SignalReturn => Outcome::SignalReturn,
    }
}

/// Between two steps of a call.
fn again(c: &mut Call<'_>) -> Outcome {
    match (c.look_outside(), c.thread.progress) {
        (Ok(()), _) | (Err(Break::Interrupted), Progress::Whole(_)) => {
            c.thread.deadline = None;
            Outcome::Again
        }
        (Err(why), _) => conclude(c, why),
    }
}

fn earlier(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.into_iter().chain(b).min()
}

/// A handler comes before the call is done: then it fails, or is made again (signal(7) "Interruption of
/// system calls and library functions by signal handlers").
fn interrupted(c: &mut Call<'_>) -> Outcome {
    let place = (c.thread.pending & !c.thread.blocked).trailing_zeros() as usize;
    let flags = c.process.actions.get(place).map_or(0, |a| a.flags);
    write_remaining(c);
    c.thread.deadline = None;
    if let Progress::Value(done @ 1..) = core::mem::take(&mut c.thread.progress) {
        return Outcome::Signals(done);
    }
    match is_restartable(c) && flags & u64::from(SA_RESTART) != 0 {
        true => Outcome::Restart,
        false => Outcome::Signals(Errno::EINTR.rax()),
    }
}

/// Whether SA_RESTART has the call made again. A wait for a futex with a timeout would begin anew.
fn is_restartable(c: &Call<'_>) -> bool {
    let has_timeout = c.number == __NR_futex.into() && c.args[3] != 0;
    !has_timeout && !NEVER_RESTARTED.map(u64::from).contains(&c.number)
}

/// A call that is done although it brought a signal.
pub(super) fn done(result: Result<(), Break>, value: u64) -> Answer {
    match result {
        Err(Break::Interrupted) => Err(Break::Done(value)),
        other => other.map(|()| value),
    }
}

/// The signal in this argument.
pub(super) fn signal(c: &Call<'_>, index: usize) -> Result<Signal, Errno> {
    match c.uint(index) {
        number @ 1..=64 => Ok(Signal(number as u8)),
        _ => Err(Errno::EINVAL),
    }
}

fn check_set_size(size: u64) -> Result<(), Errno> {
    match size == SET_SIZE {
        true => Ok(()),
        false => Err(Errno::EINVAL),
    }
}

pub(super) fn rt_sigaction(c: &mut Call<'_>) -> Answer {
    let [_, new, old, size, ..] = c.args;
    check_set_size(size)?;
    let signal = signal(c, 0)?;
    let place = usize::from(signal.0) - 1;
    let before = c.process.actions[place];
    if new != 0 {
        if matches!(signal, Signal::KILL | Signal::STOP) {
            return Err(Errno::EINVAL.into());
        }
        let bytes: [u8; 32] = c.process.memory.read_array(new)?;
        c.process.actions[place] = Action {
            handler: u64_at(&bytes, 0),
            flags: u64_at(&bytes, 8),
            restorer: u64_at(&bytes, 16),
            mask: u64_at(&bytes, 24),
        };
    }
    if old != 0 {
        let record: [u8; 32] = Record::new()
            .u64(before.handler)
            .u64(before.flags)
            .u64(before.restorer)
            .u64(before.mask)
            .done();
        c.process.memory.write(old, &record)?;
    }
    match new {
        0 => Ok(0),
        _ => drop_ignored(c, signal),
    }
}

/// What is ignored from now on does not wait any longer, and its timer goes on.
fn drop_ignored(c: &mut Call<'_>, signal: Signal) -> Answer {
    let ignored = matches!(c.process.disposition(signal), Disposition::Ignore);
    if !ignored || c.thread.pending & signal.bit() == 0 {
        return Ok(0);
    }
    c.thread.pending &= !signal.bit();
    Err(Break::Done(0))
}

pub(super) fn rt_sigprocmask(c: &mut Call<'_>) -> Answer {
    let [_, new, old, size, ..] = c.args;
    check_set_size(size)?;
    let before = c.thread.blocked;
    let set = match new {
        0 => None,
        at => Some(c.process.memory.read_u64(at)?),
    };
    let after = match (set, c.uint(0)) {
        (None, _) => before,
        (Some(set), SIG_BLOCK) => before | set,
        (Some(set), SIG_UNBLOCK) => before & !set,
        (Some(set), SIG_SETMASK) => set,
        _ => return Err(Errno::EINVAL.into()),
    };
    if old != 0 {
        c.process.memory.write(old, &before.to_le_bytes())?;
    }
    done(c.set_blocked(after), 0)
}

pub(super) fn rt_sigpending(c: &mut Call<'_>) -> Answer {
    let bytes = c.thread.pending.to_le_bytes();
    let size = c.args[1];
    if size > SET_SIZE {
        return Err(Errno::EINVAL.into());
    }
    c.process.memory.write(c.args[0], &bytes[..size as usize])?;
    Ok(0)
}

pub(super) fn rt_sigsuspend(c: &mut Call<'_>) -> Answer {
    check_set_size(c.args[1])?;
    c.with_mask(Some(c.args[0]), SET_SIZE, |c| pause(c))
}

pub(super) fn pause(c: &mut Call<'_>) -> Answer {
    c.wait(None)?;
    Err(Errno::EINTR.into())
}

/// Takes one of these signals, waiting for it if none is there.
pub(super) fn rt_sigtimedwait(c: &mut Call<'_>) -> Answer {
    let [set, info, timeout, size, ..] = c.args;
    check_set_size(size)?;
    let set = c.process.memory.read_u64(set)?;
    let timeout = match timeout {
        0 => None,
        at => Some(time::read_timespec(c, at)?),
    };
    let found = c.thread.pending & set;
    if found == 0 {
        c.wait(timeout)?;
        return Err(Errno::EAGAIN.into());
    }
    let place = found.trailing_zeros() as usize;
    let signal = Signal(place as u8 + 1);
    let code = c.thread.drop_pending(signal);
    if info != 0 {
        let cause = Cause::sent(signal, code);
        c.process.memory.write(info, &cause.info())?;
    }
    // Its timer goes on.
    Err(Break::Done(place as u64 + 1))
}

/// Only a frame that a handler was called with leads here sensibly; what it holds decides everything.
pub(super) fn rt_sigreturn(_: &mut Call<'_>) -> Answer {
    Err(Break::SignalReturn)
}

pub(super) fn sigaltstack(c: &mut Call<'_>) -> Answer {
    let (at, flags, size) = c.thread.alternate_stack;
    let on_it = c.thread.on_alternate_stack(c.kernel.stack_pointer());
    if c.args[0] != 0 {
        if on_it {
            return Err(Errno::EPERM.into());
        }
        let bytes: [u8; 24] = c.process.memory.read_array(c.args[0])?;
        let new_flags = u64_at(&bytes, 8) as u32;
        // SS_ONSTACK is what reading may have given; it is not asked for.
        let kept = new_flags & !SS_ONSTACK;
        let new = (u64_at(&bytes, 0), kept, u64_at(&bytes, 16));
        if !matches!(new_flags & !SS_AUTODISARM, 0 | SS_ONSTACK | SS_DISABLE) {
            return Err(Errno::EINVAL.into());
        }
        let disabled = new_flags & SS_DISABLE != 0;
        if !disabled && new.2 < 2048 {
            return Err(Errno::ENOMEM.into());
        }
        c.thread.alternate_stack = if disabled { (0, SS_DISABLE, 0) } else { new };
    }
    if c.args[1] != 0 {
        let flags = if on_it { flags | SS_ONSTACK } else { flags };
        let record: [u8; 24] = Record::new().u64(at).u32(flags).skip(4).u64(size).done();
        c.process.memory.write(c.args[1], &record)?;
    }
    Ok(0)
}
