//! One system call: its arguments, whose it is, and what comes of it.

use super::kernel::Kernel;
use super::open_files::OpenFile;
use super::signals::Signal;
use super::state::{Process, System, Thread};
use crate::errno::Errno;
use crate::file_system::{Ino, ROOT, Time};
use alloc::vec::Vec;
use linux_raw_sys::general::AT_FDCWD;

/// A handler's result: what RAX gets, or why there is none.
pub type Answer = Result<u64, Break>;

/// Why a call does not return a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// It failed.
    Error(Errno),
    /// The process ends with this status.
    Exit(u8),
    /// The process is killed.
    Kill(Signal),
    /// It cannot be done yet: run it again when there is input or the time-stamp counter has
    /// reached this.
    Block(Option<u64>),
    /// It is not done yet, and others have their turn: run it again.
    Again,
    /// A signal came whose handler must be called first.
    Interrupted,
    /// It is done and RAX gets this, but signals and timers must be looked at.
    Done(u64),
    /// Go back from a signal handler.
    SignalReturn,
}

impl From<Errno> for Break {
    #[inline]
    fn from(error: Errno) -> Self {
        Self::Error(error)
    }
}

/// What came of a system call, for the owner of the virtual CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// RAX gets this, and the process goes on.
    Return(u64),
    /// The process ends with this status.
    Exit(u8),
    /// The process is killed.
    Kill(Signal),
    /// Run the instruction again, at the latest when the time-stamp counter reaches this.
    Block(Option<u64>),
    /// Run the instruction again, when others had their turn.
    Again,
    /// RAX gets this, unless signal handlers are to be called first.
    Signals(u64),
    /// After the signal handlers, the call is made again.
    Restart,
    /// Go back from a signal handler.
    SignalReturn,
}

/// One system call.
pub struct Call<'a> {
    /// Its number.
    pub number: u64,
    /// RDI, RSI, RDX, R10, R8, R9.
    pub args: [u64; 6],
    /// What all processes of the guest share.
    pub system: &'a mut System,
    /// The process.
    pub process: &'a mut Process,
    /// The thread.
    pub thread: &'a mut Thread,
    /// The machine and the virtual CPU.
    pub kernel: &'a mut dyn Kernel,
}

/// Nanoseconds in a second.
pub(super) const SECOND: u64 = 1_000_000_000;

impl Call<'_> {
    /// An argument that is a C `int`.
    #[inline]
    pub(super) fn int(&self, index: usize) -> i32 {
        self.args[index] as i32
    }

    /// An argument that is a C `unsigned int`.
    #[inline]
    pub(super) fn uint(&self, index: usize) -> u32 {
        self.args[index] as u32
    }

    /// Which open file the descriptor in this argument means.
    #[inline]
    pub(super) fn file_index(&self, index: usize) -> Result<usize, Errno> {
        self.process.descriptors.file(self.int(index))
    }

    /// The open file that the descriptor in this argument means.
    #[inline]
    pub(super) fn file(&self, index: usize) -> Result<&OpenFile, Errno> {
        self.system.open.get(self.file_index(index)?)
    }

    /// Nanoseconds since the time-stamp counter was 0 (CLOCK_MONOTONIC).
    pub(super) fn uptime(&self) -> u64 {
        nanoseconds(self.kernel.now(), self.kernel.tsc_hz())
    }

    /// The time of day.
    pub(super) fn now(&self) -> Time {
        let uptime = self.uptime();
        Time {
            seconds: (self.kernel.epoch() + uptime / SECOND) as i64,
            nanoseconds: (uptime % SECOND) as u32,
        }
    }

    /// Waits this long since the call was first made, for ever if `None`: a [`Break::Block`]
    /// until the time has come, then `Ok`.
    pub(super) fn wait(&mut self, timeout: Option<u64>) -> Result<(), Break> {
        let (now, hz) = (self.kernel.now(), self.kernel.tsc_hz());
        let deadline = self
            .thread
            .deadline
            .get_or_insert_with(|| timeout.map(|ns| now.saturating_add(ticks(ns, hz))));
        match *deadline {
            Some(deadline) if now >= deadline => Ok(()),
            deadline => Err(Break::Block(deadline)),
        }
    }

    /// The path in this argument.
    pub(super) fn path(&mut self, index: usize) -> Result<Vec<u8>, Errno> {
        self.process.memory.read_path(self.args[index])
    }

    /// Where a relative path begins if this argument is the `dirfd`.
    pub(super) fn start(&self, index: usize, path: &[u8]) -> Result<Ino, Errno> {
        if path.starts_with(b"/") {
            return Ok(ROOT);
        }
        if self.int(index) == AT_FDCWD {
            return Ok(self.process.directory);
        }
        let ino = self.file(index)?.ino.ok_or(Errno::ENOTDIR)?;
        self.system.files.directory(ino).map(|_| ino)
    }
}

/// Ticks of the time-stamp counter as nanoseconds.
pub(super) fn nanoseconds(ticks: u64, hz: u64) -> u64 {
    let hz = hz.max(1);
    let fraction = u128::from(ticks % hz) * u128::from(SECOND) / u128::from(hz);
    (ticks / hz)
        .saturating_mul(SECOND)
        .saturating_add(fraction as u64)
}

/// Nanoseconds as ticks of the time-stamp counter, rounded up.
pub(super) fn ticks(nanoseconds: u64, hz: u64) -> u64 {
    let ticks = (u128::from(nanoseconds) * u128::from(hz)).div_ceil(u128::from(SECOND));
    u64::try_from(ticks).unwrap_or(u64::MAX)
}
