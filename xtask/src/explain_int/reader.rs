//! The log, read once from front to back; nothing of it is kept.

use std::io::{BufRead, Write};

use anyhow::{Context, Result, bail};

use super::diagnose::Diagnoses;
use super::event::{Assembler, Event, Item};
use super::level::{Level, Levels};
use super::line;
use super::print::{Printer, Run};
use super::summary::{Summary, write_diagnoses};
use super::symbols::Symbols;
use super::{Args, chain, decode};

/// Explains a log.
pub(super) fn explain(
    mut log: impl BufRead,
    args: &Args,
    host: Symbols,
    guests: Vec<Symbols>,
    out: &mut impl Write,
) -> Result<()> {
    let mut reader = Reader::new(args, host, guests, out);
    reader.printer.titles()?;
    let mut assembler = Assembler::new();
    let mut bytes = Vec::new();
    let mut number = 0;
    while read_line(&mut log, &mut bytes)
        .with_context(|| format!("reading the log after line {number}"))?
    {
        number += 1;
        let text = String::from_utf8_lossy(&bytes);
        for item in assembler
            .take(number, line::decode(&text))
            .into_iter()
            .flatten()
        {
            reader.item(item)?;
        }
    }
    if let Some(item) = assembler.finish() {
        reader.item(item)?;
    }
    reader.close(number, &assembler)
}

/// A longer line is none of QEMU's; what is beyond is dropped.
const LONGEST_LINE: u64 = 1 << 12;

fn read_line(log: &mut impl BufRead, bytes: &mut Vec<u8>) -> std::io::Result<bool> {
    bytes.clear();
    let mut taken = std::io::Read::take(&mut *log, LONGEST_LINE);
    if taken.read_until(b'\n', bytes)? == 0 {
        return Ok(false);
    }
    if bytes.last() != Some(&b'\n') && bytes.len() as u64 == LONGEST_LINE {
        log.skip_until(b'\n')?;
    }
    Ok(true)
}

struct Reader<'a, W: Write> {
    args: &'a Args,
    host: Symbols,
    guests: Vec<Symbols>,
    printer: Printer<&'a mut W>,
    run: Option<Run>,
    levels: Levels,
    /// TR bases of the host, in the order seen: its CPUs.
    cpus: Vec<u64>,
    diagnoses: Diagnoses,
    summary: Summary,
}

impl<'a, W: Write> Reader<'a, W> {
    fn new(args: &'a Args, host: Symbols, guests: Vec<Symbols>, out: &'a mut W) -> Self {
        Reader {
            args,
            host,
            guests,
            printer: Printer {
                out,
                quiet: args.summary,
            },
            run: None,
            levels: Levels::default(),
            cpus: Vec::new(),
            diagnoses: Diagnoses::default(),
            summary: Summary::default(),
        }
    }

    fn item(&mut self, item: Item) -> Result<()> {
        match item {
            Item::Event(event) => return self.event(*event),
            Item::VmRun => {
                self.levels.set_guest(true);
                self.summary.vm_runs += 1;
            }
            Item::VmExit { line, code, rip } => return self.vm_exit(line, code, rip),
            Item::Smm => self.summary.smm += 1,
            Item::Reset { line, cpu } => return self.reset(line, cpu),
            Item::Shutdown { line, new } if self.wanted(line) => {
                chain::shutdown(&mut self.diagnoses, line, new)
            }
            Item::Fatal {
                line,
                why,
                registers,
            } if self.wanted(line) => {
                self.flush()?;
                self.printer.note(line, &format!("QEMU: fatal: {why}"))?;
                self.diagnoses.fatal(line, &why, &registers);
            }
            Item::TripleFault { line } if self.wanted(line) => {
                self.flush()?;
                self.printer
                    .note(line, "triple fault: QEMU resets the machine")?;
                chain::triple_fault(&mut self.diagnoses);
            }
            Item::Shutdown { .. } | Item::Fatal { .. } | Item::TripleFault { .. } => {}
        }
        Ok(())
    }

    fn wanted(&self, line: u64) -> bool {
        (self.args.from..=self.args.to.unwrap_or(u64::MAX)).contains(&line)
    }

