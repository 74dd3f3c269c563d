//! System calls that are not there.

use super::call::{Answer, Call};
use crate::errno::Errno;
use alloc::vec::Vec;
use linux_raw_sys::general::*;

/// After so many different numbers nothing more is said.
const LINES_MAX: usize = 64;

/// The numbers that were complained about.
#[derive(Debug, Default)]
pub(super) struct Warned(Vec<u64>);

impl Warned {
    /// Whether this is the first time, and something is to be said.
    pub(super) fn first_time(&mut self, number: u64) -> bool {
        let new = self.0.len() < LINES_MAX && !self.0.contains(&number);
        if new {
            self.0.push(number);
        }
        new
    }
}

/// Answers ENOSYS, with one line the first time.
pub(super) fn unknown(c: &mut Call<'_>) -> Answer {
    if c.system.warned.first_time(c.number) {
        let (guest, number) = (c.kernel.guest_number(), c.number);
        match name(number) {
            Some(name) => log::warn!("guest {guest}: unknown syscall {number} ({name})"),
            None => log::warn!("guest {guest}: unknown syscall {number}"),
        }
    }
    Err(Errno::ENOSYS.into())
}

macro_rules! names {
    ($($number:ident)*) => {
        &[$(($number, stringify!($number))),*]
    };
}

/// Those that a program is most likely to ask for.
const NAMES: &[(u32, &str)] = names! {
    __NR_clone __NR_clone3 __NR_fork __NR_vfork __NR_execve __NR_execveat __NR_wait4 __NR_waitid
    __NR_socket __NR_connect __NR_accept __NR_accept4 __NR_sendto __NR_recvfrom __NR_sendmsg
    __NR_recvmsg __NR_bind __NR_listen __NR_socketpair __NR_getsockname __NR_getpeername
    __NR_setsockopt __NR_getsockopt __NR_shutdown
    __NR_rt_sigqueueinfo __NR_timer_create __NR_timerfd_create
    __NR_eventfd __NR_eventfd2 __NR_epoll_create __NR_epoll_create1 __NR_epoll_ctl
    __NR_epoll_wait __NR_epoll_pwait __NR_signalfd __NR_signalfd4 __NR_inotify_init1
    __NR_memfd_create __NR_shmget __NR_shmat __NR_semget __NR_msgget __NR_ptrace __NR_mount
    __NR_umount2 __NR_chroot __NR_pivot_root __NR_reboot __NR_sethostname __NR_syslog
    __NR_sched_setscheduler __NR_capset __NR_seccomp __NR_bpf __NR_perf_event_open
    __NR_userfaultfd __NR_io_uring_setup __NR_io_setup __NR_splice __NR_tee __NR_vmsplice
    __NR_personality __NR_iopl __NR_ioperm __NR_modify_ldt __NR_unshare __NR_setns __NR_openat2
    __NR_pidfd_open __NR_clock_settime __NR_settimeofday __NR_adjtimex __NR_preadv2 __NR_pwritev2
    __NR_getdents
    __NR_utime __NR_utimes __NR_futimesat
};

fn name(number: u64) -> Option<&'static str> {
    let row = NAMES
        .iter()
        .find(|(known, _)| u64::from(*known) == number)?;
    row.1.strip_prefix("__NR_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_without_their_prefix() {
        assert_eq!(name(57), Some("fork"));
        assert_eq!(name(999), None);
    }

    #[test]
    fn each_number_is_named_once_and_not_without_end() {
        let mut warned = Warned::default();
        assert!(warned.first_time(999) && !warned.first_time(999));
        let lines = (1000..2000).filter(|&n| warned.first_time(n)).count();
        assert_eq!(lines, LINES_MAX - 1);
    }
}
