//! What the hypervisor measures of itself (`bench` on the command line).

use crate::memory;
use core::sync::atomic::{AtomicU64, Ordering};
use cpu::percpu::{self, STACKS_SIZE};
use cpu::tsc;

unsafe extern "C" {
    static entry_tsc: u64;
}

/// The TSC ticks that calibration and the start of other processors took: waiting, not work.
static WAITED: AtomicU64 = AtomicU64::new(0);
/// Runs `work`, whose time does not count.
pub fn waiting<T>(work: impl FnOnce() -> T) -> T {
    let start = tsc::now();
    let result = work();
    WAITED.fetch_add(tsc::now() - start, Ordering::Relaxed);
    result
}

/// Prints what is known just before the first guest runs.
pub fn print() {
    // SAFETY: the entry code wrote it once.
    let start = unsafe { entry_tsc };
    let boot = tsc::now() - start - WAITED.load(Ordering::Relaxed);
    let image = memory::image().0;
    let all = image.end - image.start;
    let stacks = (percpu::all().len() as u64 - 1) * STACKS_SIZE;
    log::info!("bench boot.to_guest {boot} instructions");
    log::info!("bench size.image {} bytes", memory::loaded());
    log::info!(
        "bench size.resident {} bytes",
        all + stacks + memory::heap_in_use()
    );
}
