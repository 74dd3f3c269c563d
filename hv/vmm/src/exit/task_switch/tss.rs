//! A task-state segment in the guest's memory, and its descriptor.

use super::descriptor::{self, TI, find, refused, type_in_gdt};
use crate::emulate::system::{self, Failure};
use crate::exit::TaskSwitchSource;
use crate::machine::{Segment, SegmentRegister};
use crate::vcpu::Vcpu;
use spec::addr::Gva;
use spec::exception::Vector;
use spec::segment::AccessRights;
use spec::task::{BUSY, LARGEST, Layout, State};

/// Type bit 1 of a TSS.
const BUSY_FLAG: AccessRights = AccessRights::READ_WRITE;
/// Where the previous task link is: at the beginning. And its size.
const LINK_SIZE: usize = 2;

/// A TSS.
pub(super) struct Tss {
    /// What the task register holds of it.
    register: Segment,
    pub(super) layout: &'static Layout,
}

impl Tss {
    /// The current task's. What it saves must be within its limit.
    pub(super) fn current(v: &Vcpu) -> Result<Self, Failure> {
        let register = v.engine.segment(SegmentRegister::Tr);
        let rights = AccessRights::from_bits_retain(register.access);
        let invalid = refused(Vector::TS, register.selector);
        let layout = Layout::of(rights.segment_type()).ok_or(invalid)?;
        if (register.limit as usize) < layout.saved().end - 1 {
            return Err(invalid);
        }
        Ok(Self { register, layout })
    }

    /// The new task's. The hardware has made the same checks (SDM 3C "Treatment of Task Switches"), but another virtual CPU
    /// may have changed the descriptor since, and here it is read again.
    pub(super) fn of_new_task(
        v: &mut Vcpu,
        selector: u16,
        source: TaskSwitchSource,
    ) -> Result<Self, Failure> {
        let iret = source == TaskSwitchSource::Iret;
        let invalid = refused(if iret { Vector::TS } else { Vector::GP }, selector);
        let found = match selector & TI {
            0 => find(v, selector)?,
            _ => None,
        };
        let found = found.ok_or(invalid)?;
        let rights = found.rights();
        let is_busy = rights.segment_type() & BUSY != 0;
        let layout = match rights.contains(AccessRights::S) {
            false => Layout::of(rights.segment_type()).filter(|_| is_busy == iret),
            true => None,
        };
        let layout = layout.ok_or(invalid)?;
        if !found.is_present() {
            return Err(refused(Vector::NP, selector));
        }
        if (found.limit() as usize) < layout.size - 1 {
            return Err(refused(Vector::TS, selector));
        }
        let register = found.segment(BUSY_FLAG);
        Ok(Self { register, layout })
    }

    /// What the task register holds of it.
    pub(super) const fn register(&self) -> Segment {
        self.register
    }

    fn at(&self, offset: usize) -> Gva {
        Gva(self.register.base + offset as u64)
    }

    /// The registers in it.
    pub(super) fn load(&self, v: &mut Vcpu) -> Result<State, Failure> {
        let mut bytes = [0; LARGEST];
        system::read(v, self.at(0), &mut bytes[..self.layout.size])?;
        Ok(self.layout.load(&bytes))
    }

    /// Saves registers in it. What is reserved stays what it was.
    pub(super) fn save(&self, v: &mut Vcpu, state: &State) -> Result<(), Failure> {
        let mut bytes = [0; LARGEST];
        let saved = self.layout.saved();
        system::read(v, self.at(saved.start), &mut bytes[saved.clone()])?;
        self.layout.save(state, &mut bytes);
        system::write(v, self.at(saved.start), &bytes[saved])
    }

    /// Checks that registers can be saved in it.
    pub(super) fn check_save(&self, v: &mut Vcpu) -> Result<(), Failure> {
        let saved = self.layout.saved();
        system::check_write(v, self.at(saved.start), saved.len())
    }

    /// Names the task before this one.
    pub(super) fn set_link(&self, v: &mut Vcpu, previous: &Self) -> Result<(), Failure> {
        let selector = previous.register.selector.to_le_bytes();
        system::write(v, self.at(0), &selector)
    }

    /// Checks that it can name a task.
    pub(super) fn check_link(&self, v: &mut Vcpu) -> Result<(), Failure> {
        system::check_write(v, self.at(0), LINK_SIZE)
    }

    /// Sets or clears the busy flag of its descriptor.
    pub(super) fn set_busy(&self, v: &mut Vcpu, busy: bool) -> Result<(), Failure> {
        let at = type_in_gdt(v, self.register.selector);
        descriptor::set_type_bit(v, at, BUSY_FLAG, busy)
    }

    /// Checks that the busy flag of its descriptor can be changed.
    pub(super) fn check_busy(&self, v: &mut Vcpu) -> Result<(), Failure> {
        let at = type_in_gdt(v, self.register.selector);
        system::check_write(v, at, 1)
    }
}
