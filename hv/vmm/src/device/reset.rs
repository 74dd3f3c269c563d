//! The chipset's two ports that reset the machine: the reset control register (Intel 82371SB data sheet "Reset Control
//! Register") and system control port A of the PS/2 (Intel 82371SB data sheet "Port 92").

use super::bus::{Device, Effect};

/// Port 0xcf9.
#[derive(Default)]
pub struct ResetControl {
    value: u8,
}

/// The machine is reset when this bit goes from 0 to 1.
const RESET_CPU: u8 = 1 << 2;
/// Which kind of reset: both are the same here.
const SYSTEM_RESET: u8 = 1 << 1;

impl Device for ResetControl {
    fn read(&mut self, _offset: u16, _size: u8) -> u32 {
        self.value.into()
    }

    fn write(&mut self, _offset: u16, _size: u8, value: u32) -> Effect {
        let before = core::mem::replace(&mut self.value, value as u8 & (RESET_CPU | SYSTEM_RESET));
        match self.value & !before & RESET_CPU {
            0 => Effect::None,
            _ => Effect::Reset,
        }
    }
}

/// Port 0x92. Address line 20 is never masked, whatever is written.
pub struct ControlPortA;

/// The machine is reset.
const FAST_RESET: u32 = 1;
/// A20 is what it should be.
const FAST_A20: u32 = 1 << 1;

impl Device for ControlPortA {
    fn read(&mut self, _offset: u16, _size: u8) -> u32 {
        FAST_A20
    }

    fn write(&mut self, _offset: u16, _size: u8, value: u32) -> Effect {
        match value & FAST_RESET {
            0 => Effect::None,
            _ => Effect::Reset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_register_resets_when_its_bit_rises() {
        let mut port = ResetControl::default();
        let effects = [0, 2, 6].map(|value| port.write(0, 1, value));
        assert_eq!(effects, [Effect::None, Effect::None, Effect::Reset]);
        assert_eq!((port.read(0, 1), port.write(0, 1, 0xff)), (6, Effect::None));
        assert_eq!(port.write(0, 1, 0xf9), Effect::None);
        assert_eq!((port.read(0, 1), port.write(0, 1, 4)), (0, Effect::Reset));
    }

    #[test]
    fn port_92_resets_and_leaves_a20_on() {
        let effects = [0, 2, 0xfe, 1].map(|value| ControlPortA.write(0, 1, value));
        assert_eq!(
            effects,
            [Effect::None, Effect::None, Effect::None, Effect::Reset]
        );
        assert_eq!(ControlPortA.read(0, 1), 2);
    }
}
