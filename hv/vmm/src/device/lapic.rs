//! The local APIC of one virtual CPU, seen through the xAPIC page or the x2APIC MSRs
//! (SDM 3A "Advanced Programmable Interrupt Controller (APIC)").

mod command;
mod lint;
mod registers;
mod timer;
mod vectors;

use super::interrupts::Interrupts;
use super::processors::Address;
use alloc::sync::Arc;
pub use registers::{AccessError, PAGE};
use spec::apic::{DeliveryMode, Lvt, Svr};
use timer::Timer;
use vectors::Vectors;

/// What [`Lapic::base`] holds: IA32_APIC_BASE (SDM 3A "Local APIC Status and Location").
pub mod base {
    /// This is the processor that booted the system.
    pub const BSP: u64 = 1 << 8;
    /// x2APIC mode.
    pub const X2APIC: u64 = 1 << 10;
    /// The APIC is enabled.
    pub const ENABLE: u64 = 1 << 11;
    /// The default address of the xAPIC page.
    pub const ADDRESS: u64 = spec::apic::DEFAULT_BASE;
}

/// An interrupt that the processor can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// One of the APIC's own.
    Vector(u8),
    /// The 8259's, whose vector comes when it is acknowledged.
    External,
}

/// A virtual local APIC.
pub struct Lapic {
    interrupts: Arc<Interrupts>,
    id: u32,
    base: u64,
    registers: State,
    /// INIT was asked for.
    init: bool,
    /// A startup IPI came, with this vector.
    startup: Option<u8>,
    /// How many NMIs wait: one is held for each that runs and one besides.
    nmis: u8,
    /// How often LINT0 had risen when it was last looked at.
    lint0_rises: u32,
}

/// What INIT resets.
#[derive(Debug)]
struct State {
    task_priority: u8,
    spurious: u32,
    logical_destination: u32,
    destination_format: u32,
    error_status: u32,
    errors: u32,
    command: u64,
    /// LVT entries other than the timer's: thermal, performance, LINT0, LINT1, error.
    local_vectors: [u32; 5],
    timer: Timer,
    requests: Vectors,
    in_service: Vectors,
    /// Those that are level triggered: the TMR.
    levels: Vectors,
}

impl Default for State {
    fn default() -> Self {
        Self {
            task_priority: 0,
            spurious: 0xff,
            logical_destination: 0,
            destination_format: u32::MAX,
            error_status: 0,
            errors: 0,
            command: 0,
            local_vectors: [MASKED; 5],
            timer: Timer::default(),
            requests: Vectors::default(),
            in_service: Vectors::default(),
            levels: Vectors::default(),
        }
    }
}

/// Flags of the error status register (SDM 3A "Error Handling").
mod error {
    pub(super) const SEND_ILLEGAL_VECTOR: u32 = 1 << 5;
    pub(super) const RECEIVE_ILLEGAL_VECTOR: u32 = 1 << 6;
    pub(super) const ILLEGAL_REGISTER: u32 = 1 << 7;
}

/// The lowest vector of an interrupt; those below are the exceptions' alone.
const LOWEST_VECTOR: u8 = 16;
/// The most NMIs that wait: one to be taken, and one that comes before its handler ends.
const NMIS_MOST: u8 = 2;
/// Where LINT0's entry is in [`State::local_vectors`]; LINT1's is the next.
const LINT0_ENTRY: usize = 2;
/// Where the error entry is.
const ERROR_ENTRY: usize = 4;
const MASKED: u32 = Lvt::MASKED.bits();
const SOFTWARE_ENABLE: u32 = Svr::ENABLE.bits();

impl Lapic {
    /// The APIC of virtual CPU `id` after reset.
    #[must_use]
    pub fn new(id: u32, interrupts: &Arc<Interrupts>) -> Self {
        let lapic = Self {
            interrupts: interrupts.clone(),
            id,
            base: base::ADDRESS | base::ENABLE | if id == 0 { base::BSP } else { 0 },
            registers: State::default(),
            init: false,
            startup: None,
            nmis: 0,
            lint0_rises: interrupts.intr_rises(),
        };
        lapic.publish();
        lapic
    }

    /// As INIT leaves it: the ID and IA32_APIC_BASE stay (SDM 3A "Local APIC State After It Receives an INIT-Deassert
    /// IPI").
    pub fn reset(&mut self) {
        self.registers = State::default();
        self.nmis = 0;
        self.set_logical_x2apic_id();
        self.publish();
    }

