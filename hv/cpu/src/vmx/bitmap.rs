//! The I/O and the MSR bitmaps: which ports and MSRs exit. SDM 3C "I/O-Bitmap Addresses", "MSR-Bitmap Address".

use crate::page::Page;
use alloc::boxed::Box;
use spec::msr::Msr;

/// The two I/O bitmaps: every port exits, in every guest.
pub(super) static IO: [Page; 2] = [const { Page([0xff; 4096]) }; 2];

/// From the bit of a read to that of a write.
const WRITE: usize = 2048 * 8;

/// The MSR bitmaps of one virtual CPU: a set bit exits.
pub(super) struct MsrBitmaps(Page);

impl MsrBitmaps {
    /// Every MSR exits.
    pub(super) fn new() -> Box<Self> {
        Box::new(Self(Page([0xff; 4096])))
    }

    /// Their physical address.
    pub(super) fn address(&self) -> u64 {
        self.0.address()
    }

    /// Lets reads and writes of this MSR through, or not. One that the bitmaps do not cover exits always.
    pub(super) fn set_passthrough(&mut self, msr: u32, read: bool, write: bool) {
        let Some(bit) = Msr(msr).vmx_bitmap_bit() else {
            return;
        };
        for (bit, through) in [(bit, read), (bit + WRITE, write)] {
            let byte = &mut self.0.0[bit / 8];
            let mask = 1 << (bit % 8);
            *byte = if through { *byte & !mask } else { *byte | mask };
        }
    }
}
