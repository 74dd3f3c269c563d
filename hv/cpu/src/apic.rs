//! This CPU's local APIC: x2APIC mode where it exists, xAPIC otherwise.

use crate::{cpuid::Features, msr, tsc};
use core::sync::atomic::{AtomicU64, Ordering};
use x2apic::lapic::{IpiAllShorthand, LocalApic, LocalApicBuilder, TimerDivide, TimerMode};
use x86::msr::{IA32_APIC_BASE, IA32_TSC_DEADLINE, IA32_X2APIC_LVT_LINT0, IA32_X2APIC_LVT_LINT1};

/// The vector of the local APIC's timer.
pub const TIMER: u8 = 0x40;
/// The vector that wakes another CPU.
pub const WAKE: u8 = 0x41;
/// The vector of the local APIC's own errors.
pub const ERROR: u8 = 0x42;
/// The vector of spurious interrupts.
pub const SPURIOUS: u8 = 0xff;

const LVT_MASKED: u32 = 1 << 16;
const LVT_NMI: u32 = 0b100 << 8;

/// LAPIC timer ticks a TSC tick, as a fraction of 2^32.
static TICKS_PER_TSC: AtomicU64 = AtomicU64::new(0);

/// Records the calibration that [`Apic::arm`] needs where there is no TSC-deadline mode.
pub fn set_timer_hz(timer_hz: u64) {
    let ratio = (u128::from(timer_hz) << 32) / u128::from(tsc::hz().max(1));
    TICKS_PER_TSC.store(u64::try_from(ratio).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// The local APIC of the CPU that made it.
#[derive(Debug)]
pub struct Apic {
    registers: LocalApic,
    /// The MMIO base in xAPIC mode.
    xapic: Option<u64>,
    deadline: bool,
}

impl Apic {
    /// Enables the local APIC of this CPU, with its timer stopped, LINT0 masked (the 8259's line)
    /// and LINT1 as NMI.
    ///
    /// # Errors
    /// The line to print, when there is no local APIC.
    pub fn enable(features: &Features) -> Result<Self, &'static str> {
        if !features.apic {
            return Err("this processor has no local APIC, or firmware has switched it off");
        }
        let base = msr::read(IA32_APIC_BASE) & 0xf_ffff_ffff_f000;
        let mode = if features.tsc_deadline {
            TimerMode::TscDeadline
        } else {
            TimerMode::OneShot
        };
        let mut registers = LocalApicBuilder::new()
            .timer_vector(TIMER.into())
            .error_vector(ERROR.into())
            .spurious_vector(SPURIOUS.into())
            .timer_mode(mode)
            .timer_divide(TimerDivide::Div1)
            .timer_initial(0)
            .set_xapic_base(base)
            .build()?;
        // SAFETY: the registers are at `base`, mapped and read by nobody else on this CPU; the
        // vectors have handlers, and interrupts are disabled. The crate's `enable` unmasks the
        // timer before it software-enables the APIC, when mask bits cannot be cleared yet
        // (SDM 3A "Local APIC State After It Has Been Software Disabled"): hence once more.
        unsafe {
            registers.enable();
            registers.enable_timer();
        }
        let apic = Self {
            registers,
            xapic: (!features.x2apic).then_some(base),
            deadline: features.tsc_deadline,
        };
        apic.set_pins();
        Ok(apic)
    }

    /// The crate's `enable` leaves LINT0 and LINT1 unmasked with vector 0.
    fn set_pins(&self) {
        const LINT0: u64 = 0x350;
        const LINT1: u64 = 0x360;
        // SAFETY: the local vector table of this CPU's own APIC, in the mode that it is in.
        unsafe {
            match self.xapic {
                Some(base) => {
                    core::ptr::write_volatile((base + LINT0) as *mut u32, LVT_MASKED);
                    core::ptr::write_volatile((base + LINT1) as *mut u32, LVT_NMI);
                }
                None => {
                    msr::write(IA32_X2APIC_LVT_LINT0, LVT_MASKED.into());
                    msr::write(IA32_X2APIC_LVT_LINT1, LVT_NMI.into());
                }
            }
        }
    }

    /// This CPU's APIC ID.
    #[must_use]
    pub fn id(&self) -> u32 {
        // SAFETY: reading the ID register changes nothing.
        let raw = unsafe { self.registers.id() };
        if self.xapic.is_some() { raw >> 24 } else { raw }
    }

    /// Whether it is in x2APIC mode.
    #[must_use]
    pub fn is_x2apic(&self) -> bool {
        self.xapic.is_none()
    }

    /// Whether the timer is in TSC-deadline mode.
    #[must_use]
    pub fn has_deadline(&self) -> bool {
        self.deadline
    }

    /// Ends the interrupt in service.
    #[inline]
    pub fn end_of_interrupt(&mut self) {
        // SAFETY: called by the handler of an interrupt that this APIC delivered.
        unsafe { self.registers.end_of_interrupt() }
    }

    /// Sends [`WAKE`] to the CPU with this APIC ID.
    pub fn wake(&mut self, id: u32) {
        let destination = self.destination(id);
        // SAFETY: every CPU that runs has a handler for the vector.
        unsafe { self.registers.send_ipi(WAKE, destination) }
    }

    /// Sends an NMI to every other CPU.
    pub fn stop_others(&mut self) {
        self.wait_sent();
        // SAFETY: an NMI has an IST stack on every CPU; one not yet started ignores it.
        unsafe {
            self.registers
                .send_nmi_all(IpiAllShorthand::AllExcludingSelf)
        }
    }

    /// Sends INIT, then twice start-up, to the CPU with this APIC ID: it begins in real mode at
    /// `page << 12`. SDM 3A "MP Initialization Protocol Algorithm".
    ///
    /// # Safety
    /// The CPU is not running, and the page holds code for it.
    pub unsafe fn start(&mut self, id: u32, page: u8, started: impl Fn() -> bool) {
        let destination = self.destination(id);
        // SAFETY: the caller answers for the CPU and the page.
        unsafe {
            self.registers.send_init_ipi(destination);
            self.wait_sent();
            tsc::delay(10_000);
            for _ in 0..2 {
                if started() {
                    return;
                }
                self.registers.send_sipi(page, destination);
                self.wait_sent();
                tsc::delay(200);
            }
        }
    }

    /// In xAPIC mode the ICR may not be written while it says "send pending".
    fn wait_sent(&self) {
        // SAFETY: reading the ICR changes nothing.
        while self.xapic.is_some() && unsafe { self.registers.get_ipi_delivery_status() } {
            core::hint::spin_loop();
        }
    }

    /// The crate writes the ICR's upper word as it is; in xAPIC mode the ID is its top byte.
    fn destination(&self, id: u32) -> u32 {
        self.wait_sent();
        if self.xapic.is_some() { id << 24 } else { id }
    }

    /// Makes the timer interrupt when the TSC reaches `deadline`, or soon after if it has; without
    /// TSC-deadline mode it may come early, when the counter cannot hold the time.
    #[inline]
    pub fn arm(&mut self, deadline: u64) {
        if self.deadline {
            // SAFETY: the timer's vector has a handler. A deadline of 0 would disarm.
            unsafe { msr::write(IA32_TSC_DEADLINE, deadline.max(1)) }
        } else {
            let wait = u128::from(deadline.saturating_sub(tsc::now()));
            let ticks = (wait * u128::from(TICKS_PER_TSC.load(Ordering::Relaxed))) >> 32;
            self.set_count(u32::try_from(ticks).unwrap_or(u32::MAX).max(1));
        }
    }

    /// Stops the timer.
    pub fn disarm(&mut self) {
        if self.deadline {
            // SAFETY: 0 disarms the timer.
            unsafe { msr::write(IA32_TSC_DEADLINE, 0) }
        } else {
            self.set_count(0);
        }
    }

    fn set_count(&mut self, ticks: u32) {
        // SAFETY: the timer's vector has a handler.
        unsafe { self.registers.set_timer_initial(ticks) }
    }

    /// Runs `work` with the timer counting down from 2^32 - 1, masked; `work` can read the count.
    pub fn counting<T>(&mut self, work: impl FnOnce(&dyn Fn() -> u32) -> T) -> T {
        // SAFETY: the timer is masked meanwhile, so no interrupt comes of it.
        unsafe {
            self.registers.disable_timer();
            self.registers.set_timer_mode(TimerMode::OneShot);
            self.registers.set_timer_initial(u32::MAX);
        }
        // SAFETY: reading the count changes nothing.
        let result = work(&|| unsafe { self.registers.timer_current() });
        // SAFETY: back to the state that `enable` left.
        unsafe {
            self.registers.set_timer_initial(0);
            if self.deadline {
                self.registers.set_timer_mode(TimerMode::TscDeadline);
            }
            self.registers.enable_timer();
        }
        result
    }
}
