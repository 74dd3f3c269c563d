//! Records as a VMCS gives them, and what they mean.

use super::*;

fn decoded(record: VmxRecord) -> Exit {
    decode(&record)
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
