//! Against the Intel 8254 data sheet. A test's time is in pulses of CLK.

use super::*;
use crate::device::interrupts::Interrupts;
use crate::device::processors::Processors;
use crate::machine::fake::FakeMachine;
use alloc::sync::Arc;
use core::sync::atomic::Ordering::Relaxed;
use std::vec::Vec;

mod fuzz;

/// The pulse at which a test begins.
const BEGIN: u64 = 5000;

struct Bench {
    machine: &'static FakeMachine,
    clock: Clock,
    interrupts: Arc<Interrupts>,
    pit: Pit,
}

impl Bench {
    fn new() -> Self {
        let machine = FakeMachine::leak();
        let clock = Clock::new(machine);
        let interrupts = Arc::new(Interrupts::new(Processors::new(machine, 1)));
        let mut bench = Self {
            machine,
            clock,
            pit: Pit::new(clock, Line::new(&interrupts, 0)),
            interrupts,
        };
        bench.at(0);
        bench
    }

    /// Goes to this pulse after the begin.
    fn at(&mut self, pulse: u64) -> &mut Self {
        let tsc = self.clock.when(BEGIN + pulse, HZ);
        self.machine.clock.store(tsc, Relaxed);
        self
    }

    fn write(&mut self, port: u16, bytes: &[u8]) {
        for &byte in bytes {
            self.pit.write(port - 0x40, 1, byte.into());
        }
    }

    fn read(&mut self, port: u16) -> u8 {
        self.pit.read(port - 0x40, 1) as u8
    }

    /// Latches and reads the count of counter 2.
    fn count(&mut self) -> u16 {
        self.write(0x43, &[0x80]);
        let low = self.read(0x42);
        u16::from_le_bytes([low, self.read(0x42)])
    }

    fn out(&mut self) -> bool {
        self.read(0x61) & 0x20 != 0
    }

    /// OUT of counter 2 at each of so many pulses from the begin.
    fn wave(&mut self, pulses: u64) -> Vec<u8> {
        (0..pulses)
            .map(|pulse| self.at(pulse).out().into())
            .collect()
    }

    fn counts(&mut self, pulses: u64) -> Vec<u16> {
        (0..pulses).map(|pulse| self.at(pulse).count()).collect()
    }

    /// Programs counter 2 with this mode, and a count of two bytes.
    fn start(&mut self, mode: u8, count: u16) {
        self.write(0x43, &[0xb0 | mode << 1]);
        self.write(0x42, &count.to_le_bytes());
    }

    fn gate(&mut self, gate: bool) {
        self.write(0x61, &[gate.into()]);
    }

    fn line(&self) -> bool {
        self.interrupts.is_asserted(0)
    }

    /// The pulse of the deadline.
    fn due(&self) -> Option<u64> {
        let pulse = |tsc| {
            self.machine.clock.store(tsc, Relaxed);
            self.clock.ticks(HZ) - BEGIN
        };
        self.pit.deadline().map(pulse)
    }

    /// True if IRQ 0 had an edge until this pulse.
    fn edge(&mut self, pulse: u64) -> bool {
        self.at(pulse);
        self.pit.drive(BEGIN + pulse)
    }
}

/// "Mode 0: Interrupt on Terminal Count": OUT goes high N + 1 CLK pulses after the count is written.
#[test]
fn mode_0_rises_one_and_n_pulses_after_the_count() {
    let mut bench = Bench::new();
    bench.gate(true);
    bench.start(0, 4);
    assert_eq!(bench.wave(7), [0, 0, 0, 0, 0, 1, 1]);
    bench.at(0).start(0, 4);
    assert_eq!(bench.counts(8)[1..], [4, 3, 2, 1, 0, 0xffff, 0xfffe]);
}

#[test]
fn mode_0_stops_with_the_gate_and_with_the_first_byte_of_a_count() {
    let mut bench = Bench::new();
    bench.gate(true);
    bench.start(0, 10);
    bench.at(4).gate(false);
    assert_eq!((bench.at(50).count(), bench.out()), (7, false));
    bench.gate(true);
    assert_eq!((bench.at(52).count(), bench.out()), (5, false));
    assert!(bench.at(57).out());
    bench.write(0x42, &[3]);
    assert_eq!((bench.at(70).out(), bench.count()), (false, 0));
    bench.write(0x42, &[0]);
    assert!(!bench.at(73).out());
    assert!(bench.at(74).out());
}

/// "Mode 1: Hardware Retriggerable One-Shot".
#[test]
fn mode_1_is_low_for_n_pulses_after_each_trigger() {
    let mut bench = Bench::new();
    bench.start(1, 3);
    assert!(bench.at(0).out());
    bench.gate(true);
    assert_eq!(bench.wave(6), [1, 0, 0, 0, 1, 1]);
    bench.gate(false);
    bench.gate(true);
    bench.at(7).gate(false);
    bench.at(8).gate(true);
    bench.at(9).write(0x42, &[9, 0]);
    assert!(!bench.at(11).out(), "triggered anew, with the old count");
    assert!(bench.at(12).out());
}

