//! Model-specific registers that exist only in software.

/// The registers of one virtual CPU.
pub struct Msrs;
