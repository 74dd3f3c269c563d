//! Pipes.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// How many bytes a pipe holds, as on Linux.
pub const CAPACITY: usize = 65536;
/// How many bytes are written whole or not at all (PIPE_BUF).
pub const ATOMIC: usize = 4096;

/// A side of a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where bytes come out.
    Read,
    /// Where bytes go in.
    Write,
}

/// A pipe.
#[derive(Debug)]
pub struct Pipe {
    /// What was written and not yet read.
    pub bytes: VecDeque<u8>,
    /// The read side is open.
    pub readable: bool,
    /// The write side is open.
    pub writable: bool,
}

impl Pipe {
    /// How many bytes can still be written.
    #[must_use]
    pub fn room(&self) -> usize {
        CAPACITY - self.bytes.len()
    }
}

/// All pipes of a guest.
#[derive(Debug, Default)]
pub struct Pipes(Vec<Option<Pipe>>);

impl Pipes {
    /// A new pipe, both sides open.
    pub fn add(&mut self) -> usize {
        let pipe = Some(Pipe {
            bytes: VecDeque::new(),
            readable: true,
            writable: true,
        });
        if let Some(free) = self.0.iter().position(Option::is_none) {
            self.0[free] = pipe;
            return free;
        }
        self.0.push(pipe);
        self.0.len() - 1
    }

    /// A pipe.
    pub fn get(&mut self, index: usize) -> Option<&mut Pipe> {
        self.0.get_mut(index)?.as_mut()
    }

    /// Closes a side; without any the pipe is gone.
    pub fn close(&mut self, index: usize, side: Side) {
        let Some(pipe) = self.get(index) else {
            return;
        };
        match side {
            Side::Read => pipe.readable = false,
            Side::Write => pipe.writable = false,
        }
        if !pipe.readable && !pipe.writable {
            self.0[index] = None;
        }
    }
}
