//! The two layouts of a TSS: SDM 3A, figures "32-Bit Task-State Segment (TSS)" and "16-Bit TSS Format".

use spec::task::{LARGEST, Layout, State, TSS_16, TSS_32};

/// A TSS whose byte n is n.
fn counted() -> [u8; LARGEST] {
    core::array::from_fn(|n| n as u8)
}

fn dword(at: usize) -> u32 {
    u32::from_le_bytes(core::array::from_fn(|n| (at + n) as u8))
}

fn word(at: usize) -> u16 {
    u16::from_le_bytes([at as u8, at as u8 + 1])
}

#[test]
fn a_32_bit_tss() {
    let expected = State {
        cr3: Some(dword(28)),
        eip: dword(32),
        eflags: dword(36),
        gprs: [40, 44, 48, 52, 56, 60, 64, 68].map(dword),
        segments: [72, 76, 80, 84, 88, 92].map(word),
        ldt: word(96),
        debug_trap: false,
    };
    assert_eq!(TSS_32.load(&counted()), expected);
    let mut tss = [0; LARGEST];
    tss[100] = 1;
    assert!(TSS_32.load(&tss).debug_trap);
    assert_eq!((TSS_32.size, TSS_32.saved()), (104, 32..96));
}

#[test]
fn a_16_bit_tss() {
    let expected = State {
        cr3: None,
        eip: word(14).into(),
        eflags: word(16).into(),
        gprs: [18, 20, 22, 24, 26, 28, 30, 32].map(|at| word(at).into()),
        segments: [word(34), word(36), word(38), word(40), 0, 0],
        ldt: word(42),
        debug_trap: false,
    };
    assert_eq!(TSS_16.load(&counted()), expected);
    assert_eq!((TSS_16.size, TSS_16.saved()), (44, 14..42));
}

#[test]
fn what_is_saved_is_what_is_loaded() {
    for layout in [&TSS_32, &TSS_16] {
        let state = layout.load(&counted());
        let mut tss = [0; LARGEST];
        layout.save(&state, &mut tss);
        let saved = layout.load(&tss);
        let kept = State {
            cr3: saved.cr3,
            ldt: 0,
            ..state
        };
        assert_eq!(saved, kept);
        assert_eq!((saved.cr3.unwrap_or(0), tss[layout.saved().end]), (0, 0));
    }
}

#[test]
fn tss_types() {
    for (number, layout) in [
        (1, Some(&TSS_16)),
        (3, Some(&TSS_16)),
        (9, Some(&TSS_32)),
        (11, Some(&TSS_32)),
        (2, None),
        (5, None),
        (12, None),
    ] {
        assert_eq!(Layout::of(number), layout, "{number}");
    }
}
