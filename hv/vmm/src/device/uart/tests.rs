//! Against the PC16550D data sheet.

use super::*;
use crate::device::interrupts::{Interrupts, PicPorts};
use crate::device::processors::Processors;
use crate::machine::fake::FakeMachine;
use core::sync::atomic::Ordering::Relaxed;
use proptest::prelude::*;

const IER: u16 = register::INTERRUPT_ENABLE;
const IIR: u16 = register::INTERRUPT_ID_OR_FIFO_CONTROL;
const LCR: u16 = register::LINE_CONTROL;
const MCR: u16 = register::MODEM_CONTROL;
const LSR: u16 = register::LINE_STATUS;
const MSR: u16 = register::MODEM_STATUS;
const SCRATCH: u16 = 7;

/// The UART, its machine, and what its line leads to.
fn uart() -> (Uart, &'static FakeMachine) {
    let (uart, machine, _) = wired();
    (uart, machine)
}

fn wired() -> (Uart, &'static FakeMachine, Arc<Interrupts>) {
    let machine = FakeMachine::leak();
    let interrupts = Arc::new(Interrupts::new(Processors::new(machine, 1)));
    let console = Arc::new(Console::new(machine, None, true));
    let line = Line::new(&interrupts, 4);
    (
        Uart::new(console, true, Clock::new(machine), line),
        machine,
        interrupts,
    )
}

/// With OUT2 and these interrupts enabled.
fn enabled(enables: u8) -> (Uart, &'static FakeMachine, Arc<Interrupts>) {
    let (mut uart, machine, interrupts) = wired();
    uart.write(MCR, 1, OUT2.into());
    uart.write(IER, 1, enables.into());
    (uart, machine, interrupts)
}

/// "Table I. UART Reset Configuration".
#[test]
fn reset_is_the_data_sheets() {
    let (mut uart, _) = uart();
    let got = [IER, IIR, LCR, MCR, LSR].map(|at| uart.read(at, 1));
    assert_eq!(got, [0, 1, 0, 0, 0x60]);
}

#[test]
fn registers_keep_the_bits_that_they_have() {
    let (mut uart, _) = uart();
    for (at, kept) in [(IER, 0x0f), (LCR, 0x7f), (MCR, 0x1f), (SCRATCH, 0xff)] {
        uart.write(at, 1, kept | if at == LCR { 0 } else { 0xe0 });
        assert_eq!(uart.read(at, 1), kept, "register {at}");
    }
    uart.write(LSR, 1, 0xff);
    assert_eq!(uart.read(LSR, 1), 0x60, "read only");
}

/// "Divisor Latch Access Bit": registers 0 and 1 are the divisor while it is set.
#[test]
fn dlab_selects_the_divisor() {
    let (mut uart, machine) = uart();
    uart.write(IER, 1, 5);
    uart.write(LCR, 1, 0x83);
    uart.write(0, 1, 0x0c);
    uart.write(1, 1, 0x01);
    assert_eq!((uart.read(0, 1), uart.read(1, 1)), (0x0c, 1));
    uart.write(LCR, 1, 0x03);
    assert_eq!(uart.read(IER, 1), 5);
    assert!(machine.written.lock().is_empty());
}

/// "FIFO Control Register" bit 0, "Interrupt Identification Register" bits 6 and 7.
#[test]
fn iir_tells_that_the_fifos_are_on() {
    let (mut uart, _) = uart();
    uart.write(IIR, 1, 0x07);
    assert_eq!(uart.read(IIR, 1), 0xc1);
    uart.write(IIR, 1, 0);
    assert_eq!(uart.read(IIR, 1), 0x01);
}

#[test]
fn bytes_go_out_and_come_in() {
    let (mut uart, machine) = uart();
    uart.write(0, 1, b'!'.into());
    assert_eq!(*machine.written.lock(), b"!");
    machine.typed.lock().extend(*b"ok");
    assert_eq!(uart.read(LSR, 1), 0x61, "data ready");
    assert_eq!(uart.read(0, 1), b'o'.into());
    assert_eq!((uart.read(LSR, 1), uart.read(0, 1)), (0x61, b'k'.into()));
    assert_eq!((uart.read(LSR, 1), uart.read(0, 1)), (0x60, 0));
}

/// A console that had nothing is left alone for a moment, so that a guest that prints does not pay for input.
#[test]
fn the_console_is_not_asked_at_every_look() {
    let (mut uart, machine) = uart();
    assert_eq!(uart.read(LSR, 1), 0x60);
    machine.typed.lock().push_back(b'x');
    assert_eq!(uart.read(LSR, 1), 0x60);
    machine.clock.fetch_add(100_000, Relaxed);
    assert_eq!(uart.read(LSR, 1), 0x61);
}