    /// As PC firmware leaves that of the first processor: enabled, with the 8259's output on LINT0 and NMI on LINT1
    /// (MultiProcessor Specification 1.4 "Virtual Wire Mode").
    pub fn set_virtual_wire_mode(&mut self) {
        self.registers.spurious |= SOFTWARE_ENABLE;
        self.registers.local_vectors[LINT0_ENTRY] = u32::from(DeliveryMode::EXTINT.0) << 8;
        self.registers.local_vectors[LINT0_ENTRY + 1] = u32::from(DeliveryMode::NMI.0) << 8;
        self.publish();
    }

    /// Tells the other APICs what this one answers to.
    fn publish(&self) {
        let address = Address {
            logical: self.registers.logical_destination,
            x2apic: self.is_x2apic(),
            cluster: self.registers.destination_format >> 28 != 0xf,
            enabled: self.base & base::ENABLE != 0,
            accepts: self.registers.spurious & SOFTWARE_ENABLE != 0,
            priority: self.registers.task_priority >> 4,
        };
        let processors = &self.interrupts.processors;
        processors.set_address(self.id as usize, address);
    }

    fn set_logical_x2apic_id(&mut self) {
        if self.is_x2apic() {
            self.registers.logical_destination = (self.id >> 4) << 16 | 1 << (self.id & 0xf);
        }
    }

    /// Takes in what came for this virtual CPU.
    pub fn receive(&mut self) {
        let interrupts = self.interrupts.clone();
        let processors = &interrupts.processors;
        let signals = processors.take(self.id as usize, |vector, level| {
            self.request_as(vector, level);
        });
        self.nmis = NMIS_MOST.min(self.nmis + signals.nmis);
        if signals.init {
            (self.init, self.startup) = (true, None);
        }
        self.startup = self.startup.or(signals.startup);
        self.look_at_lint0();
    }

    /// Takes the INIT that was asked for, if one was.
    pub fn take_init(&mut self) -> bool {
        core::mem::take(&mut self.init)
    }

    /// Takes the startup IPI that came, if one did.
    pub fn take_startup(&mut self) -> Option<u8> {
        self.startup.take()
    }

    /// INIT waits to be taken.
    #[must_use]
    pub fn has_init(&self) -> bool {
        self.init
    }

    /// INIT or a startup IPI waits to be taken.
    #[inline]
    #[must_use]
    pub fn has_signal(&self) -> bool {
        self.init || self.startup.is_some()
    }

    /// IA32_APIC_BASE.
    #[must_use]
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Writes IA32_APIC_BASE. Refused: reserved bits below the address, and the transitions that SDM 3A "x2APIC State
    /// Transitions" calls invalid.
    pub fn set_base(&mut self, value: u64) -> Result<(), AccessError> {
        let known = base::BSP | base::X2APIC | base::ENABLE;
        let state = |v: u64| (v & base::ENABLE != 0, v & base::X2APIC != 0);
        let legal = match (state(self.base), state(value)) {
            (_, (false, true)) | ((true, true), (true, false)) | ((false, false), (true, true)) => {
                false
            }
            _ => value & !known & (PAGE - 1) == 0,
        };
        if !legal {
            return Err(AccessError);
        }
        if value & base::ENABLE == 0 {
            self.registers = State::default();
        }
        self.base = value & !base::BSP | self.base & base::BSP;
        self.set_logical_x2apic_id();
        self.publish();
        Ok(())
    }

    /// It is enabled and in x2APIC mode.
    #[must_use]
    pub fn is_x2apic(&self) -> bool {
        self.base & (base::ENABLE | base::X2APIC) == base::ENABLE | base::X2APIC
    }

    /// The address of its page, if it is enabled and in xAPIC mode.
    #[must_use]
    pub fn page(&self) -> Option<u64> {
        let is_xapic = self.base & (base::ENABLE | base::X2APIC) == base::ENABLE;
        is_xapic.then_some(self.base & !(PAGE - 1))
    }

