//! Against the PC16550D data sheet.

use super::*;
use crate::machine::fake::FakeMachine;

const IER: u16 = register::INTERRUPT_ENABLE;
const IIR: u16 = register::INTERRUPT_ID_OR_FIFO_CONTROL;
const LCR: u16 = register::LINE_CONTROL;
const MCR: u16 = register::MODEM_CONTROL;
const LSR: u16 = register::LINE_STATUS;
const MSR: u16 = register::MODEM_STATUS;
const SCRATCH: u16 = 7;

fn uart() -> (Uart, &'static FakeMachine) {
    let machine = FakeMachine::leak();
    (
        Uart::new(Arc::new(Console::new(machine, None, true))),
        machine,
    )
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
    assert_eq!(
        (uart.read(0, 1), uart.read(0, 1)),
        (b'o'.into(), b'k'.into())
    );
    assert_eq!((uart.read(LSR, 1), uart.read(0, 1)), (0x60, 0));
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
