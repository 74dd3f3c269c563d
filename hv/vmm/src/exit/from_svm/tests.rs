//! Exits as the APM lays them out.

use super::*;
use crate::exit::Detail;

fn exit(code: ExitCode, info_1: u64, info_2: u64) -> Exit {
    decode(&SvmRecord {
        exit_code: code.0,
        exit_info_1: info_1,
        exit_info_2: info_2,
        rip: 0x1000,
        next_rip: 0x1002,
        ..SvmRecord::default()
    })
}

fn interrupted_by(info: u64, next_rip: u64) -> Option<Event> {
    let record = SvmRecord {
        exit_code: ExitCode::NPF.0,
        exit_int_info: info,
        rip: 0x1000,
        next_rip,
        ..SvmRecord::default()
    };
    decode(&record).vectoring
}

#[test]
fn instructions_have_their_kind_and_length() {
    for (code, kind) in [
        (ExitCode::CPUID, Kind::Cpuid),
        (ExitCode::HLT, Kind::Hlt),
        (ExitCode::VMMCALL, Kind::Hypercall),
        (ExitCode::XSETBV, Kind::Xsetbv),
        (ExitCode::INVD, Kind::Invd),
        (ExitCode::WBINVD, Kind::Wbinvd),
        (ExitCode::MONITOR, Kind::Monitor),
        (ExitCode::MWAIT, Kind::Mwait),
        (ExitCode::MWAIT_ARMED, Kind::Mwait),
        (ExitCode::PAUSE, Kind::Pause),
        (ExitCode::VMRUN, Kind::Virtualization),
        (ExitCode::SKINIT, Kind::Virtualization),
        (ExitCode::INVLPGA, Kind::Virtualization),
        (ExitCode::RDPMC, Kind::Other),
    ] {
        let decoded = exit(code, 0, 0);
        assert_eq!((decoded.kind, decoded.length), (kind, 2), "{code}");
    }
}

#[test]
fn what_is_no_instruction_has_no_length() {
    for (code, kind) in [
        (ExitCode::INTR, Kind::ExternalInterrupt),
        (ExitCode::NMI, Kind::Nmi),
        (ExitCode::VINTR, Kind::InterruptWindow),
        (ExitCode::IRET, Kind::NmiWindow),
        (ExitCode::NPF, Kind::NestedPageFault),
        (ExitCode::SHUTDOWN, Kind::TripleFault),
        (ExitCode::INIT, Kind::Init),
        (ExitCode::TASK_SWITCH, Kind::TaskSwitch),
        (ExitCode::INVALID, Kind::InvalidGuestState),
    ] {
        let decoded = exit(code, 0, 0);
        assert_eq!((decoded.kind, decoded.length), (kind, 0), "{code}");
    }
}

#[test]
fn a_length_that_cannot_be_is_unknown() {
    let length = |rip, next_rip| {
        let exit_code = ExitCode::CPUID.0;
        decode(&SvmRecord {
            exit_code,
            rip,
            next_rip,
            ..SvmRecord::default()
        })
        .length
    };
    assert_eq!(length(0x1000, 0), 0);
    assert_eq!(length(0x1000, 0x1000), 0);
    assert_eq!(length(0x1000, 0x100f), 15);
    assert_eq!(length(0x1000, 0x1010), 0);
    // IP wraps around in real mode.
    assert_eq!(length(0xffff, 1), 0);
    assert_eq!(length(u64::MAX, 1), 2);
}

#[test]
fn an_invalid_guest_state_is_32_bits_of_ones() {
    assert_eq!(
        exit(ExitCode(0xffff_ffff), 0, 0).kind,
        Kind::InvalidGuestState
    );
    assert_eq!(exit(ExitCode::BUSY, 0, 0).kind, Kind::Other);
}

#[test]
fn msr_accesses_tell_their_direction() {
    assert_eq!(exit(ExitCode::MSR, 0, 0).kind, Kind::Rdmsr);
    assert_eq!(exit(ExitCode::MSR, 1, 0).kind, Kind::Wrmsr);
}

#[test]
fn port_accesses_find_their_length_in_exitinfo2() {
    // OUT 0x3f8, AL, one byte long.
    let plain = exit(ExitCode::IOIO, 0x3f8 << 16 | 1 << 9 | 1 << 4, 0x1001);
    assert_eq!(plain.length, 1);
    let expected = Io {
        port: 0x3f8,
        size: 1,
        input: false,
        string: false,
        rep: false,
        address_size: None,
        segment: None,
    };
    assert_eq!(plain.detail, Detail::Io(expected));
    // REP OUTSD from FS:ESI.
    let string = exit(
        ExitCode::IOIO,
        0xe9 << 16 | 4 << 10 | 1 << 8 | 1 << 6 | 0b1100,
        0x1003,
    );
    let expected = Io {
        port: 0xe9,
        size: 4,
        string: true,
        rep: true,
        address_size: Some(4),
        segment: Some(4),
        ..expected
    };
    assert_eq!(string.detail, Detail::Io(expected));
    // REP INSB: the segment is ES whatever the prefix.
    let input = exit(
        ExitCode::IOIO,
        0x60 << 16 | 3 << 10 | 1 << 7 | 1 << 4 | 0b1101,
        0x1002,
    );
    let expected = Io {
        port: 0x60,
        size: 1,
        input: true,
        address_size: Some(2),
        segment: None,
        ..expected
    };
    assert_eq!(input.detail, Detail::Io(expected));
}