    /// The TSC at which the timer next fires.
    #[inline]
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.registers.timer.deadline()
    }

    /// Fires the timer if its time has come. `least` is the shortest period that it keeps to.
    pub fn advance(&mut self, now: u64, least: u64) {
        if self.registers.timer.expire(now, least)
            && self.registers.timer.vector_entry & MASKED == 0
        {
            self.request(self.registers.timer.vector_entry as u8);
        }
    }

    /// Asks for a fixed, edge-triggered interrupt.
    pub fn request(&mut self, vector: u8) {
        self.request_as(vector, false);
    }

    fn request_as(&mut self, vector: u8, level: bool) {
        if vector < LOWEST_VECTOR {
            self.detect(error::RECEIVE_ILLEGAL_VECTOR);
        } else if self.registers.spurious & SOFTWARE_ENABLE != 0 && self.base & base::ENABLE != 0 {
            self.registers.requests.set(vector);
            match level {
                true => self.registers.levels.set(vector),
                false => self.registers.levels.clear(vector),
            }
        }
    }

    /// An error, for the next write of ESR to show. The first since the last such write interrupts, if the LVT's
    /// entry is not masked (SDM 3A "Error Handling").
    fn detect(&mut self, error: u32) {
        let is_first = self.registers.errors == 0;
        self.registers.errors |= error;
        let entry = self.registers.local_vectors[ERROR_ENTRY];
        if is_first && entry & MASKED == 0 {
            self.request(entry as u8);
        }
    }

    /// The interrupt that the processor should take now, if it can take one: the 8259's, or the highest request whose
    /// priority class is above the processor priority.
    #[inline]
    #[must_use]
    pub fn pending_interrupt(&self) -> Option<Pending> {
        if self.id == 0 && self.interrupts.intr() && self.is_open() {
            return Some(Pending::External);
        }
        let highest = self.registers.requests.highest()?;
        (highest & 0xf0 > self.processor_priority() & 0xf0).then_some(Pending::Vector(highest))
    }

    /// An interrupt was requested, whatever its priority.
    #[inline]
    #[must_use]
    pub fn has_requests(&self) -> bool {
        self.registers.requests.highest().is_some()
    }

    /// The processor takes this interrupt; its vector.
    pub fn acknowledge(&mut self, pending: Pending) -> u8 {
        match pending {
            Pending::Vector(vector) => {
                self.registers.requests.clear(vector);
                self.registers.in_service.set(vector);
                vector
            }
            Pending::External => self.interrupts.acknowledge(),
        }
    }

    /// Takes an NMI that was asked for, if one was.
    #[inline]
    pub fn take_nmi(&mut self) -> bool {
        let has_nmi = self.has_nmi();
        self.nmis -= u8::from(has_nmi);
        has_nmi
    }

    /// While NMIs are blocked, the processor keeps one of those that come.
    pub fn keep_one_nmi(&mut self) {
        self.nmis = self.nmis.min(1);
    }

    /// An NMI was asked for.
    #[inline]
    #[must_use]
    pub fn has_nmi(&self) -> bool {
        self.nmis > 0
    }

    /// The task priority's class: what CR8 reads.
    #[must_use]
    pub fn cr8(&self) -> u8 {
        self.registers.task_priority >> 4
    }

    /// Writes CR8.
    pub fn set_cr8(&mut self, class: u8) {
        self.set_task_priority(class << 4);
    }

    fn set_task_priority(&mut self, priority: u8) {
        self.registers.task_priority = priority;
        self.publish();
    }

    fn processor_priority(&self) -> u8 {
        let serving = self.registers.in_service.highest().unwrap_or(0);
        if self.registers.task_priority & 0xf0 >= serving & 0xf0 {
            self.registers.task_priority
        } else {
            serving & 0xf0
        }
    }

    /// Ends the interrupt in service. Whether something may follow: another that waits, or the same again, as its pin
    /// is still active.
    pub fn end_of_interrupt(&mut self) -> bool {
        let registers = &mut self.registers;
        let mut follows = registers.requests.highest().is_some();
        if let Some(vector) = registers.in_service.highest() {
            registers.in_service.clear(vector);
            if registers.levels.has(vector) {
                self.interrupts.end_of_interrupt(vector);
                self.end_lint0(vector);
                follows = true;
            }
        }
        follows
    }
}

fn delivery_mode(entry: u32) -> DeliveryMode {
    DeliveryMode((entry >> 8 & 7) as u8)
}

#[cfg(test)]
mod tests;
