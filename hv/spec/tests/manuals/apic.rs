//! The local APIC's registers against the `x86` crate's, the interrupt command register, the timer's divider.

use spec::apic::{DeliveryMode, Icr, Register, divide_configuration, divide_ratio};
use spec::msr::Msr;
use x86::{apic::xapic, msr};

#[test]
fn registers_are_those_of_the_x86_crate() {
    let rows = [
        (Register::ID, xapic::XAPIC_ID, msr::IA32_X2APIC_APICID),
        (
            Register::VERSION,
            xapic::XAPIC_VERSION,
            msr::IA32_X2APIC_VERSION,
        ),
        (Register::TPR, xapic::XAPIC_TPR, msr::IA32_X2APIC_TPR),
        (Register::PPR, xapic::XAPIC_PPR, msr::IA32_X2APIC_PPR),
        (Register::EOI, xapic::XAPIC_EOI, msr::IA32_X2APIC_EOI),
        (Register::LDR, xapic::XAPIC_LDR, msr::IA32_X2APIC_LDR),
        (Register::SVR, xapic::XAPIC_SVR, msr::IA32_X2APIC_SIVR),
        (Register::ISR, xapic::XAPIC_ISR0, msr::IA32_X2APIC_ISR0),
        (Register::TMR, xapic::XAPIC_TMR0, msr::IA32_X2APIC_TMR0),
        (Register::IRR, xapic::XAPIC_IRR0, msr::IA32_X2APIC_IRR0),
        (Register::ESR, xapic::XAPIC_ESR, msr::IA32_X2APIC_ESR),
        (
            Register::LVT_CMCI,
            xapic::XAPIC_LVT_CMCI,
            msr::IA32_X2APIC_LVT_CMCI,
        ),
        (Register::ICR, xapic::XAPIC_ICR0, msr::IA32_X2APIC_ICR),
        (
            Register::LVT_TIMER,
            xapic::XAPIC_LVT_TIMER,
            msr::IA32_X2APIC_LVT_TIMER,
        ),
        (
            Register::LVT_THERMAL,
            xapic::XAPIC_LVT_THERMAL,
            msr::IA32_X2APIC_LVT_THERMAL,
        ),
        (
            Register::LVT_PERFORMANCE,
            xapic::XAPIC_LVT_PMI,
            msr::IA32_X2APIC_LVT_PMI,
        ),
        (
            Register::LVT_LINT0,
            xapic::XAPIC_LVT_LINT0,
            msr::IA32_X2APIC_LVT_LINT0,
        ),
        (
            Register::LVT_LINT1,
            xapic::XAPIC_LVT_LINT1,
            msr::IA32_X2APIC_LVT_LINT1,
        ),
        (
            Register::LVT_ERROR,
            xapic::XAPIC_LVT_ERROR,
            msr::IA32_X2APIC_LVT_ERROR,
        ),
        (
            Register::INITIAL_COUNT,
            xapic::XAPIC_TIMER_INIT_COUNT,
            msr::IA32_X2APIC_INIT_COUNT,
        ),
        (
            Register::CURRENT_COUNT,
            xapic::XAPIC_TIMER_CURRENT_COUNT,
            msr::IA32_X2APIC_CUR_COUNT,
        ),
        (
            Register::DIVIDE_CONFIGURATION,
            xapic::XAPIC_TIMER_DIV_CONF,
            msr::IA32_X2APIC_DIV_CONF,
        ),
    ];
    for (register, offset, number) in rows {
        assert_eq!(u32::from(register.0), offset, "{register}");
        assert_eq!(register.msr(), Msr(number), "{register}");
        assert_eq!(Register::from_msr(Msr(number)), Some(register));
    }
    assert_eq!(Register::SELF_IPI.msr(), Msr(msr::IA32_X2APIC_SELF_IPI));
    assert_eq!(Register::ICR_HIGH.0, xapic::XAPIC_ICR1 as u16);
    assert_eq!(
        (
            Register::from_msr(Msr(0x7ff)),
            Register::from_msr(Msr(0x900))
        ),
        (None, None)
    );
}

/// SDM 3A "Divide Configuration Register".
#[test]
fn divider() {
    let rows = [
        (0b0000, 2),
        (0b0001, 4),
        (0b0010, 8),
        (0b0011, 16),
        (0b1000, 32),
        (0b1001, 64),
        (0b1010, 128),
        (0b1011, 1),
    ];
    for (configuration, ratio) in rows {
        assert_eq!(divide_ratio(configuration), ratio, "{configuration:#b}");
        assert_eq!(
            divide_ratio(configuration | 0b0100),
            ratio,
            "bit 2 is ignored"
        );
        assert_eq!(divide_configuration(ratio), Some(configuration));
    }
    assert_eq!(
        (
            divide_configuration(0),
            divide_configuration(3),
            divide_configuration(256)
        ),
        (None, None, None)
    );
}

#[test]
fn interrupt_commands() {
    let startup = Icr::physical(3, DeliveryMode::STARTUP, 0x08);
    assert_eq!(startup.0, 0x3_0000_4608);
    assert_eq!(
        (
            startup.destination(),
            startup.delivery_mode(),
            startup.vector()
        ),
        (3, DeliveryMode::STARTUP, 8)
    );
    assert_eq!(Icr::physical(1, DeliveryMode::INIT, 0).0, 0x1_0000_4500);
    assert_eq!(Icr(0x000c_4020).shorthand(), 3);
}
