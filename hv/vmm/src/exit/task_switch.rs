//! Task switches. Under VMX they always exit, under SVM where a processor honours the intercept: after the checks of SDM 3C
//! "Treatment of Task Switches" (APM vol 2 "Task Switch Intercept"), and before anything has changed.
//!
//! The steps are those of SDM 3A "Task Switching". An exception up to step 11 is the old task's, and nothing has happened
//! yet; after that it is the new task's.

mod descriptor;
mod segments;
mod tss;

use super::table::Verdict;
use super::{Detail, Exit, TaskSwitch, TaskSwitchSource, cr, exception, simple};
use crate::emulate::system::Failure;
use crate::emulate::{length, stack};
use crate::machine::{Event, EventType, Gpr, Interruptibility, Reg, SegmentRegister};
use crate::vcpu::Vcpu;
use spec::control_registers::{Cr0, Cr4, Dr6, Dr7, Rflags};
use spec::exception::Vector;
use spec::task::State;
use tss::Tss;

/// EFLAGS without its reserved bits.
const LOADED_FLAGS: u64 = 0x3f_7fd7;

impl TaskSwitchSource {
    /// The new task is nested in the old one, which stays busy.
    const fn nests(self) -> bool {
        matches!(self, Self::Call | Self::TaskGate)
    }
}

/// A task switch.
pub(super) fn task_switch(x: &Exit, v: &mut Vcpu) -> Verdict {
    let Detail::TaskSwitch(task) = x.detail else {
        return simple::unsupported(x, v);
    };
    match switch(x, task, v) {
        Ok(None) => Verdict::Redirect,
        Ok(Some(trap)) => Verdict::Inject(trap),
        Err(Failure::Event(event)) => Verdict::Inject(with_external(event, x)),
        Err(Failure::OutsideRam) => {
            let what = "task switch with a descriptor or a TSS outside RAM";
            Verdict::Stop(simple::stop_at(v, v.engine.reg(Reg::Rip), what))
        }
    }
}

/// EXT in the error code, if an event from outside the program is delivered (SDM 3A "Error Code").
fn with_external(event: Event, x: &Exit) -> Event {
    let external = x.vectoring.is_some_and(|first| !is_software(first.kind));
    let names_selector = Vector(event.vector) != Vector::PF;
    let ext = u32::from(external && names_selector);
    Event {
        error_code: event.error_code.map(|code| code | ext),
        ..event
    }
}

const fn is_software(kind: EventType) -> bool {
    matches!(
        kind,
        EventType::SoftwareInterrupt | EventType::SoftwareException
    )
}

/// The #DB of the T flag, if the switch ends in one.
fn switch(x: &Exit, task: TaskSwitch, v: &mut Vcpu) -> Result<Option<Event>, Failure> {
    let new = Tss::of_new_task(v, task.selector, task.source)?;
    let old = Tss::current(v)?;
    let saved = old_state(x, task, v)?;
    check_paged_in(v, task.source, &old, &new)?;
    let cr3 = new.load(v)?.cr3;
    let space = address_space(v, cr3)?;
    leave(v, task.source, &old, &saved, &new)?;
    // Not before, for a task may be its own successor.
    let mut state = new.load(v)?;
    state.eflags = new_flags(task.source, state.eflags);
    v.engine.set_segment(SegmentRegister::Tr, new.register());
    if let Some(space) = space {
        enter_space(v, space);
    }
    load_registers(v, &state, new.layout.width);
    hold_back(x, task.source, v);
    segments::load(v, &state)?;
    begin(task, &new, &state, v)?;
    let trap = state.debug_trap;
    Ok(trap.then(|| exception::debug(&mut *v.engine, Dr6::BT.bits())))
}

/// What the old task saves, IRET's NT and RF included.
fn old_state(x: &Exit, task: TaskSwitch, v: &mut Vcpu) -> Result<State, Event> {
    let mut flags = Rflags::from_bits_retain(v.engine.reg(Reg::Rflags));
    if task.source == TaskSwitchSource::Iret {
        flags -= Rflags::NT;
    }
    let length = length_of(x, task, v)?;
    match length {
        None if task.resume_flag => flags |= Rflags::RF,
        None => {}
        Some(_) => flags -= Rflags::RF,
    }
    let mut gprs = [0; 8];
    for (saved, register) in gprs.iter_mut().zip(v.gprs.0) {
        *saved = register as u32;
    }
    gprs[Gpr::Rsp as usize] = v.engine.reg(Reg::Rsp) as u32;
    Ok(State {
        eip: x.rip.wrapping_add(length.unwrap_or(0).into()) as u32,
        eflags: flags.bits() as u32,
        gprs,
        segments: segments::REGISTERS.map(|register| v.engine.segment(register).selector),
        ..State::default()
    })
}

/// The length of the instruction that switches tasks and that the old task goes on behind, if it is one that does.
fn length_of(x: &Exit, task: TaskSwitch, v: &mut Vcpu) -> Result<Option<u8>, Event> {
    let by_event = task.source == TaskSwitchSource::TaskGate
        && x.vectoring
            .is_some_and(|event| event.instruction_length == 0 && !is_software(event.kind));
    match x.length {
        _ if by_event => Ok(None),
        0 => length::decode(v).map(Some),
        length => Ok(Some(length)),
    }
}

