//! A machine and an engine for host tests: plain data. What the engine is asked to do, and what
//! VM entries it makes, are there to be looked at.

use super::{
    Capabilities, CpuidResult, Engine, Event, Gprs, Interruptibility, Machine, Memory,
    NestedFormat, Reg, Segment, SegmentRegister, TableRegister, Visit,
};
use crate::emulate::length::{Lengths, Line};
use crate::exit::Record;
use crate::host::{Heap, Host};
use crate::memory::Frames;
use crate::memory::testing::VecMemory;
use crate::run::single_step;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::num::NonZeroU64;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use spec::addr::Hpa;
use spec::control_registers::{Cr0, Cr4, Rflags};
use spec::msr::Efer;
use spin::Mutex;

mod fixture;

pub(crate) use fixture::{Fixture, GUEST_RAM};

/// How much memory the machine has.
const MEMORY: u64 = 8 << 20;

/// A machine whose clock moves when it is told to.
pub(crate) struct FakeMachine {
    memory: &'static VecMemory,
    pub(crate) clock: AtomicU64,
    pub(crate) capabilities: Capabilities,
    /// Leaves by number and subleaf; others are zero.
    pub(crate) leaves: Mutex<BTreeMap<(u32, u32), CpuidResult>>,
    pub(crate) written: Mutex<Vec<u8>>,
    pub(crate) typed: Mutex<VecDeque<u8>>,
    pub(crate) interrupts_accepted: AtomicUsize,
    pub(crate) caches_written_back: AtomicUsize,
    /// The deadlines that it was told to wait for; waiting moves the clock there.
    pub(crate) waits: Mutex<Vec<Option<u64>>>,
    /// The physical CPUs that were woken.
    pub(crate) woken: Mutex<Vec<usize>>,
}

impl FakeMachine {
    pub(crate) fn leak() -> &'static Self {
        Box::leak(Box::new(Self {
            memory: VecMemory::leak(MEMORY as usize),
            clock: AtomicU64::new(1_000_000),
            capabilities: Capabilities {
                nested_format: NestedFormat::Ept,
                nested_1g_pages: false,
                physical_address_bits: 40,
            },
            leaves: Mutex::default(),
            written: Mutex::default(),
            typed: Mutex::default(),
            interrupts_accepted: AtomicUsize::new(0),
            caches_written_back: AtomicUsize::new(0),
            waits: Mutex::default(),
            woken: Mutex::default(),
        }))
    }

    /// The machine and its memory, above the first page.
    pub(crate) fn leak_host(&'static self) -> &'static Host {
        let mut frames = Frames::new();
        frames.add(0x1000..MEMORY);
        Box::leak(Box::new(Host::new(
            self,
            frames,
            Heap::new(1 << 30, |_| {}),
        )))
    }
}

impl Machine for FakeMachine {
    fn memory(&self) -> &'static dyn Memory {
        self.memory
    }

    fn now(&self) -> u64 {
        self.clock.load(Relaxed)
    }

    fn tsc_hz(&self) -> u64 {
        1_000_000_000
    }

    fn epoch(&self) -> u64 {
        0
    }

    fn cpu(&self) -> usize {
        0
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// One that cannot be entered; a [`Fixture`] puts its own in the place.
    fn new_engine(&self, _root: Hpa) -> Box<dyn Engine> {
        Box::new(FakeEngine::new(Self::leak(), Vec::new()))
    }

    fn cpuid(&self, leaf: u32, subleaf: u32) -> CpuidResult {
        let leaves = self.leaves.lock();
        leaves.get(&(leaf, subleaf)).copied().unwrap_or_default()
    }

    fn accept_interrupts(&self) -> bool {
        self.interrupts_accepted.fetch_add(1, Relaxed);
        true
    }

    fn wait(&self, deadline: Option<u64>) {
        self.waits.lock().push(deadline);
        self.clock
            .fetch_max(deadline.expect("an end to waiting"), Relaxed);
    }

    fn wake(&self, cpu: usize) {
        self.woken.lock().push(cpu);
    }

    fn write_back_caches(&self) {
        self.caches_written_back.fetch_add(1, Relaxed);
    }

    fn write_console(&self, text: &[u8]) {
        self.written.lock().extend_from_slice(text);
    }

    fn has_console_input(&self) -> bool {
        true
    }

    fn read_console(&self) -> Option<u8> {
        self.typed.lock().pop_front()
    }
}

/// One VM entry of a [`FakeEngine`]: sees the engine as it is entered, and says how it exits.
pub(crate) type Entry = Box<dyn FnMut(&mut FakeEngine) -> Record + Send>;

/// What an engine was told, for a test to look at.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) injected: Option<Event>,
    pub(crate) interrupt_window: bool,
    pub(crate) pause_exiting: bool,
    pub(crate) debug_register_exiting: bool,
    pub(crate) held_back: u64,
    pub(crate) nmi_window: bool,
    pub(crate) exceptions: u32,
    pub(crate) pdptes: [u64; 4],
    pub(crate) deadline: Option<u64>,
    pub(crate) tsc_offset: u64,
    pub(crate) lengths: Lengths,
}

/// An engine whose VM entries a test writes down beforehand.
pub(crate) struct FakeEngine {
    machine: &'static FakeMachine,
    entries: VecDeque<Entry>,
    regs: BTreeMap<u8, u64>,
    segments: [Segment; 8],
    gdtr: TableRegister,
    idtr: TableRegister,
    state: Interruptibility,
    extended_state: Vec<u8>,
    pub(crate) told: Arc<Mutex<Told>>,
}

