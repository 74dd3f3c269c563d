use super::*;
use crate::device::lapic::base::ADDRESS as APIC;
use crate::emulate::testing::{OTHER_PAGE, PAGE, TABLES, paged, redirections};
use crate::exit::from_vmx::VmxRecord;
use crate::exit::table::{Stop, Verdict};
use crate::exit::{Detail, Exit, Kind, NestedFault, Record};
use crate::machine::Gpr::{Rax, Rbx, Rcx, Rsp};
use crate::machine::SegmentRegister;
use crate::machine::fake::{Entry, FakeEngine, Fixture};
use crate::run::{Pause, run};
use crate::trace::Ring;
use alloc::vec::Vec;
use spec::control_registers::Rflags;

/// The task-priority register, which keeps what is written to it.
const TPR: u64 = APIC + 0x80;
const CODE: u64 = PAGE + 0xff8;
/// mov eax, [rbx]; mov [rbx], ecx
const LOAD: &[u8] = &[0x8b, 0x03];
const STORE: &[u8] = &[0x89, 0x0b];

fn knows(f: &Fixture) -> bool {
    f.v.accesses.find(&*f.v.engine).is_some()
}

/// The instruction at RIP exits for this address.
fn exits(f: &mut Fixture, at: u64, write: bool) -> Verdict {
    let fault = NestedFault {
        gpa: L1Gpa(at),
        gva: None,
        translated: true,
        read: !write,
        write,
        fetch: false,
        present: false,
    };
    f.decide(&Exit {
        kind: Kind::NestedPageFault,
        rip: f.v.engine.reg(Reg::Rip),
        length: 0,
        detail: Detail::Nested(fault),
        vectoring: None,
    })
}

/// A guest without paging, whose linear addresses are guest-physical, with this code.
fn flat(code: &[u8]) -> Fixture {
    Fixture::with_code(code).with(&[(Rbx, TPR), (Rcx, 0x1_1122_3344)])
}

/// A guest with paging, in which the APIC's page is where it is in guest-physical memory.
fn mapped(code: &[u8]) -> Fixture {
    let f = paged().with(&[(Rbx, TPR), (Rcx, 0x70)]);
    f.write(CODE, code);
    // 2 MiB at level 2, by the entry of its fourth GiB.
    f.write(TABLES[1] + 3 * 8, &(0xb000u64 | 3).to_le_bytes());
    f.write(
        0xb000 + 503 * 8,
        &(APIC & !0x1f_ffff | 0xe3u64).to_le_bytes(),
    );
    f
}

/// Code, whether it stores, and RAX before: the second time gives what the first gave.
#[test]
fn what_is_remembered_does_what_was_decoded() {
    const ROWS: &[(&[u8], bool)] = &[
        (LOAD, false),
        (STORE, true),
        (&[0x48, 0x8b, 0x03], false),               // mov rax, [rbx]
        (&[0x44, 0x8b, 0x03], false),               // mov r8d, [rbx]
        (&[0x0f, 0xb6, 0x03], false),               // movzx eax, byte [rbx]
        (&[0x48, 0x0f, 0xb7, 0x03], false),         // movzx rax, word [rbx]
        (&[0x88, 0x0b], true),                      // mov [rbx], cl
        (&[0x40, 0x88, 0x33], true),                // mov [rbx], sil
        (&[0x66, 0x89, 0x0b], true),                // mov [rbx], cx
        (&[0x89, 0x23], true),                      // mov [rbx], esp
        (&[0xc7, 0x03, 0x50, 0, 0, 0], true),       // mov dword [rbx], 0x50
        (&[0x48, 0xc7, 0x03, 0x50, 0, 0, 0], true), // mov qword [rbx], 0x50
        (&[0x89, 0x0c, 0x25, 0x80, 0, 0xe0, 0xfe], true), // mov [0xfffffffffee00080], ecx
        (&[0xa1, 0x80, 0, 0xe0, 0xfe, 0, 0, 0, 0], false), // mov eax, [moffs]
    ];
    for &(code, write) in ROWS {
        let results: Vec<_> = (0..2)
            .map(|times| {
                let mut f = flat(code).with(&[(Rsp, 0x40)]);
                f.v.lapic.write_page(8, 0x30, 0);
                for _ in 0..times {
                    exits(&mut f, TPR, write);
                    f = f.with(&[(Rax, !0), (Gpr::R8, !0), (Rcx, 0x1_1122_3350)]);
                }
                let f = &mut f.with(&[(Rax, !0), (Gpr::R8, !0), (Rcx, 0x1_1122_3350)]);
                assert_eq!(knows(f), times != 0, "{code:02x?}");
                let verdict = exits(f, TPR, write);
                (
                    verdict,
                    f.gpr(Rax),
                    f.gpr(Gpr::R8),
                    f.v.lapic.read_page(8, 0),
                )
            })
            .collect();
        assert_eq!(results[0], results[1], "{code:02x?}");
        assert_eq!(
            results[0].0,
            Verdict::NextBy(code.len() as u8),
            "{code:02x?}"
        );
    }
}

