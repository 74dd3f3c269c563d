//! The application processors: started one after the other, brought to the same state.

use crate::tables::Platform;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use cpu::apic::Apic;
use cpu::percpu::{self, MAX_CPUS, STACKS_SIZE};
use cpu::{cpuid, cr, traps, tsc};
use spin::Mutex;

/// The stack pointer that the next processor takes.
pub static STACK: AtomicU64 = AtomicU64::new(0);
/// Where its stacks begin.
static STACKS: AtomicU64 = AtomicU64::new(0);
/// How many processors are up, the first one included.
static UP: AtomicUsize = AtomicUsize::new(1);

/// How long a processor may take, in microseconds.
const PATIENCE: u64 = 200_000;

unsafe extern "C" {
    static trampoline: u8;
    static trampoline_cr3: u8;
    static trampoline_end: u8;
}

/// Copies the first steps to `page`, below 1 MiB; [`set_root`] completes them.
pub fn copy_trampoline(page: u64) {
    let start = &raw const trampoline;
    // SAFETY: the page is free; the code is as long as the symbols say, and shorter than a page.
    unsafe {
        let length = (&raw const trampoline_end).offset_from_unsigned(start);
        core::ptr::copy_nonoverlapping(start, page as *mut u8, length);
    }
}

/// Tells the copy on `page` the root of the page tables, while the page can still be written.
pub fn set_root(page: u64, root: u64) {
    // SAFETY: the quantity lies within the copy; the root is below 4 GiB.
    unsafe {
        let offset = (&raw const trampoline_cr3).offset_from_unsigned(&raw const trampoline);
        ((page as usize + offset) as *mut u32).write_unaligned(root as u32);
    }
}

/// Starts every other CPU of the machine, up to [`MAX_CPUS`] in all.
pub fn start(platform: &Platform, page: Option<u64>, stacks: u64) {
    let own = percpu::this().apic_id();
    let others = platform.apic_ids.iter().filter(|&&id| id != own);
    let Some(page) = page else {
        if others.count() > 0 {
            log::error!("no page below 640 KiB is free: the other processors stay off");
        }
        return;
    };
    let all = others.clone().count() + 1;
    if all > MAX_CPUS {
        log::warn!("{all} CPUs, of which {MAX_CPUS} are used");
    }
    for (n, &id) in others.take(MAX_CPUS - 1).enumerate() {
        if !start_one(id, page, stacks + n as u64 * STACKS_SIZE) {
            log::error!(
                "the CPU with APIC ID {id} does not start; going on without it and the rest"
            );
            return;
        }
    }
}

fn start_one(id: u32, page: u64, stacks: u64) -> bool {
    let before = UP.load(Ordering::Acquire);
    let is_up = || UP.load(Ordering::Acquire) > before;
    STACKS.store(stacks, Ordering::Release);
    STACK.store(stacks + STACKS_SIZE, Ordering::Release);
    // SAFETY: they are mapped, and the CPU that they are for does not run yet.
    unsafe { percpu::clear_stacks(stacks) };
    // SAFETY: the CPU has not been started, and the page holds the trampoline.
    percpu::with_apic(|apic| unsafe { apic.start(id, (page >> 12) as u8, is_up) });
    let end = tsc::now() + tsc::hz() / 1_000_000 * PATIENCE;
    while !is_up() && tsc::now() < end {
        core::hint::spin_loop();
    }
    is_up()
}

/// Where the trampoline goes on.
pub extern "sysv64" fn ap_main() -> ! {
    // SAFETY: processors come here one at a time, so the number is this one's alone, and the first
    // processor has set the stacks for it.
    unsafe { percpu::adopt(UP.load(Ordering::Acquire), STACKS.load(Ordering::Acquire)) };
    let features = cpuid::features();
    cr::init(&features);
    match Apic::enable(&features) {
        Ok(apic) => percpu::set_apic(apic),
        Err(line) => panic!("{line}"),
    }
    UP.fetch_add(1, Ordering::Release);
    follow()
}

/// What all processors are to do.
static ORDER: Mutex<fn()> = Mutex::new(|| {});
/// How many orders there have been.
static ORDERS: AtomicUsize = AtomicUsize::new(0);
/// How many other processors have done it.
static DONE: AtomicUsize = AtomicUsize::new(0);

/// Runs `work` on every processor, this one too; returns when all are through.
pub fn on_all(work: fn()) {
    let others = percpu::all().iter().skip(1);
    DONE.store(0, Ordering::Relaxed);
    *ORDER.lock() = work;
    ORDERS.fetch_add(1, Ordering::Release);
    others.clone().for_each(wake);
    work();
    while DONE.load(Ordering::Acquire) < others.len() {
        traps::wait();
    }
}

/// Carries out orders, for ever.
fn follow() -> ! {
    let mut seen = 0;
    loop {
        let orders = ORDERS.load(Ordering::Acquire);
        if orders == seen {
            traps::wait();
            continue;
        }
        seen = orders;
        let work = *ORDER.lock();
        work();
        DONE.fetch_add(1, Ordering::Release);
        wake(&percpu::all()[0]);
    }
}

fn wake(cpu: &percpu::PerCpu) {
    percpu::with_apic(|apic| apic.wake(cpu.apic_id()));
}
