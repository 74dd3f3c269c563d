//! Counts of exits by kind, with the cycles spent in each.

use crate::exit::Kind;
use core::fmt;

/// How often each kind of exit happened to a virtual CPU, and the TSC ticks between VM exit and
/// the decision.
#[derive(Clone, Copy, Debug)]
pub struct Counts([Row; Kind::COUNT]);

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    exits: u64,
    ticks: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Self([Row::default(); Kind::COUNT])
    }
}

impl Counts {
    /// Counts one exit.
    #[inline]
    pub fn add(&mut self, kind: Kind, ticks: u64) {
        let row = &mut self.0[kind as usize];
        row.exits += 1;
        row.ticks = row.ticks.wrapping_add(ticks);
    }

    /// How many exits of this kind there were.
    #[must_use]
    pub fn exits(&self, kind: Kind) -> u64 {
        self.0[kind as usize].exits
    }

    /// Writes the table, a line for each kind that happened, the most ticks first.
    pub fn write_table(&self, mut line: impl FnMut(fmt::Arguments<'_>)) {
        let mut rows = [(Kind::Other, Row::default()); Kind::COUNT];
        for (slot, &kind) in rows.iter_mut().zip(Kind::ALL) {
            *slot = (kind, self.0[kind as usize]);
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
    fn the_table_names_what_happened_and_nothing_else() {
        let mut counts = Counts::default();
        counts.add(Kind::Hlt, 10);
        counts.add(Kind::Cpuid, 100);
        counts.add(Kind::Cpuid, 51);
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
