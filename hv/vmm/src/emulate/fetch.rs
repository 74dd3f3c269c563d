//! The bytes of the guest's instruction.

use crate::vcpu::Vcpu;
use alloc::string::String;

/// The bytes at RIP in words, for a report.
pub fn bytes_for_report(_: &mut Vcpu) -> String {
    String::from("?")
}
