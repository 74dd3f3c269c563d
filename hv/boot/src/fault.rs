//! Faults on purpose (`fault=` on the command line), so that the report of a real one can be tested.

use crate::cmdline::{Fault, FaultTime};
use core::arch::asm;
use core::hint::black_box;
use cpu::pic;
use spin::Once;

static ASKED: Once<(Fault, FaultTime)> = Once::new();

/// Says which fault is to be made, and when.
pub fn init(asked: Option<(Fault, FaultTime)>) {
    if let Some(asked) = asked {
        ASKED.call_once(|| asked);
    }
}

/// Makes the fault that is asked for, if this is its time; a real fault does not return.
pub fn make(now: FaultTime) {
    if let Some(&(fault, time)) = ASKED.get()
        && time == now
    {
        make_now(fault);
    }
}

#[inline(never)]
fn make_now(fault: Fault) {
    log::info!("making a fault on purpose: {fault:?}");
    // SAFETY: each ends in the exception report, which does not return, or in a handler that keeps all registers.
    unsafe {
        match fault {
            Fault::InvalidOpcode => asm!("ud2"),
            Fault::Page => asm!("mov {0}, [{0}]", inout(reg) 0x10_u64 => _),
            // #SS for the push, and #SS again for its delivery: RSP is not canonical.
            Fault::Double => asm!("mov rsp, {0}", "push rax", in(reg) 0x9000_0000_0000_u64),
            Fault::Protection => asm!("mov {0}, [{0}]", inout(reg) 0x8000_0000_0000_u64 => _),
            Fault::Panic => panic!("asked for on the command line"),
            Fault::Stack => {
                overflow(0);
            }
            // Their vectors without a request: nothing is in service.
            Fault::Spurious => {
                asm!("int 0x27", "int 0x2f", "int 0x2f");
                let [irq_7, irq_15] = pic::spurious();
                log::info!("spurious interrupts: IRQ 7 {irq_7}, IRQ 15 {irq_15}");
            }
        }
    }
}

#[inline(never)]
#[allow(unconditional_recursion, reason = "the overflow is what is asked for")]
fn overflow(depth: u64) -> u64 {
    let local = black_box([depth; 64]);
    overflow(depth + 1) + local[black_box(7)]
}
