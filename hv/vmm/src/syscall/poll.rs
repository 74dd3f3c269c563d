//! Waiting for files: poll and select.

use super::call::{Answer, Break, Call};
use super::open_files::{Device, Object};
use super::pipe::{ATOMIC, Side};
use super::record::{u32_at, u64_at};
use super::time::read_timespec;
use crate::errno::Errno;
use linux_raw_sys::general::{POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLRDNORM, POLLWRNORM};

/// How many descriptors poll and select look at.
const COUNT_MAX: u64 = super::descriptors::DESCRIPTORS_MAX as u64;

/// A `fd_set`: a bit for every descriptor.
type FdSet = [u8; COUNT_MAX as usize / 8];

impl Call<'_> {
    /// What a descriptor is ready for, as POLL* bits.
    fn readiness(&mut self, fd: i32) -> Result<u32, Break> {
        let Ok(file) = self.process.descriptors.file(fd) else {
            return Ok(POLLNVAL);
        };
        let both = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
        Ok(match self.system.open.get(file)?.object {
            Object::Device(Device::Terminal) => {
                if let Some(signal) = self.system.terminal.pump(self.kernel) {
                    self.raise(signal)?;
                }
                let ready = self.system.terminal.available().is_some();
                let input = ready || !self.kernel.has_console_input();
                if input { both } else { POLLOUT | POLLWRNORM }
            }
            Object::Pipe(pipe, side) => {
                let pipe = self.system.pipes.get(pipe).ok_or(Errno::EBADF)?;
                let (input, output) = (!pipe.bytes.is_empty(), pipe.room() >= ATOMIC);
                match side {
                    Side::Read => {
                        let closed = if pipe.writable { 0 } else { POLLHUP };
                        closed | if input { POLLIN | POLLRDNORM } else { 0 }
                    }
                    Side::Write => {
                        let closed = if pipe.readable { 0 } else { POLLERR };
                        closed | if output { POLLOUT | POLLWRNORM } else { 0 }
                    }
                }
            }
            _ => both,
        })
    }

    /// Looks through an array of `struct pollfd` and fills in what is ready.
    fn poll_once(&mut self) -> Answer {
        let (list, count) = (self.args[0], self.args[1]);
        if count > COUNT_MAX {
            return Err(Errno::EINVAL.into());
        }
        let mut ready = 0;
        for index in 0..count {
            let at = list.wrapping_add(index * 8);
            let entry: [u8; 8] = self.process.memory.read_array(at)?;
            let (fd, events) = (u32_at(&entry, 0) as i32, u32_at(&entry, 4) & 0xffff);
            let always = POLLERR | POLLHUP | POLLNVAL;
            let found = if fd < 0 {
                0
            } else {
                self.readiness(fd)? & (events | always)
            };
            let result = (found as u16).to_le_bytes();
            self.process.memory.write(at.wrapping_add(6), &result)?;
            ready += u64::from(found != 0);
        }
        Ok(ready)
    }

    /// Until something is ready or the time is over, `look` again and again.
    fn wait_ready(&mut self, timeout: Option<u64>, look: impl Fn(&mut Self) -> Answer) -> Answer {
        match look(self)? {
            0 if timeout == Some(0) => Ok(0),
            0 => self.wait(timeout).map(|()| 0),
            ready => Ok(ready),
        }
    }

    /// The timeout of ppoll and pselect6: a `struct timespec`, or none.
    fn timespec_timeout(&mut self, at: u64) -> Result<Option<u64>, Errno> {
        match at {
            0 => Ok(None),
            at => read_timespec(self, at).map(Some),
        }
    }

    /// Looks through the sets of select. Only when something is ready, or nothing ever will be
    /// waited for, are they changed.
    fn select_once(&mut self, last: bool) -> Answer {
        // As on Linux, who asks about more files than there can be asks about those that can.
        let count = u64::try_from(self.int(0)).map_err(|_| Errno::EINVAL)?;
        let count = count.min(COUNT_MAX);
        let wanted = [
            (self.args[1], POLLIN | POLLHUP | POLLERR),
            (self.args[2], POLLOUT | POLLERR),
            (self.args[3], 0),
        ];
        let size = count.div_ceil(64) as usize * 8;
        let (mut ready, mut results) = (0, [[0; size_of::<FdSet>()]; 3]);
        for ((at, bits), result) in wanted.iter().zip(&mut results) {
            if *at == 0 {
                continue;
            }
            self.process.memory.read(*at, &mut result[..size])?;
            *result = self.ready_in(result, count as usize, *bits)?;
            ready += result
                .iter()
                .map(|byte| u64::from(byte.count_ones()))
                .sum::<u64>();
        }
        if ready > 0 || last {
            for ((at, _), result) in wanted.iter().zip(&results) {
                if *at != 0 {
                    self.process.memory.write(*at, &result[..size])?;
                }
            }
        }
        Ok(ready)
    }

    /// Those of a set's first `count` files that are ready for something in `bits`.
    fn ready_in(&mut self, set: &FdSet, count: usize, bits: u32) -> Result<FdSet, Break> {
        let mut result = [0; size_of::<FdSet>()];
        for fd in 0..count {
            let (byte, bit) = (fd / 8, 1 << (fd % 8));
            if set[byte] & bit == 0 {
                continue;
            }
            let found = self.readiness(fd as i32)?;
            if found == POLLNVAL {
                return Err(Errno::EBADF.into());
            }
            if found & bits != 0 {
                result[byte] |= bit;
            }
        }
        Ok(result)
    }

    fn select_until(&mut self, timeout: Option<u64>) -> Answer {
        match self.select_once(timeout == Some(0))? {
            0 if timeout == Some(0) => Ok(0),
            0 => {
                self.wait(timeout)?;
                self.select_once(true)
            }
            ready => Ok(ready),
        }
    }
}

pub(super) fn poll(c: &mut Call<'_>) -> Answer {
    let timeout = u64::try_from(c.int(2)).ok().map(|ms| ms * 1_000_000);
    c.wait_ready(timeout, Call::poll_once)
}

pub(super) fn ppoll(c: &mut Call<'_>) -> Answer {
    let timeout = c.timespec_timeout(c.args[2])?;
    let mask = (c.args[3] != 0).then_some(c.args[3]);
    c.with_mask(mask, c.args[4], |c| c.wait_ready(timeout, Call::poll_once))
}

pub(super) fn select(c: &mut Call<'_>) -> Answer {
    let timeout = match c.args[4] {
        0 => None,
        at => {
            let bytes: [u8; 16] = c.process.memory.read_array(at)?;
            let (seconds, microseconds) = (u64_at(&bytes, 0), u64_at(&bytes, 8));
            if (seconds | microseconds) >> 63 != 0 {
                return Err(Errno::EINVAL.into());
            }
            let seconds = seconds.saturating_mul(1_000_000_000);
            Some(seconds.saturating_add(microseconds.saturating_mul(1000)))
        }
    };
    c.select_until(timeout)
}

pub(super) fn pselect6(c: &mut Call<'_>) -> Answer {
    let timeout = c.timespec_timeout(c.args[4])?;
    let (mask, size) = match c.args[5] {
        0 => (0, 0),
        at => {
            let pair: [u8; 16] = c.process.memory.read_array(at)?;
            (u64_at(&pair, 0), u64_at(&pair, 8))
        }
    };
    c.with_mask((mask != 0).then_some(mask), size, |c| {
        c.select_until(timeout)
    })
}
