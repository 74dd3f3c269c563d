use super::*;
use crate::machine::fake::{FakeMachine, Fixture};
use core::sync::atomic::Ordering::Relaxed;
use std::string::String;

fn bus() -> (Bus, &'static FakeMachine) {
    let machine = FakeMachine::leak();
    (Bus::new(&Wiring::on(machine), Vec::new()), machine)
}

fn written(machine: &FakeMachine) -> String {
    String::from_utf8(machine.written.lock().clone()).unwrap()
}

#[test]
fn ports_that_nobody_claims_read_all_ones_and_ignore_writes() {
    let (mut bus, _) = bus();
    for port in [0, 0x80, 0xe8, 0xea, 0x3f7, 0x400, 0xfff0] {
        let reads =
            [1, 2, 4].map(|size| bus.read(port, size) | !(u32::MAX >> (32 - 8 * u32::from(size))));
        assert_eq!((port, reads[0]), (port, u32::MAX));
        assert_eq!(bus.write(port, 1, 0), Effect::None);
        assert!(!bus.claims().has(port));
    }
    assert!(
        [0xe9, 0xf4, 0x3f8, 0x3ff]
            .iter()
            .all(|&port| bus.claims().has(port))
    );
}

#[test]
fn wide_accesses_to_byte_registers_are_split() {
    let (mut bus, machine) = bus();
    bus.write(0x3fb, 1, 0x80);
    bus.write(0x3f8, 2, 0xa1b2); // the divisor
    assert_eq!(
        (bus.read(0x3f8, 1), bus.read(0x3f9, 1), bus.read(0x3f8, 2)),
        (0xb2, 0xa1, 0xa1b2)
    );
    bus.write(0x3fb, 1, 0);
    assert_eq!(
        bus.read(0x3fd, 4) >> 24,
        0xff,
        "behind the last register there is nothing"
    );
    bus.write(0xe9, 4, u32::from_le_bytes(*b"abcd"));
    assert_eq!(written(machine), "a");
}

#[test]
fn accesses_at_the_end_of_the_port_space_wrap_and_do_not_panic() {
    let (mut bus, _) = bus();
    for size in [1, 2, 4] {
        assert_eq!(
            bus.read(0xffff, size),
            u32::MAX >> (32 - 8 * u32::from(size))
        );
        assert_eq!(bus.write(0xffff, size, u32::MAX), Effect::None);
    }
}

#[test]
fn a_doubleword_at_0xcf8_is_the_pci_address_and_byte_0xcf9_is_not() {
    let (mut bus, _) = bus();
    bus.write(0xcf8, 4, 0x8000_0058);
    bus.write(0xcf9, 1, 0);
    bus.write(0xcf8, 2, 0);
    assert_eq!(bus.read(0xcf8, 4), 0x8000_0058);
    bus.write(0xcfd, 2, 0xa1b2); // PAM0 and PAM1
    assert_eq!(
        (bus.read(0xcfc, 4), bus.read(0xcfe, 4)),
        (0x00a1_b200, 0xffff_00a1)
    );
}

#[test]
fn the_debug_exit_takes_each_size_and_only_its_own_ports() {
    let (mut bus, _) = bus();
    for (port, size, want) in [
        (0xf4, 1, Effect::Exit(0x44)),
        (0xf4, 2, Effect::Exit(0x3344)),
        (0xf4, 4, Effect::Exit(0x1122_3344)),
        (0xf1, 4, Effect::Exit(0x11)),
        (0xf0, 4, Effect::None),
        (0xf6, 4, Effect::Exit(0x44)),
    ] {
        assert_eq!(bus.write(port, size, 0x1122_3344), want, "{port:#x} {size}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(10))]

    /// A million accesses to a whole virtual PC: every second one to a port that a device has, or to its memory. Time goes on,
    /// and no deadline of a device stays behind it.
    #[test]
    fn a_million_accesses_are_survived(seed: u64) {
        let f = Fixture::first_of(2, FakeMachine::leak(), Vec::new());
        let (mut bus, claims) = (f.v.guest.bus.lock(), &f.v.guest.claims);
        let ports: Vec<u16> = (0..=u16::MAX).filter(|&port| claims.has(port)).collect();
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..100_000 {
            let size = 1 << random.u8(0..3);
            let value = random.u32(..) >> random.u8(0..32);
            match random.u8(0..8) {
                0 => { bus.read(random.u16(..), size); }
                1 => { bus.write(random.u16(..), size, value); }
                2 | 3 => { bus.read(ports[random.usize(0..ports.len())], size); }
                4 | 5 => { bus.write(ports[random.usize(0..ports.len())], size, value); }
                6 => { bus.read_memory(0xfec0_0000 + u64::from(random.u16(..) >> random.u8(0..16)), size); }
                _ => bus.write_memory(0xfec0_0000 + u64::from(random.u16(..) >> random.u8(0..16)), size, value),
            }
            let now = f.machine.clock.fetch_add(random.u64(0..5000), Relaxed);
            if bus.deadline().is_some_and(|deadline| deadline <= now) {
                bus.advance(now);
                proptest::prop_assert!(bus.deadline().is_none_or(|deadline| deadline > now));
            }
        }
    }
}
