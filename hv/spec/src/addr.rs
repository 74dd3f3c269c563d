//! Addresses, one type for each level, so that a guest's address is never taken for ours.

use core::fmt;

/// The size of the smallest page, in bytes.
pub const PAGE_SIZE: u64 = 4096;

macro_rules! address {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The start of the `size`-byte block that holds this address; `size` is a power of two.
            #[inline]
            #[must_use]
            pub const fn align_down(self, size: u64) -> Self {
                Self(self.0 & !(size - 1))
            }

            /// The offset within the `size`-byte block; `size` is a power of two.
            #[inline]
            #[must_use]
            pub const fn offset_in(self, size: u64) -> u64 {
                self.0 & (size - 1)
            }

            /// This address plus `bytes`, unless that overflows.
            #[inline]
            #[must_use]
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    )*};
}

address! {
    /// Host-physical address: what the memory bus sees.
    Hpa;
    /// Guest-physical address of L1.
    L1Gpa;
    /// Guest-physical address of L2, a guest of L1.
    L2Gpa;
    /// Guest-virtual (linear) address.
    Gva;
}
