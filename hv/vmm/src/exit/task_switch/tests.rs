use super::*;
use crate::exit::Kind;
use crate::exit::table::Stop;
use crate::machine::fake::Fixture;
use crate::machine::{Segment, TableRegister};
use SegmentRegister::{Cs, Ds, Es, Fs, Gs, Ldtr, Ss, Tr};
use TaskSwitchSource::{Call, Iret, Jmp, TaskGate};
use spec::task::{Layout, TSS_16, TSS_32};

const GDT: u64 = 0x3000;
const OLD_TSS: u64 = 0x4000;
const NEW_TSS: u64 = 0x5000;
const LDT: u64 = 0x7000;
const STACK: u32 = 0x9000;

// Selectors, and the access rights of what they name, in the layout of the VMCS.
const CODE: u16 = 0x8;
const DATA: u16 = 0x10;
const USER_CODE: u16 = 0x1b;
const USER_DATA: u16 = 0x23;
const LDT_SELECTOR: u16 = 0x28;
const OLD: u16 = 0x30;
const NEW: u16 = 0x38;
/// For a test to write.
const SPARE: u16 = 0x40;
const LIMIT: u16 = 0x47;

fn descriptor(base: u64, limit: u64, access: u64) -> u64 {
    let (limit, base) = (
        limit & 0xffff | (limit & 0xf_0000) << 32,
        (base & 0xff_ffff) << 16 | (base & 0xff00_0000) << 32,
    );
    limit | base | (access & 0xf0ff) << 40
}

fn put(f: &Fixture, selector: u16, descriptor: u64) {
    f.write(GDT + u64::from(selector & !7), &descriptor.to_le_bytes());
}

fn type_of(f: &Fixture, selector: u16) -> u8 {
    f.read::<1>(GDT + u64::from(selector & !7) + 5)[0] & 0xf
}

/// A state in which every register differs from every other.
fn new_state() -> State {
    State {
        cr3: Some(0),
        eip: 0x1234,
        eflags: 0x202,
        gprs: [0x10, 0x11, 0x12, 0x13, STACK, 0x15, 0x16, 0x17],
        segments: [DATA, CODE, DATA, DATA, 0, DATA],
        ldt: LDT_SELECTOR,
        debug_trap: false,
    }
}

fn write_state(f: &Fixture, at: u64, layout: &Layout, state: &State) {
    let mut bytes = [0; 104];
    layout.save(state, &mut bytes);
    let (width, size) = (layout.width, layout.size);
    let ldt = if width == 4 { 96 } else { 42 };
    bytes[ldt..ldt + 2].copy_from_slice(&state.ldt.to_le_bytes());
    if width == 4 {
        bytes[28..32].copy_from_slice(&state.cr3.unwrap().to_le_bytes());
        bytes[100] = state.debug_trap.into();
    }
    f.write(at, &bytes[..size]);
}

/// In the old task, which differs from the new one in everything. The new one is as ready for `source` as can be.
fn ready(source: TaskSwitchSource) -> Fixture {
    let mut f = Fixture::new().in_protected_mode();
    for (selector, value) in [
        (0, descriptor(0, 0xf_ffff, 0xc092)),
        (CODE, descriptor(0, 0xf_ffff, 0xc09a)),
        (DATA, descriptor(0, 0xf_ffff, 0xc092)),
        (USER_CODE, descriptor(0, 0xf_ffff, 0xc0fa)),
        (USER_DATA, descriptor(0, 0xf_ffff, 0xc0f2)),
        (LDT_SELECTOR, descriptor(LDT, 0xf, 0x82)),
        (OLD, descriptor(OLD_TSS, 0x67, 0x8b)),
        (
            NEW,
            descriptor(NEW_TSS, 0x67, if source == Iret { 0x8b } else { 0x89 }),
        ),
        (SPARE, 0),
    ] {
        put(&f, selector, value);
    }
    write_state(&f, NEW_TSS, &TSS_32, &new_state());
    let engine = &mut f.v.engine;
    engine.set_gdtr(TableRegister {
        base: GDT,
        limit: LIMIT,
    });
    engine.set_segment(
        Tr,
        Segment {
            selector: OLD,
            base: OLD_TSS,
            limit: 0x67,
            access: 0x8b,
        },
    );
    for register in [Es, Ss, Ds, Fs, Gs] {
        let segment = engine.segment(register);
        engine.set_segment(
            register,
            Segment {
                selector: DATA,
                ..segment
            },
        );
    }
    engine.set_reg(Reg::Rflags, 0x4093);
    for n in 0..8 {
        f.v.set_gpr(Gpr::from_number(n), 0x100 + u64::from(n));
    }
    f
}

