//! Against the Intel 8259A data sheet.

use super::*;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

const MASTER: usize = Pics::MASTER;
const SLAVE: usize = Pics::SLAVE;
const EOI: u8 = 0x20;
const SPECIFIC_EOI: u8 = 0x60;
const ROTATE_ON_EOI: u8 = 0xa0;
const ROTATE_ON_SPECIFIC_EOI: u8 = 0xe0;
const SET_PRIORITY: u8 = 0xc0;
const ROTATE_IN_AEOI: u8 = 0x80;
const READ_IRR: u8 = 0x0a;
const READ_ISR: u8 = 0x0b;
const POLL: u8 = 0x0c;
const SET_SPECIAL_MASK: u8 = 0x68;
const CLEAR_SPECIAL_MASK: u8 = 0x48;

/// Vectors from 20H and 28H, nothing masked, and this ICW4.
fn pics(icw4: u8) -> Pics {
    let mut pics = Pics::new();
    for (which, base, wires) in [(MASTER, 0x20, 4), (SLAVE, 0x28, 2)] {
        pics.write(which, false, 0x11);
        for word in [base, wires, icw4] {
            pics.write(which, true, word);
        }
    }
    pics
}

fn raise(pics: &mut Pics, lines: &[u8]) {
    lines.iter().for_each(|&line| pics.set(line, true));
}

fn pulse(pics: &mut Pics, line: u8) {
    pics.set(line, false);
    pics.set(line, true);
}

/// A register by the OCW3 that selects it.
fn read(pics: &mut Pics, which: usize, ocw3: u8) -> u8 {
    pics.write(which, false, ocw3);
    pics.read(which, false)
}

/// Acknowledges until INTR falls.
fn taken(pics: &mut Pics) -> Vec<u8> {
    let mut vectors = Vec::new();
    while pics.intr() && vectors.len() < 20 {
        vectors.push(pics.acknowledge());
    }
    vectors
}

#[test]
fn firmware_leaves_them_masked_with_their_old_vectors() {
    let mut pics = Pics::new();
    assert_eq!(
        (pics.read(MASTER, true), pics.read(SLAVE, true)),
        (0xfb, 0xff)
    );
    raise(&mut pics, &[1, 8]);
    assert!(!pics.intr());
    pics.write(MASTER, true, 0);
    pics.write(SLAVE, true, 0);
    assert_eq!(taken(&mut pics), [0x09]);
    pics.write(MASTER, false, EOI);
    assert_eq!(taken(&mut pics), [0x70]);
}

#[test]
fn initialization_takes_the_words_that_icw1_announces() {
    for (icw1, words) in [(0x10, 2), (0x11, 3), (0x12, 1), (0x13, 2)] {
        let mut pics = Pics::new();
        pics.set(1, true);
        pics.write(MASTER, false, icw1);
        pulse(&mut pics, 1);
        for _ in 0..words {
            assert!(!pics.intr(), "{icw1:#x}: not ready");
            assert_eq!(pics.read(MASTER, true), 0, "IMR is cleared");
            pics.write(MASTER, true, 0x46);
        }
        assert!(pics.intr(), "{icw1:#x}");
        pics.write(MASTER, true, 0x55);
        assert_eq!(pics.read(MASTER, true), 0x55, "{icw1:#x}");
        assert_eq!(pics.acknowledge(), 0x41, "bits 2:0 are the input's");
    }
}

