//! Events as rows, runs of the same one folded.

use std::io::Write;

use super::decode;
use super::event::{Event, Origin};
use super::level::Level;

/// Events in a row that read the same.
pub(super) struct Run {
    pub(super) first_line: u64,
    pub(super) last_line: u64,
    pub(super) first_number: u64,
    pub(super) count: u64,
    pub(super) vector: u8,
    pub(super) origin: Origin,
    pub(super) level: Level,
    pub(super) name: String,
    pub(super) place: String,
    /// All of the run's events were at one RIP.
    pub(super) same_rip: bool,
    event: Event,
    cpu: Option<usize>,
    function: Option<String>,
}

impl Run {
    pub(super) fn new(
        event: Event,
        level: Level,
        cpu: Option<usize>,
        place: String,
        function: Option<String>,
    ) -> Run {
        Run {
            first_line: event.line,
            last_line: event.line,
            first_number: event.head.number,
            count: 1,
            vector: event.head.vector,
            origin: event.origin,
            level,
            name: decode::name(&event),
            place,
            same_rip: true,
            event,
            cpu,
            function,
        }
    }

    /// Takes the event into the run if it is the same again. Interrupts need only the same function.
    pub(super) fn absorb(
        &mut self,
        event: &Event,
        level: Level,
        cpu: Option<usize>,
        function: Option<&str>,
    ) -> bool {
        let (a, b) = (&self.event.head, &event.head);
        let same_rip = a.rip == b.rip && a.cs == b.cs;
        let same_function = self.function.is_some() && self.function.as_deref() == function;
        let same_place = same_rip || (self.origin == Origin::Hardware && same_function);
        let same = (a.vector, a.error, a.cpl, a.cr2) == (b.vector, b.error, b.cpl, b.cr2)
            && (self.origin, self.level, self.cpu) == (event.origin, level, cpu);
        if same && same_place {
            (self.last_line, self.count) = (event.line, self.count + 1);
            self.same_rip &= same_rip;
        }
        same && same_place
    }

    fn place(&self) -> String {
        match (&self.function, self.same_rip) {
            (Some(function), false) => format!("{function} (several addresses)"),
            _ => self.place.clone(),
        }
    }
}

/// Writes the rows.
pub(super) struct Printer<W: Write> {
    pub(super) out: W,
    pub(super) quiet: bool,
}

impl<W: Write> Printer<W> {
    pub(super) fn titles(&mut self) -> std::io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        writeln!(
            self.out,
            "{:>8} {:>8} {:<8} {:<3} {:<3} {:<8} what, where",
            "line", "event", "level", "cpu", "cpl", "vector"
        )
    }

    pub(super) fn run(&mut self, run: &Run) -> std::io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        let head = &run.event.head;
        let cpu = run
            .cpu
            .map_or_else(|| "-".to_owned(), |cpu| cpu.to_string());
        let cr2 = head
            .cr2
            .map_or_else(String::new, |cr2| format!(" CR2={cr2:#x}"));
        let again = if run.count > 1 {
            format!("  x {} (to line {})", run.count, run.last_line)
        } else {
            String::new()
        };
        let level = run.level.name();
        let meaning = decode::meaning(&run.event);
        writeln!(
            self.out,
            "{:>8} {:>8} {level:<8} {cpu:<3} {:<3} {:<8} {meaning}{cr2} at {}{again}",
            run.first_line,
            run.first_number,
            head.cpl,
            run.name,
            run.place(),
        )
    }

    /// A line that is no event.
    pub(super) fn note(&mut self, line: u64, text: &str) -> std::io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        writeln!(self.out, "{line:>8} {:>8} {text}", "")
    }
}
