//! This CPU's local APIC: x2APIC mode where it exists, xAPIC otherwise.

use crate::{cpuid::Features, msr, tsc};
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};
use spec::apic::{DeliveryMode, Icr, Lvt, Register};
use spec::msr::{ApicBase, Msr};
use x2apic::lapic::{LocalApic, LocalApicBuilder, TimerDivide, TimerMode};

/// The vector of the local APIC's timer.
pub const TIMER: u8 = 0x40;
/// The vector that wakes another CPU.
pub const WAKE: u8 = 0x41;
/// The vector of the local APIC's own errors.
pub const ERROR: u8 = 0x42;
/// The vector of spurious interrupts.
pub const SPURIOUS: u8 = 0xff;

const LVT_NMI: u32 = (DeliveryMode::NMI.0 as u32) << 8;
/// How long an interrupt command may stay pending, in microseconds; then it is given up.
const PATIENCE: u64 = 100_000;

/// LAPIC timer ticks a TSC tick, as a fraction of 2^32.
static TICKS_PER_TSC: AtomicU64 = AtomicU64::new(0);

/// Records the calibration that [`Apic::arm`] needs where there is no TSC-deadline mode.
pub fn set_timer_hz(timer_hz: u64) {
    let ratio = (u128::from(timer_hz) << 32) / u128::from(tsc::hz().max(1));
    TICKS_PER_TSC.store(u64::try_from(ratio).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// How this CPU's local APIC is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// By memory, at this address.
    Xapic(u64),
    /// By MSRs.
    X2apic,
}

impl Mode {
    /// What IA32_APIC_BASE says; `None` if the APIC is switched off.
    fn current() -> Option<Self> {
        let base = ApicBase::from_bits_retain(msr::read(Msr::IA32_APIC_BASE.0));
        match base.contains(ApicBase::EN) {
            true if base.contains(ApicBase::EXTD) => Some(Self::X2apic),
            true => Some(Self::Xapic(base.bits() & ApicBase::ADDRESS)),
            false => None,
        }
    }

    /// # Safety
    /// The APIC is in this mode, and has the register.
    unsafe fn read(self, register: Register) -> u32 {
        match self {
            // SAFETY: the page of registers is mapped; the caller answers for the mode.
            Self::Xapic(base) => unsafe {
                core::ptr::read_volatile((base + u64::from(register.0)) as *const u32)
            },
            Self::X2apic => msr::read(register.msr().0) as u32,
        }
    }

    /// # Safety
    /// The APIC is in this mode, and the caller answers for what the write does.
    unsafe fn write(self, register: Register, value: u32) {
        // SAFETY: by the caller; the page of registers is mapped.
        unsafe {
            match self {
                Self::Xapic(base) => {
                    core::ptr::write_volatile((base + u64::from(register.0)) as *mut u32, value)
                }
                Self::X2apic => msr::write(register.msr().0, value.into()),
            }
        }
    }

    /// In xAPIC mode the ICR may not be written while it says "send pending".
    fn wait_sent(self) {
        // SAFETY: reading the ICR changes nothing.
        let is_pending = || unsafe { Icr(self.read(Register::ICR).into()).pending() };
        if matches!(self, Self::Xapic(_)) && is_pending() {
            tsc::wait_until(PATIENCE, || !is_pending());
        }
    }

    /// Makes what was written to memory before visible before an interrupt command that follows: in
    /// x2APIC mode that is a WRMSR which orders nothing. SDM 3A "MSR Access in x2APIC Mode".
    #[inline]
    fn order(self) {
        if self == Self::X2apic {
            // SAFETY: the fences change nothing.
            unsafe { asm!("mfence", "lfence", options(nostack, preserves_flags)) }
        }
    }

    /// Writes the interrupt command, given in its x2APIC form.
    ///
    /// # Safety
    /// The APIC is in this mode, and the caller answers for the command.
    unsafe fn send(self, command: Icr) {
        self.wait_sent();
        self.order();
        // SAFETY: by the caller.
        unsafe {
            if self == Self::X2apic {
                msr::write(Register::ICR.msr().0, command.0);
            } else {
                self.write(Register::ICR_HIGH, command.destination() << 24);
                self.write(Register::ICR, command.0 as u32);
            }
        }
    }

    /// The crate's `enable` leaves LINT0 and LINT1 unmasked with vector 0.
    ///
    /// # Safety
    /// The APIC is in this mode.
    unsafe fn set_pins(self) {
        // SAFETY: by the caller; an NMI has a handler.
        unsafe {
            self.write(Register::LVT_LINT0, Lvt::MASKED.bits());
            self.write(Register::LVT_LINT1, LVT_NMI);
        }
    }

    /// Ends what firmware left in service, and lets every priority through.
    /// SDM 3A "Interrupt, Task, and Processor Priority".
    ///
    /// # Safety
    /// The APIC is in this mode, and no interrupt is being handled.
    unsafe fn forget_interrupts(self) {
        const MOST: usize = 256;
        let in_service = |n: u16| Register(Register::ISR.0 + 16 * n);
        // SAFETY: by the caller; each EOI ends one interrupt that is in service.
        unsafe {
            self.write(Register::TPR, 0);
            for _ in 0..MOST {
                if (0..8).all(|n| self.read(in_service(n)) == 0) {
                    return;
                }
                self.write(Register::EOI, 0);
            }
        }
    }
}

/// Sends an NMI to the CPU with this APIC ID. It can come at any time, even while this CPU's [`Apic`]
/// is in use, between the two halves of a command: what was interrupted must not go on.
pub fn send_nmi(id: u32) {
    if let Some(mode) = Mode::current() {
        // SAFETY: an NMI has an IST stack on every CPU.
        unsafe { mode.send(Icr::physical(id, DeliveryMode::NMI, 0)) }
    }
}

/// In xAPIC mode the timer's mode is written to memory, and a deadline, which is an MSR, must not
/// overtake it. SDM 3A "TSC-Deadline Mode".
fn order_timer_mode() {
    // SAFETY: the fence changes nothing.
    unsafe { asm!("mfence", options(nostack, preserves_flags)) }
}

/// The local APIC of the CPU that made it.
#[derive(Debug)]
pub struct Apic {
    registers: LocalApic,
    mode: Mode,
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
        let base = msr::read(Msr::IA32_APIC_BASE.0) & ApicBase::ADDRESS;
        let timer_mode = if features.tsc_deadline {
            TimerMode::TscDeadline
        } else {
            TimerMode::OneShot
        };
        let mut registers = LocalApicBuilder::new()
            .timer_vector(TIMER.into())
            .error_vector(ERROR.into())
            .spurious_vector(SPURIOUS.into())
            .timer_mode(timer_mode)
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
        let mode = Mode::current().ok_or("the local APIC cannot be switched on")?;
        // SAFETY: this CPU's own APIC, with interrupts disabled.
        unsafe {
            mode.set_pins();
            mode.forget_interrupts();
        }
        order_timer_mode();
        Ok(Self {
            registers,
            mode,
            deadline: features.tsc_deadline,
        })
    }

    /// This CPU's APIC ID.
    #[must_use]
    pub fn id(&self) -> u32 {
        // SAFETY: reading the ID register changes nothing.
        let raw = unsafe { self.registers.id() };
        if self.is_x2apic() { raw } else { raw >> 24 }
    }

    /// Whether it is in x2APIC mode.
    #[must_use]
    pub fn is_x2apic(&self) -> bool {
        self.mode == Mode::X2apic
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
        // SAFETY: every CPU that runs has a handler for the vector.
        unsafe { self.mode.send(Icr::physical(id, DeliveryMode::FIXED, WAKE)) }
    }

    /// Sends INIT to the CPU with this APIC ID, which then waits to be started.
    ///
    /// # Safety
    /// Nobody needs what that CPU is doing.
    pub unsafe fn init(&mut self, id: u32) {
        let destination = self.destination(id);
        // SAFETY: the caller answers for the CPU.
        unsafe { self.registers.send_init_ipi(destination) }
        self.mode.wait_sent();
    }

    /// Sends INIT, then twice start-up, to the CPU with this APIC ID: it begins in real mode at
    /// `page << 12`. SDM 3A "MP Initialization Example".
    ///
    /// # Safety
    /// The CPU is not running, and the page holds code for it.
    pub unsafe fn start(&mut self, id: u32, page: u8, started: impl Fn() -> bool) {
        let destination = self.destination(id);
        // SAFETY: the caller answers for the CPU and the page.
        unsafe {
            self.init(id);
            tsc::delay(10_000);
            for _ in 0..2 {
                if started() {
                    return;
                }
                self.registers.send_sipi(page, destination);
                self.mode.wait_sent();
                tsc::delay(200);
            }
        }
    }

    /// Prepares an interrupt command. The crate writes the ICR's upper word as it is; in xAPIC mode
    /// the ID is its top byte.
    fn destination(&self, id: u32) -> u32 {
        self.mode.wait_sent();
        self.mode.order();
        if self.is_x2apic() { id } else { id << 24 }
    }

    /// Makes the timer interrupt when the TSC reaches `deadline`, or soon after if it has; without
    /// TSC-deadline mode it may come early, when the counter cannot hold the time.
    #[inline]
    pub fn arm(&mut self, deadline: u64) {
        if self.deadline {
            // SAFETY: the timer's vector has a handler. A deadline of 0 would disarm.
            unsafe { msr::write(Msr::IA32_TSC_DEADLINE.0, deadline.max(1)) }
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
            unsafe { msr::write(Msr::IA32_TSC_DEADLINE.0, 0) }
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
        order_timer_mode();
        result
    }
}
