//! The `app` kind of guest: its virtual CPU, and what it does differently about exits.

use super::layout::EntryState;
use super::{App, Start, fault_access};
use crate::exit::rows::MACHINE;
use crate::exit::simple;
use crate::exit::table::{ExitTable, Stop, Verdict};
use crate::exit::{Detail, Exit, Kind, cpuid};
use crate::guest::request::Request;
use crate::guest::{Guest, GuestKind, LoadError, Seat, new_space};
use crate::host::Host;
use crate::machine::{Engine, Gpr, Gprs, Reg, Segment, SegmentRegister};
use crate::syscall::signals::exception_signal;
use crate::syscall::{Kernel, Outcome, Signal};
use crate::vcpu::Vcpu;
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
]);

fn load(request: &Request, seat: &Seat<'_>) -> Result<Vcpu, LoadError> {
    const DEFAULT_MIB: u64 = 64;
    request.allow_options(&["root"])?;
    let archive = request
        .option("root")
        .map(|name| seat.file(name))
        .transpose()?;
    let size = request.memory(DEFAULT_MIB)?;
    let heap = seat.promise(super::heap_size(size))?;
    let space = new_space(seat.host, size)?;
    let ram = space.ram();
    let mut vcpu = seat.new_vcpu(&APP, &request.path, space, heap);
    let machine = seat.host.machine;
    let arguments: Vec<Vec<u8>> = request
        .arguments
        .iter()
        .map(|word| word.as_bytes().to_vec())
        .collect();
    let now = machine.now();
    let start = Start {
        program: seat.program,
        archive,
        path: &request.path,
        arguments: &arguments,
        seed: now.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seat.number as u64,
        hwcap: cpuid::hwcap(&vcpu),
        fsgsbase: cpuid::optional_cr4(&vcpu).contains(Cr4::FSGSBASE),
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

fn enter_segments(engine: &mut dyn Engine, entry: &EntryState) {
    const USER: u8 = 3;
    let code = AccessRights::CODE64.with_dpl(USER);
    let data = AccessRights::DATA.with_dpl(USER);
    let flat = |selector, rights: AccessRights| Segment {
        selector,
        base: 0,
        limit: u32::MAX,
        access: rights.bits(),
    };
    engine.set_segment(SegmentRegister::Cs, flat(entry.cs, code));
    engine.set_segment(SegmentRegister::Ss, flat(entry.ss, data));
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

impl Guest {
    /// The application in it. Only exits of the kind [`APP`] ask, and a guest of that kind has one.
    fn app(&self) -> MutexGuard<'_, App> {
        self.app
            .get()
            .expect("an app guest holds an application")
            .lock()
    }
}

/// The entry stub's HLT: a system call with Linux's registers.
fn system_call(_: &Exit, v: &mut Vcpu) -> Verdict {
    let Vcpu {
        engine,
        gprs,
        guest,
        host,
        number,
        ..
    } = v;
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
    let mut app = guest.app();
    let outcome = app.syscall(
        call,
        args,
        &mut Outside {
            engine: &mut **engine,
            guest,
            host,
            cpu: *number,
        },
    );
    let verdict = conclude(outcome, gprs);
    if app.take_flush() {
        flush(&mut **engine);
    }
    verdict
}

#[inline]
fn conclude(outcome: Outcome, gprs: &mut Gprs) -> Verdict {
    match outcome {
        Outcome::Return(value) => {
            gprs[Gpr::Rax] = value;
            Verdict::Next
        }
        Outcome::Exit(status) => Verdict::Stop(Stop::Exit(status.into())),
        Outcome::Kill(signal) => kill(signal),
        Outcome::Block(until) => Verdict::Wait(until),
        Outcome::Again => Verdict::Resume,
    }
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
    if event.vector != Vector::PF.0 {
        let code = instruction(v);
        return kill(exception_signal(event.vector, event.error_code, &code));
    }
    let mut app = v.guest.app();
    match app.fault(qualification, fault_access(event.error_code.unwrap_or(0))) {
        Ok(()) => {
            if app.take_flush() {
                flush(&mut *v.engine);
            }
            Verdict::Resume
        }
        Err(signal) => kill(signal),
    }
}

/// The first bytes of the instruction at RIP, zeros where they cannot be read.
fn instruction(v: &mut Vcpu) -> [u8; 2] {
    let rip = v.engine.reg(Reg::Rip);
    let mut app = v.guest.app();
    [0, 1].map(|offset| {
        let byte = app.process.memory.read_array(rip.wrapping_add(offset));
        byte.map_or(0, |[byte]| byte)
    })
}

/// Makes the CPU forget the program's translations.
fn flush(engine: &mut dyn Engine) {
    engine.flush_nested();
}

fn illegal_instruction(_: &Exit, _: &mut Vcpu) -> Verdict {
    kill(Signal::ILL)
}

fn segmentation_fault(_: &Exit, _: &mut Vcpu) -> Verdict {
    kill(Signal::SEGV)
}

fn kill(signal: Signal) -> Verdict {
    Verdict::Stop(Stop::Signal {
        number: signal.0.into(),
        name: signal.name(),
    })
}

/// What system calls want from outside.
struct Outside<'a> {
    engine: &'a mut dyn Engine,
    guest: &'a Guest,
    host: &'static Host,
    cpu: u32,
}

impl Outside<'_> {
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