#[test]
fn icw1_forgets_requests_service_priorities_and_modes() {
    let mut pics = pics(0x03);
    for ocw in [
        ROTATE_IN_AEOI,
        SET_SPECIAL_MASK,
        READ_ISR,
        SET_PRIORITY | 3,
        POLL,
    ] {
        pics.write(MASTER, false, ocw);
    }
    raise(&mut pics, &[0, 6]);
    pics.write(MASTER, false, 0x10); // no ICW4: its modes are off
    for word in [0x20, 4] {
        pics.write(MASTER, true, word);
    }
    assert_eq!(
        pics.read(MASTER, false),
        0,
        "IRR, and edges must come again"
    );
    pulse(&mut pics, 6);
    assert_eq!(
        (pics.read(MASTER, false), taken(&mut pics)),
        (0x40, vec![0x26])
    );
    pulse(&mut pics, 0);
    assert_eq!(taken(&mut pics), [0x20], "input 0 is the highest");
    assert_eq!(read(&mut pics, MASTER, READ_ISR), 0x41, "no automatic EOI");
    pics.write(MASTER, true, 0x01);
    pulse(&mut pics, 7);
    assert!(!pics.intr(), "no special mask mode");
    pics.write(MASTER, false, 0x11);
    assert_eq!(read(&mut pics, MASTER, READ_ISR), 0);
}

#[test]
fn fully_nested_requests_wait_for_those_in_service() {
    let mut pics = pics(1);
    raise(&mut pics, &[3, 5, 1]);
    assert_eq!(read(&mut pics, MASTER, READ_IRR), 0x2a);
    assert_eq!(taken(&mut pics), [0x21]);
    pics.set(0, true);
    assert_eq!(taken(&mut pics), [0x20], "higher ones do not wait");
    assert_eq!(read(&mut pics, MASTER, READ_ISR), 0x03);
    pics.write(MASTER, false, EOI);
    assert_eq!(read(&mut pics, MASTER, READ_ISR), 0x02, "of the highest");
    assert!(!pics.intr());
    pics.write(MASTER, false, EOI);
    assert_eq!(taken(&mut pics), [0x23]);
    pics.write(MASTER, false, SPECIFIC_EOI | 3);
    assert_eq!(taken(&mut pics), [0x25]);
}

#[test]
fn a_masked_edge_is_kept_while_its_line_stays_high() {
    let mut pics = pics(1);
    pics.write(MASTER, true, 0x10);
    pics.set(4, true);
    assert_eq!(
        (pics.intr(), read(&mut pics, MASTER, READ_IRR)),
        (false, 0x10)
    );
    pics.write(MASTER, true, 0);
    assert!(pics.intr());
    pics.set(4, false);
    assert_eq!((pics.intr(), read(&mut pics, MASTER, READ_IRR)), (false, 0));
}

#[test]
fn an_edge_makes_one_request() {
    let mut pics = pics(1);
    pics.set(4, true);
    assert_eq!(taken(&mut pics), [0x24]);
    pics.write(MASTER, false, EOI);
    pics.set(4, true);
    assert!(!pics.intr(), "still the same edge");
    pulse(&mut pics, 4);
    assert_eq!(taken(&mut pics), [0x24]);
}

#[test]
fn a_request_that_is_gone_is_acknowledged_as_input_7_and_not_in_service() {
    let mut pics = pics(1);
    pics.set(4, true);
    pics.set(4, false);
    assert_eq!(pics.acknowledge(), 0x27);
    assert_eq!(read(&mut pics, MASTER, READ_ISR), 0);
}

/// The master has seen the slave's INT, and then the slave has nothing.
#[test]
fn a_request_of_the_slave_that_is_gone_is_its_input_7() {
    let mut pics = pics(1);
    pics.0[MASTER].set(CASCADE, true);
    assert_eq!(pics.acknowledge(), 0x2f);
    assert_eq!(read(&mut pics, SLAVE, READ_ISR), 0);
    assert_eq!(
        read(&mut pics, MASTER, READ_ISR),
        0x04,
        "the master must have its EOI"
    );
}

#[test]
fn a_level_asks_again_after_its_eoi() {
    let mut pics = pics(1);
    pics.set_elcr(MASTER, 0x20);
    pics.set(5, true);
    assert_eq!(taken(&mut pics), [0x25]);
    assert_eq!(read(&mut pics, MASTER, READ_IRR), 0x20);
    pics.write(MASTER, false, EOI);
    assert_eq!(taken(&mut pics), [0x25]);
    pics.set(5, false);
    pics.write(MASTER, false, EOI);
    assert!(!pics.intr());
}

