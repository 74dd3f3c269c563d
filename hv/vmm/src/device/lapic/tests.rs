use super::*;
use proptest::prelude::*;

const SVR: u16 = 0x0f;
const TIMER: u16 = 0x32;
const INITIAL: u16 = 0x38;
const CURRENT: u16 = 0x39;
const DIVIDE: u16 = 0x3e;
const EOI: u16 = 0x0b;
const TPR: u16 = 0x08;
const ICR: u16 = 0x30;

fn enabled() -> Lapic {
    let mut lapic = Lapic::new(0);
    lapic.write_page(SVR, 0x1ff, 0);
    lapic
}

#[test]
fn one_shot_fires_once_and_counts_down() {
    let mut lapic = enabled();
    lapic.write_page(TIMER, 0x40, 0);
    lapic.write_page(DIVIDE, 0b0011, 0); // by 16
    lapic.write_page(INITIAL, 100, 1000);
    assert_eq!(
        (lapic.next_deadline(), lapic.read_page(CURRENT, 1000 + 160)),
        (Some(2600), 90)
    );
    lapic.advance(2599);
    assert_eq!(lapic.pending_interrupt(), None);
    lapic.advance(2600);
    assert_eq!(
        (lapic.pending_interrupt(), lapic.next_deadline()),
        (Some(0x40), None)
    );
    assert_eq!(lapic.read_page(CURRENT, 2600), 0);
}

#[test]
fn the_divide_configuration_is_the_manuals() {
    for (code, divisor) in [
        (0b0000, 2),
        (0b0001, 4),
        (0b0010, 8),
        (0b0011, 16),
        (0b1000, 32),
        (0b1001, 64),
        (0b1010, 128),
        (0b1011, 1),
    ] {
        let mut lapic = enabled();
        lapic.write_page(DIVIDE, code, 0);
        lapic.write_page(INITIAL, 10, 0);
        assert_eq!(lapic.next_deadline(), Some(10 * divisor));
    }
}

#[test]
fn periods_that_go_by_unseen_make_one_interrupt() {
    let mut lapic = enabled();
    lapic.write_page(TIMER, 0x2_0040, 0);
    lapic.write_page(DIVIDE, 0b1011, 0);
    lapic.write_page(INITIAL, 100, 0);
    lapic.advance(350);
    assert_eq!(
        (lapic.pending_interrupt(), lapic.next_deadline()),
        (Some(0x40), Some(400))
    );
}

#[test]
fn tsc_deadline_counts_only_in_its_mode() {
    let mut lapic = enabled();
    lapic.set_tsc_deadline(500);
    assert_eq!(lapic.next_deadline(), None);
    lapic.write_page(TIMER, 0x4_0040, 0);
    lapic.set_tsc_deadline(500);
    assert_eq!(
        (lapic.next_deadline(), lapic.tsc_deadline()),
        (Some(500), 500)
    );
    lapic.advance(500);
    assert_eq!(
        (lapic.pending_interrupt(), lapic.tsc_deadline()),
        (Some(0x40), 0)
    );
}

#[test]
fn priorities_hold_back_lower_classes_until_eoi() {
    let mut lapic = enabled();
    lapic.request(0x45);
    lapic.request(0x51);
    assert_eq!(lapic.pending_interrupt(), Some(0x51));
    lapic.acknowledge(0x51);
    assert_eq!(lapic.pending_interrupt(), None);
    lapic.request(0x5f);
    assert_eq!(lapic.pending_interrupt(), None, "same class");
    lapic.write_page(EOI, 0, 0);
    assert_eq!(lapic.pending_interrupt(), Some(0x5f));
    lapic.acknowledge(0x5f);
    lapic.write_page(EOI, 0, 0);
    lapic.write_page(TPR, 0x40, 0);
    assert_eq!(lapic.pending_interrupt(), None, "TPR");
    lapic.set_cr8(3);
    assert_eq!(lapic.pending_interrupt(), Some(0x45));
}

#[test]
fn ipis_reach_this_cpu_or_nobody() {
    for (high, low, reached) in [
        (0u32, 0x4_0061u32, true), // self
        (0, 0x8_0061, true),       // all including self
        (0, 0xc_0061, false),      // all but self
        (0, 0x61, true),           // physical, own ID
        (1 << 24, 0x61, false),    // physical, another
        (0xff << 24, 0x61, true),  // physical, broadcast
    ] {
        let mut lapic = enabled();
        lapic.write_page(ICR + 1, high, 0);
        lapic.write_page(ICR, low, 0);
        assert_eq!(
            lapic.pending_interrupt().is_some(),
            reached,
            "{high:#x} {low:#x}"
        );
    }
}

#[test]
fn base_follows_the_state_diagram() {
    const X2: u64 = base::ADDRESS | base::ENABLE | base::X2APIC;
    const X: u64 = base::ADDRESS | base::ENABLE;
    const OFF: u64 = base::ADDRESS;
    for (from, to, legal) in [
        (X, X2, true),
        (X2, X, false),
        (X2, OFF, true),
        (OFF, X2, false),
        (OFF, X, true),
        (X, OFF, true),
        (X, OFF | base::X2APIC, false),
        (X, X | 1, false),
        (X, X + 0x1000, false),
    ] {
        let mut lapic = Lapic::new(0);
        lapic.base = from;
        assert_eq!(lapic.set_base(to).is_ok(), legal, "{from:#x} -> {to:#x}");
    }
}

#[test]
fn software_disable_masks_the_lvt_and_drops_requests() {
    let mut lapic = enabled();
    lapic.write_page(TIMER, 0x40, 0);
    lapic.write_page(SVR, 0xff, 0);
    assert_eq!(lapic.read_page(TIMER, 0), 0x1_0040);
    lapic.request(0x40);
    assert_eq!(lapic.pending_interrupt(), None);
}

#[test]
fn x2apic_msrs_refuse_what_the_page_ignores() {
    let mut lapic = enabled();
    lapic
        .set_base(base::ADDRESS | base::ENABLE | base::X2APIC)
        .unwrap();
    assert_eq!(lapic.write_msr(EOI, 1, 0), Err(AccessError));
    assert_eq!(lapic.write_msr(SVR, 1 << 12, 0), Err(AccessError));
    assert_eq!(lapic.write_msr(0x3f, 0x77, 0), Ok(()));
    assert_eq!(lapic.pending_interrupt(), Some(0x77));
    assert_eq!(
        (lapic.read_msr(0x31, 0), lapic.read_msr(0x0e, 0)),
        (Err(AccessError), Err(AccessError))
    );
}

proptest! {
    #[test]
    fn outlives_any_access(steps in proptest::collection::vec((any::<bool>(), any::<bool>(), 0u16..0x100, any::<u64>(), 0u64..1 << 40), 1..400)) {
        let mut lapic = enabled();
        let mut now = 0u64;
        for (write, msr, register, value, passed) in steps {
            now += passed;
            match (write, msr) {
                (true, true) => { let _ = lapic.write_msr(register, value, now); }
                (true, false) => lapic.write_page(register, value as u32, now),
                (false, true) => { let _ = lapic.read_msr(register, now); }
                (false, false) => { lapic.read_page(register, now); }
            }
            let _ = lapic.set_base(value.rotate_left(u32::from(register)));
            lapic.advance(now);
            if let Some(vector) = lapic.pending_interrupt() {
                lapic.acknowledge(vector);
                prop_assert!(lapic.in_service.highest() == Some(vector));
            }
        }
    }
}