fn exit(source: TaskSwitchSource, vectoring: Option<Event>) -> Exit {
    let software = vectoring.is_none_or(|event| is_software(event.kind));
    Exit {
        kind: Kind::TaskSwitch,
        rip: Fixture::CODE,
        length: if software { 7 } else { 0 },
        detail: Detail::TaskSwitch(TaskSwitch {
            selector: NEW,
            source,
            error_code: vectoring.and_then(|event| event.error_code),
            resume_flag: false,
        }),
        vectoring,
    }
}

fn switch(f: &mut Fixture, source: TaskSwitchSource) -> Verdict {
    f.decide(&exit(source, None))
}

fn deliver(f: &mut Fixture, event: Event) -> Verdict {
    f.decide(&exit(TaskGate, Some(event)))
}

fn saved(f: &Fixture) -> State {
    TSS_32.load(&f.read(OLD_TSS))
}

fn selector(f: &Fixture, register: SegmentRegister) -> u16 {
    f.v.engine.segment(register).selector
}

fn raised(vector: Vector, code: u32) -> Verdict {
    Verdict::Inject(Event::exception(vector.0, Some(code)))
}

const INTERRUPT: Event = Event::interrupt(0x20);
const NOT_PRESENT: Event = Event::exception(11, Some(0x55));
const SOFTWARE: Event = Event {
    kind: EventType::SoftwareInterrupt,
    vector: 0x40,
    error_code: None,
    instruction_length: 7,
};

#[test]
fn the_old_tasks_registers_are_saved() {
    let mut f = ready(Jmp);
    f.v.engine.set_segment(Fs, Segment::default());
    assert_eq!(switch(&mut f, Jmp), Verdict::Redirect);
    let expected = State {
        cr3: Some(0),
        eip: Fixture::CODE as u32 + 7,
        eflags: 0x4093,
        gprs: core::array::from_fn(|n| 0x100 + n as u32),
        segments: [DATA, CODE, DATA, DATA, 0, DATA],
        ..State::default()
    };
    assert_eq!(saved(&f), expected);
}

#[test]
fn the_new_tasks_registers_are_loaded() {
    let mut f = ready(Jmp);
    assert_eq!(switch(&mut f, Jmp), Verdict::Redirect);
    let engine = &f.v.engine;
    assert_eq!(engine.reg(Reg::Rip), 0x1234);
    assert_eq!(engine.reg(Reg::Rflags), 0x202);
    for (n, value) in new_state().gprs.into_iter().enumerate() {
        assert_eq!(f.v.gpr(Gpr::from_number(n as u8)), value.into());
    }
    let flat = |selector, access| Segment {
        selector,
        base: 0,
        limit: u32::MAX,
        access,
    };
    assert_eq!(engine.segment(Cs), flat(CODE, 0xc09b));
    for register in [Ss, Ds, Es, Gs] {
        assert_eq!(engine.segment(register), flat(DATA, 0xc093));
    }
    assert_eq!(engine.segment(Fs).selector, 0);
    assert_ne!(engine.segment(Fs).access & 1 << 16, 0);
    let system = |selector, base, limit, access| Segment {
        selector,
        base,
        limit,
        access,
    };
    assert_eq!(engine.segment(Ldtr), system(LDT_SELECTOR, LDT, 0xf, 0x82));
    assert_eq!(engine.segment(Tr), system(NEW, NEW_TSS, 0x67, 0x8b));
}

#[test]
fn reserved_flags_are_not_loaded() {
    let mut f = ready(Jmp);
    f.write(NEW_TSS + 36, &(!(1_u32 << 17)).to_le_bytes());
    switch(&mut f, Jmp);
    assert_eq!(f.v.engine.reg(Reg::Rflags), 0x3d_7fd7);
}

#[test]
fn a_null_ldt_is_none() {
    let mut f = ready(Jmp);
    f.write(NEW_TSS + 96, &[3, 0]);
    assert_eq!(switch(&mut f, Jmp), Verdict::Redirect);
    assert_eq!(selector(&f, Ldtr), 3);
    assert_ne!(f.v.engine.segment(Ldtr).access & 1 << 16, 0);
}