/// Intel 82371SB data sheet "Edge/Level Control Registers".
#[test]
fn some_lines_are_edges_whatever_elcr_is_told() {
    let mut pics = pics(1);
    assert_eq!((pics.elcr(MASTER), pics.elcr(SLAVE)), (0, 0x0e));
    pics.set_elcr(MASTER, 0xff);
    pics.set_elcr(SLAVE, 0xff);
    assert_eq!((pics.elcr(MASTER), pics.elcr(SLAVE)), (0xf8, 0xde));
    pics.write(MASTER, false, 0x19); // LTIM
    for word in [0x20, 4, 1] {
        pics.write(MASTER, true, word);
    }
    pics.set(1, true);
    assert_eq!(taken(&mut pics), [0x21]);
    pics.write(MASTER, false, EOI);
    assert!(!pics.intr());
}

#[test]
fn the_slave_speaks_through_input_2() {
    let mut pics = pics(1);
    raise(&mut pics, &[3, 12, 8]);
    assert_eq!(read(&mut pics, MASTER, READ_IRR), 0x0c);
    assert_eq!(taken(&mut pics), [0x28]);
    let in_service = [MASTER, SLAVE].map(|which| read(&mut pics, which, READ_ISR));
    assert_eq!(in_service, [0x04, 0x01]);
    pics.write(MASTER, false, EOI);
    assert_eq!(taken(&mut pics), [0x23], "12 waits for the slave's EOI");
    pics.write(SLAVE, false, EOI);
    assert_eq!(taken(&mut pics), [0x2c]);
}

#[test]
fn special_fully_nested_lets_higher_requests_of_the_same_slave_through() {
    for (icw4, want) in [(0x01, vec![]), (0x11, vec![0x29])] {
        let mut pics = pics(icw4);
        pics.set(13, true);
        assert_eq!(taken(&mut pics), [0x2d]);
        raise(&mut pics, &[14, 3]);
        assert!(!pics.intr(), "lower ones wait");
        pics.set(9, true);
        assert_eq!(taken(&mut pics), want, "ICW4 {icw4:#x}");
    }
}

#[test]
fn automatic_eoi_leaves_nothing_in_service() {
    let mut pics = pics(3);
    raise(&mut pics, &[0, 1, 10, 14]);
    assert_eq!(taken(&mut pics)[..2], [0x20, 0x21]);
    pics.set(10, false);
    assert_eq!(taken(&mut pics), [0x2e]);
    let in_service = [MASTER, SLAVE].map(|which| read(&mut pics, which, READ_ISR));
    assert_eq!(in_service, [0, 0]);
}

#[test]
fn rotation_on_automatic_eoi_makes_the_served_one_the_lowest() {
    let mut pics = pics(3);
    pics.write(MASTER, false, ROTATE_IN_AEOI);
    raise(&mut pics, &[0, 4]);
    assert_eq!(pics.acknowledge(), 0x20);
    pulse(&mut pics, 0);
    assert_eq!(taken(&mut pics), [0x24, 0x20]);
    pics.write(MASTER, false, 0);
    raise(&mut pics, &[5]);
    pulse(&mut pics, 0);
    assert_eq!(
        pics.acknowledge(),
        0x25,
        "priorities stay when it is switched off"
    );
    pulse(&mut pics, 5);
    assert_eq!(pics.acknowledge(), 0x25, "and no longer rotate");
}

