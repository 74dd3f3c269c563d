//! The 8254 timer, used once: to find out how fast the TSC and the LAPIC timer run.

use crate::{apic::Apic, cpuid, tsc};
use x86::io::{inb, outb};

/// The 8254's input clock.
const PIT_HZ: u64 = 1_193_182;
/// One measurement: 10 ms.
const TICKS: u16 = 11_932;
/// A machine without an 8254, or with its clock stopped by firmware, never raises OUT: give up after this many looks. A look
/// is a port read, about 1 us on a PC, so that this is 2 s there; where the 8254 counts, a measurement takes some 10,000.
const MOST_LOOKS: u32 = 2_000_000;

const CHANNEL_2: u16 = 0x42;
const COMMAND: u16 = 0x43;
/// Bit 0 gate of channel 2, bit 1 speaker, bit 5 OUT of channel 2.
const PORT_B: u16 = 0x61;

/// Frequencies, and how far apart two measurements of them were.
#[derive(Clone, Copy, Debug)]
pub struct Calibration {
    /// The TSC's.
    pub tsc_hz: u64,
    /// The LAPIC timer's.
    pub timer_hz: u64,
    /// The greater of the two differences between the first measurement and the second.
    pub ppm: u64,
}

/// A measurement whose ends are known less sharply is repeated: an emulator's clock runs on while
/// the emulator waits for its host.
const GOOD_PPM: u64 = 300;
const MOST_SAMPLES: usize = 24;

/// One measurement.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    tsc_hz: u64,
    timer_hz: u64,
    /// How sharply its ends are known.
    doubt_ppm: u64,
}

/// Measures both clocks against channel 2 until two measurements are good.
///
/// # Errors
/// The line to print, when the 8254 does not count and CPUID does not say the TSC's frequency.
pub fn calibrate(apic: &mut Apic) -> Result<Calibration, &'static str> {
    let mut best = [Sample {
        doubt_ppm: u64::MAX,
        ..Sample::default()
    }; 2];
    for _ in 0..MOST_SAMPLES {
        let Some(sample) = measure(apic) else {
            return from_cpuid(apic).ok_or(
                "the 8254 timer does not count, and CPUID leaf 0x15 does not say the TSC's frequency",
            );
        };
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
    Ok(Calibration {
        tsc_hz: first.tsc_hz,
        timer_hz: first.timer_hz,
        ppm,
    })
}

fn ppm(a: u64, b: u64) -> u64 {
    a.abs_diff(b) * 1_000_000 / a.max(1)
}

/// Lets channel 2 count down once.
fn measure(apic: &mut Apic) -> Option<Sample> {
    prepare();
    apic.counting(|ticks| {
        let (before, start) = (tsc::now(), open_gate(ticks));
        let opened = tsc::now();
        let (mut earlier, mut later) = (opened, opened);
        let is_out = |_: &u32| {
            earlier = later;
            // SAFETY: reading port B changes nothing.
            let out = unsafe { inb(PORT_B) } & 0x20 != 0;
            later = tsc::now();
            out
        };
        (0..MOST_LOOKS).find(is_out)?;
        let passed = start.wrapping_sub(ticks());
        let to_hz = |count: u64| count * PIT_HZ / u64::from(TICKS);
        let doubt = (opened - before) + (later - earlier);
        Some(Sample {
            tsc_hz: to_hz(later - before),
            timer_hz: to_hz(passed.into()),
            doubt_ppm: doubt * 1_000_000 / (later - before).max(1),
        })
    })
}

/// Programs channel 2 to count down once (mode 0), with its gate shut.
fn prepare() {
    let [low, high] = TICKS.to_le_bytes();
    // SAFETY: channel 2 drives only the speaker, which stays off.
    unsafe {
        outb(PORT_B, inb(PORT_B) & !3);
        outb(COMMAND, 0xb0);
        outb(CHANNEL_2, low);
        outb(CHANNEL_2, high);
    }
}

/// Lets it count; returns the LAPIC timer's count at that time.
fn open_gate(ticks: &dyn Fn() -> u32) -> u32 {
    // SAFETY: as above.
    unsafe { outb(PORT_B, inb(PORT_B) & !3 | 1) }
    ticks()
}

fn from_cpuid(apic: &mut Apic) -> Option<Calibration> {
    let tsc_hz = cpuid::tsc_hz()?;
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
    })
}
