//! The table of I/O ports.

/// The I/O ports of a guest.
pub struct Bus;
