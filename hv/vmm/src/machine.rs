//! What a CPU backend implements: the physical machine, and the state of one virtual CPU on an
//! engine (VMX or SVM). Everything in this crate speaks to the hardware through these traits.

mod registers;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::num::NonZeroU64;
use core::sync::atomic::AtomicU64;
use spec::addr::Hpa;

use crate::emulate::length::Line;
use crate::exit::Record;
pub use registers::{CodeState, Gpr, Gprs, Reg, Segment, SegmentRegister, TableRegister};

/// Physical memory. Addresses come from [`crate::memory::Frames`] or from the boot loader;
/// one outside memory is our bug and panics.
pub trait Memory: Sync {
    /// Copies bytes out of memory.
    fn read(&self, at: Hpa, out: &mut [u8]);
    /// Copies bytes into memory.
    fn write(&self, at: Hpa, bytes: &[u8]);
    /// Fills `length` bytes with zeros.
    fn zero(&self, at: Hpa, length: u64);
    /// Reads one aligned quadword, atomically.
    fn read_u64(&self, at: Hpa) -> u64;
    /// Writes one aligned quadword, atomically.
    fn write_u64(&self, at: Hpa, value: u64);
    /// Aligned memory as words, for who accesses it again and again. It is memory for good, whoever has it.
    fn words(&self, at: Hpa, length: u64) -> &'static [AtomicU64];
}

/// What CPUID returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuidResult {
    /// EAX.
    pub eax: u32,
    /// EBX.
    pub ebx: u32,
    /// ECX.
    pub ecx: u32,
    /// EDX.
    pub edx: u32,
}

/// What the engine of this machine can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The format of nested page tables.
    pub nested_format: NestedFormat,
    /// Nested page tables may map 1 GiB pages.
    pub nested_1g_pages: bool,
    /// The number of physical address bits that a guest sees.
    pub physical_address_bits: u8,
}

/// The format of nested page tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NestedFormat {
    /// Extended page tables (VMX).
    Ept,
    /// Nested page tables (SVM): ordinary long-mode paging structures.
    Npt,
}

/// The physical machine, as seen from the CPU that asks.
pub trait Machine: Sync {
    /// Physical memory.
    fn memory(&self) -> &'static dyn Memory;
    /// The time-stamp counter.
    fn now(&self) -> u64;
    /// The frequency of the time-stamp counter, in hertz.
    fn tsc_hz(&self) -> u64;
    /// The seconds since 1970-01-01 00:00 UTC at which the time-stamp counter was 0.
    fn epoch(&self) -> u64;
    /// Which physical CPU this is, from 0.
    fn cpu(&self) -> usize;
    /// What the engine can carry.
    fn capabilities(&self) -> Capabilities;
    /// A new virtual CPU whose guest-physical memory is the nested paging structure at `root`,
    /// in the state of a processor after INIT (SDM 3A "Processor State After Reset").
    fn new_engine(&self, root: Hpa) -> Box<dyn Engine>;
    /// Executes CPUID.
    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuidResult;
    /// Takes the physical interrupts and NMIs that are pending, through our own IDT.
    ///
    /// True if that of the deadline ([`Engine::set_deadline`]) may have been among them.
    fn accept_interrupts(&self) -> bool;
    /// Halts this CPU until an interrupt, or until the TSC reaches `deadline`.
    fn wait(&self, deadline: Option<u64>);
    /// Executes WBINVD.
    fn write_back_caches(&self);
    /// Writes to the console.
    fn write_console(&self, text: &[u8]);
    /// Ends the wait or the guest that this physical CPU is in.
    fn wake(&self, cpu: usize);
    /// Whether anything can ever come in on the console.
    fn has_console_input(&self) -> bool;
    /// Reads what has come in on the console, if anything has.
    fn read_console(&self) -> Option<u8>;
}

/// The kind of an event that is injected, or that an exit interrupted. Numbers are VMX's
/// (SDM 3C "VM-Entry Controls for Event Injection").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EventType {
    /// External interrupt.
    ExternalInterrupt = 0,
    /// Non-maskable interrupt.
    Nmi = 2,
    /// Hardware exception.
    HardwareException = 3,
    /// `INT n`.
    SoftwareInterrupt = 4,
    /// `INT1`.
    PrivilegedSoftwareException = 5,
    /// `INT3` or `INTO`.
    SoftwareException = 6,
}

/// An event to deliver through the guest's IDT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its kind.
    pub kind: EventType,
    /// Its vector.
    pub vector: u8,
    /// The error code that it pushes.
    pub error_code: Option<u32>,
    /// For software events: the length of the instruction that raised it, in bytes.
    pub instruction_length: u8,
}

impl Event {
    /// A hardware exception.
    #[must_use]
    pub const fn exception(vector: u8, error_code: Option<u32>) -> Self {
        Self {
            kind: EventType::HardwareException,
            vector,
            error_code,
            instruction_length: 0,
        }
    }

    /// An external interrupt.
    #[must_use]
    pub const fn interrupt(vector: u8) -> Self {
        Self {
            kind: EventType::ExternalInterrupt,
            vector,
            error_code: None,
            instruction_length: 0,
        }
    }
}

/// What holds back interrupts in a guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interruptibility {
    /// Blocking by STI or by MOV SS: the next instruction takes no interrupt.
    pub blocking_by_sti_or_mov_ss: bool,
    /// NMIs are blocked until IRET.
    pub nmi: bool,
}

