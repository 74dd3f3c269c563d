//! The 8254 timer, used once: to find out how fast the TSC and the LAPIC timer run.

use crate::{apic::Apic, cpuid, tsc};
use x86::io::{inb, outb};

/// The 8254's input clock.
const PIT_HZ: u64 = 1_193_182;
/// One measurement: 10 ms.
const TICKS: u16 = 11_932;
/// A machine without an 8254 never raises OUT: give up after this many looks.
const MOST_LOOKS: u32 = 100_000_000;

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

/// Two measurements that differ by less are good.
const GOOD_PPM: u64 = 1000;
/// An emulator's clock runs on while the emulator itself waits for its host: try again.
const TRIES: usize = 8;

/// Measures both clocks twice against channel 2, until two measurements agree.
///
/// # Errors
/// The line to print, when the 8254 does not count and CPUID does not say the TSC's frequency.
pub fn calibrate(apic: &mut Apic) -> Result<Calibration, &'static str> {
    let mut last = measure(apic);
    let pairs = (0..TRIES).map_while(|_| {
        let before = core::mem::replace(&mut last, measure(apic))?;
        Some(compare(before, last?))
    });
    let mut best: Option<Calibration> = None;
    for found in pairs {
        if best.is_none_or(|b| found.ppm < b.ppm) {
            best = Some(found);
        }
        if found.ppm <= GOOD_PPM {
            break;
        }
    }
    best.or_else(|| from_cpuid(apic)).ok_or(
        "the 8254 timer does not count, and CPUID leaf 0x15 does not say the TSC's frequency",
    )
}

fn compare((tsc_hz, timer_hz): (u64, u64), again: (u64, u64)) -> Calibration {
    let ppm = ppm(tsc_hz, again.0).max(ppm(timer_hz, again.1));
    Calibration { tsc_hz, timer_hz, ppm }
}

fn ppm(a: u64, b: u64) -> u64 {
    a.abs_diff(b) * 1_000_000 / a.max(1)
}

/// The frequencies of the TSC and of the LAPIC timer.
fn measure(apic: &mut Apic) -> Option<(u64, u64)> {
    let (elapsed, ticks) = apic.count(wait_for_pit);
    let to_hz = |count: u64| count * PIT_HZ / u64::from(TICKS);
    Some((to_hz(elapsed?), to_hz(ticks.into())))
}

/// Lets channel 2 count down once (mode 0); returns the TSC ticks that it took.
fn wait_for_pit() -> Option<u64> {
    let [low, high] = TICKS.to_le_bytes();
    // SAFETY: channel 2 drives only the speaker, which stays off.
    unsafe {
        let port_b = inb(PORT_B) & !3;
        outb(PORT_B, port_b);
        outb(COMMAND, 0xb0);
        outb(CHANNEL_2, low);
        outb(CHANNEL_2, high);
        outb(PORT_B, port_b | 1);
    }
    let start = tsc::now();
    // SAFETY: reading port B changes nothing.
    (0..MOST_LOOKS).find(|_| unsafe { inb(PORT_B) } & 0x20 != 0)?;
    Some(tsc::now() - start)
}

fn from_cpuid(apic: &mut Apic) -> Option<Calibration> {
    let tsc_hz = cpuid::tsc_hz()?;
    let time = tsc_hz / 100;
    let ((), ticks) = apic.count(|| {
        let end = tsc::now() + time;
        while tsc::now() < end {
            core::hint::spin_loop();
        }
    });
    Some(Calibration {
        tsc_hz,
        timer_hz: u64::from(ticks) * 100,
        ppm: 0,
    })
}
