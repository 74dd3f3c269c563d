//! Clocks and sleeping.

use super::call::{Answer, Break, Call, SECOND, ticks};
use super::kernel::Kernel;
use super::record::{Record, u64_at};
use super::signals::Signal;
use super::state::{Process, Thread, Timer};
use crate::errno::Errno;
use linux_raw_sys::general::{
    __NR_clock_nanosleep, __NR_nanosleep, CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE,
    CLOCK_MONOTONIC_RAW, CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME, CLOCK_REALTIME_COARSE,
    CLOCK_TAI, CLOCK_THREAD_CPUTIME_ID, ITIMER_REAL, TIMER_ABSTIME,
};

/// A `struct timespec` (or timeval, with another unit) as it is given out.
pub(super) fn timespec(seconds: u64, rest: u64) -> [u8; 16] {
    Record::new().u64(seconds).u64(rest).done()
}

/// The `struct timespec` at this address, in nanoseconds.
pub(super) fn read_timespec(c: &mut Call<'_>, at: u64) -> Result<u64, Errno> {
    let bytes: [u8; 16] = c.process.memory.read_array(at)?;
    let (seconds, rest) = (u64_at(&bytes, 0), u64_at(&bytes, 8));
    if seconds > i64::MAX as u64 || rest >= SECOND {
        return Err(Errno::EINVAL);
    }
    Ok(seconds.saturating_mul(SECOND).saturating_add(rest))
}

/// A clock's time in nanoseconds.
fn clock(c: &Call<'_>, clock: u32) -> Result<u64, Errno> {
    let uptime = c.uptime();
    match clock {
        CLOCK_REALTIME | CLOCK_REALTIME_COARSE | CLOCK_TAI => Ok(c
            .kernel
            .epoch()
            .saturating_mul(SECOND)
            .saturating_add(uptime)),
        CLOCK_MONOTONIC | CLOCK_MONOTONIC_RAW | CLOCK_MONOTONIC_COARSE | CLOCK_BOOTTIME => {
            Ok(uptime)
        }
        CLOCK_PROCESS_CPUTIME_ID | CLOCK_THREAD_CPUTIME_ID => Ok(cpu_time(c)),
        _ => Err(Errno::EINVAL),
    }
}

/// For how many nanoseconds the process has executed.
pub(super) fn cpu_time(c: &Call<'_>) -> u64 {
    super::call::nanoseconds(c.kernel.run_time(), c.kernel.tsc_hz())
}

pub(super) fn clock_gettime(c: &mut Call<'_>) -> Answer {
    let now = clock(c, c.uint(0))?;
    let record = timespec(now / SECOND, now % SECOND);
    c.process.memory.write(c.args[1], &record)?;
    Ok(0)
}

pub(super) fn clock_getres(c: &mut Call<'_>) -> Answer {
    clock(c, c.uint(0))?;
    if c.args[1] != 0 {
        c.process.memory.write(c.args[1], &timespec(0, 1))?;
    }
    Ok(0)
}

pub(super) fn gettimeofday(c: &mut Call<'_>) -> Answer {
    let now = c.now();
    let microseconds = u64::from(now.nanoseconds / 1000);
    let record = timespec(now.seconds as u64, microseconds);
    if c.args[0] != 0 {
        c.process.memory.write(c.args[0], &record)?;
    }
    if c.args[1] != 0 {
        c.process.memory.write(c.args[1], &[0; 8])?;
    }
    Ok(0)
}

pub(super) fn time(c: &mut Call<'_>) -> Answer {
    let seconds = c.now().seconds as u64;
    if c.args[0] != 0 {
        c.process.memory.write(c.args[0], &seconds.to_le_bytes())?;
    }
    Ok(seconds)
}

pub(super) fn nanosleep(c: &mut Call<'_>) -> Answer {
    let duration = read_timespec(c, c.args[0])?;
    c.wait(Some(duration))?;
    Ok(0)
}

