use super::*;
use crate::memory::testing::VecMemory;
use alloc::vec::Vec;
use spec::addr::Hpa;

/// An ELF64 image of one PT_LOAD segment: 4 bytes at this physical address, of this size in memory.
fn image(at: u64, size: u64) -> Vec<u8> {
    const HEADER: u64 = 64;
    const PROGRAM_HEADER: u64 = 56;
    let mut image = Vec::from(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    for half in [2u16, EM_X86_64] {
        image.extend(half.to_le_bytes());
    }
    image.extend(1u32.to_le_bytes());
    for word in [at, HEADER, 0] {
        image.extend(word.to_le_bytes());
    }
    image.extend(0u32.to_le_bytes());
    for half in [HEADER as u16, PROGRAM_HEADER as u16, 1, 0, 0, 0] {
        image.extend(half.to_le_bytes());
    }
    for half in [PT_LOAD, 7] {
        image.extend(half.to_le_bytes());
    }
    let bytes = 4.min(size);
    for word in [HEADER + PROGRAM_HEADER, at, at, bytes, size, 0x1000] {
        image.extend(word.to_le_bytes());
    }
    image.extend(*b"code");
    image
}

#[test]
fn a_program_lies_between_our_tables_and_the_end_of_ram() {
    const RAM: u64 = 1 << 20;
    for (at, size, taken) in [
        (layout::END, 4, true),
        (layout::END - 1, 4, false),
        (0, 1, false),
        (0, 0, true),
        (layout::GDT, RAM - layout::GDT, false),
        (RAM - 4, 4, true),
        (RAM - 3, 4, false),
        (u64::MAX, 4, false),
    ] {
        let ram = GuestRam::new(VecMemory::leak(RAM as usize), Hpa(0), RAM);
        let loaded = load_elf(&ram, &image(at, size));
        assert_eq!(loaded.is_ok(), taken, "{size:#x} bytes at {at:#x}");
        if taken && size > 0 {
            let mut code = [0; 4];
            ram.read(L1Gpa(at), &mut code).unwrap();
            assert_eq!(&code, b"code");
        }
    }
}

#[test]
fn ram_ends_below_the_devices() {
    for (mib, taken) in [(1, true), (3072, true), (3073, false), (0x10_0000, false)] {
        let line = format!("test:t,mem={mib}");
        let size = memory(&Request::parse(&line).unwrap(), DEFAULT_MIB);
        assert_eq!(size.is_ok(), taken, "{line}: {size:?}");
    }
}
