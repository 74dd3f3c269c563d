//! IN, OUT, INS and OUTS.

use super::table::{Stop, Verdict};
use super::{Detail, Exit, Io, simple};
use crate::device::bus::Effect;
use crate::machine::Gpr;
use crate::vcpu::Vcpu;

/// Port I/O.
pub(super) fn io(x: &Exit, v: &mut Vcpu) -> Verdict {
    match x.detail {
        Detail::Io(io) if !io.string => register_io(io, v),
        _ => simple::stop(v, x, "string I/O"),
    }
}

/// IN and OUT. A 32-bit IN clears the upper half of RAX, as every 32-bit result does.
#[inline]
fn register_io(io: Io, v: &mut Vcpu) -> Verdict {
    let rax = v.engine.gprs()[Gpr::Rax];
    let mut bus = v.guest.bus.lock();
    if !io.input {
        return match bus.write(io.port, io.size, rax as u32) {
            Effect::None => Verdict::Next,
            Effect::Exit(status) => Verdict::Stop(Stop::Exit(status)),
        };
    }
    let value = u64::from(bus.read(io.port, io.size));
    drop(bus);
    v.engine.gprs_mut()[Gpr::Rax] = match io.size {
        1 => rax & !0xff | value & 0xff,
        2 => rax & !0xffff | value & 0xffff,
        _ => value,
    };
    Verdict::Next
}
