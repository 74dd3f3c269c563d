//! System calls through the table, as a process makes them.

use super::signals::exception_signal;
use super::table::dispatch;
use super::*;
use crate::errno::Errno;
use crate::file_system::{FileSystem, Kind, ROOT, Time};
use crate::memory::address_space::{Access, Backing, Fault, Place, Protection};
use crate::memory::contents::Contents;
use crate::memory::testing::VecMemory;
use crate::memory::{AddressSpace, Frames, GuestRam};
use linux_raw_sys::general::*;
use linux_raw_sys::ioctl::{TCGETS, TIOCGWINSZ};
use spec::addr::Hpa;
use std::collections::VecDeque;
use std::vec::Vec;

mod identity;
mod memory;
mod poll;
mod progress;
mod signal;
mod time;
mod transfer;

const SIZE: u64 = 4 << 20;
/// Where the arguments of calls are kept.
const ARGS: u64 = 0x10_0000;
/// Where results go.
const OUT: u64 = 0x11_0000;

#[derive(Default)]
struct TestKernel {
    console: Vec<u8>,
    typed: VecDeque<u8>,
    has_input: bool,
    now: u64,
    run_time: u64,
    fs_base: u64,
}

impl Kernel for TestKernel {
    fn guest_number(&self) -> usize {
        1
    }
    fn write_console(&mut self, text: &[u8]) {
        self.console.extend(text);
    }
    fn read_console(&mut self) -> Option<u8> {
        self.typed.pop_front()
    }
    fn has_console_input(&self) -> bool {
        self.has_input
    }
    fn now(&self) -> u64 {
        self.now
    }
    fn run_time(&self) -> u64 {
        self.run_time
    }
    fn tsc_hz(&self) -> u64 {
        1000
    }
    fn epoch(&self) -> u64 {
        1_000_000
    }
    fn cpu(&self) -> u32 {
        0
    }
    fn fs_base(&self) -> u64 {
        self.fs_base
    }
    fn set_fs_base(&mut self, base: u64) {
        self.fs_base = base;
    }
    fn gs_base(&self) -> u64 {
        0
    }
    fn set_gs_base(&mut self, _: u64) {}
}

struct Fixture {
    system: System,
    process: Process,
    thread: Thread,
    kernel: TestKernel,
    next: u64,
}

impl Fixture {
    fn new() -> Self {
        let ram = GuestRam::new(VecMemory::leak(SIZE as usize), Hpa(0), SIZE);
        let mut frames = Frames::new();
        frames.add(0x1000..SIZE);
        let mut memory = AddressSpace::new(ram, frames).unwrap();
        let area = Place::Fixed(ARGS);
        (memory.map(area, 0x10_0000, Protection::READ_WRITE, Backing::Zero)).unwrap();
        let mut system = System::new(FileSystem::new(1 << 20, Time::default()), 1);
        let process = Process::first(memory, &mut system);
        let mut fixture = Self {
            system,
            process,
            thread: Thread::first(b"test"),
            kernel: TestKernel::default(),
            next: ARGS,
        };
        for path in ["/dev", "/tmp"] {
            let path = fixture.text(path);
            assert_eq!(fixture.call(__NR_mkdir, &[path, 0o755]), 0);
        }
        fixture
    }

    fn outcome(&mut self, number: u32, args: &[u64]) -> Outcome {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        dispatch(&mut Call {
            number: number.into(),
            args: all,
            system: &mut self.system,
            process: &mut self.process,
            thread: &mut self.thread,
            kernel: &mut self.kernel,
        })
    }

    /// What the call returns, as C sees it.
    fn call(&mut self, number: u32, args: &[u64]) -> i64 {
        loop {
            match self.outcome(number, args) {
                Outcome::Again => {}
                Outcome::Return(value) => return value as i64,
                other => panic!("{other:?}"),
            }
        }
    }

    fn error(&mut self, number: u32, args: &[u64], error: Errno) {
        assert_eq!(self.call(number, args), -i64::from(error.0));
    }

    fn bytes(&mut self, bytes: &[u8]) -> u64 {
        let at = self.next;
        self.process.memory.write(at, bytes).unwrap();
        self.next += bytes.len().next_multiple_of(16) as u64;
        at
    }

