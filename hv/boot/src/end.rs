//! How a run ends: the last line, then the machine; and what a panic does.

use crate::cmdline::End;
use crate::console;
use core::arch::asm;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};
use cpu::{percpu, report, traps};
use spin::Once;
use vmm::trace::RINGS;
use x86::io::{outb, outl, outw};

static HOW: Once<End> = Once::new();
static EMULATOR: AtomicBool = AtomicBool::new(false);

/// Sets what the command line says about the end.
pub fn init(how: End) {
    HOW.call_once(|| how);
    report::set_hooks(report::Hooks {
        print: console::force_line,
        end,
    });
    report::set_last_exits(print_last_exits);
}

/// Prints the last VM exits of every CPU.
pub fn print_last_exits() {
    const SHOWN: usize = 32;
    for (cpu, ring) in RINGS.iter().enumerate() {
        let held = ring.iter().count();
        if held > 0 {
            console::force_line(format_args!("nestling:   last exits of CPU {cpu}:"));
        }
        for (tsc, event) in ring.iter().skip(held.saturating_sub(SHOWN)) {
            console::force_line(format_args!("nestling:     {tsc} {event}"));
        }
    }
}

/// Prints how much of its stacks every CPU has used.
pub fn print_stacks() {
    for cpu in percpu::all() {
        for (name, used, size) in cpu.stack_use() {
            console::force_line(format_args!(
                "nestling:   {name} stack of CPU {}: {used} of {size} bytes used",
                cpu.index()
            ));
        }
    }
}

/// Whether this is QEMU or Bochs, so that the ports that end those may be written.
pub fn set_emulator(is_emulator: bool) {
    EMULATOR.store(is_emulator, Ordering::Relaxed);
}

/// Ends the run with a status, and the machine.
pub fn end(status: u32) -> ! {
    console::force_line(format_args!("nestling: end, status {status}"));
    console::drain();
    match HOW.get().copied().unwrap_or(End::Auto) {
        End::Auto if EMULATOR.load(Ordering::Relaxed) => end_emulator(status),
        End::Reboot => reboot(),
        _ => {}
    }
    traps::halt()
}

fn end_emulator(status: u32) {
    const QEMU_DEBUG_EXIT: u16 = 0xf4;
    const QEMU_PM1A_CONTROL: u16 = 0x604;
    const BOCHS_SHUTDOWN: u16 = 0x8900;
    // SAFETY: on these emulators the ports do this and nothing else.
    unsafe {
        outl(QEMU_DEBUG_EXIT, status);
        b"Shutdown"
            .iter()
            .for_each(|&byte| outb(BOCHS_SHUTDOWN, byte));
        outw(QEMU_PM1A_CONTROL, 0x2000);
    }
}

/// Resets by the chipset's reset control register, then by a triple fault.
fn reboot() {
    const RESET_CONTROL: u16 = 0xcf9;
    let no_table = [0_u64; 2];
    // SAFETY: the machine is to be reset; nothing of ours is needed afterwards.
    unsafe {
        outb(RESET_CONTROL, 0x02);
        outb(RESET_CONTROL, 0x06);
        asm!("lidt [{}]", "int3", in(reg) &no_table);
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    report::begin();
    match info.location() {
        Some(at) => report::print(format_args!(
            "nestling: panic: {}, at {}:{}",
            info.message(),
            at.file(),
            at.line()
        )),
        None => report::print(format_args!("nestling: panic: {}", info.message())),
    }
    let (rip, rbp): (u64, u64);
    // SAFETY: reads RIP and RBP.
    unsafe {
        asm!("lea {}, [rip]", "mov {}, rbp", out(reg) rip, out(reg) rbp, options(nomem, nostack))
    }
    report::finish(rip, rbp)
}
