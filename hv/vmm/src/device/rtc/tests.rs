//! Against the Motorola MC146818 data sheet. A test's time is in ticks of the crystal.

use super::*;
use crate::device::interrupts::Interrupts;
use crate::device::processors::Processors;
use crate::machine::fake::FakeMachine;
use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;
use proptest::prelude::*;
use std::vec::Vec;

struct Bench {
    machine: &'static FakeMachine,
    clock: Clock,
    interrupts: Arc<Interrupts>,
    rtc: Rtc,
}

impl Bench {
    fn new() -> Self {
        let machine = FakeMachine::leak();
        machine.clock.store(0, Relaxed);
        let clock = Clock::new(machine);
        let interrupts = Arc::new(Interrupts::new(Processors::new(machine, 1)));
        let line = Line::new(&interrupts, 8);
        Self {
            machine,
            clock,
            rtc: Rtc::new(clock, line, 128 << 20, 2),
            interrupts,
        }
    }

    fn at(&mut self, tick: u64) -> &mut Self {
        self.machine.clock.store(self.clock.when(tick, HZ), Relaxed);
        self
    }

    fn read(&mut self, cell: u8) -> u8 {
        self.rtc.write(0, 1, cell.into());
        self.rtc.read(1, 1) as u8
    }

    fn write(&mut self, cell: u8, value: u8) {
        self.rtc.write(0, 1, cell.into());
        self.rtc.write(1, 1, value.into());
    }

    /// Century, year, month, day, day of week, hours, minutes, seconds.
    fn time(&mut self) -> [u8; 8] {
        [0x32, 9, 8, 7, 6, 4, 2, 0].map(|cell| self.read(cell))
    }

    fn set_time(&mut self, time: [u8; 8]) {
        for (cell, value) in [0x32, 9, 8, 7, 6, 4, 2, 0].into_iter().zip(time) {
            self.write(cell, value);
        }
    }

    fn line(&self) -> bool {
        self.interrupts.is_asserted(8)
    }

    /// The tick of the deadline.
    fn due(&self) -> Option<u64> {
        let now = self.machine.clock.load(Relaxed);
        let due = self.rtc.deadline().map(|tsc| {
            self.machine.clock.store(tsc, Relaxed);
            self.clock.ticks(HZ)
        });
        self.machine.clock.store(now, Relaxed);
        due
    }

    fn advance(&mut self, tick: u64) -> bool {
        self.at(tick).rtc.advance();
        self.line()
    }
}

#[test]
fn it_has_the_time_of_the_machine() {
    let mut bench = Bench::new();
    assert_eq!(bench.time(), [0x19, 0x70, 1, 1, 5, 0, 0, 0], "a Thursday");
    let seconds = calendar_seconds([2026, 11, 21, 23, 59, 58]);
    bench.at(seconds * HZ);
    assert_eq!(bench.time(), [0x20, 0x26, 0x11, 0x21, 7, 0x23, 0x59, 0x58]);
    bench.at((seconds + 2) * HZ);
    assert_eq!(bench.time(), [0x20, 0x26, 0x11, 0x22, 1, 0, 0, 0]);
    let late = Rtc::new(bench.clock, Line::new(&bench.interrupts, 8), 0, 1);
    assert_eq!(late.cells[..0xa], bench.rtc.cells[..0xa]);
    assert_eq!(
        (bench.read(0xa), bench.read(0xb), bench.read(0xd)),
        (0x26, 2, 0x80)
    );
    assert_eq!(bench.rtc.read(0, 1), 0xff);
}

fn calendar_seconds(date: [u32; 6]) -> u64 {
    crate::calendar::seconds(date).unwrap()
}

#[test]
fn it_counts_on_from_what_is_set_in_each_format() {
    for (format, before, after) in [
        (
            2,
            [0x20, 0x24, 2, 0x28, 4, 0x23, 0x59, 0x59],
            [0x20, 0x24, 2, 0x29, 5, 0, 0, 0],
        ),
        (
            6,
            [20, 23, 12, 31, 7, 23, 59, 59],
            [20, 24, 1, 1, 1, 0, 0, 0],
        ),
        (
            0,
            [0x19, 0x99, 0x12, 0x31, 6, 0x91, 0x59, 0x59],
            [0x20, 0, 1, 1, 7, 0x12, 0, 0],
        ),
        (
            0,
            [0x19, 0x99, 0x12, 0x31, 6, 0x11, 0x59, 0x59],
            [0x19, 0x99, 0x12, 0x31, 6, 0x92, 0, 0],
        ),
        (
            4,
            [19, 99, 12, 31, 6, 0x8b, 59, 59],
            [20, 0, 1, 1, 7, 12, 0, 0],
        ),
        (4, [0, 1, 2, 28, 6, 0x8b, 59, 59], [0, 1, 3, 1, 7, 12, 0, 0]),
    ] {
        let mut bench = Bench::new();
        bench.write(0xb, format);
        bench.set_time(before);
        assert_eq!(bench.at(HZ - 1).time(), before);
        assert_eq!(bench.at(HZ).time(), after, "{before:x?}");
    }
}