pub(super) fn clock_nanosleep(c: &mut Call<'_>) -> Answer {
    let now = clock(c, c.uint(0))?;
    let mut duration = read_timespec(c, c.args[2])?;
    if c.uint(1) & TIMER_ABSTIME != 0 {
        duration = duration.saturating_sub(now);
    }
    c.wait(Some(duration))?;
    Ok(0)
}

pub(super) fn times(c: &mut Call<'_>) -> Answer {
    let tick = SECOND / 100;
    let record: [u8; 32] = Record::new().u64(cpu_time(c) / tick).done();
    if c.args[0] != 0 {
        c.process.memory.write(c.args[0], &record)?;
    }
    Ok(c.uptime() / tick)
}

/// What an interval timer sends, by ITIMER_* number.
const TIMER_SIGNALS: [Signal; 3] = [Signal::ALRM, Signal::VTALRM, Signal::PROF];
const MICROSECOND: u64 = 1000;
/// A periodic timer that is armed again leaves the program at least this long, in nanoseconds: else a period
/// shorter than calling a handler takes would keep it from ever executing an instruction.
const SHORTEST_WAIT: u64 = 100 * MICROSECOND;

/// The clock that a timer counts by, in ticks: that of the machine, or how long the process has executed.
fn timer_clock(kernel: &dyn Kernel, index: usize) -> u64 {
    match index as u32 {
        ITIMER_REAL => kernel.now(),
        _ => kernel.run_time(),
    }
}

/// When the next of the process's timers expires if it executes from now on.
pub fn next(process: &mut Process, thread: &Thread, kernel: &dyn Kernel) -> Option<u64> {
    rearm(process, thread, kernel);
    let (now, timers) = (kernel.now(), process.timers.iter().enumerate());
    timers
        .filter_map(|(index, timer)| {
            let left = timer.armed()?.saturating_sub(timer_clock(kernel, index));
            Some(now.saturating_add(left))
        })
        .min()
}

/// When the next of its timers expires while it waits: then it does not execute.
pub(super) fn next_waiting(c: &mut Call<'_>) -> Option<u64> {
    rearm(c.process, c.thread, c.kernel);
    c.process.timers[ITIMER_REAL as usize].armed()
}

/// Arms the periodic timers again whose signal has been taken.
fn rearm(process: &mut Process, thread: &Thread, kernel: &dyn Kernel) {
    let wait = ticks(SHORTEST_WAIT, kernel.tsc_hz());
    for (index, timer) in process.timers.iter_mut().enumerate() {
        if timer.expired && thread.pending & TIMER_SIGNALS[index].bit() == 0 {
            timer.go_on(timer_clock(kernel, index).saturating_add(wait));
        }
    }
}

impl Timer {
    /// When it expires, unless its signal still waits to be taken.
    fn armed(&self) -> Option<u64> {
        self.next.filter(|_| !self.expired)
    }

    /// Expires next when one of its periods ends, not before `earliest`.
    fn go_on(&mut self, earliest: u64) {
        let periods = |next| earliest.saturating_sub(next).div_ceil(self.interval.max(1));
        self.next = self
            .next
            .map(|next| next.saturating_add(self.interval.saturating_mul(periods(next).max(1))));
        self.expired = false;
    }
}

/// Sends the signals of the timers whose time has come.
pub(super) fn expire(c: &mut Call<'_>) -> Result<(), Break> {
    rearm(c.process, c.thread, c.kernel);
    let mut result = Ok(());
    for (index, signal) in TIMER_SIGNALS.into_iter().enumerate() {
        let now = timer_clock(c.kernel, index);
        let timer = &mut c.process.timers[index];
        if timer.armed().is_none_or(|next| now < next) {
            continue;
        }
        timer.expired = timer.interval != 0;
        timer.next = timer.next.filter(|_| timer.expired);
        match c.raise(signal) {
            Err(Break::Interrupted) => result = Err(Break::Interrupted),
            other => other?,
        }
    }
    result
}

