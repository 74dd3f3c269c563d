//! The conditions of SETcc and CMOVcc (SDM 1 "EFLAGS Condition Codes").

use crate::machine::Reg;
use crate::vcpu::Vcpu;
use iced_x86::{ConditionCode, FlowControl, Instruction};
use spec::control_registers::Rflags;

/// Whether the condition of this instruction holds; none for one that has no condition, or jumps by it.
pub(super) fn of(v: &Vcpu, i: &Instruction) -> Option<bool> {
    if i.flow_control() != FlowControl::Next {
        return None;
    }
    let flags = Rflags::from_bits_retain(v.engine.reg(Reg::Rflags));
    let (carry, zero) = (flags.contains(Rflags::CF), flags.contains(Rflags::ZF));
    let less = flags.contains(Rflags::SF) != flags.contains(Rflags::OF);
    Some(match i.condition_code() {
        ConditionCode::None => return None,
        ConditionCode::o => flags.contains(Rflags::OF),
        ConditionCode::no => !flags.contains(Rflags::OF),
        ConditionCode::b => carry,
        ConditionCode::ae => !carry,
        ConditionCode::e => zero,
        ConditionCode::ne => !zero,
        ConditionCode::be => carry || zero,
        ConditionCode::a => !(carry || zero),
        ConditionCode::s => flags.contains(Rflags::SF),
        ConditionCode::ns => !flags.contains(Rflags::SF),
        ConditionCode::p => flags.contains(Rflags::PF),
        ConditionCode::np => !flags.contains(Rflags::PF),
        ConditionCode::l => less,
        ConditionCode::ge => !less,
        ConditionCode::le => less || zero,
        ConditionCode::g => !(less || zero),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulate::fetch;
    use crate::machine::fake::Fixture;

    /// SETcc from O to G, with flags of which each pair of conditions sees other ones: bit n for condition n.
    #[test]
    fn each_condition_looks_at_its_flags() {
        const ROWS: &[(Rflags, u16)] = &[
            (Rflags::empty(), 0b1010_1010_1010_1010),
            (Rflags::OF, 0b0101_1010_1010_1001),
            (Rflags::CF, 0b1010_1010_0110_0110),
            (Rflags::ZF, 0b0110_1010_0101_1010),
            (Rflags::SF, 0b0101_1001_1010_1010),
            (Rflags::PF, 0b1010_0110_1010_1010),
        ];
        for &(flags, want) in ROWS {
            let got = (0..16u8).fold(0, |got, n| {
                let mut f = Fixture::with_code(&[0x0f, 0x90 + n, 0x03]);
                f.v.engine.set_reg(Reg::Rflags, flags.bits());
                let i = fetch::instruction(&mut f.v).unwrap();
                got | u16::from(of(&f.v, &i).unwrap()) << n
            });
            assert_eq!(got, want, "{flags:?} {got:#b}");
        }
    }
}
