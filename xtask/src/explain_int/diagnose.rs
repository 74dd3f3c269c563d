//! The well-known confusions of reading such a log, named.

use std::collections::HashMap;

use super::chain::Chain;
use super::decode::{self, Selector};
use super::event::{Event, Origin, Registers};
use super::level::Level;
use super::line::Segment;
use super::print::Run;

/// What kind of confusion: one of a kind and level is printed, with how often it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    UnremappedPic(u8),
    UnclearVector8,
    /// The first exception, and the one of its delivery.
    DoubleFault(u8, u8),
    SpuriousIrq(u8),
    NoTss,
    NotATss,
    Selector(u32),
    TripleFault(u64),
    StackOverflow,
    NullPointer,
    ReservedBit,
    JumpToNowhere,
    NoExecute,
    Storm(u8),
    Loop(u8),
    Qemu,
}

/// One diagnosis.
pub(super) struct Diagnosis {
    pub(super) kind: Kind,
    pub(super) level: Level,
    pub(super) line: u64,
    pub(super) count: u64,
    pub(super) what: String,
    pub(super) fix: String,
}

/// Gathers diagnoses along the log.
#[derive(Default)]
pub(super) struct Diagnoses {
    pub(super) found: Vec<Diagnosis>,
    seen: HashMap<(Kind, Level), usize>,
    pub(super) chain: Chain,
    /// A TR with a selector and the type of a TSS that is not busy was seen.
    pub(super) available_tss: bool,
}

impl Diagnoses {
    pub(super) fn add(
        &mut self,
        kind: Kind,
        level: Level,
        line: u64,
        text: impl FnOnce() -> (String, String),
    ) {
        if let Some(at) = self.seen.get(&(kind, level)) {
            self.found[*at].count += 1;
            return;
        }
        let (what, fix) = text();
        self.seen.insert((kind, level), self.found.len());
        self.found.push(Diagnosis {
            kind,
            level,
            line,
            count: 1,
            what,
            fix,
        });
    }

    /// Looks at one event; `place` names its RIP.
    pub(super) fn event(&mut self, event: &Event, level: Level, place: &dyn Fn() -> String) {
        self.chain.event(event, level, place);
        if level == Level::Firmware {
            return;
        }
        self.interrupt(event, level);
        self.tss(event, level);
        if matches!(event.origin, Origin::Exception { .. }) {
            self.selector(event, level);
            self.page_fault(event, level, place);
        }
    }

    fn interrupt(&mut self, event: &Event, level: Level) {
        let vector = event.head.vector;
        match (event.origin, vector) {
            (Origin::Hardware, 8..=15) => {
                self.add(Kind::UnremappedPic(vector), level, event.line, || {
                    unremapped(vector)
                })
            }
            (Origin::Hardware, 0x27 | 0x2f) => {
                self.add(Kind::SpuriousIrq(vector), level, event.line, || {
                    spurious(vector)
                })
            }
            (
                Origin::Exception {
                    old: Some(old),
                    new,
                },
                8,
            ) => {
                self.add(Kind::DoubleFault(old, new), level, event.line, || {
                    double_fault(old, new)
                });
            }
            (Origin::Unannounced, 8) if level != Level::Guest => {
                self.add(Kind::UnclearVector8, level, event.line, unclear_vector_8);
            }
            _ => {}
        }
    }

    fn tss(&mut self, event: &Event, level: Level) {
        let wants_tss = level == Level::Host || event.head.cpl == 3 || event.head.vector == 10;
        if !event.registers.complete || !wants_tss {
            return;
        }
        let tr = event.registers.tr;
        let kind = (tr.flags >> 8) & 0xf;
        if tr.selector == 0 && tr.base == 0 && tr.limit == 0xffff {
            self.add(Kind::NoTss, level, event.line, no_tss);
        } else if tr.selector == 0 || !matches!(kind, TSS_AVAILABLE | TSS_BUSY) {
            self.add(Kind::NotATss, level, event.line, || not_a_tss(tr));
        }
        self.available_tss |= tr.selector != 0 && kind == TSS_AVAILABLE;
    }

