//! The 8254 timer, used once: to find out how fast the TSC and the LAPIC timer run.

use crate::apic::Apic;
use crate::clock::Sample;
use crate::tsc;
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

/// Lets channel 2 count down once; `None` if it does not.
pub(crate) fn measure(apic: &mut Apic) -> Option<Sample> {
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
        let doubt = (opened - before) + (later - earlier);
        let counted = (u64::from(TICKS), PIT_HZ);
        Some(Sample::new(later - before, passed, counted, doubt))
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