impl FakeEngine {
    /// 64-bit code at CPL 0, with paging off underneath: linear addresses are guest-physical ones.
    fn new(machine: &'static FakeMachine, entries: Vec<Entry>) -> Self {
        let mut engine = Self {
            machine,
            entries: entries.into(),
            regs: BTreeMap::new(),
            segments: [flat(0xc093); 8],
            gdtr: TableRegister::default(),
            idtr: TableRegister::default(),
            state: Interruptibility::default(),
            extended_state: Vec::from([0; 832]),
            told: Arc::default(),
        };
        engine.set_segment(SegmentRegister::Cs, flat(0xa09b));
        engine.set_segment(SegmentRegister::Tr, flat(0x8b));
        engine.set_reg(Reg::Cr0, (Cr0::PE | Cr0::ET).bits());
        engine.set_reg(Reg::Cr4, Cr4::PAE.bits());
        engine.set_reg(Reg::Efer, (Efer::LME | Efer::LMA | Efer::NXE).bits());
        engine.set_reg(Reg::Rflags, Rflags::RESET.bits());
        engine.set_reg(Reg::Xcr0, 1);
        engine
    }
}

/// A segment of 4 GiB from 0.
pub(crate) fn flat(access: u32) -> Segment {
    Segment {
        selector: 8,
        base: 0,
        limit: u32::MAX,
        access,
    }
}

impl Engine for FakeEngine {
    fn load(&mut self) {}

    fn unload(&mut self) {}

    fn run(&mut self, _: &mut Gprs, record: &mut Record, next: Option<NonZeroU64>) -> Visit {
        if let Some(rip) = next {
            self.skip(rip.get());
        }
        let mut entry = self.entries.pop_front().expect("no more VM entries");
        let entered = self.machine.now();
        *record = entry(self);
        self.told.lock().injected = None;
        Visit {
            entered,
            left: self.machine.now(),
        }
    }

    fn cancel(&mut self) {
        self.told.lock().injected = None;
        self.state = Interruptibility::default();
    }

    fn reg(&self, register: Reg) -> u64 {
        self.regs.get(&(register as u8)).copied().unwrap_or(0)
    }

    fn set_reg(&mut self, register: Reg, value: u64) {
        self.regs.insert(register as u8, value);
    }

    fn set_pdptes(&mut self, entries: [u64; 4]) {
        self.told.lock().pdptes = entries;
    }

    fn segment(&self, register: SegmentRegister) -> Segment {
        self.segments[register as usize]
    }

    fn set_segment(&mut self, register: SegmentRegister, segment: Segment) {
        self.segments[register as usize] = segment;
    }

    fn gdtr(&self) -> TableRegister {
        self.gdtr
    }

    fn set_gdtr(&mut self, table: TableRegister) {
        self.gdtr = table;
    }

    fn idtr(&self) -> TableRegister {
        self.idtr
    }

    fn set_idtr(&mut self, table: TableRegister) {
        self.idtr = table;
    }

    fn cpl(&self) -> u8 {
        (self.segment(SegmentRegister::Ss).access >> 5 & 3) as u8
    }

    fn remember_length(&mut self, line: Line) {
        self.told.lock().lengths.remember(line);
    }

    fn skip(&mut self, rip: u64) {
        self.state.blocking_by_sti_or_mov_ss = false;
        self.set_reg(Reg::Rip, rip);
        let flags = Rflags::from_bits_retain(self.reg(Reg::Rflags)) - Rflags::RF;
        self.set_reg(Reg::Rflags, flags.bits());
        if flags.contains(Rflags::TF) {
            let held_back = self.take_held_back();
            single_step(self, held_back);
        }
    }

    fn interruptibility(&self) -> Interruptibility {
        self.state
    }

    fn set_interruptibility(&mut self, state: Interruptibility) {
        self.state = state;
    }

    fn inject(&mut self, event: Event) {
        self.told.lock().injected = Some(event);
    }

    fn is_injecting(&self) -> bool {
        self.told.lock().injected.is_some()
    }

    fn set_interrupt_window(&mut self, on: bool) {
        self.told.lock().interrupt_window = on;
    }

    fn set_nmi_window(&mut self, on: bool) {
        self.told.lock().nmi_window = on;
    }

    fn set_pause_exiting(&mut self, on: bool) {
        self.told.lock().pause_exiting = on;
    }

    fn set_debug_register_exiting(&mut self, on: bool) {
        self.told.lock().debug_register_exiting = on;
    }

    fn take_held_back(&mut self) -> u64 {
        core::mem::take(&mut self.told.lock().held_back)
    }

    fn set_exception_intercepts(&mut self, vectors: u32) {
        self.told.lock().exceptions = vectors;
    }

    fn set_msr_passthrough(&mut self, _msr: u32, _read: bool, _write: bool) {}

    fn set_deadline(&mut self, deadline: Option<u64>) {
        self.told.lock().deadline = deadline;
    }

    fn set_tsc_offset(&mut self, offset: u64) {
        self.told.lock().tsc_offset = offset;
    }

    fn extended_state(&mut self) -> Vec<u8> {
        self.extended_state.clone()
    }

    fn set_extended_state(&mut self, image: &[u8]) {
        self.extended_state = image.to_vec();
    }

    fn flush_nested(&mut self) {}
}
