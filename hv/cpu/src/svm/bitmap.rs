//! The permission maps: which ports and MSRs exit.

use alloc::boxed::Box;
use spec::svm::vmcb::{IOPM_SIZE, MSRPM_SIZE, msrpm_bit};

#[repr(C, align(4096))]
struct PortMap([u8; IOPM_SIZE]);

/// Every port exits, in every guest.
static ALL_PORTS: PortMap = PortMap([0xff; IOPM_SIZE]);

/// The physical address of the I/O permission map.
pub(super) fn iopm() -> u64 {
    (&raw const ALL_PORTS) as u64
}

/// The MSR permission map of one virtual CPU: a set bit exits.
#[repr(C, align(4096))]
pub(super) struct MsrMap([u8; MSRPM_SIZE]);

impl MsrMap {
    /// Every MSR exits.
    pub(super) fn new() -> Box<Self> {
        Box::new(Self([0xff; MSRPM_SIZE]))
    }

    /// Its physical address.
    pub(super) fn address(&self) -> u64 {
        core::ptr::from_ref(self) as u64
    }

    /// Lets reads and writes of this MSR through, or not. One that the map does not cover exits always.
    pub(super) fn set_passthrough(&mut self, msr: u32, read: bool, write: bool) {
        let Some(bit) = msrpm_bit(msr) else { return };
        let exits = u8::from(!read) | u8::from(!write) << 1;
        let byte = &mut self.0[bit / 8];
        *byte = *byte & !(0b11 << (bit % 8)) | exits << (bit % 8);
    }
}
