//! Resource limits. They are kept and shown; of them only the stack's size and the number of
//! descriptors bind, at what they are from the start.

use super::call::{Answer, Call};
use super::descriptors::DESCRIPTORS_MAX;
use super::record::{Record, u64_at};
use crate::errno::Errno;
use crate::memory::address_space::STACK_MAX;
use linux_raw_sys::general::{
    RLIM_NLIMITS, RLIMIT_CORE, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_NOFILE,
    RLIMIT_NPROC, RLIMIT_RTPRIO, RLIMIT_SIGPENDING, RLIMIT_STACK,
};

/// How many limits there are.
pub(super) const COUNT: usize = RLIM_NLIMITS as usize;

const INFINITY: u64 = u64::MAX;

/// What a process has from the start: Linux' INIT_RLIMITS.
pub(super) const DEFAULTS: [(u64, u64); COUNT] = {
    let mut limits = [(INFINITY, INFINITY); COUNT];
    limits[RLIMIT_STACK as usize] = (STACK_MAX, INFINITY);
    limits[RLIMIT_CORE as usize] = (0, INFINITY);
    limits[RLIMIT_NPROC as usize] = (1, 1);
    limits[RLIMIT_NOFILE as usize] = (DESCRIPTORS_MAX as u64, DESCRIPTORS_MAX as u64);
    limits[RLIMIT_MEMLOCK as usize] = (8 << 20, 8 << 20);
    limits[RLIMIT_SIGPENDING as usize] = (64, 64);
    limits[RLIMIT_MSGQUEUE as usize] = (819_200, 819_200);
    limits[RLIMIT_NICE as usize] = (0, 0);
    limits[RLIMIT_RTPRIO as usize] = (0, 0);
    limits
};

fn get(c: &Call<'_>, resource: u32) -> Result<(u64, u64), Errno> {
    let limit = c.process.limits.get(resource as usize);
    limit.copied().ok_or(Errno::EINVAL)
}

fn give(c: &mut Call<'_>, to: u64, (soft, hard): (u64, u64)) -> Answer {
    let record: [u8; 16] = Record::new().u64(soft).u64(hard).done();
    c.process.memory.write(to, &record)?;
    Ok(0)
}

fn set(c: &mut Call<'_>, resource: u32, from: u64) -> Result<(), Errno> {
    let new: [u8; 16] = c.process.memory.read_array(from)?;
    let (soft, hard) = (u64_at(&new, 0), u64_at(&new, 8));
    if soft > hard {
        return Err(Errno::EINVAL);
    }
    let limit = c.process.limits.get_mut(resource as usize);
    *limit.ok_or(Errno::EINVAL)? = (soft, hard);
    Ok(())
}

pub(super) fn getrlimit(c: &mut Call<'_>) -> Answer {
    let limit = get(c, c.uint(0))?;
    give(c, c.args[1], limit)
}

pub(super) fn setrlimit(c: &mut Call<'_>) -> Answer {
    get(c, c.uint(0))?;
    set(c, c.uint(0), c.args[1])?;
    Ok(0)
}

pub(super) fn prlimit64(c: &mut Call<'_>) -> Answer {
    let (pid, resource) = (c.uint(0), c.uint(1));
    if pid != 0 && pid != c.process.pid {
        return Err(Errno::ESRCH.into());
    }
    let old = get(c, resource)?;
    if c.args[2] != 0 {
        set(c, resource, c.args[2])?;
    }
    if c.args[3] != 0 {
        give(c, c.args[3], old)?;
    }
    Ok(0)
}
