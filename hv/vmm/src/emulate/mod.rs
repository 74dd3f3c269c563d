//! Instructions that we carry out ourselves, where the hardware leaves it to us.

pub(crate) mod access;
mod arithmetic;
mod condition;
pub(crate) mod execute;
pub mod fetch;
mod flags;
pub mod length;
pub(crate) mod memory;
pub(crate) mod operand;
mod origin;
mod shift;
pub(crate) mod stack;
pub(crate) mod string;
pub(crate) mod system;
#[cfg(test)]
mod testing;
mod wide;
