//! What system calls work on: what all processes of a guest share, a process, a thread.

use super::descriptors::{Descriptor, Descriptors};
use super::open_files::{Device, Object, OpenFile, OpenFiles};
use super::pipe::Pipes;
use super::progress::Progress;
use super::signals::{SI_KERNEL, Signal};
use super::tty::Terminal;
use super::unknown::Warned;
use crate::errno::Errno;
use crate::file_system::{CONSOLE, FileSystem, Ino, ROOT};
use crate::memory::AddressSpace;
use alloc::boxed::Box;
use alloc::vec::Vec;
use linux_raw_sys::general::{O_RDWR, SS_AUTODISARM, SS_DISABLE};

/// The number of the first process.
pub const FIRST_PID: u32 = 1;

/// What all processes of a guest share.
pub struct System {
    /// The file system.
    pub files: FileSystem,
    /// Open files.
    pub open: OpenFiles,
    /// Pipes.
    pub pipes: Pipes,
    /// The terminal.
    pub terminal: Terminal,
    /// Random numbers, good for tests and hash tables, not for keys.
    pub random: fastrand::Rng,
    /// What was complained about already.
    pub(super) warned: Warned,
}

impl System {
    /// A system with this file system.
    #[must_use]
    pub fn new(files: FileSystem, seed: u64) -> Self {
        Self {
            files,
            open: OpenFiles::default(),
            pipes: Pipes::default(),
            terminal: Terminal::default(),
            random: fastrand::Rng::with_seed(seed),
            warned: Warned::default(),
        }
    }

    /// A descriptor less refers to this open file.
    pub(super) fn release(&mut self, file: usize) {
        self.open.release(file, &mut self.files, &mut self.pipes);
    }
}

/// What a process does about a signal: `struct kernel_sigaction` as the process gave it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Action {
    /// SIG_DFL (0), SIG_IGN (1) or the handler's address.
    pub handler: u64,
    /// SA_* flags.
    pub flags: u64,
    /// Where the handler returns to.
    pub restorer: u64,
    /// The signals that are blocked meanwhile.
    pub mask: u64,
}

/// User or group numbers of a process: real, effective and saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Real.
    pub real: u32,
    /// Effective.
    pub effective: u32,
    /// Saved.
    pub saved: u32,
}

/// A process: what its threads share.
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its process group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// Its address space.
    pub memory: AddressSpace,
    /// Its file descriptors.
    pub descriptors: Descriptors,
    /// Its working directory.
    pub directory: Ino,
    /// The permissions that new files do not get.
    pub umask: u32,
    /// Its users.
    pub users: Identity,
    /// Its groups.
    pub groups: Identity,
    /// Its resource limits: soft and hard, by RLIMIT_* number.
    pub limits: [(u64, u64); super::limit::COUNT],
    /// What it does about signals, by number less one.
    pub actions: Box<[Action; super::signals::COUNT as usize]>,
    /// Its interval timers (setitimer), by ITIMER_* number.
    pub timers: [Timer; 3],
}

/// An interval timer, in ticks of the time-stamp counter: all that pass, or those while the process executes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timer {
    /// When it expires.
    pub next: Option<u64>,
    /// How long after that again; 0 for never.
    pub interval: u64,
    /// It has expired, and goes on when its signal is taken.
    pub expired: bool,
}

impl Process {
    /// The first process, with the console as descriptors 0 to 2.
    pub fn first(memory: AddressSpace, system: &mut System) -> Result<Self, Errno> {
        let console = Object::Device(Device::Terminal);
        let file = (system.open).add(OpenFile::new(console, Some(CONSOLE), O_RDWR))?;
        system.files.open(CONSOLE);
        let mut descriptors = Descriptors::default();
        for fd in 0..3 {
            let descriptor = Descriptor {
                file,
                close_on_exec: false,
            };
            descriptors.set(fd, descriptor);
        }
        system.open.share(file);
        system.open.share(file);
        Ok(Self {
            pid: FIRST_PID,
            group: FIRST_PID,
            session: FIRST_PID,
            memory,
            descriptors,
            directory: ROOT,
            umask: 0o022,
            users: Identity::default(),
            groups: Identity::default(),
            limits: super::limit::DEFAULTS,
            actions: Box::new([Action::default(); super::signals::COUNT as usize]),
            timers: [Timer::default(); 3],
        })
    }
}

/// A thread.
#[derive(Clone, Debug)]
pub struct Thread {
    /// Its number; the first thread has that of its process.
    pub tid: u32,
    /// The signals that it blocks.
    pub blocked: u64,
    /// The signals that wait until it no longer blocks them.
    pub pending: u64,
    /// Their `si_code`, by number less one.
    pub codes: [i32; super::signals::COUNT as usize],
    /// What it blocked before a call that waits with another mask (rt_sigsuspend, ppoll, pselect6).
    pub saved_mask: Option<u64>,
    /// Its name (PR_SET_NAME), NUL-padded.
    pub name: [u8; 16],
    /// Its list of robust futexes: address and length.
    pub robust_list: (u64, u64),
    /// Cleared when it ends (set_tid_address).
    pub clear_on_exit: u64,
    /// Its alternate signal stack: address, flags, size.
    pub alternate_stack: (u64, u32, u64),
    /// Its `struct rseq`: address, length and signature.
    pub restartable: Option<(u64, u32, u32)>,
    /// While a call blocks: until when, if it does not wait for ever.
    pub deadline: Option<Option<u64>>,
    /// How far a call that is cut into steps has come; 0 between calls. Who lets the thread do something else before
    /// the call is made again gives out a [`Progress::Value`] as the call's.
    pub progress: Progress,
}

impl Thread {
    /// The first thread of a program of this name.
    #[must_use]
    pub fn first(program: &[u8]) -> Self {
        let mut name = [0; 16];
        let short: Vec<u8> = program.iter().copied().take(15).collect();
        name[..short.len()].copy_from_slice(&short);
        Self {
            tid: FIRST_PID,
            blocked: 0,
            pending: 0,
            codes: [SI_KERNEL; super::signals::COUNT as usize],
            saved_mask: None,
            name,
            robust_list: (0, 0),
            clear_on_exit: 0,
            alternate_stack: (0, SS_DISABLE, 0),
            restartable: None,
            deadline: None,
            progress: Progress::default(),
        }
    }

    /// Whether this RSP is on its alternate signal stack, which grows down from its end (Linux' `on_sig_stack`).
    #[must_use]
    pub fn on_alternate_stack(&self, rsp: u64) -> bool {
        let (base, flags, size) = self.alternate_stack;
        flags & SS_AUTODISARM == 0 && rsp > base && rsp - base <= size
    }

    /// Sets which signals it blocks; two cannot be.
    pub fn set_mask(&mut self, blocked: u64) {
        self.blocked = blocked & !(Signal::KILL.bit() | Signal::STOP.bit());
    }

    /// Has a signal wait. One that waits already does not change.
    pub(super) fn keep(&mut self, signal: Signal, code: i32) {
        if self.pending & signal.bit() == 0 {
            self.pending |= signal.bit();
            self.codes[usize::from(signal.0) - 1] = code;
        }
    }

    /// Has a signal wait no longer, and gives its `si_code`.
    pub(super) fn drop_pending(&mut self, signal: Signal) -> i32 {
        self.pending &= !signal.bit();
        self.codes[usize::from(signal.0) - 1]
    }
}