/// "FIFO Control Register": 16 bytes, trigger levels, and the timeout for what is below the trigger.
#[test]
fn received_data_interrupts_at_the_trigger_level_or_after_a_while() {
    for (control, level) in [(0x01, 1), (0x41, 4), (0x81, 8), (0xc1, 14)] {
        let (mut uart, machine, interrupts) = enabled(1);
        uart.write(IIR, 1, control);
        machine.typed.lock().extend(*b"0123456789abcdefgh");
        machine.clock.store(uart.deadline().unwrap(), Relaxed);
        uart.advance();
        assert_eq!(uart.deadline(), None, "no room");
        for left in (1..=16).rev() {
            assert!(interrupts.is_asserted(4));
            assert_eq!(
                uart.read(IIR, 1),
                if left >= level { 0xc4 } else { 0xcc },
                "{left}"
            );
            uart.read(0, 1);
        }
        assert_eq!(
            (uart.read(IIR, 1), interrupts.is_asserted(4)),
            (0xc1, false)
        );
        assert_eq!((uart.read(LSR, 1), uart.read(0, 1)), (0x61, b'g'.into()));
    }
}

#[test]
fn the_console_is_asked_every_5_ms_while_somebody_waits() {
    let (mut uart, machine, interrupts) = wired();
    assert_eq!(uart.deadline(), None);
    uart.write(MCR, 1, OUT2.into());
    uart.write(IER, 1, 1);
    let first = uart.deadline().unwrap();
    assert_eq!(first, machine.clock.load(Relaxed) + 5_000_000);
    machine.clock.store(first, Relaxed);
    uart.advance();
    assert_eq!(uart.deadline(), Some(first + 5_000_000));
    machine.typed.lock().push_back(b'x');
    machine.clock.store(first + 5_000_000, Relaxed);
    uart.advance();
    assert!(interrupts.is_asserted(4));
    assert_eq!(
        (uart.read(IIR, 1), uart.read(0, 1)),
        (4, b'x'.into()),
        "no FIFO"
    );
    uart.write(IER, 1, 0);
    assert_eq!(uart.deadline(), None);
}

/// "Interrupt Enable Register" bit 1: at once, as the transmitter is empty; after each byte; IIR ends it.
#[test]
fn the_empty_transmitter_interrupts() {
    let (mut uart, _, interrupts) = enabled(2);
    assert!(interrupts.is_asserted(4));
    assert_eq!((uart.read(IIR, 1), interrupts.is_asserted(4)), (2, false));
    assert_eq!(uart.read(IIR, 1), 1);
    uart.write(IER, 1, 2);
    assert!(!interrupts.is_asserted(4), "it was enabled before");
    uart.write(IER, 1, 0);
    uart.write(IER, 1, 2);
    assert_eq!(uart.read(IIR, 1), 2);
    uart.write(0, 1, b'x'.into());
    assert!(interrupts.is_asserted(4));
    uart.write(IER, 1, 0);
    assert_eq!((uart.read(IIR, 1), interrupts.is_asserted(4)), (1, false));
}

/// Each byte makes an edge, for a guest that does not read IIR.
#[test]
fn a_byte_sent_lowers_the_line_for_a_moment() {
    let (mut uart, _, interrupts) = enabled(2);
    let mut pic = PicPorts::master(&interrupts);
    for (port, value) in [(0, 0x11), (1, 0x20), (1, 0x04), (1, 0x01), (1, 0xef)] {
        pic.write(port, 1, value);
    }
    let acknowledged = |uart: &mut Uart| {
        uart.write(0, 1, b'.'.into());
        interrupts.intr().then(|| interrupts.acknowledge())
    };
    for _ in 0..3 {
        assert_eq!(acknowledged(&mut uart), Some(0x24));
        pic.write(0, 1, 0x20);
        assert!(!interrupts.intr());
    }
}

/// "Table IV. Interrupt Control Functions".
#[test]
fn interrupts_have_their_priorities() {
    let (mut uart, _, interrupts) = enabled(0xf);
    uart.write(MCR, 1, 0x18);
    uart.write(0, 1, 1);
    uart.write(0, 1, 2); // overrun
    assert_eq!(uart.read(IIR, 1), 6);
    assert_eq!(uart.read(LSR, 1), 0x63);
    assert_eq!(uart.read(IIR, 1), 4);
    assert_eq!((uart.read(0, 1), uart.read(IIR, 1)), (2, 2));
    assert_eq!(uart.read(IIR, 1), 0, "DSR and CTS went");
    assert_eq!((uart.read(MSR, 1), uart.read(IIR, 1)), (0x83, 1));
    assert!(!interrupts.is_asserted(4));
}