/// SDM 3A, table "Effect of a Task Switch on Busy Flag, NT Flag, Previous Task Link Field, and TS Flag".
#[test]
fn busy_flags_nested_task_flag_and_link() {
    // Types of the old and of the new TSS; NT as saved and as loaded; the link.
    let rows = [
        (Jmp, None, (9, 11), (true, false), 0),
        (Call, None, (11, 11), (true, true), OLD),
        (TaskGate, Some(SOFTWARE), (11, 11), (true, true), OLD),
        (TaskGate, Some(INTERRUPT), (11, 11), (true, true), OLD),
        (Iret, None, (9, 11), (false, false), 0),
    ];
    for (source, vectoring, types, nested, link) in rows {
        let mut f = ready(source);
        assert_eq!(f.decide(&exit(source, vectoring)), Verdict::Redirect);
        assert_eq!((type_of(&f, OLD), type_of(&f, NEW)), types, "{source:?}");
        let is_nested = |flags| flags & 1 << 14 != 0;
        let new = f.v.engine.reg(Reg::Rflags);
        assert_eq!(
            (is_nested(saved(&f).eflags), is_nested(new as u32)),
            nested,
            "{source:?}"
        );
        assert_eq!(f.read(NEW_TSS), link.to_le_bytes(), "{source:?}");
        assert_ne!(f.v.engine.reg(Reg::Cr0) & 1 << 3, 0);
    }
}

#[test]
fn what_is_saved_is_behind_an_instruction_and_at_an_event() {
    let fault = Event::exception(13, Some(0));
    for (vectoring, eip) in [
        (SOFTWARE, Fixture::CODE + 7),
        (INTERRUPT, Fixture::CODE),
        (fault, Fixture::CODE),
    ] {
        let mut f = ready(TaskGate);
        deliver(&mut f, vectoring);
        assert_eq!(u64::from(saved(&f).eip), eip, "{vectoring:?}");
    }
}

/// JMP 40:0 where the exit does not say how long it is.
#[test]
fn an_unknown_length_is_decoded() {
    let mut f = ready(Jmp);
    f.write(Fixture::CODE, &[0xea, 0, 0, 0, 0, 0x40, 0]);
    let exit = Exit {
        length: 0,
        ..exit(Jmp, None)
    };
    assert_eq!(f.decide(&exit), Verdict::Redirect);
    assert_eq!(saved(&f).eip, Fixture::CODE as u32 + 7);
}

#[test]
fn an_instruction_saves_no_resume_flag() {
    const RF: u32 = 1 << 16;
    let mut f = ready(Jmp);
    f.v.engine.set_reg(Reg::Rflags, u64::from(RF) | 2);
    switch(&mut f, Jmp);
    assert_eq!(saved(&f).eflags & RF, 0);
    for (flags, resume_flag) in [(RF, false), (0, true)] {
        let mut f = ready(TaskGate);
        f.v.engine.set_reg(Reg::Rflags, u64::from(flags) | 2);
        let mut exit = exit(TaskGate, Some(NOT_PRESENT));
        if let Detail::TaskSwitch(task) = &mut exit.detail {
            task.resume_flag = resume_flag;
        }
        f.decide(&exit);
        assert_ne!(saved(&f).eflags & RF, 0);
    }
}

/// The new task's RF is the TSS's: a JMP, CALL or INT that switches tasks does not clear it.
#[test]
fn the_new_tasks_resume_flag_stays() {
    let mut f = ready(Jmp);
    f.write(NEW_TSS + 36, &0x1_0002_u32.to_le_bytes());
    switch(&mut f, Jmp);
    assert_eq!(f.v.engine.reg(Reg::Rflags), 0x1_0002);
}

#[test]
fn local_breakpoints_are_disabled() {
    let mut f = ready(Jmp);
    f.v.engine.set_reg(Reg::Dr7, 0xffff_07ff);
    switch(&mut f, Jmp);
    assert_eq!(f.v.engine.reg(Reg::Dr7), 0xffff_06aa);
}

