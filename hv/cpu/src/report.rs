//! What is printed when the hypervisor itself fails: an exception of ours, or a panic.

use crate::symbols::{Named, Return};
use crate::traps::{self, Frame};
use crate::{cr, percpu};
use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use spec::exception::{SelectorErrorCode, Table, Vector};
use spec::paging::PageFaultCode;
use spin::Once;

/// The status of a run in which the hypervisor failed.
pub const FAILED: u32 = 2;

/// What the report needs from above.
pub struct Hooks {
    /// Prints a line, whoever holds the console's lock.
    pub print: fn(fmt::Arguments<'_>),
    /// Ends the machine with a status.
    pub end: fn(u32) -> !,
}

static HOOKS: Once<Hooks> = Once::new();
static LAST_EXITS: Once<fn()> = Once::new();

/// Registers the hooks.
pub fn set_hooks(hooks: Hooks) {
    HOOKS.call_once(|| hooks);
}

/// Registers what prints the last VM exits of all CPUs.
pub fn set_last_exits(print: fn()) {
    LAST_EXITS.call_once(|| print);
}

/// Prints a line as part of a report.
pub fn print(line: fmt::Arguments<'_>) {
    if let Some(hooks) = HOOKS.get() {
        (hooks.print)(line);
    }
}

macro_rules! line {
    ($($arg:tt)*) => { print(format_args!($($arg)*)) };
}

/// No CPU is reporting.
const NOBODY: usize = usize::MAX;
static REPORTER: AtomicUsize = AtomicUsize::new(NOBODY);
static DEPTH: AtomicU32 = AtomicU32::new(0);

/// Begins a report: stops the other CPUs. A second failure on the reporting CPU ends the machine at
/// once; on another CPU it halts that one.
pub fn begin() {
    claim();
    deepen();
}

/// Goes on only on the CPU that reports.
fn claim() {
    let me = percpu::this().index();
    match REPORTER.compare_exchange(NOBODY, me, Ordering::SeqCst, Ordering::SeqCst) {
        Ok(_) => traps::stop_others(),
        Err(reporter) if reporter == me => {}
        Err(_) => traps::stop(),
    }
}

fn deepen() {
    match DEPTH.fetch_add(1, Ordering::SeqCst) {
        0 => {}
        1 => {
            line!("nestling: panic: the report itself failed");
            end()
        }
        2 => end(),
        _ => traps::halt(),
    }
}

/// Finishes a report whose first lines are out: backtrace, last exits, end.
pub fn finish(rip: u64, rbp: u64) -> ! {
    line!("nestling:   backtrace:");
    line!("nestling:     {}", Named(rip));
    backtrace(rbp);
    if let Some(print) = LAST_EXITS.get() {
        print();
    }
    end()
}

fn end() -> ! {
    match HOOKS.get() {
        Some(hooks) => (hooks.end)(FAILED),
        None => traps::halt(),
    }
}

/// Reports an exception that the hypervisor raised, and ends the machine.
pub fn exception(frame: &Frame) -> ! {
    claim();
    if DEPTH.load(Ordering::SeqCst) == 1 {
        line!(
            "nestling: panic: vector {} at {:#x} during the report",
            frame.vector,
            frame.rip
        );
    }
    deepen();
    let cpu = percpu::this();
    let known = usize::try_from(frame.vector)
        .ok()
        .and_then(|v| x86::irq::EXCEPTIONS.get(v));
    let (mnemonic, description) = known.map_or(("?", "?"), |e| (e.mnemonic, e.description));
    line!(
        "nestling: panic: exception {mnemonic} ({description}), vector {}, on CPU {}",
        frame.vector,
        cpu.index()
    );
    error_code(frame);
    if frame.vector == Vector::NMI.0.into() {
        nmi_source();
    }
    registers(frame);
    finish(frame.rip, frame.rbp)
}

fn error_code(frame: &Frame) {
    // Error codes have 32 bits.
    let error = frame.error as u32;
    match Vector(frame.vector as u8) {
        Vector::PF => page_fault(error, cr::values().cr2),
        Vector::TS | Vector::NP | Vector::SS | Vector::GP => line!(
            "nestling:   error code {error:#x}: {}",
            Selector(SelectorErrorCode(error))
        ),
        vector if vector.has_error_code() => line!("nestling:   error code {error:#x}"),
        _ => {}
    }
}

/// What port 0x61 of a PC tells of an NMI.
fn nmi_source() {
    // SAFETY: reading port B changes nothing.
    let status = unsafe { x86::io::inb(0x61) };
    let source = match (status & 0x80 != 0, status & 0x40 != 0) {
        (true, _) => "SERR#: memory parity, or a PCI system error",
        (_, true) => "IOCHK#: an add-in card's error",
        _ => "none that port 0x61 knows: an NMI button, QEMU's `nmi`, a management controller",
    };
    line!("nestling:   NMI source: {source}");
}

/// SDM 3A "Interrupt 14—Page-Fault Exception (#PF)".
fn page_fault(error: u32, address: u64) {
    let code = PageFaultCode::from_bits_retain(error);
    let cause = if code.contains(PageFaultCode::RSVD) {
        "reserved bit set"
    } else if code.contains(PageFaultCode::P) {
        "protection"
    } else {
        "page not present"
    };
    let access = if code.contains(PageFaultCode::ID) {
        "instruction fetch"
    } else if code.contains(PageFaultCode::WR) {
        "write"
    } else {
        "read"
    };
    line!("nestling:   error code {error:#x}: {access}, {cause}; address {address:#x}");
    for cpu in percpu::all() {
        if let Some(stack) = cpu.stacks().find(|stack| stack.guard.contains(&address)) {
            line!(
                "nestling:   stack overflow: guard page of the {} stack of CPU {}",
                stack.name,
                cpu.index()
            );
        }
    }
}

/// A selector error code. SDM 3A "Error Code".
struct Selector(SelectorErrorCode);

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.0;
        if code == SelectorErrorCode(0) {
            return f.write_str("no selector");
        }
        let table = match code.table() {
            Table::Gdt => "GDT",
            Table::Ldt => "LDT",
            Table::Idt => "IDT",
        };
        let external = if code.external() { ", external" } else { "" };
        write!(f, "{table} entry {}{external}", code.index())
    }
}