/// Step 5: what will be written can be.
fn check_paged_in(
    v: &mut Vcpu,
    source: TaskSwitchSource,
    old: &Tss,
    new: &Tss,
) -> Result<(), Failure> {
    old.check_save(v)?;
    if source.nests() {
        new.check_link(v)?;
    } else {
        old.check_busy(v)?;
    }
    if source != TaskSwitchSource::Iret {
        new.check_busy(v)?;
    }
    Ok(())
}

/// Another address space: CR3, and what it names in PAE paging.
struct Space {
    cr3: u64,
    pdptes: Option<[u64; 4]>,
}

/// The address space of the new task, if it is another. Without paging CR3 stays what it is. Step 12 tries to report bad
/// PDPTEs in the old task, so they are looked at beforehand.
fn address_space(v: &Vcpu, cr3: Option<u32>) -> Result<Option<Space>, Event> {
    let paging = v.engine.reg(Reg::Cr0) & Cr0::PG.bits() != 0;
    let Some(cr3) = cr3.map(u64::from) else {
        return Ok(None);
    };
    if !paging || cr3 == v.engine.reg(Reg::Cr3) {
        return Ok(None);
    }
    let pdptes = match v.engine.reg(Reg::Cr4) & Cr4::PAE.bits() {
        0 => None,
        _ => Some(cr::pdptes(v, cr3)?),
    };
    Ok(Some(Space { cr3, pdptes }))
}

fn enter_space(v: &mut Vcpu, space: Space) {
    v.engine.set_reg(Reg::Cr3, space.cr3);
    if let Some(entries) = space.pdptes {
        v.engine.set_pdptes(entries);
    }
}

/// Steps 6 to 10, and the previous task link.
fn leave(
    v: &mut Vcpu,
    source: TaskSwitchSource,
    old: &Tss,
    saved: &State,
    new: &Tss,
) -> Result<(), Failure> {
    if !source.nests() {
        old.set_busy(v, false)?;
    }
    old.save(v, saved)?;
    if source.nests() {
        new.set_link(v, old)?;
    }
    if source != TaskSwitchSource::Iret {
        new.set_busy(v, true)?;
    }
    Ok(())
}

/// A nested task has NT set.
fn new_flags(source: TaskSwitchSource, image: u32) -> u32 {
    let mut flags = Rflags::from_bits_retain(u64::from(image) & LOADED_FLAGS) | Rflags::ONE;
    if source.nests() {
        flags |= Rflags::NT;
    }
    flags.bits() as u32
}

/// Step 12 without CR3 and the segments; CR0.TS and the local breakpoints too (SDM 3B "Debug Control Register (DR7)"). What
/// a 16-bit TSS does not hold of a general-purpose register stays.
fn load_registers(v: &mut Vcpu, state: &State, width: usize) {
    const LOCAL: Dr7 = Dr7::L0
        .union(Dr7::L1)
        .union(Dr7::L2)
        .union(Dr7::L3)
        .union(Dr7::LE);
    let kept = if width == 2 { 0xffff_0000 } else { 0 };
    let rsp = v.engine.reg(Reg::Rsp);
    v.gprs[Gpr::Rsp] = rsp;
    for (register, value) in v.gprs.0.iter_mut().zip(state.gprs) {
        *register = *register & kept | u64::from(value);
    }
    v.engine.set_reg(Reg::Rsp, v.gprs[Gpr::Rsp]);
    let (cr0, dr7) = (v.engine.reg(Reg::Cr0), v.engine.reg(Reg::Dr7));
    v.engine.set_reg(Reg::Cr0, cr0 | Cr0::TS.bits());
    v.engine.set_reg(Reg::Dr7, dr7 & !LOCAL.bits());
    v.engine.set_reg(Reg::Rip, state.eip.into());
    v.engine.set_reg(Reg::Rflags, state.eflags.into());
}

/// Blocking by STI and by MOV SS ends. IRET ends blocking by NMI, and an NMI that came by a task gate begins it.
fn hold_back(x: &Exit, source: TaskSwitchSource, v: &mut Vcpu) {
    let is_nmi = |event: Event| event.kind == EventType::Nmi;
    let nmi = match source {
        TaskSwitchSource::Iret => false,
        _ => v.engine.interruptibility().nmi || x.vectoring.is_some_and(is_nmi),
    };
    v.engine.set_interruptibility(Interruptibility {
        blocking_by_sti_or_mov_ss: false,
        nmi,
    });
}

/// What comes between the new task's state and its first instruction (SDM 2A "INT n/INTO/INT3/INT1", TASK-GATE).
fn begin(task: TaskSwitch, new: &Tss, state: &State, v: &mut Vcpu) -> Result<(), Event> {
    if let Some(code) = task.error_code {
        stack::push_value(v, new.layout.width as u8, code.into())?;
    }
    if state.eip > v.engine.segment(SegmentRegister::Cs).limit {
        return Err(Event::exception(Vector::GP.0, Some(0)));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
