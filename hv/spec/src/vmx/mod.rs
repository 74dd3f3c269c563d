//! Intel VMX: the VMCS, its controls, exit reasons and the layouts that belong to them.
//! SDM 3C "Virtual Machine Control Structures" and the chapters after it.

pub mod controls;
pub mod errors;
pub mod exit;
mod field;
pub mod fields;
pub mod interruptibility;
pub mod interruption;
pub mod qualification;
