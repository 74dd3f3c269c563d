//! The hypercall ABI: numbers, structures, versions.
//!
//! A guest executes `VMCALL` or `VMMCALL` (either works on either engine) with the number in
//! RAX and up to four arguments in RDI, RSI, RDX and R10; the result comes back in RAX, and a
//! negative one is an [`Error`]. No other register changes.
#![no_std]
#![forbid(unsafe_code)]

/// The version of this ABI, as [`Call::Version`] returns it.
pub const VERSION: u64 = 1;

/// The hypercalls. Numbers never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Call {
    /// Returns [`VERSION`].
    Version = 0,
    /// `(guest-physical address, length)`: writes the bytes to this guest's console; returns the length.
    ConsoleWrite = 1,
    /// `(status)`: ends this guest.
    Exit = 2,
    /// Gives the rest of this virtual CPU's time slice to others; returns 0.
    Yield = 3,
}

impl Call {
    /// The call with this number.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Version,
            1 => Self::ConsoleWrite,
            2 => Self::Exit,
            3 => Self::Yield,
            _ => return None,
        })
    }
}

/// Why a hypercall failed: the two's complement of the code is in RAX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Error {
    /// No call has this number.
    NoSuchCall = 1,
    /// An address or a length is outside the guest's memory.
    BadAddress = 2,
}

impl Error {
    /// The value of RAX that says this error.
    #[must_use]
    pub const fn to_rax(self) -> u64 {
        (self as u64).wrapping_neg()
    }
}

/// The longest text that [`Call::ConsoleWrite`] takes, in bytes.
pub const CONSOLE_WRITE_MAX: u64 = 4096;