#[test]
fn other_forms_are_decoded_each_time() {
    for code in [
        &[0x88, 0x23][..],         // mov [rbx], ah
        &[0x8a, 0x03],             // mov al, [rbx]
        &[0x66, 0x8b, 0x03],       // mov ax, [rbx]
        &[0x66, 0x0f, 0xb6, 0x03], // movzx ax, byte [rbx]
        &[0x0f, 0xbe, 0x03],       // movsx eax, byte [rbx]
        &[0x87, 0x03],             // xchg
        &[0x01, 0x03],             // add [rbx], eax
        &[0xff, 0x33],             // push qword [rbx]
    ] {
        let mut f = flat(code).with(&[(Rsp, 0x8000)]);
        assert!(matches!(exits(&mut f, TPR, true), Verdict::NextBy(_)));
        assert!(!knows(&f), "{code:02x?}");
    }
}

#[test]
fn changed_code_is_decoded() {
    let mut f = mapped(STORE);
    assert_eq!(exits(&mut f, TPR, true), Verdict::NextBy(2));
    assert!(knows(&f));
    f.write(CODE, LOAD);
    assert!(!knows(&f));
    assert_eq!(
        (exits(&mut f, TPR, false), f.gpr(Rax)),
        (Verdict::NextBy(2), 0x70)
    );
}

#[test]
fn changed_paging_entries_of_the_code_are_seen_without_a_flush() {
    for (level, f, redirect) in redirections() {
        let map = mapped(STORE);
        for at in [TABLES[1] + 24, 0xb000 + 503 * 8] {
            f.write(at, &map.read::<8>(at));
        }
        // The copy of the table that the APIC's page comes from.
        f.write(0x8000 + 24, &map.read::<8>(TABLES[1] + 24));
        let mut f = f.with(&[(Rbx, TPR), (Rcx, 0x70)]);
        f.write(CODE, STORE);
        f.write(OTHER_PAGE + 0xff8, LOAD);
        assert_eq!(exits(&mut f, TPR, true), Verdict::NextBy(2));
        assert!(knows(&f));
        redirect(&f, level);
        assert!(!knows(&f), "level {level}");
        assert_eq!(
            (exits(&mut f, TPR, false), f.gpr(Rax)),
            (Verdict::NextBy(2), 0x70)
        );
    }
}

/// Each changes one register with which the same bytes are another instruction, or elsewhere.
#[test]
fn other_registers_are_another_instruction() {
    type Change = fn(&mut Fixture);
    let changes: [Change; 6] = [
        |f| f.v.engine.set_reg(Reg::Cr3, 0xc000),
        |f| f.v.engine.set_reg(Reg::Rip, 0x40_0ff9),
        |f| f.v.engine.set_reg(Reg::Cr4, 0),
        |f| f.v.engine.set_reg(Reg::Cr0, Cr0::PE.bits()),
        |f| f.v.engine.set_reg(Reg::Efer, Efer::LME.bits()),
        |f| {
            let mut cs = f.v.engine.segment(SegmentRegister::Cs);
            cs.access = 0xc09b;
            f.v.engine.set_segment(SegmentRegister::Cs, cs);
        },
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let mut f = mapped(STORE);
        exits(&mut f, TPR, true);
        assert!(knows(&f));
        change(&mut f);
        assert!(!knows(&f), "{n}");
    }
}

