//! Implicit supervisor-mode accesses (SDM 3A "Access Rights"): those that the processor makes by itself to descriptor
//! tables and to task-state segments, outside 64-bit mode and with no regard to the privilege level.

use super::fetch;
use super::operand::mask;
use crate::machine::Event;
use crate::memory::GuestRam;
use crate::memory::linear::{Access, Paging};
use crate::memory::ram::OutsideRam;
use crate::vcpu::Vcpu;
use core::ops::Range;
use spec::addr::{Gva, L1Gpa, PAGE_SIZE};
use spec::control_registers::Rflags;

/// Why an access cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// #PF; or another exception, which whoever makes the access has raised.
    Event(Event),
    /// The bytes are not in RAM.
    OutsideRam,
}

impl From<Event> for Failure {
    fn from(event: Event) -> Self {
        Self::Event(event)
    }
}

/// Reads bytes at a linear address.
#[inline(never)]
pub(crate) fn read(v: &mut Vcpu, at: Gva, out: &mut [u8]) -> Result<(), Failure> {
    each_page(v, at, out.len(), false, &mut |ram, gpa, piece| {
        ram.read(gpa, &mut out[piece])
    })
}

/// Writes bytes at a linear address.
#[inline(never)]
pub(crate) fn write(v: &mut Vcpu, at: Gva, bytes: &[u8]) -> Result<(), Failure> {
    each_page(v, at, bytes.len(), true, &mut |ram, gpa, piece| {
        ram.write(gpa, &bytes[piece])
    })
}

/// Checks that bytes at a linear address can be written.
#[inline(never)]
pub(crate) fn check_write(v: &mut Vcpu, at: Gva, length: usize) -> Result<(), Failure> {
    each_page(v, at, length, true, &mut |ram, gpa, piece| {
        ram.hpa(gpa, piece.len() as u64).map(|_| ())
    })
}

/// What is done with the bytes of one page: where they are, and which of all they are.
type Piece<'a> = dyn FnMut(&GuestRam, L1Gpa, Range<usize>) -> Result<(), OutsideRam> + 'a;

#[inline(never)]
fn each_page(
    v: &mut Vcpu,
    at: Gva,
    length: usize,
    write: bool,
    access: &mut Piece<'_>,
) -> Result<(), Failure> {
    let mut done = 0;
    while done < length {
        let here = Gva(at.0.wrapping_add(done as u64) & mask(4));
        let room = (PAGE_SIZE - here.offset_in(PAGE_SIZE)) as usize;
        let end = length.min(done + room);
        let gpa = translate(v, here, write)?;
        access(&v.guest.ram, gpa, done..end).map_err(|OutsideRam| Failure::OutsideRam)?;
        done = end;
    }
    Ok(())
}

/// EFLAGS.AC lifts SMAP for explicit accesses only.
fn translate(v: &mut Vcpu, at: Gva, write: bool) -> Result<L1Gpa, Event> {
    let access = Access {
        write,
        fetch: false,
        user: false,
    };
    let paging = fetch::paging(v);
    let paging = Paging {
        rflags: paging.rflags - Rflags::AC,
        ..paging
    };
    let translated = paging.translate(&v.guest.ram, at, access);
    translated.map_err(|code| fetch::page_fault(v, at, code))
}

#[cfg(test)]
mod tests;
