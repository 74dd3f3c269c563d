//! Signals: their numbers, what they do by default, and which exception raises which.
//! Handlers are not called yet: a signal does what it does by default, or nothing.

use linux_raw_sys::general as linux;

/// A signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(pub u8);

/// How many signals there are.
pub const COUNT: u64 = 64;

const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

impl Signal {
    /// SIGINT.
    pub const INT: Self = Self(linux::SIGINT as u8);
    /// SIGQUIT.
    pub const QUIT: Self = Self(linux::SIGQUIT as u8);
    /// SIGILL.
    pub const ILL: Self = Self(linux::SIGILL as u8);
    /// SIGTRAP.
    pub const TRAP: Self = Self(linux::SIGTRAP as u8);
    /// SIGBUS.
    pub const BUS: Self = Self(linux::SIGBUS as u8);
    /// SIGFPE.
    pub const FPE: Self = Self(linux::SIGFPE as u8);
    /// SIGKILL.
    pub const KILL: Self = Self(linux::SIGKILL as u8);
    /// SIGSEGV.
    pub const SEGV: Self = Self(linux::SIGSEGV as u8);
    /// SIGPIPE.
    pub const PIPE: Self = Self(linux::SIGPIPE as u8);
    /// SIGSTOP.
    pub const STOP: Self = Self(linux::SIGSTOP as u8);

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let place = usize::from(self.0).wrapping_sub(1);
        NAMES.get(place).copied().unwrap_or("real-time signal")
    }

    /// Its bit in a signal set.
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << ((self.0 as u64).wrapping_sub(1) % COUNT)
    }

    /// By default nothing happens: it is ignored, or it stops or continues a process, which a
    /// process alone in its guest has no use for.
    #[must_use]
    pub const fn is_harmless(self) -> bool {
        matches!(
            self.0 as u32,
            linux::SIGCHLD
                | linux::SIGURG
                | linux::SIGWINCH
                | linux::SIGCONT
                | linux::SIGTSTP
                | linux::SIGTTIN
                | linux::SIGTTOU
        )
    }
}

/// The signal that an exception of a program raises (SDM 3A "Exception and Interrupt
/// Reference"; Linux' arch/x86/kernel/traps.c).
#[must_use]
pub const fn exception_signal(vector: u8) -> Signal {
    match vector {
        0 | 16 | 19 => Signal::FPE,
        1 | 3 => Signal::TRAP,
        6 => Signal::ILL,
        11 | 12 | 17 => Signal::BUS,
        18 => Signal::KILL,
        _ => Signal::SEGV,
    }
}
