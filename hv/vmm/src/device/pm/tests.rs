//! Against the ACPI specification.

use super::*;
use crate::device::interrupts::Interrupts;
use crate::device::processors::Processors;
use crate::machine::fake::FakeMachine;
use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;
use proptest::prelude::*;

const STATUS: u16 = register::STATUS;
const ENABLE: u16 = register::ENABLE;
const CONTROL: u16 = register::CONTROL;

fn pm() -> (Pm, &'static FakeMachine, Arc<Interrupts>) {
    let machine = FakeMachine::leak();
    let interrupts = Arc::new(Interrupts::new(Processors::new(machine, 1)));
    let pm = Pm::new(Clock::new(machine), Line::new(&interrupts, 9));
    (pm, machine, interrupts)
}

#[test]
fn the_timer_has_32_bits_at_its_frequency() {
    let (mut pm, machine, _) = pm();
    for (seconds, ticks) in [(0, 0), (1, 3_579_545), (2000, 2000u64 * 3_579_545)] {
        machine.clock.store(seconds * 1_000_000_000, Relaxed);
        assert_eq!(pm.read(8, 4), ticks as u32);
        assert_eq!(
            (pm.read(9, 1), pm.read(8, 2)),
            (ticks as u32 >> 8 & 0xff, ticks as u32 & 0xffff)
        );
        pm.write(8, 4, 77);
    }
}

/// "TMR_STS": set "any time the most significant bit of a 24/32-bit counter changes", cleared by writing it.
#[test]
fn a_change_of_the_timers_last_bit_raises_sci() {
    let (mut pm, machine, interrupts) = pm();
    let seconds = |count: u64| count * 1_000_000_000;
    assert_eq!(pm.deadline(), None);
    pm.write(ENABLE, 2, 1);
    let half = pm.deadline().unwrap();
    assert_eq!(half / 1_000_000_000, 599);
    machine.clock.store(half - 1, Relaxed);
    pm.advance();
    assert!(!interrupts.is_asserted(9));
    machine.clock.store(half, Relaxed);
    pm.advance();
    assert!(interrupts.is_asserted(9));
    assert_eq!(
        (pm.read(STATUS, 2), pm.read(8, 4), pm.deadline()),
        (1, 1 << 31, None)
    );
    pm.write(STATUS, 2, 0xfffe);
    assert!(interrupts.is_asserted(9), "only what is written is cleared");
    pm.write(STATUS, 2, 1);
    assert!(!interrupts.is_asserted(9));
    assert_eq!(pm.deadline().unwrap() / 1_000_000_000, 1199);
    machine.clock.store(seconds(2500), Relaxed);
    pm.write(ENABLE, 2, 0);
    assert_eq!(
        (pm.read(STATUS, 2), interrupts.is_asserted(9)),
        (1, false),
        "not enabled"
    );
    pm.write(ENABLE, 1, 1);
    assert!(interrupts.is_asserted(9));
}

#[test]
fn enables_stick_and_others_do_not() {
    let (mut pm, ..) = pm();
    pm.write(STATUS, 4, 0xffff_ffff);
    assert_eq!(pm.read(STATUS, 4), 0x0521_0000);
    pm.write(ENABLE + 1, 1, 0);
    assert_eq!((pm.read(ENABLE, 2), pm.read(ENABLE, 1)), (0x21, 0x21));
    assert_eq!(pm.read(6, 2), 0);
}

/// "PM1 Control Registers": SLP_EN with the SLP_TYP of S5, which is 0, in accesses of any size.
#[test]
fn the_sleep_state_s5_is_power_off() {
    let (mut pm, ..) = pm();
    assert_eq!(pm.read(CONTROL, 2), 1, "SCI_EN");
    assert_eq!(pm.write(CONTROL, 2, 0x0002), Effect::None);
    assert_eq!(pm.write(CONTROL, 2, 0x3400), Effect::None, "another state");
    assert_eq!(pm.read(CONTROL, 2), 0x1401);
    assert_eq!(pm.write(CONTROL, 2, 0x2000), Effect::PowerOff);
    assert_eq!(pm.write(CONTROL + 1, 1, 0x20), Effect::PowerOff);
    assert_eq!(pm.write(ENABLE, 4, 0x2000_0000), Effect::PowerOff);
    assert_eq!(pm.write(CONTROL, 1, 0xff), Effect::None);
}

proptest! {
    #[test]
    fn outlives_any_access(steps in proptest::collection::vec((any::<bool>(), 0u16..12, 0usize..3, any::<u32>(), 0u64..1 << 42), 1..100)) {
        let (mut pm, machine, interrupts) = pm();
        for (write, offset, size, value, wait) in steps {
            machine.clock.fetch_add(wait, Relaxed);
            let size = [1, 2, 4][size];
            if write { pm.write(offset, size, value & (u32::MAX >> (32 - 8 * size))); } else { pm.read(offset, size); }
            pm.advance();
            prop_assert!(pm.deadline().is_none_or(|deadline| deadline > machine.clock.load(Relaxed)));
            prop_assert_eq!(interrupts.is_asserted(9), pm.status & pm.enable != 0);
        }
    }
}