/// "Automatic Rotation": the data sheet's own example, inputs 4 and 6 in service.
#[test]
fn rotation_on_nonspecific_eoi_is_the_data_sheets_example() {
    let mut pics = pics(1);
    pics.set(6, true);
    assert_eq!(taken(&mut pics), [0x26]);
    pics.set(4, true);
    assert_eq!(taken(&mut pics), [0x24]);
    pics.write(MASTER, false, ROTATE_ON_EOI);
    assert_eq!(read(&mut pics, MASTER, READ_ISR), 0x40);
    pulse(&mut pics, 4);
    pics.set(5, true);
    assert_eq!(taken(&mut pics), [0x25], "above 6, and 4 is below it");
    pics.write(MASTER, false, EOI);
    pics.write(MASTER, false, EOI);
    assert_eq!(taken(&mut pics), [0x24]);
}

#[test]
fn rotation_on_specific_eoi_names_the_lowest() {
    let mut pics = pics(1);
    pics.set(3, true);
    assert_eq!(taken(&mut pics), [0x23]);
    pics.write(MASTER, false, ROTATE_ON_SPECIFIC_EOI | 3);
    assert_eq!(read(&mut pics, MASTER, READ_ISR), 0);
    raise(&mut pics, &[0, 4]);
    assert_eq!(taken(&mut pics), [0x24]);
}

#[test]
fn set_priority_ends_nothing() {
    let mut pics = pics(1);
    pics.set(7, true);
    assert_eq!(taken(&mut pics), [0x27]);
    pics.write(MASTER, false, SET_PRIORITY | 5);
    assert_eq!(read(&mut pics, MASTER, READ_ISR), 0x80);
    pics.set(0, true);
    assert!(!pics.intr(), "6, 7, 0 .. 5");
    pics.set(6, true);
    assert_eq!(taken(&mut pics), [0x26]);
}

#[test]
fn a_rotation_with_nothing_in_service_rotates_nothing() {
    let mut pics = pics(1);
    pics.write(MASTER, false, ROTATE_ON_EOI);
    raise(&mut pics, &[0, 1]);
    assert_eq!(taken(&mut pics), [0x20]);
}

#[test]
fn in_special_mask_mode_what_is_masked_holds_nothing_back() {
    let mut pics = pics(1);
    pics.set(1, true);
    assert_eq!(taken(&mut pics), [0x21]);
    pics.set(6, true);
    pics.write(MASTER, true, 0x02);
    assert!(!pics.intr());
    pics.write(MASTER, false, SET_SPECIAL_MASK);
    assert_eq!(taken(&mut pics), [0x26]);
    pics.write(MASTER, false, 0x08); // without ESMM: no change
    pics.write(MASTER, false, EOI);
    assert_eq!(read(&mut pics, MASTER, READ_ISR), 0x02, "nor is it ended");
    pics.write(MASTER, false, EOI);
    assert_eq!(read(&mut pics, MASTER, READ_ISR), 0x02);
    pics.write(MASTER, false, CLEAR_SPECIAL_MASK);
    pics.write(MASTER, false, EOI);
    assert_eq!(read(&mut pics, MASTER, READ_ISR), 0);
}

#[test]
fn a_poll_acknowledges_and_says_what() {
    let mut pics = pics(1);
    raise(&mut pics, &[4, 11]);
    pics.write(MASTER, false, POLL | READ_ISR);
    assert_eq!(pics.read(MASTER, false), 0x82, "over reading a register");
    assert_eq!(pics.read(MASTER, false), 0x04, "once");
    pics.write(SLAVE, false, POLL);
    assert_eq!(pics.read(SLAVE, true), 0x83, "at either port");
    assert_eq!(pics.read(SLAVE, true), 0);
    pics.write(MASTER, false, POLL);
    assert_eq!(pics.read(MASTER, false), 0, "4 waits for 2");
    assert!(!pics.intr());
}

#[test]
fn words_that_say_nothing_change_nothing() {
    let mut pics = pics(1);
    raise(&mut pics, &[3]);
    assert_eq!(taken(&mut pics), [0x23]);
    let before = format!("{pics:?}");
    for ocw in [0x40, 0x43, 0x08] {
        pics.write(MASTER, false, ocw);
    }
    assert_eq!(format!("{pics:?}"), before);
}
