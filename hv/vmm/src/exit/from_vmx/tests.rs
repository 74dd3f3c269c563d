//! Records as a VMCS gives them, and what they mean.

use super::*;

fn decoded(record: VmxRecord) -> Exit {
    decode(&record)
}

/// Reason, instruction length, qualification and instruction information of exits on Bochs 2.7
/// (corei7_skylake_x), recorded while the test guests ran.
const RECORDED: [([u64; 4], Kind, Detail); 20] = [
    ([0x0a, 2, 0, 0], Kind::Cpuid, Detail::None),
    ([0x0c, 3, 0, 0], Kind::Hlt, Detail::None),
    ([0x0d, 2, 0, 0], Kind::Invd, Detail::None),
    ([0x36, 2, 0, 0], Kind::Wbinvd, Detail::None),
    ([0x37, 3, 0, 0], Kind::Xsetbv, Detail::None),
    ([0x24, 3, 0, 0], Kind::Mwait, Detail::None),
    ([0x27, 3, 0, 0], Kind::Monitor, Detail::None),
    ([0x1f, 2, 0, 0], Kind::Rdmsr, Detail::None),
    ([0x20, 2, 0, 0], Kind::Wrmsr, Detail::None),
    ([0x02, 0, 0, 0], Kind::TripleFault, Detail::None),
    ([0x34, 0, 0, 0], Kind::PreemptionTimer, Detail::None),
    ([0x14, 3, 0, 0], Kind::Virtualization, raw(0x14)),
    ([0x17, 3, 0, 0x400], Kind::Virtualization, raw(0x17)),
    ([0x1b, 4, 0, 0x41_8100], Kind::Virtualization, raw(0x1b)),
    // MOV CR0, EAX in real mode.
    ([0x1c, 3, 0, 0], Kind::CrAccess, MOV_CR0_RAX),
    // OUT DX, EAX; IN EAX, DX; OUT DX, AX; IN AL, DX; REP OUTSB in 64-bit code.
    ([0x1e, 1, 0x1234_0003, 0], Kind::Io, port(0x1234, 4, false)),
    ([0x1e, 1, 0x1234_000b, 0], Kind::Io, port(0x1234, 4, true)),
    ([0x1e, 2, 0x1234_0001, 0], Kind::Io, port(0x1234, 2, false)),
    ([0x1e, 1, 0x03fd_0008, 0], Kind::Io, port(0x3fd, 1, true)),
    ([0x1e, 2, 0x03f8_0030, 0x1_8100], Kind::Io, REP_OUTSB),
];

const MOV_CR0_RAX: Detail = Detail::Cr(CrAccess {
    number: 0,
    access: CrAccessType::MovTo(0),
});

const REP_OUTSB: Detail = Detail::Io(Io {
    port: 0x3f8,
    size: 1,
    input: false,
    string: true,
    rep: true,
    address_size: Some(8),
    segment: Some(3),
});

const fn raw(reason: u64) -> Detail {
    Detail::Raw {
        reason,
        qualification: 0,
    }
}

const fn port(port: u16, size: u8, input: bool) -> Detail {
    Detail::Io(Io {
        port,
        size,
        input,
        string: false,
        rep: false,
        address_size: None,
        segment: None,
    })
}

#[test]
fn recorded_exits() {
    for ([reason, length, qualification, information], kind, detail) in RECORDED {
        let exit = decoded(VmxRecord {
            reason: reason as u32,
            instruction_length: length as u32,
            qualification,
            instruction_info: information as u32,
            rip: 0x1_0000,
            ..VmxRecord::default()
        });
        assert_eq!((exit.kind, exit.detail), (kind, detail));
        assert_eq!((exit.rip, u64::from(exit.length)), (0x1_0000, length));
        assert_eq!(exit.vectoring, None);
    }
}

/// A far JMP to another task, on Bochs.
#[test]
fn a_recorded_task_switch() {
    let exit = decoded(VmxRecord {
        reason: 9,
        instruction_length: 7,
        qualification: 0x8000_0038,
        ..VmxRecord::default()
    });
    let task = TaskSwitch {
        selector: 0x38,
        source: TaskSwitchSource::Jmp,
        error_code: None,
        resume_flag: false,
    };
    assert_eq!(exit.detail, Detail::TaskSwitch(task));
    assert_eq!((exit.kind, exit.length), (Kind::TaskSwitch, 7));
}

/// #NP through a task gate: the error code is the event's. That of another event is not pushed.
#[test]
fn a_task_gate_has_the_error_code_of_its_event() {
    for (source, error_code) in [(3_u64, Some(0x68)), (0, None)] {
        let exit = decoded(VmxRecord {
            reason: 9,
            qualification: source << 30 | 0x48,
            idt_vectoring_info: 0x8000_0b0b,
            idt_vectoring_error_code: 0x68,
            ..VmxRecord::default()
        });
        let Detail::TaskSwitch(task) = exit.detail else {
            panic!("{exit:?}");
        };
        assert_eq!((task.selector, task.error_code), (0x48, error_code));
        assert_eq!(task.source == TaskSwitchSource::TaskGate, source == 3);
    }
}