/// "UIP": up from 244 us before the update cycle, of 1984 us, to its end.
#[test]
fn uip_foretells_the_update() {
    let mut bench = Bench::new();
    for (tick, uip) in [
        (0, 0),
        (HZ - 74, 0),
        (HZ - 73, 0x80),
        (HZ - 1, 0x80),
        (HZ, 0),
        (2 * HZ - 1, 0x80),
    ] {
        assert_eq!(bench.at(tick).read(0xa) & 0x80, uip, "{tick}");
    }
    bench.write(0xb, 0x82);
    assert_eq!(bench.read(0xa) & 0x80, 0, "not with SET");
}

#[test]
fn set_holds_the_time_and_clears_uie() {
    let mut bench = Bench::new();
    bench.write(0xb, 0x92);
    assert_eq!(bench.read(0xb), 0x82);
    assert_eq!(bench.at(10 * HZ).read(0), 0);
    bench.write(0, 0x30);
    bench.write(0xb, 0x02);
    assert_eq!(bench.at(11 * HZ - 1).read(0), 0x30);
    assert_eq!(bench.at(11 * HZ).read(0), 0x31);
}

/// "Divider Control": the first update is half a second after the reset ends.
#[test]
fn the_divider_chain_can_be_held_in_reset() {
    let mut bench = Bench::new();
    bench.write(0xa, 0x76);
    assert_eq!(bench.at(10 * HZ + 7).read(0), 0);
    bench.write(0xa, 0x26);
    assert_eq!(bench.at(10 * HZ + 6 + HZ / 2).read(0), 0);
    assert_eq!(bench.at(10 * HZ + 7 + HZ / 2).read(0), 1);
}

#[test]
fn the_alarm_comes_when_all_three_match() {
    for (alarm, ticks) in [
        ([0x00, 0x00, 0x05], 5),
        ([0x00, 0x02, 0x00], 120),
        ([0x23, 0x59, 0x59], 86_399),
        ([0x00, 0x00, 0x00], 86_400),
        ([0xc0, 0x30, 0x10], 1810),
        ([0xff, 0xff, 0x07], 7),
        ([0xff, 0xff, 0xff], 1),
        ([0x05, 0xff, 0xc1], 5 * 3600),
    ] {
        let mut bench = Bench::new();
        for (cell, value) in [5, 3, 1].into_iter().zip(alarm) {
            bench.write(cell, value);
        }
        bench.write(0xb, 0x22);
        assert_eq!(bench.due(), Some(ticks * HZ), "{alarm:x?}");
        assert!(!bench.advance(ticks * HZ - 1));
        assert!(bench.advance(ticks * HZ));
        assert_eq!(bench.read(0xc) & 0xa0, 0xa0);
        assert!(!bench.line());
    }
}

#[test]
fn an_alarm_that_is_no_time_never_comes() {
    for (cell, value) in [(1, 0x60), (1, 0x0a), (3, 0x7f), (5, 0x24), (5, 0x92)] {
        let mut bench = Bench::new();
        for cell in [1, 3, 5] {
            bench.write(cell, 0xff);
        }
        bench.write(cell, value);
        bench.write(0xb, 0x22);
        assert_eq!(bench.due(), None);
        assert!(!bench.advance(3 * 86_400 * HZ));
    }
}

/// "Periodic Interrupt Rate and Square Wave Output Frequency", for 32.768 kHz.
#[test]
fn the_periodic_rates_are_the_data_sheets() {
    let hertz = [
        0, 256, 128, 8192, 4096, 2048, 1024, 512, 256, 128, 64, 32, 16, 8, 4, 2,
    ];
    for (rate, hertz) in (0u8..).zip(hertz) {
        let mut bench = Bench::new();
        bench.write(0xa, 0x20 | rate);
        bench.write(0xb, 0x42);
        let period = u64::checked_div(HZ, hertz);
        assert_eq!(bench.due(), period, "rate {rate}");
        let Some(period) = period else { continue };
        assert!(!bench.advance(period - 1));
        assert!(bench.advance(period));
        assert_eq!((bench.due(), bench.read(0xc)), (None, 0xc0));
        assert!(!bench.line());
        assert_eq!(bench.due(), Some(2 * period));
        assert!(bench.advance(6 * period + 1));
        assert_eq!(
            (bench.read(0xc) & 0xe0, bench.due()),
            (0xc0, Some(7 * period)),
            "one for five, in phase"
        );
    }
}

