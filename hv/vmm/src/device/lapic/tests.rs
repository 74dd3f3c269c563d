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
const ESR: u16 = 0x28;
const LVT_ERROR: u16 = 0x37;
const SEND_ILLEGAL_VECTOR: u32 = 1 << 5;
const RECEIVE_ILLEGAL_VECTOR: u32 = 1 << 6;
const ILLEGAL_REGISTER: u32 = 1 << 7;

/// The APIC of the only virtual CPU.
fn alone() -> Lapic {
    let machine = crate::machine::fake::FakeMachine::leak();
    let processors = crate::device::processors::Processors::new(machine, 1);
    Lapic::new(0, &Arc::new(Interrupts::new(processors)))
}

pub(super) fn enabled() -> Lapic {
    let mut lapic = alone();
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
    lapic.advance(2599, 0);
    assert_eq!(lapic.pending_interrupt(), None);
    lapic.advance(2600, 0);
    assert_eq!(
        (lapic.pending_interrupt(), lapic.next_deadline()),
        (Some(Pending::Vector(0x40)), None)
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
    lapic.advance(350, 0);
    assert_eq!(
        (lapic.pending_interrupt(), lapic.next_deadline()),
        (Some(Pending::Vector(0x40)), Some(400))
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
    lapic.advance(500, 0);
    assert_eq!(
        (lapic.pending_interrupt(), lapic.tsc_deadline()),
        (Some(Pending::Vector(0x40)), 0)
    );
}

#[test]
fn priorities_hold_back_lower_classes_until_eoi() {
    let mut lapic = enabled();
    lapic.request(0x45);
    lapic.request(0x51);
    assert_eq!(lapic.pending_interrupt(), Some(Pending::Vector(0x51)));
    lapic.acknowledge(Pending::Vector(0x51));
    assert_eq!(lapic.pending_interrupt(), None);
    lapic.request(0x5f);
    assert_eq!(lapic.pending_interrupt(), None, "same class");
    lapic.write_page(EOI, 0, 0);
    assert_eq!(lapic.pending_interrupt(), Some(Pending::Vector(0x5f)));
    lapic.acknowledge(Pending::Vector(0x5f));
    lapic.write_page(EOI, 0, 0);
    lapic.write_page(TPR, 0x40, 0);
    assert_eq!(lapic.pending_interrupt(), None, "TPR");
    lapic.set_cr8(3);
    assert_eq!(lapic.pending_interrupt(), Some(Pending::Vector(0x45)));
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
        lapic.receive();
        assert_eq!(
            lapic.pending_interrupt().is_some(),
            reached,
            "{high:#x} {low:#x}"
        );
    }
}

/// SDM 3A "Logical Destination Mode", in each of its models.
#[test]
fn messages_find_their_processors() {
    const LDR: u16 = 0xd;
    const DFR: u16 = 0xe;
    const X2APIC: u64 = base::ADDRESS | base::ENABLE | base::X2APIC;
    let apics = |set_up: fn(&mut Lapic)| {
        let machine = crate::machine::fake::FakeMachine::leak();
        let processors = crate::device::processors::Processors::new(machine, 4);
        let interrupts = Arc::new(Interrupts::new(processors));
        let mut apics: std::vec::Vec<_> = (0..4).map(|id| Lapic::new(id, &interrupts)).collect();
        for apic in &mut apics {
            apic.write_page(SVR, 0x1ff, 0);
            set_up(apic);
        }
        apics
    };
    let flat = |lapic: &mut Lapic| lapic.write_page(LDR, 1 << (24 + lapic.id), 0);
    let cluster = |lapic: &mut Lapic| {
        lapic.write_page(DFR, 0x0fff_ffff, 0);
        lapic.write_page(LDR, (lapic.id / 2) << 28 | 1 << (24 + lapic.id % 2), 0);
    };
    let x2apic = |lapic: &mut Lapic| lapic.set_base(X2APIC).unwrap();
    let disabled = |lapic: &mut Lapic| {
        if lapic.id == 2 {
            lapic.write_page(SVR, 0xff, 0);
        } else if lapic.id == 3 {
            lapic.set_base(base::ADDRESS).unwrap();
        }
    };
    type Row = (fn(&mut Lapic), u64, &'static [u32]);
    let rows: [Row; 17] = [
        (flat, 0x0a00_0000_0000_0861, &[1, 3]),
        (flat, 0xff00_0000_0000_0861, &[0, 1, 2, 3]),
        (flat, 0x0200_0000_0000_0061, &[2]),
        (flat, 0x0300_0000_0000_0961, &[0]), // lowest priority: one of them
        (flat, 0x0000_0000_000c_4500, &[1, 2, 3]), // INIT
        (flat, 0x0000_0000_000c_4161, &[1]), // lowest priority of the others
        (disabled, 0x0000_0000_000c_4061, &[1]),
        (disabled, 0xff00_0000_0000_0061, &[0, 1]),
        (disabled, 0x0200_0000_0000_0061, &[]),
        (disabled, 0x0000_0000_000c_4400, &[1, 2]), // NMI
        (cluster, 0x1300_0000_0000_0861, &[2, 3]),
        (cluster, 0x0200_0000_0000_0861, &[1]),
        (cluster, 0xff00_0000_0000_0861, &[0, 1, 2, 3]),
        (x2apic, 0x0000_0003_0000_0061, &[3]),
        (x2apic, 0x0000_0006_0000_0861, &[1, 2]),
        (x2apic, 0x0001_0006_0000_0861, &[]),
        (x2apic, 0xffff_ffff_0000_0861, &[0, 1, 2, 3]),
    ];
    for (set_up, command, reached) in rows {
        let mut apics = apics(set_up);
        if apics[0].is_x2apic() {
            apics[0].write_msr(ICR, command, 0).unwrap();
        } else {
            apics[0].write_page(ICR + 1, (command >> 32) as u32, 0);
            apics[0].write_page(ICR, command as u32, 0);
        }
        let got: std::vec::Vec<u32> = (0..4)
            .filter(|&id| apics[0].interrupts.processors.has_mail(id as usize))
            .collect();
        assert_eq!(got, reached, "{command:#x}");
    }
}

/// The errors since the last time.
pub(super) fn errors(lapic: &mut Lapic) -> u32 {
    lapic.write_page(ESR, 0, 0);
    lapic.read_page(ESR, 0)
}

/// SDM 3A "Error Handling": the sender checks the vector, whoever the IPI is for.
#[test]
fn an_ipi_with_an_illegal_vector_is_not_sent() {
    for low in [0x4_000fu32, 0x8_0000, 0xc_0005, 0x5, 0x10f] {
        let mut lapic = enabled();
        lapic.write_page(ICR + 1, 7 << 24, 0);
        lapic.write_page(ICR, low, 0);
        assert_eq!(errors(&mut lapic), SEND_ILLEGAL_VECTOR, "{low:#x}");
        assert_eq!(errors(&mut lapic), 0);
    }
    let mut lapic = enabled();
    lapic.write_page(ICR, 0x4_0400, 0);
    lapic.receive();
    assert_eq!((errors(&mut lapic), lapic.has_nmi()), (0, true));
    let x2apic = base::ADDRESS | base::ENABLE | base::X2APIC;
    lapic.set_base(x2apic).unwrap();
    lapic.write_msr(0x3f, 0xf, 0).unwrap();
    lapic.write_msr(ESR, 0, 0).unwrap();
    let both = SEND_ILLEGAL_VECTOR | RECEIVE_ILLEGAL_VECTOR;
    assert_eq!(lapic.read_msr(ESR, 0), Ok(both.into()), "by SELF IPI");
}

#[test]
fn the_first_error_since_the_last_write_of_esr_interrupts() {
    let mut lapic = enabled();
    lapic.write_page(LVT_ERROR, 0xfffe_ff55, 0);
    assert_eq!(lapic.read_page(LVT_ERROR, 0), 0x55, "vector and mask alone");
    lapic.read_page(1, 0);
    assert_eq!(lapic.pending_interrupt(), Some(Pending::Vector(0x55)));
    lapic.acknowledge(Pending::Vector(0x55));
    lapic.write_page(EOI, 0, 0);
    lapic.write_page(ICR, 0x4_0000, 0);
    assert_eq!(lapic.pending_interrupt(), None, "not armed again");
    let both = ILLEGAL_REGISTER | SEND_ILLEGAL_VECTOR;
    assert_eq!(errors(&mut lapic), both);
    lapic.write_page(TIMER, 3, 0);
    lapic.write_page(DIVIDE, 0b1011, 0);
    lapic.write_page(INITIAL, 10, 0);
    lapic.advance(10, 0);
    assert_eq!(
        lapic.pending_interrupt(),
        Some(Pending::Vector(0x55)),
        "an LVT entry's vector"
    );
    assert_eq!(errors(&mut lapic), RECEIVE_ILLEGAL_VECTOR);
}

#[test]
fn a_masked_or_illegal_error_entry_interrupts_nobody() {
    for (entry, want) in [
        (0x1_0055, ILLEGAL_REGISTER),
        (0x5, ILLEGAL_REGISTER | RECEIVE_ILLEGAL_VECTOR),
    ] {
        let mut lapic = enabled();
        lapic.write_page(LVT_ERROR, entry, 0);
        lapic.write_page(1, 0, 0);
        assert_eq!(lapic.pending_interrupt(), None, "{entry:#x}");
        assert_eq!(errors(&mut lapic), want, "{entry:#x}");
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
        (X, X + 0x1000, true),
        (X, X | 1 << 9, false),
    ] {
        let mut lapic = alone();
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
fn the_page_is_where_the_base_says() {
    let mut lapic = alone();
    assert_eq!(lapic.page(), Some(base::ADDRESS));
    lapic.set_base(0x4200_0000 | base::ENABLE).unwrap();
    assert_eq!(lapic.page(), Some(0x4200_0000));
    lapic
        .set_base(0x4200_0000 | base::ENABLE | base::X2APIC)
        .unwrap();
    assert_eq!(lapic.page(), None);
    lapic.set_base(base::ADDRESS).unwrap();
    assert_eq!(lapic.page(), None);
}

#[test]
fn init_forgets_the_nmi_that_waited() {
    let mut lapic = enabled();
    lapic.write_page(ICR, 0x4_0400, 0);
    lapic.receive();
    lapic.reset();
    assert!(!lapic.has_nmi());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// A million accesses, by page and by MSR.
    #[test]
    fn a_million_accesses_are_survived(seed: u64) {
        let (mut lapic, mut now) = (enabled(), 0);
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..10_000 {
            let (register, value) = (random.u16(0..0x100), random.u64(..) >> random.u8(0..64));
            now += random.u64(0..1 << 40) >> random.u8(0..40);
            match random.u8(0..9) {
                0 | 1 => { let _ = lapic.write_msr(register, value, now); }
                2 | 3 => lapic.write_page(register, value as u32, now),
                4 | 5 => { let _ = lapic.read_msr(register, now); }
                6 | 7 => { lapic.read_page(register, now); }
                _ => { let _ = lapic.set_base(value); }
            }
            lapic.advance(now, 0);
            lapic.receive();
            if let Some(pending) = lapic.pending_interrupt() {
                let vector = lapic.acknowledge(pending);
                prop_assert!(lapic.registers.in_service.highest() == Some(vector));
            }
        }
    }
}
