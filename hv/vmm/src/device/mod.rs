//! The devices of the virtual PC.

pub mod bus;
pub mod lapic;