/// "Register C": flags come whether they are enabled or not, and reading clears them.
#[test]
fn reading_register_c_clears_it() {
    let mut bench = Bench::new();
    assert_eq!(bench.at(HZ).read(0xc), 0x50);
    assert_eq!(bench.read(0xc), 0);
    bench.write(0xb, 0x12);
    assert_eq!(bench.due(), Some(2 * HZ));
    assert!(bench.advance(2 * HZ));
    bench.write(0xb, 0x02);
    assert!(!bench.line(), "the enable gates IRQF");
    bench.write(0xb, 0x12);
    assert!(bench.line());
    bench.write(0xc, 0);
    assert!(bench.line(), "read only");
    assert_eq!(bench.read(0xc) & 0x90, 0x90);
    assert_eq!((bench.line(), bench.due()), (false, Some(3 * HZ)));
}

/// What firmware looks for: SeaBIOS `rtc.h`.
#[test]
fn the_memory_tells_firmware_about_the_machine() {
    let mut bench = Bench::new();
    let word = |bench: &mut Bench, at: u8| u16::from_le_bytes([bench.read(at), bench.read(at + 1)]);
    let words: Vec<u16> = [0x15, 0x17, 0x30, 0x34]
        .map(|at| word(&mut bench, at))
        .into();
    assert_eq!(words, [640, 0xffff, 0xffff, 112 << 4]);
    assert_eq!((bench.read(0x5f), bench.read(0x14)), (1, 2));
    let sum: u16 = (0x10..0x2e).map(|at| u16::from(bench.read(at))).sum();
    assert_eq!([bench.read(0x2e), bench.read(0x2f)], sum.to_be_bytes());
    bench.write(0x80 | 0x40, 0x5a);
    assert_eq!(bench.read(0x40), 0x5a, "bit 7 is no address");
    let small = cmos::cells(8 << 20, 1);
    assert_eq!(
        (&small[0x17..0x19], &small[0x34..0x36]),
        (&(7u16 << 10).to_le_bytes()[..], &[0, 0][..])
    );
    let large = cmos::cells(3 << 30, 8);
    assert_eq!(
        (&large[0x34..0x36], large[0x5f]),
        (&((3u16 << 14) - 256).to_le_bytes()[..], 7)
    );
}

#[derive(Clone, Debug)]
enum Step {
    Read(u8),
    Write(u8, u8),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let cell = prop_oneof![8 => 0u8..0xe, 1 => any::<u8>(), 1 => Just(0x32)];
    let value = prop_oneof![any::<u8>(), Just(0x26), Just(0x72)];
    prop_oneof![
        cell.clone().prop_map(Step::Read),
        (cell, value).prop_map(|(cell, value)| Step::Write(cell, value)),
        (0u64..3_000_000_000).prop_map(Step::Wait),
        (0u64..1 << 56).prop_map(Step::Wait),
    ]
}

proptest! {
    /// The deadline is ahead once what was due is done, IRQ 8 is IRQF, and it was foretold.
    #[test]
    fn outlives_any_access(steps in proptest::collection::vec(step(), 1..200)) {
        let mut bench = Bench::new();
        for step in steps {
            match step {
                Step::Read(cell) => { bench.read(cell); }
                Step::Write(cell, value) => bench.write(cell, value),
                Step::Wait(time) => { bench.machine.clock.fetch_add(time, Relaxed); }
            }
            let (before, was) = (bench.rtc.deadline(), bench.line());
            bench.rtc.advance();
            let now = bench.clock.now();
            prop_assert!(bench.rtc.deadline().is_none_or(|deadline| deadline > now));
            prop_assert_eq!(bench.line(), bench.rtc.cells[C] & IRQF != 0);
            prop_assert!(bench.line() == was || before.is_some_and(|deadline| deadline <= now));
        }
    }

    /// However seldom it is looked at, the time is the same.
    #[test]
    fn the_time_does_not_depend_on_who_looks(format in 0u8..8, time: [u8; 8], waits in proptest::collection::vec(1u64..200_000, 1..10)) {
        let (mut often, mut seldom) = (Bench::new(), Bench::new());
        let format = format & 6;
        let mut at = 0;
        for bench in [&mut often, &mut seldom] {
            bench.write(0xb, format);
            bench.set_time(time);
        }
        // The first day makes a time of whatever the registers had.
        for bench in [&mut often, &mut seldom] { bench.at(86_400 * HZ).time(); }
        at += 86_400;
        for wait in waits {
            at += wait;
            often.at(at * HZ).time();
        }
        prop_assert_eq!(often.time(), seldom.at(at * HZ).time());
    }
}
