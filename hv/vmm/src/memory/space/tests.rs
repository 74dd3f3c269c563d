use super::*;
use crate::memory::table::walk;
use crate::memory::testing::VecMemory;
use alloc::boxed::Box;
use core::ops::Range;
use proptest::prelude::*;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A host of which the first 6 MiB are really there: enough for paging structures and a ROM.
struct Host {
    memory: &'static VecMemory,
    frames: &'static Mutex<Frames>,
}

fn host(free: &[Range<u64>]) -> Host {
    let mut frames = Frames::new();
    for range in free {
        frames.add(range.clone());
    }
    Host {
        memory: VecMemory::leak(6 * MIB as usize),
        frames: Box::leak(Box::new(Mutex::new(frames))),
    }
}

fn space(
    host: &Host,
    nested_format: NestedFormat,
    nested_1g_pages: bool,
    size: u64,
) -> Result<Space, OutOfFrames> {
    let capabilities = Capabilities {
        nested_format,
        nested_1g_pages,
        physical_address_bits: 46,
    };
    Space::new(host.memory, host.frames, capabilities, size)
}

fn level(space: &Space, at: u64) -> Option<u8> {
    let memory: &dyn Memory = space.memory;
    let leaf = match space.capabilities.nested_format {
        NestedFormat::Ept => walk::<Ept>(&memory, space.root().0, at),
        NestedFormat::Npt => walk::<LongMode>(&memory, space.root().0, at),
    };
    leaf.ok().map(|leaf| {
        assert_eq!(leaf.address, space.ram.base.0 + at);
        leaf.level
    })
}

#[test]
fn pages_are_as_large_as_engine_and_alignment_allow() {
    for format in [NestedFormat::Ept, NestedFormat::Npt] {
        for (large, free, want) in [
            (true, GIB..8 * GIB, [Some(3), Some(3), Some(2)]),
            (false, GIB..8 * GIB, [Some(2), Some(2), Some(2)]),
            (true, GIB + 2 * MIB..4 * GIB, [Some(2), Some(2), Some(2)]), // no 1 GiB boundary with room behind it
        ] {
            let host = host(&[0..MIB, free]);
            let mut space = space(&host, format, large, 2 * GIB + 4 * MIB).unwrap();
            let places = [0, 2 * GIB - 1, 2 * GIB + MIB];
            for at in places {
                assert_eq!(level(&space, at), None);
                assert_eq!(space.populate(L1Gpa(at), true), Ok(true));
            }
            assert_eq!(places.map(|at| level(&space, at)), want);
        }
    }
}

#[test]
fn beyond_ram_there_is_nothing() {
    let host = host(&[0..MIB, GIB..2 * GIB]);
    let mut space = space(&host, NestedFormat::Ept, true, 3 * MIB).unwrap();
    assert_eq!(
        space.populate(L1Gpa(4 * MIB - 1), true),
        Ok(true),
        "whole 2 MiB pages"
    );
    for at in [4 * MIB, GIB, 1 << 47, u64::MAX] {
        assert_eq!(space.populate(L1Gpa(at), true), Ok(false));
    }
}

#[test]
fn what_it_took_it_gives_back() {
    let host = host(&[0..MIB, GIB..3 * GIB]);
    let free = || host.frames.lock().free_bytes();
    let before = free();
    let mut one = space(&host, NestedFormat::Npt, false, GIB).unwrap();
    for at in (0..GIB).step_by(512 * MIB as usize) {
        one.populate(L1Gpa(at), true).unwrap();
    }
    assert!(free() < before - GIB);
    assert!(space(&host, NestedFormat::Npt, false, 2 * GIB).is_err());
    assert!(space(&host, NestedFormat::Npt, false, u64::MAX).is_err());
    drop(one);
    assert_eq!(free(), before);
}

/// What the nested paging structures say of an address.
fn leaf(space: &Space, at: u64) -> Option<(u64, u8, bool)> {
    let memory: &dyn Memory = space.memory;
    let leaf = match space.capabilities.nested_format {
        NestedFormat::Ept => walk::<Ept>(&memory, space.root().0, at),
        NestedFormat::Npt => walk::<LongMode>(&memory, space.root().0, at),
    };
    leaf.ok()
        .map(|leaf| (leaf.address, leaf.level, leaf.rights.write))
}

#[test]
fn a_rom_ends_at_4_gib_and_is_read_but_not_written() {
    const SIZE: u64 = 0x3000;
    const START: u64 = 4 * GIB - SIZE;
    for format in [NestedFormat::Ept, NestedFormat::Npt] {
        let host = host(&[0..MIB, 2 * MIB..6 * MIB]);
        let before = host.frames.lock().free_bytes();
        let mut space = space(&host, format, true, 2 * MIB).unwrap();
        assert_eq!(space.populate(L1Gpa(START), false), Ok(false));
        let bytes: Vec<u8> = (0..SIZE).map(|n| (n / 7) as u8).collect();
        space.add_rom(&bytes).unwrap();
        let base = space.rom.unwrap().base.0;
        for at in [START, 4 * GIB - 16] {
            assert_eq!(space.populate(L1Gpa(at), true), Ok(false));
            assert_eq!(leaf(&space, at), None);
            assert_eq!(space.populate(L1Gpa(at), false), Ok(true));
            assert_eq!(leaf(&space, at), Some((base + at - START, 1, false)));
            assert_eq!(space.populate(L1Gpa(at), true), Ok(false));
        }
        assert_eq!(leaf(&space, START + 0x1000), None);
        for at in [START - 1, 4 * GIB] {
            assert_eq!(space.populate(L1Gpa(at), false), Ok(false));
        }
        let ram = space.ram();
        let mut read = [0; 16];
        assert!(ram.read(L1Gpa(4 * GIB - 16), &mut read).is_ok() && bytes.ends_with(&read));
        for at in [4 * GIB - 15, START - 1, START - 16, 2 * MIB, u64::MAX] {
            assert!(ram.read(L1Gpa(at), &mut read).is_err(), "{at:#x}");
        }
        assert!(ram.write(L1Gpa(START), &read).is_err() && ram.hpa(L1Gpa(START), 1).is_err());
        drop(space);
        assert_eq!(host.frames.lock().free_bytes(), before);
    }
}

#[test]
fn a_rom_for_which_no_memory_is_left_is_refused() {
    let host = host(&[0..MIB, 2 * MIB..4 * MIB]);
    let mut space = space(&host, NestedFormat::Ept, true, 2 * MIB).unwrap();
    let rom = std::vec![0; 2 * MIB as usize];
    assert_eq!(space.add_rom(&rom), Err(OutOfFrames));
    assert_eq!(space.populate(L1Gpa(4 * GIB - 1), false), Ok(false));
}

proptest! {
    /// Wherever the RAM lies, an address that was populated translates, and to the right place.
    #[test]
    fn populated_addresses_translate(start in 0u64..64, pages in 1u64..600, at in any::<proptest::sample::Index>(), large: bool) {
        let host = host(&[0..MIB, GIB + start * 2 * MIB..6 * GIB]);
        let size = pages * 2 * MIB;
        let mut space = space(&host, NestedFormat::Ept, large, size).unwrap();
        let at = at.index(size as usize) as u64;
        prop_assert_eq!(space.populate(L1Gpa(at), true), Ok(true));
        prop_assert!(level(&space, at).is_some());
    }
}
