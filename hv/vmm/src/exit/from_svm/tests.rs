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
        (ExitCode::RDPMC, Kind::Rdpmc),
        (ExitCode::RDPRU, Kind::Hidden),
        (ExitCode::INVPCID, Kind::Hidden),
        (ExitCode::TLBSYNC, Kind::Hidden),
        (ExitCode::RDTSCP, Kind::Other),
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
    for code in [0x27, 0x35, 0x37] {
        assert_eq!(exit(ExitCode(code), 3, 0).kind, Kind::DrAccess);
    }
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
        translated: true,
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
    assert!(!fault(1 << 33 | 0b110).1.translated);
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

/// What a guest in real mode made QEMU 7.2's TCG (no nRIP) and Bochs 2.7's `ryzen` (nRIP) say:
/// EXITCODE, EXITINFO1, EXITINFO2, EXITINTINFO, RIP, nRIP; then the kind and the length.
#[rustfmt::skip]
const RECORDED: &[([u64; 6], Kind, u8)] = &[
    // QEMU: first fetch, CPUID, OUT, IN, OUTW, INL, REP OUTSB, REP INSW, FS OUTSD.
    ([0x400, 0x1_0000_0014, 0x1000, 0, 0x1000, 0], Kind::NestedPageFault, 0),
    ([0x72, 0, 0, 0, 0x1006, 0], Kind::Cpuid, 0),
    ([0x7b, 0x3f8_0010, 0x100e, 0, 0x100d, 0], Kind::Io, 1),
    ([0x7b, 0xe9_0011, 0x1010, 0, 0x100e, 0], Kind::Io, 2),
    ([0x7b, 0x80_0020, 0x1012, 0, 0x1010, 0], Kind::Io, 2),
    ([0x7b, 0x60_0041, 0x1015, 0, 0x1012, 0], Kind::Io, 3),
    ([0x7b, 0x3f8_001c, 0x101d, 0, 0x101b, 0], Kind::Io, 2),
    ([0x7b, 0x3f8_002d, 0x1025, 0, 0x1023, 0], Kind::Io, 2),
    ([0x7b, 0x3f8_0044, 0x102a, 0, 0x1027, 0], Kind::Io, 3),
    // QEMU: RDMSR, WRMSR, MOV to CR0 and CR4, VMMCALL, VMCALL, INVD, MONITOR.
    ([0x7c, 0, 0, 0, 0x1030, 0], Kind::Rdmsr, 0),
    ([0x7c, 1, 0, 0, 0x1032, 0], Kind::Wrmsr, 0),
    ([0x65, 0, 0, 0, 0x1039, 0], Kind::CrAccess, 0),
    ([0x14, 0, 0, 0, 0x1050, 0], Kind::CrAccess, 0),
    ([0x81, 0, 0, 0, 0x1056, 0], Kind::Hypercall, 0),
    ([0x46, 0, 0, 0, 0x1059, 0], Kind::Exception, 0),
    ([0x89, 0, 0, 0x403, 0x105d, 0], Kind::Wbinvd, 0),
    ([0x8a, 0, 0, 0, 0x1067, 0], Kind::Monitor, 0),
    // QEMU: a window, HLT after the interrupt, INT 80H on a stack that is not there, the timer, NW without CD.
    ([0x64, 0, 0, 0, 0x108d, 0], Kind::InterruptWindow, 0),
    ([0x78, 0, 0, 0x20, 0x108d, 0], Kind::Hlt, 0),
    ([0x400, 0x1_0000_0006, 0x40_7ffe, 0x8000_0480, 0x108e, 0], Kind::NestedPageFault, 0),
    ([0x60, 0, 0, 0, 0x1095, 0], Kind::ExternalInterrupt, 0),
    ([0xffff_ffff, 0, 0, 0, 0x12_be3e, 0], Kind::InvalidGuestState, 0),
    // Bochs: WRMSR, MOV to CR0, VMMCALL, VMCALL, INT3, its delivery, INVD, WBINVD, MWAIT, window, HLT, NW.
    ([0x7c, 1, 0, 0, 0x1032, 0x1034], Kind::Wrmsr, 2),
    ([0x65, 0, 0, 0, 0x1039, 0x103c], Kind::CrAccess, 3),
    ([0x81, 0, 0, 0, 0x1056, 0x1059], Kind::Hypercall, 3),
    ([0x46, 0, 0, 0, 0x1059, 0x105c], Kind::Exception, 0),
    ([0x43, 0, 0, 0, 0x105c, 0x105d], Kind::Exception, 0),
    ([0x400, 0x1_0000_0006, 0x40_7ffe, 0x8000_0303, 0x105c, 0x105d], Kind::NestedPageFault, 0),
    ([0x76, 0, 0, 0, 0x105d, 0x105f], Kind::Invd, 2),
    ([0x89, 0, 0, 0, 0x105f, 0x1061], Kind::Wbinvd, 2),
    ([0x8b, 0, 0, 0, 0x106a, 0x106d], Kind::Mwait, 3),
    ([0x64, 0, 0, 0, 0x108d, 0x108d], Kind::InterruptWindow, 0),
    ([0x78, 0, 0, 0, 0x108d, 0x108e], Kind::Hlt, 1),
    ([u64::MAX, 0, 0, 0, 0x12_be3e, 0x12_be41], Kind::InvalidGuestState, 0),
];

#[test]
fn recorded_exits() {
    for &(
        [
            exit_code,
            exit_info_1,
            exit_info_2,
            exit_int_info,
            rip,
            next_rip,
        ],
        kind,
        length,
    ) in RECORDED
    {
        let decoded = decode(&SvmRecord {
            exit_code,
            exit_info_1,
            exit_info_2,
            exit_int_info,
            rip,
            next_rip,
        });
        assert_eq!(
            (decoded.kind, decoded.length),
            (kind, length),
            "{decoded:x?}"
        );
        assert_eq!(decoded.vectoring.is_some(), exit_int_info >> 31 & 1 != 0);
    }
}

/// APM vol 2 "Task Switch Intercept".
#[test]
fn task_switches_have_a_source() {
    let decoded = |info_2, event| {
        let exit = decode(&SvmRecord {
            exit_code: ExitCode::TASK_SWITCH.0,
            exit_info_1: 0x38,
            exit_info_2: info_2,
            exit_int_info: event,
            rip: 0x1000,
            next_rip: 0x1002,
        });
        assert_eq!((exit.kind, exit.length), (Kind::TaskSwitch, 0));
        exit.detail
    };
    let task = |source, error_code, resume_flag| {
        Detail::TaskSwitch(TaskSwitch {
            selector: 0x38,
            source,
            error_code,
            resume_flag,
        })
    };
    assert_eq!(
        decoded(1 << 36, 0),
        task(TaskSwitchSource::Iret, None, false)
    );
    assert_eq!(
        decoded(1 << 38, 0),
        task(TaskSwitchSource::Jmp, None, false)
    );
    assert_eq!(decoded(0, 0), task(TaskSwitchSource::Call, None, false));
    let not_present = 0x55_8000_0b0b;
    assert_eq!(
        decoded(1 << 44 | 1 << 48 | 0x55, not_present),
        task(TaskSwitchSource::TaskGate, Some(0x55), true)
    );
}