/// What of the GDT is changed, the cause, and the exception. The old task must be as it was.
#[test]
fn a_new_tss_that_is_refused_leaves_the_old_task() {
    let tss = |limit, access| descriptor(NEW_TSS, limit, access);
    let rows = [
        (Jmp, tss(0x67, 0x8b), raised(Vector::GP, 0x38)), // busy
        (Call, tss(0x67, 0x8b), raised(Vector::GP, 0x38)),
        (TaskGate, tss(0x67, 0x8b), raised(Vector::GP, 0x38)),
        (Iret, tss(0x67, 0x89), raised(Vector::TS, 0x38)), // not busy
        (Jmp, tss(0x67, 0x82), raised(Vector::GP, 0x38)),  // an LDT
        (Jmp, tss(0x67, 0x99), raised(Vector::GP, 0x38)),  // code
        (Jmp, tss(0x67, 0x09), raised(Vector::NP, 0x38)),
        (Iret, tss(0x67, 0x0b), raised(Vector::NP, 0x38)),
        (Jmp, tss(0x66, 0x89), raised(Vector::TS, 0x38)),
        (Jmp, tss(0x2a, 0x81), raised(Vector::TS, 0x38)),
    ];
    for (source, value, verdict) in rows {
        let mut f = ready(source);
        put(&f, NEW, value);
        let before = f.read::<0x3000>(GDT);
        assert_eq!(switch(&mut f, source), verdict, "{source:?} {value:#x}");
        assert_eq!(f.read::<0x3000>(GDT), before, "{source:?} {value:#x}");
        assert_eq!(selector(&f, Tr), OLD);
        assert_eq!(f.v.engine.reg(Reg::Rip), Fixture::CODE);
    }
}

#[test]
fn a_selector_must_be_one_of_the_gdt() {
    for (new, source, verdict) in [
        (0x3c, Jmp, raised(Vector::GP, 0x3c)),
        (0x3c, Iret, raised(Vector::TS, 0x3c)),
        (0x48, Call, raised(Vector::GP, 0x48)),
        (0x48, Iret, raised(Vector::TS, 0x48)),
        (0, Iret, raised(Vector::TS, 0)),
    ] {
        let mut f = ready(source);
        let gdt_as_ldt = Segment {
            selector: LDT_SELECTOR,
            base: GDT,
            limit: LIMIT.into(),
            access: 0x82,
        };
        f.v.engine.set_segment(Ldtr, gdt_as_ldt);
        let mut exit = exit(source, None);
        if let Detail::TaskSwitch(task) = &mut exit.detail {
            task.selector = new;
        }
        assert_eq!(f.decide(&exit), verdict, "{new:#x}");
    }
}

#[test]
fn the_old_tss_must_hold_what_is_saved() {
    for (limit, verdict) in [
        (0x5f, Verdict::Redirect),
        (0x5e, raised(Vector::TS, OLD.into())),
    ] {
        let mut f = ready(Jmp);
        let mut tr = f.v.engine.segment(Tr);
        tr.limit = limit;
        f.v.engine.set_segment(Tr, tr);
        assert_eq!(switch(&mut f, Jmp), verdict);
    }
}

