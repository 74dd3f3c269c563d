//! Clocks.

use super::*;

#[test]
fn cpu_time_is_not_the_time_of_day() {
    let mut f = Fixture::new();
    // A tick is a millisecond.
    (f.kernel.now, f.kernel.run_time) = (60_000, 1_250);
    for clock in [CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID] {
        assert_eq!(f.call(__NR_clock_gettime, &[clock.into(), OUT]), 0);
        let time: [u8; 16] = f.out();
        assert_eq!(record::u64_at(&time, 0), 1);
        assert_eq!(record::u64_at(&time, 8), 250_000_000);
    }
    assert_eq!(f.call(__NR_getrusage, &[RUSAGE_SELF.into(), OUT]), 0);
    let usage: [u8; 16] = f.out();
    assert_eq!(record::u64_at(&usage, 0), 1);
    assert_eq!(record::u64_at(&usage, 8), 250_000);
    assert_eq!(f.call(__NR_times, &[OUT]), 6_000);
    assert_eq!(record::u64_at(&f.out::<8>(), 0), 125);
}

#[test]
fn sleeping_blocks_until_its_time() {
    let mut f = Fixture::new();
    let half = f.words(&[0, 500_000_000]);
    f.kernel.now = 100;
    assert_eq!(
        f.outcome(__NR_nanosleep, &[half]),
        Outcome::Block(Some(600))
    );
    f.kernel.now = 599;
    assert_eq!(
        f.outcome(__NR_nanosleep, &[half]),
        Outcome::Block(Some(600))
    );
    f.kernel.now = 600;
    assert_eq!(f.call(__NR_nanosleep, &[half]), 0);
    assert_eq!(
        f.outcome(__NR_nanosleep, &[half]),
        Outcome::Block(Some(1100))
    );
    f.thread.deadline = None;
    assert_eq!(f.outcome(__NR_poll, &[0, 0, 10]), Outcome::Block(Some(610)));
    f.kernel.now = 1500;
    assert_eq!(f.call(__NR_poll, &[0, 0, 10]), 0);
    assert_eq!(f.call(__NR_clock_gettime, &[CLOCK_REALTIME.into(), OUT]), 0);
    let time: [u8; 16] = f.out();
    assert_eq!(
        (record::u64_at(&time, 0), record::u64_at(&time, 8)),
        (1_000_001, 500_000_000)
    );
    let bad = f.words(&[0, 1_000_000_000]);
    f.error(__NR_nanosleep, &[bad], Errno::EINVAL);
}

/// Has a timer expire after `value`, and then every `interval` microseconds; a tick is a millisecond.
fn set_timer(f: &mut Fixture, which: u32, interval: u64, value: u64) {
    let new = f.words(&[0, interval, 0, value]);
    let set = f.outcome(__NR_setitimer, &[which.into(), new, 0]);
    assert_eq!(set, Outcome::Signals(0));
}

/// When a timer expires next: asked when handlers have been called.
fn next(f: &mut Fixture) -> Option<u64> {
    super::super::time::next(&mut f.process, &f.thread, &f.kernel)
}

/// Whether a timer's signal comes at this time, to who waits.
fn comes(f: &mut Fixture, signal: u32, now: u64) -> bool {
    f.kernel.now = now;
    f.outcome(__NR_pause, &[]);
    let came = core::mem::take(&mut f.thread.pending) & (1 << (signal - 1)) != 0;
    next(f);
    came
}

fn handle(f: &mut Fixture, signal: u32) {
    let action = f.words(&[0x1000, 0, 0, 0]);
    assert_eq!(f.call(__NR_rt_sigaction, &[signal.into(), action, 0, 8]), 0);
}

#[test]
fn a_periodic_timer_keeps_its_pace() {
    let mut f = Fixture::new();
    handle(&mut f, SIGALRM);
    set_timer(&mut f, ITIMER_REAL, 10_000, 10_000);
    let late = [13, 19, 20, 39, 40].map(|now| comes(&mut f, SIGALRM, now));
    assert_eq!(late, [true, false, true, true, true]);
}

#[test]
fn a_timer_whose_signal_waits_does_not_expire_again() {
    let mut f = Fixture::new();
    handle(&mut f, SIGALRM);
    let set = f.words(&[1 << (SIGALRM - 1)]);
    assert_eq!(f.call(__NR_rt_sigprocmask, &[0, set, 0, 8]), 0);
    set_timer(&mut f, ITIMER_REAL, 1, 1);
    f.kernel.now = 5;
    assert_eq!(f.outcome(__NR_pause, &[]), Outcome::Block(None));
    let set = f.words(&[1 << (SIGALRM - 1)]);
    let taken = f.outcome(__NR_rt_sigtimedwait, &[set, 0, 0, 8]);
    assert_eq!(taken, Outcome::Signals(SIGALRM.into()));
    let Outcome::Block(Some(next)) = f.outcome(__NR_pause, &[]) else {
        panic!("the timer goes on when its signal was taken");
    };
    assert!(next > 5);
}

#[test]
fn a_timer_of_cpu_time_stands_still_while_its_process_waits() {
    let mut f = Fixture::new();
    handle(&mut f, SIGVTALRM);
    set_timer(&mut f, ITIMER_VIRTUAL, 0, 10_000);
    f.kernel.now = 50;
    assert_eq!(f.outcome(__NR_pause, &[]), Outcome::Block(None));
    f.kernel.run_time = 4;
    let running = next(&mut f);
    assert_eq!(running, Some(56));
    f.kernel.run_time = 10;
    assert!(comes(&mut f, SIGVTALRM, 50));
}

#[test]
fn alarm_tells_of_a_timer_that_never_comes() {
    let mut f = Fixture::new();
    let never = f.words(&[0, 0, i64::MAX as u64, 999_999]);
    assert_eq!(
        f.outcome(__NR_setitimer, &[0, never, 0]),
        Outcome::Signals(0)
    );
    let Outcome::Signals(left) = f.outcome(__NR_alarm, &[0]) else {
        panic!("alarm has a value");
    };
    assert!(left > 1 << 33);
}
