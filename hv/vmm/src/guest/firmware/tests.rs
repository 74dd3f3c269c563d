use super::*;
use crate::device::lapic::Pending;
use crate::device::pit;
use crate::machine::fake::Fixture;
use spec::apic::Register;
use std::sync::atomic::Ordering::Relaxed;

/// The lowest ports, so that a guest sees what it would on a PC.
#[test]
fn the_timer_interrupts_18_times_a_second_through_lint0() {
    let mut f = Fixture::new();
    set_up_devices(&mut f.v);
    assert_eq!(f.v.lapic.pending_interrupt(), None);
    let alarm = f.v.next_deadline().expect("counter 0 counts");
    let start = f.machine.clock.load(Relaxed);
    let period = 0x1_0000 * 1_000_000_000 / pit::HZ; // the TSC counts at 1 GHz
    assert!((alarm - start).abs_diff(period) < 2000, "{}", alarm - start);
    f.machine.clock.store(alarm, Relaxed);
    f.v.collect(alarm);
    assert_eq!(f.v.lapic.pending_interrupt(), Some(Pending::External));
    assert_eq!(f.v.lapic.acknowledge(Pending::External), VECTORS[0]);
    assert!(
        f.v.next_deadline().is_some_and(|next| next > alarm),
        "and goes on"
    );
}

#[test]
fn the_first_local_apic_is_in_virtual_wire_mode() {
    let mut f = Fixture::new();
    set_up_devices(&mut f.v);
    let read = |f: &mut Fixture, register: Register| f.v.lapic.read_page(register.0 >> 4, 0);
    let got = [Register::SVR, Register::LVT_LINT0, Register::LVT_LINT1].map(|r| read(&mut f, r));
    assert_eq!(got, [0x1ff, 0x700, 0x400]);
    let masks = [0x21, 0xa1].map(|port| f.v.guest.bus.lock().read(port, 1));
    assert_eq!(masks, [0xf8, 0xfe]);
}
