use super::*;
use crate::memory::testing::VecMemory;
use spec::addr::Hpa;
use std::vec;

const RAM: u64 = 4 << 20;
const ACCESS: u64 = 0x1000;

fn device() -> FwCfg {
    let ram = GuestRam::new(VecMemory::leak(RAM as usize), Hpa(0), RAM);
    FwCfg::new(ram, || {
        vec![
            (Name::File("etc/b"), b"bee".to_vec()),
            (Name::Key(5), vec![2, 0]),
            (Name::File("etc/a"), vec![7; 300]),
        ]
    })
}

fn bytes(device: &mut FwCfg, key: u16, count: usize) -> Vec<u8> {
    device.write(0, 2, key.into());
    (0..count).map(|_| device.read(1, 1) as u8).collect()
}

/// Starts an access; returns the control field afterwards.
fn dma(device: &mut FwCfg, control: u32, length: u32, address: u64) -> u32 {
    let mut access = control.to_be_bytes().to_vec();
    access.extend(length.to_be_bytes());
    access.extend(address.to_be_bytes());
    device.ram.write(L1Gpa(ACCESS), &access).unwrap();
    device.write(4, 4, 0);
    device.write(8, 4, (ACCESS as u32).swap_bytes());
    u32::from_be_bytes(memory(device, ACCESS))
}

fn memory<const N: usize>(device: &FwCfg, at: u64) -> [u8; N] {
    let mut bytes = [0; N];
    device.ram.read(L1Gpa(at), &mut bytes).unwrap();
    bytes
}

#[test]
fn items_are_read_byte_by_byte_and_are_followed_by_zeros() {
    let mut device = device();
    assert_eq!(bytes(&mut device, 0, 6), b"QEMU\0\0");
    assert_eq!(bytes(&mut device, 1, 4), [3, 0, 0, 0]);
    assert_eq!(bytes(&mut device, 5, 3), [2, 0, 0]);
    assert_eq!(bytes(&mut device, 0x20, 4), b"bee\0");
    assert_eq!(
        bytes(&mut device, 0x4020, 2),
        b"be",
        "the bit that asks for writing"
    );
    assert_eq!(bytes(&mut device, 0x21, 301)[298..], [7, 7, 0]);
    assert_eq!(bytes(&mut device, 0x22, 2), [0, 0]);
    assert_eq!(bytes(&mut device, 0xffff, 2), [0, 0]);
}

#[test]
fn the_directory_names_the_files() {
    let mut device = device();
    let directory = bytes(&mut device, 0x19, 4 + 2 * 64);
    assert_eq!(directory[..4], [0, 0, 0, 2]);
    assert_eq!(directory[4..18], *b"\0\0\0\x03\0\x20\0\0etc/b\0");
    assert_eq!(directory[68..82], *b"\0\0\x01\x2c\0\x21\0\0etc/a\0");
}

#[test]
fn only_a_word_at_the_selector_selects() {
    let mut device = device();
    device.write(0, 2, 0x20);
    device.write(0, 1, 0);
    device.write(1, 1, 0);
    device.write(0, 4, 0);
    assert_eq!(
        (device.read(1, 1), device.read(1, 1)),
        (b'b'.into(), b'e'.into())
    );
}

#[test]
fn the_dma_registers_read_as_a_signature() {
    let mut device = device();
    assert_eq!(device.read(4, 4).to_le_bytes(), *b"QEMU");
    assert_eq!(device.read(8, 4).to_le_bytes(), *b" CFG");
    assert_eq!((device.read(11, 1), device.read(2, 1)), (b'G'.into(), 0xff));
    assert_eq!(
        (device.read(3, 4), device.read(10, 4)),
        (0x4d45_51ff, 0xffff_4746)
    );
}

#[test]
fn dma_selects_reads_and_skips() {
    let mut device = device();
    device.ram.write(L1Gpa(0x2000), &[0xee; 8]).unwrap();
    assert_eq!(dma(&mut device, 0x20 << 16 | 0b1010, 5, 0x2000), 0);
    assert_eq!(memory(&device, 0x2000), *b"bee\0\0\xee");
    assert_eq!(
        dma(&mut device, 0x20 << 16 | 0b1100, 2, 0),
        0,
        "select and skip"
    );
    assert_eq!(dma(&mut device, 0b10, 1, 0x2000), 0);
    assert_eq!(memory(&device, 0x2000), *b"eee");
    assert_eq!(dma(&mut device, 0, 77, u64::MAX), 0, "nothing asked for");
}

#[test]
fn dma_that_cannot_be_says_so() {
    let mut device = device();
    let read = 0x20 << 16 | 0b1010;
    for (control, length, address) in [
        (read, 4, RAM - 3),
        (read, 4, u64::MAX),
        (read, 1 << 16 | 1, 0x10_0000),
        (read, u32::MAX, 0),
        (0x20 << 16 | 0b1_1000, 1, 0x2000),
    ] {
        assert_eq!(
            dma(&mut device, control, length, address),
            1,
            "{control:#x} {length:#x} {address:#x}"
        );
    }
    assert_eq!(dma(&mut device, read, 1 << 16, RAM - (1 << 16)), 0);
    assert_eq!(memory(&device, RAM - (1 << 16)), *b"bee\0");
    // An access that is itself outside RAM leaves no trace.
    device.write(8, 4, (RAM as u32 - 4).swap_bytes());
    device.write(4, 4, u32::MAX);
    device.write(8, 4, u32::MAX);
}

#[test]
fn the_upper_half_of_the_address_is_for_one_access() {
    let mut device = device();
    let access = b"\0\x20\0\x0a\0\0\0\x03\0\0\0\0\0\0\x20\0";
    device.ram.write(L1Gpa(ACCESS), access).unwrap();
    device.write(4, 4, 1_u32.swap_bytes());
    device.write(8, 4, (ACCESS as u32).swap_bytes());
    assert_eq!(memory(&device, 0x2000), [0; 3], "that is beyond 4 GiB");
    device.write(8, 4, (ACCESS as u32).swap_bytes());
    assert_eq!(memory(&device, 0x2000), *b"bee");
}

proptest::proptest! {
    #[test]
    fn outlives_any_access(steps in proptest::collection::vec((proptest::prelude::any::<bool>(), 0u16..12, 0usize..3, 0u32..), 1..200)) {
        let mut device = device();
        for (write, offset, size, value) in steps {
            let size = [1, 2, 4][size];
            if write { device.write(offset, size, value); } else { device.read(offset, size); }
        }
    }
}
