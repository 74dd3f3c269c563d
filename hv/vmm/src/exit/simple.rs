//! Exits that want one or two lines each.

use super::table::{Stop, Verdict};
use super::{Detail, Exit};
use crate::machine::{Gpr, Reg};
use crate::vcpu::Vcpu;
use alloc::format;
use spec::control_registers::{Cr4, Xcr0};

/// XSETBV (SDM 2D "XSETBV"): privilege level 0, register 0, states that exist. QEMU's exit comes before its #UD.
pub(super) fn xsetbv(_: &Exit, v: &mut Vcpu) -> Verdict {
    if v.engine.reg(Reg::Cr4) & Cr4::OSXSAVE.bits() == 0 {
        return Verdict::UD;
    }
    let gprs = &v.gprs;
    let register = gprs[Gpr::Rcx] as u32;
    let value = Xcr0::from_bits_retain(gprs[Gpr::Rdx] << 32 | gprs[Gpr::Rax] & 0xffff_ffff);
    if register != 0 || v.engine.cpl() != 0 || !value.is_valid(super::cpuid::supported_states(v)) {
        return Verdict::GP;
    }
    v.engine.set_reg(Reg::Xcr0, value.bits());
    Verdict::Next
}

/// INVD loses what is in the caches, ours too: WBINVD does what the guest needs of it.
pub(super) fn invalidate_caches(_: &Exit, v: &mut Vcpu) -> Verdict {
    v.host.machine.write_back_caches();
    Verdict::Next
}

/// An instruction that CPUID says this processor has not.
pub(super) fn undefined(_: &Exit, _: &mut Vcpu) -> Verdict {
    Verdict::UD
}

/// RDPMC of a processor whose CPUID shows no performance counters: there is none with that number.
pub(super) fn no_counters(_: &Exit, _: &mut Vcpu) -> Verdict {
    Verdict::GP
}

/// PAUSE: others may run.
pub(super) fn pause(_: &Exit, _: &mut Vcpu) -> Verdict {
    Verdict::Yield
}

/// The deadline that the loop armed is past; the loop looks at the clock itself.
pub(super) fn resume(_: &Exit, _: &mut Vcpu) -> Verdict {
    Verdict::Resume
}

/// A triple fault, or shutdown.
pub(super) fn triple_fault(_: &Exit, _: &mut Vcpu) -> Verdict {
    Verdict::Stop(Stop::TripleFault)
}

/// What we do not support.
pub(crate) fn unsupported(x: &Exit, v: &mut Vcpu) -> Verdict {
    let what = match x.detail {
        Detail::Raw {
            reason,
            qualification,
        } => {
            format!(
                "{} {reason:#x}, qualification {qualification:#x}",
                x.kind.name()
            )
        }
        _ => format!("unexpected exit {}", x.kind.name()),
    };
    stop(v, x, &what)
}

/// Stops the guest, saying what it did, where, and the bytes of the instruction there.
pub(super) fn stop(v: &mut Vcpu, x: &Exit, what: &str) -> Verdict {
    Verdict::Stop(stop_at(v, x.rip, what))
}

/// The end of a guest that is at `rip`.
pub(crate) fn stop_at(v: &Vcpu, rip: u64, what: &str) -> Stop {
    let bytes = crate::emulate::fetch::bytes_for_report(v);
    Stop::Unsupported(format!("{what}, rip {rip:#x} bytes {bytes}"))
}
