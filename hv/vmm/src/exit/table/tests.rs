use super::*;
use crate::exit::from_svm::SvmRecord;
use crate::exit::from_vmx::VmxRecord;
use crate::exit::rows::MACHINE;
use crate::exit::{Detail, Record, simple};
use crate::machine::fake::{FakeEngine, Fixture};
use crate::machine::{Gpr, Reg};
use crate::run::run;
use crate::trace::Ring;
use alloc::boxed::Box;
use alloc::vec::Vec;
use proptest::prelude::*;

#[test]
fn a_kind_of_guest_changes_rows_and_no_others() {
    static OTHER: ExitTable = MACHINE.with(&[(Kind::Hlt, simple::undefined)]);
    let mut f = Fixture::new();
    f.v.engine.set_reg(Reg::Rflags, 0x202);
    let mut ask = |table: &ExitTable, kind| {
        let exit = Exit {
            kind,
            rip: 0,
            length: 1,
            detail: Detail::None,
            vectoring: None,
        };
        (table.handler(kind))(&exit, &mut f.v)
    };
    assert_eq!(
        (ask(&MACHINE, Kind::Hlt), ask(&OTHER, Kind::Hlt)),
        (Verdict::Halt, Verdict::UD)
    );
    for kind in [
        Kind::Pause,
        Kind::TripleFault,
        Kind::Monitor,
        Kind::PreemptionTimer,
    ] {
        assert_eq!(ask(&OTHER, kind), ask(&MACHINE, kind));
    }
}

#[test]
#[should_panic(expected = "two rows")]
fn a_doubled_row_of_a_kind_of_guest_fails_the_build() {
    let _ = MACHINE.with(&[
        (Kind::Hlt, simple::undefined),
        (Kind::Pause, simple::undefined),
        (Kind::Hlt, simple::pause),
    ]);
}

/// Any exit that hardware could report, and more; of the sizes of a port access only the real ones.
fn record() -> impl Strategy<Value = Record> {
    let number = prop_oneof![
        any::<u64>(),
        0u64..0x200,
        any::<u64>().prop_map(|n| n & 0x8000_0fff | 1 << 31)
    ];
    let vmx = proptest::array::uniform10(number.clone()).prop_map(|n| {
        let word = |i: usize| n[i] as u32;
        Record::Vmx(VmxRecord {
            reason: word(0) % 80,
            instruction_length: word(1),
            qualification: if word(0) % 80 == 30 { n[2] & !6 } else { n[2] },
            rip: n[3],
            guest_linear: n[4],
            guest_physical: n[5],
            interruption_info: word(6),
            interruption_error_code: word(7),
            idt_vectoring_info: word(8),
            idt_vectoring_error_code: word(9),
            instruction_info: word(1),
        })
    });
    let svm = proptest::array::uniform6(number).prop_map(|n| {
        Record::Svm(SvmRecord {
            exit_code: n[0],
            exit_info_1: if n[0] == 0x7b {
                n[1] & !0x70 | 0x10 << (n[5] % 3)
            } else {
                n[1]
            },
            exit_info_2: n[2],
            exit_int_info: n[3],
            rip: n[4],
            next_rip: n[5],
        })
    });
    prop_oneof![vmx, svm]
}

proptest! {
    /// Any exits, through decoding, the whole table and the loop: the guest may end, we do not.
    #[test]
    fn outlives_any_exits(records in proptest::collection::vec(record(), 1..12), registers: [u64; 16], cr0: u64, mode in 0..3) {
        let last = Box::new(|_: &mut FakeEngine| Record::Vmx(VmxRecord { reason: 2, ..VmxRecord::default() }));
        let entries: Vec<_> = records
            .into_iter()
            .map(|record| Box::new(move |_: &mut FakeEngine| record) as crate::machine::fake::Entry)
            .chain([last as crate::machine::fake::Entry])
            .collect();
        let mut f = Fixture::with_entries(entries);
        for (n, value) in registers.into_iter().enumerate() {
            f.v.set_gpr(Gpr::from_number(n as u8), value);
        }
        f = match mode { 0 => f, 1 => f.in_protected_mode(), _ => f.in_real_mode() };
        f.v.engine.set_reg(Reg::Cr0, cr0 & 0xe005_0031);
        let _ = run(&mut f.v, 1 << 40, &Ring::new());
    }
}
