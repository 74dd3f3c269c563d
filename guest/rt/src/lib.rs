//! The runtime of the test guests: entry, console, checks, exceptions, paging, the local APIC.
//!
//! A test guest is one virtual CPU and all of its memory, and the machine is the guest's to
//! break. Functions here that read or write registers of the machine are therefore safe to
//! call unless they take a pointer; what a guest breaks is its own.
//!
//! A guest is one file:
//!
//! ```ignore
//! #![no_std]
//! #![no_main]
//! use rt::check_eq;
//! rt::main!(main);
//! fn main() {
//!     check_eq!("two and two", 2 + 2, 4);
//! }
//! ```
#![no_std]

pub mod console;
pub mod hypercall;
pub mod interrupts;
pub mod lapic;
pub mod machine;
pub mod paging;
pub mod pic;
pub mod processors;
pub mod random;
pub mod report;
pub mod segments;
mod single;
pub mod start;
pub mod ticks;
pub mod user;

pub use single::{Exclusive, Single};
pub use ticks::Ticks;