/// EPT violations on Bochs: of an instruction fetch, of a write to a paging-structure entry, and of
/// a read of the IDT while #UD is delivered.
#[test]
fn recorded_ept_violations() {
    let nested = |qualification, linear, physical, vectoring| {
        let exit = decoded(VmxRecord {
            reason: 0x30,
            qualification,
            guest_linear: linear,
            guest_physical: physical,
            idt_vectoring_info: vectoring,
            ..VmxRecord::default()
        });
        let Detail::Nested(fault) = exit.detail else {
            panic!("{exit:?}");
        };
        assert_eq!(fault.gpa, L1Gpa(physical));
        // Bit 8: the access was to what the address translates to.
        let translated = qualification & 1 << 8 != 0;
        assert_eq!(fault.gva, translated.then_some(Gva(linear)));
        assert_eq!(fault.translated, translated);
        assert!(!fault.present);
        ([fault.read, fault.write, fault.fetch], exit.vectoring)
    };
    let fetch = nested(0x184, 0x1_0000, 0x1_0000, 0);
    assert_eq!(fetch, ([false, false, true], None));
    let walk = nested(0x82, 0x1_0000, 0x2000, 0);
    assert_eq!(walk, ([false, true, false], None));
    let delivery = nested(0x181, 0x8000_0060, 0x8000_0060, 0x8000_0306);
    let undefined = Event::exception(6, None);
    assert_eq!(delivery, ([true, false, false], Some(undefined)));
}

#[test]
fn exceptions_and_nmis() {
    let exit = |interruption_info, interruption_error_code, qualification| {
        decoded(VmxRecord {
            interruption_info,
            interruption_error_code,
            qualification,
            instruction_length: 1,
            ..VmxRecord::default()
        })
    };
    let page_fault = exit(0x8000_0b0e, 7, 0xdead_0000);
    let event = Event::exception(14, Some(7));
    let qualification = 0xdead_0000;
    let detail = Detail::Exception {
        event,
        qualification,
    };
    assert_eq!(
        (page_fault.kind, page_fault.detail),
        (Kind::Exception, detail)
    );
    assert_eq!(exit(0x8000_0202, 0, 0).kind, Kind::Nmi);
    let Detail::Exception { event, .. } = exit(0x8000_0603, 0, 0).detail else {
        panic!("INT3 is an exception");
    };
    assert_eq!(event.kind, EventType::SoftwareException);
    assert_eq!((event.vector, event.instruction_length), (3, 1));
}

#[test]
fn control_and_debug_registers() {
    let detail = |reason, qualification| {
        let record = VmxRecord {
            reason,
            qualification,
            ..VmxRecord::default()
        };
        decoded(record).detail
    };
    let cr = |number, access| Detail::Cr(CrAccess { number, access });
    assert_eq!(detail(28, 0x0b08), cr(8, CrAccessType::MovTo(11)));
    assert_eq!(detail(28, 0x0418), cr(8, CrAccessType::MovFrom(4)));
    assert_eq!(detail(28, 0x20), cr(0, CrAccessType::Clts));
    assert_eq!(detail(28, 0xfff1_0030), cr(0, CrAccessType::Lmsw(0xfff1)));
    let mov_dr = decoded(VmxRecord {
        reason: 29,
        ..VmxRecord::default()
    });
    assert_eq!(mov_dr.kind, Kind::DrAccess);
}

#[test]
fn an_unknown_reason_is_a_value() {
    for reason in [35, 38, 71, 80, 0xffff] {
        let exit = decoded(VmxRecord {
            reason,
            ..VmxRecord::default()
        });
        let raw = Detail::Raw {
            reason: reason.into(),
            qualification: 0,
        };
        assert_eq!((exit.kind, exit.detail), (Kind::Other, raw));
    }
}

#[test]
fn entry_failures_stop_one_guest() {
    let exit = decoded(VmxRecord {
        reason: 0x8000_0021,
        qualification: 4,
        ..VmxRecord::default()
    });
    assert_eq!(exit.kind, Kind::InvalidGuestState);
    let raw = Detail::Raw {
        reason: 0x8000_0021,
        qualification: 4,
    };
    assert_eq!(exit.detail, raw);
}

#[test]
fn an_exit_during_delivery_keeps_the_event() {
    let exit = decoded(VmxRecord {
        reason: 48,
        qualification: 0x182,
        guest_linear: 0x7ff8,
        guest_physical: 0x7ff8,
        idt_vectoring_info: 0x8000_0480,
        instruction_length: 2,
        ..VmxRecord::default()
    });
    let event = Event {
        kind: EventType::SoftwareInterrupt,
        vector: 0x80,
        error_code: None,
        instruction_length: 2,
    };
    assert_eq!((exit.vectoring, exit.length), (Some(event), 0));
    let Detail::Nested(fault) = exit.detail else {
        panic!("{exit:?}");
    };
    assert_eq!(fault.gva, Some(Gva(0x7ff8)));
    assert!(fault.write && !fault.read && !fault.present);
}
