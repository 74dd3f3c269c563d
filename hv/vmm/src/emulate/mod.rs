//! Instructions that we carry out ourselves, where the hardware leaves it to us.

use crate::machine::Event;
use crate::vcpu::Vcpu;

pub(crate) mod execute;
pub mod fetch;
mod flags;
pub(crate) mod memory;
pub(crate) mod operand;
mod stack;
pub(crate) mod string;

/// The length of the instruction at RIP, in bytes, for hardware that does not say.
pub fn instruction_length(v: &mut Vcpu) -> Result<u8, Event> {
    fetch::instruction(v).map(|instruction| instruction.len() as u8)
}
