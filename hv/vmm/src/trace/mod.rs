//! The typed trace: a ring of events for each physical CPU, and counts of exits by kind.

pub mod counts;
pub mod ring;

pub use counts::Counts;
pub use ring::{Event, Level, Outcome, Ring};

/// The most physical CPUs that we use.
pub const MAX_CPUS: usize = 8;

/// The last events of each physical CPU.
pub static RINGS: [Ring; MAX_CPUS] = [const { Ring::new() }; MAX_CPUS];
