//! The ports that emulators give to tests: QEMU's isa-debug-exit, and the debug console of
//! Bochs ("port_e9_hack") and QEMU.

use super::bus::{Device, Effect};
use crate::guest::console::Console;
use alloc::sync::Arc;

/// A write ends the guest with the value as its status.
pub(super) struct DebugExit;

impl Device for DebugExit {
    fn width(&self) -> u8 {
        4
    }

    fn read(&mut self, _offset: u16, size: u8) -> u32 {
        u32::MAX >> (32 - 8 * u32::from(size))
    }

    fn write(&mut self, _offset: u16, _size: u8, value: u32) -> Effect {
        Effect::Exit(value.into())
    }
}

/// A write prints a character; a read says that the console is there.
pub(super) struct DebugConsole(Arc<Console>);

impl DebugConsole {
    pub(super) fn new(console: Arc<Console>) -> Self {
        Self(console)
    }
}

impl Device for DebugConsole {
    fn read(&mut self, _offset: u16, _size: u8) -> u32 {
        0xe9
    }

    fn write(&mut self, _offset: u16, _size: u8, value: u32) -> Effect {
        self.0.write(&[value as u8]);
        Effect::None
    }
}
