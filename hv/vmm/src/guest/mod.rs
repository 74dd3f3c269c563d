//! Guests: what one is, and the kinds there are.

use crate::device::bus::Bus;
use crate::exit::table::ExitTable;
use crate::guest::console::Console;
use crate::memory::{GuestRam, Space};
use alloc::string::String;
use spin::Mutex;

pub mod console;

/// A kind of guest: its exit handlers (the loader and the ports follow from its rows).
pub struct GuestKind {
    /// Its name in a SPEC.
    pub name: &'static str,
    /// What it does about each kind of exit.
    pub exits: &'static ExitTable,
}

/// What the virtual CPUs of one guest share.
pub struct Guest {
    /// Its number, from 1, in the order of the command line.
    pub number: usize,
    /// The path of its program.
    pub path: String,
    /// Its kind.
    pub kind: &'static GuestKind,
    /// Its RAM.
    pub ram: GuestRam,
    /// Its guest-physical space.
    pub space: Mutex<Space>,
    /// Its I/O ports.
    pub bus: Mutex<Bus>,
    /// Its console.
    pub console: Console,
}
