//! Pipes.

use crate::errno::Errno;
use crate::memory::contents::Budget;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// How many bytes a pipe holds, as on Linux.
pub(super) const CAPACITY: usize = 65536;
/// How many it holds where memory is short, as on Linux beyond `pipe-user-pages-soft`.
const CAPACITY_SHORT: usize = 4096;
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
    /// How many bytes it holds.
    pub capacity: usize,
    /// What was written and not yet read.
    pub bytes: VecDeque<u8>,
    /// The read side is open.
    pub readable: bool,
    /// The write side is open.
    pub writable: bool,
}

impl Pipe {
    /// A pipe with all the memory that it will ever want; none if there is not so much.
    fn new(capacity: usize, budget: &mut Budget) -> Option<Self> {
        let mut bytes = VecDeque::new();
        budget.take(capacity as u64).ok()?;
        if bytes.try_reserve_exact(capacity).is_err() {
            budget.give(capacity as u64);
            return None;
        }
        Some(Self {
            capacity,
            bytes,
            readable: true,
            writable: true,
        })
    }

    /// How many bytes can still be written.
    #[must_use]
    pub fn room(&self) -> usize {
        self.capacity.saturating_sub(self.bytes.len())
    }
}

/// All pipes of a guest.
#[derive(Debug, Default)]
pub struct Pipes(Vec<Option<Pipe>>);

impl Pipes {
    /// A new pipe, both sides open, for which the guest pays; ENFILE if it cannot.
    pub fn add(&mut self, budget: &mut Budget) -> Result<usize, Errno> {
        let sizes = [CAPACITY, CAPACITY_SHORT];
        let pipe = sizes.iter().find_map(|&size| Pipe::new(size, budget));
        let pipe = Some(pipe.ok_or(Errno::ENFILE)?);
        if let Some(free) = self.0.iter().position(Option::is_none) {
            self.0[free] = pipe;
            return Ok(free);
        }
        if self.0.try_reserve(1).is_err() {
            budget.give(pipe.map_or(0, |pipe| pipe.capacity as u64));
            return Err(Errno::ENFILE);
        }
        self.0.push(pipe);
        Ok(self.0.len() - 1)
    }

    /// A pipe.
    pub fn get(&mut self, index: usize) -> Option<&mut Pipe> {
        self.0.get_mut(index)?.as_mut()
    }

    /// Closes a side; without any the pipe is gone, and its memory given back.
    pub fn close(&mut self, index: usize, side: Side, budget: &mut Budget) {
        let Some(pipe) = self.get(index) else {
            return;
        };
        match side {
            Side::Read => pipe.readable = false,
            Side::Write => pipe.writable = false,
        }
        if !pipe.readable && !pipe.writable {
            budget.give(pipe.capacity as u64);
            self.0[index] = None;
        }
    }
}