fn registers(f: &Frame) {
    let [r15, r14, r13, r12, r11, r10, r9, r8] = f.r15_to_r8;
    line!("nestling:   rip {}", Named(f.rip));
    line!(
        "nestling:   cs {:04x} ss {:04x} rflags {:016x}",
        f.cs,
        f.ss,
        f.rflags
    );
    for row in [
        [
            ("rax", f.rax),
            ("rbx", f.rbx),
            ("rcx", f.rcx),
            ("rdx", f.rdx),
        ],
        [
            ("rsi", f.rsi),
            ("rdi", f.rdi),
            ("rbp", f.rbp),
            ("rsp", f.rsp),
        ],
        [("r8 ", r8), ("r9 ", r9), ("r10", r10), ("r11", r11)],
        [("r12", r12), ("r13", r13), ("r14", r14), ("r15", r15)],
    ] {
        let [a, b, c, d] = row.map(|(name, value)| Register(name, value));
        line!("nestling:   {a} {b} {c} {d}");
    }
    let control = cr::values();
    line!(
        "nestling:   cr0 {:016x} cr2 {:016x} cr3 {:016x} cr4 {:016x}",
        control.cr0,
        control.cr2,
        control.cr3,
        control.cr4
    );
}

struct Register(&'static str, u64);

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:016x}", self.0, self.1)
    }
}

/// Follows the frame pointers as long as they stay on one of this CPU's stacks and go up.
fn backtrace(mut rbp: u64) {
    const MOST_FRAMES: usize = 32;
    let cpu = percpu::this();
    for _ in 0..MOST_FRAMES {
        let on_stack = |s: percpu::Stack| s.bytes.contains(&rbp) && s.bytes.contains(&(rbp + 15));
        if !rbp.is_multiple_of(8) || !cpu.stacks().any(on_stack) {
            return;
        }
        // SAFETY: the two words are on a mapped stack of this CPU.
        let [next, from] = unsafe { core::ptr::read(rbp as *const [u64; 2]) };
        if from == 0 {
            return;
        }
        line!("nestling:     {}", Return(from));
        if next <= rbp {
            return;
        }
        rbp = next;
    }
}