#[test]
fn control_registers_with_and_without_decode_assists() {
    let access = |code, info| exit(ExitCode(code), info, 0).detail;
    let cr = |number, access| Detail::Cr(CrAccess { number, access });
    assert_eq!(access(0x14, 1 << 63 | 10), cr(4, CrAccessType::MovTo(10)));
    assert_eq!(access(0x08, 1 << 63), cr(8, CrAccessType::MovFrom(0)));
    assert_eq!(access(0x65, 1 << 63 | 2), cr(0, CrAccessType::MovTo(2)));
    assert_eq!(access(0x65, 0), cr(0, CrAccessType::UnknownWrite));
    assert_eq!(access(0x18, 0), cr(8, CrAccessType::UnknownWrite));
    assert_eq!(access(0x00, 0), cr(0, CrAccessType::UnknownRead));
    let dr = |number, write| Detail::Dr {
        number,
        write,
        gpr: None,
    };
    assert_eq!(access(0x27, 3), dr(7, false));
    assert_eq!(access(0x37, 3), dr(7, true));
}

#[test]
fn exceptions_carry_what_they_push() {
    let event = |code, info_1, info_2| match exit(ExitCode(code), info_1, info_2).detail {
        Detail::Exception {
            event,
            qualification,
        } => (event, qualification),
        other => panic!("{other:?}"),
    };
    let (ud, gp, pf) = (0x46, 0x4d, 0x4e);
    assert_eq!(event(ud, 0xbad, 0xbad), (Event::exception(6, None), 0));
    assert_eq!(
        event(gp, 0x18, 0xbad),
        (Event::exception(13, Some(0x18)), 0)
    );
    assert_eq!(
        event(pf, 6, 0xdead_b000),
        (Event::exception(14, Some(6)), 0xdead_b000)
    );
    let (int3, _) = event(0x43, 0, 0);
    assert_eq!(
        (int3.kind, int3.instruction_length),
        (EventType::SoftwareException, 2)
    );
    let (nmi, _) = event(0x61, 0, 0);
    assert_eq!((nmi.kind, nmi.vector), (EventType::Nmi, 2));
}

#[test]
fn nested_page_faults() {
    let fault = |info| match exit(ExitCode::NPF, info, 0xfee0_00b0) {
        Exit {
            kind,
            detail: Detail::Nested(fault),
            ..
        } => (kind, fault),
        other => panic!("{other:?}"),
    };
    let read = NestedFault {
        gpa: L1Gpa(0xfee0_00b0),
        gva: None,
        read: true,
        write: false,
        fetch: false,
        present: false,
    };
    assert_eq!(fault(1 << 32 | 0b100), (Kind::NestedPageFault, read));
    let write = NestedFault {
        read: false,
        write: true,
        present: true,
        ..read
    };
    assert_eq!(fault(1 << 32 | 0b111), (Kind::NestedPageFault, write));
    let fetch = NestedFault {
        read: false,
        fetch: true,
        ..read
    };
    assert_eq!(fault(1 << 32 | 0b10100), (Kind::NestedPageFault, fetch));
    assert_eq!(fault(1 << 32 | 0b1101).0, Kind::NestedMisconfiguration);
}

#[test]
fn interrupted_deliveries() {
    assert_eq!(interrupted_by(0, 0), None);
    assert_eq!(interrupted_by(0x030e, 0), None);
    assert_eq!(interrupted_by(0x8000_0020, 0), Some(Event::interrupt(0x20)));
    let pf = Event::exception(14, Some(2));
    assert_eq!(interrupted_by(2 << 32 | 0x8000_0b0e, 0x1001), Some(pf));
    let nmi = Event {
        kind: EventType::Nmi,
        ..Event::interrupt(2)
    };
    assert_eq!(interrupted_by(0x8000_0202, 0), Some(nmi));
    let int80 = Event {
        kind: EventType::SoftwareInterrupt,
        ..Event::interrupt(0x80)
    };
    assert_eq!(interrupted_by(0x8000_0480, 0), Some(int80));
    let known = Event {
        instruction_length: 2,
        ..int80
    };
    assert_eq!(interrupted_by(0x8000_0480, 0x1002), Some(known));
    let int3 = interrupted_by(0x8000_0303, 0).map(|event| event.kind);
    assert_eq!(int3, Some(EventType::SoftwareException));
    // Types that do not exist.
    assert_eq!(interrupted_by(0x8000_0520, 0), None);
}
