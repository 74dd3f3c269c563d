//! A guest on the fake machine, ready for a handler.

use super::{Entry, FakeEngine, FakeMachine, Told, flat};
use crate::exit::Exit;
use crate::exit::table::Verdict;
use crate::guest::{Seat, test::TEST};
use crate::machine::{Gpr, Reg, Segment, SegmentRegister};
use crate::vcpu::Vcpu;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use spec::addr::L1Gpa;
use spec::control_registers::Cr0;
use spin::Mutex;

/// How much RAM [`Fixture`]'s guest has.
pub(crate) const GUEST_RAM: u64 = 2 << 20;

/// A test guest with its machine: 64-bit code at CPL 0, RIP at [`Fixture::CODE`].
pub(crate) struct Fixture {
    pub(crate) v: Vcpu,
    pub(crate) machine: &'static FakeMachine,
    pub(crate) told: Arc<Mutex<Told>>,
}

impl Fixture {
    pub(crate) const CODE: u64 = 0x1000;

    pub(crate) fn new() -> Self {
        Self::with_entries(Vec::new())
    }

    /// A guest whose engine makes these VM entries.
    pub(crate) fn with_entries(entries: Vec<Entry>) -> Self {
        Self::on(FakeMachine::leak(), entries)
    }

    /// The same, on this machine.
    pub(crate) fn on(machine: &'static FakeMachine, entries: Vec<Entry>) -> Self {
        Self::first_of(1, machine, entries)
    }

    /// Virtual CPU 0 of a guest that has so many.
    pub(crate) fn first_of(
        cpus: usize,
        machine: &'static FakeMachine,
        entries: Vec<Entry>,
    ) -> Self {
        let host = machine.leak_host();
        let space = host.new_space(GUEST_RAM).unwrap();
        let seat = Seat {
            host,
            number: 1,
            shares_console: false,
            program: &[],
            modules: &[],
        };
        let engine = FakeEngine::new(machine, entries);
        let told = engine.told.clone();
        let mut v = seat.new_vcpu(
            &TEST,
            "fake",
            space,
            host.promise(0).ok().unwrap(),
            cpus,
            None,
        );
        v.engine = Box::new(engine);
        v.engine.set_reg(Reg::Rip, Self::CODE);
        Self { v, machine, told }
    }

    /// Virtual CPU `number` of the same guest, whose engine makes these VM entries.
    pub(crate) fn other(&self, number: u32, entries: Vec<Entry>) -> Self {
        let engine = FakeEngine::new(self.machine, entries);
        let told = engine.told.clone();
        let v = Vcpu::new(Box::new(engine), self.v.guest.clone(), self.v.host, number);
        Self {
            v,
            machine: self.machine,
            told,
        }
    }

    /// With this code at RIP.
    pub(crate) fn with_code(code: &[u8]) -> Self {
        let fixture = Self::new();
        fixture.write(Self::CODE, code);
        fixture
    }

    pub(crate) fn write(&self, at: u64, bytes: &[u8]) {
        self.v.guest.ram.write(L1Gpa(at), bytes).unwrap();
    }

    pub(crate) fn read<const N: usize>(&self, at: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.v.guest.ram.read(L1Gpa(at), &mut bytes).unwrap();
        bytes
    }

    pub(crate) fn gpr(&self, register: Gpr) -> u64 {
        self.v.gpr(register)
    }

    /// Sets registers, and returns itself.
    pub(crate) fn with(mut self, registers: &[(Gpr, u64)]) -> Self {
        for &(register, value) in registers {
            self.v.set_gpr(register, value);
        }
        self
    }

    /// What the guest's kind decides about an exit.
    pub(crate) fn decide(&mut self, exit: &Exit) -> Verdict {
        (self.v.guest.kind.exits.handler(exit.kind))(exit, &mut self.v)
    }

    /// Makes the code 32-bit.
    pub(crate) fn in_protected_mode(mut self) -> Self {
        self.v.engine.set_reg(Reg::Efer, 0);
        self.load_segments(flat(0xc09b), flat(0xc093));
        self
    }

    /// Makes the code real-mode code.
    pub(crate) fn in_real_mode(mut self) -> Self {
        const LIMIT: u32 = 0xffff;
        self.v.engine.set_reg(Reg::Efer, 0);
        self.v.engine.set_reg(Reg::Cr0, Cr0::ET.bits());
        let segment = |access| Segment {
            limit: LIMIT,
            ..flat(access)
        };
        self.load_segments(segment(0x9b), segment(0x93));
        self
    }

    fn load_segments(&mut self, code: Segment, data: Segment) {
        use SegmentRegister::{Cs, Ds, Es, Fs, Gs, Ss};
        self.v.engine.set_segment(Cs, code);
        for register in [Ds, Es, Fs, Gs, Ss] {
            self.v.engine.set_segment(register, data);
        }
    }
}
