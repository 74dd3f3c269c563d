//! The local APIC of one virtual CPU, seen through the xAPIC page or the x2APIC MSRs
//! (SDM 3A "Advanced Programmable Interrupt Controller (APIC)").

mod registers;
mod timer;
mod vectors;

pub use registers::{AccessError, PAGE};
use spec::apic::{Lvt, Svr};
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

/// A virtual local APIC.
#[derive(Debug)]
pub struct Lapic {
    id: u32,
    base: u64,
    task_priority: u8,
    spurious: u32,
    logical_destination: u32,
    destination_format: u32,
    error_status: u32,
    errors: u32,
    command: u64,
    /// LVT entries other than the timer's: CMCI, thermal, performance, LINT0, LINT1, error.
    local_vectors: [u32; 6],
    timer: Timer,
    requests: Vectors,
    in_service: Vectors,
    nmi: bool,
}

/// Flags of the error status register (SDM 3A "Error Handling").
mod error {
    pub(super) const SEND_ILLEGAL_VECTOR: u32 = 1 << 5;
    pub(super) const RECEIVE_ILLEGAL_VECTOR: u32 = 1 << 6;
    pub(super) const ILLEGAL_REGISTER: u32 = 1 << 7;
}

/// The lowest vector of an interrupt; those below are the exceptions' alone.
const LOWEST_VECTOR: u8 = 16;
/// Where the error entry is in [`Lapic::local_vectors`].
const ERROR_ENTRY: usize = 5;
const MASKED: u32 = Lvt::MASKED.bits();
const SOFTWARE_ENABLE: u32 = Svr::ENABLE.bits();

impl Lapic {
    /// The APIC of virtual CPU `id` after reset.
    #[must_use]
    pub fn new(id: u32) -> Self {
        Self {
            id,
            base: base::ADDRESS | base::ENABLE | if id == 0 { base::BSP } else { 0 },
            task_priority: 0,
            spurious: 0xff,
            logical_destination: 0,
            destination_format: u32::MAX,
            error_status: 0,
            errors: 0,
            command: 0,
            local_vectors: [MASKED; 6],
            timer: Timer::default(),
            requests: Vectors::default(),
            in_service: Vectors::default(),
            nmi: false,
        }
    }

    /// IA32_APIC_BASE.
    #[must_use]
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Writes IA32_APIC_BASE. Refused: reserved bits, another address, and the transitions that
    /// SDM 3A "x2APIC State Transitions" calls invalid.
    pub fn set_base(&mut self, value: u64) -> Result<(), AccessError> {
        let known = base::BSP | base::X2APIC | base::ENABLE;
        let state = |v: u64| (v & base::ENABLE != 0, v & base::X2APIC != 0);
        let legal = match (state(self.base), state(value)) {
            (_, (false, true)) | ((true, true), (true, false)) | ((false, false), (true, true)) => {
                false
            }
            _ => value & !known == base::ADDRESS,
        };
        if !legal {
            return Err(AccessError);
        }
        if value & base::ENABLE == 0 {
            *self = Self::new(self.id);
        }
        self.base = value & !base::BSP | self.base & base::BSP;
        if self.is_x2apic() {
            self.logical_destination = (self.id >> 4) << 16 | 1 << (self.id & 0xf);
        }
        Ok(())
    }

    /// It is enabled and in x2APIC mode.
    #[must_use]
    pub fn is_x2apic(&self) -> bool {
        self.base & (base::ENABLE | base::X2APIC) == base::ENABLE | base::X2APIC
    }

    /// It is enabled and its page is at [`base::ADDRESS`].
    #[must_use]
    pub fn is_xapic(&self) -> bool {
        self.base & (base::ENABLE | base::X2APIC) == base::ENABLE
    }