    fn text(&mut self, text: &str) -> u64 {
        self.bytes(&[text.as_bytes(), b"\0"].concat())
    }

    fn words(&mut self, words: &[u64]) -> u64 {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.bytes(&bytes)
    }

    fn out<const N: usize>(&mut self) -> [u8; N] {
        self.process.memory.read_array(OUT).unwrap()
    }

    fn open(&mut self, path: &str, flags: u32) -> u64 {
        let path = self.text(path);
        let fd = self.call(__NR_open, &[path, flags.into(), 0o644]);
        u64::try_from(fd).unwrap()
    }

    fn write(&mut self, fd: u64, bytes: &[u8]) {
        let at = self.bytes(bytes);
        let count = bytes.len() as u64;
        assert_eq!(self.call(__NR_write, &[fd, at, count]), count as i64);
    }
}

#[test]
fn unknown_calls_are_refused() {
    let mut f = Fixture::new();
    for number in [999, u32::MAX, __NR_fork, __NR_socket] {
        f.error(number, &[], Errno::ENOSYS);
    }
}

#[test]
fn what_is_written_is_read() {
    let mut f = Fixture::new();
    let fd = f.open("/tmp/f", O_CREAT | O_RDWR);
    assert_eq!(fd, 3);
    f.write(fd, b"hello world");
    assert_eq!(f.call(__NR_lseek, &[fd, 6, SEEK_SET.into()]), 6);
    assert_eq!(f.call(__NR_read, &[fd, OUT, 100]), 5);
    assert_eq!(f.out(), *b"world");
    assert_eq!(f.call(__NR_read, &[fd, OUT, 100]), 0);
    assert_eq!(f.call(__NR_pread64, &[fd, OUT, 2, 1]), 2);
    assert_eq!(f.out(), *b"el");
    let pieces = f.words(&[OUT, 3, OUT + 3, 2]);
    f.call(__NR_lseek, &[fd, 0, SEEK_SET.into()]);
    assert_eq!(f.call(__NR_readv, &[fd, pieces, 2]), 5);
    assert_eq!(f.out(), *b"hello");
    f.error(__NR_read, &[fd, 0x1, 5], Errno::EFAULT);
    f.error(__NR_lseek, &[fd, u64::MAX, SEEK_SET.into()], Errno::EINVAL);
    assert_eq!(f.call(__NR_ftruncate, &[fd, 5]), 0);
    assert_eq!(f.call(__NR_lseek, &[fd, 0, SEEK_END.into()]), 5);
    assert_eq!(f.call(__NR_close, &[fd]), 0);
    f.error(__NR_read, &[fd, OUT, 1], Errno::EBADF);
    f.error(__NR_read, &[u64::MAX, OUT, 1], Errno::EBADF);
}

#[test]
fn redirection_works_as_a_shell_does_it() {
    let mut f = Fixture::new();
    let fd = f.open("/tmp/o", O_WRONLY | O_CREAT | O_APPEND);
    let saved = f.call(__NR_fcntl, &[1, F_DUPFD_CLOEXEC.into(), 10]);
    assert_eq!(saved, 10);
    assert_eq!(f.call(__NR_dup2, &[fd, 1]), 1);
    f.call(__NR_close, &[fd]);
    f.write(1, b"to the file\n");
    assert_eq!(f.call(__NR_dup2, &[10, 1]), 1);
    f.call(__NR_close, &[10]);
    f.write(1, b"to the console\n");
    assert_eq!(f.kernel.console, b"to the console\n");
    let ino = f.system.files.resolve(ROOT, b"/tmp/o", true).unwrap();
    assert_eq!(
        f.system.files.contents(ino).unwrap().chunk(0, 99),
        b"to the file\n"
    );
}

#[test]
fn sendfile_moves_a_file_to_the_console() {
    let mut f = Fixture::new();
    let fd = f.open("/tmp/f", O_CREAT | O_RDWR);
    f.write(fd, &[b'x'; 5000]);
    f.call(__NR_lseek, &[fd, 0, 0]);
    assert_eq!(f.call(__NR_sendfile, &[1, fd, 0, 1 << 24]), 5000);
    assert_eq!(f.kernel.console.len(), 5000);
    assert_eq!(f.call(__NR_sendfile, &[1, fd, 0, 1 << 24]), 0);
    f.error(__NR_sendfile, &[1, 0, 0, 5], Errno::EINVAL);
}

