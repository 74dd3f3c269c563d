//! The `app` kind of guest: its virtual CPU, and what it does differently about exits.

use super::layout::{EntryState, USER_CS, USER_DS};
use super::{App, Start, fault_access, handlers};
use crate::exit::rows::MACHINE;
use crate::exit::simple;
use crate::exit::table::{ExitTable, Stop, Verdict};
use crate::exit::{Detail, Exit, Kind, cpuid};
use crate::guest::request::Request;
use crate::guest::{Guest, GuestKind, LoadError, Seat, new_space};
use crate::host::Host;
use crate::machine::{Engine, Gpr, Gprs, Reg, Segment, SegmentRegister};
use crate::syscall::signals::{Cause, exception_signal};
use crate::syscall::{Kernel, Outcome, Signal};
use crate::vcpu::Vcpu;
use alloc::boxed::Box;
use alloc::vec::Vec;
use spec::control_registers::{Cr4, Xcr0};
use spec::exception::Vector;
use spec::segment::AccessRights;
use spin::{Mutex, MutexGuard};

/// The kind of guest that applications are.
pub static APP: GuestKind = GuestKind {
    name: "app",
    load,
    exits: &EXITS,
};

/// HLT is privileged and the only one is in our own entry stub, so it always means a system call.
/// What a machine guest would get as an exception is a signal here: there is no kernel to take it.
static EXITS: ExitTable = MACHINE.with(&[
    (Kind::Hlt, system_call),
    (Kind::Exception, exception),
    (Kind::Hypercall, illegal_instruction),
    (Kind::Virtualization, illegal_instruction),
    (Kind::Monitor, illegal_instruction),
    (Kind::Mwait, illegal_instruction),
    (Kind::Hidden, illegal_instruction),
    (Kind::Rdpmc, segmentation_fault),
    (Kind::Xsetbv, segmentation_fault),
    (Kind::ExternalInterrupt, handlers::tick),
    (Kind::PreemptionTimer, handlers::tick),
]);

fn load(request: &Request, seat: &Seat<'_>) -> Result<Vcpu, LoadError> {
    const DEFAULT_MIB: u64 = 64;
    request.allow_options(&["root"])?;
    let archive = request
        .option("root")
        .map(|name| seat.file(name))
        .transpose()?;
    let size = request.memory(DEFAULT_MIB)?;
    // Who reads the error knows of the memory that was asked for, not of what that costs us besides.
    let heap = seat
        .promise(super::heap_size(size))
        .map_err(|_| LoadError::NoMemory(size))?;
    let space = new_space(seat.host, size)?;
    let ram = space.ram();
    let mut vcpu = seat.new_vcpu(&APP, &request.path, space, heap, 1, None);
    let machine = seat.host.machine;
    let arguments = arguments(request);
    let now = machine.now();
    let start = Start {
        program: seat.program,
        archive,
        path: &request.path,
        arguments: &arguments,
        seed: now.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seat.number as u64,
        hwcap: cpuid::hwcap(&vcpu),
        fsgsbase: cpuid::optional_cr4(&vcpu).contains(Cr4::FSGSBASE),
        extended_state: cpuid::xsave_size(&vcpu).into(),
        seconds: machine.epoch() + now / machine.tsc_hz(),
    };
    let app = super::load(&start, ram).map_err(|error| {
        vcpu.engine.unload();
        LoadError::Program(alloc::format!("{error}"))
    })?;
    enter(&mut vcpu, &app.entry);
    vcpu.guest.app.call_once(|| Mutex::new(app));
    Ok(vcpu)
}

fn arguments(request: &Request) -> Vec<Vec<u8>> {
    let words = request.arguments.iter();
    words.map(|word| word.as_bytes().to_vec()).collect()
}

