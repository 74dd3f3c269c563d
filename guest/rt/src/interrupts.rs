//! The IDT: exceptions that a test expects, and interrupt handlers.

use core::arch::{asm, global_asm};

use x86::dtables::{DescriptorTablePointer, lidt};

use crate::{
    Exclusive, Single, report,
    segments::{CODE64, DATA, IST_DOUBLE_FAULT, IST_EXCEPTION, IST_NMI},
};

/// Vectors of the exceptions.
pub mod vector {
    /// #DE.
    pub const DE: u8 = 0;
    /// #DB.
    pub const DB: u8 = 1;
    /// NMI.
    pub const NMI: u8 = 2;
    /// #BP.
    pub const BP: u8 = 3;
    /// #OF.
    pub const OF: u8 = 4;
    /// #BR.
    pub const BR: u8 = 5;
    /// #UD.
    pub const UD: u8 = 6;
    /// #NM.
    pub const NM: u8 = 7;
    /// #DF.
    pub const DF: u8 = 8;
    /// #TS.
    pub const TS: u8 = 10;
    /// #NP.
    pub const NP: u8 = 11;
    /// #SS.
    pub const SS: u8 = 12;
    /// #GP.
    pub const GP: u8 = 13;
    /// #PF.
    pub const PF: u8 = 14;
    /// #MF.
    pub const MF: u8 = 16;
    /// #AC.
    pub const AC: u8 = 17;
    /// #MC.
    pub const MC: u8 = 18;
    /// #XM.
    pub const XM: u8 = 19;
}

/// The interrupted program's registers, on the handler's stack.
#[derive(Debug)]
#[repr(C)]
#[allow(missing_docs, reason = "the names are the registers")]
pub struct Frame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rbp: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rbx: u64,
    pub rax: u64,
    pub vector: u64,
    error_code: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

/// In the place of the error code: there was none.
const NO_ERROR_CODE: u64 = u64::MAX;

impl Frame {
    /// The error code, if the CPU pushed one.
    #[must_use]
    pub fn error_code(&self) -> Option<u32> {
        (self.error_code != NO_ERROR_CODE).then_some(self.error_code as u32)
    }

    /// Gives the interrupted program up: the `catch` around it returns this interrupt.
    ///
    /// # Panics
    /// If there is no `catch` around it.
    pub fn abandon(&mut self) {
        // SAFETY: the assembly below owns this word; it is plain data.
        let rsp = unsafe { rt_recovery_rsp };
        assert!(
            rsp != 0,
            "vector {} at {:#x}, expected by nobody: {self:x?}",
            self.vector,
            self.rip
        );
        RAISED.store(Some(Exception::new(self)));
        self.rip = rt_recover as *const () as u64;
        self.cs = u64::from(CODE64);
        self.ss = u64::from(DATA);
        self.rflags = 2;
        self.rsp = rsp;
    }
}

/// An exception as `catch` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The vector.
    pub vector: u8,
    /// The error code, if the CPU pushed one.
    pub error_code: Option<u32>,
    /// RIP as the CPU saved it.
    pub rip: u64,
    /// CS as the CPU saved it.
    pub cs: u16,
    /// CR2 at that time.
    pub cr2: u64,
}

impl Exception {
    fn new(frame: &Frame) -> Self {
        let cr2: u64;
        // SAFETY: the guest's handlers run at CPL 0.
        unsafe { asm!("mov {}, cr2", out(reg) cr2) };
        Self {
            vector: frame.vector as u8,
            error_code: frame.error_code(),
            rip: frame.rip,
            cs: frame.cs as u16,
            cr2,
        }
    }
}

/// What answers a vector.
pub type Handler = fn(&mut Frame);

static HANDLERS: [Single<Option<Handler>>; 256] = [const { Single::new(None) }; 256];
static RAISED: Single<Option<Exception>> = Single::new(None);

/// A gate of the IDT. SDM 3A "64-Bit Mode IDT".
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Gate([u32; 4]);