/// The exit is not one of what was remembered: it must be decoded, and is.
#[test]
fn an_exit_that_does_not_fit_is_decoded() {
    let mut f = flat(STORE);
    exits(&mut f, TPR, true);
    let repeats = |f: &mut Fixture, at, write| {
        let at = L1Gpa(at);
        again(&mut f.v, Access { at, write }).is_some()
    };
    assert!(repeats(&mut f, TPR, true));
    assert!(!repeats(&mut f, TPR, false), "a read");
    assert!(!repeats(&mut f, TPR + 1, true), "not aligned");
    assert!(!repeats(&mut f, 0x1000, true), "RAM");
    assert!(!repeats(&mut f, APIC, true), "begins on the page before");
    f.v.set_gpr(Rbx, APIC);
    assert!(repeats(&mut f, APIC, true));
    // A segment's base decides where the page begins: not looked at.
    let mut f = flat(&[0x65, 0x89, 0x0b]).with(&[(Rbx, APIC)]);
    exits(&mut f, APIC, true);
    assert!(knows(&f) && !repeats(&mut f, APIC, true));
}

/// Index, scale and displacement, and what is relative to RIP.
#[test]
fn a_page_begins_where_all_parts_of_the_address_say() {
    let mut f = flat(&[0x89, 0x4c, 0xc3, 0x10]).with(&[(Rbx, APIC - 0x90), (Rax, 0x10)]);
    for (rax, begins) in [(0x10, true), (0x11, false), (0x210, true)] {
        f.v.set_gpr(Rax, 0x10);
        exits(&mut f, APIC, true);
        f.v.set_gpr(Rax, rax);
        let at = L1Gpa(APIC);
        assert_eq!(
            again(&mut f.v, Access { at, write: true }).is_some(),
            begins
        );
    }
    let mut f = flat(&[0x89, 0x0d, 0xfa, 0xef, 0xdf, 0xfe]);
    exits(&mut f, 0x8000_0000, true);
    let at = L1Gpa(0x8000_0000);
    assert!(again(&mut f.v, Access { at, write: true }).is_some());
}

#[test]
fn across_a_page_nothing_is_remembered() {
    let mut f = mapped(&[]);
    f.v.engine.set_reg(Reg::Rip, 0x40_0fff);
    f.write(PAGE + 0xfff, &[0x89]);
    f.write(OTHER_PAGE, &[0x0b]);
    assert_eq!(exits(&mut f, TPR, true), Verdict::NextBy(2));
    assert!(!knows(&f));
}

/// An exit at RIP for the task-priority register.
fn stores(engine: &mut FakeEngine) -> Record {
    const EPT_VIOLATION: u32 = 48;
    Record::Vmx(VmxRecord {
        reason: EPT_VIOLATION,
        qualification: 0x182,
        rip: engine.reg(Reg::Rip),
        guest_physical: TPR,
        guest_linear: TPR,
        ..VmxRecord::default()
    })
}

fn end(engine: &mut FakeEngine) -> Record {
    Record::Vmx(VmxRecord {
        reason: 30,
        qualification: 0xf4 << 16,
        instruction_length: 1,
        rip: engine.reg(Reg::Rip),
        ..VmxRecord::default()
    })
}

/// The loop goes on as behind any instruction: a single step follows, blocking by STI ends.
#[test]
fn an_instruction_that_was_remembered_ends_as_others_do() {
    let stepped = |engine: &mut FakeEngine| {
        let injected = engine.told.lock().injected;
        assert_eq!(injected.map(|event| event.vector), Some(1));
        assert!(!engine.interruptibility().blocking_by_sti_or_mov_ss);
        end(engine)
    };
    let entries: Vec<Entry> = Vec::from([
        alloc::boxed::Box::new(stores) as Entry,
        alloc::boxed::Box::new(stepped),
    ]);
    let mut f = Fixture::with_entries(entries).with(&[(Rbx, TPR), (Rcx, 0x70)]);
    f.write(Fixture::CODE, STORE);
    exits(&mut f, TPR, true);
    assert!(knows(&f));
    let flags = Rflags::TF | Rflags::IF | Rflags::ONE;
    f.v.engine.set_reg(Reg::Rflags, flags.bits());
    f.v.engine
        .set_interruptibility(crate::machine::Interruptibility {
            blocking_by_sti_or_mov_ss: true,
            nmi: false,
        });
    let pause = run(&mut f.v, 1 << 40, &Ring::new());
    assert_eq!(pause, Pause::Stopped(Stop::Exit(0)));
    assert_eq!(f.v.engine.reg(Reg::Rip), Fixture::CODE + 2);
    assert_eq!(f.v.lapic.cr8(), 7);
}
