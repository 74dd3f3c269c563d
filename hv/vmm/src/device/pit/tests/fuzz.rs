//! Any accesses at any time.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Read(u16),
    Write(u16, u8),
    Wait(u64),
    Advance,
}

fn step() -> impl Strategy<Value = Step> {
    let port = prop_oneof![0x40u16..0x44, Just(0x61)];
    prop_oneof![
        port.clone().prop_map(Step::Read),
        (port, any::<u8>()).prop_map(|(port, value)| Step::Write(port, value)),
        (0u64..2000).prop_map(Step::Wait),
        (0u64..1 << 52).prop_map(Step::Wait),
        Just(Step::Advance),
    ]
}

proptest! {
    /// The deadline is ahead of the clock once what was due is done, and counter 0's OUT is what IRQ 0 is.
    #[test]
    fn outlives_any_access(steps in proptest::collection::vec(step(), 1..200)) {
        let mut bench = Bench::new();
        for step in steps {
            match step {
                Step::Read(port) => { bench.read(port); }
                Step::Write(port, value) => bench.write(port, &[value]),
                Step::Wait(time) => { bench.machine.clock.fetch_add(time, Relaxed); }
                Step::Advance => {}
            }
            let before = bench.pit.deadline();
            bench.pit.advance();
            let now = bench.clock.now();
            prop_assert!(bench.pit.deadline().is_none_or(|deadline| deadline > now));
            prop_assert!(before.is_none_or(|before| before <= now || bench.pit.deadline().is_some_and(|after| after >= before)));
            let pulse = bench.clock.ticks(HZ);
            let counter = &mut bench.pit.counters[0];
            let out = counter.mode() > 1 || counter.out(pulse);
            prop_assert_eq!(bench.line(), out);
        }
    }

    /// The deadline is the first pulse at which OUT is high after having been low.
    #[test]
    fn the_deadline_is_where_out_rises(
        mode in prop_oneof![Just(0u8), Just(2), Just(3), Just(4)],
        first in 31u16..200, second in 31u16..200, when in 0u64..300, after in 0u64..300,
    ) {
        let mut bench = Bench::new();
        bench.write(0x43, &[0x30 | mode << 1]);
        bench.write(0x40, &first.to_le_bytes());
        bench.at(when).write(0x40, &second.to_le_bytes());
        bench.edge(when + after);
        let due = bench.due();
        let mut before = bench.pit.counters[0].out(BEGIN + when + after);
        let mut rise = None;
        for pulse in when + after + 1..when + after + 700 {
            let out = bench.pit.counters[0].out(BEGIN + pulse);
            if out && !before { rise = Some(pulse); break; }
            before = out;
        }
        prop_assert_eq!(due, rise);
    }
}
