use super::*;
use crate::exit::Kind;
use crate::machine::Gpr::{Rax, Rcx, Rdi, Rsi};
use crate::machine::fake::{FakeMachine, Fixture};
use crate::machine::{Reg, Segment};
use spec::control_registers::{Cr0, Rflags};

const OUT: Io = Io {
    port: 0xe9,
    size: 1,
    input: false,
    string: false,
    rep: false,
    address_size: None,
    segment: None,
};
const OUTS: Io = Io {
    string: true,
    ..OUT
};
const INS: Io = Io {
    input: true,
    ..OUTS
};
const DATA: u64 = 0x4000;

fn exit(io: Io) -> Exit {
    Exit {
        kind: Kind::Io,
        rip: Fixture::CODE,
        length: 2,
        detail: Detail::Io(io),
        vectoring: None,
    }
}

fn written(machine: &FakeMachine) -> alloc::string::String {
    alloc::string::String::from_utf8(machine.written.lock().clone()).unwrap()
}

#[test]
fn in_changes_as_much_of_rax_as_its_size() {
    for (size, want) in [
        (1, 0x1122_3344_5566_77ff),
        (2, 0x1122_3344_5566_ffff),
        (4, 0xffff_ffff),
    ] {
        let mut f = Fixture::new().with(&[(Rax, 0x1122_3344_5566_7788)]);
        assert_eq!(
            f.decide(&exit(Io {
                port: 0x5000,
                size,
                input: true,
                ..OUT
            })),
            Verdict::Next
        );
        assert_eq!(f.gpr(Rax), want);
    }
}

#[test]
fn out_reaches_the_console_and_the_debug_exit() {
    let mut f = Fixture::new().with(&[(Rax, b'x'.into())]);
    assert_eq!(f.decide(&exit(OUT)), Verdict::Next);
    assert_eq!(written(f.machine), "x");
    let mut f = f.with(&[(Rax, !0)]);
    let verdict = f.decide(&exit(Io {
        port: 0xf4,
        size: 2,
        ..OUT
    }));
    assert_eq!(verdict, Verdict::Stop(Stop::Exit(0xffff)));
}

/// With what the hardware says, and with the instruction decoded where it says nothing.
#[test]
fn rep_outsb_writes_a_string() {
    for (address_size, segment) in [(Some(8), Some(3)), (None, None), (Some(8), None)] {
        let mut f = Fixture::with_code(&[0xf3, 0x6e]).with(&[(Rcx, 5), (Rsi, DATA)]);
        f.write(DATA, b"hello");
        assert_eq!(
            f.decide(&exit(Io {
                rep: true,
                address_size,
                segment,
                ..OUTS
            })),
            Verdict::Next
        );
        assert_eq!(
            (written(f.machine).as_str(), f.gpr(Rcx), f.gpr(Rsi)),
            ("hello", 0, DATA + 5)
        );
    }
}

#[test]
fn insw_fills_memory_downwards_in_16_bit_code() {
    let mut f = Fixture::with_code(&[0xf3, 0x6d])
        .in_real_mode()
        .with(&[(Rcx, 0x9_0002), (Rdi, 0x7_4002)]);
    f.v.engine.set_reg(Reg::Rflags, Rflags::DF.bits());
    let ins = Io {
        port: 0x5000,
        size: 2,
        rep: true,
        ..INS
    };
    assert_eq!(f.decide(&exit(ins)), Verdict::Next);
    assert_eq!((f.gpr(Rcx), f.gpr(Rdi)), (0x9_0000, 0x7_3ffe));
    assert_eq!(f.read(0x4000), [0xff, 0xff, 0xff, 0xff, 0]);
}

#[test]
fn a_segment_override_and_its_limit_count() {
    let mut f = Fixture::new().in_protected_mode().with(&[(Rsi, 4)]);
    let fs = Segment {
        base: DATA,
        limit: 4,
        ..f.v.engine.segment(SegmentRegister::Fs)
    };
    f.v.engine.set_segment(SegmentRegister::Fs, fs);
    f.write(DATA + 4, b"z");
    let outs = Io {
        address_size: Some(4),
        segment: Some(4),
        ..OUTS
    };
    assert_eq!(f.decide(&exit(outs)), Verdict::Next);
    assert_eq!(written(f.machine), "z");
    assert_eq!(
        f.decide(&exit(outs)),
        Verdict::GP,
        "the next byte is behind the limit"
    );
}

#[test]
fn a_page_fault_comes_with_the_elements_before_it_done_and_the_port_untouched() {
    let mut f = Fixture::new().with(&[(Rcx, 8), (Rdi, 0x5ffd)]);
    // Page tables at 0x10000: 0x5000 is mapped, 0x6000 is not.
    for (at, entry) in [
        (0x10000, 0x11003u64),
        (0x11000, 0x12003),
        (0x12000, 0x13003),
        (0x13000 + 8 * 5, 0x5003),
    ] {
        f.write(at, &entry.to_le_bytes());
    }
    f.v.engine.set_reg(Reg::Cr3, 0x10000);
    f.v.engine.set_reg(Reg::Cr0, (Cr0::PE | Cr0::PG).bits());
    f.machine.typed.lock().extend(*b"abcdef");
    let ins = Io {
        port: 0x3f8,
        rep: true,
        address_size: Some(8),
        ..INS
    };
    assert_eq!(
        f.decide(&exit(ins)),
        Verdict::Inject(Event::exception(14, Some(2)))
    );
    assert_eq!(
        (f.v.engine.reg(Reg::Cr2), f.gpr(Rcx), f.gpr(Rdi)),
        (0x6000, 5, 0x6000)
    );
    assert_eq!((&f.read(0x5ffd), f.machine.typed.lock().len()), (b"abc", 3));
}

#[test]
fn a_long_repetition_lets_interrupts_in() {
    let mut f = Fixture::new().with(&[(Rcx, 300), (Rsi, DATA)]);
    let outs = Io {
        port: 0x80,
        rep: true,
        address_size: Some(8),
        segment: Some(3),
        ..OUTS
    };
    assert_eq!(
        (f.decide(&exit(outs)), f.gpr(Rcx)),
        (Verdict::NextBy(0), 44)
    );
    assert_eq!((f.decide(&exit(outs)), f.gpr(Rcx)), (Verdict::Next, 0));
}

#[test]
fn a_string_to_the_debug_exit_ends_at_its_first_element() {
    let mut f = Fixture::new().with(&[(Rcx, 3), (Rsi, DATA)]);
    f.write(DATA, &[7, 8, 9]);
    let outs = Io {
        port: 0xf4,
        rep: true,
        address_size: Some(8),
        segment: Some(3),
        ..OUTS
    };
    assert_eq!(f.decide(&exit(outs)), Verdict::Stop(Stop::Exit(7)));
}
