//! SDM 3B "Breakpoint Field Recognition" and its table "Breakpoint Examples".

use spec::breakpoint::Access::{self, Port, Read, Write};
use spec::breakpoint::{Breakpoints, any_enabled};

/// R/W 11, 01, 11, 01 and LEN 00, 00, 01, 11 for DR0 to DR3, enabled by L and G in turn.
const EXAMPLES: Breakpoints = Breakpoints {
    addresses: [0xa_0001, 0xa_0002, 0xb_0002, 0xc_0000],
    control: 0xd713_0499,
    extensions: false,
};

/// One breakpoint, DR2.
fn third(kind: u64, length: u64, address: u64) -> Breakpoints {
    Breakpoints {
        addresses: [0, 0, address, 0],
        control: 1 << 4 | kind << 24 | length << 26,
        extensions: true,
    }
}

#[test]
fn the_manuals_examples_trap() {
    const BOTH: &[Access] = &[Read, Write];
    for (accesses, at, size) in [
        (BOTH, 0xa_0001, 1),
        (BOTH, 0xa_0001, 2),
        (&[Write], 0xa_0002, 1),
        (&[Write], 0xa_0002, 2),
        (BOTH, 0xb_0001, 4),
        (BOTH, 0xb_0002, 1),
        (BOTH, 0xb_0002, 2),
        (&[Write], 0xc_0000, 4),
        (&[Write], 0xc_0001, 2),
        (&[Write], 0xc_0003, 1),
    ] {
        for &access in accesses {
            let met = EXAMPLES.met(access, at, size);
            assert_ne!(met, 0, "{access:?} {size} at {at:#x}");
        }
    }
}

#[test]
fn the_manuals_other_examples_do_not() {
    const BOTH: &[Access] = &[Read, Write];
    for (accesses, at, size) in [
        (BOTH, 0xa_0000, 1),
        (&[Read], 0xa_0002, 1),
        (BOTH, 0xa_0003, 4),
        (BOTH, 0xb_0000, 2),
        (&[Read], 0xc_0000, 2),
        (BOTH, 0xc_0004, 4),
    ] {
        for &access in accesses {
            let met = EXAMPLES.met(access, at, size);
            assert_eq!(met, 0, "{access:?} {size} at {at:#x}");
        }
    }
}

#[test]
fn one_access_meets_all_that_it_touches() {
    assert_eq!(EXAMPLES.met(Write, 0xa_0000, 4), 0b0011);
    assert_eq!(EXAMPLES.met(Read, 0xa_0000, 4), 0b0001);
}

#[test]
fn low_bits_of_the_address_are_masked_by_the_length() {
    for (length, address, first, last) in [
        (0b00, 0x1007, 0x1007, 0x1007),
        (0b01, 0x1007, 0x1006, 0x1007),
        (0b11, 0x1007, 0x1004, 0x1007),
        (0b10, 0x1007, 0x1000, 0x1007),
    ] {
        let breakpoint = third(0b01, length, address);
        for (at, met) in [(first - 1, 0), (first, 4), (last, 4), (last + 1, 0)] {
            assert_eq!(breakpoint.met(Write, at, 1), met, "{length:#b} {at:#x}");
        }
    }
}

#[test]
fn ports_are_met_by_their_own_kind_with_debugging_extensions() {
    let breakpoint = third(0b10, 0, 0x80);
    for (access, at, size, met) in [
        (Port, 0x80, 1, 4),
        (Port, 0x7f, 1, 0),
        (Port, 0x7f, 2, 4),
        (Port, 0x7d, 4, 4),
        (Port, 0x81, 4, 0),
        (Read, 0x80, 1, 0),
        (Write, 0x80, 1, 0),
    ] {
        let got = breakpoint.met(access, at, size);
        assert_eq!(got, met, "{access:?} {size} at {at:#x}");
    }
    let without = Breakpoints {
        extensions: false,
        ..breakpoint
    };
    assert_eq!(without.met(Port, 0x80, 1), 0);
    assert_eq!(third(0b11, 0, 0x80).met(Port, 0x80, 1), 0);
    // "The processor zero-extends the port."
    assert_eq!(third(0b10, 0, 0x1_0080).met(Port, 0x80, 1), 0);
}

#[test]
fn what_is_not_enabled_or_for_instructions_is_not_met() {
    let off = Breakpoints {
        control: 3 << 24,
        ..third(0, 0, 0x80)
    };
    assert_eq!(off.met(Read, 0x80, 1), 0);
    assert_eq!(third(0b00, 0, 0x80).met(Read, 0x80, 1), 0);
}

#[test]
fn the_last_addresses_are_met() {
    assert_eq!(third(0b01, 0b10, u64::MAX).met(Write, u64::MAX - 3, 4), 4);
    assert_eq!(third(0b01, 0b00, 0).met(Write, u64::MAX, 2), 4);
}

#[test]
fn local_and_global_breakpoints_are_enabled() {
    for n in 0..8 {
        assert!(any_enabled(0x400 | 1 << n));
    }
    assert!(!any_enabled(0xffff_2700));
}
