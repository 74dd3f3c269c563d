//! Instructions that we carry out ourselves, where the hardware leaves it to us.

use crate::machine::Event;
use crate::vcpu::Vcpu;

pub mod fetch;

/// The length of the instruction at RIP, in bytes, for hardware that does not say.
pub fn instruction_length(_: &mut Vcpu) -> Result<u8, Event> {
    Err(Event::exception(6, None))
}
