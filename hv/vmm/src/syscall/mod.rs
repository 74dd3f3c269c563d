//! Linux' system calls: a total table of handlers by number, one family a file.
//!
//! Nothing here knows an engine or an exit. A handler gets a [`Call`] and returns an [`Answer`];
//! what it wants from outside goes through [`Kernel`].

pub mod call;
pub mod descriptors;
pub mod frame;
pub mod kernel;
pub mod open_files;
pub mod pipe;
pub mod progress;
pub mod record;
pub mod signal;
pub mod signals;
pub mod state;
pub mod table;
pub mod time;
pub mod tty;

mod advice;
mod descriptor;
mod directory;
mod file;
mod identity;
mod kill;
mod limit;
mod memory;
mod path;
mod poll;
mod process;
mod stat;
mod terminal;
mod transfer;
mod unknown;

pub use call::{Answer, Break, Call, Outcome};
pub use kernel::Kernel;
pub use signals::Signal;
pub use state::{Process, System, Thread};

#[cfg(test)]
mod tests;
