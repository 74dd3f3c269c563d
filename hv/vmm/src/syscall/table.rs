//! The table of system calls, by Linux number.

use super::call::{Answer, Call, Outcome};
use super::unknown::unknown;
use super::{
    advice, descriptor, directory, file, identity, kill, limit, memory, path, poll, process,
    signal, stat, terminal, time,
};
use linux_raw_sys::general::*;

/// Carries out a system call.
pub type Handler = fn(&mut Call<'_>) -> Answer;

/// How many numbers the table has room for: a power of two above Linux' highest.
const NUMBERS: usize = 512;

/// Builds the table from its rows. A doubled row fails the build; what has no row is unknown.
const fn syscall_table(rows: &[(u32, Handler)]) -> [Handler; NUMBERS] {
    let mut table: [Handler; NUMBERS] = [unknown; NUMBERS];
    let mut seen = [false; NUMBERS];
    let mut i = 0;
    while i < rows.len() {
        let number = rows[i].0 as usize;
        assert!(!seen[number], "a system call has two rows");
        seen[number] = true;
        table[number] = rows[i].1;
        i += 1;
    }
    table
}

/// No call has this number, nor has one above it.
const LAST: u64 = NUMBERS as u64 - 1;

static TABLE: [Handler; NUMBERS] = syscall_table(&[
    (__NR_read, file::read),
    (__NR_write, file::write),
    (__NR_readv, file::readv),
    (__NR_writev, file::writev),
    (__NR_pread64, file::pread64),
    (__NR_pwrite64, file::pwrite64),
    (__NR_preadv, file::preadv),
    (__NR_pwritev, file::pwritev),
    (__NR_lseek, file::lseek),
    (__NR_sendfile, file::sendfile),
    (__NR_copy_file_range, file::copy_file_range),
    (__NR_open, descriptor::open),
    (__NR_openat, descriptor::openat),
    (__NR_creat, descriptor::creat),
    (__NR_close, descriptor::close),
    (__NR_close_range, descriptor::close_range),
    (__NR_dup, descriptor::dup),
    (__NR_dup2, descriptor::dup2),
    (__NR_dup3, descriptor::dup3),
    (__NR_fcntl, descriptor::fcntl),
    (__NR_flock, descriptor::flock),
    (__NR_pipe, descriptor::pipe),
    (__NR_pipe2, descriptor::pipe2),
    (__NR_fsync, descriptor::fsync),
    (__NR_fdatasync, descriptor::fsync),
    (__NR_syncfs, descriptor::fsync),
    (__NR_sync, descriptor::sync),
    (__NR_ioctl, terminal::ioctl),
    (__NR_poll, poll::poll),
    (__NR_ppoll, poll::ppoll),
    (__NR_select, poll::select),
    (__NR_pselect6, poll::pselect6),
    (__NR_stat, stat::stat),
    (__NR_lstat, stat::lstat),
    (__NR_fstat, stat::fstat),
    (__NR_newfstatat, stat::newfstatat),
    (__NR_statx, stat::statx),
    (__NR_statfs, stat::statfs),
    (__NR_fstatfs, stat::fstatfs),
    (__NR_access, stat::access),
    (__NR_faccessat, stat::faccessat),
    (__NR_faccessat2, stat::faccessat2),
    (__NR_getdents64, directory::getdents64),
    (__NR_getcwd, directory::getcwd),
    (__NR_chdir, directory::chdir),
    (__NR_fchdir, directory::fchdir),
    (__NR_readlink, directory::readlink),
    (__NR_readlinkat, directory::readlinkat),
    (__NR_mkdir, path::mkdir),
    (__NR_mkdirat, path::mkdirat),
    (__NR_mknod, path::mknod),
    (__NR_mknodat, path::mknodat),
    (__NR_rmdir, path::rmdir),
    (__NR_unlink, path::unlink),
    (__NR_unlinkat, path::unlinkat),
    (__NR_rename, path::rename),
    (__NR_renameat, path::renameat),
    (__NR_renameat2, path::renameat2),
    (__NR_link, path::link),
    (__NR_linkat, path::linkat),
    (__NR_symlink, path::symlink),
    (__NR_symlinkat, path::symlinkat),
    (__NR_chmod, path::chmod),
    (__NR_fchmod, path::fchmod),
    (__NR_fchmodat, path::fchmodat),
    (__NR_chown, path::chown),
    (__NR_lchown, path::lchown),
    (__NR_fchown, path::fchown),
    (__NR_fchownat, path::fchownat),
    (__NR_truncate, path::truncate),
    (__NR_ftruncate, path::ftruncate),
    (__NR_utimensat, path::utimensat),
    (__NR_umask, path::umask),
    (__NR_mmap, memory::mmap),
    (__NR_munmap, memory::munmap),
    (__NR_mprotect, memory::mprotect),
    (__NR_mremap, memory::mremap),
    (__NR_madvise, memory::madvise),
    (__NR_mincore, memory::mincore),
    (__NR_msync, memory::msync),
    (__NR_brk, memory::brk),
    (__NR_exit, process::exit),
    (__NR_exit_group, process::exit),
    (__NR_getpid, process::getpid),
    (__NR_getppid, process::getppid),
    (__NR_gettid, process::gettid),
    (__NR_getpgrp, process::getpgrp),
    (__NR_getpgid, process::getpgid),
    (__NR_setpgid, process::setpgid),
    (__NR_getsid, process::getsid),
    (__NR_setsid, process::setsid),
    (__NR_arch_prctl, process::arch_prctl),
    (__NR_prctl, process::prctl),
    (__NR_set_tid_address, process::set_tid_address),
    (__NR_set_robust_list, process::set_robust_list),
    (__NR_get_robust_list, process::get_robust_list),
    (__NR_rseq, process::rseq),
    (__NR_futex, process::futex),
    (__NR_sched_yield, process::sched_yield),
    (__NR_sched_getaffinity, process::sched_getaffinity),
    (__NR_getcpu, process::getcpu),
    (__NR_getpriority, process::getpriority),
    (__NR_getrusage, process::getrusage),
    (__NR_membarrier, process::membarrier),
    (__NR_capget, process::capget),
    (__NR_getrlimit, limit::getrlimit),
    (__NR_setrlimit, limit::setrlimit),
    (__NR_prlimit64, limit::prlimit64),
    (__NR_uname, identity::uname),
    (__NR_sysinfo, identity::sysinfo),
    (__NR_getrandom, identity::getrandom),
    (__NR_getuid, identity::getuid),
    (__NR_geteuid, identity::geteuid),
    (__NR_getgid, identity::getgid),
    (__NR_getegid, identity::getegid),
    (__NR_setuid, identity::setuid),
    (__NR_setgid, identity::setgid),
    (__NR_setreuid, identity::setreuid),
    (__NR_setregid, identity::setregid),
    (__NR_setresuid, identity::setresuid),
    (__NR_setresgid, identity::setresgid),
    (__NR_getresuid, identity::getresuid),
    (__NR_getresgid, identity::getresgid),
    (__NR_getgroups, identity::getgroups),
    (__NR_setgroups, identity::setgroups),
    (__NR_setfsuid, identity::setfsuid),
    (__NR_setfsgid, identity::setfsgid),
    (__NR_clock_gettime, time::clock_gettime),
    (__NR_clock_getres, time::clock_getres),
    (__NR_clock_nanosleep, time::clock_nanosleep),
    (__NR_nanosleep, time::nanosleep),
    (__NR_gettimeofday, time::gettimeofday),
    (__NR_time, time::time),
    (__NR_times, time::times),
    (__NR_getitimer, time::getitimer),
    (__NR_setitimer, time::setitimer),
    (__NR_alarm, time::alarm),
    (__NR_rt_sigaction, signal::rt_sigaction),
    (__NR_rt_sigprocmask, signal::rt_sigprocmask),
    (__NR_rt_sigpending, signal::rt_sigpending),
    (__NR_rt_sigsuspend, signal::rt_sigsuspend),
    (__NR_pause, signal::pause),
    (__NR_rt_sigtimedwait, signal::rt_sigtimedwait),
    (__NR_rt_sigreturn, signal::rt_sigreturn),
    (__NR_sigaltstack, signal::sigaltstack),
    (__NR_fadvise64, advice::fadvise64),
    (__NR_readahead, advice::readahead),
    (__NR_fallocate, advice::fallocate),
    (__NR_mlock, advice::mlock),
    (__NR_mlock2, advice::mlock),
    (__NR_munlock, advice::mlock),
    (__NR_mlockall, advice::mlockall),
    (__NR_munlockall, advice::mlockall),
    (__NR_setpriority, advice::setpriority),
    (__NR_sched_setaffinity, advice::sched_setaffinity),
    (__NR_sched_getscheduler, advice::sched_getscheduler),
    (__NR_sched_getparam, advice::sched_getparam),
    (__NR_getxattr, advice::xattr),
    (__NR_setxattr, advice::xattr),
    (__NR_removexattr, advice::xattr),
    (__NR_lgetxattr, advice::lxattr),
    (__NR_lsetxattr, advice::lxattr),
    (__NR_lremovexattr, advice::lxattr),
    (__NR_fgetxattr, advice::fxattr),
    (__NR_fsetxattr, advice::fxattr),
    (__NR_fremovexattr, advice::fxattr),
    (__NR_listxattr, advice::listxattr),
    (__NR_llistxattr, advice::llistxattr),
    (__NR_flistxattr, advice::flistxattr),
    (__NR_kill, kill::kill),
    (__NR_tkill, kill::tkill),
    (__NR_tgkill, kill::tgkill),
]);

/// Looks whether time or what was typed has brought a signal, between system calls.
pub fn look_outside(c: &mut Call<'_>) -> Option<Outcome> {
    c.look_outside().err().map(|why| signal::conclude(c, why))
}

/// Carries out a system call, and makes of its answer what its process sees of it.
#[inline]
pub fn dispatch(c: &mut Call<'_>) -> Outcome {
    let answer = TABLE[c.number.min(LAST) as usize](c);
    match answer {
        Ok(value) => {
            c.thread.deadline = None;
            Outcome::Return(value)
        }
        Err(why) => signal::conclude(c, why),
    }
}
