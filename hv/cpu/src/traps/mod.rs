//! Exceptions and interrupts that the hypervisor itself takes.

mod tables;

pub use tables::Tables;

use crate::{apic, percpu, pic, report, tsc};
use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use spec::exception::Vector;

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

const NMI: u8 = Vector::NMI.0;

static STOP: AtomicBool = AtomicBool::new(false);
/// The CPUs that have stopped, bit N for CPU N.
static STOPPED: AtomicU64 = AtomicU64::new(0);

/// The stubs' handler. Interrupts come only at [`accept_interrupts`] and [`wait`], and tell nothing
/// but that they came, and whether the timer did; firmware can leave some pending. The rest are exceptions, and bugs of ours.
extern "sysv64" fn handle(frame: &Frame) {
    let vector = frame.vector as u8;
    match vector {
        NMI if STOP.load(Ordering::SeqCst) => stop(),
        0..=31 => report::exception(frame),
        pic::FIRST..=0x2f => pic::acknowledge(vector),
        apic::SPURIOUS => {}
        vector => {
            if vector == apic::TIMER {
                percpu::this().note_tick();
            }
            percpu::with_apic(apic::Apic::end_of_interrupt);
        }
    }
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
/// exits first; the engine has to execute `INT 2` then, which comes here. One that does not stop
/// is not waited for.
pub fn stop_others() {
    const PATIENCE: u64 = 100_000;
    STOP.store(true, Ordering::SeqCst);
    let me = percpu::this().index();
    let others = percpu::all().iter().filter(|cpu| cpu.index() != me);
    let wanted = others.fold(0, |wanted, cpu| {
        apic::send_nmi(cpu.apic_id());
        wanted | 1 << cpu.index()
    });
    tsc::wait_until(PATIENCE, || {
        STOPPED.load(Ordering::SeqCst) & wanted == wanted
    });
}

/// Halts this CPU for ever, because another one reports.
pub(crate) fn stop() -> ! {
    STOPPED.fetch_or(1 << percpu::this().index(), Ordering::SeqCst);
    halt()
}

/// Halts this CPU for ever.
pub fn halt() -> ! {
    loop {
        // SAFETY: with interrupts disabled, only an NMI or SMI ends HLT, and the loop goes on.
        unsafe { asm!("cli", "hlt") }
    }
}
