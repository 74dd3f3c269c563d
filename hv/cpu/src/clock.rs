//! How fast the TSC and the LAPIC timer run: measured against a clock whose frequency is known, or as
//! the processor says.

use crate::{apic::Apic, cpuid, pit, pm_timer, tsc};

/// What clocks are measured against if it is there.
pub const USUAL: &str = "the 8254";

/// Frequencies, and how far apart two measurements of them were.
#[derive(Clone, Copy, Debug)]
pub struct Calibration {
    /// The TSC's.
    pub tsc_hz: u64,
    /// The LAPIC timer's.
    pub timer_hz: u64,
    /// The greater of the two differences between the first measurement and the second.
    pub ppm: u64,
    /// What they were measured against.
    pub against: &'static str,
}

/// A measurement whose ends are known less sharply is repeated: an emulator's clock runs on while
/// the emulator waits for its host.
const GOOD_PPM: u64 = 300;
/// Measurements that differ by more call for another clock: the 8254 only says when its time is over, and an
/// emulator that waits then for its host spoils the measurement; the PM timer says what time it is.
const POOR_PPM: u64 = 10_000;
const MOST_SAMPLES: usize = 24;

/// One measurement.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    tsc_hz: u64,
    timer_hz: u64,
    /// How sharply its ends are known.
    doubt_ppm: u64,
}

impl Sample {
    /// What was counted by the TSC and the LAPIC timer while the reference counted `ticks` at `hz`;
    /// `doubt` of the TSC's ticks are the uncertainty.
    pub(crate) fn new(tsc: u64, timer: u32, (ticks, hz): (u64, u64), doubt: u64) -> Self {
        let to_hz = |count: u64| count * hz / ticks.max(1);
        Self {
            tsc_hz: to_hz(tsc),
            timer_hz: to_hz(timer.into()),
            doubt_ppm: doubt * 1_000_000 / tsc.max(1),
        }
    }
}

/// Measures both clocks: against the 8254, which firmware can have stopped, or an
/// emulator may not emulate evenly; else by the frequency that
/// CPUID states; else against the ACPI PM timer, whose port the FADT gives; else by the processor's base
/// frequency, which CPUID rounds to MHz.
///
/// # Errors
/// The line to print, when there is none of them.
pub fn calibrate(apic: &mut Apic, pm_port: Option<u16>) -> Result<Calibration, &'static str> {
    let by_8254 = best(USUAL, || pit::measure(apic));
    by_8254
        .filter(|found| found.ppm <= POOR_PPM)
        .or_else(|| from_cpuid(apic, cpuid::tsc_hz()?, "CPUID leaf 0x15"))
        .or_else(|| {
            let port = pm_port?;
            best("the ACPI PM timer", || pm_timer::measure(apic, port))
        })
        .or(by_8254)
        .or_else(|| from_cpuid(apic, cpuid::base_hz()?, "CPUID leaf 0x16"))
        .ok_or(
            "no clock: the 8254 timer does not count, CPUID leaves 0x15 and 0x16 do not say the TSC's frequency, and \
             there is no ACPI PM timer",
        )
}

/// Measures until two measurements are good.
fn best(against: &'static str, mut measure: impl FnMut() -> Option<Sample>) -> Option<Calibration> {
    let mut best = [Sample {
        doubt_ppm: u64::MAX,
        ..Sample::default()
    }; 2];
    for _ in 0..MOST_SAMPLES {
        let sample = measure()?;
        if sample.doubt_ppm < best[1].doubt_ppm {
            best[1] = sample;
            best.sort_unstable_by_key(|s| s.doubt_ppm);
        }
        if best[1].doubt_ppm <= GOOD_PPM {
            break;
        }
    }
    let [first, second] = best;
    let ppm = ppm(first.tsc_hz, second.tsc_hz).max(ppm(first.timer_hz, second.timer_hz));
    Some(Calibration {
        tsc_hz: first.tsc_hz,
        timer_hz: first.timer_hz,
        ppm,
        against,
    })
}

fn ppm(a: u64, b: u64) -> u64 {
    a.abs_diff(b) * 1_000_000 / a.max(1)
}

/// The TSC runs at `tsc_hz`; the LAPIC timer is measured against it.
fn from_cpuid(apic: &mut Apic, tsc_hz: u64, against: &'static str) -> Option<Calibration> {
    let time = tsc_hz / 100;
    let passed = apic.counting(|ticks| {
        let (start, end) = (ticks(), tsc::now() + time);
        while tsc::now() < end {
            core::hint::spin_loop();
        }
        start.wrapping_sub(ticks())
    });
    Some(Calibration {
        tsc_hz,
        timer_hz: u64::from(passed) * 100,
        ppm: 0,
        against,
    })
}