#[test]
fn the_tree_can_be_changed_and_listed() {
    let mut f = Fixture::new();
    let (d, a, b) = (f.text("/tmp/d"), f.text("/tmp/d/a"), f.text("/tmp/d/b"));
    assert_eq!(f.call(__NR_mkdir, &[d, 0o777]), 0);
    f.error(__NR_mkdir, &[d, 0o777], Errno::EEXIST);
    f.open("/tmp/d/a", O_CREAT);
    assert_eq!(f.call(__NR_link, &[a, b]), 0);
    assert_eq!(f.call(__NR_stat, &[d, OUT]), 0);
    let stat: [u8; 144] = f.out();
    assert_eq!(record::u32_at(&stat, 24), S_IFDIR | 0o755);
    assert_eq!(record::u64_at(&stat, 48), 80);
    f.error(__NR_rmdir, &[d], Errno::ENOTEMPTY);
    let fd = f.open("/tmp/d", O_DIRECTORY);
    assert_eq!(f.call(__NR_getdents64, &[fd, OUT, 1000]), 4 * 24);
    let listing: [u8; 96] = f.out();
    let names: Vec<u8> = listing.chunks(24).map(|entry| entry[19]).collect();
    assert_eq!(names, *b"..ba");
    assert_eq!(f.call(__NR_getdents64, &[fd, OUT, 1000]), 0);
    f.call(__NR_lseek, &[fd, 0, 0]);
    f.error(__NR_getdents64, &[fd, OUT, 20], Errno::EINVAL);
    assert_eq!(f.call(__NR_rename, &[a, b]), 0);
    assert_eq!(f.call(__NR_unlink, &[a]), 0);
    assert_eq!(f.call(__NR_chdir, &[d]), 0);
    assert_eq!(f.call(__NR_getcwd, &[OUT, 100]), 7);
    assert_eq!(f.out(), *b"/tmp/d\0");
    f.error(__NR_getcwd, &[OUT, 3], Errno::ERANGE);
    let relative = f.text("b");
    assert_eq!(f.call(__NR_unlinkat, &[AT_FDCWD as u64, relative, 0]), 0);
    f.error(__NR_access, &[b, 0], Errno::ENOENT);
    let (target, l) = (f.text("nowhere"), f.text("l"));
    assert_eq!(f.call(__NR_symlink, &[target, l]), 0);
    assert_eq!(f.call(__NR_readlink, &[l, OUT, 4]), 4);
    assert_eq!(f.out(), *b"nowh");
}

#[test]
fn devices_do_what_they_are_for() {
    let mut f = Fixture::new();
    let null = f.open("/dev/null", O_RDWR);
    f.write(null, b"gone");
    assert_eq!(f.call(__NR_read, &[null, OUT, 9]), 0);
    let zero = f.open("/dev/zero", O_RDONLY);
    f.process.memory.write(OUT, b"xxxx").unwrap();
    assert_eq!(f.call(__NR_read, &[zero, OUT, 2]), 2);
    assert_eq!(f.out(), *b"\0\0xx");
    let full = f.open("/dev/full", O_RDWR);
    f.error(__NR_write, &[full, OUT, 2], Errno::ENOSPC);
    let random = f.open("/dev/urandom", O_RDONLY);
    assert_eq!(f.call(__NR_read, &[random, OUT, 100_000]), 100_000);
}

#[test]
fn pieces_move_at_a_position() {
    let mut f = Fixture::new();
    let fd = f.open("/tmp/f", O_CREAT | O_RDWR);
    let (one, two) = (f.bytes(b"one"), f.bytes(b"two"));
    let pieces = f.words(&[one, 3, two, 3]);
    assert_eq!(f.call(__NR_pwritev, &[fd, pieces, 2, 2]), 6);
    let pieces = f.words(&[OUT + 4, 4, OUT, 4]);
    assert_eq!(f.call(__NR_preadv, &[fd, pieces, 2, 1]), 7);
    assert_eq!(f.out(), *b"two\0\0one");
    // The file's own offset stayed.
    assert_eq!(f.call(__NR_lseek, &[fd, 0, SEEK_CUR.into()]), 0);
}

