//! Signals.

use super::super::frame::{self, Registers};
use super::super::signal::{Taken, take};
use super::super::signals::{SI_KERNEL, SI_USER};
use super::*;
use crate::machine::Gpr;

#[test]
fn signals_that_stop_do_nothing() {
    let mut f = Fixture::new();
    for signal in [SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT] {
        assert_eq!(f.call(__NR_kill, &[1, signal.into()]), 0);
    }
}

fn handle(f: &mut Fixture, signal: u32, flags: u32) {
    let action = f.words(&[0x1000, flags.into(), 0, 0]);
    assert_eq!(f.call(__NR_rt_sigaction, &[signal.into(), action, 0, 8]), 0);
}

fn taken(f: &mut Fixture) -> Option<u8> {
    let taken = take(&f.process, &mut f.thread)?;
    match taken {
        Taken::Handle(cause) => Some(cause.signal.0),
        Taken::Kill(signal) => panic!("{signal:?} kills"),
    }
}

#[test]
fn a_handler_is_called_behind_the_call_that_sends_its_signal() {
    let mut f = Fixture::new();
    handle(&mut f, SIGUSR1, 0);
    let kill = f.outcome(__NR_kill, &[1, SIGUSR1.into()]);
    assert_eq!(kill, Outcome::Signals(0));
    assert_eq!((taken(&mut f), taken(&mut f)), (Some(SIGUSR1 as u8), None));
}

#[test]
fn a_timer_ends_a_sleep_and_may_restart_a_read() {
    let mut f = Fixture::new();
    f.kernel.has_input = true;
    handle(&mut f, SIGALRM, SA_RESTART);
    assert_eq!(f.outcome(__NR_alarm, &[2]), Outcome::Signals(0));
    let sleep = f.words(&[10, 0]);
    let left = OUT;
    let asleep = f.outcome(__NR_nanosleep, &[sleep, left]);
    assert_eq!(asleep, Outcome::Block(Some(2000)));
    f.kernel.now = 2000;
    let ended = f.outcome(__NR_nanosleep, &[sleep, left]);
    assert_eq!(ended, Outcome::Signals(Errno::EINTR.rax()));
    assert_eq!(f.process.memory.read_u64(left), Ok(8));
    assert_eq!(taken(&mut f), Some(SIGALRM as u8));
    assert_eq!(f.outcome(__NR_alarm, &[1]), Outcome::Signals(0));
    f.kernel.now = 3000;
    assert_eq!(f.outcome(__NR_read, &[0, OUT, 8]), Outcome::Restart);
}

#[test]
fn a_mask_for_the_time_of_a_wait_is_taken_back_by_the_frame() {
    let mut f = Fixture::new();
    handle(&mut f, SIGUSR1, 0);
    let set = f.words(&[1 << (SIGUSR1 - 1)]);
    let none = f.words(&[0]);
    assert_eq!(f.call(__NR_rt_sigprocmask, &[0, set, 0, 8]), 0);
    assert_eq!(f.call(__NR_kill, &[1, SIGUSR1.into()]), 0);
    let suspended = f.outcome(__NR_rt_sigsuspend, &[none, 8]);
    assert_eq!(suspended, Outcome::Signals(Errno::EINTR.rax()));
    assert_eq!(f.thread.saved_mask, Some(1 << (SIGUSR1 - 1)));
    assert_eq!(taken(&mut f), Some(SIGUSR1 as u8));
}

#[test]
fn signals_do_what_they_do_by_default() {
    let mut f = Fixture::new();
    let (term, chld) = (15, SIGCHLD.into());
    assert_eq!(f.call(__NR_kill, &[1, chld]), 0);
    assert_eq!(f.call(__NR_kill, &[1, 0]), 0);
    f.error(__NR_kill, &[7, term], Errno::ESRCH);
    assert_eq!(f.outcome(__NR_kill, &[1, term]), Outcome::Kill(Signal(15)));
    let set = f.words(&[1 << 14]);
    assert_eq!(
        f.call(__NR_rt_sigprocmask, &[SIG_BLOCK.into(), set, 0, 8]),
        0
    );
    assert_eq!(f.call(__NR_kill, &[1, term]), 0);
    let unblock = [SIG_UNBLOCK.into(), set, 0, 8];
    assert_eq!(
        f.outcome(__NR_rt_sigprocmask, &unblock),
        Outcome::Kill(Signal(15))
    );
    let ignore = f.words(&[1, 0, 0, 0]);
    assert_eq!(f.call(__NR_rt_sigaction, &[term, ignore, OUT, 8]), 0);
    assert_eq!(f.call(__NR_kill, &[1, term]), 0);
    f.error(__NR_rt_sigaction, &[9, ignore, 0, 8], Errno::EINVAL);
    assert_eq!(exception_signal(14, Some(4), &[]).name(), "SIGSEGV");
    assert_eq!(exception_signal(0, None, &[]).name(), "SIGFPE");
}

/// Calls the handler of the next signal, with its frame below `rsp`, and gives its registers.
fn enter_handler(f: &mut Fixture, rsp: u64) -> Registers {
    let mut registers = Registers::default();
    registers.gprs[Gpr::Rsp] = rsp;
    let Some(Taken::Handle(cause)) = take(&f.process, &mut f.thread) else {
        panic!("no handler is to be called");
    };
    frame::push(&mut f.process, &mut f.thread, &registers, &[0; 512], &cause).unwrap()
}

