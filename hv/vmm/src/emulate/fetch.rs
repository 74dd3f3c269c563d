//! The bytes of the guest's instruction, and what they say.

use crate::machine::{Event, Reg, SegmentRegister};
use crate::memory::linear::{Access, Paging};
use crate::vcpu::Vcpu;
use alloc::string::String;
use core::fmt::Write;
use iced_x86::{Decoder, DecoderOptions, Instruction};
use spec::addr::Gva;
use spec::control_registers::{Cr0, Rflags};
use spec::exception::Vector;
use spec::msr::Efer;
use spec::segment::AccessRights;

/// The longest instruction, in bytes (SDM 2A "Instruction Format").
const LONGEST: usize = 15;

/// The size of code and of addresses without prefixes, in bits.
#[must_use]
pub fn code_size(v: &Vcpu) -> u32 {
    let access = AccessRights::from_bits_retain(v.engine.segment(SegmentRegister::Cs).access);
    let protected = v.engine.reg(Reg::Cr0) & Cr0::PE.bits() != 0;
    let virtual_8086 = v.engine.reg(Reg::Rflags) & Rflags::VM.bits() != 0;
    if v.engine.reg(Reg::Efer) & Efer::LMA.bits() != 0 && access.contains(AccessRights::L) {
        64
    } else if protected && !virtual_8086 && access.contains(AccessRights::DB) {
        32
    } else {
        16
    }
}

/// A #PF with this error code at this address: CR2 is loaded when it is delivered.
pub(crate) fn page_fault(v: &mut Vcpu, at: Gva, code: spec::paging::PageFaultCode) -> Event {
    v.engine.set_reg(Reg::Cr2, at.0);
    Event::exception(Vector::PF.0, Some(code.bits()))
}

/// The paging registers of the virtual CPU.
pub(crate) fn paging(v: &Vcpu) -> Paging {
    Paging::of(
        &*v.engine,
        v.host.machine.capabilities().physical_address_bits,
    )
}

/// Copies up to 15 bytes from RIP; fewer where a page ends and the next cannot be fetched.
fn fetch(v: &mut Vcpu, bytes: &mut [u8; LONGEST]) -> Result<usize, Event> {
    let base = if code_size(v) == 64 {
        0
    } else {
        v.engine.segment(SegmentRegister::Cs).base
    };
    let start = base.wrapping_add(v.engine.reg(Reg::Rip));
    let (paging, user) = (paging(v), v.engine.cpl() == 3);
    let mut got = 0;
    while got < LONGEST {
        let at = Gva(start.wrapping_add(got as u64));
        let length = (LONGEST - got).min(4096 - at.offset_in(4096) as usize);
        let access = Access {
            fetch: true,
            user,
            write: false,
        };
        match paging.translate(&v.guest.ram, at, access) {
            Ok(gpa) if v.guest.ram.read(gpa, &mut bytes[got..got + length]).is_ok() => {
                got += length
            }
            Err(code) if got == 0 => return Err(page_fault(v, at, code)),
            _ => break,
        }
    }
    Ok(got)
}

/// The instruction at RIP; #UD if it is none, #PF if it cannot be fetched.
pub fn instruction(v: &mut Vcpu) -> Result<Instruction, Event> {
    let mut bytes = [0; LONGEST];
    let got = fetch(v, &mut bytes)?;
    let rip = v.engine.reg(Reg::Rip);
    let mut decoder = Decoder::with_ip(code_size(v), &bytes[..got], rip, DecoderOptions::NONE);
    let instruction = decoder.decode();
    if instruction.is_invalid() {
        return Err(Event::exception(Vector::UD.0, None));
    }
    Ok(instruction)
}

/// The bytes at RIP in words, for a report.
pub fn bytes_for_report(v: &mut Vcpu) -> String {
    let mut bytes = [0; LONGEST];
    let Ok(got @ 1..) = fetch(v, &mut bytes) else {
        return "unreadable".into();
    };
    let mut text = String::new();
    for byte in &bytes[..got] {
        let _ = write!(text, "{byte:02x} ");
    }
    text.truncate(text.trim_end().len());
    text
}
