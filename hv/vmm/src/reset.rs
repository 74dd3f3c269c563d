//! What INIT makes of a processor (SDM 3A "Processor State After Reset", table "IA-32 and Intel 64 Processor States
//! Following Power-up, Reset, or INIT"). XCR0, the extended state and the MSRs outlive it, but EFER, which would keep
//! long mode.

use crate::machine::{Engine, Reg, Segment, SegmentRegister, TableRegister};
use spec::control_registers::{Cr0, Dr6, Dr7, Rflags};
use spec::segment::AccessRights;

/// Carries out INIT on a loaded engine.
pub(crate) fn init(engine: &mut dyn Engine) {
    let caches = Cr0::from_bits_retain(engine.reg(Reg::Cr0)) & (Cr0::CD | Cr0::NW);
    engine.cancel();
    for register in [Reg::Cr2, Reg::Cr3, Reg::Cr4, Reg::Efer, Reg::Rsp] {
        engine.set_reg(register, 0);
    }
    for register in [Reg::Dr0, Reg::Dr1, Reg::Dr2, Reg::Dr3] {
        engine.set_reg(register, 0);
    }
    engine.set_reg(Reg::Cr0, (Cr0::ET | caches).bits());
    engine.set_reg(Reg::Rip, 0xfff0);
    engine.set_reg(Reg::Rflags, Rflags::RESET.bits());
    engine.set_reg(Reg::Dr6, Dr6::FIXED1);
    engine.set_reg(Reg::Dr7, Dr7::RESET.bits());
    segments(engine);
}

/// The segment and table registers after reset and INIT: real mode, at the last paragraph of 4 GiB.
pub fn segments(engine: &mut dyn Engine) {
    use SegmentRegister::{Cs, Ds, Es, Fs, Gs, Ldtr, Ss, Tr};
    let segment = |access: AccessRights| Segment {
        selector: 0,
        base: 0,
        limit: 0xffff,
        access: access.bits(),
    };
    for register in [Es, Ss, Ds, Fs, Gs] {
        engine.set_segment(register, segment(AccessRights::REAL_DATA));
    }
    engine.set_segment(
        Cs,
        Segment {
            selector: 0xf000,
            base: 0xffff_0000,
            ..segment(AccessRights::REAL_CODE)
        },
    );
    engine.set_segment(Ldtr, segment(AccessRights::LDT));
    engine.set_segment(Tr, segment(AccessRights::BUSY_TSS));
    let table = TableRegister {
        base: 0,
        limit: 0xffff,
    };
    engine.set_gdtr(table);
    engine.set_idtr(table);
}
