use super::*;
use crate::device::interrupts::LINES;

/// "PCI Device Discovery", "Virtio Structure PCI Capabilities".
#[test]
fn devices_are_non_transitional_and_tell_where_their_structures_are() {
    for (mut driver, id, class, device) in [
        (Driver::disk(image(), false), 0x1042, 0x01_0000, true),
        (
            Driver::new(|clock| Box::new(Entropy::new(clock))),
            0x1044,
            0xff_0000,
            false,
        ),
    ] {
        assert_eq!(driver.read_pci(0, 4), id << 16 | 0x1af4);
        assert!(driver.read_pci(8, 1) >= 1 && driver.read_pci(0x2e, 2) >= 0x40);
        assert_eq!(driver.read_pci(8, 4) >> 8, class);
        let [_, common_configuration, notify, isr, own, _] = driver.structures;
        assert!(common_configuration % 4 == 0 && notify % 2 == 0 && own % 4 == 0);
        assert!(isr > common_configuration && (own > common_configuration) == device);
    }
}

/// "Device Initialization", "Feature Bits".
#[test]
fn features_are_taken_only_if_they_were_offered_and_with_version_1() {
    let mut driver = Driver::disk(image(), false);
    let offered = driver.features();
    assert!(offered & (1 << 32) != 0);
    driver.set_common_configuration(0, 4, 2);
    assert_eq!(
        driver.common_configuration(4, 4),
        0,
        "there are 64 feature bits"
    );
    for (features, taken) in [
        (1 << 32, true),
        (offered, true),
        (offered & !(1 << 32), false),
        (1 << 32 | 1 << 33, false),
        (1 << 32 | 1 << 63, false),
    ] {
        driver.set_common_configuration(0x14, 1, 0);
        driver.set_features(features);
        driver.set_common_configuration(0x14, 1, 0xb);
        assert_eq!(driver.status() & 8 != 0, taken, "{features:#x}");
        driver.set_common_configuration(0x14, 1, 0xf);
        assert_eq!(driver.status() & 4 != 0, taken, "no DRIVER_OK without");
    }
    driver.set_common_configuration(0x14, 1, 0);
    driver.start(1 << 32);
    driver.set_features(0);
    driver.set_common_configuration(8, 4, 1);
    assert_eq!(driver.common_configuration(0xc, 4), 1, "they stay");
}

/// "Common configuration structure layout": what a reset leaves, and what takes which values.
#[test]
fn the_common_configuration_is_the_specifications() {
    let mut driver = Driver::disk(image(), false);
    driver.set_common_configuration(0x14, 1, 0);
    assert_eq!(
        (driver.status(), driver.common_configuration(0x12, 2)),
        (0, 1)
    );
    assert_eq!(
        (
            driver.common_configuration(0x10, 2),
            driver.common_configuration(0x1a, 2)
        ),
        (0xffff, 0xffff),
        "no MSI-X"
    );
    assert_eq!(
        (
            driver.common_configuration(0x18, 2),
            driver.common_configuration(0x1c, 2)
        ),
        (128, 0)
    );
    for (written, size) in [(64, 64), (0, 64), (48, 64), (256, 64), (1, 1), (128, 128)] {
        driver.set_common_configuration(0x18, 2, written);
        assert_eq!(
            driver.common_configuration(0x18, 2),
            size,
            "written {written}"
        );
    }
    for at in (0x20..0x38).step_by(4) {
        driver.set_common_configuration(at, 4, 0x1000 + u32::from(at));
    }
    driver.set_common_configuration(0x1c, 2, 2);
    assert_eq!(driver.common_configuration(0x1c, 2), 0, "enabled by 1 only");
    driver.set_common_configuration(0x1c, 2, 1);
    driver.set_common_configuration(0x1c, 2, 0);
    assert_eq!(
        driver.common_configuration(0x1c, 2),
        1,
        "disabled by reset only"
    );
    driver.set_common_configuration(0x18, 2, 2);
    for at in (0x20..0x38).step_by(4) {
        driver.set_common_configuration(at, 4, 0);
        assert_eq!(
            driver.common_configuration(at, 4),
            0x1000 + u32::from(at),
            "enabled"
        );
    }
    assert_eq!(
        (
            driver.common_configuration(0x18, 2),
            driver.common_configuration(0x1e, 2)
        ),
        (128, 0)
    );
    driver.set_common_configuration(0x16, 2, 1);
    assert_eq!(
        (
            driver.common_configuration(0x16, 2),
            driver.common_configuration(0x18, 2),
            driver.common_configuration(0x20, 4)
        ),
        (1, 0, 0),
        "there is no queue 1"
    );
    driver.set_common_configuration(0x14, 1, 0);
    assert_eq!(
        (
            driver.common_configuration(0x16, 2),
            driver.common_configuration(0x1c, 2)
        ),
        (0, 0)
    );
}

