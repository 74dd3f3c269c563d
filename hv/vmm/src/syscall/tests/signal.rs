//! Signals.

use super::*;

#[test]
fn signals_that_stop_do_nothing() {
    let mut f = Fixture::new();
    for signal in [SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT] {
        assert_eq!(f.call(__NR_kill, &[1, signal.into()]), 0);
    }
}
