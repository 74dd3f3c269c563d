use crate::exit::from_vmx::VmxRecord;
use crate::exit::table::{Stop, Verdict};
use crate::exit::{Detail, Exit, Io, Kind, NestedFault, Record};
use crate::machine::Gpr::{Rax, Rbx, Rcx, Rdi, Rsi, Rsp};
use crate::machine::fake::{Entry, FakeEngine, Fixture};
use crate::machine::{Engine, Event, Reg};
use crate::run::{Pause, run};
use crate::trace::Ring;
use alloc::boxed::Box;
use alloc::vec::Vec;
use spec::addr::L1Gpa;
use spec::control_registers::{Cr4, Dr6, Rflags};

const DATA: u64 = 0x4000;
const NOWHERE: u64 = 0x8000_0000;
const PORT: u16 = 0x80;
/// R/W of a breakpoint.
const WRITE: u64 = 0b01;
const IO: u64 = 0b10;
const READ_WRITE: u64 = 0b11;
const DB: Event = Event::exception(1, None);

/// With breakpoint 0 there, on 4 bytes, and the guest's first MOV DR behind it.
fn watching(mut f: Fixture, kind: u64, address: u64) -> Fixture {
    let length = if kind == IO { 0 } else { 0b11 };
    assert_eq!(
        f.decide(&exit(Kind::DrAccess, Detail::None)),
        Verdict::Resume
    );
    f.v.engine.set_reg(Reg::Cr4, Cr4::DE.bits());
    f.v.engine.set_reg(Reg::Dr0, address);
    let control = 0x401 | kind << 16 | length << 18;
    f.v.engine.set_reg(Reg::Dr7, control);
    f
}

fn exit(kind: Kind, detail: Detail) -> Exit {
    Exit {
        kind,
        rip: Fixture::CODE,
        length: 2,
        detail,
        vectoring: None,
    }
}

fn io(port: u16, size: u8, input: bool, string: bool) -> Exit {
    let io = Io {
        port,
        size,
        input,
        string,
        rep: string,
        address_size: Some(8),
        segment: Some(3),
    };
    exit(Kind::Io, Detail::Io(io))
}

fn nested(gpa: u64, write: bool) -> Exit {
    let fault = NestedFault {
        gpa: L1Gpa(gpa),
        gva: None,
        translated: true,
        read: !write,
        write,
        fetch: false,
        present: false,
    };
    exit(Kind::NestedPageFault, Detail::Nested(fault))
}

fn met(f: &Fixture) -> u64 {
    f.v.breakpoints.met
}

#[test]
fn debug_registers_are_the_guests_from_their_first_use_until_nothing_is_enabled() {
    let f = Fixture::new();
    let mut f = f.other(0, Vec::new());
    assert!(f.told.lock().debug_register_exiting, "at first");
    f = watching(f, IO, PORT.into());
    assert!(!f.told.lock().debug_register_exiting);
    assert_eq!(f.decide(&io(PORT, 1, false, false)), Verdict::Next);
    assert!(f.v.breakpoints.is_on());
    f.v.engine.set_reg(Reg::Dr7, 0x2_0400);
    assert_eq!(f.decide(&io(PORT, 1, false, false)), Verdict::Next);
    assert!(f.told.lock().debug_register_exiting && !f.v.breakpoints.is_on());
}

#[test]
fn ports_are_compared() {
    for (port, size, want) in [
        (PORT, 1, 1),
        (PORT - 1, 2, 1),
        (PORT - 3, 4, 1),
        (PORT - 1, 1, 0),
        (PORT + 1, 4, 0),
    ] {
        for input in [false, true] {
            let mut f = watching(Fixture::new(), IO, PORT.into());
            assert_eq!(f.decide(&io(port, size, input, false)), Verdict::Next);
            assert_eq!(met(&f), want, "{size} at {port:#x}, {input}");
        }
    }
}

#[test]
fn a_repetition_ends_at_each_breakpoint() {
    let f = Fixture::new().with(&[(Rcx, 3), (Rsi, DATA), (Rdi, DATA)]);
    let mut f = watching(f, IO, PORT.into());
    for (left, verdict) in [
        (2, Verdict::NextBy(0)),
        (1, Verdict::NextBy(0)),
        (0, Verdict::Next),
    ] {
        let input = left == 1;
        assert_eq!(f.decide(&io(PORT, 1, input, true)), verdict);
        assert_eq!((met(&f), f.gpr(Rcx)), (1, left));
        f.v.breakpoints.met = 0;
    }
    assert_eq!(f.decide(&io(PORT, 1, true, true)), Verdict::Next);
    assert_eq!(met(&f), 0, "RCX is 0");
}

/// Where the breakpoint is, what it is for, and whether INS and OUTS of 8 bytes meet it, each at which count left.
#[test]
fn memory_operands_of_strings_are_compared() {
    for (kind, address, input, left) in [
        (WRITE, DATA + 4, true, Some(3)),
        (READ_WRITE, DATA + 4, false, Some(3)),
        (WRITE, DATA + 4, false, None),
        (READ_WRITE, DATA + 8, true, None),
    ] {
        let f = Fixture::new().with(&[(Rcx, 8), (Rsi, DATA), (Rdi, DATA)]);
        let mut f = watching(f, kind, address);
        let _ = f.decide(&io(PORT, 1, input, true));
        let got = f.v.breakpoints.is_met().then(|| f.gpr(Rcx));
        assert_eq!(got, left, "{kind} {address:#x} {input}");
    }
}

