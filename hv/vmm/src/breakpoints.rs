//! Breakpoints on what L0 carries out: ports, the memory operands of INS and OUTS, and of instructions that are
//! emulated. The processor makes none of these accesses, so it meets no breakpoint there.
//!
//! While a guest uses no debug registers its MOV DR exits, and nothing else is done for breakpoints. At such an exit the
//! guest gets them for itself, and the accesses are compared from then on; the first one that finds no breakpoint
//! enabled takes them back.

use crate::machine::Reg;
use crate::vcpu::Vcpu;
use spec::breakpoint::{Access, Breakpoints, any_enabled};
use spec::control_registers::{Cr4, Dr6};

/// What is known of a virtual CPU's breakpoints.
#[derive(Debug, Default)]
pub struct Watch {
    /// The guest may have enabled some.
    is_on: bool,
    /// Those that the instruction has met (DR6 layout), which is not over yet.
    met: u64,
}

impl Watch {
    /// Whether accesses must be compared.
    #[inline(always)]
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether the instruction has met one.
    #[inline]
    #[must_use]
    pub const fn is_met(&self) -> bool {
        self.met != 0
    }

    /// The instruction raises a fault instead.
    #[inline]
    pub const fn forget(&mut self) {
        self.met = 0;
    }
}

impl Vcpu {
    /// The guest may use its debug registers without an exit, or no longer.
    pub(crate) fn watch_breakpoints(&mut self, on: bool) {
        self.breakpoints.is_on = on;
        self.engine.set_debug_register_exiting(!on);
    }

    /// L0 accesses a port or a linear address for the guest.
    #[inline]
    pub(crate) fn accessed(&mut self, access: Access, at: u64, size: u8) {
        if self.breakpoints.is_on {
            self.compare(access, at, size);
        }
    }

    #[cold]
    fn compare(&mut self, access: Access, at: u64, size: u8) {
        let engine = &*self.engine;
        let control = engine.reg(Reg::Dr7);
        if !any_enabled(control) {
            return self.watch_breakpoints(false);
        }
        let breakpoints = Breakpoints {
            addresses: [Reg::Dr0, Reg::Dr1, Reg::Dr2, Reg::Dr3]
                .map(|register| engine.reg(register)),
            control,
            extensions: engine.reg(Reg::Cr4) & Cr4::DE.bits() != 0,
        };
        let met = breakpoints.met(access, at, size);
        if met != 0 {
            self.breakpoints.met |= met;
            self.lapic.touch();
        }
    }

    /// What happened at an instruction that met breakpoints (DR6 layout): a single step, whose #DB is about to be
    /// delivered, and the breakpoints that MOV SS held back included.
    pub(crate) fn take_conditions(&mut self) -> u64 {
        let engine = &mut *self.engine;
        let mut conditions = core::mem::take(&mut self.breakpoints.met);
        conditions |= engine.take_held_back();
        if engine.is_injecting() {
            conditions |= engine.reg(Reg::Dr6) & STEPPED;
        }
        conditions
    }
}

/// What the #DB of a single step has said.
const STEPPED: u64 = Dr6::B0
    .union(Dr6::B1)
    .union(Dr6::B2)
    .union(Dr6::B3)
    .union(Dr6::BS)
    .bits();

#[cfg(test)]
mod tests;
