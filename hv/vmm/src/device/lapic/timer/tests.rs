use super::*;

const BY_1: u32 = 0b1011;
const BY_16: u32 = 0b0011;

/// Counts 100 ticks of `divide` from TSC 1000.
fn timer(vector_entry: u32, divide: u32) -> Timer {
    let mut timer = Timer::default();
    timer.set_vector_entry(vector_entry);
    timer.set_divide(divide, 0);
    timer.set_initial_count(100, 1000);
    timer
}

#[test]
fn the_current_count_is_0_when_the_timer_fires_and_not_before() {
    let timer = timer(0x40, BY_16);
    let counts = [1000, 1016, 2584, 2599, 2600].map(|now| timer.current_count(now));
    assert_eq!(counts, [100, 99, 1, 1, 0]);
}

#[test]
fn a_new_divisor_leaves_the_count_that_it_finds() {
    let mut timer = timer(0x40, BY_16);
    timer.set_divide(BY_1, 1000 + 16 * 60);
    assert_eq!(timer.current_count(1960), 40);
    assert_eq!(timer.deadline(), Some(2000));
    timer.set_divide(BY_16, 1970);
    assert_eq!(timer.deadline(), Some(1970 + 30 * 16));
}

#[test]
fn a_divisor_is_nothing_to_a_tsc_deadline() {
    let mut timer = Timer::default();
    timer.set_vector_entry(TSC_DEADLINE | 0x40);
    timer.set_tsc_deadline(5000);
    timer.set_divide(BY_16, 10);
    assert_eq!(timer.deadline(), Some(5000));
}

/// Processors do so: what counts goes on, and what has ended does not begin again.
#[test]
fn between_one_shot_and_periodic_the_count_goes_on() {
    let mut timer = timer(0x40, BY_1);
    timer.set_vector_entry(PERIODIC | 0x40);
    assert_eq!(
        (timer.current_count(1060), timer.deadline()),
        (40, Some(1100))
    );
    assert!(timer.expire(1100, 0));
    assert_eq!(timer.deadline(), Some(1200));
    timer.set_vector_entry(0x40);
    assert!(timer.expire(1200, 0));
    timer.set_vector_entry(PERIODIC | 0x40);
    assert_eq!((timer.current_count(1300), timer.deadline()), (0, None));
}

#[test]
fn to_and_from_tsc_deadline_mode_the_timer_stops() {
    let mut timer = timer(0x40, BY_1);
    timer.set_vector_entry(TSC_DEADLINE | 0x40);
    assert_eq!((timer.deadline(), timer.initial_count()), (None, 0));
    timer.set_initial_count(7, 0);
    assert_eq!((timer.deadline(), timer.initial_count()), (None, 0));
    timer.set_tsc_deadline(5000);
    timer.set_vector_entry(0x40);
    assert_eq!((timer.deadline(), timer.tsc_deadline()), (None, 0));
}

/// Mode 11B: what was a deadline is no count to be scaled.
#[test]
fn to_and_from_the_reserved_mode_the_timer_stops_too() {
    let mut timer = Timer::default();
    timer.set_vector_entry(TSC_DEADLINE | 0x40);
    timer.set_tsc_deadline(u64::MAX);
    timer.set_vector_entry(MODE | 0x40);
    assert_eq!(timer.deadline(), None);
    timer.set_divide(0b1010, 10);
    timer.set_initial_count(u32::MAX, 10);
    timer.set_vector_entry(TSC_DEADLINE | 0x40);
    assert_eq!(timer.deadline(), None);
}

#[test]
fn short_periods_leave_time_for_the_guest_and_keep_their_phase() {
    let mut timer = timer(0x40, BY_1);
    timer.set_vector_entry(PERIODIC | 0x40);
    assert!(timer.expire(1130, 1000));
    assert_eq!(timer.deadline(), Some(2200));
    assert_eq!(timer.current_count(2150), 50);
    assert!(timer.expire(2200, 100));
    assert_eq!(timer.deadline(), Some(2300));
}