    fn selector(&mut self, event: &Event, level: Level) {
        let (vector, error) = (event.head.vector, event.head.error);
        if (10..=13).contains(&vector) && error != 0 {
            self.add(
                Kind::Selector(vector as u32 | error << 8),
                level,
                event.line,
                || selector(event),
            );
        }
    }

    fn page_fault(&mut self, event: &Event, level: Level, place: &dyn Fn() -> String) {
        let (Some(cr2), 14) = (event.head.cr2, event.head.vector) else {
            return;
        };
        if let Some(kind) = page_fault_kind(event, cr2) {
            self.add(kind, level, event.line, || {
                page_fault(kind, event, cr2, &place())
            });
        }
    }

    /// Looks at a finished run of the same event.
    pub(super) fn run(&mut self, run: &Run) {
        let vector = run.vector;
        match run.origin {
            _ if !run.same_rip => {}
            Origin::Hardware if run.count >= STORM => {
                self.add(Kind::Storm(vector), run.level, run.first_line, || {
                    storm(run)
                });
            }
            Origin::Exception { .. } if run.count >= LOOP => {
                self.add(Kind::Loop(vector), run.level, run.first_line, || {
                    exception_loop(run)
                });
            }
            _ => {}
        }
    }

    /// QEMU's own last words.
    pub(super) fn fatal(&mut self, line: u64, why: &str, registers: &Registers) {
        let no_tss_loaded =
            why.contains("tss") && registers.tr.base == 0 && registers.tr.limit == 0xffff;
        self.add(Kind::Qemu, Level::Unknown, line, || {
            let what = format!("QEMU gave up: {why}");
            if no_tss_loaded {
                let (reason, fix) = no_tss();
                return (format!("{what}. {reason}"), fix);
            }
            (
                what,
                "the registers after this line are those of the CPU that was running".to_owned(),
            )
        });
    }
}

/// So many interrupts at one RIP in a row are a storm, so many exceptions a loop.
const STORM: u64 = 1000;
const LOOP: u64 = 100;

fn unremapped(vector: u8) -> (String, String) {
    let irq = vector - 8;
    let looks_like = decode::exception(vector);
    (
        format!("v={vector:02x} after `Servicing hardware INT` is IRQ {irq} of an 8259 that was not remapped, no {looks_like}: it pushes no error code"),
        "remap both 8259s to 0x20..0x2f and mask them before STI (and before a guest's first interrupt)".to_owned(),
    )
}

fn double_fault(old: u8, new: u8) -> (String, String) {
    let (old, new) = (decode::exception(old), decode::exception(new));
    (
        format!(
            "a real #DF, no IRQ 0 (`check_exception` announces it): {new} while delivering {old}"
        ),
        format!(
            "mend the {old} of the row before; {new} says why its handler was not reached: IDT entry, stack or IST pointer"
        ),
    )
}

fn unclear_vector_8() -> (String, String) {
    (
        "v=08 that neither `check_exception` nor `Servicing hardware INT` announces: the log begins here, or VMRUN injected it".to_owned(),
        "record from the start; IRQ 0 has a `Servicing` line before it, a real #DF a `check_exception old: .. new: ..`".to_owned(),
    )
}

fn spurious(vector: u8) -> (String, String) {
    let irq = (vector & 0xf) as u32;
    (
        format!("v={vector:02x}: IRQ {irq} of the 8259, which is also its spurious interrupt"),
        "read the ISR: if its bit 7 is clear it was spurious and gets no EOI (a spurious IRQ 15 still needs one at the primary)".to_owned(),
    )
}

fn no_tss() -> (String, String) {
    (
        "TR has selector 0, base 0 and limit 0xffff, its value after reset: no TSS was ever loaded. A change to CPL 0 or an IST reads the stack pointer from address 0".to_owned(),
        "build a TSS, put its descriptor into the GDT and LTR it, on every CPU, before the first change of CPL".to_owned(),
    )
}

/// Types of a 32-bit or 64-bit TSS descriptor.
const TSS_AVAILABLE: u32 = 9;
const TSS_BUSY: u32 = 0xb;