/// "Mode 2: Rate Generator": low for one pulse in N.
#[test]
fn mode_2_divides_by_n() {
    let mut bench = Bench::new();
    bench.gate(true);
    bench.start(2, 3);
    assert_eq!(bench.wave(8), [1, 1, 1, 0, 1, 1, 0, 1]);
    bench.at(0).start(2, 3);
    assert_eq!(bench.counts(8)[1..], [3, 2, 1, 3, 2, 1, 3]);
    bench.write(0x42, &[5, 0]);
    let counts: Vec<u16> = (8..12).map(|pulse| bench.at(pulse).count()).collect();
    assert_eq!(
        counts,
        [2, 1, 5, 4],
        "a new count waits for the period's end"
    );
    bench.gate(false);
    assert!((12..30).all(|pulse| bench.at(pulse).out()));
    bench.gate(true);
    assert_eq!(bench.at(30).count(), 5, "the gate starts a new period");
}

/// "Mode 3: Square Wave Mode".
#[test]
fn mode_3_is_a_square_wave_that_counts_by_two() {
    let mut bench = Bench::new();
    bench.gate(true);
    bench.start(3, 4);
    assert_eq!(bench.wave(9)[1..], [1, 1, 0, 0, 1, 1, 0, 0]);
    bench.at(0).start(3, 4);
    assert_eq!(bench.counts(6)[1..], [4, 2, 4, 2, 4]);
    bench.at(0).start(3, 5);
    assert_eq!(bench.wave(9)[1..], [1, 1, 1, 0, 0, 1, 1, 1]);
    bench.at(0).start(3, 5);
    assert_eq!(bench.counts(8)[1..], [4, 2, 0, 4, 2, 4, 2]);
}

#[test]
fn mode_3_takes_a_new_count_at_the_end_of_a_half() {
    let mut bench = Bench::new();
    bench.gate(true);
    bench.start(3, 8); // high at 1 to 4
    bench.at(2).write(0x42, &[4, 0]);
    let wave: Vec<u8> = (3..10).map(|pulse| bench.at(pulse).out().into()).collect();
    assert_eq!(wave, [1, 1, 0, 0, 1, 1, 0]);
}

/// "Mode 4: Software Triggered Strobe", "Mode 5: Hardware Triggered Strobe".
#[test]
fn modes_4_and_5_strobe_for_one_pulse() {
    let mut bench = Bench::new();
    bench.gate(true);
    bench.start(4, 3);
    assert_eq!(bench.wave(8), [1, 1, 1, 1, 0, 1, 1, 1]);
    bench.at(0).gate(false);
    bench.start(5, 3);
    assert!((0..10).all(|pulse| bench.at(pulse).out()));
    bench.at(0).gate(true);
    assert_eq!(bench.wave(8), [1, 1, 1, 1, 0, 1, 1, 1]);
}

#[test]
fn bcd_counts_in_decimal() {
    let mut bench = Bench::new();
    bench.gate(true);
    bench.write(0x43, &[0xb1]);
    bench.write(0x42, &[0x00, 0x10]);
    assert_eq!(
        [1, 2, 902, 1001, 1002].map(|pulse| bench.at(pulse).count()),
        [0x1000, 0x999, 0x99, 0, 0x9999]
    );
    bench.write(0x43, &[0xb1]);
    bench.write(0x42, &[0, 0]);
    let begin = 1002;
    assert!(!bench.at(begin + 10_000).out(), "0 is 10000");
    assert!(bench.at(begin + 10_001).out());
}

#[test]
fn each_access_mode_takes_its_bytes() {
    let mut bench = Bench::new();
    bench.gate(true);
    for (access, bytes, want) in [
        (1u8, &[0x34u8][..], 0x34u16),
        (2, &[0x12], 0x1200),
        (3, &[0x34, 0x12], 0x1234),
    ] {
        bench.at(0).write(0x43, &[0x80 | access << 4 | 4]);
        bench.write(0x42, bytes);
        bench.at(1);
        let [low, high] = want.to_le_bytes();
        let read: Vec<u8> = bytes.iter().map(|_| bench.read(0x42)).collect();
        assert_eq!(
            read,
            if access == 2 {
                Vec::from([high])
            } else {
                Vec::from(&[low, high][..bytes.len()])
            }
        );
    }
}

/// "Counter Latch Command": kept until it is read, and a second one is ignored.
#[test]
fn a_latched_count_stays_until_it_is_read() {
    let mut bench = Bench::new();
    bench.gate(true);
    bench.start(2, 0x1234);
    bench.at(1).write(0x43, &[0x80]);
    bench.at(0x35).write(0x43, &[0x80]);
    assert_eq!([bench.read(0x42), bench.read(0x42)], [0x34, 0x12]);
    assert_eq!(
        [bench.read(0x42), bench.read(0x42)],
        [0x00, 0x12],
        "not latched"
    );
}