    fn reset(&mut self, line: u64, cpu: u32) -> Result<()> {
        self.levels.reset();
        if self.wanted(line) {
            self.flush()?;
            self.summary.resets += 1;
            self.printer.note(line, &format!("reset of CPU {cpu}"))?;
        }
        Ok(())
    }

    fn vm_exit(&mut self, line: u64, code: u32, rip: u64) -> Result<()> {
        self.levels.set_guest(false);
        if !self.wanted(line) {
            return Ok(());
        }
        self.summary.exit(code);
        self.flush()?;
        let place = name_in(&self.guests, rip).map_or_else(String::new, |name| format!(" {name}"));
        Ok(self.printer.note(
            line,
            &format!(
                "guest    #VMEXIT {} at {rip:#x}{place}",
                decode::exit_code(code)
            ),
        )?)
    }

    fn event(&mut self, event: Event) -> Result<()> {
        let level = self.levels.of(&event, &self.host);
        if !self.wanted(event.line) {
            return Ok(());
        }
        let cpu = self.cpu(&event, level);
        self.summary.event(&event, level);
        let (host, guests) = (&self.host, &self.guests);
        self.diagnoses
            .event(&event, level, &|| place(host, guests, &event, level));
        if self.args.vector.is_some_and(|v| v != event.head.vector) {
            return Ok(());
        }
        let function = self
            .program(level)
            .iter()
            .find_map(|s| s.function(event.head.pc));
        let function = function.map(str::to_owned);
        if self
            .run
            .as_mut()
            .is_some_and(|run| run.absorb(&event, level, cpu, function.as_deref()))
        {
            return Ok(());
        }
        self.flush()?;
        let place = place(&self.host, &self.guests, &event, level);
        self.run = Some(Run::new(event, level, cpu, place, function));
        Ok(())
    }

    /// Whose symbols name an address of this level.
    fn program(&self, level: Level) -> &[Symbols] {
        match level {
            Level::Host | Level::Unknown => std::slice::from_ref(&self.host),
            Level::Guest => &self.guests,
            Level::Firmware => &[],
        }
    }

    /// The log names no CPU; each has a TSS of its own.
    fn cpu(&mut self, event: &Event, level: Level) -> Option<usize> {
        let tr = event.registers.tr;
        if level != Level::Host || tr.base == 0 {
            return None;
        }
        let known = self.cpus.iter().position(|base| *base == tr.base);
        known.or_else(|| {
            self.cpus.push(tr.base);
            Some(self.cpus.len() - 1)
        })
    }

    fn flush(&mut self) -> Result<()> {
        if let Some(run) = self.run.take() {
            self.diagnoses.run(&run);
            self.printer.run(&run)?;
        }
        Ok(())
    }

    fn close(&mut self, lines: u64, assembler: &Assembler) -> Result<()> {
        self.flush()?;
        let total = self.summary.total();
        if total == 0 && self.summary.resets == 0 && assembler.unknown > 0 {
            bail!(
                "no event of QEMU's `-d int` in {lines} lines ({} not understood): is this the log of `run --int-log`?",
                assembler.unknown
            );
        }
        let out = &mut self.printer.out;
        write_diagnoses(out, &mut self.diagnoses)?;
        self.summary.write(out)?;
        writeln!(out, "{lines} lines, {total} events")?;
        if assembler.unknown > 0 {
            writeln!(out, "{} lines not understood, skipped", assembler.unknown)?;
        }
        if assembler.truncated > 0 {
            writeln!(
                out,
                "{} events with a register dump cut short",
                assembler.truncated
            )?;
        }
        Ok(())
    }
}

fn name_in(programs: &[Symbols], address: u64) -> Option<String> {
    programs.iter().find_map(|s| s.name(address))
}

/// `0008:0x1000b4 recurse+0x3`
fn place(host: &Symbols, guests: &[Symbols], event: &Event, level: Level) -> String {
    let head = &event.head;
    let name = match level {
        Level::Host | Level::Unknown => host.name(head.pc),
        Level::Guest => name_in(guests, head.pc),
        Level::Firmware => None,
    };
    let name = name.map_or_else(String::new, |name| format!(" {name}"));
    format!("{:04x}:{:#x}{name}", head.cs, head.rip)
}
