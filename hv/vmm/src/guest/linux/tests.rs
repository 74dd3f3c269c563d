use super::*;
use crate::memory::testing::VecMemory;
use spec::addr::Hpa;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

const MIB: u64 = 1 << 20;
const RAM: u64 = 16 * MIB;

fn ram() -> GuestRam {
    GuestRam::new(VecMemory::leak(RAM as usize), Hpa(0), RAM)
}

/// A relocatable 64-bit bzImage of protocol 2.15 that would rather be at 4 MiB and wants 2 MiB there.
fn kernel() -> Vec<u8> {
    let mut file = vec![0; 1024];
    let fields: [(usize, &[u8]); 13] = [
        (0x1f1, &[1]),
        (0x1f4, &2_u32.to_le_bytes()),
        (0x1fe, &[0x55, 0xaa, 0xeb, 0x6a]),
        (0x202, b"HdrS"),
        (0x206, &[0x0f, 0x02]),
        (0x211, &[1]),
        (0x22c, &0x9f_ffff_u32.to_le_bytes()),
        (0x230, &0x20_0000_u32.to_le_bytes()),
        (0x234, &[1]),
        (0x236, &[1]),
        (0x238, &100_u32.to_le_bytes()),
        (0x258, &(4 * MIB).to_le_bytes()),
        (0x260, &(2 * MIB as u32).to_le_bytes()),
    ];
    for (at, bytes) in fields {
        file[at..at + bytes.len()].copy_from_slice(bytes);
    }
    file.extend(*b"protected-mode code of 32 bytes.");
    file
}

fn with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = kernel();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

fn lay(kernel: &[u8], initrd: Option<&[u8]>, entry: Entry) -> Result<(GuestRam, Loaded), String> {
    let ram = ram();
    let command_line = "console=ttyS0 quiet";
    let files = Files {
        kernel,
        initrd,
        command_line,
    };
    let loaded = lay_out(&ram, &files, entry, 1);
    loaded
        .map(|loaded| (ram, loaded))
        .map_err(|why| why.to_string())
}

fn bytes<const N: usize>(ram: &GuestRam, at: u64) -> [u8; N] {
    let mut bytes = [0; N];
    ram.read(L1Gpa(at), &mut bytes).unwrap();
    bytes
}

