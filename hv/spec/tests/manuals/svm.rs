//! The VMCB's size and alignment, exit codes against intercept bits, EXITINFO layouts, events.

use core::mem::{align_of, offset_of, size_of};

use spec::exception::Vector;
use spec::svm::exit::{ExitCode, IoInfo, NpfInfo, RegisterInfo, TaskSwitchInfo};
use spec::svm::vmcb::{
    ControlArea, Event, EventType, Intercept1, Intercept2, Intercept3, SaveArea, TlbControl,
    VirtualInterrupt, Vmcb,
};

/// Every offset is asserted where the structure is; here the shape as a whole, and the absolute offsets of the save area.
#[test]
fn vmcb_is_one_page() {
    assert_eq!((size_of::<Vmcb>(), align_of::<Vmcb>()), (4096, 4096));
    assert_eq!(offset_of!(Vmcb, save) + offset_of!(SaveArea, rip), 0x578);
    assert_eq!(offset_of!(Vmcb, save) + offset_of!(SaveArea, rsp), 0x5d8);
    assert_eq!(offset_of!(Vmcb, save) + offset_of!(SaveArea, rax), 0x5f8);
    assert_eq!(
        offset_of!(Vmcb, control) + offset_of!(ControlArea, exit_code),
        0x70
    );
}

/// Each intercept bit that bears the name of an exit code gives that code: words at 00CH, 010H, 014H begin at 60H, 80H, A0H.
#[test]
fn intercept_bits_are_exit_codes() {
    let code = |name: &str| {
        ExitCode::ALL
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(code, _)| code.0)
    };
    let renamed = |name: &'static str| match name {
        "IOIO_PROT" => "IOIO",
        "MSR_PROT" => "MSR",
        name => name,
    };
    let mut found = 0;
    let bits = Intercept1::all()
        .iter_names()
        .map(|(name, bit)| (name, 0x60 + bit.bits().trailing_zeros()));
    let bits = bits.chain(
        Intercept2::all()
            .iter_names()
            .map(|(name, bit)| (name, 0x80 + bit.bits().trailing_zeros())),
    );
    let bits = bits.chain(
        Intercept3::all()
            .iter_names()
            .map(|(name, bit)| (name, 0xa0 + bit.bits().trailing_zeros())),
    );
    for (name, expected) in bits {
        assert_eq!(code(renamed(name)), Some(u64::from(expected)), "{name}");
        found += 1;
    }
    assert_eq!(found, 32 + 17 + 7);
}

#[test]
fn codes_of_ranges() {
    assert_eq!(ExitCode(0x4e).exception(), Some(Vector::PF));
    assert_eq!(ExitCode(0x60).exception(), None);
    assert_eq!(
        (ExitCode(0x08).cr_read(), ExitCode(0x10).cr_read()),
        (Some(8), None)
    );
    assert_eq!(
        (ExitCode(0x14).cr_write(), ExitCode(0x0f).cr_write()),
        (Some(4), None)
    );
    assert_eq!(
        (ExitCode(0x27).dr_read(), ExitCode(0x37).dr_write()),
        (Some(7), Some(7))
    );
    assert_eq!(ExitCode::NPF.0, 0x400);
    assert_eq!(ExitCode::VMMCALL.0, 0x81);
}

#[test]
fn invalid_is_compared_as_32_bits() {
    assert!(ExitCode(0xffff_ffff).is_invalid() && ExitCode::INVALID.is_invalid());
    assert!(!ExitCode::BUSY.is_invalid() && !ExitCode::NPF.is_invalid());
}

#[test]
fn exit_information() {
    let io = IoInfo(0x03f8_0219);
    assert!(io.is_in() && io.rep() && !io.string());
    assert_eq!((io.port(), io.size(), io.address_bits()), (0x3f8, 1, 64));
    let outs = IoInfo(0x0070_0e24);
    assert!(outs.string() && !outs.is_in());
    assert_eq!(
        (
            outs.port(),
            outs.size(),
            outs.address_bits(),
            outs.segment()
        ),
        (0x70, 2, 64, 3)
    );
    let npf = NpfInfo::from_bits_retain(0x1_0000_0006);
    assert!(npf.contains(NpfInfo::FINAL | NpfInfo::RW | NpfInfo::US) && !npf.contains(NpfInfo::P));
    let register = RegisterInfo(1 << 63 | 9);
    assert!(register.mov());
    assert_eq!(register.register(), 9);
    let task = TaskSwitchInfo(1 << 44 | 1 << 38 | 0x10);
    assert!(task.has_error_code() && task.far_jump() && !task.iret());
    assert_eq!(task.error_code(), 0x10);
}

#[test]
fn events() {
    let fault = Event::new(Vector::PF, EventType::EXCEPTION, Some(6));
    assert_eq!(fault.0, 0x6_8000_0b0e);
    assert_eq!(
        (fault.vector(), fault.event_type(), fault.error_code()),
        (Vector::PF, EventType::EXCEPTION, 6)
    );
    assert_eq!(
        Event::new(Vector::UD, EventType::EXCEPTION, None).0,
        0x8000_0306
    );
    assert_eq!(
        Event::new(Vector(0x20), EventType::INTR, None).0,
        0x8000_0020
    );
}

#[test]
fn a_pending_virtual_interrupt() {
    let virtual_interrupt = VirtualInterrupt::V_INTR_MASKING.with_pending(0x31);
    assert_eq!(virtual_interrupt.bits(), 0x31_0103_0100);
    assert_eq!(virtual_interrupt.with_pending(0x20).bits(), 0x20_0102_0100);
    assert_eq!(VirtualInterrupt::from_bits_retain(0x0a).tpr(), 0xa);
    assert_eq!(TlbControl::FLUSH_ASID.0, 3);
}
