//! The registers of a local APIC by number: the offset in the xAPIC page divided by 16, and the
//! x2APIC MSR less 0x800 (SDM 3A "Local APIC Register Address Map").

use super::{Lapic, MASKED, error};
use spec::apic::Register;

/// The size of the xAPIC page, in bytes.
pub const PAGE: u64 = 4096;

/// The register does not exist, or does not take this value: #GP in x2APIC mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessError;

const fn number(register: Register) -> u16 {
    register.0 >> 4
}

const ID: u16 = number(Register::ID);
const VERSION: u16 = number(Register::VERSION);
const TASK_PRIORITY: u16 = number(Register::TPR);
const ARBITRATION_PRIORITY: u16 = number(Register::APR);
const PROCESSOR_PRIORITY: u16 = number(Register::PPR);
const END_OF_INTERRUPT: u16 = number(Register::EOI);
const REMOTE_READ: u16 = number(Register::RRD);
const LOGICAL_DESTINATION: u16 = number(Register::LDR);
const DESTINATION_FORMAT: u16 = number(Register::DFR);
const SPURIOUS: u16 = number(Register::SVR);
const IN_SERVICE: u16 = number(Register::ISR);
const TRIGGER_MODE: u16 = number(Register::TMR);
const REQUESTS: u16 = number(Register::IRR);
const ERROR_STATUS: u16 = number(Register::ESR);
const COMMAND: u16 = number(Register::ICR);
const COMMAND_HIGH: u16 = number(Register::ICR_HIGH);
const LVT_TIMER: u16 = number(Register::LVT_TIMER);
const LVT_THERMAL: u16 = number(Register::LVT_THERMAL);
const LVT_LINT0: u16 = number(Register::LVT_LINT0);
const LVT_LINT1: u16 = number(Register::LVT_LINT1);
const LVT_ERROR: u16 = number(Register::LVT_ERROR);
const INITIAL_COUNT: u16 = number(Register::INITIAL_COUNT);
const CURRENT_COUNT: u16 = number(Register::CURRENT_COUNT);
const DIVIDE: u16 = number(Register::DIVIDE_CONFIGURATION);
const SELF_IPI: u16 = number(Register::SELF_IPI);

/// Version 0x14, six LVT entries (none for CMCI, as IA32_MCG_CAP has none), no suppression of EOI broadcasts.
const VERSION_VALUE: u32 = 5 << 16 | 0x14;
/// What an LVT entry other than those below takes: vector, delivery mode, mask.
const LVT_BITS: u32 = 0x0001_07ff;
/// A pin has a polarity and a trigger mode too.
const LVT_LINT_BITS: u32 = LVT_BITS | 0xa000;
/// Delivery status, and a pin's Remote IRR: read only, and so no error to write.
const LVT_READ_ONLY: u32 = 1 << 12;
const LVT_LINT_READ_ONLY: u32 = LVT_READ_ONLY | 1 << 14;
/// An error has a vector and a mask, and is always a fixed interrupt.
const LVT_ERROR_BITS: u32 = 0x0001_00ff;
const LVT_TIMER_BITS: u32 = 0x0007_00ff;
const SPURIOUS_BITS: u32 = 0x0000_01ff;
const COMMAND_BITS: u64 = 0x000c_cfff;

impl Lapic {
    /// Reads a 32-bit register of the xAPIC page; reserved ones read zero, and are an error.
    pub fn read_page(&mut self, register: u16, now: u64) -> u32 {
        self.look_at_page(register, now)
            .unwrap_or_else(|AccessError| {
                self.detect(error::ILLEGAL_REGISTER);
                0
            })
    }

    /// What is in a 32-bit register of the xAPIC page, if there is one.
    pub fn look_at_page(&self, register: u16, now: u64) -> Result<u32, AccessError> {
        Ok(match register {
            ID => self.id << 24,
            COMMAND_HIGH => (self.registers.command >> 32) as u32,
            DESTINATION_FORMAT => self.registers.destination_format,
            ARBITRATION_PRIORITY => self.processor_priority().into(),
            REMOTE_READ | END_OF_INTERRUPT => 0,
            _ => return self.read(register, now).map(|value| value as u32),
        })
    }

    /// Writes a 32-bit register of the xAPIC page; reserved and read-only ones ignore it.
    pub fn write_page(&mut self, register: u16, value: u32, now: u64) {
        match register {
            COMMAND => {
                self.registers.command =
                    self.registers.command >> 32 << 32 | u64::from(value) & COMMAND_BITS;
                self.send();
            }
            COMMAND_HIGH => {
                self.registers.command =
                    self.registers.command & 0xffff_ffff | u64::from(value & 0xff00_0000) << 32
            }
            DESTINATION_FORMAT => {
                self.registers.destination_format = value | 0x0fff_ffff;
                self.publish();
            }
            LOGICAL_DESTINATION => {
                self.registers.logical_destination = value & 0xff00_0000;
                self.publish();
            }
            END_OF_INTERRUPT => {
                self.end_of_interrupt();
            }
            ERROR_STATUS => {
                self.registers.error_status = core::mem::take(&mut self.registers.errors)
            }
            ID | ARBITRATION_PRIORITY | REMOTE_READ => {}
            _ => {
                let is_reserved =
                    self.write(register, value, now).is_err() && self.read(register, now).is_err();
                if is_reserved {
                    self.detect(error::ILLEGAL_REGISTER);
                }
            }
        }
    }