#[test]
fn a_kernel_finds_its_parameters() {
    let initrd = [7; 5000];
    let (ram, loaded) = lay(&kernel(), Some(&initrd), Entry::Best).unwrap();
    let want = Loaded {
        entry: 4 * MIB + 0x200,
        long: true,
        initrd: Some(0x9f_e000),
    };
    assert_eq!(loaded, want);
    assert_eq!(bytes(&ram, 4 * MIB), *b"protected-mode code of 32 bytes.");
    assert_eq!(bytes(&ram, 0x9f_e000 + 4999), [7, 0]);
    let at = layout::BOOT_PARAMS;
    let word = |offset| u32::from_le_bytes(bytes(&ram, at + offset));
    assert_eq!(bytes(&ram, at + 0x1f1), [1]);
    assert_eq!(bytes(&ram, at + 0x202), *b"HdrS");
    assert_eq!(word(0x260), 2 * MIB as u32);
    assert_eq!(bytes(&ram, at + 0x210), [0xff, 0x81]);
    assert_eq!(bytes(&ram, at + 0x224), 0xde00_u16.to_le_bytes());
    assert_eq!(
        (word(0x214), word(0x218), word(0x21c)),
        (4 << 20, 0x9f_e000, 5000)
    );
    assert_eq!(bytes(&ram, word(0x228).into()), *b"console=ttyS0 quiet\0");
    assert_eq!(bytes(&ram, at + 0x70), 0xe_0000_u64.to_le_bytes());
    assert_eq!(bytes(&ram, at + 0x1ef), [0]);
    assert_eq!(bytes(&ram, at + 0x1e8), [4]);
    for (n, (start, length, kind)) in [
        (0, 0x9_fc00, 1_u32),
        (0x9_fc00, 0x400, 2),
        (0xe_0000, 0x2_0000, 2),
        (MIB, RAM - MIB, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let row: [u8; 20] = bytes(&ram, at + 0x2d0 + n as u64 * 20);
        assert_eq!(row[..8], u64::to_le_bytes(start));
        assert_eq!(row[8..16], u64::to_le_bytes(length));
        assert_eq!(row[16..], kind.to_le_bytes());
    }
}

#[test]
fn the_entry_point_is_the_kernels_best_or_the_one_asked_for() {
    let bits32 = with(0x236, &[0]);
    let old = with(0x206, &[0x0b]);
    for (kernel, entry, want) in [
        (&kernel(), Entry::Best, Some(true)),
        (&kernel(), Entry::Bits64, Some(true)),
        (&kernel(), Entry::Bits32, Some(false)),
        (&bits32, Entry::Best, Some(false)),
        (&bits32, Entry::Bits64, None),
        (&old, Entry::Best, Some(false)),
    ] {
        let loaded = lay(kernel, None, entry).ok().map(|(_, loaded)| loaded);
        assert_eq!(loaded.map(|loaded| loaded.long), want);
        let offset = if want == Some(true) { 0x200 } else { 0 };
        assert!(loaded.is_none_or(|loaded| loaded.entry == 4 * MIB + offset));
    }
    for (line, want) in [
        ("", true),
        (",entry=32", true),
        (",entry=64", true),
        (",entry=16", false),
    ] {
        let request = Request::parse(&std::format!("linux:k{line}")).unwrap();
        assert_eq!(super::entry(&request).is_ok(), want);
    }
}

#[test]
fn a_kernel_that_cannot_be_moved_is_loaded_at_1_mib() {
    let (ram, loaded) = lay(&with(0x234, &[0]), None, Entry::Best).unwrap();
    assert_eq!((loaded.entry, loaded.initrd), (MIB + 0x200, None));
    assert_eq!(bytes(&ram, MIB), *b"protected-mode");
    let (_, loaded) = lay(&with(0x206, &[0x06]), None, Entry::Best).unwrap();
    assert_eq!((loaded.entry, loaded.long), (MIB, false));
}

#[test]
fn the_initrd_is_as_high_as_the_kernel_reaches() {
    for (end, length, want) in [
        (0x9f_ffff_u32, 1, Ok(0x9f_f000)),
        (0x9f_fffe, 4096, Ok(0x9f_e000)),
        (u32::MAX, 4097, Ok(RAM - 0x2000)),
        (0x5f_ffff, 4096, Ok(4 * MIB - 0x1000)),
        (u32::MAX, 10 * MIB as usize, Ok(6 * MIB)),
        (u32::MAX, 10 * MIB as usize + 1, Err("does not fit")),
        (u32::MAX, 17 * MIB as usize, Err("does not fit")),
        (0, 1, Err("does not fit")),
        (u32::MAX, 0, Err("its initrd is empty")),
    ] {
        let initrd = vec![1; length];
        let got = lay(&with(0x22c, &end.to_le_bytes()), Some(&initrd), Entry::Best);
        match (got, want) {
            (Ok((_, loaded)), Ok(at)) => assert_eq!(loaded.initrd, Some(at)),
            (Err(got), Err(why)) => assert!(got.contains(why), "{got}"),
            (got, want) => panic!("{want:?}, not {:?}", got.map(|got| got.1)),
        }
    }
}

#[test]
fn an_initrd_that_is_cut_short_is_refused() {
    let why = lay(&kernel(), Some(b"0707010000"), Entry::Best).err();
    let want =
        "its initrd is cut short; copy or make it again: cpio: the entry at byte 0 is cut off";
    assert_eq!(why.as_deref(), Some(want));
}

#[test]
fn a_bad_kernel_is_refused_with_one_line() {
    let mut cut = kernel();
    cut.truncate(1024 + 16);
    for (kernel, why) in [
        (vec![], "no setup header"),
        (kernel()[..0x230].to_vec(), "cut short in its setup header"),
        (
            cut,
            "it is cut short: it has 1040 bytes, and its header speaks of 1056",
        ),
        (kernel()[..900].to_vec(), "cut short"),
        (with(0x1f4, &[0]), "cut short"),
        (with(0x1f4, &[0xff; 4]), "cut short"),
        (with(0x1f1, &[0]), "cut short"),
        (with(0x1fe, &[0]), "no setup header"),
        (with(0x202, b"HdrT"), "no setup header"),
        (with(0x206, &[5]), "its boot protocol is 2.05"),
        (with(0x211, &[0]), "zImage"),
        (
            with(0x238, &[18, 0, 0, 0]),
            "its command line has 19 characters; it takes 18",
        ),
        (
            with(0x260, &(13 * MIB as u32).to_le_bytes()),
            "it wants 17 MiB of memory and has 16",
        ),
        (with(0x258, &[0xff; 8]), "MiB of memory and has 16"),
        (
            with(0x234, &[0; 1])
                .into_iter()
                .enumerate()
                .map(|(at, byte)| if at == 0x25a { 5 } else { byte })
                .collect(),
            "",
        ),
    ] {
        match lay(&kernel, None, Entry::Best) {
            Err(got) => assert!(
                got.contains(why) && !got.contains('\n'),
                "{got}\nnot: {why}"
            ),
            Ok(_) => assert_eq!(why, ""),
        }
    }
}

/// The last paragraph of memtest86+ is not full.
#[test]
fn the_last_paragraph_may_be_short() {
    let mut kernel = kernel();
    kernel.truncate(1024 + 17);
    let (ram, _) = lay(&kernel, None, Entry::Best).unwrap();
    assert_eq!(bytes(&ram, 4 * MIB), *b"protected-mode co\0");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    /// Whatever is broken in a kernel, it is loaded or refused.
    #[test]
    fn never_panics(
        changes in proptest::collection::vec((0x1f1..0x280_usize, 0..=255_u8), 0..6),
        length in 0..1100_usize,
        initrd in 0..20_000_usize,
    ) {
        let mut kernel = kernel();
        for (at, byte) in changes {
            kernel[at] = byte;
        }
        kernel.truncate(length.max(0x200));
        if let Ok((_, loaded)) = lay(&kernel, Some(&vec![1; initrd]), Entry::Best) {
            proptest::prop_assert!(loaded.entry >= MIB && loaded.entry < RAM);
        }
    }
}

#[test]
fn a_guest_finds_the_devices_as_firmware_leaves_them() {
    let host = crate::machine::fake::FakeMachine::leak().leak_host();
    let seat = Seat {
        host,
        number: 1,
        shares_console: false,
        program: with(0x258, &(2 * MIB).to_le_bytes()).leak(),
        modules: &[],
    };
    let request = Request::parse("linux:k,mem=4").unwrap();
    let v = load(&request, &seat).unwrap();
    assert_eq!(v.guest.bus.lock().read(0x21, 1), 0xf8);
    assert!(v.next_deadline().is_some());
}
