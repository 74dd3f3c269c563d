use super::*;
use crate::exit::Kind;
use crate::machine::Gpr::Rbx;
use crate::machine::SegmentRegister;
use crate::machine::fake::{Fixture, flat};

fn exit(number: u8, write: bool, gpr: Option<u8>) -> Exit {
    let detail = Detail::Dr { number, write, gpr };
    Exit {
        kind: Kind::DrAccess,
        rip: Fixture::CODE,
        length: 3,
        detail,
        vectoring: None,
    }
}

const RBX: Option<u8> = Some(3);

#[test]
fn what_is_written_reads_back_with_its_fixed_bits() {
    for (number, value, want) in [
        (0, u64::MAX, u64::MAX),
        (3, 0x1234, 0x1234),
        (6, 0, 0xffff_0ff0),
        (6, 0xffff_ffff, 0xffff_efff),
        (7, 0, 0x400),
        (7, 0xffff_ffff, 0xffff_0fff),
        (5, 0x403, 0x403),
    ] {
        let mut f = Fixture::new().with(&[(Rbx, value)]);
        assert_eq!(f.decide(&exit(number, true, RBX)), Verdict::Next);
        f.v.engine
            .set_reg(Reg::Dr7, f.v.engine.reg(Reg::Dr7) & !Dr7::GD.bits());
        let mut f = f.with(&[(Rbx, 0)]);
        assert_eq!(
            (f.decide(&exit(number, false, RBX)), f.gpr(Rbx)),
            (Verdict::Next, want),
            "DR{number}"
        );
    }
}

#[test]
fn refusals_come_in_the_manuals_order() {
    let mut f = Fixture::new().with(&[(Rbx, 1 << 32)]);
    assert_eq!(f.decide(&exit(7, true, RBX)), Verdict::GP, "upper half");
    f.v.engine.set_reg(Reg::Dr7, Dr7::GD.bits());
    f.v.engine.set_reg(Reg::Dr6, Dr6::RESET.bits());
    assert_eq!(
        f.decide(&exit(0, false, RBX)),
        Verdict::Inject(Event::exception(1, None))
    );
    assert_eq!(
        (f.v.engine.reg(Reg::Dr6), f.v.engine.reg(Reg::Dr7)),
        (0xffff_2ff0, 0),
        "BD set, GD cleared"
    );
    f.v.engine.set_segment(SegmentRegister::Ss, flat(0xc0f3));
    assert_eq!(f.decide(&exit(0, false, RBX)), Verdict::GP, "CPL 3");
    f.v.engine.set_reg(Reg::Cr4, Cr4::DE.bits());
    assert_eq!(f.decide(&exit(4, false, RBX)), Verdict::UD, "CR4.DE");
}

#[test]
fn the_register_is_decoded_where_the_hardware_does_not_say() {
    let mut f = Fixture::with_code(&[0x0f, 0x23, 0xcb]).with(&[(Rbx, 0x77)]); // mov dr1, rbx
    assert_eq!(f.decide(&exit(1, true, None)), Verdict::Next);
    assert_eq!(f.v.engine.reg(Reg::Dr1), 0x77);
}
