//! What each CPU has of its own: its number, its stacks, its local APIC, its descriptor tables.
//!
//! GS.base holds the address of this CPU's [`PerCpu`]. VMX restores GS.base on every VM exit from
//! the host-state area; SVM leaves the guest's, until VMLOAD or WRGSBASE.

use crate::{apic::Apic, msr, traps::Tables};
use core::arch::asm;
use core::cell::{RefCell, UnsafeCell};
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use spec::msr::Msr;

/// The most CPUs that we run on; a machine may have more.
pub const MAX_CPUS: usize = 8;

const GUARD: u64 = 4096;
const IST_STACK: u64 = 16 << 10;
const MAIN_STACK: u64 = 64 << 10;
const IST_STACKS: u64 = 4;

/// What one CPU's stacks take: below each, a guard page.
pub const STACKS_SIZE: u64 = IST_STACKS * (GUARD + IST_STACK) + GUARD + MAIN_STACK;

/// The stacks, from low addresses to high.
const STACKS: [(&str, u64); IST_STACKS as usize + 1] = [
    ("#DF", IST_STACK),
    ("NMI", IST_STACK),
    ("#MC", IST_STACK),
    ("#PF", IST_STACK),
    ("main", MAIN_STACK),
];

/// One stack and the guard page below it.
#[derive(Clone, Debug)]
pub struct Stack {
    /// What it is for.
    pub name: &'static str,
    /// The guard page.
    pub guard: Range<u64>,
    /// The usable bytes; the stack pointer starts at the end.
    pub bytes: Range<u64>,
}

impl Stack {
    /// How many bytes have ever been in use: all below was left zero.
    ///
    /// # Safety
    /// The stack is mapped and was zero at first.
    unsafe fn deepest(&self) -> u64 {
        let mut words = self.bytes.clone().step_by(8);
        // SAFETY: by the caller the words are mapped; volatile, as the CPU of the stack may write them.
        let used = words.find(|&at| unsafe { (at as *const u64).read_volatile() } != 0);
        used.map_or(0, |lowest| self.bytes.end - lowest)
    }

    /// Makes it zero.
    ///
    /// # Safety
    /// The stack is mapped, and nobody runs on it.
    unsafe fn clear(&self) {
        let size = self.bytes.end - self.bytes.start;
        // SAFETY: by the caller.
        unsafe { core::ptr::write_bytes(self.bytes.start as *mut u8, 0, size as usize) }
    }
}

/// Makes the stacks at `base` zero, so that their use can be measured.
///
/// # Safety
/// They are mapped but for the guard pages, and nobody runs on them.
pub unsafe fn clear_stacks(base: u64) {
    // SAFETY: by the caller.
    stacks(base).for_each(|stack| unsafe { stack.clear() });
}

/// The stacks of a CPU whose stack memory begins at `base`.
pub fn stacks(base: u64) -> impl Iterator<Item = Stack> {
    STACKS.iter().scan(base, |next, &(name, size)| {
        let (guard, start) = (*next, *next + GUARD);
        *next = start + size;
        Some(Stack {
            name,
            guard: guard..start,
            bytes: start..start + size,
        })
    })
}

/// One CPU's own data.
#[repr(C)]
pub struct PerCpu {
    /// The address of this structure: `gs:[0]`.
    this: AtomicU64,
    index: AtomicUsize,
    apic_id: AtomicU32,
    stacks: AtomicU64,
    /// The timer's interrupt came.
    ticked: AtomicBool,
    apic: RefCell<Option<Apic>>,
    tables: UnsafeCell<Tables>,
}

// SAFETY: `apic` and `tables` are touched only by the CPU that the structure belongs to: both are
// reached through `this` alone.
unsafe impl Sync for PerCpu {}

static CPUS: [PerCpu; MAX_CPUS] = [const { PerCpu::new() }; MAX_CPUS];
static RUNNING: AtomicUsize = AtomicUsize::new(0);