#[test]
fn fallocate_takes_pages() {
    let mut f = Fixture::new();
    let fd = f.open("/tmp/f", O_CREAT | O_RDWR);
    let keep = u64::from(FALLOC_FL_KEEP_SIZE);
    assert_eq!(f.call(__NR_fallocate, &[fd, keep, 0, 4097]), 0);
    assert_eq!(f.call(__NR_lseek, &[fd, 0, SEEK_END.into()]), 0);
    assert_eq!(f.call(__NR_fallocate, &[fd, 0, 4096, 5000]), 0);
    assert_eq!(f.call(__NR_lseek, &[fd, 0, SEEK_END.into()]), 9096);
    assert_eq!(f.call(__NR_fstat, &[fd, OUT]), 0);
    let stat: [u8; 144] = f.out();
    assert_eq!(super::record::u64_at(&stat, 64), 3 * 8);
    let free = f.system.files.budget.free;
    f.error(__NR_fallocate, &[fd, 0, 0, 1 << 40], Errno::ENOSPC);
    assert_eq!(f.system.files.budget.free, free);
    f.error(__NR_fallocate, &[fd, 0, 0, 0], Errno::EINVAL);
    f.error(__NR_fallocate, &[fd, 2, 0, 1], Errno::EOPNOTSUPP);
}

#[test]
fn advice_is_checked_and_forgotten() {
    let mut f = Fixture::new();
    let (fd, path) = (f.open("/tmp/f", O_CREAT), f.text("/tmp/f"));
    assert_eq!(f.call(__NR_fadvise64, &[fd, 0, 0, 5]), 0);
    f.error(__NR_fadvise64, &[fd, 0, 0, 6], Errno::EINVAL);
    f.error(__NR_fadvise64, &[99, 0, 0, 0], Errno::EBADF);
    assert_eq!(f.call(__NR_mlock, &[ARGS + 7, 5000]), 0);
    f.error(__NR_mlock, &[ARGS, 1 << 30], Errno::ENOMEM);
    assert_eq!(f.call(__NR_listxattr, &[path, 0, 0]), 0);
    f.error(__NR_getxattr, &[path, path, OUT, 9], Errno::EOPNOTSUPP);
    let mask = f.words(&[1, 2]);
    assert_eq!(f.call(__NR_sched_setaffinity, &[0, 8, mask]), 0);
    f.error(__NR_sched_setaffinity, &[0, 8, mask + 8], Errno::EINVAL);
}

#[test]
fn the_console_is_a_terminal() {
    let mut f = Fixture::new();
    assert_eq!(f.call(__NR_ioctl, &[1, TIOCGWINSZ.into(), OUT]), 0);
    assert_eq!(f.out(), [24, 0, 80, 0, 0, 0, 0, 0]);
    assert_eq!(f.call(__NR_ioctl, &[0, TCGETS.into(), OUT]), 0);
    f.error(__NR_ioctl, &[1, TIOCGWINSZ.into(), 8], Errno::EFAULT);
    let file = f.open("/tmp/f", O_CREAT);
    f.error(__NR_ioctl, &[file, TCGETS.into(), OUT], Errno::ENOTTY);
    // Nobody can type: the end of the file, or nothing for who does not wait.
    assert_eq!(f.call(__NR_read, &[0, OUT, 9]), 0);
    let flags = f.call(__NR_fcntl, &[0, F_GETFL.into()]) as u64;
    let nonblocking = flags | u64::from(O_NONBLOCK);
    f.call(__NR_fcntl, &[0, F_SETFL.into(), nonblocking]);
    f.error(__NR_read, &[0, OUT, 9], Errno::EAGAIN);
    f.call(__NR_fcntl, &[0, F_SETFL.into(), flags]);
    f.kernel.has_input = true;
    assert_eq!(f.outcome(__NR_read, &[0, OUT, 9]), Outcome::Block(None));
    f.kernel.typed.extend(b"ab\x7fc");
    assert_eq!(f.outcome(__NR_read, &[0, OUT, 9]), Outcome::Block(None));
    f.kernel.typed.extend(b"\rmore\r\x04");
    assert_eq!(f.call(__NR_read, &[0, OUT, 9]), 3);
    assert_eq!(f.out(), *b"ac\n");
    assert_eq!(f.call(__NR_read, &[0, OUT, 2]), 2);
    assert_eq!(f.call(__NR_read, &[0, OUT, 9]), 3);
    assert_eq!(f.call(__NR_read, &[0, OUT, 9]), 0);
    f.kernel.typed.push_back(3);
    assert_eq!(
        f.outcome(__NR_read, &[0, OUT, 9]),
        Outcome::Kill(Signal::INT)
    );
}

