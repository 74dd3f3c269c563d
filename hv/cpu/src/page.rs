//! A page that the processor is given.

use alloc::boxed::Box;

/// A page of the identity-mapped heap: its virtual address is its physical one.
#[repr(C, align(4096))]
pub(crate) struct Page(pub(crate) [u8; 4096]);

impl Page {
    /// A page of this byte.
    pub(crate) fn filled(byte: u8) -> Box<Self> {
        Box::new(Self([byte; 4096]))
    }

    /// Its physical address.
    pub(crate) fn address(&self) -> u64 {
        core::ptr::from_ref(self) as u64
    }
}
