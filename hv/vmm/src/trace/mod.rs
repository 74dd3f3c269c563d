//! The typed trace: a ring of events for each physical CPU, and counts of exits by kind.

pub mod counts;
pub mod ring;

pub use counts::Counts;
pub use ring::{Event, Level, Outcome, Ring};