/// Which selector is changed to what, the descriptor of [`SPARE`], and the exception, in the new task.
#[test]
fn segments_are_checked_in_the_new_task() {
    const DS: u64 = NEW_TSS + 84;
    const SS: u64 = NEW_TSS + 80;
    const CS: u64 = NEW_TSS + 76;
    const LDTR: u64 = NEW_TSS + 96;
    let flat = |access| descriptor(0, 0xf_ffff, access);
    let rows = [
        (LDTR, SPARE | 4, flat(0x82), raised(Vector::TS, 0x44)),
        (LDTR, 0x48, 0, raised(Vector::TS, 0x48)),
        (LDTR, SPARE, flat(0x92), raised(Vector::TS, 0x40)),
        (LDTR, SPARE, flat(0x89), raised(Vector::TS, 0x40)),
        (LDTR, SPARE, flat(0x02), raised(Vector::TS, 0x40)),
        (CS, 0, 0, raised(Vector::TS, 0)),
        (CS, 0x48, 0, raised(Vector::TS, 0x48)),
        (CS, SPARE, flat(0xc092), raised(Vector::TS, 0x40)),
        (CS, SPARE, flat(0xc0fa), raised(Vector::TS, 0x40)), // DPL 3, RPL 0
        (CS, SPARE, flat(0xc0fe), raised(Vector::TS, 0x40)), // conforming
        (CS, SPARE, flat(0xc09e), Verdict::Redirect),
        (CS, SPARE, flat(0xc01a), raised(Vector::NP, 0x40)),
        (SS, 0, 0, raised(Vector::TS, 0)),
        (SS, 0x48, 0, raised(Vector::TS, 0x48)),
        (SS, SPARE, flat(0xc090), raised(Vector::TS, 0x40)), // read-only
        (SS, SPARE, flat(0xc09a), raised(Vector::TS, 0x40)), // code
        (SS, SPARE, flat(0xc012), raised(Vector::SS, 0x40)),
        (SS, SPARE, flat(0xc0f2), raised(Vector::TS, 0x40)), // DPL 3
        (SS, SPARE | 3, flat(0xc092), raised(Vector::TS, 0x40)), // RPL 3
        (SS, SPARE | 3, flat(0xc0f2), raised(Vector::TS, 0x40)), // DPL and RPL 3, CPL 0
        (DS, 0x48, 0, raised(Vector::TS, 0x48)),
        (DS, SPARE, flat(0x82), raised(Vector::TS, 0x40)), // a system segment
        (DS, SPARE, flat(0xc098), raised(Vector::TS, 0x40)), // execute-only
        (DS, SPARE, flat(0xc012), raised(Vector::NP, 0x40)),
        (DS, SPARE | 3, flat(0xc092), raised(Vector::TS, 0x40)),
        (DS, SPARE, flat(0xc09a), Verdict::Redirect),
        (DS, SPARE | 3, flat(0xc09e), Verdict::Redirect), // conforming: any RPL
        (DS, SPARE | 3, flat(0xc0f2), Verdict::Redirect),
    ];
    for (at, value, spare, verdict) in rows {
        let mut f = ready(Jmp);
        put(&f, SPARE, spare);
        f.write(at, &value.to_le_bytes());
        let context = alloc::format!("{at:#x}: {value:#x}, {spare:#x}");
        assert_eq!(switch(&mut f, Jmp), verdict, "{context}");
        assert_eq!(selector(&f, Tr), NEW, "{context}");
        assert_eq!(type_of(&f, OLD), 9, "{context}");
        assert_eq!(f.v.engine.reg(Reg::Rip), 0x1234, "{context}");
        let index = [(CS, Cs), (SS, Ss), (DS, Ds), (LDTR, Ldtr)]
            .into_iter()
            .find(|row| row.0 == at);
        let register = index.unwrap().1;
        assert_eq!(selector(&f, register), value, "{context}");
        // VM entry takes no CS without the rights of code.
        assert_eq!(f.v.engine.segment(Cs).access & 0x98, 0x98, "{context}");
    }
}

/// Data segments of a task at CPL 3 need DPL 3.
#[test]
fn data_segments_are_checked_with_the_new_privilege_level() {
    for (data, verdict) in [
        (USER_DATA, Verdict::Redirect),
        (DATA, raised(Vector::TS, DATA.into())),
    ] {
        let mut f = ready(Jmp);
        let state = State {
            segments: [0, USER_CODE, USER_DATA, 0, data, 0],
            ..new_state()
        };
        write_state(&f, NEW_TSS, &TSS_32, &state);
        assert_eq!(switch(&mut f, Jmp), verdict);
        assert_eq!(f.v.engine.cpl(), 3);
    }
}

#[test]
fn conforming_code_may_be_more_privileged() {
    let mut f = ready(Jmp);
    put(&f, SPARE, descriptor(0, 0xf_ffff, 0xc09e));
    let state = State {
        segments: [0, SPARE | 3, USER_DATA, 0, 0, 0],
        ..new_state()
    };
    write_state(&f, NEW_TSS, &TSS_32, &state);
    assert_eq!(switch(&mut f, Jmp), Verdict::Redirect);
    assert_eq!((selector(&f, Cs), f.v.engine.cpl()), (SPARE | 3, 3));
}

#[test]
fn segments_of_the_new_ldt() {
    let mut f = ready(Jmp);
    f.write(LDT, &descriptor(0x10_0000, 0xff, 0x92).to_le_bytes());
    f.write(NEW_TSS + 84, &4_u16.to_le_bytes());
    assert_eq!(switch(&mut f, Jmp), Verdict::Redirect);
    assert_eq!(f.v.engine.segment(Ds).base, 0x10_0000);
    let mut f = ready(Jmp);
    f.write(NEW_TSS + 84, &0x14_u16.to_le_bytes());
    assert_eq!(switch(&mut f, Jmp), raised(Vector::TS, 0x14));
}

