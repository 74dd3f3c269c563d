use super::*;
use crate::memory::testing::VecMemory;
use spec::addr::Hpa;
use std::string::ToString;
use std::vec;

mod refused;
mod video;

const RAM: u64 = 4 << 20;

fn ram() -> GuestRam {
    GuestRam::new(VecMemory::leak(RAM as usize), Hpa(0), RAM)
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A Multiboot 1 header with these flags and addresses.
fn header1(flags: u32, addresses: &[u32]) -> Vec<u8> {
    let magic = 0x1bad_b002_u32;
    let checksum = 0_u32.wrapping_sub(magic).wrapping_sub(flags);
    let mut header = words(&[magic, flags, checksum]);
    header.extend(words(addresses));
    header
}

/// A Multiboot 2 header with these tags: type and flags, and body.
fn header2(tags: &[(u32, &[u32])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (kind, fields) in tags.iter().chain(&[(0, &[][..])]) {
        body.extend(words(&[*kind, 8 + fields.len() as u32 * 4]));
        body.extend(words(fields));
        body.resize(body.len().next_multiple_of(8), 0);
    }
    let (magic, length) = (0xe852_50d6_u32, 16 + body.len() as u32);
    let checksum = 0_u32.wrapping_sub(magic).wrapping_sub(length);
    let mut header = words(&[magic, 0, length, checksum]);
    header.extend(body);
    header
}

const OPTIONAL: u32 = 1 << 16;

/// A segment: where it is, its size in memory; it has the header and four bytes more.
type Place = (u32, u32);

/// An ELF32 kernel that begins in its first segment, at virtual address 0xc0000000.
fn elf32(header: &[u8], segments: &[Place]) -> Vec<u8> {
    let start = 52 + segments.len() as u32 * 32;
    let mut file = Vec::from(*b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend([2, 0, 3, 0]);
    file.extend(words(&[1, 0xc000_0000, 52, 0, 0]));
    for half in [52_u16, 32, segments.len() as u16, 40, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    let length = header.len() as u32 + 4;
    for (n, (at, size)) in segments.iter().enumerate() {
        let address = 0xc000_0000 + n as u32 * 0x10_0000;
        file.extend(words(&[
            1,
            start,
            address,
            *at,
            length.min(*size),
            *size,
            7,
            4,
        ]));
    }
    file.extend(header);
    file.extend(b"code");
    file
}

fn files<'a>(kernel: &'a [u8], modules: &'a [BootModule<'a>]) -> Files<'a> {
    Files {
        kernel,
        modules,
        command_line: "a \"b c\"",
    }
}

fn lay(kernel: &[u8]) -> Result<(GuestRam, Loaded), std::string::String> {
    let ram = ram();
    let loaded = lay_out(&ram, &files(kernel, &[]), Protocol::Either, 1);
    loaded
        .map(|loaded| (ram, loaded))
        .map_err(|why| why.to_string())
}

fn bytes(ram: &GuestRam, at: u32, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    ram.read(L1Gpa(at.into()), &mut bytes).unwrap();
    bytes
}

fn at(ram: &GuestRam, at: u32) -> u32 {
    u32::from_le_bytes(bytes(ram, at, 4).try_into().unwrap())
}

fn text(ram: &GuestRam, at: u32) -> std::string::String {
    let bytes = bytes(ram, at, 64);
    let end = bytes.iter().position(|&byte| byte == 0).unwrap();
    std::string::String::from_utf8(bytes[..end].to_vec()).unwrap()
}

const MAP: [(u64, u64, u32); 4] = [
    (0, 0x9_fc00, 1),
    (0x9_fc00, 0x400, 2),
    (0xe_0000, 0x2_0000, 2),
    (0x10_0000, RAM - 0x10_0000, 1),
];

/// LINT0's register of the local APIC's page, by 16.
const LINT0: u16 = 0x35;

#[test]
fn a_kernel_finds_the_8259s_behind_lint0_as_firmware_leaves_them() {
    let mut f = crate::machine::fake::Fixture::new();
    let file = elf32(&header1(0, &[]), &[(0x10_0000, 0x1000)]);
    let loaded = lay_out(&ram(), &files(&file, &[]), Protocol::Either, 1).unwrap();
    start(&mut f.v, &loaded);
    assert_eq!(f.v.lapic.read_page(LINT0, 0), 0x700);
}

#[test]
fn a_multiboot_1_kernel_finds_what_grub_gives() {
    let kernel = elf32(&header1(3, &[]), &[(0x10_0000, 0x2000), (0x8000, 0x100)]);
    let modules = [
        BootModule {
            content: b"one",
            line: "first x",
        },
        BootModule {
            content: b"",
            line: "",
        },
        BootModule {
            content: &[7; 5000],
            line: "third",
        },
    ];
    let ram = ram();
    let loaded = lay_out(&ram, &files(&kernel, &modules), Protocol::Either, 1).unwrap();
    assert_eq!(
        (loaded.magic, loaded.entry, loaded.information),
        (0x2bad_b002, 0x10_0000, 0x1_0000)
    );
    assert_eq!(bytes(&ram, 0x10_0000 + 12, 5), b"code\0");
    assert_eq!(bytes(&ram, 0x8000 + 12, 4), b"code");
    let field = |offset: u32| at(&ram, loaded.information + offset);
    assert_eq!(field(0), 0b10_0100_1101);
    assert_eq!((field(4), field(8)), (639, 3072));
    assert_eq!(text(&ram, field(16)), "a \"b c\"");
    assert_eq!(text(&ram, field(64)), LOADER);
    assert_eq!(field(20), 3);
    let found = [0, 1, 2].map(|n| {
        let row = field(24) + n * 16;
        (
            at(&ram, row),
            at(&ram, row + 4),
            text(&ram, at(&ram, row + 8)),
        )
    });
    let want = [
        (0x10_2000, 0x10_2003, "first x"),
        (0, 0, ""),
        (0x10_3000, 0x10_4388, "third"),
    ];
    assert_eq!(
        found,
        want.map(|(start, end, line)| (start, end, line.to_string()))
    );
    assert_eq!(bytes(&ram, 0x10_2000, 4), b"one\0");
    assert_eq!(bytes(&ram, 0x10_4387, 2), [7, 0]);
    assert_eq!(field(44), 4 * 24);
    for (n, (start, length, kind)) in MAP.into_iter().enumerate() {
        let row = bytes(&ram, field(48) + n as u32 * 24, 24);
        assert_eq!(row[..4], 20_u32.to_le_bytes());
        assert_eq!(row[4..12], start.to_le_bytes());
        assert_eq!(row[12..20], length.to_le_bytes());
        assert_eq!(row[20..], kind.to_le_bytes());
    }
}

#[test]
fn the_gdt_has_flat_segments_where_grub_has_them() {
    let kernel = elf32(&header1(0, &[]), &[(0x10_0000, 0x2000), (0x1000, 0x100)]);
    let (ram, loaded) = lay(&kernel).unwrap();
    let gdt = loaded.gdt;
    assert_eq!((gdt.base, gdt.limit), (0x1100, 31));
    assert_eq!(
        ram.read_u64(L1Gpa(gdt.base + 0x10)),
        Ok(0x00cf_9b00_0000_ffff)
    );
    assert_eq!(
        ram.read_u64(L1Gpa(gdt.base + 0x18)),
        Ok(0x00cf_9300_0000_ffff)
    );
}

/// The tags of Multiboot 2 boot information: type and body.
fn tags(ram: &GuestRam, start: u32) -> Vec<(u32, Vec<u8>)> {
    let (mut found, end) = (Vec::new(), start + at(ram, start));
    let mut tag = start + 8;
    while tag < end {
        let size = at(ram, tag + 4);
        found.push((at(ram, tag), bytes(ram, tag + 8, size as usize - 8)));
        tag += size.next_multiple_of(8);
    }
    assert_eq!(tag, end);
    found
}

#[test]
fn a_multiboot_2_kernel_finds_what_grub_gives() {
    let request: &[u32] = &[1, 3, 6, 8, 21];
    let header = header2(&[
        (1, request),
        (6, &[]),
        (4 | OPTIONAL, &[1]),
        (5, &[0, 0, 0]),
        (7, &[]),
        (9, &[1]),
        (99 | OPTIONAL, &[]),
    ]);
    let kernel = elf32(&[header1(0, &[]), header].concat(), &[(0x10_0000, 0x2000)]);
    let modules = [BootModule {
        content: b"one",
        line: "first",
    }];
    let ram = ram();
    let loaded = lay_out(&ram, &files(&kernel, &modules), Protocol::Either, 1).unwrap();
    assert_eq!(
        (loaded.magic, loaded.entry, loaded.information),
        (0x36d7_6289, 0x10_0000, 0x10_2008)
    );
    let tags = tags(&ram, loaded.information);
    let kinds: Vec<u32> = tags.iter().map(|tag| tag.0).collect();
    assert_eq!(kinds, [21, 1, 2, 3, 6, 9, 4, 14, 15, 0]);
    let body = |kind| &tags.iter().find(|tag| tag.0 == kind).unwrap().1;
    assert_eq!(*body(21), words(&[0x10_0000]));
    assert_eq!(*body(1), b"a \"b c\"\0");
    assert_eq!(*body(2), [LOADER.as_bytes(), b"\0"].concat());
    assert_eq!(
        *body(3),
        [words(&[0x10_2000, 0x10_2003]), b"first\0".to_vec()].concat()
    );
    assert_eq!(*body(4), words(&[639, 3072]));
    let map = MAP.map(|(start, length, kind)| {
        [
            start.to_le_bytes(),
            length.to_le_bytes(),
            u64::from(kind).to_le_bytes(),
        ]
        .concat()
    });
    assert_eq!(*body(6), [words(&[24, 0]), map.concat()].concat());
    assert_eq!(*body(9), words(&[0, 0, 0]));
    assert_eq!((body(14).len(), body(15).len()), (20, 36));
    assert!(body(15).starts_with(body(14)) && body(14).starts_with(b"RSD PTR "));
}

#[test]
fn the_option_protocol_chooses_between_two_headers() {
    let both = [header1(0, &[]), header2(&[])].concat();
    for (header, protocol, want) in [
        (&both, Protocol::Either, Some(version2::MAGIC)),
        (&both, Protocol::One, Some(version1::MAGIC)),
        (&both, Protocol::Two, Some(version2::MAGIC)),
        (&header1(0, &[]), Protocol::Either, Some(version1::MAGIC)),
        (&header1(0, &[]), Protocol::Two, None),
        (&[vec![0; 4], header2(&[])].concat(), Protocol::One, None),
    ] {
        let kernel = elf32(header, &[(0x10_0000, 0x2000)]);
        let loaded = lay_out(&ram(), &files(&kernel, &[]), protocol, 1);
        assert_eq!(loaded.ok().map(|loaded| loaded.magic), want);
    }
    for (line, want) in [
        ("", true),
        (",protocol=1", true),
        (",protocol=2", true),
        (",protocol=3", false),
    ] {
        let request = Request::parse(&std::format!("multiboot:k{line}")).unwrap();
        assert_eq!(super::protocol(&request).is_ok(), want);
    }
}

#[test]
fn a_flat_kernel_goes_where_its_header_says() {
    // 8 bytes before the header, the header is 32 bytes long, 4 bytes follow.
    let flat = |load_end, bss_end| {
        let addresses = [0x20_0008, 0x20_0000, load_end, bss_end, 0x20_0028];
        [
            b"12345678".to_vec(),
            header1(1 << 16, &addresses),
            b"code....".to_vec(),
        ]
        .concat()
    };
    for (load_end, bss_end, loaded) in [
        (0, 0, &b"code...."[..]),
        (0x20_002c, 0, b"code\0\0\0\0"),
        (0x20_002c, 0x20_1000, b"code\0\0\0\0"),
    ] {
        let (ram, got) = lay(&flat(load_end, bss_end)).unwrap();
        assert_eq!((got.magic, got.entry), (0x2bad_b002, 0x20_0028));
        assert_eq!(bytes(&ram, 0x20_0000, 8), b"12345678");
        assert_eq!(bytes(&ram, 0x20_0028, 8), loaded);
    }
    for (load_end, bss_end, why) in [
        (
            0x20_0031,
            0,
            "it is cut short: it has 48 bytes, and its header speaks of 49",
        ),
        (0x1f_ffff, 0, "contradict"),
        (0x20_002c, 0x20_002b, "contradict"),
        (0, 0x1f_ffff, "contradict"),
        (0, 0x40_0001, "outside the guest's 4 MiB"),
    ] {
        let got = lay(&flat(load_end, bss_end)).err().unwrap();
        assert!(got.contains(why), "{got}");
    }
}

#[test]
fn a_kernel_that_can_be_moved_is_moved() {
    let tags = |preference| header2(&[(10, &[0x18_0000, 0x2f_ffff, 0x1_0000, preference])]);
    for (preference, base) in [(0, 0x18_0000), (1, 0x18_0000), (2, 0x2f_0000)] {
        let segments = [(0x10_0000, 0x1000), (0x10_2000, 0x1000)];
        let (ram, loaded) =
            lay(&elf32(&[vec![0; 4], tags(preference)].concat(), &segments)).unwrap();
        assert_eq!(loaded.entry, base);
        assert_eq!(
            super::tests::tags(&ram, loaded.information)[0],
            (21, words(&[base]))
        );
        assert_eq!(
            bytes(&ram, base + 0x2000, 8)[4..],
            bytes(&ram, base, 8)[4..]
        );
    }
    let nowhere = header2(&[(10, &[0x18_0000, 0x18_0fff, 1, 0])]);
    let kernel = elf32(&[vec![0; 4], nowhere].concat(), &[(0x10_0000, 0x1001)]);
    assert!(
        lay(&kernel)
            .err()
            .unwrap()
            .contains("no room for its 0x1001 bytes between 0x180000 and 0x181000")
    );
}

#[test]
fn symbols_are_in_memory_and_their_section_headers_say_where() {
    let mut kernel = elf32(&header1(0, &[]), &[(0x10_0000, 0x1000)]);
    let symbols = kernel.len() as u32;
    kernel.extend(b"symbols!");
    let headers = kernel.len() as u32;
    kernel.extend([0; 40]);
    kernel.extend(words(&[1, 1, 0, 0x10_0000, 0, 4, 0, 0, 1, 0]));
    kernel.extend(words(&[2, 3, 0, 0, symbols, 8, 0, 0, 0x1000, 0]));
    kernel[32..36].copy_from_slice(&headers.to_le_bytes());
    kernel[48..52].copy_from_slice(&[3, 0, 2, 0]);
    let (ram, loaded) = lay(&kernel).unwrap();
    let field = |offset: u32| at(&ram, loaded.information + offset);
    assert_eq!(field(0) & 1 << 5, 1 << 5);
    assert_eq!((field(28), field(32), field(40)), (3, 40, 2));
    let address = |n: u32| at(&ram, field(36) + n * 40 + 12);
    assert_eq!(
        [address(0), address(1), address(2)],
        [0, 0x10_0000, 0x10_1000]
    );
    assert_eq!(bytes(&ram, 0x10_1000, 9), b"symbols!\0");

    let size = headers as usize + 80 + 20;
    kernel[size..size + 4].copy_from_slice(&1000_u32.to_le_bytes());
    assert!(
        lay(&kernel)
            .err()
            .unwrap()
            .contains("cut short in its ELF sections")
    );
}

#[test]
fn a_guest_finds_the_devices_as_firmware_leaves_them() {
    let host = crate::machine::fake::FakeMachine::leak().leak_host();
    let seat = Seat {
        host,
        number: 1,
        shares_console: false,
        program: elf32(&header1(3, &[]), &[(0x10_0000, 0x2000)]).leak(),
        modules: &[],
    };
    let request = Request::parse("multiboot:k,mem=4").unwrap();
    let v = load(&request, &seat).unwrap();
    assert_eq!(v.guest.bus.lock().read(0x21, 1), 0xf8);
    assert!(v.next_deadline().is_some());
}
