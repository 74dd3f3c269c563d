//! RDMSR and WRMSR. Registers that the engine switches go through without an exit
//! ([`PASSTHROUGH`]); the others are decided here, and one that nobody knows raises #GP(0).

mod model;

use super::table::Verdict;
use super::{Exit, cpuid};
use crate::device::lapic::{PAGE, base};
use crate::machine::{Gpr, Reg};
use crate::msrs::{FIXED_RANGES, MISC_ENABLE_FIXED, MISC_ENABLE_WRITABLE, VARIABLE_RANGES};
use crate::pvclock;
use crate::vcpu::Vcpu;
use spec::addr::L1Gpa;
use spec::apic::Register;
use spec::control_registers::Cr0;
use spec::msr::{Efer, Msr};

/// Registers that the engine keeps for each virtual CPU: (number, read, write). The time-stamp
/// counter is not among them: QEMU's TCG has RDTSC, and reads the register as 0.
pub const PASSTHROUGH: &[(Msr, bool, bool)] = &[
    (Msr::IA32_FS_BASE, true, true),
    (Msr::IA32_GS_BASE, true, true),
    (Msr::IA32_KERNEL_GS_BASE, true, true),
    (Msr::IA32_STAR, true, true),
    (Msr::IA32_LSTAR, true, true),
    (Msr::IA32_CSTAR, true, true),
    (Msr::IA32_FMASK, true, true),
    (Msr::IA32_SYSENTER_CS, true, true),
    (Msr::IA32_SYSENTER_ESP, true, true),
    (Msr::IA32_SYSENTER_EIP, true, true),
];

/// The access raises #GP(0).
struct Refused;

/// RDMSR.
pub(super) fn read(_: &Exit, v: &mut Vcpu) -> Verdict {
    let msr = Msr(v.gprs[Gpr::Rcx] as u32);
    match get(v, msr) {
        Ok(value) => {
            let gprs = &mut v.gprs;
            gprs[Gpr::Rax] = value & 0xffff_ffff;
            gprs[Gpr::Rdx] = value >> 32;
            Verdict::Next
        }
        Err(Refused) => refuse(v, "read", msr),
    }
}

/// WRMSR.
pub(super) fn write(_: &Exit, v: &mut Vcpu) -> Verdict {
    let gprs = &v.gprs;
    let msr = Msr(gprs[Gpr::Rcx] as u32);
    let value = gprs[Gpr::Rdx] << 32 | gprs[Gpr::Rax] & 0xffff_ffff;
    // Interrupts end here and IPIs begin: nothing is written as often.
    let written = match msr {
        Msr(FIRST_X2APIC..=LAST_X2APIC) => x2apic_write(v, msr, value),
        _ => set(v, msr, value),
    };
    match written {
        Ok(()) => Verdict::Next,
        Err(Refused) => refuse(v, "write", msr),
    }
}

#[cold]
fn refuse(v: &Vcpu, access: &str, msr: Msr) -> Verdict {
    log::debug!("guest {}: refused {access} of {msr}", v.guest.number);
    Verdict::GP
}

const MTRR_WRITE_BACK: u8 = 6;
/// IA32_MTRRCAP: the number of variable ranges, fixed ranges, write combining.
const MTRRCAP: u64 = VARIABLE_RANGES as u64 | 1 << 8 | 1 << 10;
const FIRST_VARIABLE: u32 = Msr::IA32_MTRR_PHYSBASE0.0;
const LAST_VARIABLE: u32 = FIRST_VARIABLE + 2 * VARIABLE_RANGES as u32 - 1;
const FIRST_X2APIC: u32 = spec::apic::X2APIC_FIRST.0;
const LAST_X2APIC: u32 = spec::apic::X2APIC_LAST.0;

fn get(v: &mut Vcpu, msr: Msr) -> Result<u64, Refused> {
    Ok(match msr {
        Msr::IA32_EFER => v.engine.reg(Reg::Efer),
        Msr::IA32_APIC_BASE => v.lapic.base(),
        Msr(FIRST_X2APIC..=LAST_X2APIC) => return x2apic_read(v, msr),
        Msr::IA32_TSC_DEADLINE => tsc_deadline(v),
        Msr::IA32_TIME_STAMP_COUNTER => v.host.machine.now().wrapping_add(v.msrs.tsc_offset),
        Msr::IA32_PAT => v.engine.reg(Reg::Pat),
        Msr::IA32_MTRRCAP => MTRRCAP,
        Msr::IA32_MTRR_DEF_TYPE => v.msrs.mtrr_default_type,
        Msr(n @ FIRST_VARIABLE..=LAST_VARIABLE) => {
            v.msrs.variable_ranges[(n - FIRST_VARIABLE) as usize]
        }
        Msr::IA32_MISC_ENABLE => v.msrs.misc_enable,
        Msr::IA32_BIOS_SIGN_ID | Msr::IA32_PLATFORM_ID | Msr::IA32_MCG_STATUS => 0,
        Msr::IA32_MCG_CAP => model::MCG_CAP,
        Msr::IA32_TSC_ADJUST if cpuid::has_tsc_adjust(v) => v.msrs.tsc_offset,
        Msr::KVM_WALL_CLOCK => v.msrs.wall_clock,
        Msr::KVM_SYSTEM_TIME => v.msrs.system_time,
        Msr::IA32_DEBUGCTL => v.engine.reg(Reg::Debugctl),
        Msr::IA32_TSC_AUX if cpuid::has_tsc_aux(v) => v.engine.reg(Reg::TscAux),
        _ => {
            return match fixed_range(msr) {
                Some(n) => Ok(v.msrs.fixed_ranges[n]),
                None => model::get(v, msr),
            };
        }
    })
}

