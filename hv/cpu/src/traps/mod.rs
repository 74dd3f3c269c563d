//! Exceptions and interrupts that the hypervisor itself takes.

mod tables;

pub use tables::Tables;

use crate::{apic, percpu, pic, report};
use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

global_asm!(include_str!("stubs.s"), handle = sym handle, options(att_syntax));

/// The interrupted state, as the stubs leave it on the stack.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Frame {
    /// R15, R14, ... R8.
    pub r15_to_r8: [u64; 8],
    /// RDI.
    pub rdi: u64,
    /// RSI.
    pub rsi: u64,
    /// RBP.
    pub rbp: u64,
    /// RBX.
    pub rbx: u64,
    /// RDX.
    pub rdx: u64,
    /// RCX.
    pub rcx: u64,
    /// RAX.
    pub rax: u64,
    /// The vector.
    pub vector: u64,
    /// The error code, or 0.
    pub error: u64,
    /// RIP.
    pub rip: u64,
    /// CS.
    pub cs: u64,
    /// RFLAGS.
    pub rflags: u64,
    /// RSP.
    pub rsp: u64,
    /// SS.
    pub ss: u64,
}

const NMI: u8 = x86::irq::NONMASKABLE_INTERRUPT_VECTOR;

static STOP: AtomicBool = AtomicBool::new(false);
static UNEXPECTED: AtomicU64 = AtomicU64::new(0);

/// The stubs' handler. Interrupts come only at [`accept_interrupts`] and [`wait`]; the rest are
/// exceptions, and bugs of ours.
extern "sysv64" fn handle(frame: &Frame) {
    let vector = frame.vector as u8;
    match vector {
        NMI if STOP.load(Ordering::Relaxed) => halt(),
        0..=31 => report::exception(frame),
        pic::FIRST..=0x2f => {
            if pic::take(vector) == pic::Interrupt::Device {
                unexpected();
            }
        }
        apic::SPURIOUS => {}
        _ => acknowledged(vector),
    }
}

/// An interrupt that the local APIC delivered and has in service.
fn acknowledged(vector: u8) {
    match vector {
        apic::TIMER => percpu::this().set_timer(),
        apic::WAKE => percpu::this().set_woken(),
        _ => unexpected(),
    }
    percpu::with_apic(apic::Apic::end_of_interrupt);
}

/// Firmware can leave interrupts pending: they are counted, no more.
fn unexpected() {
    UNEXPECTED.fetch_add(1, Ordering::Relaxed);
}

/// How many interrupts had no handler.
#[must_use]
pub fn unexpected_interrupts() -> u64 {
    UNEXPECTED.load(Ordering::Relaxed)
}

/// Takes the interrupts that are pending.
#[inline]
pub fn accept_interrupts() {
    // SAFETY: every vector has a handler that keeps all registers. STI takes effect after the NOP.
    unsafe { asm!("sti", "nop", "cli") }
}

/// Waits for an interrupt and takes it.
#[inline]
pub fn wait() {
    // SAFETY: as in `accept_interrupts`; nothing comes between STI and HLT.
    unsafe { asm!("sti", "hlt", "cli") }
}

/// Stops every other CPU for good: each halts at the NMI. In VMX non-root operation the NMI
/// exits first; the engine has to execute `INT 2` then, which comes here.
pub fn stop_others() {
    STOP.store(true, Ordering::SeqCst);
    if percpu::all().len() > 1 {
        percpu::with_apic(apic::Apic::stop_others);
    }
}

/// Halts this CPU for ever.
pub fn halt() -> ! {
    loop {
        // SAFETY: with interrupts disabled, only an NMI or SMI ends HLT, and the loop goes on.
        unsafe { asm!("cli", "hlt") }
    }
}