/// "ISR status capability": a read clears it, and the interrupt with it.
#[test]
fn the_isr_status_is_cleared_by_its_read() {
    let mut driver = Driver::disk(image(), false);
    assert!(!driver.is_interrupting());
    driver.block(0, 0, 512);
    assert!(driver.is_interrupting());
    assert_eq!((driver.isr(), driver.is_interrupting()), (1, false));
    assert_eq!(driver.isr(), 0);
    driver.block(0, 0, 512);
    driver.set_common_configuration(0x14, 1, 0);
    assert!(!driver.is_interrupting() && driver.isr() == 0, "reset");
    let others = (0..LINES as u8).filter(|&line| driver.interrupts.is_asserted(line));
    assert_eq!(others.count(), 0);
}

/// "Available Buffer Notification Suppression".
#[test]
fn a_driver_that_polls_is_not_interrupted() {
    let mut driver = Driver::disk(image(), false);
    driver.write_ram(AVAILABLE, &[1, 0]);
    assert_eq!(driver.block(0, 0, 512), (0, 513));
    assert!(!driver.is_interrupting() && driver.isr() == 0);
}

#[test]
fn nothing_happens_before_driver_ok_or_without_bus_mastering() {
    let mut driver = Driver::disk(image(), false);
    driver.chain(
        DESCRIPTORS,
        &[(BUFFERS, 16, false), (BUFFERS + 16, 1, true)],
    );
    driver.write_pci(4, 2, 1);
    driver.offer(0);
    driver.notify(0);
    assert_eq!(driver.take_used(), None, "bus mastering is off");
    driver.write_pci(4, 2, 5);
    for queue in [1, 0xffff] {
        driver.notify(queue);
    }
    assert_eq!(driver.take_used(), None, "another queue");
    driver.set_common_configuration(0x14, 1, 0);
    driver.set_features(1 << 32);
    driver.set_common_configuration(0x14, 1, 0xb);
    driver.set_up_queue(0);
    driver.chain(
        DESCRIPTORS,
        &[(BUFFERS, 16, false), (BUFFERS + 16, 1, true)],
    );
    driver.offer(0);
    driver.notify(0);
    assert_eq!(driver.take_used(), None, "no DRIVER_OK");
    driver.set_common_configuration(0x14, 1, 0xf);
    driver.notify(0);
    assert!(driver.take_used().is_some());
}

/// "Indirect Descriptors".
#[test]
fn indirect_tables_are_read_where_they_were_agreed_on() {
    const TABLE: u64 = 0x8000;
    let mut driver = Driver::disk(image(), false);
    driver.write_ram(BUFFERS, &[0; 16]);
    let rest = [(BUFFERS + 512, 512, true), (BUFFERS + 16, 1, true)];
    driver.descriptor(DESCRIPTORS, 0, BUFFERS, 16, NEXT, 1);
    driver.descriptor(DESCRIPTORS, 1, TABLE, 32, INDIRECT, 0);
    driver.chain(TABLE, &rest);
    driver.offer(0);
    driver.notify(0);
    assert_eq!(driver.take_used(), Some((0, 513)));
    assert_eq!(driver.read_ram(BUFFERS + 512, 512), &image()[..512]);
    driver.start(1 << 32);
    driver.descriptor(DESCRIPTORS, 0, TABLE, 32, INDIRECT, 0);
    driver.offer(0);
    driver.notify(0);
    assert_eq!(driver.status(), 0x4f, "not agreed on");
}

/// A read of sector 0, in a table.
fn sound(driver: &Driver, table: u64) {
    driver.write_ram(BUFFERS, &[0; 16]);
    let (to, status) = ((0xa000, 512, true), (BUFFERS + 16, 1, true));
    driver.chain(table, &[(BUFFERS, 16, false), to, status]);
}

