//! The handlers of a machine guest: one row for each kind of exit.

use super::table::{ExitTable, exit_table};
use super::{
    Kind, cpuid, cr, debug_register, exception, hypercall, interrupt, io, msr, nested_page_fault,
    simple, task_switch,
};

/// What a bare machine does about each kind of exit. Guest kinds change rows with [`ExitTable::with`].
pub static EXITS: ExitTable = MACHINE;

/// The same, for building other tables from.
pub const MACHINE: ExitTable = exit_table(&[
    (Kind::Cpuid, cpuid::cpuid),
    (Kind::Rdmsr, msr::read),
    (Kind::Wrmsr, msr::write),
    (Kind::Io, io::io),
    (Kind::CrAccess, cr::access),
    (Kind::DrAccess, debug_register::access),
    (Kind::Hlt, interrupt::hlt),
    (Kind::Hypercall, hypercall::hypercall),
    (Kind::Exception, exception::exception),
    (Kind::ExternalInterrupt, interrupt::physical),
    (Kind::Nmi, interrupt::physical),
    (Kind::InterruptWindow, interrupt::window),
    (Kind::NmiWindow, interrupt::window),
    (Kind::NestedPageFault, nested_page_fault::nested_page_fault),
    (Kind::NestedMisconfiguration, simple::unsupported),
    (Kind::Xsetbv, simple::xsetbv),
    (Kind::Invd, simple::invalidate_caches),
    (Kind::Wbinvd, simple::invalidate_caches),
    (Kind::Monitor, simple::undefined),
    (Kind::Mwait, simple::undefined),
    (Kind::Pause, simple::pause),
    (Kind::Rdpmc, simple::no_counters),
    (Kind::Hidden, simple::undefined),
    (Kind::TaskSwitch, task_switch::task_switch),
    (Kind::TripleFault, simple::triple_fault),
    (Kind::InvalidGuestState, simple::unsupported),
    (Kind::PreemptionTimer, simple::resume),
    (Kind::Virtualization, simple::undefined),
    (Kind::Init, simple::resume),
    (Kind::Sipi, simple::resume),
    (Kind::Other, simple::unsupported),
]);