fn not_a_tss(tr: Segment) -> (String, String) {
    let kind = (tr.flags >> 8) & 0xf;
    (
        format!(
            "TR has selector {:#x} and type {kind:#x}: no TSS was loaded by LTR (a busy TSS is 0xb, and QEMU shows 0x9 after LTR)",
            tr.selector
        ),
        "for a guest: give TR type 0xb in the VMCB or VMCS; for the host: LTR on every CPU"
            .to_owned(),
    )
}

fn selector(event: &Event) -> (String, String) {
    let selector = Selector(event.head.error);
    let what = format!(
        "{} with a selector: {selector}: {}",
        decode::exception(event.head.vector),
        selector_reason(event)
    );
    let table = if selector.is_idt() {
        "the IDT entry"
    } else {
        "the descriptor"
    };
    (
        what,
        format!("look at {table}: present, type, DPL; and at who loads this number"),
    )
}

fn selector_reason(event: &Event) -> String {
    let selector = Selector(event.head.error);
    let registers = &event.registers;
    let (table, size) = if selector.is_idt() {
        (
            registers.idt,
            if registers.efer & (1 << 10) != 0 {
                16
            } else {
                8
            },
        )
    } else {
        (registers.gdt, 8)
    };
    let end = u64::from(selector.index()) * size + size - 1;
    match event.head.vector {
        _ if !selector.is_ldt() && registers.complete && end > u64::from(table.limit) => {
            format!("beyond the table's limit {:#x}", table.limit)
        }
        11 => "it is not present".to_owned(),
        _ if selector.is_idt() => {
            "its gate has a wrong type, or a DPL below the CPL of an INT n".to_owned()
        }
        _ => "its type or DPL does not fit".to_owned(),
    }
}

fn page_fault_kind(event: &Event, cr2: u64) -> Option<Kind> {
    let error = event.head.error;
    let near_stack = cr2.abs_diff(event.head.rsp) <= 0x1000;
    let present = error & decode::PF_PRESENT != 0;
    if error & decode::PF_RESERVED != 0 {
        Some(Kind::ReservedBit)
    } else if error & decode::PF_FETCH != 0 {
        Some(if present {
            Kind::NoExecute
        } else {
            Kind::JumpToNowhere
        })
    } else if !present && near_stack {
        Some(Kind::StackOverflow)
    } else if !present && cr2 < 0x1000 {
        Some(Kind::NullPointer)
    } else {
        None
    }
}

fn page_fault(kind: Kind, event: &Event, cr2: u64, place: &str) -> (String, String) {
    let rsp = event.head.rsp;
    let (what, fix) = match kind {
        Kind::StackOverflow => (
            format!(
                "#PF at {cr2:#x}, next to RSP {rsp:#x}: the stack ran into its guard page, in {place}"
            ),
            "deep recursion or a large local: enlarge the stack; #PF and #DF need an IST stack, or this becomes a triple fault",
        ),
        Kind::NullPointer => (
            format!("#PF at {cr2:#x}: a null pointer, or a field of one, in {place}"),
            "see who made the pointer",
        ),
        Kind::ReservedBit => (
            format!("#PF at {cr2:#x} with RSVD: a page-table entry has a reserved bit set"),
            "NX needs EFER.NXE; otherwise the address is beyond MAXPHYADDR or a large page is not aligned",
        ),
        Kind::NoExecute => (
            format!("fetch at {cr2:#x} is mapped but NX: a jump into data"),
            "a wrong function pointer or return address",
        ),
        _ => (
            format!("fetch at {cr2:#x}, which is not mapped: a jump to nowhere"),
            "a wrong function pointer or return address; the stack at RSP may say from where",
        ),
    };
    (what, fix.to_owned())
}

fn storm(run: &Run) -> (String, String) {
    (
        format!("{} interrupts of vector {:02x} at one RIP, {}: no progress between them", run.count, run.vector, run.place),
        "an idle HLT loop is fine; else the period is too short, or the device's condition is not cleared before the EOI".to_owned(),
    )
}

fn exception_loop(run: &Run) -> (String, String) {
    (
        format!("{} times the same {} at {}", run.count, run.name, run.place),
        "the handler returns without having removed the cause, and without advancing RIP"
            .to_owned(),
    )
}
