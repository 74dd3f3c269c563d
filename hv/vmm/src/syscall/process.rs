//! The process itself: its end, its numbers, its registers and its threads' bookkeeping.

use super::call::{Answer, Break, Call, SECOND};
use super::record::{Record, u32_at, u64_at};
use super::time::{cpu_time, read_timespec, timespec};
use crate::errno::Errno;
use crate::memory::address_space::USER_END;
use linux_raw_sys::general::{
    ARCH_SET_FS, FUTEX_CLOCK_REALTIME, FUTEX_PRIVATE_FLAG, FUTEX_WAIT, FUTEX_WAIT_BITSET,
    FUTEX_WAKE, FUTEX_WAKE_BITSET,
};
use linux_raw_sys::prctl::{
    PR_CAPBSET_READ, PR_GET_DUMPABLE, PR_GET_KEEPCAPS, PR_GET_NAME, PR_GET_NO_NEW_PRIVS,
    PR_GET_PDEATHSIG, PR_GET_SECCOMP, PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_SET_NAME,
    PR_SET_NO_NEW_PRIVS, PR_SET_PDEATHSIG,
};

/// The codes of arch_prctl that linux-raw-sys lacks (asm/prctl.h).
const ARCH_SET_GS: u32 = 0x1001;
const ARCH_GET_FS: u32 = 0x1003;
const ARCH_GET_GS: u32 = 0x1004;

/// RSEQ_FLAG_UNREGISTER.
const RSEQ_UNREGISTER: u32 = 1;

pub(super) fn exit(c: &mut Call<'_>) -> Answer {
    Err(Break::Exit(c.args[0] as u8))
}

pub(super) fn getpid(c: &mut Call<'_>) -> Answer {
    Ok(c.process.pid.into())
}

pub(super) fn getppid(_: &mut Call<'_>) -> Answer {
    Ok(0)
}

pub(super) fn gettid(c: &mut Call<'_>) -> Answer {
    Ok(c.thread.tid.into())
}

pub(super) fn getpgrp(c: &mut Call<'_>) -> Answer {
    Ok(c.process.group.into())
}

/// The process in this argument: there is only one.
fn check_own_pid(c: &Call<'_>, index: usize) -> Result<(), Errno> {
    match c.uint(index) {
        0 => Ok(()),
        pid if pid == c.process.pid => Ok(()),
        _ => Err(Errno::ESRCH),
    }
}

pub(super) fn getpgid(c: &mut Call<'_>) -> Answer {
    check_own_pid(c, 0)?;
    Ok(c.process.group.into())
}

pub(super) fn setpgid(c: &mut Call<'_>) -> Answer {
    check_own_pid(c, 0)?;
    // The first process leads its session, and a leader cannot change its group.
    Err(Errno::EPERM.into())
}

pub(super) fn getsid(c: &mut Call<'_>) -> Answer {
    check_own_pid(c, 0)?;
    Ok(c.process.session.into())
}

pub(super) fn setsid(_: &mut Call<'_>) -> Answer {
    Err(Errno::EPERM.into())
}

pub(super) fn arch_prctl(c: &mut Call<'_>) -> Answer {
    let (code, value) = (c.uint(0), c.args[1]);
    if matches!(code, ARCH_SET_FS | ARCH_SET_GS) && value >= USER_END {
        return Err(Errno::EPERM.into());
    }
    let base = match code {
        ARCH_SET_FS => {
            c.kernel.set_fs_base(value);
            return Ok(0);
        }
        ARCH_SET_GS => {
            c.kernel.set_gs_base(value);
            return Ok(0);
        }
        ARCH_GET_FS => c.kernel.fs_base(),
        ARCH_GET_GS => c.kernel.gs_base(),
        _ => return Err(Errno::EINVAL.into()),
    };
    c.process.memory.write(value, &base.to_le_bytes())?;
    Ok(0)
}

pub(super) fn prctl(c: &mut Call<'_>) -> Answer {
    let at = c.args[1];
    match c.uint(0) {
        PR_GET_NAME => c.process.memory.write(at, &c.thread.name)?,
        PR_SET_NAME => {
            let mut name = [0; 16];
            let text = read_name(c, at)?;
            name[..text.len()].copy_from_slice(&text);
            c.thread.name = name;
        }
        PR_GET_DUMPABLE => return Ok(1),
        PR_GET_PDEATHSIG => c.process.memory.write(at, &[0; 4])?,
        PR_CAPBSET_READ if at > 40 => return Err(Errno::EINVAL.into()),
        PR_CAPBSET_READ => return Ok(1),
        PR_GET_KEEPCAPS | PR_GET_NO_NEW_PRIVS | PR_GET_SECCOMP => {}
        PR_SET_DUMPABLE | PR_SET_KEEPCAPS | PR_SET_NO_NEW_PRIVS | PR_SET_PDEATHSIG => {}
        _ => return Err(Errno::EINVAL.into()),
    }
    Ok(0)
}

/// A name of at most 15 bytes; what is longer is cut.
fn read_name(c: &mut Call<'_>, at: u64) -> Result<alloc::vec::Vec<u8>, Errno> {
    let mut name = alloc::vec::Vec::new();
    for offset in 0..15 {
        let [byte] = c.process.memory.read_array(at.wrapping_add(offset))?;
        if byte == 0 {
            break;
        }
        name.push(byte);
    }
    Ok(name)
}

pub(super) fn set_tid_address(c: &mut Call<'_>) -> Answer {
    c.thread.clear_on_exit = c.args[0];
    Ok(c.thread.tid.into())
}

pub(super) fn set_robust_list(c: &mut Call<'_>) -> Answer {
    if c.args[1] != 24 {
        return Err(Errno::EINVAL.into());
    }
    c.thread.robust_list = (c.args[0], c.args[1]);
    Ok(0)
}