#[test]
fn loaded_segments_are_marked_accessed() {
    let mut f = ready(Jmp);
    switch(&mut f, Jmp);
    assert_eq!((type_of(&f, CODE), type_of(&f, DATA)), (11, 3));
    assert_eq!(type_of(&f, USER_DATA), 2);
}

#[test]
fn a_16_bit_tss() {
    let mut f = ready(Jmp);
    put(&f, NEW, descriptor(NEW_TSS, 0x2b, 0x81));
    write_state(&f, NEW_TSS, &TSS_16, &new_state());
    f.write(NEW_TSS + 44, &[0xff; 64]);
    f.v.set_gpr(Gpr::Rbx, 0xaaaa_bbbb);
    f.v.set_gpr(Gpr::Rsp, 0xcccc_0104);
    f.v.engine.set_segment(Gs, Segment::default());
    assert_eq!(switch(&mut f, Jmp), Verdict::Redirect);
    let engine = &f.v.engine;
    assert_eq!(f.v.gpr(Gpr::Rbx), 0xaaaa_0013);
    assert_eq!(f.v.gpr(Gpr::Rsp), 0xcccc_0000 | u64::from(STACK));
    assert_eq!(
        (engine.reg(Reg::Rip), engine.reg(Reg::Rflags)),
        (0x1234, 0x202)
    );
    assert_eq!((selector(&f, Cs), selector(&f, Gs)), (CODE, 0));
    assert_eq!(engine.segment(Tr).access, 0x83);
    assert_eq!(type_of(&f, NEW), 3);
    // And back, from a TSS that saves half of the registers.
    let mut exit = exit(Call, None);
    if let Detail::TaskSwitch(task) = &mut exit.detail {
        task.selector = OLD;
    }
    exit.rip = 0x1_1234;
    assert_eq!(f.decide(&exit), Verdict::Redirect);
    let back = TSS_16.load(&f.read(NEW_TSS));
    assert_eq!((back.eip, back.gprs[3]), (0x123b, 0x13));
    assert_eq!(f.read(NEW_TSS + 44), [0xff; 64]);
    assert_eq!(f.v.gpr(Gpr::Rbx), 0xaaaa_bbbb);
}

#[test]
fn an_error_code_is_pushed_as_wide_as_the_tss() {
    let mut f = ready(TaskGate);
    f.write(STACK.into(), &[0xff; 4]);
    assert_eq!(deliver(&mut f, NOT_PRESENT), Verdict::Redirect);
    assert_eq!(f.v.gpr(Gpr::Rsp), u64::from(STACK) - 4);
    assert_eq!(f.read(u64::from(STACK) - 4), 0x55_u32.to_le_bytes());

    let mut f = ready(TaskGate);
    put(&f, NEW, descriptor(NEW_TSS, 0x2b, 0x81));
    write_state(&f, NEW_TSS, &TSS_16, &new_state());
    assert_eq!(deliver(&mut f, NOT_PRESENT), Verdict::Redirect);
    assert_eq!(f.v.gpr(Gpr::Rsp), u64::from(STACK) - 2);
    assert_eq!(f.read(u64::from(STACK) - 2), 0x55_u16.to_le_bytes());
}

#[test]
fn a_stack_without_room_for_the_error_code() {
    let mut f = ready(TaskGate);
    put(&f, SPARE, descriptor(0, 0xfff, 0x4092));
    f.write(NEW_TSS + 80, &SPARE.to_le_bytes());
    assert_eq!(deliver(&mut f, NOT_PRESENT), raised(Vector::SS, 1));
}

#[test]
fn the_error_code_of_a_fault_tells_of_an_external_event() {
    let exception = Event {
        kind: EventType::PrivilegedSoftwareException,
        ..SOFTWARE
    };
    for (event, code) in [
        (SOFTWARE, 0x40),
        (INTERRUPT, 0x41),
        (NOT_PRESENT, 0x41),
        (exception, 0x41),
    ] {
        let mut f = ready(TaskGate);
        put(&f, SPARE, descriptor(0, 0xfff, 0x12));
        f.write(NEW_TSS + 84, &SPARE.to_le_bytes());
        assert_eq!(deliver(&mut f, event), raised(Vector::NP, code));
    }
}

#[test]
fn an_instruction_pointer_outside_the_code_segment() {
    for (limit, verdict) in [(0x1234, Verdict::Redirect), (0x1233, Verdict::GP)] {
        let mut f = ready(Call);
        put(&f, CODE, descriptor(0, limit, 0x409a));
        assert_eq!(switch(&mut f, Call), verdict);
    }
}