#[test]
fn out2_lets_the_interrupt_through() {
    let (mut uart, _, interrupts) = enabled(2);
    uart.write(MCR, 1, 0x07);
    assert!(!interrupts.is_asserted(4));
    uart.write(MCR, 1, 0x08);
    assert!(interrupts.is_asserted(4));
}

/// "FIFO Control Register" bits 0 and 1, and "Line Status Register" bit 1: a full FIFO keeps what it has.
#[test]
fn the_fifo_overruns_and_is_emptied() {
    let (mut uart, _) = uart();
    uart.write(IIR, 1, 1);
    uart.write(MCR, 1, 0x10);
    for byte in 0..17 {
        uart.write(0, 1, byte);
    }
    assert_eq!(
        (uart.read(LSR, 1), uart.read(LSR, 1), uart.read(0, 1)),
        (0x63, 0x61, 0)
    );
    uart.write(IIR, 1, 2);
    assert_eq!(
        (uart.read(LSR, 1), uart.read(IIR, 1)),
        (0x60, 1),
        "switched off"
    );
    uart.write(0, 1, 7);
    uart.write(IIR, 1, 2);
    assert_eq!(uart.read(LSR, 1), 0x61, "no reset without the enable");
    uart.write(IIR, 1, 1);
    uart.write(0, 1, 7);
    uart.write(IIR, 1, 5);
    assert_eq!(uart.read(LSR, 1), 0x61);
    uart.write(IIR, 1, 3);
    assert_eq!(uart.read(LSR, 1), 0x60);
}

/// "Line Control Register" bit 6, in loopback.
#[test]
fn a_break_is_received_in_loopback() {
    let (mut uart, _) = uart();
    uart.write(LCR, 1, 0x40);
    assert_eq!(uart.read(LSR, 1), 0x60);
    uart.write(LCR, 1, 0);
    uart.write(MCR, 1, 0x10);
    uart.write(LCR, 1, 0x40);
    assert_eq!(
        (uart.read(LSR, 1), uart.read(LSR, 1), uart.read(0, 1)),
        (0x71, 0x61, 0)
    );
    uart.write(IIR, 1, 1);
    uart.write(LCR, 1, 0);
    uart.write(LCR, 1, 0x40);
    assert_eq!(uart.read(LSR, 1), 0xf1, "an error is in the FIFO");
}

/// "Modem Status Register" bits 0 to 3: of the ring indicator only the end.
#[test]
fn changes_of_the_modems_lines_are_kept_until_they_are_read() {
    let (mut uart, _) = uart();
    uart.write(MCR, 1, 0x10);
    assert_eq!((uart.read(MSR, 1), uart.read(MSR, 1)), (0x0b, 0));
    for (out, want) in [
        (0x14, 0x40),
        (0x10, 0x04),
        (0x11, 0x22),
        (0x12, 0x13),
        (0x18, 0x89),
        (0x18, 0x80),
    ] {
        uart.write(MCR, 1, out);
        assert_eq!(uart.read(MSR, 1), want, "{out:#x}");
    }
}

proptest! {
    /// IRQ 4 is what IIR says where OUT2 lets it, and the next poll is ahead.
    #[test]
    fn outlives_any_access(steps in proptest::collection::vec((0u8..4, 0u16..8, any::<u8>(), 0u64..20_000_000), 1..200)) {
        let (mut uart, machine, interrupts) = wired();
        for (what, offset, value, wait) in steps {
            match what {
                0 => { uart.read(offset, 1); }
                1 => { uart.write(offset, 1, value.into()); }
                2 => machine.typed.lock().extend([value; 5]),
                _ => { machine.clock.fetch_add(wait, Relaxed); }
            }
            uart.advance();
            prop_assert!(uart.deadline().is_none_or(|deadline| deadline > machine.clock.load(Relaxed)));
            let through = uart.modem_control & OUT2 != 0;
            prop_assert_eq!(interrupts.is_asserted(4), through && uart.cause().is_some());
            let full = uart.receiver.has_room();
            prop_assert_eq!(uart.deadline().is_some(), full && uart.interrupt_enable & 1 != 0 && uart.modem_control & LOOPBACK == 0);
        }
    }
}

/// "MODEM Control Register" bit 4: what is sent is received, and DTR, RTS, OUT1 and OUT2 come back
/// as DSR, CTS, RI and DCD.
#[test]
fn loopback_is_the_data_sheets() {
    let (mut uart, machine) = uart();
    for (out, back) in [(1, 0x20), (2, 0x10), (4, 0x40), (8, 0x80)] {
        uart.write(MCR, 1, 0x10 | out);
        assert_eq!(uart.read(MSR, 1) & 0xf0, back);
    }
    uart.write(0, 1, 0xa5);
    assert_eq!((uart.read(LSR, 1), uart.read(0, 1)), (0x61, 0xa5));
    assert!(machine.written.lock().is_empty());
}