#[test]
fn pipes_pass_bytes_and_end() {
    let mut f = Fixture::new();
    assert_eq!(f.call(__NR_pipe2, &[OUT, 0]), 0);
    assert_eq!(f.out(), [3, 0, 0, 0, 4, 0, 0, 0]);
    assert_eq!(f.outcome(__NR_read, &[3, OUT, 9]), Outcome::Block(None));
    f.write(4, b"through");
    let poll = f.words(&[3 | u64::from(POLLIN) << 32]);
    assert_eq!(f.call(__NR_poll, &[poll, 1, 0]), 1);
    assert_eq!(f.call(__NR_read, &[3, OUT, 9]), 7);
    assert_eq!(f.out(), *b"through");
    f.call(__NR_close, &[4]);
    assert_eq!(f.call(__NR_read, &[3, OUT, 9]), 0);
    assert_eq!(f.call(__NR_pipe2, &[OUT, 0]), 0);
    assert_eq!(f.out(), [4, 0, 0, 0, 5, 0, 0, 0]);
    f.call(__NR_close, &[4]);
    assert_eq!(
        f.outcome(__NR_write, &[5, OUT, 1]),
        Outcome::Kill(Signal::PIPE)
    );
}

#[test]
fn sleeping_blocks_until_its_time() {
    let mut f = Fixture::new();
    let half = f.words(&[0, 500_000_000]);
    f.kernel.now = 100;
    assert_eq!(
        f.outcome(__NR_nanosleep, &[half]),
        Outcome::Block(Some(600))
    );
    f.kernel.now = 599;
    assert_eq!(
        f.outcome(__NR_nanosleep, &[half]),
        Outcome::Block(Some(600))
    );
    f.kernel.now = 600;
    assert_eq!(f.call(__NR_nanosleep, &[half]), 0);
    assert_eq!(
        f.outcome(__NR_nanosleep, &[half]),
        Outcome::Block(Some(1100))
    );
    f.thread.deadline = None;
    assert_eq!(f.outcome(__NR_poll, &[0, 0, 10]), Outcome::Block(Some(610)));
    f.kernel.now = 1500;
    assert_eq!(f.call(__NR_poll, &[0, 0, 10]), 0);
    assert_eq!(f.call(__NR_clock_gettime, &[CLOCK_REALTIME.into(), OUT]), 0);
    let time: [u8; 16] = f.out();
    assert_eq!(
        (record::u64_at(&time, 0), record::u64_at(&time, 8)),
        (1_000_001, 500_000_000)
    );
    let bad = f.words(&[0, 1_000_000_000]);
    f.error(__NR_nanosleep, &[bad], Errno::EINVAL);
}

#[test]
fn memory_is_mapped_and_files_into_it() {
    let mut f = Fixture::new();
    let (rw, anonymous) = (3, u64::from(MAP_PRIVATE | MAP_ANONYMOUS));
    let at = f.call(__NR_mmap, &[0, 8192, rw, anonymous, u64::MAX, 0]) as u64;
    f.process.memory.write(at, b"x").unwrap();
    assert_eq!(f.call(__NR_munmap, &[at, 8192]), 0);
    let fd = f.open("/tmp/f", O_CREAT | O_RDWR);
    f.write(fd, &[b'f'; 6000]);
    let at = f.call(__NR_mmap, &[0, 8192, 1, MAP_SHARED.into(), fd, 4096]) as u64;
    assert_eq!(f.process.memory.read_array(at + 1903).unwrap(), [b'f', 0]);
    f.error(
        __NR_mmap,
        &[0, 8192, 3, MAP_SHARED.into(), fd, 0],
        Errno::ENODEV,
    );
    f.error(__NR_mmap, &[0, 0, rw, anonymous, 0, 0], Errno::EINVAL);
    f.error(__NR_mmap, &[0, 1 << 40, rw, anonymous, 0, 0], Errno::ENOMEM);
    f.process.memory.set_brk_start(0x80_0000);
    assert_eq!(f.call(__NR_brk, &[0]), 0x80_0000);
    assert_eq!(f.call(__NR_brk, &[0x80_5000]), 0x80_5000);
}