/// A timer as `struct itimerval`.
fn timer_record(c: &mut Call<'_>, index: usize) -> [u8; 32] {
    rearm(c.process, c.thread, c.kernel);
    let (now, hz) = (timer_clock(c.kernel, index), c.kernel.tsc_hz());
    let timer = c.process.timers[index];
    let part = |ticks| {
        let ns = super::call::nanoseconds(ticks, hz);
        (ns / SECOND, ns % SECOND / MICROSECOND)
    };
    let interval = part(timer.interval);
    // Less than a microsecond is left, but it has not expired.
    let left = match timer.armed().map(|next| part(next.saturating_sub(now))) {
        None => (0, 0),
        Some((0, 0)) => (0, 1),
        Some(left) => left,
    };
    let record = Record::new().u64(interval.0).u64(interval.1);
    record.u64(left.0).u64(left.1).done()
}

/// Which timer the first argument means.
fn timer(c: &Call<'_>) -> Result<usize, Errno> {
    let index = c.uint(0) as usize;
    match index < TIMER_SIGNALS.len() {
        true => Ok(index),
        false => Err(Errno::EINVAL),
    }
}

pub(super) fn getitimer(c: &mut Call<'_>) -> Answer {
    let index = timer(c)?;
    let record = timer_record(c, index);
    c.process.memory.write(c.args[1], &record)?;
    Ok(0)
}

/// A `struct timeval` in nanoseconds.
fn timeval(bytes: &[u8], at: usize) -> Result<u64, Errno> {
    let (seconds, rest) = (u64_at(bytes, at), u64_at(bytes, at + 8));
    match seconds <= i64::MAX as u64 && rest < 1_000_000 {
        true => Ok(seconds
            .saturating_mul(SECOND)
            .saturating_add(rest * MICROSECOND)),
        false => Err(Errno::EINVAL),
    }
}

impl Call<'_> {
    fn set_timer(&mut self, index: usize, first: u64, interval: u64) {
        let (now, hz) = (timer_clock(self.kernel, index), self.kernel.tsc_hz());
        let next = (first != 0).then(|| now.saturating_add(ticks(first, hz)));
        let interval = ticks(interval, hz);
        self.process.timers[index] = Timer {
            next,
            interval,
            expired: false,
        };
    }
}

pub(super) fn setitimer(c: &mut Call<'_>) -> Answer {
    let [_, new, old, ..] = c.args;
    let index = timer(c)?;
    let bytes: [u8; 32] = match new {
        0 => [0; 32],
        at => c.process.memory.read_array(at)?,
    };
    let (interval, first) = (timeval(&bytes, 0)?, timeval(&bytes, 16)?);
    let record = timer_record(c, index);
    c.set_timer(index, first, interval);
    if old != 0 {
        c.process.memory.write(old, &record)?;
    }
    Err(Break::Done(0))
}

pub(super) fn alarm(c: &mut Call<'_>) -> Answer {
    let now = c.kernel.now();
    let left = c.process.timers[0].armed().map_or(0, |next| {
        let ns = super::call::nanoseconds(next.saturating_sub(now), c.kernel.tsc_hz());
        // Linux rounds, but not down to nothing.
        (ns.saturating_add(SECOND / 2) / SECOND).max(1)
    });
    c.set_timer(0, u64::from(c.uint(0)) * SECOND, 0);
    Err(Break::Done(left))
}

/// A sleep that a signal ends tells how much of it is left.
pub(super) fn write_remaining(c: &mut Call<'_>) {
    let is = |number: u32| c.number == number.into();
    let at = if is(__NR_nanosleep) {
        c.args[1]
    } else if is(__NR_clock_nanosleep) && c.uint(1) & TIMER_ABSTIME == 0 {
        c.args[3]
    } else {
        0
    };
    if let (Some(Some(deadline)), 1..) = (c.thread.deadline, at) {
        let left = deadline.saturating_sub(c.kernel.now());
        let left = super::call::nanoseconds(left, c.kernel.tsc_hz());
        // A place that cannot be written does not undo the signal.
        let _ = (c.process.memory).write(at, &timespec(left / SECOND, left % SECOND));
    }
}