#[inline(never)]
fn set(v: &mut Vcpu, msr: Msr, value: u64) -> Result<(), Refused> {
    match msr {
        Msr::IA32_EFER => return set_efer(v, value),
        Msr::IA32_APIC_BASE => return set_apic_base(v, value),
        Msr::IA32_TSC_DEADLINE => set_tsc_deadline(v, value),
        Msr::IA32_TIME_STAMP_COUNTER => set_tsc(v, value),
        Msr::IA32_PAT => store_if(is_pat(value), || v.engine.set_reg(Reg::Pat, value))?,
        Msr::IA32_MTRR_DEF_TYPE => {
            store_if(is_mtrr_default_type(value), || {
                v.msrs.mtrr_default_type = value
            })?;
        }
        Msr(n @ FIRST_VARIABLE..=LAST_VARIABLE) => {
            let slot = (n - FIRST_VARIABLE) as usize;
            let bits = v.host.machine.capabilities().physical_address_bits;
            store_if(is_variable_range(slot, value, bits), || {
                v.msrs.variable_ranges[slot] = value
            })?;
        }
        Msr::IA32_MISC_ENABLE => {
            let valid = value & !(MISC_ENABLE_FIXED | MISC_ENABLE_WRITABLE) == 0;
            store_if(valid, || v.msrs.misc_enable = value | MISC_ENABLE_FIXED)?;
        }
        Msr::IA32_TSC_ADJUST if cpuid::has_tsc_adjust(v) => set_tsc_offset(v, value),
        Msr::KVM_WALL_CLOCK | Msr::KVM_SYSTEM_TIME => return set_pvclock(v, msr, value),
        Msr::IA32_BIOS_SIGN_ID => store_if(value == 0, || ())?,
        Msr::IA32_MCG_STATUS => store_if(value == 0, || ())?,
        Msr::IA32_DEBUGCTL => store_if(value == 0, || ())?,
        Msr::IA32_TSC_AUX => return set_tsc_aux(v, value),
        _ => {
            let Some(n) = fixed_range(msr) else {
                return model::set(v, msr, value);
            };
            store_if(value.to_le_bytes().into_iter().all(is_memory_type), || {
                v.msrs.fixed_ranges[n] = value
            })?;
        }
    }
    Ok(())
}

/// Where the paravirtual clock is to be written: an address aligned to 4, and for the system time a bit that enables it.
fn set_pvclock(v: &mut Vcpu, msr: Msr, value: u64) -> Result<(), Refused> {
    if msr == Msr::KVM_WALL_CLOCK {
        store_if(value.is_multiple_of(4), || v.msrs.wall_clock = value)?;
        pvclock::write_wall_clock(v, value);
    } else {
        let at = value & !pvclock::ENABLE;
        store_if(at.is_multiple_of(4), || v.msrs.system_time = value)?;
        pvclock::write_system_time(v);
    }
    Ok(())
}

/// A write of the counter adds to IA32_TSC_ADJUST what it adds to the counter (SDM 3B "IA32_TSC_ADJUST MSR").
fn set_tsc(v: &mut Vcpu, value: u64) {
    set_tsc_offset(v, value.wrapping_sub(v.host.machine.now()));
}

/// The deadline is a value of the counter, and stays that value.
fn set_tsc_offset(v: &mut Vcpu, offset: u64) {
    let deadline = tsc_deadline(v);
    v.msrs.tsc_offset = offset;
    v.engine.set_tsc_offset(v.msrs.tsc_offset);
    set_tsc_deadline(v, deadline);
    pvclock::write_system_time(v);
}

fn store_if(valid: bool, store: impl FnOnce()) -> Result<(), Refused> {
    if !valid {
        return Err(Refused);
    }
    store();
    Ok(())
}

fn set_tsc_aux(v: &mut Vcpu, value: u64) -> Result<(), Refused> {
    let valid = cpuid::has_tsc_aux(v) && value >> 32 == 0;
    store_if(valid, || v.engine.set_reg(Reg::TscAux, value))
}

fn fixed_range(msr: Msr) -> Option<usize> {
    FIXED_RANGES.iter().position(|&fixed| fixed == msr)
}