/// Goes back from a handler that was entered with these registers.
fn leave_handler(f: &mut Fixture, mut registers: Registers) {
    registers.gprs[Gpr::Rsp] += 8;
    frame::pop(&mut f.process, &mut f.thread, &registers).unwrap();
}

#[test]
fn a_signal_that_a_handler_leaves_to_its_default_kills_behind_it() {
    let mut f = Fixture::new();
    handle(&mut f, SIGINT, SA_RESTORER);
    let kill = [1, SIGINT.into()];
    assert_eq!(f.outcome(__NR_kill, &kill), Outcome::Signals(0));
    let within = enter_handler(&mut f, OUT + 0x8000);
    let default = f.words(&[0, 0, 0, 0]);
    assert_eq!(
        f.call(__NR_rt_sigaction, &[SIGINT.into(), default, 0, 8]),
        0
    );
    assert_eq!(f.call(__NR_kill, &kill), 0);
    assert_eq!(taken(&mut f), None);
    leave_handler(&mut f, within);
    let next = take(&f.process, &mut f.thread);
    assert!(matches!(next, Some(Taken::Kill(Signal::INT))));
}

#[test]
fn a_signal_that_waits_for_the_end_of_a_ppoll_comes_then() {
    let mut f = Fixture::new();
    f.kernel.has_input = true;
    handle(&mut f, SIGALRM, 0);
    assert_eq!(f.outcome(__NR_alarm, &[1]), Outcome::Signals(0));
    let (time, set) = (f.words(&[2, 0]), f.words(&[1 << (SIGALRM - 1)]));
    let ppoll = [0, 0, time, set, 8];
    assert_eq!(f.outcome(__NR_ppoll, &ppoll), Outcome::Block(Some(1000)));
    f.kernel.now = 1000;
    assert_eq!(f.outcome(__NR_ppoll, &ppoll), Outcome::Block(Some(2000)));
    f.kernel.now = 2000;
    assert_eq!(f.outcome(__NR_ppoll, &ppoll), Outcome::Signals(0));
    assert_eq!((f.thread.blocked, f.thread.saved_mask), (0, None));
    assert_eq!(taken(&mut f), Some(SIGALRM as u8));
}

#[test]
fn a_signal_that_waits_for_the_end_of_a_call_that_fails_may_kill() {
    let mut f = Fixture::new();
    let (time, set) = (f.words(&[2, 0]), f.words(&[1 << (SIGALRM - 1)]));
    f.thread.pending = 1 << (SIGALRM - 1);
    let outcome = f.outcome(__NR_ppoll, &[1 << 40, 5, time, set, 8]);
    assert_eq!(outcome, Outcome::Kill(Signal::ALRM));
}

#[test]
fn rt_sigsuspend_wants_a_mask() {
    let mut f = Fixture::new();
    f.error(__NR_rt_sigsuspend, &[0, 8], Errno::EFAULT);
}

fn code(f: &Fixture, signal: u32) -> i32 {
    f.thread.codes[signal as usize - 1]
}

#[test]
fn a_signal_that_waits_already_keeps_its_code() {
    let mut f = Fixture::new();
    handle(&mut f, SIGUSR1, 0);
    let set = f.words(&[1 << (SIGUSR1 - 1)]);
    assert_eq!(f.call(__NR_rt_sigprocmask, &[0, set, 0, 8]), 0);
    assert_eq!(f.call(__NR_kill, &[1, SIGUSR1.into()]), 0);
    assert_eq!(f.call(__NR_tkill, &[1, SIGUSR1.into()]), 0);
    assert_eq!(code(&f, SIGUSR1), SI_USER);
    // One that is not kept leaves no code behind.
    assert_eq!(f.call(__NR_kill, &[1, SIGCHLD.into()]), 0);
    assert_eq!(code(&f, SIGCHLD), SI_KERNEL);
}

#[test]
fn an_alternate_stack_may_be_given_with_the_flags_it_was_read_with() {
    let mut f = Fixture::new();
    let stack = |f: &mut Fixture, flags: u32| f.words(&[OUT, flags.into(), 0x4000]);
    let both = stack(&mut f, SS_ONSTACK | SS_DISABLE);
    f.error(__NR_sigaltstack, &[both, 0], Errno::EINVAL);
    let on = stack(&mut f, SS_ONSTACK);
    assert_eq!(f.call(__NR_sigaltstack, &[on, 0]), 0);
    assert_eq!(f.thread.alternate_stack, (OUT, 0, 0x4000));
}

#[test]
fn a_futex_with_a_timeout_is_not_waited_for_anew() {
    let mut f = Fixture::new();
    f.kernel.has_input = true;
    handle(&mut f, SIGALRM, SA_RESTART);
    let (word, time) = (f.words(&[0]), f.words(&[10, 0]));
    for (timeout, ended) in [
        (time, Outcome::Signals(Errno::EINTR.rax())),
        (0, Outcome::Restart),
    ] {
        let wait = [word, FUTEX_WAIT.into(), 0, timeout];
        assert_eq!(f.outcome(__NR_alarm, &[1]), Outcome::Signals(0));
        assert!(matches!(f.outcome(__NR_futex, &wait), Outcome::Block(_)));
        f.kernel.now += 1000;
        assert_eq!(f.outcome(__NR_futex, &wait), ended);
        assert_eq!(taken(&mut f), Some(SIGALRM as u8));
    }
}
