//! Lines put together to events: announcement, `v=` line, register dump.

use std::collections::VecDeque;

use super::line::{Head, Line, Segment, Table};

/// What made the CPU deliver an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// `check_exception` came before; `old` is the exception whose delivery failed.
    Exception { old: Option<u8>, new: u8 },
    /// `Servicing hardware INT`: a line of the 8259 or a message to the local APIC.
    Hardware,
    /// `Servicing virtual hardware INT`: V_IRQ of the VMCB.
    Virtual,
    /// INT n, INT3, INTO.
    Software,
    /// Nothing announced it: injected by VMRUN, an NMI, or the log begins here.
    Unannounced,
}

/// The registers of a dump that say where the CPU was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Registers {
    pub(super) cs: Segment,
    pub(super) tr: Segment,
    pub(super) gdt: Table,
    pub(super) idt: Table,
    pub(super) cr0: u64,
    pub(super) cr3: u64,
    pub(super) cr4: u64,
    pub(super) efer: u64,
    /// The dump was read to its EFER line.
    pub(super) complete: bool,
}

/// One delivered interrupt or exception.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// The line of the log, from 1.
    pub(super) line: u64,
    pub(super) head: Head,
    pub(super) origin: Origin,
    pub(super) registers: Registers,
}

/// What the log tells, in its order.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Event(Box<Event>),
    /// An exception `new` while delivering a double fault: a triple fault, or its intercept (SHUTDOWN).
    Shutdown {
        line: u64,
        new: u8,
    },
    /// QEMU resets the machine.
    TripleFault {
        line: u64,
    },
    Reset {
        line: u64,
        cpu: u32,
    },
    /// QEMU itself gave up.
    Fatal {
        line: u64,
        why: String,
        registers: Registers,
    },
    Smm,
    VmRun,
    VmExit {
        line: u64,
        code: u32,
        rip: u64,
    },
}

/// What the register dump that is being read belongs to.
enum Open {
    Event(Box<Event>),
    Fatal {
        line: u64,
        why: String,
        registers: Registers,
    },
    Other,
}

/// How many announcements can wait for their `v=` line, and for how many lines: other CPUs' dumps may come between.
/// Real mode's announcements get no `v=` line at all.
const WAITING: usize = 16;
const PATIENCE: u64 = 60;

/// What was said of an event before its `v=` line.
struct Announcement {
    line: u64,
    vector: u8,
    origin: Origin,
}

/// Takes lines, gives items.
pub(super) struct Assembler {
    open: Open,
    waiting: VecDeque<Announcement>,
    /// Lines that say nothing we know.
    pub(super) unknown: u64,
    /// Events whose register dump is cut short.
    pub(super) truncated: u64,
}

impl Assembler {
    pub(super) fn new() -> Self {
        Assembler {
            open: Open::Other,
            waiting: VecDeque::new(),
            unknown: 0,
            truncated: 0,
        }
    }

    /// Takes the next line; what it completes comes first in the answer.
    pub(super) fn take(&mut self, number: u64, line: Line<'_>) -> [Option<Item>; 2] {
        let line = match self.register(line) {
            Some(line) => line,
            None => return [None, None],
        };
        let done = self.finish();
        [done, self.begin(number, line)]
    }

    /// The item whose dump was being read.
    pub(super) fn finish(&mut self) -> Option<Item> {
        match std::mem::replace(&mut self.open, Open::Other) {
            Open::Event(event) => {
                self.truncated += u64::from(!event.registers.complete);
                Some(Item::Event(event))
            }
            Open::Fatal {
                line,
                why,
                registers,
            } => Some(Item::Fatal {
                line,
                why,
                registers,
            }),
            Open::Other => None,
        }
    }

