//! The clock that KVM's guests know: a page in the guest's memory says how the time-stamp counter becomes nanoseconds, so
//! that nobody needs to calibrate it (Linux "Documentation/virt/kvm/x86/msr.rst", `pvclock-abi.h`).
//!
//! Time began when our own TSC was 0, for all virtual CPUs alike. So what a page says changes only with the guest's TSC.

use crate::vcpu::Vcpu;
use spec::addr::L1Gpa;

/// MSR_KVM_SYSTEM_TIME_NEW, bit 0.
pub(crate) const ENABLE: u64 = 1;
/// Every virtual CPU's clock shows the same.
const TSC_STABLE: u8 = 1;
const NANOSECONDS: u128 = 1_000_000_000;

/// Nanoseconds are ticks shifted left by the second, times the first, less 32 bits.
fn scale(hz: u64) -> (u32, i8) {
    let multiplier = |shift: i8| {
        let exact = (NANOSECONDS << (32 - i32::from(shift))) / u128::from(hz.max(1));
        u32::try_from(exact).ok().map(|exact| (exact, shift))
    };
    // The first that fits is the most precise.
    (-31..=31).find_map(multiplier).unwrap_or((u32::MAX, 31))
}

/// Writes the page of the virtual CPU's clock, if it has one.
pub(crate) fn write_system_time(v: &Vcpu) {
    let register = v.msrs.system_time;
    if register & ENABLE == 0 {
        return;
    }
    let (multiplier, shift) = scale(v.host.machine.tsc_hz());
    let mut body = [0; 28];
    // What the guest's TSC was at time 0.
    body[4..12].copy_from_slice(&v.msrs.tsc_offset.to_le_bytes());
    body[20..24].copy_from_slice(&multiplier.to_le_bytes());
    body[24] = shift as u8;
    body[25] = TSC_STABLE;
    publish(v, register & !ENABLE, &body);
}

/// Writes the time of day at time 0.
pub(crate) fn write_wall_clock(v: &Vcpu, at: u64) {
    let mut body = [0; 8];
    let seconds = v.host.machine.epoch() as u32;
    body[..4].copy_from_slice(&seconds.to_le_bytes());
    publish(v, at, &body);
}

/// Writes what follows a version, which is odd meanwhile. Where there is no RAM nobody reads it.
fn publish(v: &Vcpu, at: u64, body: &[u8]) {
    let (ram, mut version) = (&v.guest.ram, [0; 4]);
    let _ = ram.read(L1Gpa(at), &mut version);
    let odd = u32::from_le_bytes(version) | 1;
    let _ = ram.write(L1Gpa(at), &odd.to_le_bytes());
    let _ = ram.write(L1Gpa(at.saturating_add(4)), body);
    let _ = ram.write(L1Gpa(at), &odd.wrapping_add(1).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::fake::Fixture;

    proptest::proptest! {
        /// As Linux reads it (`__pvclock_read_cycles`): right to a millionth and a few nanoseconds.
        #[test]
        fn ticks_become_nanoseconds(hz in 1_000_000..20_000_000_000u64, ticks in 0..1u64 << 50) {
            let (multiplier, shift) = scale(hz);
            let shifted = if shift < 0 { ticks >> -shift } else { ticks << shift };
            let got = (u128::from(shifted) * u128::from(multiplier)) >> 32;
            let want = u128::from(ticks) * NANOSECONDS / u128::from(hz);
            let allowed = want / 1_000_000 + 40;
            proptest::prop_assert!(got.abs_diff(want) <= allowed, "{got} {want}");
        }
    }

    #[test]
    fn the_page_says_how_the_tsc_becomes_time() {
        let mut f = Fixture::new();
        f.write(0x3000, &[0xff; 40]);
        f.v.msrs.system_time = 0x3000 | ENABLE;
        f.v.msrs.tsc_offset = 0x1122_3344_5566_7788;
        write_system_time(&f.v);
        let page: [u8; 40] = f.read(0x3000);
        assert_eq!(page[..4], [0; 4], "the version after an odd one");
        assert_eq!(page[8..16], 0x1122_3344_5566_7788u64.to_le_bytes());
        assert_eq!(page[16..24], [0; 8]);
        // 1 GHz: a tick is a nanosecond.
        assert_eq!(page[24..28], (1u32 << 31).to_le_bytes());
        assert_eq!(
            page[28..],
            [1, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]
        );
        write_system_time(&f.v);
        assert_eq!(f.read(0x3000), 2u32.to_le_bytes());
        f.v.msrs.system_time = u64::MAX;
        write_system_time(&f.v);
        f.v.msrs.system_time = 0x3000;
        f.write(0x3000, &[7; 4]);
        write_system_time(&f.v);
        assert_eq!(f.read(0x3000), [7; 4], "switched off");
    }
}
