//! The bytes of the guest's instruction, and what they say.

use crate::machine::{Event, Reg, SegmentRegister};
use crate::memory::linear::{Access, Paging};
use crate::vcpu::Vcpu;
use alloc::string::String;
use core::fmt::Write;
use iced_x86::{Decoder, DecoderError, DecoderOptions, Instruction};
use spec::addr::{Gva, L1Gpa, PAGE_SIZE};
use spec::control_registers::Rflags;
use spec::exception::Vector;
use spec::msr::Efer;
use spec::paging::PageFaultCode;
use spec::segment::AccessRights;

/// The longest instruction, in bytes (SDM 2A "Instruction Format").
const LONGEST: usize = 15;

/// The size of code and of addresses without prefixes, in bits.
#[must_use]
pub fn code_size(v: &Vcpu) -> u32 {
    let access = AccessRights::from_bits_retain(v.engine.segment(SegmentRegister::Cs).access);
    // L means something only in long mode, and most code is 64-bit code.
    if access.contains(AccessRights::L) && v.engine.reg(Reg::Efer) & Efer::LMA.bits() != 0 {
        return 64;
    }
    // D counts in real mode too, until CS is loaded there.
    let virtual_8086 = v.engine.reg(Reg::Rflags) & Rflags::VM.bits() != 0;
    if !virtual_8086 && access.contains(AccessRights::DB) {
        32
    } else {
        16
    }
}

/// A #PF with this error code at this address: CR2 is loaded when it is delivered.
pub(crate) fn page_fault(v: &mut Vcpu, at: Gva, code: PageFaultCode) -> Event {
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

/// Why there is no instruction at RIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// #UD, or the #PF of a byte that is wanted.
    Fault(Event),
    /// A byte that is wanted is in guest-physical memory that is not there.
    Nowhere,
}

/// An instruction that exited was fetched somewhere; if it is nowhere now, that is what it was not.
impl From<FetchError> for Event {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Fault(event) => event,
            FetchError::Nowhere => UD,
        }
    }
}

const UD: Event = Event::exception(Vector::UD.0, None);

/// What was fetched at RIP.
struct Fetched {
    bytes: [u8; LONGEST],
    length: usize,
    /// Where and why there are fewer than 15 bytes; no code where there is no memory.
    end: Option<(Gva, Option<PageFaultCode>)>,
}

/// The linear address of the byte that is so many behind RIP. Outside 64-bit mode it has 32 bits.
fn linear(v: &Vcpu, offset: usize) -> Gva {
    let at = v.engine.reg(Reg::Rip).wrapping_add(offset as u64);
    if code_size(v) == 64 {
        return Gva(at);
    }
    let base = v.engine.segment(SegmentRegister::Cs).base;
    Gva(base.wrapping_add(at) & 0xffff_ffff)
}

/// How instructions are fetched.
fn access(v: &Vcpu) -> Access {
    Access {
        fetch: true,
        user: v.engine.cpl() == 3,
        write: false,
    }
}

/// Where RIP is in guest-physical memory, told the places of the paging entries that say so.
pub(crate) fn locate(v: &Vcpu, entry: &mut impl FnMut(L1Gpa)) -> Option<L1Gpa> {
    let at = linear(v, 0);
    paging(v)
        .translate_by(&v.guest.ram, at, access(v), entry)
        .ok()
}

/// Copies up to 15 bytes from RIP; fewer where a page ends and the next cannot be fetched.
fn fetch(v: &Vcpu) -> Fetched {
    let (access, paging) = (access(v), paging(v));
    let (mut bytes, mut length) = ([0; LONGEST], 0);
    let mut end = None;
    while length < LONGEST && end.is_none() {
        let at = linear(v, length);
        let piece = (LONGEST - length).min((PAGE_SIZE - at.offset_in(PAGE_SIZE)) as usize);
        let into = &mut bytes[length..length + piece];
        match paging.translate(&v.guest.ram, at, access) {
            Ok(gpa) if v.guest.ram.read(gpa, into).is_ok() => length += piece,
            Ok(_) => end = Some((at, None)),
            Err(code) => end = Some((at, Some(code))),
        }
    }
    Fetched { bytes, length, end }
}

/// Has the decoder build its tables, which it does for the first instruction that it sees: some
/// hundred thousand instructions that no guest should wait for.
pub fn prepare() {
    const NOP: &[u8] = &[0x90];
    let _ = Decoder::new(64, NOP, DecoderOptions::NONE).decode();
}

/// The instruction at RIP; #UD if it is none, #PF if it cannot be fetched.
pub fn instruction(v: &mut Vcpu) -> Result<Instruction, FetchError> {
    let fetched = fetch(v);
    let rip = v.engine.reg(Reg::Rip);
    let bytes = &fetched.bytes[..fetched.length];
    // Used where it is: it is large.
    let mut decoder = Decoder::try_with_ip(code_size(v), bytes, rip, DecoderOptions::NONE);
    let Ok(decoder) = &mut decoder else {
        return Err(FetchError::Fault(UD));
    };
    let instruction = decoder.decode();
    match (decoder.last_error(), fetched.end) {
        (DecoderError::None, _) => Ok(instruction),
        (DecoderError::NoMoreBytes, Some((at, Some(code)))) => {
            Err(FetchError::Fault(page_fault(v, at, code)))
        }
        (DecoderError::NoMoreBytes, Some((_, None))) => Err(FetchError::Nowhere),
        _ => Err(FetchError::Fault(UD)),
    }
}

/// The bytes at RIP in words, for a report.
pub fn bytes_for_report(v: &Vcpu) -> String {
    let fetched = fetch(v);
    if fetched.length == 0 {
        return "unreadable".into();
    }
    let mut text = String::new();
    for byte in &fetched.bytes[..fetched.length] {
        let _ = write!(text, "{byte:02x} ");
    }
    text.truncate(text.trim_end().len());
    text
}