    /// Reads an x2APIC MSR, by its number less 0x800.
    pub fn read_msr(&self, register: u16, now: u64) -> Result<u64, AccessError> {
        match register {
            ID => Ok(self.id.into()),
            _ => self.read(register, now),
        }
    }

    /// Writes an x2APIC MSR, by its number less 0x800.
    pub fn write_msr(&mut self, register: u16, value: u64, now: u64) -> Result<(), AccessError> {
        if register == COMMAND {
            return self.write_command(value);
        }
        let value = u32::try_from(value).map_err(|_| AccessError)?;
        match register {
            END_OF_INTERRUPT | ERROR_STATUS if value != 0 => return Err(AccessError),
            END_OF_INTERRUPT => {
                self.end_of_interrupt();
            }
            ERROR_STATUS => {
                self.registers.error_status = core::mem::take(&mut self.registers.errors)
            }
            SELF_IPI if value > 0xff => return Err(AccessError),
            SELF_IPI => self.send_to_self(value as u8),
            _ if value & !(writable_bits(register) | read_only_bits(register)) != 0 => {
                return Err(AccessError);
            }
            _ => return self.write(register, value, now),
        }
        Ok(())
    }

    /// Writes the x2APIC's ICR, which sends.
    pub fn write_command(&mut self, command: u64) -> Result<(), AccessError> {
        if command & 0xffff_ffff & !COMMAND_BITS != 0 {
            return Err(AccessError);
        }
        self.registers.command = command;
        self.send();
        Ok(())
    }

    /// IA32_TSC_DEADLINE.
    #[must_use]
    pub fn tsc_deadline(&self) -> u64 {
        self.registers.timer.tsc_deadline()
    }

    /// Writes IA32_TSC_DEADLINE.
    pub fn set_tsc_deadline(&mut self, deadline: u64) {
        self.registers.timer.set_tsc_deadline(deadline);
    }

    fn read(&self, register: u16, now: u64) -> Result<u64, AccessError> {
        let value = match register {
            VERSION => VERSION_VALUE,
            TASK_PRIORITY => self.registers.task_priority.into(),
            PROCESSOR_PRIORITY => self.processor_priority().into(),
            LOGICAL_DESTINATION => self.registers.logical_destination,
            SPURIOUS => self.registers.spurious,
            IN_SERVICE..=0x17 => self.registers.in_service.register(register - IN_SERVICE),
            TRIGGER_MODE..=0x1f => self.registers.levels.register(register - TRIGGER_MODE),
            REQUESTS..=0x27 => self.registers.requests.register(register - REQUESTS),
            ERROR_STATUS => self.registers.error_status,
            COMMAND if self.is_x2apic() => return Ok(self.registers.command),
            COMMAND => self.registers.command as u32,
            LVT_TIMER => self.registers.timer.vector_entry,
            LVT_THERMAL..=LVT_ERROR => self.registers.local_vectors[local_vector(register)],
            INITIAL_COUNT => self.registers.timer.initial_count(),
            CURRENT_COUNT => self.registers.timer.current_count(now),
            DIVIDE => self.registers.timer.divide(),
            _ => return Err(AccessError),
        };
        Ok(value.into())
    }

    fn write(&mut self, register: u16, value: u32, now: u64) -> Result<(), AccessError> {
        let value = value & writable_bits(register);
        match register {
            TASK_PRIORITY => self.set_task_priority(value as u8),
            SPURIOUS => self.set_spurious(value),
            LVT_TIMER => self
                .registers
                .timer
                .set_vector_entry(value | self.forced_mask()),
            LVT_LINT0 => self.set_lint0(value | self.forced_mask()),
            LVT_THERMAL..=LVT_ERROR => {
                self.registers.local_vectors[local_vector(register)] = value | self.forced_mask();
            }
            INITIAL_COUNT => self.registers.timer.set_initial_count(value, now),
            DIVIDE => self.registers.timer.set_divide(value, now),
            _ => return Err(AccessError),
        }
        Ok(())
    }

    /// While the APIC is disabled by software, the LVT's mask bits stay set.
    fn forced_mask(&self) -> u32 {
        if self.registers.spurious & super::SOFTWARE_ENABLE == 0 {
            MASKED
        } else {
            0
        }
    }

    fn set_spurious(&mut self, value: u32) {
        self.registers.spurious = value;
        let mask = self.forced_mask();
        self.registers.timer.vector_entry |= mask;
        for entry in &mut self.registers.local_vectors {
            *entry |= mask;
        }
        self.publish();
    }
}

fn local_vector(register: u16) -> usize {
    usize::from(register - LVT_THERMAL)
}

fn read_only_bits(register: u16) -> u32 {
    match register {
        LVT_LINT0 | LVT_LINT1 => LVT_LINT_READ_ONLY,
        LVT_TIMER..=LVT_ERROR => LVT_READ_ONLY,
        _ => 0,
    }
}

fn writable_bits(register: u16) -> u32 {
    match register {
        TASK_PRIORITY => 0xff,
        SPURIOUS => SPURIOUS_BITS,
        LVT_TIMER => LVT_TIMER_BITS,
        LVT_ERROR => LVT_ERROR_BITS,
        LVT_LINT0 | LVT_LINT1 => LVT_LINT_BITS,
        LVT_THERMAL..=LVT_ERROR => LVT_BITS,
        INITIAL_COUNT => u32::MAX,
        DIVIDE => 0b1011,
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
