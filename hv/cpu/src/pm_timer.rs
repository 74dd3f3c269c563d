//! The ACPI PM timer: a counter of 24 bits at a known rate. ACPI Specification "Power Management Timer".

use crate::apic::Apic;
use crate::clock::Sample;
use crate::tsc;
use x86::io::inl;

const HZ: u64 = 3_579_545;
/// One measurement: 10 ms.
const TICKS: u32 = 35_796;
/// Bits above may or may not count.
const MASK: u32 = 0xff_ffff;
/// A counter that stands still is given up after this many looks, of about 1 us each.
const MOST_LOOKS: u32 = 1_000_000;

/// One look at the counter and the LAPIC timer, with the TSC before and after.
struct Look {
    before: u64,
    count: u32,
    timer: u32,
    after: u64,
}

fn look(port: u16, ticks: &dyn Fn() -> u32) -> Look {
    let before = tsc::now();
    // SAFETY: the FADT says that the counter is there; reading it changes nothing.
    let count = unsafe { inl(port) };
    Look {
        before,
        count: count & MASK,
        timer: ticks(),
        after: tsc::now(),
    }
}

/// Measures once; `None` if it does not count.
pub(crate) fn measure(apic: &mut Apic, port: u16) -> Option<Sample> {
    apic.counting(|ticks| {
        let start = look(port, ticks);
        let passed = |look: &Look| look.count.wrapping_sub(start.count) & MASK;
        let end = (0..MOST_LOOKS)
            .map(|_| look(port, ticks))
            .find(|look| passed(look) >= TICKS)?;
        let doubt = (start.after - start.before) + (end.after - end.before);
        let counted = (u64::from(passed(&end)), HZ);
        let timer = start.timer.wrapping_sub(end.timer);
        Some(Sample::new(end.after - start.after, timer, counted, doubt))
    })
}
