//! Control registers: MOV to and from CR0, CR4 and CR8, CLTS, LMSW and SMSW, with what the architecture checks
//! and what follows for long mode and PAE paging (SDM 3A "Control Registers", "Switching Out of
//! IA-32e Mode Operation").

use super::table::Verdict;
use super::{CrAccess, CrAccessType, Detail, Exit, cpuid, simple};
use crate::emulate::{fetch, memory, operand};
use crate::machine::{Event, Gpr, Reg, SegmentRegister};
use crate::vcpu::Vcpu;
use iced_x86::{Instruction, Mnemonic, OpKind};
use spec::addr::L1Gpa;
use spec::control_registers::{Cr0, Cr4};
use spec::exception::Vector;
use spec::msr::Efer;
use spec::paging::{Entry, PDPTE_RESERVED};
use spec::segment::AccessRights;

const GP: Event = Event::exception(Vector::GP.0, Some(0));

/// An access to a control register.
pub(super) fn access(x: &Exit, v: &mut Vcpu) -> Verdict {
    let Detail::Cr(cr) = x.detail else {
        return simple::unsupported(x, v);
    };
    match carry_out(cr, v) {
        Ok(true) => Verdict::Next,
        Ok(false) => simple::stop(
            v,
            x,
            "access to a control register in a way that is not known",
        ),
        Err(event) => Verdict::Inject(event),
    }
}

