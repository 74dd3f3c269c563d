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
