//! Code under control: at CPL 3, or at CPL 0 until its first exception.

use core::arch::asm;

use crate::{
    interrupts::{Exception, catch},
    segments::{CODE64, DATA, USER_CODE64, USER_DATA},
};

/// RFLAGS bit 1, always set.
const RFLAGS: u64 = 1 << 1;
/// Interrupts enabled.
pub const INTERRUPTS: u64 = 1 << 9;
/// Alignment checks at CPL 3 (with CR0.AM).
pub const ALIGNMENT: u64 = 1 << 18;

/// Runs the code at `rip` at CPL 3 with `rsp` and these RFLAGS bits, until its first exception.
/// Both pages must be open to CPL 3 (`paging::open_to_user`).
pub fn run(rip: u64, rsp: u64, rflags: u64) -> Exception {
    enter(USER_CODE64, USER_DATA, [rip, rsp, rflags])
}

/// The same at CPL 0, where code that leaves its page can do harm.
pub fn run_privileged(rip: u64, rsp: u64, rflags: u64) -> Exception {
    enter(CODE64, DATA, [rip, rsp, rflags])
}

/// # Panics
/// Never: only an exception leads back.
fn enter(cs: u16, ss: u16, [rip, rsp, rflags]: [u64; 3]) -> Exception {
    let raised = catch(|| {
        // SAFETY: `catch` restores the registers and the stack at the exception.
        unsafe {
            asm!(
                "push {ss}", "push {rsp}", "push {rflags}", "push {cs}", "push {rip}", "iretq",
                ss = in(reg) u64::from(ss), cs = in(reg) u64::from(cs),
                rsp = in(reg) rsp, rflags = in(reg) rflags | RFLAGS, rip = in(reg) rip,
                options(noreturn)
            )
        }
    });
    raised.expect("only an exception leads back")
}
