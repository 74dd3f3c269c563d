//! Segment descriptors in the guest's GDT and LDT.

use crate::emulate::system::{self, Failure};
use crate::machine::{Event, Segment, SegmentRegister};
use crate::vcpu::Vcpu;
use spec::addr::Gva;
use spec::exception::Vector;
use spec::segment::{AccessRights, Descriptor};

/// The byte of a descriptor that has the type.
const TYPE: u64 = 5;
/// Bit 2 of a selector: TI, the descriptor is in the LDT.
pub(super) const TI: u16 = 1 << 2;

/// The requested privilege level of a selector.
pub(super) const fn rpl(selector: u16) -> u8 {
    (selector & 3) as u8
}

/// A null selector, which names no descriptor.
pub(super) const fn is_null(selector: u16) -> bool {
    selector & !3 == 0
}

/// An exception whose error code names this selector's descriptor.
pub(super) const fn refused(vector: Vector, selector: u16) -> Failure {
    Failure::Event(Event::exception(vector.0, Some((selector & !3) as u32)))
}

/// A descriptor, as it was read.
#[derive(Clone, Copy)]
pub(super) struct Found {
    selector: u16,
    at: Gva,
    raw: Descriptor,
}

/// The descriptor of a selector, if it names one within its table.
#[inline(never)]
pub(super) fn find(v: &mut Vcpu, selector: u16) -> Result<Option<Found>, Failure> {
    let Some((base, limit)) = table(v, selector).filter(|_| !is_null(selector)) else {
        return Ok(None);
    };
    let offset = u32::from(selector & !7);
    if offset + 7 > limit {
        return Ok(None);
    }
    let at = Gva(base.wrapping_add(offset.into()));
    let mut bytes = [0; 8];
    system::read(v, at, &mut bytes)?;
    let raw = Descriptor(u64::from_le_bytes(bytes));
    Ok(Some(Found { selector, at, raw }))
}

/// The base and the limit of the table that a selector is for, if there is one.
fn table(v: &Vcpu, selector: u16) -> Option<(u64, u32)> {
    if selector & TI == 0 {
        let gdtr = v.engine.gdtr();
        return Some((gdtr.base, gdtr.limit.into()));
    }
    let ldtr = v.engine.segment(SegmentRegister::Ldtr);
    (ldtr.access & AccessRights::UNUSABLE.bits() == 0).then_some((ldtr.base, ldtr.limit))
}

/// Where the type of a descriptor of the GDT is.
pub(super) fn type_in_gdt(v: &Vcpu, selector: u16) -> Gva {
    Gva(v.engine.gdtr().base + u64::from(selector & !7) + TYPE)
}

impl Found {
    pub(super) fn rights(&self) -> AccessRights {
        self.raw.rights()
    }

    pub(super) fn base(&self) -> u32 {
        self.raw.base()
    }

    pub(super) fn limit(&self) -> u32 {
        self.raw.limit()
    }

    pub(super) fn is_present(&self) -> bool {
        self.rights().contains(AccessRights::P)
    }

    pub(super) fn is_code(&self) -> bool {
        self.rights()
            .contains(AccessRights::S.union(AccessRights::CODE))
    }

    pub(super) fn is_conforming_code(&self) -> bool {
        self.is_code() && self.rights().contains(AccessRights::EXPAND_CONFORM)
    }

    pub(super) fn is_writable_data(&self) -> bool {
        self.rights()
            .contains(AccessRights::S.union(AccessRights::READ_WRITE))
            && !self.is_code()
    }

    /// Data, or code that can be read.
    pub(super) fn is_readable(&self) -> bool {
        let rights = self.rights();
        rights.contains(AccessRights::S)
            && (!self.is_code() || rights.contains(AccessRights::READ_WRITE))
    }

    /// What a segment register holds of it, with more access rights than it has.
    pub(super) fn segment(&self, rights: AccessRights) -> Segment {
        Segment {
            selector: self.selector,
            base: self.base().into(),
            limit: self.limit(),
            access: (self.rights() | rights).bits(),
        }
    }

    /// Loads a code or data segment register, and sets the accessed flag.
    #[inline(never)]
    pub(super) fn load(&self, v: &mut Vcpu, register: SegmentRegister) -> Result<(), Failure> {
        if !self.rights().contains(AccessRights::ACCESSED) {
            set_type_bit(v, Gva(self.at.0 + TYPE), AccessRights::ACCESSED, true)?;
        }
        let segment = self.segment(AccessRights::ACCESSED);
        v.engine.set_segment(register, segment);
        Ok(())
    }
}

/// Sets or clears a bit of the type in memory.
#[inline(never)]
pub(super) fn set_type_bit(
    v: &mut Vcpu,
    at: Gva,
    bit: AccessRights,
    on: bool,
) -> Result<(), Failure> {
    let mut byte = [0];
    system::read(v, at, &mut byte)?;
    let mut rights = AccessRights::from_bits_retain(byte[0].into());
    rights.set(bit, on);
    system::write(v, at, &[rights.bits() as u8])
}