impl PerCpu {
    const fn new() -> Self {
        Self {
            this: AtomicU64::new(0),
            index: AtomicUsize::new(0),
            apic_id: AtomicU32::new(0),
            stacks: AtomicU64::new(0),
            ticked: AtomicBool::new(false),
            apic: RefCell::new(None),
            tables: UnsafeCell::new(Tables::new()),
        }
    }

    /// This CPU's number, 0 for the one that booted.
    #[inline]
    #[must_use]
    pub fn index(&self) -> usize {
        self.index.load(Ordering::Relaxed)
    }

    /// Its APIC ID.
    #[must_use]
    pub fn apic_id(&self) -> u32 {
        self.apic_id.load(Ordering::Relaxed)
    }

    /// The timer's interrupt has come.
    pub(crate) fn note_tick(&self) {
        self.ticked.store(true, Ordering::Relaxed);
    }

    /// Whether the timer's interrupt has come since the last time that this was asked.
    pub(crate) fn take_tick(&self) -> bool {
        self.ticked.load(Ordering::Relaxed) && self.ticked.swap(false, Ordering::Relaxed)
    }

    /// Its stacks.
    pub fn stacks(&self) -> impl Iterator<Item = Stack> {
        stacks(self.stacks.load(Ordering::Relaxed))
    }

    /// The names of its stacks, how many bytes of each were ever used, and of how many.
    pub fn stack_use(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        self.stacks().map(|stack| {
            // SAFETY: the stacks of a CPU that runs are mapped; the first CPU's are in the image's zeroed part, the
            // others' were cleared.
            let used = unsafe { stack.deepest() };
            (stack.name, used, stack.bytes.end - stack.bytes.start)
        })
    }
}

/// This CPU's data.
#[inline]
#[must_use]
pub fn this() -> &'static PerCpu {
    let address: *const PerCpu;
    // SAFETY: `adopt` ran on this CPU before anything else: GS.base is the address of an element
    // of CPUS, whose first word is that address.
    unsafe {
        asm!("mov {}, gs:[0]", out(reg) address, options(nostack, preserves_flags, readonly));
        &*address
    }
}

/// Makes `CPUS[index]` this CPU's data, with stacks at `stacks`, and loads its GDT, TSS and the IDT.
/// The CPU is not one of [`all`] before [`publish`].
///
/// # Safety
/// Each CPU takes an index of its own, once, and runs on the main stack of `stacks`.
pub unsafe fn adopt(index: usize, stacks: u64) {
    let cpu = &CPUS[index];
    let address = core::ptr::from_ref(cpu) as u64;
    cpu.this.store(address, Ordering::Relaxed);
    cpu.index.store(index, Ordering::Relaxed);
    cpu.stacks.store(stacks, Ordering::Relaxed);
    // SAFETY: by the caller, no other CPU touches these tables; they are static. Loading a null GS
    // clears GS.base on some processors, so it comes before the write.
    unsafe {
        (*cpu.tables.get()).load(stacks);
        msr::write(Msr::IA32_GS_BASE.0, address);
    }
}

/// Makes the CPU with this index one of [`all`]: it is ready for orders and interrupts, and those
/// with lower indices are too.
pub fn publish(index: usize) {
    RUNNING.store(index + 1, Ordering::Release);
}

/// Gives this CPU its enabled local APIC.
pub fn set_apic(apic: Apic) {
    let cpu = this();
    cpu.apic_id.store(apic.id(), Ordering::Relaxed);
    *cpu.apic.borrow_mut() = Some(apic);
}

/// Uses this CPU's local APIC; `None` before [`set_apic`]. Interrupts, whose handlers use it, are
/// disabled wherever this is called; a report, which can come at any time, sends its NMIs without.
///
/// # Panics
/// If `work` calls it again.
#[inline]
pub fn with_apic<T>(work: impl FnOnce(&mut Apic) -> T) -> Option<T> {
    this().apic.borrow_mut().as_mut().map(work)
}

/// The CPUs that run, each ready for orders and interrupts.
#[must_use]
pub fn all() -> &'static [PerCpu] {
    &CPUS[..RUNNING.load(Ordering::Acquire)]
}
