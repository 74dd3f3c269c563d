use super::*;
use proptest::prelude::*;

/// A static program: a text segment that holds the headers, and a data segment with 64 bytes of
/// zeros behind it.
pub(crate) fn program(code: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend(2u16.to_le_bytes());
    file.extend(62u16.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    for word in [0x40_0000 + 176u64, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 2, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    let size = 176 + code.len() as u64;
    for (flags, words) in [
        (5u32, [0, 0x40_0000, 0x40_0000, size, size, 0x1000]),
        (6u32, [0, 0x50_0000, 0x50_0000, 64, 128, 0x1000]),
    ] {
        file.extend(1u32.to_le_bytes());
        file.extend(flags.to_le_bytes());
        for word in words {
            file.extend(word.to_le_bytes());
        }
    }
    file.extend(code);
    file
}

fn changed(at: usize, bytes: &[u8]) -> Result<Program, ElfError> {
    let mut file = program(&[0xf4; 16]);
    file[at..at + bytes.len()].copy_from_slice(bytes);
    parse(&file)
}

#[test]
fn a_static_program_is_taken() {
    let program = parse(&program(&[0xf4; 16])).unwrap();
    assert_eq!(program.entry, 0x40_00b0);
    assert_eq!((program.headers, program.header_count), (0x40_0040, 2));
    assert_eq!(program.end(), 0x50_1000);
    assert_eq!(program.segments[0].file, 0..192);
    assert!(program.segments[0].protection.execute && !program.segments[1].protection.execute);
}

#[test]
fn each_fault_has_its_own_error() {
    assert_eq!(parse(b"#!/bin/sh"), Err(ElfError::NotElf));
    assert_eq!(parse(b""), Err(ElfError::NotElf));
    assert!(matches!(
        parse(b"\x7fELF\x02"),
        Err(ElfError::Truncated { .. })
    ));
    assert_eq!(changed(4, &[1]), Err(ElfError::Bits32));
    assert_eq!(changed(5, &[2]), Err(ElfError::UnsupportedFormat));
    assert_eq!(changed(18, &[183]), Err(ElfError::WrongMachine(183)));
    assert_eq!(changed(16, &[1]), Err(ElfError::NotExecutable(1)));
    assert_eq!(
        changed(54, &[32]),
        Err(ElfError::BadHeader("a program header is not 56 bytes long"))
    );
    assert_eq!(changed(56, &[0]), Err(ElfError::NoSegments));
    assert_eq!(changed(64, &[3]), Err(ElfError::Dynamic));
    assert_eq!(changed(24, &[0, 0, 0]), Err(ElfError::EntryOutside(0)));
    let whole = program(&[0xf4; 16]);
    for cut in 5..whole.len() {
        assert!(
            matches!(parse(&whole[..cut]), Err(ElfError::Truncated { .. })),
            "{cut}"
        );
    }
    let bad = |at, bytes: &[u8]| matches!(changed(at, bytes), Err(ElfError::BadSegment { .. }));
    assert!(bad(64 + 40, &[1, 0]), "smaller in memory");
    assert!(bad(64 + 16, &[1]), "not congruent");
    assert!(bad(64 + 22, &[255, 255]), "outside");
    assert!(bad(64 + 47, &[255]), "absurd size");
    assert!(bad(64 + 18, &[0]), "page zero");
    assert!(bad(120 + 16, &[0, 0, 0x40]), "overlap");
    let on_the_stack = (STACK_TOP - STACK_MAX).to_le_bytes();
    assert!(bad(120 + 16, &on_the_stack), "where the stack may grow");
    let below_it = (STACK_TOP - STACK_MAX - PAGE_SIZE).to_le_bytes();
    assert!(changed(120 + 16, &below_it).is_ok());
}

#[test]
fn a_static_pie_is_placed() {
    let mut file = program(&[0xf4; 16]);
    file[16] = 3;
    assert_eq!(parse(&file).unwrap().entry, PIE_BASE + 0x40_00b0);
    file[24..32].fill(0);
    assert_eq!(parse(&file), Err(ElfError::NoEntry));
}

#[test]
fn programs_of_this_machine_are_judged_rightly() {
    for (path, dynamic) in [("/bin/busybox", false), ("/usr/bin/env", true)] {
        let Ok(file) = std::fs::read(path) else {
            continue;
        };
        match parse(&file) {
            Err(ElfError::Dynamic) => assert!(dynamic, "{path}"),
            parsed => assert!(parsed.is_ok() && !dynamic, "{path}"),
        }
    }
}

/// What is taken has only what can be mapped.
fn check(file: &[u8]) {
    let Ok(program) = parse(file) else { return };
    let mut end = USER_START;
    for segment in &program.segments {
        assert!(segment.file.end <= file.len() && segment.file.len() as u64 <= segment.size);
        assert!(segment.address >= end && segment.end() <= STACK_TOP - STACK_MAX);
        assert_eq!(
            segment.address % PAGE_SIZE,
            segment.file.start as u64 % PAGE_SIZE
        );
        end = segment.end();
    }
    assert!(program.end() <= STACK_TOP - STACK_MAX && program.end() >= program.entry);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn mutated_headers_never_panic(changes in prop::collection::vec((0usize..192, any::<u8>()), 1..6)) {
        let mut file = program(&[0xf4; 16]);
        for (at, byte) in changes { file[at] = byte; }
        check(&file);
    }

    #[test]
    fn any_bytes_never_panic(tail in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&tail);
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.extend(tail);
        check(&file);
    }
}
