//! The guest's memory as an instruction sees it: RAM and ROM, the local APIC's page, devices on the bus, and nothing.

use super::fetch;
use crate::machine::Event;
use crate::memory::linear::Access;
use crate::vcpu::Vcpu;
use spec::addr::{Gva, L1Gpa, PAGE_SIZE};
use spec::apic::Register;
use spec::breakpoint;

const END_OF_INTERRUPT: u16 = Register::EOI.0 >> 4;

/// Where the bytes of an operand are, of which some may be on a second page.
struct Span {
    first: L1Gpa,
    /// The second page.
    second: Option<L1Gpa>,
    /// How many bytes the first page has from there on.
    split: u64,
}

impl Span {
    fn byte(&self, n: u64) -> L1Gpa {
        match self.second {
            Some(second) if n >= self.split => L1Gpa(second.0 + n - self.split),
            _ => L1Gpa(self.first.0 + n),
        }
    }
}

/// Where `size` bytes at a linear address are, if all of them can be accessed.
fn locate(v: &mut Vcpu, at: Gva, size: u8, write: bool) -> Result<Span, Event> {
    let split = PAGE_SIZE - at.offset_in(PAGE_SIZE);
    let first = translate(v, at, write)?;
    let second = match u64::from(size) > split {
        true => Some(translate(v, Gva(at.0.wrapping_add(split)), write)?),
        false => None,
    };
    Ok(Span {
        first,
        second,
        split,
    })
}

/// Reads `size` bytes at a linear address.
pub(crate) fn read(v: &mut Vcpu, at: Gva, size: u8) -> Result<u64, Event> {
    let span = locate(v, at, size, false)?;
    v.accessed(breakpoint::Access::Read, at.0, size);
    if span.second.is_none() {
        return Ok(read_physical(v, span.first, size));
    }
    let byte = |n: u8| read_physical(v, span.byte(n.into()), 1) << (8 * n);
    Ok((0..size).map(byte).fold(0, |value, byte| value | byte))
}

/// Writes `size` bytes at a linear address.
pub(crate) fn write(v: &mut Vcpu, at: Gva, size: u8, value: u64) -> Result<(), Event> {
    let span = locate(v, at, size, true)?;
    v.accessed(breakpoint::Access::Write, at.0, size);
    if span.second.is_none() {
        write_physical(v, span.first, size, value);
        return Ok(());
    }
    for n in 0..u64::from(size) {
        write_physical(v, span.byte(n), 1, value >> (8 * n) & 0xff);
    }
    Ok(())
}

/// Checks that a linear address can be read, or written: what an instruction with several accesses does first.
pub(crate) fn check(v: &mut Vcpu, at: Gva, size: u8, write: bool) -> Result<(), Event> {
    locate(v, at, size, write).map(|_| ())
}

fn translate(v: &mut Vcpu, at: Gva, write: bool) -> Result<L1Gpa, Event> {
    if let Some(known) = v.translated
        && known.from == at.align_down(PAGE_SIZE)
        && (known.write || !write)
    {
        return Ok(L1Gpa(known.to.0 + at.offset_in(PAGE_SIZE)));
    }
    let access = Access {
        write,
        fetch: false,
        user: v.engine.cpl() == 3,
    };
    let translated = fetch::paging(v).translate(&v.guest.ram, at, access);
    translated.map_err(|code| fetch::page_fault(v, at, code))
}

pub(super) fn read_physical(v: &mut Vcpu, at: L1Gpa, size: u8) -> u64 {
    let mut bytes = [0; 8];
    if v.guest
        .ram
        .read(at, &mut bytes[..usize::from(size)])
        .is_ok()
    {
        return u64::from_le_bytes(bytes);
    }
    match apic_register(v, at) {
        Some(register) => {
            let now = v.host.machine.now();
            let known = v.lapic.look_at_page(register, now);
            let value = u64::from(known.unwrap_or_else(|_| v.lapic.read_page(register, now)));
            value >> (8 * at.offset_in(4)) & super::operand::mask(size)
        }
        None => on_bus(v, size, |v, at_byte, size| {
            let value = v.guest.bus.lock().read_memory(at.0 + at_byte, size);
            u64::from(value) << (8 * at_byte)
        }),
    }
}

/// An access to devices, in pieces of up to 4 bytes: the bits of all that `access` gives for each.
fn on_bus(v: &mut Vcpu, size: u8, access: impl Fn(&Vcpu, u64, u8) -> u64) -> u64 {
    let mut value = access(v, 0, size.min(4));
    if size > 4 {
        value |= access(v, 4, size - 4);
    }
    v.heed_mail();
    value & super::operand::mask(size)
}

pub(super) fn write_physical(v: &mut Vcpu, at: L1Gpa, size: u8, value: u64) {
    let bytes = value.to_le_bytes();
    if v.guest.ram.write(at, &bytes[..usize::from(size)]).is_ok() {
        return;
    }
    match apic_register(v, at) {
        Some(END_OF_INTERRUPT) if size == 4 && at.offset_in(16) == 0 => {
            if v.lapic.quietly().end_of_interrupt() {
                v.lapic.touch();
            }
        }
        Some(register) if size == 4 && at.offset_in(16) == 0 => {
            let now = v.host.machine.now();
            v.lapic.write_page(register, value as u32, now);
        }
        Some(_) => {}
        None => {
            on_bus(v, size, |v, at_byte, size| {
                let piece = (value >> (8 * at_byte)) as u32;
                v.guest.bus.lock().write_memory(at.0 + at_byte, size, piece);
                0
            });
        }
    }
}

/// The register at this address, if the local APIC's page is there. Registers are 32 bits wide
/// every 16 bytes, and the manual defines only aligned 32-bit accesses: narrower reads give a
/// part of the register, other writes are ignored, and the bytes between registers read zero.
fn apic_register(v: &Vcpu, at: L1Gpa) -> Option<u16> {
    const NOTHING: u16 = Register::RRD.0 >> 4;
    let inside = v.lapic.page() == Some(at.align_down(PAGE_SIZE).0);
    let offset = at.offset_in(PAGE_SIZE);
    inside.then_some(if offset % 16 < 4 {
        (offset / 16) as u16
    } else {
        NOTHING
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulate::testing;
    use crate::machine::Reg;

    #[test]
    fn a_write_into_a_missing_second_page_faults_at_its_first_byte() {
        let mut f = testing::paged();
        for access in [
            |v: &mut Vcpu, at, size| check(v, at, size, true),
            |v: &mut Vcpu, at, size| write(v, at, size, 0),
        ] {
            f.v.engine.set_reg(Reg::Cr2, 0);
            let fault = access(&mut f.v, Gva(0x40_1ffe), 4);
            assert_eq!(fault, Err(Event::exception(14, Some(2))));
            assert_eq!(f.v.engine.reg(Reg::Cr2), 0x40_2000);
        }
    }
}
