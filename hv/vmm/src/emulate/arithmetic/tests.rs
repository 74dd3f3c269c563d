use crate::emulate::execute::{Progress, execute};
use crate::emulate::fetch;
use crate::machine::Gpr::{Rax, Rbx, Rcx, Rdx};
use crate::machine::fake::Fixture;
use crate::machine::{Event, Reg};

const DATA: u64 = 0x4000;
const CF: u64 = 1;
const ZF: u64 = 1 << 6;
const OF: u64 = 1 << 11;

fn step(f: &mut Fixture) -> Result<Progress, Event> {
    let i = fetch::instruction(&mut f.v)?;
    execute(&mut f.v, &i)
}

/// Each: code, RDX:RAX and memory at RBX before, the three after, the flags that are defined, and which are set.
/// RCX is 3.
#[test]
fn each_instruction_does_what_the_manual_says() {
    type Row = (&'static [u8], [u64; 3], [u64; 3], u64, u64);
    const ROWS: &[Row] = &[
        (
            &[0xf6, 0x23],
            [9, 0x7703, 0x40],
            [9, 0xc0, 0x40],
            CF | OF,
            0,
        ), // mul byte
        (
            &[0xf6, 0x23],
            [9, 0x10, 0x10],
            [9, 0x100, 0x10],
            CF | OF,
            CF | OF,
        ),
        (
            &[0x66, 0xf7, 0x23],
            [!0, 0x1_0003, 0x8000],
            [!0 << 16 | 1, 0x1_8000, 0x8000],
            CF | OF,
            CF | OF,
        ),
        (
            &[0xf7, 0x23],
            [!0, !0, 2],
            [1, 0xffff_fffe, 2],
            CF | OF,
            CF | OF,
        ), // mul dword
        (
            &[0x48, 0xf7, 0x23],
            [0, !0, !0],
            [!1, 1, !0],
            CF | OF,
            CF | OF,
        ), // mul qword
        (&[0x48, 0xf7, 0x2b], [7, !0, !0], [0, 1, !0], CF | OF, 0), // imul qword
        (
            &[0xf7, 0x2b],
            [0, 0x8000_0000, 2],
            [0xffff_ffff, 0, 2],
            CF | OF,
            CF | OF,
        ),
        (
            &[0x0f, 0xaf, 0x03],
            [0, 3, 0xffff_ffff],
            [0, 0xffff_fffd, 0xffff_ffff],
            CF | OF,
            0,
        ), // imul eax, [rbx]
        (&[0x48, 0x6b, 0x03, 0xfe], [0, 0, 5], [0, !9, 5], CF | OF, 0), // imul rax, [rbx], -2
        (
            &[0x66, 0x69, 0x03, 0, 1],
            [0, !0, 0x100],
            [0, !0 << 16, 0x100],
            CF | OF,
            CF | OF,
        ),
        (&[0xf6, 0x33], [9, 0x0107, 2], [9, 0x0183, 2], 0, 0), // div byte
        (&[0xf7, 0x33], [1, 5, 0x10], [5, 0x1000_0000, 0x10], 0, 0), // div dword
        (&[0x48, 0xf7, 0x33], [1, 0, 2], [0, 1 << 63, 2], 0, 0), // div qword
        (
            &[0xf7, 0x3b],
            [0xffff_ffff, 0xffff_fff9, 2],
            [0xffff_ffff, 0xffff_fffd, 2],
            0,
            0,
        ), // idiv: -7 / 2
        (&[0x48, 0xf7, 0x3b], [!0, 1 << 63, 1], [0, 1 << 63, 1], 0, 0),
        (&[0x0f, 0xbc, 0x03], [0, 0, 0x50], [0, 4, 0x50], ZF, 0), // bsf
        (&[0x0f, 0xbd, 0x03], [0, 0, 0x50], [0, 6, 0x50], ZF, 0), // bsr
        (
            &[0x0f, 0xbc, 0x03],
            [0, !0, 1 << 32],
            [0, !0, 1 << 32],
            ZF,
            ZF,
        ),
        (
            &[0xf3, 0x0f, 0xbc, 0x03],
            [0, !0, 0],
            [0, 32, 0],
            CF | ZF,
            CF,
        ), // tzcnt
        (
            &[0xf3, 0x0f, 0xbd, 0x03],
            [0, !0, 1 << 31],
            [0, 0, 1 << 31],
            CF | ZF,
            ZF,
        ), // lzcnt
        (
            &[0xf3, 0x0f, 0xb8, 0x03],
            [0, 0, 0xf0f],
            [0, 8, 0xf0f],
            CF | ZF | OF,
            0,
        ), // popcnt
        (
            &[0x0f, 0xa4, 0x03, 4],
            [0, 0xabcd_ef01, 0x1234_5678],
            [0, 0xabcd_ef01, 0x2345_678a],
            CF,
            CF,
        ), // shld
        (
            &[0x48, 0x0f, 0xad, 0x03],
            [0, 5, 12],
            [0, 5, 5 << 61 | 1],
            CF,
            CF,
        ), // shrd by cl
        (
            &[0x66, 0x0f, 0xa4, 0x03, 0x20],
            [0, 5, 12],
            [0, 5, 12],
            0,
            0,
        ),
    ];
    for (code, before, after, defined, set) in ROWS {
        let mut f = Fixture::with_code(code).with(&[
            (Rbx, DATA),
            (Rcx, 3),
            (Rdx, before[0]),
            (Rax, before[1]),
        ]);
        f.write(DATA, &before[2].to_le_bytes());
        assert_eq!(step(&mut f), Ok(Progress::Done), "{code:02x?}");
        let got = [f.gpr(Rdx), f.gpr(Rax), u64::from_le_bytes(f.read(DATA))];
        assert_eq!(got, *after, "{code:02x?}: {got:x?}");
        assert_eq!(f.v.engine.reg(Reg::Rflags) & defined, *set, "{code:02x?}");
    }
}

#[test]
fn quotients_that_do_not_fit_raise_de_and_change_nothing() {
    // div byte, idiv byte, div dword, idiv qword
    for (code, rdx, rax, divisor) in [
        (&[0xf6, 0x33][..], 0, 0x200, 2),
        (&[0xf6, 0x3b], 0, 0x100, 2),
        (&[0xf7, 0x33], 0, 1, 0),
        (&[0x48, 0xf7, 0x3b], 1 << 63, 0, u64::MAX),
    ] {
        let mut f = Fixture::with_code(code).with(&[(Rbx, DATA), (Rdx, rdx), (Rax, rax)]);
        f.write(DATA, &divisor.to_le_bytes());
        assert_eq!(step(&mut f), Err(Event::exception(0, None)), "{code:02x?}");
        assert_eq!((f.gpr(Rdx), f.gpr(Rax)), (rdx, rax));
    }
}
