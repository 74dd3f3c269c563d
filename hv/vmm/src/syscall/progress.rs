//! Calls that can do more than others should wait for. They are cut into steps: between two of them interrupts, timers
//! and other guests have their turn, and the program sees one call.

use super::call::{Answer, Break, Call};
use super::transfer::COUNT_MAX;
use core::mem;

/// How many bytes are moved in one step.
pub(super) const STEP: u64 = 256 << 10;
/// How many bytes go to the console in one step: it may be a serial line, with some 10 bytes in a millisecond.
pub(super) const CONSOLE_STEP: u64 = 512;

/// How far a call that is cut into steps has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A handler may be called between two steps: then this is the call's value, unless it is 0.
    Value(u64),
    /// Linux does not interrupt such a call: handlers are called when it is over.
    Whole(u64),
}

impl Default for Progress {
    fn default() -> Self {
        Self::Value(0)
    }
}

/// A part of the process's memory: where it begins, and its length in bytes.
pub(super) type Piece = (u64, u64);

/// What is done when fewer bytes are moved than could be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Short {
    /// The call is over, as when reading: there is no more now.
    Ends,
    /// The rest is tried, as when writing: there may be more room, now or later.
    GoesOn,
}

impl Call<'_> {
    /// What the steps before this one have done.
    pub(super) fn progress(&mut self) -> u64 {
        match mem::take(&mut self.thread.progress) {
            Progress::Value(done) | Progress::Whole(done) => done,
        }
    }

    /// The call goes on from here when others had their turn.
    pub(super) fn cut(&mut self, progress: Progress) -> Break {
        self.thread.progress = progress;
        Break::Again
    }

    /// After a step: the call goes on if there is `more`, else its progress is its value.
    pub(super) fn after_step(&mut self, progress: Progress, more: bool) -> Answer {
        let (Progress::Value(done) | Progress::Whole(done)) = progress;
        match more {
            true => Err(self.cut(progress)),
            false => Ok(done),
        }
    }

    /// Moves at most `step` bytes with `move_some`, which gets a place, how many bytes there are, and how many were
    /// moved before.
    pub(super) fn move_pieces(
        &mut self,
        pieces: &[Piece],
        step: u64,
        short: Short,
        move_some: impl Fn(&mut Self, u64, u64, u64) -> Answer,
    ) -> Answer {
        let mut done = self.progress();
        let (limit, mut end) = (done.saturating_add(step), 0);
        for &(base, length) in pieces {
            let start = end;
            end = length.saturating_add(start).min(COUNT_MAX);
            while done < end {
                let part = (end - done).min(limit - done);
                if part == 0 {
                    return Err(self.cut(moved_so_far(done, step)));
                }
                let place = base.wrapping_add(done - start);
                let moved = match move_some(self, place, part, done) {
                    Ok(moved) => moved,
                    Err(why) => return self.stopped(done, why, short),
                };
                done += moved;
                if moved == 0 || (moved < part && short == Short::Ends) {
                    return Ok(done);
                }
            }
        }
        Ok(done)
    }

    /// What comes of a call that cannot go on after so many bytes.
    fn stopped(&mut self, done: u64, why: Break, short: Short) -> Answer {
        match why {
            Break::Block(_) if done > 0 && short == Short::GoesOn => {
                self.thread.progress = Progress::Value(done);
                Err(why)
            }
            Break::Error(_) | Break::Block(_) if done > 0 => Ok(done),
            Break::Done(_) | Break::Interrupted if done > 0 => Err(Break::Done(done)),
            why => Err(why),
        }
    }
}

/// The progress of a call that moves this much in a step: of all that is cut, only writing to the console can be
/// interrupted.
pub(super) fn moved_so_far(done: u64, step: u64) -> Progress {
    match step == CONSOLE_STEP {
        true => Progress::Value(done),
        false => Progress::Whole(done),
    }
}
