//! Against the IBM PS/2 Hardware Interface Technical Reference.

use super::*;
use crate::device::interrupts::Interrupts;
use crate::device::processors::Processors;
use crate::machine::fake::FakeMachine;
use alloc::sync::Arc;
use proptest::prelude::*;

fn keyboard() -> (Keyboard, Arc<Interrupts>) {
    let machine = FakeMachine::leak();
    let interrupts = Arc::new(Interrupts::new(Processors::new(machine, 1)));
    (Keyboard::new(Line::new(&interrupts, 1)), interrupts)
}

/// Gives a command and its data; the answer, if there is one.
fn ask(keyboard: &mut Keyboard, command: u8, data: Option<u8>) -> Option<u8> {
    assert_eq!(keyboard.write(COMMAND, 1, command.into()), Effect::None);
    if let Some(data) = data {
        assert_eq!(keyboard.write(0, 1, data.into()), Effect::None);
    }
    let full = keyboard.read(COMMAND, 1) & 1 != 0;
    full.then(|| keyboard.read(0, 1) as u8)
}

#[test]
fn the_controllers_commands_are_answered() {
    let (mut keyboard, _) = keyboard();
    for (command, data, want) in [
        (0xaa, None, Some(0x55)),
        (0xab, None, Some(0)),
        (0xa9, None, Some(1)),
        (0x20, None, Some(0x65)),
        (0xad, None, None),
        (0xa8, None, None),
        (0x20, None, Some(0x55)),
        (0xae, None, None),
        (0xa7, None, None),
        (0x60, Some(0x74), None),
        (0x20, None, Some(0x74)),
        (0x7f, Some(0x99), None),
        (0x3f, None, Some(0x99)),
        (0xc0, None, Some(0x80)),
        (0xd0, None, Some(0xcf)),
        (0xd1, Some(0xdd), None),
        (0xd2, Some(0x1c), Some(0x1c)),
        (0xd3, Some(0x5a), Some(0x5a)),
        (0xdd, None, None),
        (0xdf, None, None),
        (0xff, None, None),
    ] {
        assert_eq!(ask(&mut keyboard, command, data), want, "{command:#x}");
    }
}

#[test]
fn there_is_no_keyboard_and_no_mouse() {
    let (mut keyboard, interrupts) = keyboard();
    assert_eq!(keyboard.read(COMMAND, 1), 0x14);
    for _ in 0..2 {
        keyboard.write(0, 1, 0xf2);
        assert_eq!(
            (keyboard.read(COMMAND, 1), interrupts.is_asserted(1)),
            (0x55, true)
        );
        assert_eq!(
            (keyboard.read(0, 1), interrupts.is_asserted(1)),
            (0xfe, false)
        );
    }
    assert_eq!(keyboard.read(COMMAND, 1), 0x14);
    assert_eq!(ask(&mut keyboard, 0xd4, Some(0xff)), Some(0xfe));
    assert_eq!(ask(&mut keyboard, 0x60, Some(0x04)), None);
    keyboard.write(0, 1, 0xed);
    assert!(!interrupts.is_asserted(1), "the interrupt is off");
    keyboard.write(COMMAND, 1, 0xd0);
    assert_eq!(
        (keyboard.read(COMMAND, 1), keyboard.read(0, 1)),
        (0x1d, 0xdf)
    );
}

#[test]
fn it_resets_the_machine() {
    let (mut keyboard, _) = keyboard();
    for (command, want) in [
        (0xfe, Effect::Reset),
        (0xf0, Effect::Reset),
        (0xff, Effect::None),
        (0xfd, Effect::None),
    ] {
        assert_eq!(keyboard.write(COMMAND, 1, command), want, "{command:#x}");
    }
    keyboard.write(COMMAND, 1, 0xd1);
    assert_eq!(keyboard.write(0, 1, 0xfe), Effect::Reset);
    assert_eq!(keyboard.write(0, 1, 0xfe), Effect::None, "for the keyboard");
}

proptest! {
    #[test]
    fn outlives_any_access(steps in proptest::collection::vec((any::<bool>(), any::<bool>(), any::<u8>()), 1..200)) {
        let (mut keyboard, interrupts) = keyboard();
        for (write, command, value) in steps {
            let offset = if command { COMMAND } else { 0 };
            if write { keyboard.write(offset, 1, value.into()); } else { keyboard.read(offset, 1); }
            let status = keyboard.read(COMMAND, 1);
            prop_assert_eq!(status & 2, 0, "the input buffer is empty");
            prop_assert_eq!(interrupts.is_asserted(1), status & 1 != 0 && keyboard.memory[0] & 1 != 0);
        }
    }
}
