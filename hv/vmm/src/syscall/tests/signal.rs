//! Signals.

use super::*;

#[test]
fn signals_that_stop_do_nothing() {
    let mut f = Fixture::new();
    for signal in [SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT] {
        assert_eq!(f.call(__NR_kill, &[1, signal.into()]), 0);
    }
}

#[test]
fn a_handler_that_is_not_called_is_told_once() {
    let mut f = Fixture::new();
    let handler = f.words(&[0x1000, 0, 0, 0]);
    for signal in [SIGCHLD, SIGWINCH] {
        let action = [signal.into(), handler, 0, 8];
        assert_eq!(f.call(__NR_rt_sigaction, &action), 0);
        assert_eq!(f.call(__NR_kill, &[1, signal.into()]), 0);
        assert!(
            !f.system
                .warned
                .first_time(unknown::SIGNALS + u64::from(signal))
        );
    }
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
