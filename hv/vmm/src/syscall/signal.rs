//! Signals. Handlers are remembered but not called yet (rt_sigreturn is not there): a signal
//! that has one does what it does by default.

use super::call::{Answer, Break, Call};
use super::record::{Record, u64_at};
use super::signals::{COUNT, Signal};
use super::state::Action;
use super::unknown::SIGNALS;
use crate::errno::Errno;
use linux_raw_sys::general::{SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SS_AUTODISARM, SS_DISABLE};

/// SIG_IGN.
const IGNORE: u64 = 1;
/// The size of `sigset_t` in the kernel, in bytes.
const SET_SIZE: u64 = 8;

impl Call<'_> {
    /// Sends a signal to this thread. `Ok` if it lives on.
    pub(super) fn raise(&mut self, signal: Signal) -> Result<(), Break> {
        if self.thread.blocked & signal.bit() != 0 {
            self.thread.pending |= signal.bit();
            return Ok(());
        }
        let place = usize::from(signal.0).wrapping_sub(1);
        let handler = self.process.actions.get(place).map_or(0, |a| a.handler);
        if handler == IGNORE || (handler == 0 && signal.is_harmless()) {
            return Ok(());
        }
        if handler > IGNORE {
            let (guest, name) = (self.kernel.guest_number(), signal.name());
            let number = SIGNALS + u64::from(signal.0);
            if self.system.warned.first_time(number) {
                log::warn!("guest {guest}: the handler of {name} is not called: not supported yet");
            }
            if signal.is_harmless() {
                return Ok(());
            }
        }
        Err(Break::Kill(signal))
    }

    /// Changes which signals are blocked; those that waited for it come.
    fn set_blocked(&mut self, blocked: u64) -> Result<(), Break> {
        self.thread.blocked = blocked & !(Signal::KILL.bit() | Signal::STOP.bit());
        let ready = self.thread.pending & !self.thread.blocked;
        self.thread.pending &= self.thread.blocked;
        for number in 1..=COUNT as u8 {
            if ready & Signal(number).bit() != 0 {
                self.raise(Signal(number))?;
            }
        }
        Ok(())
    }
}

/// The signal in this argument.
fn signal(c: &Call<'_>, index: usize) -> Result<Signal, Errno> {
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
    Ok(0)
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
    c.set_blocked(after)?;
    Ok(0)
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
    let set = c.process.memory.read_u64(c.args[0])?;
    let before = c.thread.blocked;
    c.set_blocked(set)?;
    c.thread.blocked = before;
    c.wait(None)?;
    Err(Errno::EINTR.into())
}

pub(super) fn pause(c: &mut Call<'_>) -> Answer {
    c.wait(None)?;
    Err(Errno::EINTR.into())
}

pub(super) fn sigaltstack(c: &mut Call<'_>) -> Answer {
    let (at, flags, size) = c.thread.alternate_stack;
    if c.args[0] != 0 {
        let bytes: [u8; 24] = c.process.memory.read_array(c.args[0])?;
        let new_flags = u64_at(&bytes, 8) as u32;
        let new = (u64_at(&bytes, 0), new_flags, u64_at(&bytes, 16));
        if new_flags & !(SS_DISABLE | SS_AUTODISARM) != 0 {
            return Err(Errno::EINVAL.into());
        }
        let disabled = new_flags & SS_DISABLE != 0;
        if !disabled && new.2 < 2048 {
            return Err(Errno::ENOMEM.into());
        }
        c.thread.alternate_stack = if disabled { (0, SS_DISABLE, 0) } else { new };
    }
    if c.args[1] != 0 {
        let record: [u8; 24] = Record::new().u64(at).u32(flags).skip(4).u64(size).done();
        c.process.memory.write(c.args[1], &record)?;
    }
    Ok(0)
}

/// Sends the signal in argument `index`, or checks that it could be sent.
fn send(c: &mut Call<'_>, index: usize) -> Answer {
    if c.int(index) != 0 {
        let signal = signal(c, index)?;
        c.raise(signal)?;
    }
    Ok(0)
}

pub(super) fn kill(c: &mut Call<'_>) -> Answer {
    let pid = c.int(0);
    let (own, group) = (c.process.pid as i32, c.process.group as i32);
    match pid {
        0 => send(c, 1),
        _ if pid == own || pid == group.wrapping_neg() => send(c, 1),
        _ => Err(Errno::ESRCH.into()),
    }
}

pub(super) fn tkill(c: &mut Call<'_>) -> Answer {
    match c.uint(0) == c.thread.tid {
        true => send(c, 1),
        false => Err(Errno::ESRCH.into()),
    }
}

pub(super) fn tgkill(c: &mut Call<'_>) -> Answer {
    match c.uint(0) == c.process.pid && c.uint(1) == c.thread.tid {
        true => send(c, 2),
        false => Err(Errno::ESRCH.into()),
    }
}
