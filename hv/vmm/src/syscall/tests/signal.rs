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