    /// The TSC at which the timer next fires.
    #[inline]
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.timer.deadline()
    }

    /// Fires the timer if its time has come.
    pub fn advance(&mut self, now: u64) {
        if self.timer.expire(now) && self.timer.vector_entry & MASKED == 0 {
            self.request(self.timer.vector_entry as u8);
        }
    }

    /// Asks for a fixed interrupt.
    pub fn request(&mut self, vector: u8) {
        if vector < LOWEST_VECTOR {
            self.detect(error::RECEIVE_ILLEGAL_VECTOR);
        } else if self.spurious & SOFTWARE_ENABLE != 0 && self.base & base::ENABLE != 0 {
            self.requests.set(vector);
        }
    }

    /// An error, for the next write of ESR to show. The first since the last such write interrupts, if the LVT's
    /// entry is not masked (SDM 3A "Error Handling").
    fn detect(&mut self, error: u32) {
        let is_first = self.errors == 0;
        self.errors |= error;
        let entry = self.local_vectors[ERROR_ENTRY];
        if is_first && entry & MASKED == 0 {
            self.request(entry as u8);
        }
    }

    /// The interrupt that the processor should take now, if it can take one: the highest request
    /// whose priority class is above the processor priority.
    #[inline]
    #[must_use]
    pub fn pending_interrupt(&self) -> Option<u8> {
        self.requests
            .highest()
            .filter(|vector| vector & 0xf0 > self.processor_priority() & 0xf0)
    }

    /// The processor takes this interrupt.
    pub fn acknowledge(&mut self, vector: u8) {
        self.requests.clear(vector);
        self.in_service.set(vector);
    }

    /// Takes the NMI that was asked for, if one was.
    #[inline]
    pub fn take_nmi(&mut self) -> bool {
        core::mem::take(&mut self.nmi)
    }

    /// An NMI was asked for.
    #[inline]
    #[must_use]
    pub fn has_nmi(&self) -> bool {
        self.nmi
    }

    /// The task priority's class: what CR8 reads.
    #[must_use]
    pub fn cr8(&self) -> u8 {
        self.task_priority >> 4
    }

    /// Writes CR8.
    pub fn set_cr8(&mut self, class: u8) {
        self.task_priority = class << 4;
    }

    fn processor_priority(&self) -> u8 {
        let serving = self.in_service.highest().unwrap_or(0);
        if self.task_priority & 0xf0 >= serving & 0xf0 {
            self.task_priority
        } else {
            serving & 0xf0
        }
    }

    fn end_of_interrupt(&mut self) {
        if let Some(vector) = self.in_service.highest() {
            self.in_service.clear(vector);
        }
    }

    /// Sends what ICR says. There is one virtual CPU: an IPI reaches it or nobody. The sender looks at the
    /// vector, whoever the IPI is for.
    fn send(&mut self) {
        const FIXED: u64 = 0;
        const LOWEST_PRIORITY: u64 = 1;
        const NMI: u64 = 4;
        let vector = self.command as u8;
        match self.command >> 8 & 7 {
            FIXED | LOWEST_PRIORITY if vector < LOWEST_VECTOR => {
                self.detect(error::SEND_ILLEGAL_VECTOR);
            }
            _ if !self.is_destination() => {}
            FIXED | LOWEST_PRIORITY => self.request(vector),
            NMI => self.nmi = true,
            _ => {}
        }
    }

    /// Sends what is written to SELF IPI, which is sent and received here.
    fn send_to_self(&mut self, vector: u8) {
        if vector < LOWEST_VECTOR {
            self.detect(error::SEND_ILLEGAL_VECTOR);
        }
        self.request(vector);
    }

    fn is_destination(&self) -> bool {
        const LOGICAL: u64 = 1 << 11;
        match self.command >> 18 & 3 {
            1 | 2 => true,
            3 => false,
            _ if self.command & LOGICAL != 0 => self.is_logical_destination(),
            _ if self.is_x2apic() => {
                matches!((self.command >> 32) as u32, u32::MAX)
                    || (self.command >> 32) as u32 == self.id
            }
            _ => {
                matches!((self.command >> 56) as u8, 0xff) || (self.command >> 56) as u32 == self.id
            }
        }
    }

    /// SDM 3A "Logical Destination Mode": flat and cluster model, and the x2APIC's own.
    fn is_logical_destination(&self) -> bool {
        const FLAT: u32 = 0xf;
        if self.is_x2apic() {
            let (to, own) = ((self.command >> 32) as u32, self.logical_destination);
            return to == u32::MAX || (to >> 16 == own >> 16 && to & own & 0xffff != 0);
        }
        let (to, own) = (
            (self.command >> 56) as u8,
            (self.logical_destination >> 24) as u8,
        );
        match self.destination_format >> 28 {
            FLAT => to & own != 0,
            _ => to == 0xff || (to >> 4 == own >> 4 && to & own & 0xf != 0),
        }
    }
}

#[cfg(test)]
mod tests;