/// When a guest ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The TSC before the VM entry.
    pub entered: u64,
    /// The TSC after the VM exit.
    pub left: u64,
}

/// One virtual CPU's state on an engine: a VMCS or a VMCB and what the hardware keeps outside it.
///
/// Between [`Engine::load`] and [`Engine::unload`] it belongs to one physical CPU; the other
/// methods are called only then.
pub trait Engine: Send {
    /// Makes this virtual CPU the one that this physical CPU holds: loads what VM entry does not
    /// (FPU, debug and system-call registers) and makes the VMCS current.
    fn load(&mut self);
    /// Saves what [`Engine::load`] loaded, so that another physical CPU may load it.
    fn unload(&mut self);
    /// One VM entry and the VM exit that ends it.
    ///
    /// The guest runs with these general-purpose registers, and `record` says why it left. With
    /// `next` it goes on there, as after [`Engine::skip`].
    fn run(&mut self, gprs: &mut Gprs, record: &mut Record, next: Option<NonZeroU64>) -> Visit;

    /// Drops the event that is to be delivered at the next VM entry, and what holds others back.
    fn cancel(&mut self);
    /// Reads a register.
    fn reg(&self, register: Reg) -> u64;
    /// Writes a register. The caller has checked what the architecture checks.
    fn set_reg(&mut self, register: Reg, value: u64);
    /// The four page-directory-pointer-table entries of PAE paging, as read from the guest's memory
    /// at its CR3. The processor loads them itself at a MOV to CR3 or CR4 that does not exit; who
    /// emulates a write that turns on PAE paging (CR0.PG with CR4.PAE and without EFER.LME), or a
    /// write of CR3 or CR4 under it, checks their reserved bits and gives them here.
    /// SDM 3A "PDPTE Registers". An engine that reads them from memory at VM entry ignores this.
    fn set_pdptes(&mut self, entries: [u64; 4]);
    /// Reads a segment register.
    fn segment(&self, register: SegmentRegister) -> Segment;
    /// Writes a segment register.
    fn set_segment(&mut self, register: SegmentRegister, segment: Segment);
    /// GDTR.
    fn gdtr(&self) -> TableRegister;
    /// Writes GDTR.
    fn set_gdtr(&mut self, table: TableRegister);
    /// IDTR.
    fn idtr(&self) -> TableRegister;
    /// Writes IDTR.
    fn set_idtr(&mut self, table: TableRegister);
    /// The current privilege level.
    fn cpl(&self) -> u8;
    /// What decides, besides memory, which instruction is next.
    fn code_state(&self) -> CodeState {
        let cs = self.segment(SegmentRegister::Cs);
        CodeState {
            rip: self.reg(Reg::Rip),
            cs_base: cs.base,
            cs_access: cs.access,
            cr3: self.reg(Reg::Cr3),
        }
    }
    /// Remembers the length of the instruction that is next. An engine whose processor saves the next RIP has
    /// no use for it.
    fn remember_length(&mut self, _line: Line) {}

    /// Goes on at `rip`, behind an instruction that was emulated: blocking by STI or MOV SS and
    /// RFLAGS.RF end, and with RFLAGS.TF set a [`single_step`](crate::run::single_step) follows.
    fn skip(&mut self, rip: u64);
    /// What holds back interrupts now.
    fn interruptibility(&self) -> Interruptibility;
    /// Changes it.
    fn set_interruptibility(&mut self, state: Interruptibility);
    /// Delivers the event at the next VM entry. Replaces one that was to be delivered. In real mode it has no
    /// error code.
    fn inject(&mut self, event: Event);
    /// An event is to be delivered at the next VM entry already.
    fn is_injecting(&self) -> bool;
    /// Exits as soon as the guest can take an external interrupt.
    fn set_interrupt_window(&mut self, on: bool);
    /// Exits as soon as the guest can take an NMI.
    fn set_nmi_window(&mut self, on: bool);
    /// Whether PAUSE exits.
    fn set_pause_exiting(&mut self, on: bool);
    /// Whether a write of DR7 exits; other MOV DR may exit with it.
    fn set_debug_register_exiting(&mut self, on: bool);
    /// The breakpoints (DR6 layout) that were met before and that MOV SS held back. They are the caller's now.
    fn take_held_back(&mut self) -> u64;
    /// Which exception vectors exit: bit n for vector n.
    fn set_exception_intercepts(&mut self, vectors: u32);
    /// Whether reads and writes of this MSR go through without an exit.
    fn set_msr_passthrough(&mut self, msr: u32, read: bool, write: bool);
    /// Exits ([`crate::exit::Kind::PreemptionTimer`] or an external interrupt) when the TSC
    /// reaches this, or never.
    fn set_deadline(&mut self, deadline: Option<u64>);
    /// What is added to the TSC that the guest reads.
    fn set_tsc_offset(&mut self, offset: u64);
    /// The extended state, as XSAVE stores the components that XCR0 enables in the standard format, or as FXSAVE
    /// stores it on a processor without XSAVE.
    fn extended_state(&mut self) -> Vec<u8>;
    /// Writes it. Bits that the processor would refuse are dropped.
    fn set_extended_state(&mut self, image: &[u8]);
    /// Forgets translations that came from the nested paging structures.
    fn flush_nested(&mut self);
}

#[cfg(test)]
pub(crate) mod fake;
