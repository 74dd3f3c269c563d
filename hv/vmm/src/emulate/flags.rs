//! What arithmetic leaves in RFLAGS (SDM 1 "Status Flags").

use super::operand::mask;
use spec::control_registers::Rflags;

const STATUS: Rflags = Rflags::CF
    .union(Rflags::PF)
    .union(Rflags::AF)
    .union(Rflags::ZF)
    .union(Rflags::SF)
    .union(Rflags::OF);

/// A result of `size` bytes and its status flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) value: u64,
    pub(super) flags: Rflags,
    /// The flags that the operation changes.
    pub(super) changed: Rflags,
}

impl Outcome {
    fn new(value: u64, size: u8, carry: bool, adjust: bool, overflow: bool) -> Self {
        let value = value & mask(size);
        let mut flags = Rflags::empty();
        flags.set(Rflags::CF, carry);
        flags.set(Rflags::PF, (value as u8).count_ones().is_multiple_of(2));
        flags.set(Rflags::AF, adjust);
        flags.set(Rflags::ZF, value == 0);
        flags.set(Rflags::SF, is_negative(value, size));
        flags.set(Rflags::OF, overflow);
        Self {
            value,
            flags,
            changed: STATUS,
        }
    }

    /// The same without CF: INC and DEC leave it.
    pub(super) fn keeping_carry(self) -> Self {
        Self {
            changed: self.changed.difference(Rflags::CF),
            ..self
        }
    }

    /// RFLAGS after the operation.
    pub(super) fn apply(self, rflags: u64) -> u64 {
        rflags & !self.changed.bits() | (self.flags & self.changed).bits()
    }
}

fn is_negative(value: u64, size: u8) -> bool {
    value >> (8 * u32::from(size) - 1) & 1 != 0
}

pub(super) fn logic(value: u64, size: u8) -> Outcome {
    Outcome::new(value, size, false, false, false)
}

pub(super) fn add(a: u64, b: u64, carry: bool, size: u8) -> Outcome {
    let (a, b) = (a & mask(size), b & mask(size));
    let wide = u128::from(a) + u128::from(b) + u128::from(carry);
    let value = wide as u64 & mask(size);
    let overflow = is_negative((a ^ value) & (b ^ value), size);
    Outcome::new(
        value,
        size,
        wide > u128::from(mask(size)),
        (a ^ b ^ value) & 0x10 != 0,
        overflow,
    )
}

pub(super) fn subtract(a: u64, b: u64, borrow: bool, size: u8) -> Outcome {
    let (a, b) = (a & mask(size), b & mask(size));
    let value = a.wrapping_sub(b).wrapping_sub(borrow.into()) & mask(size);
    let overflow = is_negative((a ^ b) & (a ^ value), size);
    let carry = u128::from(a) < u128::from(b) + u128::from(borrow);
    Outcome::new(value, size, carry, (a ^ b ^ value) & 0x10 != 0, overflow)
}

/// NOT changes none.
pub(super) fn unchanged(value: u64, size: u8) -> Outcome {
    Outcome {
        value: value & mask(size),
        flags: Rflags::empty(),
        changed: Rflags::empty(),
    }
}

/// BT and its siblings change CF alone.
pub(super) fn bit(value: u64, carry: bool) -> Outcome {
    let flags = if carry { Rflags::CF } else { Rflags::empty() };
    Outcome {
        value,
        flags,
        changed: Rflags::CF,
    }
}

/// A product of which the lower half is this: CF and OF say that the upper one says more. SF, ZF, PF and AF are
/// undefined.
pub(super) fn product(low: u64, size: u8, fits: bool) -> Outcome {
    Outcome::new(low, size, !fits, false, !fits)
}

/// SHLD and SHRD: OF is a change of sign, defined for a count of 1.
pub(super) fn shifted(before: u64, after: u64, size: u8, carry: bool) -> Outcome {
    let overflow = is_negative(before ^ after, size);
    Outcome::new(after, size, carry, false, overflow)
}

/// BSF and BSR: the flags other than ZF are undefined.
pub(super) fn zero(zero: bool) -> Outcome {
    Outcome {
        changed: Rflags::ZF,
        ..counted(zero, false)
    }
}

/// POPCNT, LZCNT and TZCNT: the last two leave OF, SF, PF and AF undefined.
pub(super) fn counted(zero: bool, carry: bool) -> Outcome {
    let mut flags = Rflags::empty();
    flags.set(Rflags::ZF, zero);
    flags.set(Rflags::CF, carry);
    Outcome {
        value: 0,
        flags,
        changed: STATUS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// The compiler's own overflow arithmetic is the model.
        #[test]
        fn agrees_with_the_compiler(a: u32, b: u32) {
            for (got, (sum, carry), (_, overflow)) in [
                (add(a.into(), b.into(), false, 4), a.overflowing_add(b), (a as i32).overflowing_add(b as i32)),
                (subtract(a.into(), b.into(), false, 4), a.overflowing_sub(b), (a as i32).overflowing_sub(b as i32)),
            ] {
                proptest::prop_assert_eq!(got.value, u64::from(sum));
                proptest::prop_assert_eq!(got.flags.contains(Rflags::CF), carry);
                proptest::prop_assert_eq!(got.flags.contains(Rflags::OF), overflow);
                proptest::prop_assert_eq!(got.flags.contains(Rflags::ZF), sum == 0);
                proptest::prop_assert_eq!(got.flags.contains(Rflags::SF), (sum as i32) < 0);
            }
        }
    }

    #[test]
    fn carries_go_in_and_out() {
        assert_eq!(add(0xff, 0, true, 1).value, 0);
        assert!(
            add(0xff, 0, true, 1)
                .flags
                .contains(Rflags::CF | Rflags::ZF)
        );
        assert!(subtract(0, u64::MAX, true, 8).flags.contains(Rflags::CF));
        assert!(
            add(0x7f, 1, false, 1)
                .flags
                .contains(Rflags::OF | Rflags::SF)
        );
        assert_eq!(add(1, 1, false, 4).keeping_carry().apply(1), 1);
    }
}
