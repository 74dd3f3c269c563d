//! The devices of the virtual PC.

pub mod bus;
mod debug;
pub mod lapic;
mod uart;
