use super::super::elf::tests::program;
use super::super::load;
use super::super::tests::start;
use super::*;
use crate::machine::fake::Fixture;
use crate::memory::GuestRam;
use crate::memory::testing::VecMemory;
use crate::syscall::state::Action;
use alloc::vec::Vec;
use linux_raw_sys::general::SA_RESTORER;
use spec::addr::Hpa;
use spin::Mutex;

const SIZE: u64 = 4 << 20;
const HANDLER: u64 = 0x40_00b8;

/// A virtual CPU with a program that handles this signal.
fn fixture(signal: Signal) -> Fixture {
    let start = start(program(&[0x90; 16]).leak());
    let ram = GuestRam::new(VecMemory::leak(SIZE as usize), Hpa(0), SIZE);
    let mut app = load(&start, ram).unwrap();
    app.process.actions[usize::from(signal.0) - 1] = Action {
        handler: HANDLER,
        flags: SA_RESTORER.into(),
        ..Action::default()
    };
    let mut f = Fixture::with_entries(Vec::new());
    f.v.engine.set_reg(Reg::Rip, app.entry.rip);
    f.v.engine.set_reg(Reg::Rsp, app.entry.rsp);
    f.v.guest.app.call_once(|| Mutex::new(app));
    f
}

#[test]
fn a_handler_is_entered_and_nothing_is_delivered_there() {
    let mut f = fixture(Signal::TRAP);
    let cause = Cause::exception(Signal::TRAP, 3, 0, 0);
    assert_eq!(raise(&mut f.v, cause, 2), Verdict::Redirect);
    assert_eq!(f.v.engine.reg(Reg::Rip), HANDLER);
}

#[test]
fn a_signal_without_a_handler_kills_behind_one() {
    let mut f = fixture(Signal::TRAP);
    app(&f.v.guest).thread.pending = Signal::INT.bit();
    let cause = Cause::exception(Signal::TRAP, 3, 0, 0);
    assert_eq!(raise(&mut f.v, cause, 0), kill(Signal::INT));
}
