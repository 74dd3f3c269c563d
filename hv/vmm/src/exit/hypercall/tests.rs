use super::*;
use crate::exit::{Detail, Kind};
use crate::machine::fake::{Fixture, GUEST_RAM};

fn call(f: &mut Fixture, arguments: [u64; 3]) -> (Verdict, u64) {
    for (register, value) in [Gpr::Rax, Gpr::Rdi, Gpr::Rsi].into_iter().zip(arguments) {
        f.v.set_gpr(register, value);
    }
    let exit = Exit {
        kind: Kind::Hypercall,
        rip: Fixture::CODE,
        length: 3,
        detail: Detail::None,
        vectoring: None,
    };
    (f.decide(&exit), f.gpr(Gpr::Rax))
}

#[test]
fn calls_do_what_the_abi_says() {
    let mut f = Fixture::new();
    f.write(0x4000, b"hello");
    assert_eq!(call(&mut f, [0, 0, 0]), (Verdict::Next, VERSION));
    assert_eq!(call(&mut f, [1, 0x4000, 5]), (Verdict::Next, 5));
    assert_eq!(*f.machine.written.lock(), b"hello");
    assert_eq!(
        call(&mut f, [2, u64::MAX, 0]).0,
        Verdict::Stop(Stop::Exit(u64::MAX))
    );
    assert_eq!(call(&mut f, [3, 0, 0]), (Verdict::Yield, 0));
}

#[test]
fn wild_numbers_and_pointers_are_errors() {
    let mut f = Fixture::new();
    for number in [4, 5, 0xffff_ffff, 1 << 32, 1 << 63, u64::MAX] {
        assert_eq!(
            call(&mut f, [number, 0, 0]),
            (Verdict::Next, Error::NoSuchCall.to_rax())
        );
    }
    for (at, length) in [
        (GUEST_RAM, 1),
        (GUEST_RAM - 1, 2),
        (u64::MAX, 1),
        (u64::MAX - 4, 8),
        (1 << 63, 1),
        (0, CONSOLE_WRITE_MAX + 1),
        (0, u64::MAX),
    ] {
        assert_eq!(
            call(&mut f, [1, at, length]),
            (Verdict::Next, Error::BadAddress.to_rax()),
            "{at:#x} {length:#x}"
        );
    }
    assert!(f.machine.written.lock().is_empty());
    assert_eq!(call(&mut f, [1, GUEST_RAM - 1, 1]), (Verdict::Next, 1));
}
