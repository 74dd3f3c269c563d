//! Clocks and sleeping.

use super::call::{Answer, Call, SECOND};
use super::record::{Record, u64_at};
use crate::errno::Errno;
use linux_raw_sys::general::{
    CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC_RAW,
    CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_TAI,
    CLOCK_THREAD_CPUTIME_ID, TIMER_ABSTIME,
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

pub(super) fn getitimer(c: &mut Call<'_>) -> Answer {
    if c.uint(0) > 2 {
        return Err(Errno::EINVAL.into());
    }
    // No timer can be set (setitimer is not there), so none is.
    c.process.memory.write(c.args[1], &[0; 32])?;
    Ok(0)
}
