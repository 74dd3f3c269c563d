//! Vectors against the `x86` crate's, error codes, double faults.

use spec::exception::{Class, Combination, SelectorErrorCode, Table, Vector};
use x86::irq;

#[test]
fn vectors_are_those_of_the_x86_crate() {
    let rows = [
        (Vector::DE, irq::DIVIDE_ERROR_VECTOR),
        (Vector::DB, irq::DEBUG_VECTOR),
        (Vector::NMI, irq::NONMASKABLE_INTERRUPT_VECTOR),
        (Vector::BP, irq::BREAKPOINT_VECTOR),
        (Vector::OF, irq::OVERFLOW_VECTOR),
        (Vector::BR, irq::BOUND_RANGE_EXCEEDED_VECTOR),
        (Vector::UD, irq::INVALID_OPCODE_VECTOR),
        (Vector::NM, irq::DEVICE_NOT_AVAILABLE_VECTOR),
        (Vector::DF, irq::DOUBLE_FAULT_VECTOR),
        (Vector::CSO, irq::COPROCESSOR_SEGMENT_OVERRUN_VECTOR),
        (Vector::TS, irq::INVALID_TSS_VECTOR),
        (Vector::NP, irq::SEGMENT_NOT_PRESENT_VECTOR),
        (Vector::SS, irq::STACK_SEGEMENT_FAULT_VECTOR),
        (Vector::GP, irq::GENERAL_PROTECTION_FAULT_VECTOR),
        (Vector::PF, irq::PAGE_FAULT_VECTOR),
        (Vector::MF, irq::X87_FPU_VECTOR),
        (Vector::AC, irq::ALIGNMENT_CHECK_VECTOR),
        (Vector::MC, irq::MACHINE_CHECK_VECTOR),
        (Vector::XM, irq::SIMD_FLOATING_POINT_VECTOR),
        (Vector::VE, irq::VIRTUALIZATION_VECTOR),
    ];
    for (ours, theirs) in rows {
        assert_eq!(ours.0, theirs, "{ours}");
    }
}

#[test]
fn who_pushes_an_error_code() {
    let pushing: Vec<u8> = (0..=255)
        .filter(|&vector| Vector(vector).has_error_code())
        .collect();
    assert_eq!(pushing, [8, 10, 11, 12, 13, 14, 17, 21, 29, 30]);
}

#[test]
fn names() {
    assert_eq!(
        format!("{} {} {:?}", Vector::DE, Vector::NMI, Vector(0x42)),
        "#DE NMI vector 0x42"
    );
    assert_eq!(Vector::PF.text(), Some("page fault"));
    assert_eq!(Vector(15).name(), None);
}

/// SDM 3A "Conditions for Generating a Double Fault", the table's nine cells, and the step after a double fault.
#[test]
fn double_faults() {
    use Combination::{DoubleFault, Serial, Shutdown};
    let rows = [
        (Vector::UD, Vector::UD, Serial),
        (Vector::UD, Vector::GP, Serial),
        (Vector::UD, Vector::PF, Serial),
        (Vector::GP, Vector::UD, Serial),
        (Vector::GP, Vector::GP, DoubleFault),
        (Vector::NP, Vector::TS, DoubleFault),
        (Vector::GP, Vector::PF, Serial),
        (Vector::PF, Vector::UD, Serial),
        (Vector::PF, Vector::GP, DoubleFault),
        (Vector::PF, Vector::PF, DoubleFault),
        (Vector::DF, Vector::UD, Serial),
        (Vector::DF, Vector::GP, Shutdown),
        (Vector::DF, Vector::PF, Shutdown),
    ];
    for (first, second, expected) in rows {
        assert_eq!(first.then(second), expected, "{first} then {second}");
    }
    assert_eq!(Vector(0x80).class(), Class::Benign);
}

#[test]
fn selector_error_codes() {
    let gate = SelectorErrorCode(0x0d * 8 + 3);
    assert!(gate.external());
    assert_eq!((gate.table(), gate.index()), (Table::Idt, 13));
    assert_eq!(
        (
            SelectorErrorCode(0x28).table(),
            SelectorErrorCode(0x28).index()
        ),
        (Table::Gdt, 5)
    );
    assert_eq!(SelectorErrorCode(0x2c).table(), Table::Ldt);
}