/// "Read-Back Command" and "Status Byte": OUT, null count, and what was programmed; status first.
#[test]
fn the_read_back_command_latches_status_and_count() {
    let mut bench = Bench::new();
    bench.gate(true);
    bench.start(3, 0x100);
    bench.write(0x43, &[0xe8, 0xe8]);
    bench.at(9);
    assert_eq!(bench.read(0x42), 0x80 | 0x40 | 0x36, "null count");
    bench.at(0x81).write(0x43, &[0xe8]);
    assert_eq!(bench.read(0x42), 0x36, "OUT is low, the count is loaded");
    bench.write(0x43, &[0xd8]);
    bench.at(0x90);
    assert_eq!(
        [bench.read(0x42), bench.read(0x42)],
        [0x00, 0x01],
        "count only"
    );
    bench.write(0x43, &[0xce]);
    bench.at(0x91);
    let read = [0, 1, 2].map(|n| bench.read(0x40 + n));
    assert_eq!((read[2], read[0] & 0x70), (0x36, 0x70), "all three");
    assert_eq!(bench.read(0x43), 0xff, "write only");
}

#[test]
fn counter_0_interrupts_once_in_mode_0() {
    let mut bench = Bench::new();
    bench.write(0x43, &[0x30]);
    assert!(!bench.line());
    bench.write(0x40, &[100, 0]);
    assert_eq!(bench.due(), Some(101));
    assert!(!bench.edge(100) && !bench.line());
    assert!(bench.edge(101) && bench.line());
    assert_eq!(bench.due(), None);
    bench.write(0x40, &[100]);
    assert!(!bench.line(), "low with the first byte");
}

#[test]
fn counter_0_interrupts_in_each_period_and_keeps_its_phase() {
    for mode in [2u8, 3] {
        let mut bench = Bench::new();
        bench.write(0x43, &[0x30 | mode << 1]);
        bench.write(0x40, &1000u16.to_le_bytes());
        assert_eq!(bench.due(), Some(1001));
        assert!(!bench.edge(1000));
        assert!(bench.edge(1003) && bench.line());
        assert!(bench.edge(5500) && bench.line(), "four periods, one edge");
        assert_eq!(bench.due(), Some(6001));
        bench.at(5700).write(0x40, &500u16.to_le_bytes());
        assert_eq!(bench.due(), Some(6001), "the low half of mode 3 is not cut");
        assert!(bench.edge(6002));
        assert_eq!(bench.due(), Some(6501));
    }
}

/// The first period then began, so to say, before the counter was switched on.
#[test]
fn a_large_count_may_follow_a_small_one_at_once() {
    let mut bench = Bench::new();
    bench.write(0x43, &[0x36]);
    bench.write(0x40, &100u16.to_le_bytes());
    bench.at(10).write(0x40, &50_000u16.to_le_bytes());
    bench.edge(60);
    assert!(bench.due().is_some_and(|due| due > 60));
}

#[test]
fn a_new_count_in_the_high_half_of_mode_3_moves_the_edge() {
    let mut bench = Bench::new();
    bench.write(0x43, &[0x36]);
    bench.write(0x40, &1000u16.to_le_bytes());
    bench.at(100).write(0x40, &200u16.to_le_bytes());
    assert_eq!(bench.due(), Some(601), "500 high, 100 low");
    assert!(bench.edge(601));
    assert_eq!(bench.due(), Some(801));
}

#[test]
fn counter_0_strobes_once_in_mode_4_and_never_in_5() {
    let mut bench = Bench::new();
    bench.write(0x43, &[0x38]);
    bench.write(0x40, &100u16.to_le_bytes());
    assert_eq!(bench.due(), Some(102));
    assert!(bench.edge(102) && bench.line());
    assert_eq!(bench.due(), None);
    bench.write(0x43, &[0x3a]);
    bench.write(0x40, &100u16.to_le_bytes());
    assert_eq!(bench.due(), None);
}

#[test]
fn periods_too_short_to_be_seen_are_not_waited_for_one_by_one() {
    let mut bench = Bench::new();
    for count in [1u16, 2, 7] {
        bench.at(0).write(0x43, &[0x34]);
        bench.write(0x40, &count.to_le_bytes());
        bench.edge(100);
        let due = bench.due();
        assert!(due.is_none_or(|due| due >= 100 + SHORTEST_SEEN), "{due:?}");
        assert_eq!(due.is_none(), count == 1, "which the data sheet forbids");
    }
}

const SHORTEST_SEEN: u64 = 25;

/// Bits 0 to 3 are kept, 4 toggles every 15 us, 5 is OUT of counter 2.
#[test]
fn port_61_has_the_gate_the_refresh_and_the_output() {
    let mut bench = Bench::new();
    bench.write(0x61, &[0xff]);
    assert_eq!(bench.read(0x61) & !0x30, 0x0f);
    bench.write(0x61, &[0]);
    let toggles = (0..1800).map(|pulse| bench.at(pulse).read(0x61) & 0x10);
    let toggles: Vec<u8> = toggles.collect();
    let changes = toggles.windows(2).filter(|two| two[0] != two[1]).count();
    assert_eq!(changes, 100);
}