#[test]
fn signals_do_what_they_do_by_default() {
    let mut f = Fixture::new();
    let (term, chld) = (15, SIGCHLD.into());
    assert_eq!(f.call(__NR_kill, &[1, chld]), 0);
    assert_eq!(f.call(__NR_kill, &[1, 0]), 0);
    f.error(__NR_kill, &[7, term], Errno::ESRCH);
    assert_eq!(f.outcome(__NR_kill, &[1, term]), Outcome::Kill(Signal(15)));
    let set = f.words(&[1 << 14]);
    assert_eq!(
        f.call(__NR_rt_sigprocmask, &[SIG_BLOCK.into(), set, 0, 8]),
        0
    );
    assert_eq!(f.call(__NR_kill, &[1, term]), 0);
    let unblock = [SIG_UNBLOCK.into(), set, 0, 8];
    assert_eq!(
        f.outcome(__NR_rt_sigprocmask, &unblock),
        Outcome::Kill(Signal(15))
    );
    let ignore = f.words(&[1, 0, 0, 0]);
    assert_eq!(f.call(__NR_rt_sigaction, &[term, ignore, OUT, 8]), 0);
    assert_eq!(f.call(__NR_kill, &[1, term]), 0);
    f.error(__NR_rt_sigaction, &[9, ignore, 0, 8], Errno::EINVAL);
    assert_eq!(exception_signal(14, Some(4), &[]).name(), "SIGSEGV");
    assert_eq!(exception_signal(0, None, &[]).name(), "SIGFPE");
}

#[test]
fn a_process_knows_itself() {
    let mut f = Fixture::new();
    assert_eq!(f.outcome(__NR_exit_group, &[0x103]), Outcome::Exit(3));
    assert_eq!(f.call(__NR_uname, &[OUT]), 0);
    assert_eq!(f.out(), *b"Linux\0");
    assert_eq!(f.call(__NR_arch_prctl, &[ARCH_SET_FS.into(), 0x1234]), 0);
    assert_eq!(f.kernel.fs_base, 0x1234);
    f.error(
        __NR_arch_prctl,
        &[ARCH_SET_FS.into(), 1 << 63],
        Errno::EPERM,
    );
    assert_eq!(f.call(__NR_setuid, &[1000]), 0);
    f.error(__NR_setuid, &[0], Errno::EPERM);
    assert_eq!(f.call(__NR_getrandom, &[OUT, 64, 0]), 64);
    let word = f.words(&[5]);
    let wait = FUTEX_WAIT | FUTEX_PRIVATE_FLAG;
    f.error(__NR_futex, &[word, wait.into(), 4, 0], Errno::EAGAIN);
    assert_eq!(
        f.outcome(__NR_futex, &[word, wait.into(), 5, 0]),
        Outcome::Block(None)
    );
    let at = f.next.next_multiple_of(32);
    assert_eq!(f.call(__NR_rseq, &[at, 32, 0, 9]), 0);
    f.error(__NR_rseq, &[at, 32, 0, 9], Errno::EBUSY);
    assert_eq!(f.call(__NR_rseq, &[at, 32, 1, 9]), 0);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    /// Whatever a program asks for, we live, and what we keep for it stays within bounds.
    #[test]
    fn any_calls_are_survived(calls in proptest::collection::vec((0u32..470, proptest::array::uniform6((0u8..6, 0u64..0x40_0000))), 1..60)) {
        let mut f = Fixture::new();
        let path = f.text("/tmp/../tmp/x");
        for (number, args) in calls {
            let args = args.map(|(kind, value)| match kind {
                0 => value % 8,
                1 => path,
                2 => OUT + value % 0x1_0000,
                3 => value.wrapping_mul(0x1_0001_0001_0001),
                4 => (value as i64).wrapping_neg() as u64,
                _ => value,
            });
            let _ = f.outcome(number, &args);
            f.thread.deadline = None;
        }
    }
}