/// False if this is no access that we know.
fn carry_out(cr: CrAccess, v: &mut Vcpu) -> Result<bool, Event> {
    match (cr.number, cr.access) {
        (_, CrAccessType::UnknownWrite | CrAccessType::UnknownRead) => return decoded(v),
        (0, CrAccessType::Clts) => {
            let value = cr0(v);
            set_cr0(v, value.difference(Cr0::TS).bits())?;
        }
        (0, CrAccessType::Lmsw(word)) => lmsw(v, word)?,
        (0, CrAccessType::MovTo(gpr)) => set_cr0(v, source(v, gpr))?,
        (4, CrAccessType::MovTo(gpr)) => set_cr4(v, source(v, gpr))?,
        (8, CrAccessType::MovTo(gpr)) => set_cr8(v, source(v, gpr))?,
        (number, CrAccessType::MovFrom(gpr)) => {
            let Some(value) = shown(v, number) else {
                return Ok(false);
            };
            v.set_gpr(Gpr::from_number(gpr), value);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// What a read of this control register gives.
fn shown(v: &Vcpu, number: u8) -> Option<u64> {
    match number {
        0 => Some(v.engine.reg(Reg::Cr0)),
        4 => Some(v.engine.reg(Reg::Cr4)),
        8 => Some(v.lapic.cr8().into()),
        _ => None,
    }
}

/// Outside 64-bit mode a register has 32 bits.
fn source(v: &Vcpu, gpr: u8) -> u64 {
    let value = v.gpr(Gpr::from_number(gpr));
    if fetch::code_size(v) == 64 {
        value
    } else {
        value & operand::mask(4)
    }
}

fn cr0(v: &Vcpu) -> Cr0 {
    Cr0::from_bits_retain(v.engine.reg(Reg::Cr0))
}

/// The access, from the instruction itself.
fn decoded(v: &mut Vcpu) -> Result<bool, Event> {
    let instruction = fetch::instruction(v)?;
    let (number, access) = match instruction.mnemonic() {
        Mnemonic::Clts => (0, CrAccessType::Clts),
        Mnemonic::Smsw => return store_machine_status(v, &instruction).map(|()| true),
        Mnemonic::Lmsw => (0, CrAccessType::Lmsw(machine_status_word(v, &instruction)?)),
        Mnemonic::Mov if instruction.op0_register().is_cr() => (
            instruction.op0_register().number(),
            CrAccessType::MovTo(instruction.op1_register().number() as u8),
        ),
        Mnemonic::Mov if instruction.op1_register().is_cr() => (
            instruction.op1_register().number(),
            CrAccessType::MovFrom(instruction.op0_register().number() as u8),
        ),
        _ => return Ok(false),
    };
    carry_out(
        CrAccess {
            number: number as u8,
            access,
        },
        v,
    )
}

fn machine_status_word(v: &mut Vcpu, instruction: &Instruction) -> Result<u16, Event> {
    if instruction.op0_kind() == OpKind::Register {
        return Ok(operand::register(v, instruction.op0_register()) as u16);
    }
    let at = operand::linear_address(v, instruction, 2, false)?;
    Ok(memory::read(v, at, 2)? as u16)
}

/// SMSW stores 16 bits in memory, and as much of CR0 as its operand size in a register.
fn store_machine_status(v: &mut Vcpu, instruction: &Instruction) -> Result<(), Event> {
    let value = cr0(v).bits();
    if instruction.op0_kind() == OpKind::Register {
        operand::set_register(v, instruction.op0_register(), value);
        return Ok(());
    }
    let at = operand::linear_address(v, instruction, 2, true)?;
    memory::write(v, at, 2, value & operand::mask(2))
}

/// LMSW loads PE, MP, EM and TS, and cannot clear PE.
fn lmsw(v: &mut Vcpu, word: u16) -> Result<(), Event> {
    const LOADED: u64 = 0xf;
    let old = cr0(v).bits();
    let kept = old & !LOADED | old & Cr0::PE.bits();
    set_cr0(v, kept | u64::from(word) & LOADED)
}

fn set_cr0(v: &mut Vcpu, value: u64) -> Result<(), Event> {
    let (old, new) = (
        cr0(v),
        (Cr0::from_bits_retain(value) & Cr0::from_bits_retain(!Cr0::RESERVED)) | Cr0::ET,
    );
    if Cr0::from_bits_retain(value).is_invalid() {
        return Err(GP);
    }
    let efer = Efer::from_bits_retain(v.engine.reg(Reg::Efer));
    let turns_on = new.contains(Cr0::PG) && !old.contains(Cr0::PG);
    let turns_off = !new.contains(Cr0::PG) && old.contains(Cr0::PG);
    let keeps_legacy_paging = (old & new).contains(Cr0::PG) && !efer.contains(Efer::LMA);
    if turns_on && efer.contains(Efer::LME) {
        enter_long_mode(v, efer)?;
    } else if turns_on || keeps_legacy_paging && (old ^ new).intersects(Cr0::CD | Cr0::NW) {
        load_pdptes(v, v.engine.reg(Reg::Cr4))?;
    } else if turns_off && efer.contains(Efer::LMA) {
        leave_long_mode(v, efer)?;
    }
    v.engine.set_reg(Reg::Cr0, new.bits());
    Ok(())
}

fn enter_long_mode(v: &mut Vcpu, efer: Efer) -> Result<(), Event> {
    let pae = v.engine.reg(Reg::Cr4) & Cr4::PAE.bits() != 0;
    let long_code = v.engine.segment(SegmentRegister::Cs).access & AccessRights::L.bits() != 0;
    let tss_16 =
        v.engine.segment(SegmentRegister::Tr).access & 0xf == spec::segment::TYPE_BUSY_TSS_16;
    if !pae || long_code || tss_16 {
        return Err(GP);
    }
    v.engine.set_reg(Reg::Efer, (efer | Efer::LMA).bits());
    Ok(())
}

/// Paging cannot be turned off in 64-bit code.
fn leave_long_mode(v: &mut Vcpu, efer: Efer) -> Result<(), Event> {
    if v.engine.segment(SegmentRegister::Cs).access & AccessRights::L.bits() != 0 {
        return Err(GP);
    }
    v.engine
        .set_reg(Reg::Efer, efer.difference(Efer::LMA).bits());
    Ok(())
}

/// The CR4 bits that a guest may set: those whose features CPUID shows it.
fn supported_cr4(v: &Vcpu) -> Cr4 {
    const ALWAYS: Cr4 = Cr4::VME
        .union(Cr4::PVI)
        .union(Cr4::TSD)
        .union(Cr4::DE)
        .union(Cr4::PSE)
        .union(Cr4::PAE)
        .union(Cr4::MCE)
        .union(Cr4::PGE)
        .union(Cr4::PCE)
        .union(Cr4::OSFXSR)
        .union(Cr4::OSXMMEXCPT);
    ALWAYS | cpuid::optional_cr4(v)
}

fn set_cr4(v: &mut Vcpu, value: u64) -> Result<(), Event> {
    let (old, new) = (
        Cr4::from_bits_retain(v.engine.reg(Reg::Cr4)),
        Cr4::from_bits_retain(value),
    );
    let long = v.engine.reg(Reg::Efer) & Efer::LMA.bits() != 0;
    if !supported_cr4(v).contains(new) || (long && !new.contains(Cr4::PAE)) {
        return Err(GP);
    }
    const PAGING: Cr4 = Cr4::PAE.union(Cr4::PGE).union(Cr4::PSE).union(Cr4::SMEP);
    if cr0(v).contains(Cr0::PG) && !long && (old ^ new).intersects(PAGING) {
        load_pdptes(v, value)?;
    }
    v.engine.set_reg(Reg::Cr4, value);
    Ok(())
}

/// In PAE paging the processor holds the four PDPTEs in registers. MOV to CR0 loads them when it changes PG, CD or NW
/// (SDM 3A "PDPTE Registers").
fn load_pdptes(v: &mut Vcpu, cr4: u64) -> Result<(), Event> {
    if cr4 & Cr4::PAE.bits() != 0 {
        let entries = pdptes(v, v.engine.reg(Reg::Cr3))?;
        v.engine.set_pdptes(entries);
    }
    Ok(())
}

/// The PDPTEs of this CR3. Reserved bits are refused.
pub(super) fn pdptes(v: &Vcpu, cr3: u64) -> Result<[u64; 4], Event> {
    let table = cr3 & 0xffff_ffe0;
    let bits = v.host.machine.capabilities().physical_address_bits;
    let mut entries = [0; 4];
    for (n, entry) in entries.iter_mut().enumerate() {
        *entry = v
            .guest
            .ram
            .read_u64(L1Gpa(table + n as u64 * 8))
            .unwrap_or(0);
        if *entry & Entry::P.bits() != 0 && *entry & (PDPTE_RESERVED | !0 << bits) != 0 {
            return Err(GP);
        }
    }
    Ok(entries)
}

fn set_cr8(v: &mut Vcpu, value: u64) -> Result<(), Event> {
    if value > 0xf {
        return Err(GP);
    }
    v.lapic.set_cr8(value as u8);
    Ok(())
}

#[cfg(test)]
mod tests;
