//! How a machine guest's first virtual CPU starts: bare, in real, protected or long mode.

use crate::machine::{Engine, Reg, Segment, SegmentRegister, TableRegister};
use crate::memory::GuestRam;
use crate::memory::ram::OutsideRam;
use spec::addr::L1Gpa;
use spec::control_registers::{Cr0, Cr4};
use spec::msr::Efer;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Real,
    Protected,
    Long,
}

/// The state in which a loader leaves the processor; what it does not name is as after INIT.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) mode: Mode,
    pub(super) entry: u64,
    pub(super) stack: u64,
    /// The selector in CS.
    pub(super) code: u16,
    /// The selector in the other segment registers.
    pub(super) data: u16,
    /// Where the GDT is; real mode has none.
    pub(super) gdt: TableRegister,
    pub(super) cr0: Cr0,
    /// Where [`write_identity_map`] has written, for long mode.
    pub(super) cr3: u64,
}

/// A GDT as GRUB and the boot protocol of Linux have it: flat code at 0x10 (32-bit or 64-bit), flat data at 0x18.
pub(super) struct BootGdt;

impl BootGdt {
    pub(super) const CODE: u16 = 0x10;
    pub(super) const DATA: u16 = 0x18;
    pub(super) const SIZE: u64 = 32;

    pub(super) fn write(ram: &GuestRam, at: u64, mode: Mode) -> Result<TableRegister, OutsideRam> {
        let code = match mode {
            Mode::Long => descriptor::CODE_64,
            _ => descriptor::CODE_32,
        };
        for (n, descriptor) in [0, 0, code, descriptor::DATA_32].into_iter().enumerate() {
            ram.write_u64(L1Gpa(at + n as u64 * 8), descriptor)?;
        }
        Ok(TableRegister {
            base: at,
            limit: Self::SIZE as u16 - 1,
        })
    }
}

/// Descriptors of flat segments.
pub(super) mod descriptor {
    pub(in super::super) const CODE_64: u64 = 0x00af_9b00_0000_ffff;
    pub(in super::super) const CODE_32: u64 = 0x00cf_9b00_0000_ffff;
    pub(in super::super) const DATA_32: u64 = 0x00cf_9300_0000_ffff;
}

/// The pages that [`write_identity_map`] fills.
pub(super) const IDENTITY_MAP_SIZE: u64 = 6 << 12;

/// Paging structures from `at` on that map the first 4 GiB to themselves with 2 MiB pages.
pub(super) fn write_identity_map(ram: &GuestRam, at: u64) -> Result<(), OutsideRam> {
    const TABLE: u64 = 0b11;
    const LARGE: u64 = 1 << 7;
    let (pdpt, directories) = (at + 0x1000, at + 0x2000);
    ram.write_u64(L1Gpa(at), pdpt | TABLE)?;
    for gib in 0..4 {
        let directory = directories + gib * 0x1000;
        ram.write_u64(L1Gpa(pdpt + gib * 8), directory | TABLE)?;
        for n in 0..512 {
            let page = (gib * 512 + n) << 21;
            ram.write_u64(L1Gpa(directory + n * 8), page | TABLE | LARGE)?;
        }
    }
    Ok(())
}

/// Access rights of flat segments, in the layout of [`Segment::access`].
mod access {
    pub(super) const CODE_64: u32 = 0xa09b;
    pub(super) const CODE_32: u32 = 0xc09b;
    pub(super) const DATA_32: u32 = 0xc093;
    pub(super) const CODE_16: u32 = 0x009b;
    pub(super) const DATA_16: u32 = 0x0093;
}

pub(super) fn enter(engine: &mut dyn Engine, start: &Start) {
    let (segment, code, data): (fn(u16, u32) -> Segment, _, _) = match start.mode {
        Mode::Long => (flat, access::CODE_64, access::DATA_32),
        Mode::Protected => (flat, access::CODE_32, access::DATA_32),
        Mode::Real => (real, access::CODE_16, access::DATA_16),
    };
    engine.set_segment(SegmentRegister::Cs, segment(start.code, code));
    for register in [
        SegmentRegister::Ds,
        SegmentRegister::Es,
        SegmentRegister::Ss,
        SegmentRegister::Fs,
        SegmentRegister::Gs,
    ] {
        engine.set_segment(register, segment(start.data, data));
    }
    if start.mode != Mode::Real {
        engine.set_gdtr(start.gdt);
        engine.set_idtr(TableRegister { base: 0, limit: 0 });
    }
    if start.mode == Mode::Long {
        engine.set_reg(Reg::Cr4, Cr4::PAE.bits());
        engine.set_reg(Reg::Cr3, start.cr3);
        engine.set_reg(Reg::Efer, (Efer::LME | Efer::LMA | Efer::NXE).bits());
    }
    engine.set_reg(Reg::Cr0, start.cr0.bits());
    engine.set_reg(Reg::Rip, start.entry);
    engine.set_reg(Reg::Rsp, start.stack);
}

fn flat(selector: u16, access: u32) -> Segment {
    Segment {
        selector,
        base: 0,
        limit: u32::MAX,
        access,
    }
}

fn real(selector: u16, access: u32) -> Segment {
    Segment {
        selector,
        base: u64::from(selector) << 4,
        limit: 0xffff,
        access,
    }
}