/// SDM 3A "Relocating the Local APIC Registers". The page cannot go to where RAM is: that is mapped, and would be seen.
fn set_apic_base(v: &mut Vcpu, value: u64) -> Result<(), Refused> {
    let has_page = value & (base::ENABLE | base::X2APIC) == base::ENABLE;
    let is_ram = v.guest.ram.hpa(L1Gpa(value).align_down(PAGE), PAGE).is_ok();
    let is_wide = value >> v.host.machine.capabilities().physical_address_bits != 0;
    if is_wide || has_page && is_ram {
        return Err(Refused);
    }
    v.lapic.set_base(value).map_err(|_| Refused)
}

/// In the guest's TSC, which is ours plus the offset. 0 is none.
fn tsc_deadline(v: &Vcpu) -> u64 {
    match v.lapic.tsc_deadline() {
        0 => 0,
        ours => ours.wrapping_add(v.msrs.tsc_offset),
    }
}

fn set_tsc_deadline(v: &mut Vcpu, deadline: u64) {
    let now = v.host.machine.now();
    let left = deadline.saturating_sub(now.wrapping_add(v.msrs.tsc_offset));
    v.lapic.set_tsc_deadline(match deadline {
        0 => 0,
        _ => now.saturating_add(left),
    });
}

fn x2apic_read(v: &mut Vcpu, msr: Msr) -> Result<u64, Refused> {
    if !v.lapic.is_x2apic() {
        return Err(Refused);
    }
    let now = v.host.machine.now();
    v.lapic
        .read_msr((msr.0 - FIRST_X2APIC) as u16, now)
        .map_err(|_| Refused)
}

/// A write of the ICR: what it sends may come back to the sender, and mostly does not.
fn send(v: &mut Vcpu, command: u64) -> Result<(), Refused> {
    let sent = v.lapic.quietly().write_command(command);
    if v.lapic.has_requests() || v.has_mail() {
        v.lapic.touch();
    }
    sent.map_err(|_| Refused)
}

fn x2apic_write(v: &mut Vcpu, msr: Msr, value: u64) -> Result<(), Refused> {
    if !v.lapic.is_x2apic() {
        return Err(Refused);
    }
    const END_OF_INTERRUPT: u16 = Register::EOI.0 >> 4;
    const COMMAND: u16 = Register::ICR.0 >> 4;
    const INITIAL_COUNT: u16 = Register::INITIAL_COUNT.0 >> 4;
    const DIVIDE: u16 = Register::DIVIDE_CONFIGURATION.0 >> 4;
    let register = (msr.0 - FIRST_X2APIC) as u16;
    if register == END_OF_INTERRUPT && value == 0 {
        if v.lapic.quietly().end_of_interrupt() {
            v.lapic.touch();
        }
        return Ok(());
    }
    if register == COMMAND {
        return send(v, value);
    }
    // Of all registers only these look at the clock.
    let now = match register {
        INITIAL_COUNT | DIVIDE => v.host.machine.now(),
        _ => 0,
    };
    v.lapic.write_msr(register, value, now).map_err(|_| Refused)
}

/// SDM 3A "IA32_EFER MSR": reserved bits and a change of LME while paging raise #GP; LMA is read-only.
fn set_efer(v: &mut Vcpu, value: u64) -> Result<(), Refused> {
    const KNOWN: Efer = Efer::SCE.union(Efer::LME).union(Efer::LMA).union(Efer::NXE);
    let (old, new) = (v.engine.reg(Reg::Efer), Efer::from_bits_retain(value));
    let paging = v.engine.reg(Reg::Cr0) & Cr0::PG.bits() != 0;
    let lme_changes = (old ^ value) & Efer::LME.bits() != 0;
    if !KNOWN.contains(new) || (paging && lme_changes) {
        return Err(Refused);
    }
    let lma = old & Efer::LMA.bits();
    v.engine.set_reg(Reg::Efer, value & !Efer::LMA.bits() | lma);
    Ok(())
}

fn is_memory_type(kind: u8) -> bool {
    matches!(kind, 0 | 1 | 4 | 5 | MTRR_WRITE_BACK)
}

fn is_pat(value: u64) -> bool {
    const UNCACHED_MINUS: u8 = 7;
    value
        .to_le_bytes()
        .into_iter()
        .all(|kind| is_memory_type(kind) || kind == UNCACHED_MINUS)
}

fn is_mtrr_default_type(value: u64) -> bool {
    const ENABLES: u64 = 0b11 << 10;
    value & !(ENABLES | 0xff) == 0 && is_memory_type(value as u8)
}

/// Even slots are bases with a type, odd ones masks with a valid bit.
fn is_variable_range(slot: usize, value: u64, physical_address_bits: u8) -> bool {
    const VALID: u64 = 1 << 11;
    let address = ((1u64 << physical_address_bits) - 1) & !0xfff;
    match slot % 2 {
        0 => value & !(address | 0xff) == 0 && is_memory_type(value as u8),
        _ => value & !(address | VALID) == 0,
    }
}

#[cfg(test)]
mod tests;