/// Code, the breakpoint, and whether the emulated instruction meets it. RBX and RSI are at a device, RDI is in RAM.
#[test]
fn emulated_instructions_are_compared() {
    let rows: &[(&[u8], u64, u64, u64)] = &[
        (&[0x8b, 0x03], READ_WRITE, NOWHERE, 1), // mov eax, [rbx]
        (&[0x8b, 0x03], WRITE, NOWHERE, 0),      //
        (&[0x89, 0x03], WRITE, NOWHERE, 1),      // mov [rbx], eax
        (&[0x89, 0x03], WRITE, NOWHERE + 4, 0),  //
        (&[0x48, 0x89, 0x03], WRITE, NOWHERE + 4, 1), // mov [rbx], rax
        (&[0x83, 0x0b, 0x01], WRITE, NOWHERE, 1), // or dword [rbx], 1
        (&[0x83, 0x3b, 0x01], WRITE, NOWHERE, 0), // cmp dword [rbx], 1
        (&[0xff, 0x33], WRITE, DATA - 8, 1),     // push [rbx]
        (&[0xff, 0x33], WRITE, DATA, 0),         //
        (&[0x8f, 0x03], READ_WRITE, DATA, 1),    // pop [rbx]
        (&[0xa5], WRITE, DATA, 1),               // movsd
        (&[0x0f, 0x11, 0x0b], WRITE, NOWHERE + 12, 1), // movups [rbx], xmm1
    ];
    for &(code, kind, address, want) in rows {
        let f = Fixture::with_code(code).with(&[(Rbx, NOWHERE), (Rsi, NOWHERE), (Rdi, DATA)]);
        let mut f = watching(f.with(&[(Rsp, DATA)]), kind, address);
        for again in [false, true] {
            let f = &mut f;
            f.v.set_gpr(Rsp, DATA);
            f.v.set_gpr(Rdi, DATA);
            f.v.breakpoints.met = 0;
            let verdict = f.decide(&nested(NOWHERE, code[0] == 0x89));
            assert_eq!(verdict, Verdict::NextBy(code.len() as u8));
            assert_eq!(met(f), want, "{code:02x?} {kind} {address:#x} {again}");
        }
    }
}

/// A VM entry, what the engine was like, and an exit by OUT of AL to a port.
fn out(port: u16, look: impl Fn(&mut FakeEngine) + Send + 'static) -> Entry {
    Box::new(move |engine| {
        look(engine);
        Record::Vmx(VmxRecord {
            reason: 30,
            qualification: u64::from(port) << 16,
            instruction_length: 2,
            rip: engine.reg(Reg::Rip),
            ..VmxRecord::default()
        })
    })
}

const END: u16 = 0xf4;

/// What DR6 says at the #DB behind an OUT at which these were in RFLAGS and held back.
fn conditions(flags: Rflags, held_back: u64) -> u64 {
    let look = |engine: &mut FakeEngine| {
        assert_eq!(engine.told.lock().injected, Some(DB));
        assert_eq!(engine.reg(Reg::Rip), Fixture::CODE + 2);
    };
    let entries = Vec::from([out(PORT, |_| {}), out(END, look)]);
    let mut f = watching(Fixture::with_entries(entries), IO, PORT.into());
    f.v.engine.set_reg(Reg::Dr6, Dr6::RESET.bits() | 0b1000);
    f.v.engine.set_reg(Reg::Rflags, flags.bits());
    f.told.lock().held_back = held_back;
    let pause = run(&mut f.v, 1 << 40, &Ring::new());
    assert_eq!(pause, Pause::Stopped(Stop::Exit(0)));
    f.v.engine.reg(Reg::Dr6) & !Dr6::FIXED1
}

#[test]
fn one_debug_exception_says_all() {
    assert_eq!(conditions(Rflags::ONE, 0), 0b0001);
    assert_eq!(conditions(Rflags::ONE, 0b0100), 0b0101);
    let stepped = Dr6::BS.bits();
    assert_eq!(conditions(Rflags::ONE | Rflags::TF, 0), stepped | 0b0001);
    assert_eq!(
        conditions(Rflags::ONE | Rflags::TF, 0b0100),
        stepped | 0b0101
    );
}

/// What a #PF or #GP ends meets nothing: it runs again, or never.
#[test]
fn a_fault_forgets_what_was_met() {
    let gp = |engine: &mut FakeEngine| {
        let event = engine.told.lock().injected;
        assert_eq!(event.map(|event| event.vector), Some(13));
    };
    let entries: Vec<Entry> = Vec::from([
        Box::new(|engine: &mut FakeEngine| {
            Record::Vmx(VmxRecord {
                reason: 48,
                qualification: 0x181,
                guest_physical: NOWHERE,
                guest_linear: NOWHERE,
                rip: engine.reg(Reg::Rip),
                ..VmxRecord::default()
            })
        }) as Entry,
        out(END, gp),
    ]);
    // pop from the device to an address that is not canonical
    let f = Fixture::with_entries(entries);
    f.write(Fixture::CODE, &[0x8f, 0x03]);
    let f = f.with(&[(Rax, 0), (Rbx, 1 << 63), (Rsp, NOWHERE)]);
    let mut f = watching(f, READ_WRITE, NOWHERE);
    let pause = run(&mut f.v, 1 << 40, &Ring::new());
    assert_eq!((pause, met(&f)), (Pause::Stopped(Stop::Exit(0)), 0));
}
