//! A guest that does anything.

use super::*;
use fastrand::Rng;

const ACCESSES: usize = 1_000_000;
/// Addresses near the ends of things, and in the rings.
const PLACES: [u64; 10] = [
    0,
    DESCRIPTORS,
    AVAILABLE,
    USED,
    BUFFERS,
    RAM - 16,
    RAM - 1,
    RAM,
    u64::MAX - 4095,
    u64::MAX,
];

fn place(random: &mut Rng) -> u64 {
    let near = PLACES[random.usize(..PLACES.len())];
    near.wrapping_add(random.u64(..64))
}

fn length(random: &mut Rng) -> u32 {
    [1, 16, 512, 4096, 0, 17, u32::MAX, 65536][random.usize(..8)]
}

/// A chain that may be sound, and one or the other field that is not.
fn scribble(driver: &mut Driver, random: &mut Rng) {
    let kind = random.u32(..10);
    let header = u128::from(random.u64(..90)) << 64 | u128::from(kind);
    driver.write_ram(BUFFERS, &header.to_le_bytes());
    let wild = random.u8(..4) == 0;
    let count = random.u16(1..6);
    for n in 0..count {
        let (mut at, mut size) = (BUFFERS + 512 * u64::from(n), 512);
        if n == 0 {
            (at, size) = (BUFFERS, 16);
        }
        let mut flags = if n + 1 < count { NEXT } else { WRITE };
        if kind != 1 && n > 0 {
            flags |= WRITE;
        }
        if n + 1 == count {
            size = 1;
        }
        let mut next = n + 1;
        if wild && random.u8(..4) == 0 {
            (at, size) = (place(random), length(random));
            flags ^= random.u16(..8);
            next = random.u16(..) >> random.u16(..16);
        }
        driver.descriptor(DESCRIPTORS, n, at, size, flags, next);
    }
    if wild && random.u8(..8) == 0 {
        driver.available = random.u16(..);
    }
    driver.offer(if wild { random.u16(..130) } else { 0 });
    driver.notify(0);
}

/// Wherever its ports are.
fn start(driver: &mut Driver, features: u64) {
    driver.write_pci(4, 2, 5);
    driver.write_pci(0x10, 4, 0xc001);
    driver.start(features);
}

fn access(driver: &mut Driver, random: &mut Rng) {
    let size = [1, 2, 4][random.usize(..3)];
    let port = 0xc000 + random.u16(..0x88);
    match random.u8(..100) {
        0..30 => {
            driver.input(port, size);
        }
        30..50 => driver.output(port, size, random.u32(..) >> random.u32(..32)),
        50 => start(driver, 1 << 32 | u64::from(random.u32(..2)) << 28),
        51 => restart_wildly(driver, random),
        52 => driver.write_pci(random.u8(..), 1, random.u32(..256)),
        53 => {
            driver.read_pci(random.u8(..), 1);
        }
        54 => driver.write_pci(4, 2, 5),
        55 => driver.write_pci(0x10, 4, 0xc001),
        56 => {
            driver
                .machine
                .clock
                .fetch_add(random.u64(..200_000), Relaxed);
            driver.rows[2].2.advance();
        }
        57..60 => {
            let at = place(random).min(RAM - 8);
            driver.write_ram(at, &random.u64(..).to_le_bytes());
        }
        _ => scribble(driver, random),
    }
}

/// The device with queue addresses of the guest's choice.
fn restart_wildly(driver: &mut Driver, random: &mut Rng) {
    driver.write_pci(4, 2, 5);
    driver.write_pci(0x10, 4, 0xc001);
    driver.set_common_configuration(0x14, 1, 0);
    driver.set_features(1 << 32 | 1 << 28);
    driver.set_common_configuration(0x14, 1, 0xb);
    for area in [0x20, 0x28, 0x30] {
        let address = place(random);
        driver.set_common_configuration(area, 4, address as u32);
        driver.set_common_configuration(area + 4, 4, (address >> 32) as u32);
    }
    driver.set_common_configuration(0x1c, 2, 1);
    driver.set_common_configuration(0x14, 1, 0xf);
}

fn guards(driver: &Driver) -> Vec<u8> {
    use crate::machine::Memory;
    let mut bytes = std::vec![0; 2 * GUARD as usize];
    let (before, behind) = bytes.split_at_mut(GUARD as usize);
    driver.memory.read(Hpa(0), before);
    driver.memory.read(Hpa(GUARD + RAM), behind);
    bytes
}

/// No panic, no end to the work, nothing outside RAM touched, the image as it was; and a reset makes it work again.
#[test]
fn a_million_accesses_do_no_harm() {
    let (image, mut random) = (image(), Rng::with_seed(20));
    let before = image.to_vec();
    for round in 0..20 {
        let mut driver = match round % 4 {
            0 => Driver::new(|clock| Box::new(Entropy::new(clock))),
            _ => Driver::disk(image, round % 4 == 1),
        };
        driver.size = 128;
        for n in 0..ACCESSES / 20 {
            access(&mut driver, &mut random);
            if n % 64 == 0 {
                start(&mut driver, 1 << 32 | 1 << 28);
            }
        }
        assert!(guards(&driver).iter().all(|&byte| byte == 0));
        start(&mut driver, 1 << 32);
        driver.write_ram(BUFFERS, &[0; 16]);
        assert_eq!(
            driver.send(&[(BUFFERS, 16, false), (BUFFERS + 16, 1, true)]),
            1
        );
    }
    assert_eq!(image, before);
}
