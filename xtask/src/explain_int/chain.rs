//! The way to a triple fault: which exception began it.

use super::decode;
use super::diagnose::{Diagnoses, Kind};
use super::event::{Event, Origin};
use super::level::Level;

struct Link {
    line: u64,
    rip: u64,
    rsp: u64,
    level: Level,
    text: String,
    place: String,
}

/// The last exceptions that were taken at one RIP: none of them reached its handler.
#[derive(Default)]
pub(super) struct Chain {
    links: Vec<Link>,
    /// Where the diagnosis of the last shutdown is, for the `Triple fault` line that may follow.
    shutdown: bool,
}

impl Chain {
    pub(super) fn event(&mut self, event: &Event, level: Level, place: &dyn Fn() -> String) {
        self.shutdown = false;
        let (rip, rsp) = (event.head.pc, event.head.rsp);
        if self
            .links
            .last()
            .is_some_and(|l| (l.rip, l.rsp) != (rip, rsp))
            || self.links.len() == LONGEST
        {
            self.links.clear();
        }
        if !matches!(event.origin, Origin::Exception { .. } | Origin::Unannounced) {
            self.links.clear();
            return;
        }
        let text = format!("{} ({})", decode::name(event), decode::meaning(event));
        self.links.push(Link {
            line: event.line,
            rip,
            rsp,
            level,
            text,
            place: place(),
        });
    }
}

/// Longer chains at one RIP are no triple fault but a loop.
const LONGEST: usize = 8;

/// An exception while a double fault is delivered.
pub(super) fn shutdown(diagnoses: &mut Diagnoses, line: u64, new: u8) {
    let links = std::mem::take(&mut diagnoses.chain.links);
    diagnoses.chain.shutdown = true;
    let level = links.last().map_or(Level::Unknown, |l| l.level);
    let at = links.first().map_or(line, |l| l.line);
    diagnoses.add(Kind::TripleFault(line), level, at, || {
        let steps: Vec<String> = links.iter().map(|l| format!("line {}: {}", l.line, l.text)).collect();
        let last = format!("line {line}: {} while delivering #DF", decode::exception(new));
        let first = links.first().map_or_else(String::new, |l| format!(". It began with {} at {}", l.text, l.place));
        let what = format!("shutdown: {}{first}", steps.into_iter().chain([last]).collect::<Vec<_>>().join(" -> "));
        (what, "mend the first exception; that its handler was not reached is a second mistake (IDT, stack or IST, segment)".to_owned())
    });
}

/// The `Triple fault` line: the shutdown was the machine's own.
pub(super) fn triple_fault(diagnoses: &mut Diagnoses) {
    if !std::mem::take(&mut diagnoses.chain.shutdown) {
        return;
    }
    if let Some(last) = diagnoses
        .found
        .iter_mut()
        .rev()
        .find(|d| matches!(d.kind, Kind::TripleFault(_)))
    {
        last.what = last
            .what
            .replacen("shutdown:", "triple fault, QEMU resets the machine:", 1);
    }
}