#[test]
fn the_debug_trap_flag_raises_a_debug_exception() {
    let mut f = ready(Call);
    f.v.engine.set_reg(Reg::Dr6, Dr6::RESET.bits());
    f.write(NEW_TSS + 100, &[1]);
    let debug = Verdict::Inject(Event::exception(1, None));
    assert_eq!(switch(&mut f, Call), debug);
    assert_eq!(f.v.engine.reg(Reg::Dr6), 0xffff_8ff0);
    assert_eq!(f.v.engine.reg(Reg::Rip), 0x1234);
}

#[test]
fn a_virtual_8086_task() {
    let mut f = ready(Jmp);
    let state = State {
        eflags: 0x2_0202,
        segments: [0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0xffff],
        ..new_state()
    };
    write_state(&f, NEW_TSS, &TSS_32, &state);
    assert_eq!(switch(&mut f, Jmp), Verdict::Redirect);
    let engine = &f.v.engine;
    assert_eq!(engine.reg(Reg::Rflags), 0x2_0202);
    for (register, selector) in [(Es, 0x1000), (Cs, 0x2000), (Ss, 0x3000), (Gs, 0xffff)] {
        let segment = Segment {
            selector,
            base: u64::from(selector) << 4,
            limit: 0xffff,
            access: 0xf3,
        };
        assert_eq!(engine.segment(register), segment);
    }
    assert_eq!((engine.cpl(), selector(&f, Ldtr)), (3, LDT_SELECTOR));
}

#[test]
fn nmis_are_blocked_by_a_task_gate_and_unblocked_by_iret() {
    let nmi = Event {
        kind: EventType::Nmi,
        ..Event::interrupt(2)
    };
    for (source, vectoring, before, after) in [
        (TaskGate, Some(nmi), false, true),
        (TaskGate, Some(INTERRUPT), false, false),
        (Call, None, true, true),
        (Iret, None, true, false),
    ] {
        let mut f = ready(source);
        f.v.engine.set_interruptibility(Interruptibility {
            blocking_by_sti_or_mov_ss: true,
            nmi: before,
        });
        assert_eq!(f.decide(&exit(source, vectoring)), Verdict::Redirect);
        let held = f.v.engine.interruptibility();
        assert_eq!((held.blocking_by_sti_or_mov_ss, held.nmi), (false, after));
    }
}

/// 4 MiB pages: the first maps itself.
fn paged(source: TaskSwitchSource, cr3: u32) -> Fixture {
    let mut f = ready(source);
    f.write(0xa000, &0x83_u32.to_le_bytes());
    f.write(NEW_TSS + 28, &cr3.to_le_bytes());
    let cr0 = f.v.engine.reg(Reg::Cr0) | Cr0::PG.bits();
    f.v.engine.set_reg(Reg::Cr0, cr0);
    f.v.engine.set_reg(Reg::Cr3, 0xa000);
    f.v.engine.set_reg(Reg::Cr4, Cr4::PSE.bits());
    f
}

#[test]
fn cr3_is_loaded_under_paging_by_a_32_bit_tss() {
    let mut f = ready(Jmp);
    f.write(NEW_TSS + 28, &0xb000_u32.to_le_bytes());
    assert_eq!(switch(&mut f, Jmp), Verdict::Redirect);
    assert_eq!(f.v.engine.reg(Reg::Cr3), 0);

    let mut f = paged(Jmp, 0xb000);
    f.write(0xb000, &0x83_u32.to_le_bytes());
    assert_eq!(switch(&mut f, Jmp), Verdict::Redirect);
    assert_eq!(f.v.engine.reg(Reg::Cr3), 0xb000);

    let mut f = paged(Jmp, 0xb000);
    put(&f, NEW, descriptor(NEW_TSS, 0x2b, 0x81));
    write_state(&f, NEW_TSS, &TSS_16, &new_state());
    assert_eq!(switch(&mut f, Jmp), Verdict::Redirect);
    assert_eq!(f.v.engine.reg(Reg::Cr3), 0xa000);
}

/// The new task's descriptors are read through its own page tables.
#[test]
fn a_page_fault_after_cr3_is_the_new_tasks() {
    let mut f = paged(Jmp, 0xb000);
    let fault = Verdict::Inject(Event::exception(14, Some(0)));
    assert_eq!(switch(&mut f, Jmp), fault);
    assert_eq!(f.v.engine.reg(Reg::Cr2), GDT + u64::from(LDT_SELECTOR));
    assert_eq!(selector(&f, Tr), NEW);
}

