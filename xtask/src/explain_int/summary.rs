//! The tables at the end.

use std::collections::BTreeMap;
use std::io::Write;

use super::decode;
use super::diagnose::{Diagnoses, Diagnosis};
use super::event::Event;
use super::level::Level;

/// Counts of what the log holds.
#[derive(Default)]
pub(super) struct Summary {
    vectors: BTreeMap<(u8, String), [u64; 4]>,
    exits: BTreeMap<u32, u64>,
    pub(super) resets: u64,
    pub(super) smm: u64,
    pub(super) vm_runs: u64,
}

impl Summary {
    pub(super) fn event(&mut self, event: &Event, level: Level) {
        let row = self
            .vectors
            .entry((event.head.vector, decode::name(event)))
            .or_default();
        row[level as usize] += 1;
    }

    pub(super) fn exit(&mut self, code: u32) {
        *self.exits.entry(code).or_default() += 1;
    }

    /// Number of events.
    pub(super) fn total(&self) -> u64 {
        self.vectors.values().flatten().sum()
    }

    pub(super) fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        self.write_vectors(out)?;
        writeln!(
            out,
            "resets of a CPU: {}, SMM entries: {}",
            self.resets, self.smm
        )?;
        if self.vm_runs == 0 && self.exits.is_empty() {
            return Ok(());
        }
        writeln!(out, "VM entries: {}, #VMEXITs by code:", self.vm_runs)?;
        self.exits.iter().try_for_each(|(code, count)| {
            writeln!(out, "{:<16} {count:>9}", decode::exit_code(*code))
        })
    }

    fn write_vectors(&self, out: &mut impl Write) -> std::io::Result<()> {
        if self.vectors.is_empty() {
            return writeln!(out);
        }
        let shown: Vec<Level> = Level::ALL
            .into_iter()
            .filter(|level| self.vectors.values().any(|row| row[*level as usize] > 0))
            .collect();
        write!(out, "\n{:<16}", "vector")?;
        shown
            .iter()
            .try_for_each(|level| write!(out, " {:>9}", level.name()))?;
        writeln!(out)?;
        for ((_, name), row) in &self.vectors {
            write!(out, "{name:<16}")?;
            shown
                .iter()
                .try_for_each(|level| write!(out, " {:>9}", row[*level as usize]))?;
            writeln!(out)?;
        }
        Ok(())
    }
}

/// The diagnoses, in the log's order.
pub(super) fn write_diagnoses(
    out: &mut impl Write,
    diagnoses: &mut Diagnoses,
) -> std::io::Result<()> {
    diagnoses.found.sort_by_key(|d| d.line);
    if diagnoses.found.is_empty() {
        writeln!(out, "\nNo well-known confusion in this log.")?;
    }
    for found in &diagnoses.found {
        write_diagnosis(out, found)?;
    }
    if diagnoses.available_tss {
        writeln!(
            out,
            "\nTR shown with type 9 (TSS64-avl, not busy) is no mistake: QEMU keeps the descriptor from before LTR sets the busy bit."
        )?;
    }
    Ok(())
}

fn write_diagnosis(out: &mut impl Write, found: &Diagnosis) -> std::io::Result<()> {
    let times = if found.count > 1 {
        format!(", {} times", found.count)
    } else {
        String::new()
    };
    let level = match found.level {
        Level::Unknown => String::new(),
        level => format!(", {}", level.name()),
    };
    writeln!(out, "\nline {}{level}{times}: {}", found.line, found.what)?;
    writeln!(out, "  -> {}", found.fix)
}
