//! Signals: their numbers, what they do by default, and which exception raises which.
//! What a handler is told about one.

use super::record::Record;
use crate::memory::address_space::Fault;
use linux_raw_sys::general as linux;
use spec::exception::Vector;

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
    /// SIGALRM.
    pub const ALRM: Self = Self(linux::SIGALRM as u8);
    /// SIGVTALRM.
    pub const VTALRM: Self = Self(linux::SIGVTALRM as u8);
    /// SIGPROF.
    pub const PROF: Self = Self(linux::SIGPROF as u8);
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
                | linux::SIGSTOP
                | linux::SIGTSTP
                | linux::SIGTTIN
                | linux::SIGTTOU
        )
    }
}

/// `si_code`: kill(2) sent it.
pub(super) const SI_USER: i32 = 0;
/// tkill(2) or tgkill(2) sent it.
pub(super) const SI_TKILL: i32 = -6;
/// The kernel did.
pub const SI_KERNEL: i32 = 0x80;

/// Why a signal comes: what `siginfo_t` and `struct sigcontext` say.
#[derive(Clone, Copy, Debug)]
pub struct Cause {
    /// The signal.
    pub signal: Signal,
    /// `si_code`.
    pub code: i32,
    /// `si_addr` of an exception, else sender's process and user.
    pub address: u64,
    /// The exception's vector.
    pub vector: u64,
    /// Its error code.
    pub error_code: u64,
    /// CR2.
    pub fault_address: u64,
}

impl Cause {
    /// A signal that no exception raised.
    #[must_use]
    pub const fn sent(signal: Signal, code: i32) -> Self {
        let address = match code {
            SI_KERNEL => 0,
            _ => super::state::FIRST_PID as u64,
        };
        Self {
            signal,
            code,
            address,
            vector: 0,
            error_code: 0,
            fault_address: 0,
        }
    }

    /// The signal of a page fault at the address `at`. The P flag of its error code does not tell whether
    /// something is mapped there: pages come when they are touched.
    #[must_use]
    pub fn page_fault(fault: Fault, error_code: u32, at: u64) -> Self {
        let (signal, code) = match fault {
            Fault::Segv { mapped: false } => (Signal::SEGV, linux::SEGV_MAPERR as i32),
            Fault::Segv { mapped: true } => (Signal::SEGV, linux::SEGV_ACCERR as i32),
            Fault::Bus => (Signal::BUS, linux::BUS_ADRERR as i32),
            Fault::OutOfMemory => (Signal::KILL, SI_KERNEL),
        };
        Self {
            signal,
            code,
            address: at,
            vector: Vector::PF.0.into(),
            error_code: error_code.into(),
            fault_address: at,
        }
    }

    /// A signal that another exception raised. `at` is RIP.
    #[must_use]
    pub fn exception(signal: Signal, vector: u8, error_code: u32, at: u64) -> Self {
        let (code, address) = match (signal, vector) {
            // #AC: BUS_ADRALN, and the address is not known.
            (Signal::BUS, 17) => (1, 0),
            (Signal::FPE, 0) => (1, at),
            (Signal::FPE, _) => (7, at),
            (Signal::ILL, _) => (2, at),
            (Signal::TRAP, 1) => (2, at),
            _ => (SI_KERNEL, 0),
        };
        Self {
            signal,
            code,
            address,
            vector: vector.into(),
            error_code: error_code.into(),
            fault_address: 0,
        }
    }

    /// `siginfo_t`.
    #[must_use]
    pub fn info(&self) -> [u8; 128] {
        Record::new()
            .u32(self.signal.0.into())
            .skip(4)
            .u32(self.code as u32)
            .skip(4)
            .u64(self.address)
            .done()
    }
}

/// In the error code of an exception: it happened on the way through the IDT (SDM 3A "Error Code").
const IDT: u32 = 1 << 1;
/// INT3, and INT with the same vector.
const BREAKPOINTS: [&[u8]; 2] = [&[0xcc], &[0xcd, 3]];

/// The signal that an exception of a program raises (SDM 3A "Exception and Interrupt
/// Reference"; Linux' arch/x86/kernel/traps.c). `code` is the instruction that raised it.
#[must_use]
pub fn exception_signal(vector: u8, error_code: Option<u32>, code: &[u8]) -> Signal {
    match vector {
        0 | 16 | 19 => Signal::FPE,
        1 | 3 => Signal::TRAP,
        6 => Signal::ILL,
        11 | 12 | 17 => Signal::BUS,
        13 if is_breakpoint(error_code, code) => Signal::TRAP,
        18 => Signal::KILL,
        _ => Signal::SEGV,
    }
}

/// A breakpoint that found no interrupt descriptor, since a program has none: QEMU's SVM does not
/// intercept the #BP of INT3, and no CPU that of INT 3.
fn is_breakpoint(error_code: Option<u32>, code: &[u8]) -> bool {
    error_code.is_some_and(|error_code| error_code & IDT != 0)
        && BREAKPOINTS.iter().any(|known| code.starts_with(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_whether_something_is_mapped_though_no_page_is_present() {
        let code = |mapped| Cause::page_fault(Fault::Segv { mapped }, 4, 0x1000).code;
        assert_eq!((code(false), code(true)), (1, 2));
        assert_eq!(Cause::page_fault(Fault::Bus, 4, 0x1000).code, 2);
        assert_eq!(Cause::exception(Signal::BUS, 17, 0, 0x1000).code, 1);
    }

    #[test]
    fn a_breakpoint_traps_however_it_comes() {
        assert_eq!(exception_signal(3, None, &[0xcc, 0x90]), Signal::TRAP);
        // QEMU gives 16 times the vector, the manual 8 times.
        for (error_code, code) in [(0x1a, [0xcc, 0]), (0x32, [0xcc, 0]), (0x1a, [0xcd, 3])] {
            assert_eq!(exception_signal(13, Some(error_code), &code), Signal::TRAP);
        }
        for (error_code, code) in [(0x40a, [0xcd, 0x81]), (0, [0xcc, 0]), (0x1a, [0, 0])] {
            assert_eq!(exception_signal(13, Some(error_code), &code), Signal::SEGV);
        }
    }
}