static IDT: Exclusive<[Gate; 256]> = Exclusive::new([Gate([0; 4]); 256]);

/// Gate access byte: a present interrupt gate.
const INTERRUPT_GATE: u32 = 0x8e00;
const GATE_PRESENT: u32 = 0x8000;
const GATE_DPL3: u32 = 0x6000;

/// Writes and loads the IDT.
pub fn load() {
    for vector in 0..=255 {
        set_ist(vector, stack_of(vector));
    }
    // SAFETY: the table lives forever.
    unsafe { IDT.with(|idt| lidt(&DescriptorTablePointer::new(idt))) };
}

fn stack_of(vector: u8) -> u8 {
    match vector {
        vector::DF => IST_DOUBLE_FAULT,
        vector::NMI | vector::MC => IST_NMI,
        // An exception must find a stack even when RSP is what raised it.
        0..32 => IST_EXCEPTION,
        _ => 0,
    }
}

/// Writes the gate of `vector`, to run on this interrupt stack.
pub fn set_ist(vector: u8, ist: u8) {
    let address = rt_stubs as *const () as u64 + u64::from(vector) * 16;
    IDT.with(|idt| {
        idt[usize::from(vector)] = Gate([
            u32::from(CODE64) << 16 | address as u32 & 0xffff,
            address as u32 & 0xffff_0000 | INTERRUPT_GATE | u32::from(ist),
            (address >> 32) as u32,
            0,
        ]);
    });
}

/// Opens the gate of `vector` to INT at CPL 3.
pub fn open_to_user(vector: u8) {
    IDT.with(|idt| idt[usize::from(vector)].0[1] |= GATE_DPL3);
}

/// Makes the gate of `vector` present or not.
pub fn set_present(vector: u8, present: bool) {
    IDT.with(|idt| {
        let word = &mut idt[usize::from(vector)].0[1];
        *word = *word & !GATE_PRESENT | if present { GATE_PRESENT } else { 0 };
    });
}

/// Has `handler` answer `vector`; `None` leaves it to `catch` again.
pub fn on(vector: u8, handler: Option<Handler>) {
    HANDLERS[usize::from(vector)].store(handler);
}

/// Runs `f` to its end or to its first exception, which it returns.
///
/// After an exception the callee-saved registers, RSP and RFLAGS are as they were before the
/// call; nothing that `f` owned is dropped.
pub fn catch<F: FnOnce()>(f: F) -> Option<Exception> {
    extern "C" fn run<F: FnOnce()>(f: *mut Option<F>) {
        // SAFETY: `catch` passes its own closure, once.
        if let Some(f) = unsafe { (*f).take() } {
            f();
        }
    }
    let mut f = Some(f);
    // SAFETY: the call runs `run` with the pointer, or comes back in the middle of it; the
    // closure is reached through memory alone, and has nothing that must be dropped.
    let raised = unsafe { rt_catch(run::<F> as *const () as u64, (&raw mut f) as u64) };
    core::mem::forget(f);
    if raised { RAISED.load() } else { None }
}

/// Every interrupt and exception of the guest comes here.
#[unsafe(no_mangle)]
extern "C" fn rt_interrupt(frame: &mut Frame) {
    // A guest that has ruined its GDT may fault at the IRETQ of its handler, for ever.
    let handler_code = rt_deliver as *const () as u64..rt_catch as *const () as u64;
    if handler_code.contains(&frame.rip) {
        report::exit(report::PANICKED);
    }
    let handler = HANDLERS[frame.vector as u8 as usize].load();
    match handler {
        Some(handler) => handler(frame),
        None => frame.abandon(),
    }
}

unsafe extern "C" {
    static rt_recovery_rsp: u64;
    fn rt_catch(f: u64, argument: u64) -> bool;
    fn rt_recover();
    fn rt_stubs();
    fn rt_deliver();
}

global_asm!(include_str!("interrupts.s"));