pub(super) fn get_robust_list(c: &mut Call<'_>) -> Answer {
    check_own_pid(c, 0)?;
    let (head, length) = c.thread.robust_list;
    c.process.memory.write(c.args[1], &head.to_le_bytes())?;
    c.process.memory.write(c.args[2], &length.to_le_bytes())?;
    Ok(0)
}

/// Registers where the thread reads its CPU's number. A thread never moves to another CPU and no
/// signal handler interrupts it, so a critical section is never to be restarted.
pub(super) fn rseq(c: &mut Call<'_>) -> Answer {
    let [at, length, _, signature, ..] = c.args;
    let new = (at, length as u32, signature as u32);
    if c.uint(2) == RSEQ_UNREGISTER {
        return match c.thread.restartable == Some(new) {
            true => {
                c.thread.restartable = None;
                Ok(0)
            }
            false => Err(Errno::EINVAL.into()),
        };
    }
    if c.uint(2) != 0 || length < 32 || !at.is_multiple_of(32) {
        return Err(Errno::EINVAL.into());
    }
    if let Some(old) = c.thread.restartable {
        let again = old == new;
        return Err(if again { Errno::EBUSY } else { Errno::EINVAL }.into());
    }
    let cpu = c.kernel.cpu();
    let record: [u8; 8] = Record::new().u32(cpu).u32(cpu).done();
    c.process.memory.write(at, &record)?;
    c.thread.restartable = Some(new);
    Ok(0)
}

/// A futex of a process with one thread: nobody waits, and nobody could wake it.
pub(super) fn futex(c: &mut Call<'_>) -> Answer {
    let [at, _, expected, timeout, ..] = c.args;
    match c.uint(1) & !(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME) {
        FUTEX_WAKE | FUTEX_WAKE_BITSET => Ok(0),
        operation @ (FUTEX_WAIT | FUTEX_WAIT_BITSET) => {
            if c.process.memory.read_u32(at)? != expected as u32 {
                return Err(Errno::EAGAIN.into());
            }
            let duration = match timeout {
                0 => None,
                at => Some(read_timespec(c, at)?),
            };
            let now = match c.uint(1) & FUTEX_CLOCK_REALTIME {
                0 => c.uptime(),
                _ => c.kernel.epoch().saturating_mul(SECOND) + c.uptime(),
            };
            let absolute = operation == FUTEX_WAIT_BITSET;
            let duration = duration.map(|d| if absolute { d.saturating_sub(now) } else { d });
            c.wait(duration)?;
            Err(Errno::ETIMEDOUT.into())
        }
        _ => Err(Errno::ENOSYS.into()),
    }
}

pub(super) fn sched_yield(_: &mut Call<'_>) -> Answer {
    Ok(0)
}

pub(super) fn sched_getaffinity(c: &mut Call<'_>) -> Answer {
    check_own_pid(c, 0)?;
    if c.args[1] < 8 || !c.args[1].is_multiple_of(8) {
        return Err(Errno::EINVAL.into());
    }
    c.process.memory.write(c.args[2], &1u64.to_le_bytes())?;
    Ok(8)
}

pub(super) fn getcpu(c: &mut Call<'_>) -> Answer {
    let cpu = c.kernel.cpu().to_le_bytes();
    for (index, bytes) in [(0, cpu), (1, [0; 4])] {
        if c.args[index] != 0 {
            c.process.memory.write(c.args[index], &bytes)?;
        }
    }
    Ok(0)
}

pub(super) fn getpriority(c: &mut Call<'_>) -> Answer {
    match c.uint(0) {
        // The nice value 0, as the kernel gives it.
        0..=2 => Ok(20),
        _ => Err(Errno::EINVAL.into()),
    }
}

pub(super) fn getrusage(c: &mut Call<'_>) -> Answer {
    let who = c.int(0);
    if !matches!(who, -1..=1) {
        return Err(Errno::EINVAL.into());
    }
    // RUSAGE_CHILDREN is -1, and there are none.
    let used = if who < 0 { 0 } else { cpu_time(c) };
    let resident = c.process.memory.resident_pages() * 4;
    let record: [u8; 144] = Record::new()
        .bytes(&timespec(used / SECOND, used % SECOND / 1000))
        .skip(16)
        .u64(if who < 0 { 0 } else { resident })
        .done();
    c.process.memory.write(c.args[1], &record)?;
    Ok(0)
}

/// There is one thread, and it is in order with itself: only the query is answered.
pub(super) fn membarrier(c: &mut Call<'_>) -> Answer {
    match c.uint(0) {
        0 => Ok(0),
        _ => Err(Errno::EINVAL.into()),
    }
}

pub(super) fn capget(c: &mut Call<'_>) -> Answer {
    const VERSION_3: u32 = 0x2008_0522;
    let header: [u8; 8] = c.process.memory.read_array(c.args[0])?;
    if u32_at(&header, 0) != VERSION_3 {
        c.process
            .memory
            .write(c.args[0], &VERSION_3.to_le_bytes())?;
        return match c.args[1] {
            0 => Ok(0),
            _ => Err(Errno::EINVAL.into()),
        };
    }
    let pid = u64_at(&header, 0) >> 32;
    if pid != 0 && pid != u64::from(c.process.pid) {
        return Err(Errno::ESRCH.into());
    }
    // All 41 capabilities, effective and permitted.
    let record: [u8; 24] = Record::new()
        .u32(u32::MAX)
        .u32(u32::MAX)
        .skip(4)
        .u32(0x1ff)
        .u32(0x1ff)
        .done();
    if c.args[1] != 0 {
        c.process.memory.write(c.args[1], &record)?;
    }
    Ok(0)
}