/// Puts the virtual CPU where the program starts.
fn enter(v: &mut Vcpu, entry: &EntryState) {
    let optional = cpuid::optional_cr4(v) & (Cr4::OSXSAVE | Cr4::FSGSBASE);
    let states = cpuid::supported_states(v);
    let engine = &mut *v.engine;
    enter_segments(engine, entry);
    engine.set_gdtr(entry.gdt);
    engine.set_idtr(entry.idt);
    engine.set_reg(Reg::Cr4, entry.cr4 | optional.bits());
    engine.set_reg(Reg::Cr3, entry.cr3);
    engine.set_reg(Reg::Efer, entry.efer);
    engine.set_reg(Reg::Cr0, entry.cr0);
    if optional.contains(Cr4::OSXSAVE) {
        engine.set_reg(Reg::Xcr0, (states | Xcr0::X87).bits());
    }
    engine.set_reg(Reg::Star, entry.star);
    engine.set_reg(Reg::Lstar, entry.lstar);
    engine.set_reg(Reg::Sfmask, entry.sfmask);
    engine.set_reg(Reg::Rip, entry.rip);
    engine.set_reg(Reg::Rsp, entry.rsp);
    engine.set_reg(Reg::Rflags, entry.rflags);
    engine.set_exception_intercepts(u32::MAX);
    v.gprs = Gprs::default();
}

/// CS and SS of CPL 3.
pub(super) fn enter_user(engine: &mut dyn Engine) {
    const USER: u8 = 3;
    let code = AccessRights::CODE64.with_dpl(USER);
    let data = AccessRights::DATA.with_dpl(USER);
    let flat = |selector, rights: AccessRights| Segment {
        selector,
        base: 0,
        limit: u32::MAX,
        access: rights.bits(),
    };
    engine.set_segment(SegmentRegister::Cs, flat(USER_CS, code));
    engine.set_segment(SegmentRegister::Ss, flat(USER_DS, data));
}

fn enter_segments(engine: &mut dyn Engine, entry: &EntryState) {
    enter_user(engine);
    // Linux starts a program with null selectors in the others.
    let null = Segment {
        access: AccessRights::UNUSABLE.bits(),
        ..Segment::default()
    };
    for register in [
        SegmentRegister::Ds,
        SegmentRegister::Es,
        SegmentRegister::Fs,
        SegmentRegister::Gs,
    ] {
        engine.set_segment(register, null);
    }
    let tss = Segment {
        selector: entry.tr,
        base: entry.tss_base,
        limit: entry.tss_limit,
        access: AccessRights::BUSY_TSS.bits(),
    };
    engine.set_segment(SegmentRegister::Tr, tss);
}

/// The application in a guest. Only exits of the kind [`APP`] ask, and a guest of that kind has one.
#[inline]
pub(super) fn app(guest: &Guest) -> MutexGuard<'_, App> {
    let app = guest.app.get();
    app.expect("an app guest holds an application").lock()
}

/// The entry stub's HLT: a system call with Linux's registers.
fn system_call(_: &Exit, v: &mut Vcpu) -> Verdict {
    match dispatch(v) {
        Outcome::Return(value) => {
            v.gprs[Gpr::Rax] = value;
            Verdict::Next
        }
        more => handlers::conclude(v, more),
    }
}

#[inline(always)]
fn dispatch(v: &mut Vcpu) -> Outcome {
    let gprs = &v.gprs;
    let (call, args) = (
        gprs[Gpr::Rax],
        [
            gprs[Gpr::Rdi],
            gprs[Gpr::Rsi],
            gprs[Gpr::Rdx],
            gprs[Gpr::R10],
            gprs[Gpr::R8],
            gprs[Gpr::R9],
        ],
    );
    let mut app = app(&v.guest);
    let mut outside = Outside {
        engine: &mut v.engine,
        guest: &v.guest,
        host: v.host,
        cpu: v.number,
    };
    let outcome = app.syscall(call, args, &mut outside);
    if app.take_flush() {
        flush(&mut *v.engine);
    }
    outcome
}

/// An exception at CPL 3: a page to make present, or a signal.
fn exception(x: &Exit, v: &mut Vcpu) -> Verdict {
    let Detail::Exception {
        event,
        qualification,
    } = x.detail
    else {
        return simple::unsupported(x, v);
    };
    let error_code = event.error_code.unwrap_or(0);
    if event.vector != Vector::PF.0 {
        return instruction_exception(v, event.vector, event.error_code);
    }
    let mut program = app(&v.guest);
    match program.fault(qualification, fault_access(error_code)) {
        Ok(()) => {
            if program.take_flush() {
                flush(&mut *v.engine);
            }
            Verdict::Resume
        }
        Err(fault) => {
            drop(program);
            let cause = Cause::page_fault(fault, error_code, qualification);
            handlers::raise(v, cause, 0)
        }
    }
}

