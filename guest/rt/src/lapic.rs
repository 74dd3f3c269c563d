//! The virtual CPU's local APIC, in xAPIC or x2APIC mode.

use x86::msr::{IA32_APIC_BASE, IA32_TSC_DEADLINE};

use crate::{
    Single, execute, interrupts,
    machine::{cpuid, rdmsr, wrmsr},
};

/// Where the registers are in xAPIC mode.
pub const BASE: u64 = 0xfee0_0000;
/// IA32_APIC_BASE: the APIC is enabled.
pub const BASE_ENABLE: u64 = 1 << 11;
/// IA32_APIC_BASE: x2APIC mode.
pub const BASE_X2APIC: u64 = 1 << 10;

/// Register offsets in the xAPIC page. SDM 3A "Local APIC Register Address Map".
pub mod register {
    /// Local APIC ID.
    pub const ID: u32 = 0x20;
    /// Version.
    pub const VERSION: u32 = 0x30;
    /// Task priority.
    pub const TPR: u32 = 0x80;
    /// End of interrupt.
    pub const EOI: u32 = 0xb0;
    /// Logical destination.
    pub const LOGICAL_DESTINATION: u32 = 0xd0;
    /// Destination format.
    pub const DESTINATION_FORMAT: u32 = 0xe0;
    /// Spurious interrupt vector.
    pub const SPURIOUS: u32 = 0xf0;
    /// In-service, first of 8.
    pub const ISR: u32 = 0x100;
    /// Interrupt request, first of 8.
    pub const IRR: u32 = 0x200;
    /// Interrupt command, low half.
    pub const ICR: u32 = 0x300;
    /// Interrupt command, high half: the destination.
    pub const ICR_HIGH: u32 = 0x310;
    /// LVT timer.
    pub const TIMER: u32 = 0x320;
    /// Timer's initial count.
    pub const INITIAL_COUNT: u32 = 0x380;
    /// Timer's current count.
    pub const CURRENT_COUNT: u32 = 0x390;
    /// Timer's divide configuration.
    pub const DIVIDE: u32 = 0x3e0;
}

/// LVT: masked.
pub const MASKED: u32 = 1 << 16;
/// LVT timer: periodic.
pub const PERIODIC: u32 = 1 << 17;
/// LVT timer: TSC deadline.
pub const DEADLINE: u32 = 2 << 17;
/// Divide configuration: by 1.
pub const BY_ONE: u32 = 0b1011;

const SPURIOUS_VECTOR: u8 = 0xff;

static X2APIC: Single<bool> = Single::new(false);

/// Reads the register at `offset` of the xAPIC page, in the mode of the moment.
#[must_use]
pub fn read(offset: u32) -> u32 {
    if X2APIC.load() {
        return rdmsr(0x800 + offset / 16) as u32;
    }
    let value: u32;
    execute!("mov {0:e}, [{1}]", out(reg) value, in(reg) BASE + u64::from(offset));
    value
}

/// Writes the register at `offset` of the xAPIC page, in the mode of the moment.
pub fn write(offset: u32, value: u32) {
    if X2APIC.load() {
        return wrmsr(0x800 + offset / 16, u64::from(value));
    }
    execute!("mov [{1}], {0:e}", in(reg) value, in(reg) BASE + u64::from(offset));
}

/// Sends an interrupt command to the virtual CPU with this APIC ID.
pub fn command(to: u32, command: u32) {
    if X2APIC.load() {
        let icr = u64::from(to) << 32 | u64::from(command);
        return wrmsr(0x800 + register::ICR / 16, icr);
    }
    write(register::ICR_HIGH, to << 24);
    write(register::ICR, command);
}

/// Enables the APIC by its spurious interrupt vector register; spurious interrupts are ignored.
pub fn enable() {
    interrupts::on(SPURIOUS_VECTOR, Some(|_| ()));
    write(register::SPURIOUS, 0x100 | u32::from(SPURIOUS_VECTOR));
    write(register::TPR, 0);
}

/// Whether CPUID shows x2APIC mode.
#[must_use]
pub fn has_x2apic() -> bool {
    cpuid(1).ecx >> 21 & 1 == 1
}

/// Whether CPUID shows the TSC-deadline timer.
#[must_use]
pub fn has_deadline() -> bool {
    cpuid(1).ecx >> 24 & 1 == 1
}

/// Goes to x2APIC mode.
pub fn enter_x2apic() {
    wrmsr(
        IA32_APIC_BASE,
        rdmsr(IA32_APIC_BASE) | BASE_ENABLE | BASE_X2APIC,
    );
    X2APIC.store(true);
}

/// Goes back to xAPIC mode: through the disabled state, there is no other way.
pub fn leave_x2apic() {
    let base = rdmsr(IA32_APIC_BASE) & !(BASE_ENABLE | BASE_X2APIC);
    wrmsr(IA32_APIC_BASE, base);
    wrmsr(IA32_APIC_BASE, base | BASE_ENABLE);
    X2APIC.store(false);
}

/// Ends the interrupt in service.
pub fn eoi() {
    write(register::EOI, 0);
}

/// Starts the timer: `mode` 0 (one-shot) or `PERIODIC`; `count` ticks divided by 1.
pub fn start_timer(vector: u8, mode: u32, count: u32) {
    write(register::DIVIDE, BY_ONE);
    write(register::TIMER, u32::from(vector) | mode);
    write(register::INITIAL_COUNT, count);
}

/// Stops the timer.
pub fn stop_timer() {
    write(register::TIMER, MASKED);
    write(register::INITIAL_COUNT, 0);
}

/// Arms the TSC-deadline timer for the moment when the counter reaches `tsc`.
pub fn start_deadline(vector: u8, tsc: u64) {
    write(register::TIMER, u32::from(vector) | DEADLINE);
    // SDM 3A "TSC-Deadline Mode": in xAPIC mode the write to memory must come first.
    execute!("mfence");
    wrmsr(IA32_TSC_DEADLINE, tsc);
}