#[test]
fn pdptes_are_loaded_and_checked() {
    for (entry, verdict, cr3) in [
        (0xb001_u64, Verdict::Redirect, 0xb020),
        (0xb003, Verdict::GP, 0xa000),
    ] {
        let mut f = paged(Jmp, 0xb020);
        f.write(0xa000, &0xc001_u64.to_le_bytes());
        f.write(0xb020, &[0; 32]);
        f.write(0xb020, &entry.to_le_bytes());
        for directory in [0xb000, 0xc000] {
            f.write(directory, &0x83_u64.to_le_bytes());
        }
        f.v.engine.set_reg(Reg::Cr4, Cr4::PAE.bits());
        assert_eq!(switch(&mut f, Jmp), verdict);
        assert_eq!(f.v.engine.reg(Reg::Cr3), cr3);
        let loaded = verdict == Verdict::Redirect;
        let expected = if loaded { [0xb001, 0, 0, 0] } else { [0; 4] };
        assert_eq!(f.told.lock().pdptes, expected);
        assert_eq!(selector(&f, Tr), if loaded { NEW } else { OLD });
        assert_eq!(type_of(&f, OLD), if loaded { 9 } else { 11 });
    }
}

/// 4 KiB pages, of which one is read-only: the old TSS, the GDT, or the new TSS.
#[test]
fn a_page_fault_before_the_switch_is_the_old_tasks() {
    let rows = [
        (Jmp, OLD_TSS, Some(OLD_TSS + 32)),
        (Jmp, GDT, Some(GDT + u64::from(OLD) + 5)),
        (Call, GDT, Some(GDT + u64::from(NEW) + 5)),
        (Iret, GDT, Some(GDT + u64::from(OLD) + 5)),
        (Call, NEW_TSS, Some(NEW_TSS)),
        (Jmp, NEW_TSS, None),
    ];
    for (source, page, at) in rows {
        let mut f = paged(source, 0xa000);
        f.write(0xa000, &0xb003_u32.to_le_bytes());
        for n in 0..16_u64 {
            let rights = if n << 12 == page { 1 } else { 3 };
            f.write(0xb000 + n * 4, &((n as u32) << 12 | rights).to_le_bytes());
        }
        let cr0 = f.v.engine.reg(Reg::Cr0) | Cr0::WP.bits();
        f.v.engine.set_reg(Reg::Cr0, cr0);
        for (selector, type_bits) in [(CODE, 0xc09b), (DATA, 0xc093)] {
            put(&f, selector, descriptor(0, 0xf_ffff, type_bits));
        }
        let before = f.read::<0x3000>(GDT);
        let verdict = switch(&mut f, source);
        let Some(at) = at else {
            assert_eq!(verdict, Verdict::Redirect);
            continue;
        };
        assert_eq!(verdict, Verdict::Inject(Event::exception(14, Some(3))));
        assert_eq!(f.v.engine.reg(Reg::Cr2), at);
        assert_eq!(f.read::<0x3000>(GDT), before);
        assert_eq!(selector(&f, Tr), OLD);
    }
}

#[test]
fn what_is_not_in_ram_stops_the_guest() {
    let mut f = ready(Jmp);
    put(&f, NEW, descriptor(0xf000_0000, 0x67, 0x89));
    let Verdict::Stop(Stop::Unsupported(line)) = switch(&mut f, Jmp) else {
        panic!("it goes on");
    };
    let expected = "task switch with a descriptor or a TSS outside RAM, rip 0x1000 ";
    assert!(line.starts_with(expected), "{line}");
    assert_eq!(selector(&f, Tr), OLD);
}

/// IRET whose previous task link names its own task: what it loads is what it has saved.
#[test]
fn a_task_that_returns_to_itself() {
    let mut f = ready(Iret);
    let mut exit = exit(Iret, None);
    if let Detail::TaskSwitch(task) = &mut exit.detail {
        task.selector = OLD;
    }
    assert_eq!(f.decide(&exit), Verdict::Redirect);
    assert_eq!(f.v.engine.reg(Reg::Rip), Fixture::CODE + 7);
    assert_eq!(type_of(&f, OLD), 9);
}