/// What an instruction raised that is no page fault.
fn instruction_exception(v: &mut Vcpu, vector: u8, error_code: Option<u32>) -> Verdict {
    let code = instruction(v);
    let signal = exception_signal(vector, error_code, &code);
    if signal != Signal::TRAP || vector == Vector::DB.0 {
        let rip = v.engine.reg(Reg::Rip);
        let cause = Cause::exception(signal, vector, error_code.unwrap_or(0), rip);
        return handlers::raise(v, cause, 0);
    }
    // However a breakpoint came, its vector is this, and it is over when its signal comes.
    let cause = Cause::exception(signal, Vector::BP.0, 0, 0);
    handlers::raise(v, cause, breakpoint_length(code))
}

/// The first bytes of the instruction at RIP, zeros where they cannot be read.
fn instruction(v: &mut Vcpu) -> [u8; 2] {
    let rip = v.engine.reg(Reg::Rip);
    let mut app = app(&v.guest);
    [0, 1].map(|offset| {
        let byte = app.process.memory.read_array(rip.wrapping_add(offset));
        byte.map_or(0, |[byte]| byte)
    })
}

const fn breakpoint_length(code: [u8; 2]) -> u64 {
    match code {
        [0xcc, _] => 1,
        [0xcd, 3] => 2,
        _ => 0,
    }
}

/// Makes the CPU forget the program's translations.
fn flush(engine: &mut dyn Engine) {
    engine.flush_nested();
}

fn illegal_instruction(x: &Exit, v: &mut Vcpu) -> Verdict {
    let cause = Cause::exception(Signal::ILL, Vector::UD.0, 0, x.rip);
    handlers::raise(v, cause, 0)
}

fn segmentation_fault(x: &Exit, v: &mut Vcpu) -> Verdict {
    let cause = Cause::exception(Signal::SEGV, Vector::GP.0, 0, x.rip);
    handlers::raise(v, cause, 0)
}

pub(super) fn kill(signal: Signal) -> Verdict {
    Verdict::Stop(Stop::Signal {
        number: signal.0.into(),
        name: signal.name(),
    })
}

/// What system calls want from outside.
pub(super) struct Outside<'a> {
    engine: &'a mut Box<dyn Engine>,
    guest: &'a Guest,
    host: &'static Host,
    cpu: u32,
}

impl<'a> Outside<'a> {
    /// What a virtual CPU is for its program, and its guest.
    pub(super) fn of(v: &'a mut Vcpu) -> (Self, &'a Guest) {
        let guest = &*v.guest;
        let outside = Self {
            engine: &mut v.engine,
            guest,
            host: v.host,
            cpu: v.number,
        };
        (outside, guest)
    }

    fn base(&self, register: SegmentRegister) -> u64 {
        self.engine.segment(register).base
    }

    fn set_base(&mut self, register: SegmentRegister, base: u64) {
        let segment = self.engine.segment(register);
        self.engine
            .set_segment(register, Segment { base, ..segment });
    }
}

impl Kernel for Outside<'_> {
    fn guest_number(&self) -> usize {
        self.guest.number
    }

    fn write_console(&mut self, text: &[u8]) {
        self.guest.console.write(text);
    }

    fn read_console(&mut self) -> Option<u8> {
        self.guest.console.read()
    }

    fn has_console_input(&self) -> bool {
        self.guest.console.has_input()
    }

    fn now(&self) -> u64 {
        self.host.machine.now()
    }

    fn run_time(&self) -> u64 {
        self.guest.run_time.at(self.now())
    }

    fn tsc_hz(&self) -> u64 {
        self.host.machine.tsc_hz()
    }

    fn epoch(&self) -> u64 {
        self.host.machine.epoch()
    }

    fn cpu(&self) -> u32 {
        self.cpu
    }

    fn stack_pointer(&self) -> u64 {
        self.engine.reg(Reg::Rsp)
    }

    fn fs_base(&self) -> u64 {
        self.base(SegmentRegister::Fs)
    }

    fn set_fs_base(&mut self, base: u64) {
        self.set_base(SegmentRegister::Fs, base);
    }

    fn gs_base(&self) -> u64 {
        self.base(SegmentRegister::Gs)
    }

    fn set_gs_base(&mut self, base: u64) {
        self.set_base(SegmentRegister::Gs, base);
    }
}
