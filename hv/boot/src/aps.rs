//! The application processors: started one after the other, brought to the same state.

use crate::tables::Platform;
use core::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use cpu::apic::Apic;
use cpu::percpu::{self, MAX_CPUS, STACKS_SIZE};
use cpu::{cpuid, cr, traps, tsc};
use spin::Mutex;

/// The stack pointer that the next processor takes.
pub static STACK: AtomicU64 = AtomicU64::new(0);
/// Where its stacks begin.
static STACKS: AtomicU64 = AtomicU64::new(0);
/// How far the start that is under way has come.
static START: AtomicU8 = AtomicU8::new(OVER);
/// A processor that comes now is too late, and halts.
const OVER: u8 = 0;
/// The processor may come.
const INVITED: u8 = 1;
/// It has come: it carries out orders.
const JOINED: u8 = 2;

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
    let is_up = || START.load(Ordering::Acquire) == JOINED;
    STACKS.store(stacks, Ordering::Release);
    STACK.store(stacks + STACKS_SIZE, Ordering::Release);
    // SAFETY: they are mapped, and the CPU that they are for does not run yet.
    unsafe { percpu::clear_stacks(stacks) };
    START.store(INVITED, Ordering::Release);
    // SAFETY: the CPU has not been started, and the page holds the trampoline.
    percpu::with_apic(|apic| unsafe { apic.start(id, (page >> 12) as u8, is_up) });
    tsc::wait_until(PATIENCE, is_up);
    if START.swap(OVER, Ordering::AcqRel) == JOINED {
        percpu::publish(percpu::all().len());
        return true;
    }
    // SAFETY: wherever that CPU is, nobody waits for it, and it would only halt.
    percpu::with_apic(|apic| unsafe { apic.init(id) });
    false
}

/// Where the trampoline goes on.
pub extern "sysv64" fn ap_main() -> ! {
    // SAFETY: processors are started one at a time, and after one that comes too late no other is: so
    // the number and the stacks are this one's alone.
    unsafe { percpu::adopt(percpu::all().len(), STACKS.load(Ordering::Acquire)) };
    let features = cpuid::features();
    cr::init(&features);
    match Apic::enable(&features) {
        Ok(apic) => percpu::set_apic(apic),
        Err(line) => {
            log::error!("{line}");
            traps::halt()
        }
    }
    let join = START.compare_exchange(INVITED, JOINED, Ordering::AcqRel, Ordering::Relaxed);
    if join.is_err() {
        traps::halt();
    }
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