/// Each breaks a rule of "Split Virtqueues"; the device asks for a reset, tells the driver, and does nothing more.
#[test]
fn what_breaks_the_rules_needs_a_reset() {
    type Break = fn(&mut Driver);
    let rules: &[(&str, Break)] = &[
        ("an index too far ahead", |d| {
            sound(d, DESCRIPTORS);
            d.write_ram(AVAILABLE + 2, &129u16.to_le_bytes());
        }),
        ("a head outside the table", |d| d.offer(128)),
        ("a loop", |d| {
            d.descriptor(DESCRIPTORS, 0, BUFFERS, 16, NEXT, 0);
            d.offer(0);
        }),
        ("a next outside the table", |d| {
            d.descriptor(DESCRIPTORS, 0, BUFFERS, 16, NEXT, 128);
            d.offer(0);
        }),
        ("a buffer that ends outside RAM", |d| {
            d.chain(DESCRIPTORS, &[(RAM - 15, 16, false), (0, 1, true)]);
            d.offer(0);
        }),
        ("a buffer that wraps", |d| {
            d.chain(DESCRIPTORS, &[(u64::MAX - 3, 16, false), (0, 1, true)]);
            d.offer(0);
        }),
        ("a readable buffer behind a writable one", |d| {
            d.write_ram(BUFFERS, &[0; 16]);
            let (to, status) = ((0x9000, 512, true), (BUFFERS + 16, 1, true));
            d.chain(
                DESCRIPTORS,
                &[(BUFFERS, 16, false), to, (0x9200, 16, false), status],
            );
            d.offer(0);
        }),
        ("a header too short", |d| {
            d.chain(DESCRIPTORS, &[(BUFFERS, 15, false), (0, 1, true)]);
            d.offer(0);
        }),
        ("no room for the status", |d| {
            d.chain(DESCRIPTORS, &[(BUFFERS, 16, false)]);
            d.offer(0);
        }),
        ("an indirect table in an indirect table", |d| {
            sound(d, 0x9000);
            d.descriptor(DESCRIPTORS, 0, 0x8000, 16, INDIRECT, 0);
            d.descriptor(0x8000, 0, 0x9000, 48, INDIRECT, 0);
            d.offer(0);
        }),
        ("an empty indirect table", |d| {
            d.descriptor(DESCRIPTORS, 0, 0x8000, 0, INDIRECT, 0);
            d.offer(0);
        }),
        ("an indirect table of half a descriptor", |d| {
            sound(d, 0x8000);
            d.descriptor(DESCRIPTORS, 0, 0x8000, 56, INDIRECT, 0);
            d.offer(0);
        }),
        ("an indirect table with a next", |d| {
            sound(d, 0x8000);
            d.descriptor(DESCRIPTORS, 0, 0x8000, 48, INDIRECT | NEXT, 1);
            d.offer(0);
        }),
    ];
    for (what, break_it) in rules {
        let mut driver = Driver::disk(image(), false);
        break_it(&mut driver);
        driver.notify(0);
        assert_eq!((driver.status(), driver.isr()), (0x4f, 2), "{what}");
        driver.set_common_configuration(0x14, 1, 0xf);
        driver.notify(0);
        assert_eq!(
            (driver.status(), driver.take_used()),
            (0x4f, None),
            "{what}"
        );
        driver.start(1 << 32);
        assert_eq!(driver.block(0, 1, 512), (0, 513), "after a reset: {what}");
    }
}

#[test]
fn rings_outside_ram_and_odd_ones_need_a_reset() {
    for (register, address) in [
        (0x20, RAM),
        (0x24, 1),
        (0x28, RAM - 1),
        (0x28, AVAILABLE + 1),
        (0x28, 0xffff_fffe),
        (0x30, RAM),
        (0x30, USED + 1),
        (0x34, u64::from(u32::MAX)),
    ] {
        let mut driver = Driver::disk(image(), false);
        driver.set_common_configuration(0x14, 1, 0);
        driver.set_features(1 << 32);
        driver.set_common_configuration(0x14, 1, 0xb);
        driver.set_common_configuration(0x30, 4, USED as u32);
        driver.set_common_configuration(0x28, 4, AVAILABLE as u32);
        driver.set_common_configuration(register, 4, address as u32);
        driver.set_common_configuration(0x1c, 2, 1);
        driver.set_common_configuration(0x14, 1, 0xf);
        driver.chain(0, &[(BUFFERS, 16, false), (BUFFERS + 16, 1, true)]);
        driver.write_ram(AVAILABLE + 2, &[1, 0]);
        driver.notify(0);
        assert_eq!(driver.status(), 0x4f, "{register:#x} {address:#x}");
    }
}

/// "PCI configuration access capability".
#[test]
fn registers_are_reached_through_configuration_space_too() {
    let mut driver = Driver::disk(image(), false);
    let mut at = driver.read_pci(0x34, 1) as u8;
    while driver.read_pci(at + 3, 1) != 5 {
        at = driver.read_pci(at + 1, 1) as u8;
    }
    let choose = |driver: &mut Driver, offset: u32, length: u32| {
        driver.write_pci(at + 4, 1, 0);
        driver.write_pci(at + 8, 4, offset);
        driver.write_pci(at + 12, 4, length);
        at + 16
    };
    let data = choose(&mut driver, 0x14, 1);
    assert_eq!(driver.read_pci(data, 1), 0xf, "the status");
    driver.write_pci(data, 1, 0);
    assert_eq!(driver.status(), 0);
    let data = choose(&mut driver, 0, 4);
    driver.write_pci(data, 4, 1);
    assert_eq!(driver.common_configuration(4, 4), 1);
    for (offset, length) in [(1, 2), (0, 3), (0, 0), (0x80, 4), (0x7e, 4), (u32::MAX, 1)] {
        let data = choose(&mut driver, offset, length);
        driver.write_pci(data, 4, 0);
        driver.read_pci(data, 4);
    }
    assert_eq!(driver.common_configuration(4, 4), 1);
}
