//! Shifts and rotations (SDM 2B "SAL/SAR/SHL/SHR", "RCL/RCR/ROL/ROR").

use super::flags::Outcome;
use super::operand::mask;
use iced_x86::Mnemonic;
use spec::control_registers::Rflags;

#[derive(Clone, Copy)]
pub(super) enum Shift {
    Left,
    Right,
    ArithmeticRight,
    RotateLeft,
    RotateRight,
    RotateLeftThroughCarry,
    RotateRightThroughCarry,
}

impl Shift {
    pub(super) fn of(mnemonic: Mnemonic) -> Option<Self> {
        Some(match mnemonic {
            Mnemonic::Shl | Mnemonic::Sal => Self::Left,
            Mnemonic::Shr => Self::Right,
            Mnemonic::Sar => Self::ArithmeticRight,
            Mnemonic::Rol => Self::RotateLeft,
            Mnemonic::Ror => Self::RotateRight,
            Mnemonic::Rcl => Self::RotateLeftThroughCarry,
            Mnemonic::Rcr => Self::RotateRightThroughCarry,
            _ => return None,
        })
    }

    /// Of a value of `size` bytes. OF is defined for a count of 1 alone, and is what that formula gives for others too.
    pub(super) fn apply(self, value: u64, count: u64, carry: bool, size: u8) -> Outcome {
        let bits = 8 * u32::from(size);
        let count = count as u32 & if size == 8 { 63 } else { 31 };
        if count == 0 {
            return super::flags::unchanged(value, size);
        }
        let value = value & mask(size);
        let (result, carry) = self.result(value, count, carry, bits);
        let result = result & mask(size);
        let top = |value: u64| value >> (bits - 1) & 1 != 0;
        let second = |value: u64| value >> (bits - 2) & 1 != 0;
        let overflow = match self {
            Self::Left | Self::RotateLeft | Self::RotateLeftThroughCarry => top(result) != carry,
            Self::Right => top(value),
            Self::ArithmeticRight => false,
            Self::RotateRight | Self::RotateRightThroughCarry => top(result) != second(result),
        };
        self.outcome(result, carry, overflow, size)
    }

    /// The result, in its low bits, and the carry, for a count that is not 0.
    fn result(self, value: u64, count: u32, carry: bool, bits: u32) -> (u64, bool) {
        match self {
            Self::Left => {
                let wide = u128::from(value) << count;
                (wide as u64, wide >> bits & 1 != 0)
            }
            Self::Right => (value >> count, value >> (count - 1) & 1 != 0),
            Self::ArithmeticRight => {
                let signed = (value << (64 - bits)) as i64 >> (64 - bits);
                ((signed >> count) as u64, signed >> (count - 1) & 1 != 0)
            }
            Self::RotateLeft => {
                let result = rotate(value.into(), count % bits, bits) as u64;
                (result, result & 1 != 0)
            }
            Self::RotateRight => {
                let result = rotate(value.into(), bits - count % bits, bits) as u64;
                (result, result >> (bits - 1) & 1 != 0)
            }
            Self::RotateLeftThroughCarry | Self::RotateRightThroughCarry => {
                let (wide, width) = (u128::from(value) | u128::from(carry) << bits, bits + 1);
                let by = match self {
                    Self::RotateLeftThroughCarry => count % width,
                    _ => width - count % width,
                };
                let rotated = rotate(wide, by, width);
                (rotated as u64, rotated >> bits & 1 != 0)
            }
        }
    }

    fn outcome(self, result: u64, carry: bool, overflow: bool, size: u8) -> Outcome {
        let mut outcome = super::flags::logic(result, size);
        outcome.flags.set(Rflags::CF, carry);
        outcome.flags.set(Rflags::OF, overflow);
        outcome.changed = match self {
            Self::Left | Self::Right | Self::ArithmeticRight => outcome.changed - Rflags::AF,
            _ => Rflags::CF | Rflags::OF,
        };
        outcome
    }
}

/// A value of `width` bits, rotated left by up to as many.
fn rotate(value: u128, by: u32, width: u32) -> u128 {
    (value << by | value >> (width - by)) & ((1 << width) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// The compiler's own arithmetic is the model.
        #[test]
        fn agrees_with_the_compiler(value: u32, count in 1..32u32) {
            for (shift, want) in [
                (Shift::Left, value << count),
                (Shift::Right, value >> count),
                (Shift::ArithmeticRight, (value as i32 >> count) as u32),
                (Shift::RotateLeft, value.rotate_left(count)),
                (Shift::RotateRight, value.rotate_right(count)),
            ] {
                let got = shift.apply(value.into(), (count | 0x40).into(), true, 4);
                proptest::prop_assert_eq!(got.value, u64::from(want));
            }
        }

        /// Through the carry, one step at a time there is nothing to get wrong.
        #[test]
        fn long_rotations_through_the_carry_are_many_short_ones(value: u8, carry: bool, count in 1..32u64) {
            for shift in [Shift::RotateLeftThroughCarry, Shift::RotateRightThroughCarry] {
                let (mut value_by_steps, mut carry_by_steps) = (value, carry);
                for _ in 0..count {
                    let (old, carry) = (value_by_steps, u8::from(carry_by_steps));
                    (value_by_steps, carry_by_steps) = match shift {
                        Shift::RotateLeftThroughCarry => (old << 1 | carry, old & 0x80 != 0),
                        _ => (old >> 1 | carry << 7, old & 1 != 0),
                    };
                }
                let got = shift.apply(value.into(), count, carry, 1);
                proptest::prop_assert_eq!(got.value, u64::from(value_by_steps));
                proptest::prop_assert_eq!(got.flags.contains(Rflags::CF), carry_by_steps);
            }
        }
    }

    /// SDM 2B "SAL/SAR/SHL/SHR", "RCL/RCR/ROL/ROR", operation: value of a byte, count, CF and OF after.
    #[test]
    fn carry_and_overflow_follow_the_manual() {
        let flags = |shift: Shift, value, count| {
            let outcome = shift.apply(value, count, false, 1);
            (
                outcome.flags.contains(Rflags::CF),
                outcome.flags.contains(Rflags::OF),
            )
        };
        assert_eq!(flags(Shift::Left, 0x80, 1), (true, true));
        assert_eq!(flags(Shift::Left, 0xc0, 1), (true, false));
        assert_eq!(flags(Shift::Left, 0xff, 9), (false, false));
        assert_eq!(flags(Shift::Right, 0x81, 1), (true, true));
        assert_eq!(flags(Shift::ArithmeticRight, 0x81, 1), (true, false));
        assert_eq!(flags(Shift::ArithmeticRight, 0x80, 31), (true, false));
        assert_eq!(flags(Shift::RotateLeft, 0x80, 1), (true, true));
        assert_eq!(flags(Shift::RotateLeft, 0x01, 8), (true, true));
        assert_eq!(flags(Shift::RotateRight, 0x01, 1), (true, true));
        assert_eq!(
            Shift::Left.apply(1, 0x20, false, 4).changed,
            Rflags::empty()
        );
    }
}
