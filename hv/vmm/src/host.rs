//! What all guests share: the machine and its free memory.

use crate::machine::Machine;
use crate::memory::table::OutOfFrames;
use crate::memory::{Frames, Space};
use spin::Mutex;

/// The machine and its free memory.
pub struct Host {
    /// The machine.
    pub machine: &'static dyn Machine,
    /// Memory that nobody uses.
    pub frames: Mutex<Frames>,
}

impl Host {
    /// A new guest-physical space with `size` bytes of RAM.
    pub fn new_space(&'static self, size: u64) -> Result<Space, OutOfFrames> {
        Space::new(
            self.machine.memory(),
            &self.frames,
            self.machine.capabilities(),
            size,
        )
    }
}
