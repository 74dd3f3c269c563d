//! Counts of exits by kind, with the cycles spent in each.

use crate::exit::Kind;
use crate::machine::Visit;
use core::fmt;

/// How often each kind of exit happened to a virtual CPU, and the TSC ticks from the VM exit to
/// the next VM entry.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    exits: [u64; Kind::COUNT],
    ticks: [u64; Kind::COUNT],
    /// The last exit, and since when its ticks count.
    last: Kind,
    since: u64,
    /// All ticks on a physical CPU, and since when the present ones count.
    ran: u64,
    resumed: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    exits: u64,
    ticks: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            exits: [0; Kind::COUNT],
            ticks: [0; Kind::COUNT],
            last: Kind::Other,
            since: 0,
            ran: 0,
            resumed: 0,
        }
    }
}

impl Counts {
    /// Counts an exit; the ticks since the one before it were that one's.
    #[inline]
    pub fn add(&mut self, kind: Kind, visit: Visit) {
        self.pause(visit.entered);
        self.exits[kind as usize] += 1;
        self.last = kind;
        self.since = visit.left;
    }

    /// Counts the ticks since the last exit.
    #[inline]
    pub fn pause(&mut self, now: u64) {
        let ticks = now.wrapping_sub(self.since);
        let sum = &mut self.ticks[self.last as usize];
        *sum = sum.wrapping_add(ticks);
    }

    /// The ticks until now are not the last exit's: the guest waited.
    pub fn resume(&mut self, now: u64) {
        self.since = now;
        self.resumed = now;
    }

    /// The virtual CPU leaves its physical CPU.
    pub fn leave(&mut self, now: u64) {
        self.pause(now);
        let ticks = now.wrapping_sub(self.resumed);
        self.ran = self.ran.wrapping_add(ticks);
    }

    /// The ticks between VM entries and VM exits, up to the last leave.
    #[must_use]
    pub fn in_guest(&self) -> u64 {
        let ours = self.ticks.iter().fold(0_u64, |sum, n| sum.wrapping_add(*n));
        self.ran.wrapping_sub(ours)
    }

    /// Adds those of another virtual CPU.
    pub fn merge(&mut self, other: &Self) {
        self.ran = self.ran.wrapping_add(other.ran);
        for (sum, more) in [
            (&mut self.exits, &other.exits),
            (&mut self.ticks, &other.ticks),
        ] {
            for (sum, more) in sum.iter_mut().zip(more) {
                *sum = sum.wrapping_add(*more);
            }
        }
    }

    /// How many exits of this kind there were.
    #[must_use]
    pub fn exits(&self, kind: Kind) -> u64 {
        self.exits[kind as usize]
    }

    fn row(&self, kind: Kind) -> Row {
        Row {
            exits: self.exits[kind as usize],
            ticks: self.ticks[kind as usize],
        }
    }

    /// Writes the table, a line for each kind that happened, the most ticks first.
    pub fn write_table(&self, mut line: impl FnMut(fmt::Arguments<'_>)) {
        let mut rows = [(Kind::Other, Row::default()); Kind::COUNT];
        for (slot, &kind) in rows.iter_mut().zip(Kind::ALL) {
            *slot = (kind, self.row(kind));
        }
        rows.sort_unstable_by_key(|(kind, row)| (core::cmp::Reverse(row.ticks), *kind));
        line(format_args!(
            "{:<24}{:>12}{:>16}{:>12}",
            "exit", "count", "TSC ticks", "per exit"
        ));
        for (kind, row) in rows.iter().filter(|(_, row)| row.exits > 0) {
            let each = row.ticks / row.exits;
            line(format_args!(
                "{:<24}{:>12}{:>16}{:>12}",
                kind.name(),
                row.exits,
                row.ticks,
                each
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{format, string::String, vec::Vec};

    #[test]
    fn what_is_not_ours_is_the_guests() {
        let mut one = Counts::default();
        one.resume(100);
        for (entered, left) in [(110, 150), (160, 260)] {
            one.add(Kind::Cpuid, Visit { entered, left });
        }
        one.leave(270);
        one.resume(1000);
        one.leave(1001);
        assert_eq!((one.in_guest(), one.ran), (140, 171));
        let mut both = Counts::default();
        both.merge(&one);
        both.merge(&one);
        assert_eq!(both.in_guest(), 280);
    }

    #[test]
    fn the_table_names_what_happened_and_nothing_else() {
        let mut counts = Counts::default();
        for (kind, entered, left) in [
            (Kind::Hlt, 0, 5),
            (Kind::Cpuid, 15, 20),
            (Kind::Cpuid, 120, 130),
        ] {
            counts.add(kind, Visit { entered, left });
        }
        counts.pause(180);
        counts.resume(500);
        counts.pause(501);
        let mut lines: Vec<String> = Vec::new();
        counts.write_table(|text| lines.push(format!("{text}")));
        let words: Vec<Vec<&str>> = lines
            .iter()
            .map(|l| l.split_whitespace().collect())
            .collect();
        assert_eq!(
            words[1..],
            [["cpuid", "2", "151", "75"], ["hlt", "1", "10", "10"]].map(Vec::from)
        );
    }
}
