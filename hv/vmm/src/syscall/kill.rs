//! The calls that send signals.

use super::call::{Answer, Call};
use super::signal::{done, signal};
use super::signals::{SI_TKILL, SI_USER};
use crate::errno::Errno;

/// Sends the signal in argument `index`, or checks that it could be sent.
fn send(c: &mut Call<'_>, index: usize, code: i32) -> Answer {
    if c.int(index) == 0 {
        return Ok(0);
    }
    let signal = signal(c, index)?;
    done(c.raise_with(signal, code), 0)
}

pub(super) fn kill(c: &mut Call<'_>) -> Answer {
    let pid = c.int(0);
    let (own, group) = (c.process.pid as i32, c.process.group as i32);
    match pid {
        0 => send(c, 1, SI_USER),
        _ if pid == own || pid == group.wrapping_neg() => send(c, 1, SI_USER),
        _ => Err(Errno::ESRCH.into()),
    }
}

pub(super) fn tkill(c: &mut Call<'_>) -> Answer {
    match c.uint(0) == c.thread.tid {
        true => send(c, 1, SI_TKILL),
        false => Err(Errno::ESRCH.into()),
    }
}

pub(super) fn tgkill(c: &mut Call<'_>) -> Answer {
    match c.uint(0) == c.process.pid && c.uint(1) == c.thread.tid {
        true => send(c, 2, SI_TKILL),
        false => Err(Errno::ESRCH.into()),
    }
}