    /// Keeps a line of a dump; gives back any other line.
    fn register<'a>(&mut self, line: Line<'a>) -> Option<Line<'a>> {
        let mut unused = Registers::default();
        let registers = match &mut self.open {
            Open::Event(event) => &mut event.registers,
            Open::Fatal { registers, .. } => registers,
            Open::Other => &mut unused,
        };
        match line {
            Line::Cs(cs) => registers.cs = cs,
            Line::Tr(tr) => registers.tr = tr,
            Line::Gdt(gdt) => registers.gdt = gdt,
            Line::Idt(idt) => registers.idt = idt,
            Line::Control { cr0, cr3, cr4 } => {
                (registers.cr0, registers.cr3, registers.cr4) = (cr0, cr3, cr4)
            }
            Line::Efer(efer) => (registers.efer, registers.complete) = (efer, true),
            Line::Dump | Line::Assembly => {}
            other => return Some(other),
        }
        None
    }

    fn begin(&mut self, number: u64, line: Line<'_>) -> Option<Item> {
        match line {
            Line::Event(head) => self.open_event(number, head),
            Line::CheckException { old, new } => return self.announce_exception(number, old, new),
            Line::Servicing {
                vector,
                virtual_interrupt,
            } => {
                let origin = if virtual_interrupt {
                    Origin::Virtual
                } else {
                    Origin::Hardware
                };
                self.announce(number, vector as u8, origin);
            }
            Line::Fatal(why) => self.open_fatal(number, why),
            Line::Unknown => self.unknown += 1,
            other => return item(number, other),
        }
        None
    }

    fn open_fatal(&mut self, line: u64, why: &str) {
        let registers = Registers::default();
        self.open = Open::Fatal {
            line,
            why: why.to_owned(),
            registers,
        };
    }

    fn open_event(&mut self, line: u64, head: Head) {
        let origin = self.origin(line, &head);
        self.open = Open::Event(Box::new(Event {
            line,
            head,
            origin,
            registers: Registers::default(),
        }));
    }

    fn announce_exception(&mut self, line: u64, old: u32, new: u32) -> Option<Item> {
        let new = new as u8;
        if old == 8 {
            return Some(Item::Shutdown { line, new });
        }
        let old = (old != u32::MAX).then_some(old as u8);
        let vector = if is_double_fault(old, new) { 8 } else { new };
        self.announce(line, vector, Origin::Exception { old, new });
        None
    }

    fn announce(&mut self, line: u64, vector: u8, origin: Origin) {
        if self.waiting.len() == WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Announcement {
            line,
            vector,
            origin,
        });
    }

    fn origin(&mut self, line: u64, head: &Head) -> Origin {
        if head.software {
            return Origin::Software;
        }
        self.waiting
            .retain(|a| line.saturating_sub(a.line) <= PATIENCE);
        let newest = self.waiting.iter().rposition(|a| a.vector == head.vector);
        newest
            .and_then(|at| self.waiting.remove(at))
            .map_or(Origin::Unannounced, |a| a.origin)
    }
}

/// The item that a line is by itself.
fn item(line: u64, text: Line<'_>) -> Option<Item> {
    match text {
        Line::TripleFault => Some(Item::TripleFault { line }),
        Line::Reset { cpu } => Some(Item::Reset { line, cpu }),
        Line::SmmEnter => Some(Item::Smm),
        Line::VmRun => Some(Item::VmRun),
        Line::VmExit { code, rip } => Some(Item::VmExit { line, code, rip }),
        _ => None,
    }
}

/// Two exceptions make a double fault: SDM 3A "Interrupt 8-Double Fault Exception (#DF)".
fn is_double_fault(old: Option<u8>, new: u8) -> bool {
    let contributory = |vector: u8| vector == 0 || (10..=13).contains(&vector);
    old.is_some_and(|old| {
        (contributory(old) && contributory(new)) || (old == 14 && (contributory(new) || new == 14))
    })
}

#[cfg(test)]
mod tests {
    use super::super::line::decode;
    use super::*;

    const HEAD: &str = " 7: v=08 e=0000 i=0 cpl=0 IP=0008:0000000000000001 pc=0000000000000001 SP=0010:0000000000000002 env->regs[R_EAX]=0";

    fn origin_after(lines: &[&str]) -> Origin {
        let mut assembler = Assembler::new();
        for (number, line) in (1..).zip(lines.iter().chain(&[HEAD])) {
            assembler.take(number, decode(line));
        }
        match assembler.finish() {
            Some(Item::Event(event)) => event.origin,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn vector_8_tells_its_origins_apart() {
        assert_eq!(
            origin_after(&["Servicing hardware INT=0x08"]),
            Origin::Hardware
        );
        assert_eq!(
            origin_after(&["check_exception old: 0xe new 0xe"]),
            Origin::Exception {
                old: Some(14),
                new: 14
            }
        );
        assert_eq!(
            origin_after(&["check_exception old: 0xd new 0x6"]),
            Origin::Unannounced
        );
        assert_eq!(origin_after(&[]), Origin::Unannounced);
        let both = [
            "Servicing hardware INT=0x08",
            "check_exception old: 0xe new 0xe",
        ];
        assert_eq!(
            origin_after(&both),
            Origin::Exception {
                old: Some(14),
                new: 14
            }
        );
        let stale: Vec<&str> = [both[0]]
            .into_iter()
            .chain(vec!["SMM: after RSM"; 70])
            .collect();
        assert_eq!(origin_after(&stale), Origin::Unannounced);
    }

    #[test]
    fn an_event_cut_short_is_counted() {
        let mut assembler = Assembler::new();
        assembler.take(1, decode(HEAD));
        assembler.take(2, decode("CR0=00000011 CR2=0"));
        assembler.finish();
        assert_eq!((assembler.truncated, assembler.unknown), (1, 1));
    }

    #[test]
    fn an_exception_in_a_double_fault_is_a_shutdown() {
        let mut assembler = Assembler::new();
        let [_, item] = assembler.take(5, decode("check_exception old: 0x8 new 0xd"));
        assert!(matches!(item, Some(Item::Shutdown { line: 5, new: 13 })));
    }
}
